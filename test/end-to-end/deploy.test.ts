/**
 * `tercet deploy`, `import`, `check stack` and `healthcheck` as an operator types them. Covers req-005 req-016
 * req-017 req-022 req-067 req-079 req-080 req-088 req-093 req-094 req-112 req-163 req-164 req-173 req-175.
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { MemoryBucket } from '#bucket/memory.ts'
import { systemClock } from '#core/clock.ts'
import { chunkNameFor, planCopy } from '#ops/import-plan.ts'
import { freePort } from '../free-port.ts'
import { listening } from '../listening.ts'
import { needs, Peer } from '../peers.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet } from '../run-tercet.ts'
import { urlOf } from '../url.ts'
import { postWrite, writeBody } from '../write-request.ts'

const work = mkdtempSync(join(tmpdir(), 'tercet-deploy-'))
after(() => {
  rmSync(work, { recursive: true, force: true })
})
const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const env = { SOPS_AGE_KEY: identity }
const fixtures = new URL('../../fixtures/', import.meta.url).pathname

test("a tree is rendered, changed, sealed, checked, and lives beside others' applications", async () => {
  const repository = join(work, 'repository')
  const monitoring = join(repository, 'kubernetes/apps/monitoring')
  mkdirSync(join(monitoring, 'blackbox'), { recursive: true })
  writeFileSync(
    join(monitoring, 'namespace.yaml'),
    'apiVersion: v1\nkind: Namespace\nmetadata: {name: monitoring, labels: {mine: "yes"}}\n',
  )
  writeFileSync(
    join(monitoring, 'kustomization.yaml'),
    '# Ours\napiVersion: kustomize.config.k8s.io/v1beta1\n' +
      'kind: Kustomization\nresources:\n' +
      '  - ./namespace.yaml\n  - ./blackbox/ks.yaml # probes\n' +
      '  - ./kube-prometheus-stack/ks.yaml\n',
  )
  writeFileSync(
    join(repository, 'stack.yaml'),
    `s3: { endpoint: 'https://s3.example.net' }\nage_recipients: [${recipient}]\n`,
  )
  const secrets = join(work, 'secrets.yaml')
  writeFileSync(
    secrets,
    ['metrics', 'logs', 'traces']
      .map(s => `${s}-s3-secret: { S3_ACCESS_KEY_ID: id-${s}, S3_SECRET_ACCESS_KEY: plain-${s} }\n`)
      .join(''),
  )
  const render = (more: readonly string[] = []): ReturnType<typeof runCommand> =>
    runCommand(['deploy', 'render', '--engine', 'tercet', '--target', 'flux', '-o', '.', ...more], {
      cwd: repository,
      env,
    })
  const first = await render(['--secrets', secrets])
  assert.equal(first.code, 0, first.err)
  assert.match(readFileSync(join(monitoring, 'namespace.yaml'), 'utf8'), /mine/)
  const list = readFileSync(join(monitoring, 'kustomization.yaml'), 'utf8')
  assert.match(
    list,
    /# Ours[^]*\.\/blackbox\/ks\.yaml # probes\n {2}- \.\/kube-prometheus-stack\/ks\.yaml\n {2}- \.\/tercet\/ks\.yaml/,
  )
  const bytes = (): string[] =>
    readdirSync(repository, { recursive: true, withFileTypes: true })
      .filter(e => e.isFile())
      .map(e => {
        const path = join(e.parentPath, e.name)
        return `${path} ${readFileSync(path, 'utf8')}`
      })
      .sort()
  const before = bytes()
  assert.match((await render(['--secrets', secrets])).out, / 0 written/)
  // Without the keys the sealed files stay.
  assert.match((await render()).out, / 0 written/)
  assert.deepEqual(bytes(), before, 'req-173')
  assert.ok(!before.join().includes('plain-'), 'req-016')
  const unsealed = await runCommand(['deploy', 'unseal', join(monitoring, 'tercet/app/logs-s3-secret.sops.yaml')], {
    env,
  })
  assert.match(unsealed.out, /S3_SECRET_ACCESS_KEY: plain-logs/)
  assert.deepEqual(
    [(await runCommand(['deploy', 'unseal', join(monitoring, 'tercet/app/logs-s3-secret.sops.yaml')])).code],
    [2],
  )
  // What is rendered no more goes, with its directories; the others stay.
  const lgtm = (more: string): ReturnType<typeof runCommand> => {
    writeFileSync(join(work, 'lgtm.yaml'), more)
    return runCommand([
      'deploy',
      'render',
      '--engine',
      'lgtm',
      '--target',
      'flux',
      '--config',
      join(work, 'lgtm.yaml'),
      '-o',
      join(work, 'lgtm'),
    ])
  }
  await lgtm('{}')
  assert.ok(existsSync(join(work, 'lgtm/kubernetes/apps/monitoring/tercet-agent/ks.yaml')))
  assert.match((await lgtm('agent: { enabled: false }')).out, /4 of before removed/)
  assert.deepEqual(
    [
      existsSync(join(work, 'lgtm/kubernetes/apps/monitoring/tercet-agent')),
      existsSync(join(work, 'lgtm/kubernetes/apps/monitoring/loki/ks.yaml')),
    ],
    [false, true],
  )
  assert.ok(
    !readFileSync(join(work, 'lgtm/kubernetes/apps/monitoring/kustomization.yaml'), 'utf8').includes('tercet-agent'),
  )
  // The old stack is commented out.
  const plan = await runCommand(['deploy', 'migrate', '--from', 'kube-prometheus-stack', '--write', '.'], {
    cwd: repository,
  })
  assert.equal(plan.code, 0, plan.err)
  assert.match(
    readFileSync(join(monitoring, 'kustomization.yaml'), 'utf8'),
    /\n {2}# - \.\/kube-prometheus-stack\/ks\.yaml # replaced by tercet\n/,
    'req-022 req-067',
  )
  // A file of somebody else's is not written over.
  rmSync(join(repository, '.tercet-rendered'))
  writeFileSync(join(monitoring, 'tercet/ks.yaml'), 'mine: true\n')
  const refused = await render()
  assert.equal(refused.code, 2)
  assert.match(refused.err, /tercet\/ks\.yaml in \. is not of an earlier render/)
  assert.equal(readFileSync(join(monitoring, 'tercet/ks.yaml'), 'utf8'), 'mine: true\n')
})

test('seal and check-secrets as a hook', async () => {
  const file = join(work, 'kubernetes-secret.sops.yaml')
  writeFileSync(file, 'apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData: { b: plain }\n')
  const before = await runCommand(['deploy', 'check-secrets', file])
  assert.equal(before.code, 1, 'req-017')
  assert.match(before.err, /the Secret a is not sealed: stringData\.b is in clear/)
  assert.match((await runCommand(['deploy', 'seal', file], { cwd: work })).err, /no \.sops\.yaml says for whom/)
  writeFileSync(
    join(work, '.sops.yaml'),
    `creation_rules: [{ path_regex: '\\.sops\\.yaml$', encrypted_regex: '^(data|stringData)$', age: ${recipient} }]\n`,
  )
  assert.equal((await runCommand(['deploy', 'seal', 'kubernetes-secret.sops.yaml'], { cwd: work })).code, 0)
  assert.match(readFileSync(file, 'utf8'), /b: "?ENC\[AES256_GCM/)
  assert.equal((await runCommand(['deploy', 'check-secrets', file], { env })).code, 0)
  writeFileSync(file, readFileSync(file, 'utf8').replace('name: a', 'name: b'))
  const changed = await runCommand(['deploy', 'check-secrets', file], { env })
  assert.equal(changed.code, 1)
  assert.match(changed.err, /the MAC does not fit/)
  // What an operator gets wrong: said, with what to do, and exit code 2.
  writeFileSync(
    join(work, 's3.yaml'),
    'bucket: { s3: { endpoint: "http://127.0.0.1:1", allow_insecure: true, bucket: x, access_key_id: a, ' +
      'secret_access_key: b } }\n',
  )
  writeFileSync(join(work, 'local.yaml'), '{}\n')
  const wrong: [string[], RegExp][] = [
    [['deploy', 'bootstrap-s3', '--config', join(work, 'local.yaml')], /has no s3/],
    [['deploy', 'graduate', '-o', 'x'], /--tercet-config/],
    [['deploy', 'graduate', '--tercet-config', join(work, 'local.yaml'), '-o', 'x'], /not every signal is in S3/],
    [
      ['deploy', 'graduate', '--tercet-config', join(work, 's3.yaml'), '--hand-over', '-o', join(work, 'g')],
      /name its --url/,
    ],
    [
      [
        'deploy',
        'graduate',
        '--tercet-config',
        join(work, 's3.yaml'),
        '--hand-over',
        '--url',
        'http://127.0.0.1:1',
        '-o',
        join(work, 'g'),
      ],
      /can't be reached.*nothing was handed over/,
    ],
  ]
  for (const [args, message] of wrong) {
    const { code, err } = await runCommand(args)
    assert.deepEqual([code, message.test(err)], [2, true], `${args.join(' ')}: ${err}`)
  }
  writeFileSync(join(work, 'stack.yaml'), 's3: { endpoint: "https://127.0.0.1:1" }\n')
  assert.match(
    (await runCommand(['deploy', 'bootstrap-s3', '--config', join(work, 'stack.yaml')])).err,
    /name the administrator's keys/,
  )
  const unreachable = await runCommand(['check', 'bucket', '--config', join(work, 's3.yaml')])
  assert.deepEqual(
    [unreachable.code, /BAD .*reach[\s\S]*is bucket\.s3\.endpoint right/.test(unreachable.out)],
    [1, true],
    unreachable.out,
  )
  assert.match((await runCommand(['check', 'bucket'], { cwd: work })).out, /a directory on this machine/)
  const help = await runCommand(['deploy', '--help'])
  assert.deepEqual([help.code, /bootstrap-s3/.test(help.out)], [0, true])
  for (const [args, message] of [
    [['deploy', 'rendr'], /deploy knows render/],
    [['deploy', 'render', '-o', 'x'], /--target is one of/],
    [['deploy', 'render', '--target', 'flux', '-o'], /-o takes a value/],
    [['deploy', 'migrate', '--from', 'x'], /--from is one of/],
  ] as const) {
    const { code, err } = await runCommand(args)
    assert.deepEqual([code, message.test(err)], [2, true], err)
  }
})

test('blocks, chunks and traces of other systems are taken in, once, and served', async () => {
  const running = await runTercet(['metrics.retention=inf', 'logs.retention=inf', 'traces.retention=inf'])
  try {
    const data = `--data_dir=${running.directory}/data`
    const keep = ['--metrics.retention=inf', '--logs.retention=inf', '--traces.retention=inf']
    // Not whole, and marked: left out, and said so.
    const source = join(work, 'prometheus')
    cpSync(join(fixtures, 'prometheus/blocks'), source, { recursive: true })
    const [block] = readdirSync(source).filter(name => name.length === 26)
    cpSync(join(source, block!), join(source, '01AAAAAAAAAAAAAAAAAAAAAAAA'), { recursive: true })
    rmSync(join(source, '01AAAAAAAAAAAAAAAAAAAAAAAA/meta.json'))
    mkdirSync(join(source, 'wal'))
    writeFileSync(join(source, 'wal/00000000'), 'x')
    const importing = (from: string, place: string): ReturnType<typeof runCommand> =>
      runCommand(['import', '--from', from, place, data, ...keep, '--url', running.url, '--json'])
    const metrics = await importing('prometheus', source)
    assert.equal(metrics.code, 0, metrics.err)
    assert.match(metrics.err, /skipped 01AAAAAAAAAAAAAAAAAAAAAAAA: no meta\.json/)
    const counts = JSON.parse(metrics.out) as { copied: number; present: number }
    assert.ok(counts.copied > 2 && counts.present === 0)
    assert.deepEqual(
      JSON.parse((await importing('prometheus', source)).out) as { copied: number; present: number },
      { ...counts, copied: 0, present: counts.copied },
      'the second time does nothing',
    )
    interface Recorded {
      path: string
      params: Record<string, string>
      status: number
      body: { data?: { resultType?: string; result?: { metric?: Record<string, string> }[] } }
    }
    const inOrder = ({ data }: Recorded['body']): string[] =>
      (data?.result ?? []).map(r => JSON.stringify({ ...r, metric: Object.entries(r.metric ?? {}).sort() })).sort()
    const recorded = readFileSync(join(fixtures, 'prometheus/answers.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Recorded)
      .filter(
        r =>
          r.path.endsWith('/query') &&
          r.body.data?.resultType === 'vector' &&
          r.body.data.result!.length > 0 &&
          !/native|histogram/.test(r.params['query']!),
      )
      .slice(0, 20)
    assert.equal(recorded.length, 20)
    for (const { path, params, body } of recorded)
      assert.deepEqual(
        inOrder(
          (await (
            await fetch(`${running.url}${path}?${new URLSearchParams(params).toString()}`)
          ).json()) as Recorded['body'],
        ),
        inOrder(body),
        params['query'] ?? path,
      )
    for (const [from, place] of [
      ['loki', 'loki/bucket'],
      ['tempo', 'tempo/bucket'],
    ] as const) {
      const done = await importing(from, join(fixtures, place))
      assert.equal(done.code, 0, done.err)
      assert.ok((JSON.parse(done.out) as { copied: number }).copied > 3, done.out)
    }
    const times = 'start=1795218069435999999&end=1795220698880827732'
    const labels = (await (await fetch(`${running.url}/loki/api/v1/labels?${times}`)).json()) as { data: string[] }
    assert.ok(labels.data.length > 1)
    const id = /"trace_?[iI][dD]":"([0-9a-f]{32})"/.exec(
      readFileSync(join(fixtures, 'tempo/answers.jsonl'), 'utf8'),
    )?.[1]
    assert.equal((await fetch(`${running.url}/api/traces/${id!}`)).status, 200)
    for (const [args, message] of [
      [['--from', 'x', '/tmp'], /--from is one of/],
      [['--from', 'loki', '/nowhere-at-all'], /no such directory/],
      [['--from', 'loki'], /takes one source/],
    ] as const)
      assert.match((await runCommand(['import', ...args])).err, message)
  } finally {
    await running.stop()
  }
})

test("Loki's chunks are named as the target's store names them; what makes a block visible comes last", async () => {
  const plain = '1a1fb6ccbe0:1a1fb8053e0:22cada98'
  const coded = Buffer.from(plain).toString('base64')
  for (const name of [plain, coded])
    assert.deepEqual([chunkNameFor(name, true), chunkNameFor(name, false)], [coded, plain])
  const bucket = new MemoryBucket(systemClock)
  const meta = JSON.stringify({ ulid: 'x', version: 1, maxTime: 7, compaction: { sources: ['x'] } })
  const id = '01M7XPRJMKDMK41SCYK1X29CX8'
  for (const [key, text] of Object.entries({
    [`${id}/meta.json`]: meta,
    [`${id}/index`]: 'i',
    [`${id}/chunks/000001`]: 'c',
    [`${id}/notes.txt`]: 'n',
    [`t/${id}/meta.json`]: meta,
    [`t/${id}/index`]: 'i',
    't/bucket-index.json.gz': 'b',
    [`fake/ab/${coded}`]: 'l',
    'index/index_1/fake/1-x.tsdb.gz': 'x',
  }))
    await bucket.put(key, Buffer.from(text))
  const plan = async (from: 'prometheus' | 'mimir' | 'loki'): Promise<string[]> =>
    (await planCopy(from, bucket, { tenant: 'anonymous', isTargetDirectory: false })).steps.map(
      s => `${s.from} ${s.to}`,
    )
  assert.deepEqual(await plan('prometheus'), [
    `${id}/chunks/000001 anonymous/${id}/chunks/000001`,
    `${id}/index anonymous/${id}/index`,
    `${id}/meta.json anonymous/${id}/meta.json`,
  ])
  assert.deepEqual(await plan('mimir'), [`t/${id}/index t/${id}/index`, `t/${id}/meta.json t/${id}/meta.json`])
  assert.deepEqual(await plan('loki'), [
    `fake/ab/${coded} fake/ab/${plain}`,
    'index/index_1/fake/1-x.tsdb.gz index/index_1/fake/1-x.tsdb.gz',
  ])
})

test(
  'a real VictoriaMetrics is asked for its samples, goes on where it was, and its stack is checked',
  needs('victoria-metrics'),
  async () => {
    const port = await freePort()
    const victoria = new Peer(
      'victoria-metrics',
      [
        `-storageDataPath=${work}/vm`,
        `-httpListenAddr=127.0.0.1:${port}`,
        '-retentionPeriod=10y',
        '-search.latencyOffset=0s',
      ],
      work,
    )
    const source = `http://127.0.0.1:${port}`
    const running = await runTercet(['metrics.retention=inf', 'metrics.out_of_order_window=inf'])
    try {
      await victoria.ready(`${source}/health`)
      const now = Math.floor(Date.now() / 60_000) * 60_000
      const series = Array.from({ length: 20 }, (_, i) => ({
        labels: [
          ['__name__', 'imported'],
          ['i', String(i)],
          ['text', 'a "quoted" \\ ünïcode'],
        ] as [string, string][],
        samples: Array.from({ length: 200 }, (_, k) => [now - (199 - k) * 1_800_000, i * 1000 + k] as [number, number]),
      }))
      await postWrite(source, writeBody(series))
      await fetch(`${source}/internal/force_flush`)
      const state = join(work, 'state.json')
      const importing = (start: string): ReturnType<typeof runCommand> =>
        runCommand([
          'import',
          '--from',
          'victoriametrics',
          source,
          '--url',
          running.url,
          '--start',
          start,
          '--state',
          state,
          '--match',
          '{__name__="imported"}',
          '--json',
        ])
      const first = await importing('5d')
      assert.equal(first.code, 0, first.err)
      assert.equal((JSON.parse(first.out) as { samples: number }).samples, 4000)
      const sum = async (url: string): Promise<string> =>
        JSON.stringify(
          (
            (await (
              await fetch(
                urlOf(url, '/api/v1/query', { query: 'sort(sum_over_time(imported[10d]))', time: String(now / 1000) }),
              )
            ).json()) as { data: { result: { metric: unknown; value: [number, string] }[] } }
          ).data.result.map(r => [Object.entries(r.metric as object).sort(), r.value[1]]),
        )
      assert.equal(await sum(running.url), await sum(source))
      assert.equal((JSON.parse(readFileSync(state, 'utf8')) as { samples: number }).samples, 4000)
      const again = await importing('5d')
      assert.equal(again.code, 0, again.err)
      assert.equal((JSON.parse(again.out) as { samples: number }).samples, 4000, 'what was done is not done again')
      const check = await runCommand(['check', 'stack', '--metrics', source, '--retention', '10y', '--json'])
      const { findings } = JSON.parse(check.out) as { findings: { check: string; level: string; found: string }[] }
      assert.deepEqual([check.code, findings.filter(f => f.level === 'fails')], [0, []])
      assert.ok(findings.some(f => f.check === 'metrics: write, then query' && f.level === 'ok'))
    } finally {
      await victoria.stop()
      await running.stop()
    }
  },
)

test("check stack: every signal's round trip, Grafana's questions, and what is kept over a restart", async () => {
  let running = await runTercet(['metrics.retention=20d'])
  const { directory } = running
  const marker = join(work, 'marker.json')
  const kept = join(work, 'kept')
  try {
    const first = await runCommand(['check', 'stack', running.url, '--retention', '20d', '--marker', marker, '--json'])
    const { ok, findings } = JSON.parse(first.out) as {
      ok: boolean
      findings: { rows: string; check: string; level: string; found: string }[]
    }
    assert.deepEqual([first.code, ok, findings.filter(f => f.level !== 'ok')], [0, true, []])
    for (const check of [
      'metrics: health',
      'metrics: write, then query',
      'logs: push, then query',
      'traces: send, then by id',
      'traces: found by TraceQL',
      'Grafana: health of the metrics source',
      'Grafana: health of the logs source',
      'Grafana: health of the traces source',
      'metrics: retention',
      'bucket: what was taken is in it',
      'metrics: a wrong query is explained',
    ])
      assert.ok(
        findings.some(f => f.check === check && /^#\d/.test(f.rows)),
        check,
      )
    const wrong = await runCommand(['check', 'stack', running.url, '--retention', '7d'])
    assert.equal(wrong.code, 1)
    assert.match(wrong.out, /FAILS +metrics: retention +20d; 7d was expected/)
    cpSync(join(directory, 'data'), kept, { recursive: true })
    await running.stop()
    running = await runTercet([`data_dir=${kept}`, 'metrics.retention=20d'])
    const second = await runCommand(['check', 'stack', running.url, '--after', marker])
    assert.equal(second.code, 0, second.out)
    for (const name of ['metrics', 'logs', 'traces'])
      assert.match(second.out, new RegExp(`ok .*${name}: kept over the restart`), 'req-093')
  } finally {
    await running.stop()
  }
  const empty = await runTercet([])
  try {
    assert.equal(
      (await runCommand(['check', 'stack', '--metrics', empty.url, '--after', marker, '--timeout', '1s', '--json']))
        .code,
      1,
      'what is not there fails',
    )
  } finally {
    await empty.stop()
  }
  const nobody = await runCommand(['check', 'stack', `http://127.0.0.1:${await freePort()}`])
  assert.deepEqual([nobody.code, /FAILS .*ECONNREFUSED/.test(nobody.out)], [1, true], nobody.out)
  assert.ok(existsSync(marker))
})

test("healthcheck tells up from down; VictoriaMetrics' flags are understood", async () => {
  const running = await runTercet([])
  try {
    const port = new URL(running.url).port
    assert.equal((await runCommand(['healthcheck', `--listen.http=0.0.0.0:${port}`])).code, 0, 'req-112')
    assert.equal((await runCommand(['healthcheck', `--url=${running.url}/ready`])).code, 0)
    assert.equal((await runCommand(['healthcheck', `--url=${running.url}/nowhere`])).code, 1)
  } finally {
    await running.stop()
  }
  assert.equal((await runCommand(['healthcheck', `--url=http://127.0.0.1:${await freePort()}/health`])).code, 1)
  const silent = createServer(() => {
    /* never answers */
  })
  await listening(silent)
  assert.match(
    (
      await runCommand([
        'healthcheck',
        `--url=http://127.0.0.1:${(silent.address() as { port: number }).port}/health`,
        '--timeout=200ms',
      ])
    ).err,
    /no answer within 0\.2 s/,
  )
  silent.closeAllConnections()
  await new Promise(resolve => {
    silent.close(resolve)
  })
  const check = await runCommand([
    'check',
    `-storageDataPath=${work}/flags`,
    '-retentionPeriod=7d',
    '-httpListenAddr=127.0.0.1:0',
    '-loggerLevel=INFO',
  ])
  assert.equal(check.code, 0, `${check.err} (req-080 req-094)`)
  assert.match(
    (await runCommand(['up', '-dedup.minScrapeInterval=1s'])).err,
    /unknown flag -dedup\.minScrapeInterval/,
    'req-175',
  )
})

test('an insert process takes in and answers no queries; a query process the other way round', async () => {
  const insert = await runTercet(['role=insert'])
  try {
    assert.equal(
      (await postWrite(insert.url, writeBody([{ labels: [['__name__', 'a']], samples: [[Date.now(), 1]] }]))).status,
      204,
    )
    for (const path of ['/api/v1/query?query=a', '/loki/api/v1/labels', '/api/search?q=%7B%7D']) {
      const reply = await fetch(insert.url + path)
      assert.deepEqual([reply.status, /role=insert/.test(await reply.text())], [403, true], `${path} (req-005)`)
    }
    for (const path of ['/health', '/ready', '/metrics']) assert.equal((await fetch(insert.url + path)).status, 200)
  } finally {
    await insert.stop()
  }
  const query = await runTercet(['role=query'])
  try {
    assert.equal((await fetch(`${query.url}/api/v1/query?query=1`)).status, 200)
    assert.equal(
      (await postWrite(query.url, writeBody([{ labels: [['__name__', 'a']], samples: [[Date.now(), 1]] }]))).status,
      503,
      'req-005',
    )
  } finally {
    await query.stop()
  }
})

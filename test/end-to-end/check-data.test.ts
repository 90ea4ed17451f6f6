/** `tercet check data`: damage of each kind is found, and repaired where the rest of the data allows it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { lockDirectory } from '#core/directory-lock.ts'
import { silentLog } from '#core/log.ts'
import { loadConfig } from '../../src/app/config.ts'
import { systemWorld } from '../../src/app/world.ts'
import { encodeTable } from '#logs/table.ts'
import { checkData } from '../../src/ops/check-data.ts'
import type { DataFinding } from '../../src/ops/data-check.ts'
import { needs, programPath } from '../peers.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'

const json = { 'content-type': 'application/json' }
const traceId = '0123456789abcdef0123456789abcdef'
const nowMs = Date.now()

async function fill(url: string): Promise<void> {
  const span = { traceId, spanId: '0123456789abcdef', name: 'n' }
  const ns = `${nowMs - 60_000}000000`
  const spans = [{ ...span, startTimeUnixNano: ns, endTimeUnixNano: ns }]
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 's' } }] }
  const series = Array.from({ length: 30 }, (_, i) => `w{i="${i}"} ${i}\n`).join('')
  const pushes: [path: string, headers: Record<string, string>, body: string][] = [
    ['/api/v1/import/prometheus', { 'content-type': 'text/plain' }, series],
    [
      '/loki/api/v1/push',
      json,
      JSON.stringify({
        streams: ['a', 'b'].map(app => ({ stream: { app }, values: [[ns, `a needle of ${app}`]] })),
      }),
    ],
    ['/v1/traces', json, JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] })],
  ]
  for (const [path, headers, body] of pushes)
    assert.ok((await fetch(url + path, { method: 'POST', headers, body })).ok, path)
  assert.equal((await fetch(`${url}/-/flush`, { method: 'POST' })).status, 204)
}

/** A data directory with a block of each signal, made once and copied for each case. */
let original = ''
before(async () => {
  original = temporaryDirectory()
  const running = await runTercet([], original)
  await fill(running.url)
  await running.tercet.close()
})
after(() => {
  rmSync(original, { recursive: true })
})

interface Checked {
  code: number
  findings: DataFinding[]
}

async function check(directory: string, isRepair: boolean): Promise<Checked> {
  const config = loadConfig({ environment: {}, flags: [`data_dir=${directory}/data`] })
  const findings: DataFinding[] = []
  const errors: string[] = []
  const code = await checkData(
    config,
    systemWorld(silentLog),
    { isRepair, isJson: true },
    {
      out: line => findings.push(JSON.parse(line) as DataFinding),
      err: line => errors.push(line),
    },
  )
  assert.deepEqual(errors, [])
  return { code, findings: findings.filter(f => f.kind !== 'note') }
}

function fileOf(directory: string, pattern: RegExp): string {
  const bucket = join(directory, 'data/bucket')
  const found = readdirSync(bucket, { recursive: true })
    .map(String)
    .filter(name => pattern.test(name) && !name.includes('quarantine') && statSync(join(bucket, name)).isFile())
  assert.ok(found.length > 0, String(pattern))
  return join(bucket, found.sort()[0]!)
}

const ulid = /[0-9A-Z]{26}/.source
const chunkOfLogs = /^logs\/fake\/[0-9a-f]+\/[^./]+$/
const flip =
  (at: number) =>
  (path: string): void => {
    const bytes = readFileSync(path)
    const i = at < 0 ? bytes.length + at : at
    bytes[i]! ^= 0x91
    writeFileSync(path, bytes)
  }
const remove = (path: string): void => {
  rmSync(path)
}
const truncate = (path: string): void => {
  writeFileSync(path, readFileSync(path).subarray(0, 30))
}

interface Case {
  name: string
  file: RegExp
  act: (path: string) => void
  /** Of the first finding: kind, and what the repair did. */
  finds: [kind: string, done: RegExp]
  /** Answers after the repair: series, lines, and whether the trace is found. */
  answered: [series: number, lines: number, hasTrace: boolean]
}

const cases: Case[] = [
  {
    name: 'index of metrics missing',
    file: new RegExp(`/${ulid}/index$`),
    act: remove,
    finds: ['damaged', /^quarantined$/],
    answered: [0, 2, true],
  },
  {
    name: 'index of metrics flipped',
    file: new RegExp(`/${ulid}/index$`),
    act: flip(-20),
    finds: ['damaged', /^quarantined$/],
    answered: [0, 2, true],
  },
  {
    name: 'a chunk of metrics flipped',
    file: new RegExp(`/${ulid}/chunks/`),
    act: flip(30),
    finds: ['damaged', /what can be read is block/],
    answered: [29, 2, true],
  },
  {
    name: 'chunks of metrics missing',
    file: new RegExp(`/${ulid}/chunks/`),
    act: remove,
    finds: ['damaged', /^quarantined$/],
    answered: [0, 2, true],
  },
  {
    name: 'meta.json of metrics missing',
    file: new RegExp(`/${ulid}/meta.json$`),
    act: remove,
    finds: ['damaged', /^rebuilt$/],
    answered: [30, 2, true],
  },
  {
    name: 'meta.json of metrics flipped',
    file: new RegExp(`/${ulid}/meta.json$`),
    act: flip(60),
    finds: ['damaged', /^rebuilt$/],
    answered: [30, 2, true],
  },
  {
    name: 'index of logs missing',
    file: /^logs\/index\//,
    act: remove,
    finds: ['missing', /^listed$/],
    answered: [30, 2, true],
  },
  {
    name: 'index of logs cut short',
    file: /^logs\/index\//,
    act: truncate,
    finds: ['damaged', /made again/],
    answered: [30, 2, true],
  },
  {
    name: 'a chunk of logs missing',
    file: chunkOfLogs,
    act: remove,
    finds: ['missing', /^taken out/],
    answered: [30, 1, true],
  },
  {
    name: 'a chunk of logs cut short',
    file: chunkOfLogs,
    act: truncate,
    finds: ['damaged', /^quarantined$/],
    answered: [30, 1, true],
  },
  {
    name: 'a table of token filters flipped',
    file: /logs\/fake\/tercet\/tables\//,
    act: flip(100),
    finds: ['damaged', /^removed; made again/],
    answered: [30, 2, true],
  },
  {
    name: 'a bloom filter missing',
    file: /bloom-0$/,
    act: remove,
    finds: ['damaged', /^rebuilt$/],
    answered: [30, 2, true],
  },
  {
    name: 'a bloom filter flipped',
    file: /bloom-0$/,
    act: flip(3000),
    finds: ['damaged', /^rebuilt$/],
    answered: [30, 2, true],
  },
  {
    name: 'index of traces missing',
    file: /^traces\/.*\/index$/,
    act: remove,
    finds: ['missing', /^rebuilt$/],
    answered: [30, 2, true],
  },
  {
    name: 'meta.json of traces missing',
    file: /^traces\/single-tenant\/[^/]+-[^/]+\/meta.json$/,
    act: remove,
    finds: ['damaged', /^rebuilt$/],
    answered: [30, 2, true],
  },
  {
    name: 'data of traces flipped',
    file: /data.parquet$/,
    act: flip(60),
    finds: ['damaged', /^quarantined$/],
    answered: [30, 2, false],
  },
  {
    name: 'data of traces missing',
    file: /data.parquet$/,
    act: remove,
    finds: ['damaged', /^quarantined$/],
    answered: [30, 2, false],
  },
]

async function answers(url: string): Promise<[number, number, boolean]> {
  const get = async (path: string): Promise<Response> => {
    const reply = await fetch(url + encodeURI(path))
    assert.equal(reply.headers.get('x-tercet-warning'), null, path)
    return reply
  }
  const counted = (await (await get('/api/v1/query?query=count(w)')).json()) as {
    data: { result: { value: [number, string] }[] }
  }
  const second = Math.floor(nowMs / 1000)
  const query = `/loki/api/v1/query_range?query={app=~"a|b"} |= "needle of"&start=${second - 3600}&end=${second + 60}`
  const lines = (await (await get(query)).json()) as { data: { result: { values: unknown[] }[] } }
  return [
    Number(counted.data.result[0]?.value[1] ?? 0),
    lines.data.result.reduce((sum, stream) => sum + stream.values.length, 0),
    (await get(`/api/traces/${traceId}`)).status === 200,
  ]
}

test('data that is whole', async () => {
  assert.deepEqual(await check(original, false), { code: 0, findings: [] })
  const { code, out, err } = await runCommand(['check', 'data', `--data_dir=${original}/data`])
  assert.deepEqual([code, out, err], [0, 'The data is whole.\n', ''])
})

for (const { name, file, act, finds, answered } of cases)
  test(`${name}: found, repaired or moved aside, and then all is whole`, async () => {
    const directory = temporaryDirectory()
    try {
      cpSync(original, directory, { recursive: true })
      act(fileOf(directory, file))
      const first = await check(directory, false)
      assert.equal(first.code, 1)
      assert.ok(first.findings.every(finding => finding.done === undefined))
      const repaired = await check(directory, true)
      assert.equal(repaired.code, 1)
      const [kind, done] = finds
      assert.equal(repaired.findings[0]?.kind, kind, JSON.stringify(repaired.findings))
      assert.match(repaired.findings[0].done ?? '', done)
      const again = await check(directory, false)
      // A filter whose chunk has just gone is left for a day.
      const left = again.findings.filter(finding => finding.kind !== 'orphan')
      assert.deepEqual(left, [])
      const running = await runTercet([], directory)
      try {
        assert.deepEqual(await answers(running.url), answered)
      } finally {
        await running.tercet.close()
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

test('orphans that are a day old go', async () => {
  const directory = temporaryDirectory()
  try {
    cpSync(original, directory, { recursive: true })
    const day = nowMs / 1000 - 25 * 3600
    const table = (await encodeTable([], [], () => Promise.resolve())).bytes
    const orphans = [
      'metrics/anonymous/01HF84E41804ZQ1FPYQKNN1N0F/chunks/000001',
      'traces/single-tenant/8766e908-78e3-4e89-b8b5-0f92077976dd/bloom-0',
      'logs/fake/a1/MTo6.tercet-tokens',
      'logs/fake/tercet/tables/19000/1-compactor-1-2-3',
    ].map(name => join(directory, 'data/bucket', name))
    for (const path of orphans) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, path.includes('/tables/') ? table : 'x')
      utimesSync(path, day, day)
    }
    const { code, findings } = await check(directory, true)
    assert.equal(code, 1)
    assert.deepEqual(
      findings.map(f => [f.kind, f.done]),
      orphans.map(() => ['orphan', 'removed']),
    )
    for (const path of orphans) assert.equal(existsSync(path), false, path)
    assert.equal((await check(directory, false)).code, 0)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('blocks whose upload was cut off go aside after a day', async () => {
  const directory = temporaryDirectory()
  try {
    cpSync(original, directory, { recursive: true })
    const metas = [new RegExp(`/${ulid}/meta.json$`), /^traces\/.*\/meta.json$/].map(of => fileOf(directory, of))
    for (const meta of metas) {
      rmSync(meta)
      writeFileSync(join(dirname(meta), 'tercet-upload-mark'), '')
    }
    const young = await check(directory, true)
    assert.deepEqual(
      young.findings.map(f => [f.kind, f.done]),
      metas.map(() => ['orphan', undefined]),
    )
    const day = nowMs / 1000 - 25 * 3600
    for (const meta of metas)
      for (const name of readdirSync(dirname(meta), { recursive: true }))
        utimesSync(join(dirname(meta), String(name)), day, day)
    const old = await check(directory, true)
    assert.deepEqual(
      old.findings.map(f => [f.kind, f.done]),
      metas.map(() => ['orphan', 'quarantined']),
    )
    assert.equal((await check(directory, false)).code, 0)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a segment of the log with a flipped bit', async () => {
  const directory = temporaryDirectory()
  try {
    const running = await runTercet(['durability=bucket'], directory)
    await fetch(`${running.url}/api/v1/import/prometheus`, { method: 'POST', body: 'm 1\n' })
    await running.tercet.close()
    // The first one is empty: it keeps earlier writers out.
    const segment = fileOf(directory, /^metrics\/anonymous\/tercet\/wal\/0000000001\.wal$/)
    flip(-5)(segment)
    const { code, findings } = await check(directory, false)
    assert.equal(code, 1)
    assert.deepEqual(
      findings.map(f => [f.signal, f.kind]),
      [['metrics', 'damaged']],
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a real Prometheus reads the bucket after the repair', needs('promtool'), async () => {
  const directory = temporaryDirectory()
  const promtool = programPath('promtool')!
  try {
    cpSync(original, directory, { recursive: true })
    flip(30)(fileOf(directory, new RegExp(`/${ulid}/chunks/`)))
    const tenant = join(directory, 'data/bucket/metrics/anonymous')
    mkdirSync(join(tenant, 'wal'))
    const dump = (): string => execFileSync(promtool, ['tsdb', 'dump', tenant], { encoding: 'utf8', stdio: 'pipe' })
    await check(directory, true)
    assert.equal(
      dump()
        .split('\n')
        .filter(line => line.startsWith('{')).length,
      29,
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a process that writes is not disturbed: exit code 2', async () => {
  const directory = temporaryDirectory()
  try {
    const lock = await lockDirectory(join(directory, 'data'), 'process 17')
    const config = loadConfig({ environment: {}, flags: [`data_dir=${directory}/data`] })
    const errors: string[] = []
    const output = { out: () => {}, err: (line: string) => errors.push(line) }
    const world = systemWorld(silentLog)
    assert.equal(await checkData(config, world, { isRepair: true, isJson: false }, output), 2)
    lock.release()
    assert.match(errors.join(), /is to be stopped before its data is repaired: .* in use by process 17/)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

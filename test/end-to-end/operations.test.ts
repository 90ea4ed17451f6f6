/**
 * The process as it is operated: what it prints, what it needs, what survives. Covers req-009, req-010, req-041,
 * req-062, req-074, req-079, req-088, req-092, req-095, req-123, req-170.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import { makeLog } from '../../src/app/logger.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { urlOf } from '../url.ts'
import { postWrite, writeBody } from '../write-request.ts'

const base = Math.floor(Date.now() / 1000) * 1000 - 600_000

async function write(url: string, name: string, count: number): Promise<void> {
  const reply = await postWrite(
    url,
    writeBody([
      {
        labels: [['__name__', name]],
        samples: Array.from({ length: count }, (_, i): [number, number] => [base + i * 1000, i]),
      },
    ]),
  )
  assert.equal(reply.status, 204, await reply.text())
}

async function count(url: string, name: string): Promise<number> {
  const reply = await fetch(
    urlOf(url, '/api/v1/query', {
      query: `count_over_time(${name}[1h])`,
      time: String((base + 600_000) / 1000),
    }),
  )
  return Number(
    ((await reply.json()) as { data: { result: { value: [number, string] }[] } }).data.result[0]?.value[1] ?? 0,
  )
}

test('a copy of the bucket, made while the process runs, serves what was in it (req-010)', async () => {
  const running = await runTercet()
  await write(running.url, 'copied', 100)
  assert.equal((await fetch(`${running.url}/-/flush`, { method: 'POST' })).status, 204)
  await write(running.url, 'later', 10)
  const copy = temporaryDirectory()
  cpSync(`${running.directory}/data/bucket`, `${copy}/bucket`, { recursive: true })
  const second = await runTercet([`bucket.dir=${copy}/bucket`, 'role=query'])
  assert.equal(await count(second.url, 'copied'), 100)
  assert.equal(
    (await postWrite(second.url, writeBody([{ labels: [['__name__', 'x']], samples: [[base, 1]] }]))).status,
    503,
  )
  assert.equal(await count(running.url, 'later'), 10)
  await second.stop()
  await running.stop()
  rmSync(copy, { recursive: true })
})

test(
  'durability: bucket needs no disk that lasts: without it all is back (req-009, req-088, req-123, ' + 'req-170)',
  async () => {
    const bucket = temporaryDirectory()
    const flags = ['durability=bucket', `bucket.dir=${bucket}`]
    let running = await runTercet(flags)
    await write(running.url, 'lasting', 50)
    // No farewell: the process is simply not there any more, and neither is its disk.
    rmSync(`${running.directory}/data`, { recursive: true, force: true })
    const next = await runTercet(flags)
    assert.equal(await count(next.url, 'lasting'), 50)
    await running.stop()
    await next.stop()
    rmSync(bucket, { recursive: true })
  },
)

test('plain http to S3 is refused unless it is allowed (req-062)', async () => {
  await assert.rejects(runTercet(['bucket.s3.endpoint=http://127.0.0.1:1', 'bucket.s3.bucket=b']), {
    message: new RegExp(
      RegExp.escape(
        'bucket.s3.endpoint http://127.0.0.1:1 has no TLS; ' +
          'use https://, or allow it with bucket.s3.allow_insecure: true',
      ),
    ),
  })
})

interface Process {
  child: ChildProcess
  url: string
  errors: string[]
}

async function startProcess(directory: string, flags: readonly string[] = []): Promise<Process> {
  const child = spawn(
    process.execPath,
    [
      'src/app/main.ts',
      'up',
      `--data_dir=${directory}`,
      '--listen.http=127.0.0.1:0',
      '--listen.otlp_http=off',
      '--listen.otlp_grpc=off',
      '--disk_free_min=0',
      ...flags,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const errors: string[] = []
  child.stderr!.on('data', (chunk: Buffer) => {
    errors.push(chunk.toString())
  })
  const url = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout!.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const found = /http +(http:\/\/[^\s]+)/.exec(text)
      if (found !== null) resolve(found[1]!)
    })
    child.once('exit', code => {
      reject(new Error(`ended with ${code}: ${errors.join('')}`))
    })
  })
  return { child, url, errors }
}

async function stopProcess({ child }: Process): Promise<number | null> {
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  return ended
}

test('a second process on the data directory is refused in one line with the first one’s pid (req-012)', async () => {
  const directory = temporaryDirectory()
  const first = await startProcess(directory)
  await write(first.url, 'before', 5)
  await assert.rejects(
    startProcess(directory),
    new RegExp(
      `^Error: ended with 1: tercet: the directory ${directory} is in use by process ${first.child.pid}; stop it`,
    ),
  )
  assert.equal(Number(readFileSync(`${directory}/tercet.pid`, 'utf8')), first.child.pid, "the first one's file stays")
  assert.equal((await fetch(`${first.url}/-/ready`)).status, 200)
  await write(first.url, 'after', 5)
  assert.equal(await count(first.url, 'after'), 5)
  // A lock goes with its process, however that ends.
  const ended = new Promise(resolve => first.child.once('exit', resolve))
  first.child.kill('SIGKILL')
  await ended
  const second = await startProcess(directory)
  assert.equal(await count(second.url, 'before'), 5)
  assert.equal(await stopProcess(second), 0)
})

test(
  'a process: ready, four endpoints on one port, pid, JSON log, clean end (req-041, req-079, req-092, ' + 'req-095)',
  async () => {
    const directory = temporaryDirectory()
    const running = await startProcess(directory, ['--log.format=json', '--log.level=debug'])
    assert.equal(Number(readFileSync(`${directory}/tercet.pid`, 'utf8')), running.child.pid)
    assert.equal((await fetch(`${running.url}/-/ready`)).status, 200)
    assert.equal(await (await fetch(`${running.url}/health`)).text(), 'OK')
    await write(running.url, 'whole', 20)
    assert.equal(await count(running.url, 'whole'), 20)
    const exposition = await (await fetch(`${running.url}/metrics`)).text()
    for (const line of exposition.trim().split('\n'))
      assert.match(
        line,
        /^(# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* |[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eEInfNa]+$)/,
        line,
      )
    assert.match(exposition, /^tercet_samples_appended_total\{signal="metrics"\} \d+$/m)
    assert.equal((await fetch(`${running.url}/api/v1/query?query=%29`)).status, 400)
    assert.equal(await stopProcess(running), 0)
    const lines = running.errors.join('').trim().split('\n').filter(Boolean)
    assert.ok(lines.length > 0)
    for (const line of lines) assert.equal(typeof JSON.parse(line), 'object', line)
    const again = await startProcess(directory)
    assert.equal(await count(again.url, 'whole'), 20)
    assert.equal(await stopProcess(again), 0)
    rmSync(directory, { recursive: true })
  },
)

test('the default port is 8428 (req-074)', async () => {
  const { optionOf } = await import('../../src/app/options.ts')
  assert.equal(optionOf('listen.http').fallback, '127.0.0.1:8428')
})

test("Prometheus' API tells of the process: features, notifications, own metrics, blocks (req-025)", async t => {
  const running = await runTercet(['files_check_interval=30s'])
  t.after(() => running.stop())
  const ask = async (path: string): Promise<{ status: string; data: unknown }> =>
    (await fetch(running.url + path)).json() as Promise<{ status: string; data: unknown }>
  const { data: features } = (await ask('/api/v1/features')) as { data: Record<string, Record<string, boolean>> }
  assert.equal(features['prometheus']?.['auto_reload_config'], true)
  for (const name of ['rate', 'histogram_quantile', 'info']) assert.equal(features['promql_functions']?.[name], true)
  for (const name of ['+', 'unless', 'topk', '=~']) assert.equal(features['promql_operators']?.[name], true)
  assert.equal(features['service_discovery_providers']?.['kubernetes'], true)
  assert.deepEqual(await ask('/api/v1/notifications'), { status: 'success', data: [] })
  const pattern = 'tercet_head_series|tercet_http_request_duration_seconds'
  const own = (await ask(`/api/v1/status/self_metrics?metric_name_pattern=${encodeURIComponent(pattern)}`)) as {
    data: { name: string; type: string; metric: { gauge?: { value: number }; histogram?: { bucket: object[] } }[] }[]
  }
  const [series, requests] = own.data
  assert.deepEqual([series?.name, series?.type, series?.metric[0]?.gauge?.value], ['tercet_head_series', 'GAUGE', 0])
  assert.equal(requests?.type, 'HISTOGRAM')
  assert.ok((requests?.metric[0]?.histogram?.bucket.length ?? 0) > 3)
  const wrong = await fetch(`${running.url}/api/v1/status/self_metrics?metric_name_pattern=(`)
  assert.equal(wrong.status, 400)
  assert.deepEqual((await ask('/api/v1/status/tsdb/blocks')).data, { blocks: [] })
  await write(running.url, 'blocked', 10)
  assert.equal((await fetch(`${running.url}/-/flush`, { method: 'POST' })).status, 204)
  const { blocks } = (await ask('/api/v1/status/tsdb/blocks')).data as { blocks: { ulid: string; stats: object }[] }
  const samples = blocks.map(({ stats }) => (stats as { numSamples: number }).numSamples)
  assert.equal(
    samples.reduce((sum, count) => sum + count, 0),
    10,
  )
  assert.match(blocks[0]?.ulid ?? '', /^[0-9A-Z]{26}$/)
})

test('pages of text tell of the process, at the paths of Loki and Tempo', async t => {
  const running = await runTercet(['limits.tails=7', 'metrics.bucket.s3.secret_access_key=hush'])
  t.after(() => running.stop())
  const ask = async (path: string): Promise<string> => {
    const reply = await fetch(running.url + path)
    return `${reply.status} ${await reply.text()}`
  }
  const config = await ask('/config')
  assert.match(config, /^200 [^]*^limits\.tails: "7"$/m)
  assert.doesNotMatch(config, /hush/)
  assert.match(await ask('/config?mode=diff'), /^limits\.tails: "7"$/m)
  assert.doesNotMatch(await ask('/config?mode=diff'), /^limits\.alerts:/m)
  assert.match(await ask('/config?mode=defaults'), /^limits\.tails: "10"$/m)
  assert.match(await ask('/config?mode=odd'), /^400 .*diff and defaults are known/)
  const services = await ask('/services')
  for (const name of ['signals', 'alerting', 'scraping'])
    assert.match(services, new RegExp(`^(200 )?${name} => Running$`, 'm'))
  assert.match(await ask('/status/version'), /^200 GET \/status\/version\ntercet, version \d/)
  assert.match(await ask('/status/services'), /^200 GET \/status\/services\n[^]*alerting => Running/)
  const all = await ask('/status')
  for (const name of ['version', 'services', 'config']) assert.match(all, new RegExp(`GET /status/${name}\n`))
  assert.match(await ask('/status/odd'), /^404 .*version, services, config are known/)
})

test('the level of the log can be asked for and changed', async t => {
  const log = makeLog('json', 'warn', undefined, () => {})
  const running = await runTercet([], undefined, { log })
  t.after(() => running.stop())
  const url = `${running.url}/log_level`
  const post = async (level: string): Promise<[number, unknown]> => {
    const reply = await fetch(url, { method: 'POST', body: new URLSearchParams({ log_level: level }) })
    return [reply.status, await reply.json()]
  }
  assert.deepEqual(await (await fetch(url)).json(), { message: 'Current log level is warn' })
  assert.deepEqual(await post('debug'), [200, { message: 'Log level set to debug' }])
  assert.equal(log.level, 'debug')
  assert.deepEqual(await post('loud'), [
    400,
    { error: 'unrecognized log level "loud"; debug, info, warn, error are known' },
  ])
  assert.equal(log.level, 'debug')
  // Another site's page can't do it.
  const foreign = await fetch(url, { method: 'POST', headers: { origin: 'http://evil.example' } })
  assert.equal(foreign.status, 403)
})

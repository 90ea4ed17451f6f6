/** A program that is older than the data refuses it in one sentence, and changes nothing; a newer one takes it over. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { NewerFormatError } from '#core/own-formats.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'

const nowMs = Date.now()
const traceId = '0af7651916cd43dd8448eb211c80319c'
const json = { 'content-type': 'application/json' }

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

async function post(url: string, body: string, headers: Record<string, string>): Promise<void> {
  const reply = await fetch(url, { method: 'POST', headers, body })
  assert.ok(reply.ok, `${url}: ${reply.status} ${await reply.text()}`)
}

async function write(url: string): Promise<void> {
  const time = `${nowMs}000000`
  const span = { traceId, spanId: '00f067aa0ba902b7', name: 'n', startTimeUnixNano: time, endTimeUnixNano: time }
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'web' } }] }
  await post(`${url}/api/v1/import/prometheus`, `kept 42 ${nowMs}\n`, {})
  const values = [[time, 'a line']]
  await post(`${url}/loki/api/v1/push`, JSON.stringify({ streams: [{ stream: { app: 'web' }, values }] }), json)
  await post(
    `${url}/v1/traces`,
    JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] }),
    json,
  )
}

async function isThere(url: string): Promise<void> {
  const ask = async (path: string): Promise<string> => (await fetch(url + path)).text()
  const time = (nowMs + 1000) / 1000
  assert.match(await ask(`/api/v1/query?query=kept&time=${time}`), /"42"/)
  const query = encodeURIComponent('{app="web"}')
  assert.match(await ask(`/loki/api/v1/query_range?query=${query}&start=${time - 600}&end=${time}`), /a line/)
  assert.match(await ask(`/api/traces/${traceId}`), /"n"/)
}

/** Every file with its content. The lock is the process', not the data's. */
function contents(): Map<string, string> {
  const files = globSync('data/**', { cwd: directory, exclude: path => /(^|\/)lock(\.owner)?$/.test(path) })
  const plain = files.filter(path => statSync(`${directory}/${path}`).isFile())
  const sum = (path: string): string =>
    createHash('sha256')
      .update(readFileSync(`${directory}/${path}`))
      .digest('hex')
  return new Map(plain.sort().map(path => [path, sum(path)]))
}

interface RecordJson {
  program: string
  formats: Record<string, { version: number; neededBy: string }>
}
const records = {
  directory: 'data/formats.json',
  metrics: 'data/bucket/metrics/anonymous/tercet/formats.json',
  logs: 'data/bucket/logs/fake/tercet/formats.json',
  traces: 'data/bucket/traces/single-tenant/tercet/formats.json',
}
const textOf = (path: string): string => readFileSync(`${directory}/${path}`, 'utf8')

/** Writes the record with another version of the log's segments; the record's text as it was. */
function setSegments(path: string, version: number): string {
  const before = textOf(path)
  const record = JSON.parse(before) as RecordJson
  record.program = '9.9.9'
  record.formats['log-segment']!.version = version
  writeFileSync(`${directory}/${path}`, JSON.stringify(record))
  return before
}

test('data of a newer program is refused and left as it is; data of an older one is taken over', async () => {
  const first = await runTercet([], directory)
  await write(first.url)
  await first.tercet.close()
  const version = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version
  for (const path of Object.values(records)) assert.match(textOf(path), new RegExp(`"program": "${version}"`))
  for (const path of Object.values(records)) {
    const before = setSegments(path, 4)
    const left = contents()
    await assert.rejects(runTercet([], directory), (error: unknown) => {
      assert.ok(error instanceof NewerFormatError, String(error))
      const place = path.replaceAll('.', '\\.')
      const read =
        'wrote segments of the write-ahead log of version 4, and this is Tercet .*, which reads versions 2 to 3'
      assert.match(
        error.message,
        new RegExp(`${place}: Tercet 9\\.9\\.9 ${read}\\. Nothing was changed\\. Start Tercet 9`),
      )
      assert.ok(!error.message.includes('\n'))
      return true
    })
    assert.deepEqual(contents(), left, path)
    writeFileSync(`${directory}/${path}`, before)
  }
  for (const path of Object.values(records)) setSegments(path, 2)
  const second = await runTercet([], directory)
  await isThere(second.url)
  for (const path of Object.values(records)) {
    const { program, formats } = JSON.parse(textOf(path)) as RecordJson
    assert.deepEqual([program, formats['log-segment']?.version], [version, 3], path)
  }
  await second.tercet.close()
  // What a version before the records left.
  for (const path of Object.values(records)) rmSync(`${directory}/${path}`)
  const third = await runTercet([], directory)
  await isThere(third.url)
  await third.tercet.close()
})

test('an agent refuses the directory of a newer one, and goes on with an older one', async () => {
  const own = temporaryDirectory()
  const path = `${own}/data/formats.json`
  const flags = ['role=agent', 'agent.loki=http://127.0.0.1:9/loki']
  const start = (): ReturnType<typeof runTercet> => runTercet(flags, own)
  try {
    const first = await start()
    const values = [[`${nowMs}000000`, 'a line']]
    await post(`${first.url}/loki/api/v1/push`, JSON.stringify({ streams: [{ stream: { app: 'web' }, values }] }), json)
    await first.tercet.close()
    const before = readFileSync(path, 'utf8')
    const record = JSON.parse(before) as RecordJson
    assert.equal(record.formats['log-segment'], undefined)
    record.formats['agent-queue']!.version = 2
    writeFileSync(path, JSON.stringify(record))
    await assert.rejects(start(), /wrote queues of an agent's messages of version 2, .* reads versions 0 to 1\./)
    writeFileSync(path, before)
    const [queue = ''] = globSync(`${own}/data/agent/*/*.queue`)
    const bytes = readFileSync(queue)
    writeFileSync(queue, Buffer.concat([Buffer.from('TQ02'), bytes.subarray(4)]))
    await assert.rejects(start(), /\.queue was written by a newer Tercet: queues of an agent's messages of version 2/)
    writeFileSync(queue, bytes)
    const again = await start()
    assert.equal(again.tercet.remotes[0]!.queue.bytes, bytes.length)
    await again.tercet.close()
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
})

test('the command line says it in one line, with the code of a wrong configuration', async () => {
  setSegments(records.directory, 4)
  const flags = [`--data_dir=${directory}/data`, '--listen.http=127.0.0.1:0', '--listen.otlp_http=off']
  const { code, err } = await runCommand(['up', ...flags, '--listen.otlp_grpc=off'])
  assert.equal(code, 2, err)
  assert.match(err, /^tercet: .*formats\.json: Tercet 9\.9\.9 wrote .* Nothing was changed\. .*\n$/)
})

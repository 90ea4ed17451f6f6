/** Recording rules over the past: what is asked of the process, and what is pushed into it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import { decodeSnappy } from '#codec/snappy.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { WriteBatch } from '#model/write-batch.ts'
import { keyPairs } from '#wire/remote-write/encode.ts'
import { decodeWriteRequest } from '#wire/remote-write/v1.ts'
import { replayRules } from './rules-replay.ts'

/** Answers every query with one series, whose value is always 7; keeps what it was asked and sent. */
async function withProcess(
  writeStatus: number,
  run: (url: string, asked: string[], written: string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = []
  const written: string[] = []
  const server = createServer((request, reply) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts)
      if (request.url === '/api/v1/write') {
        written.push(...samplesOf(body))
        reply.writeHead(writeStatus).end(writeStatus === 204 ? '' : 'out of order\n')
        return
      }
      const form = new URLSearchParams(body.toString())
      const [start, end, step] = ['start', 'end', 'step'].map(name => Number(form.get(name)))
      asked.push(`${form.get('query')} ${start} ${end} ${step}`)
      const values = [[end, '7']]
      const result = [{ metric: { job: 'a', kept: 'no' }, values }]
      reply.end(JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } }))
    })
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, written)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** `{labels} value @seconds`. */
function samplesOf(body: Uint8Array): string[] {
  const batch = new WriteBatch()
  decodeWriteRequest(decodeSnappy(body, 1 << 20), batch)
  return Array.from({ length: batch.sampleCount }, (_, i) => {
    const series = batch.sampleSeries[i] ?? 0
    const pairs = keyPairs(batch.bytes, batch.keyFrom[series] ?? 0, batch.keyTo[series] ?? 0)
    const labels = pairs.map(([name, value]) => `${name}=${value}`).join(',')
    return `{${labels}} ${batch.values[i]} @${(batch.timesMs[i] ?? 0) / 1000}`
  })
}

const rules = `groups:
  - name: g
    interval: 1m
    labels: { kept: group, tier: group }
    rules:
      - { record: 'a:b', expr: sum(x), labels: { tier: rule } }
      - { alert: A, expr: x > 1 }
  - { name: other, rules: [{ record: c, expr: d }] }
`

async function replay(url: string, startMs: number, endMs: number, path = '/rules.yml'): Promise<string[]> {
  const files = new MemoryFiles()
  await files.writeAtomic('/rules.yml', Buffer.from(rules))
  const lines: string[] = []
  const onLine = (line: string): void => {
    lines.push(line)
  }
  await replayRules({ server: { url }, files: [path], startMs, endMs, intervalMs: 300_000, onLine }, files)
  return lines
}

test('each rule is asked for at the steps of its group, and pushed under its name and labels', async () => {
  await withProcess(204, async (url, asked, written) => {
    assert.deepEqual(await replay(url, 30_000, 660_000), [
      'g: a:b: 1 samples',
      'g: A is left out: only recording rules over metrics can be replayed',
      'other: c: 1 samples',
    ])
    assert.deepEqual(asked, ['sum(x) 60 660 60', 'd 300 660 300'])
    assert.deepEqual(written, ['{__name__=a:b,job=a,kept=group,tier=rule} 7 @660', '{__name__=c,job=a,kept=no} 7 @660'])
  })
})

test('a long range is asked for in pieces of 1000 steps', async () => {
  await withProcess(204, async (url, asked) => {
    await replay(url, 60_000, 60_000 * 1500)
    assert.deepEqual(asked.slice(0, 2), ['sum(x) 60 60000 60', 'sum(x) 60060 90000 60'])
  })
})

test('what the process refuses ends the replay with its reason', async () => {
  await withProcess(400, async url => {
    await assert.rejects(replay(url, 0, 60_000), {
      message: /^a:b: the process refused what was recorded: out of order; samples older than/,
    })
  })
})

test('an end that is not after the start, and a file that is not there', async () => {
  await assert.rejects(replay('http://127.0.0.1:9', 60_000, 60_000), { message: '--end must be after --start' })
  await assert.rejects(replay('http://127.0.0.1:9', 0, 60_000, '/gone.yml'), { message: '/gone.yml: no such file' })
})

/** What another Prometheus takes from us: federation, and remote read in samples and in streamed chunks. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { decodeSnappy, encodeSnappy } from '#codec/snappy.ts'
import { WriteBatch } from '#model/write-batch.ts'
import { decodeWriteRequest } from '#wire/remote-write/v1.ts'
import { needs, Peer } from '../peers.ts'
import { protobuf, type Schema } from '../protobuf.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { showWriteBatch } from '../show-batch.ts'
import { until } from '../until.ts'
import { urlOf } from '../url.ts'
import { postWrite, writeBody, type TestSeries } from '../write-request.ts'
import { freePort } from '../free-port.ts'

/** The newest sample is ten seconds old. */
const endMs = Math.floor(Date.now() / 1000) * 1000 - 10_000
const stepMs = 5_000
const count = 300
const times = Array.from({ length: count }, (_, i) => endMs - (count - 1 - i) * stepMs)
const series: TestSeries[] = [
  {
    labels: [
      ['__name__', 'level'],
      ['instance', 'i'],
      ['job', 'a'],
    ],
    samples: times.map((t, i) => [t, i / 4]),
  },
  {
    labels: [
      ['__name__', 'level'],
      ['job', 'b'],
      ['text', 'a\\"b\n'],
    ],
    samples: times.map((t, i) => [t, -i]),
  },
  {
    labels: [
      ['__name__', 'other'],
      ['job', 'a'],
    ],
    samples: [[endMs, 1]],
  },
]

let run: Running
before(async () => {
  run = await runTercet()
  assert.equal((await postWrite(run.url, writeBody(series))).status, 204)
})
after(() => run.stop())

test('federation: the latest sample of what is chosen, by names, with an instance', async () => {
  const parameters = new URLSearchParams([
    ['match[]', '{job="a"}'],
    ['match[]', 'level{job="b"}'],
  ])
  const reply = await fetch(`${run.url}/federate?${parameters.toString()}`)
  assert.equal(reply.status, 200)
  assert.match(reply.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const lines = (await reply.text()).trimEnd().split('\n')
  assert.deepEqual(
    lines.filter(l => l.startsWith('#')),
    ['# TYPE level untyped', '# TYPE other untyped'],
  )
  assert.deepEqual(lines.filter(l => !l.startsWith('#')).sort(), [
    `level{instance="i",job="a"} ${(count - 1) / 4} ${endMs}`,
    `level{job="b",text="a\\\\\\"b\\n",instance=""} ${-(count - 1)} ${endMs}`,
    `other{job="a",instance=""} 1 ${endMs}`,
  ])
  assert.equal(await (await fetch(`${run.url}/federate`)).text(), '', 'nothing is chosen, as with Prometheus')
  assert.equal((await fetch(urlOf(run.url, '/federate', { 'match[]': '{' }))).status, 400)
})

const matcher: Schema = { type: [1, 'varint'], name: [2, 'text'], value: [3, 'text'] }
const query: Schema = { startMs: [1, 'varint'], endMs: [2, 'varint'], matchers: [3, () => matcher] }
const readRequest: Schema = { queries: [1, () => query], accepted: [2, 'varint', 'packed'] }

function read(matchers: readonly { type: number; name: string; value: string }[], accepted: number[]) {
  const queries = [{ startMs: endMs - 2 * stepMs, endMs, matchers }]
  return fetch(`${run.url}/api/v1/read`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body: encodeSnappy(protobuf(readRequest, { queries, accepted })),
  })
}

test('remote read in samples: inclusive ends, matchers of every kind', async () => {
  const reply = await read(
    [
      { type: 0, name: '__name__', value: 'level' },
      { type: 2, name: 'job', value: 'a|b' },
      { type: 1, name: 'text', value: 'x' },
      { type: 3, name: 'job', value: 'b' },
    ],
    [0],
  )
  assert.equal(reply.status, 200)
  assert.equal(reply.headers.get('content-encoding'), 'snappy')
  // ReadResponse and QueryResult are lists of lists: the inner message has the shape of a write request.
  const body = decodeSnappy(new Uint8Array(await reply.arrayBuffer()), 1e6)
  assert.equal(body[0], 0x0a)
  const batch = new WriteBatch()
  decodeWriteRequest(body.subarray(body[1]! < 128 ? 2 : 3), batch)
  assert.deepEqual(
    showWriteBatch(batch),
    [3, 2, 1].map(back => `level{instance="i", job="a"} ${(count - back) / 4} @${times[count - back]!}`),
  )
})

test('a read that is no message is refused', async () => {
  const reply = await fetch(`${run.url}/api/v1/read`, { method: 'POST', body: 'no snappy' })
  assert.equal(reply.status, 400)
})

interface Answer {
  data: { result: { metric: Record<string, string>; values: [number, string][] }[] }
}
async function range(url: string, expression: string): Promise<unknown> {
  const parameters = { query: expression, start: String(times[0]! / 1000), end: String(endMs / 1000), step: '15' }
  const reply = await fetch(urlOf(url, '/api/v1/query_range', parameters))
  assert.equal(reply.status, 200, expression)
  const { result } = ((await reply.json()) as Answer).data
  return result.sort((a, b) => (JSON.stringify(a.metric) < JSON.stringify(b.metric) ? -1 : 1))
}

test('a real Prometheus reads us in streamed chunks, and federates us', needs('prometheus'), async () => {
  const { directory } = run
  writeFileSync(
    `${directory}/reader.yml`,
    `remote_read: [{ url: '${run.url}/api/v1/read', read_recent: true }]
scrape_configs:
  - job_name: federate
    scrape_interval: 1s
    scrape_timeout: 1s
    honor_labels: true
    metrics_path: /federate
    params: { 'match[]': ['{__name__="other"}'] }
    static_configs: [{ targets: ['${new URL(run.url).host}'] }]
`,
  )
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const flags = [`--storage.tsdb.path=${directory}/reader`, `--web.listen-address=127.0.0.1:${port}`]
  const peer = new Peer('prometheus', [`--config.file=${directory}/reader.yml`, ...flags], directory)
  try {
    await peer.ready(`${url}/-/ready`)
    for (const expression of ['level', 'rate(level{job="a"}[1m])', 'sum by (job) (level)', 'level{text!=""}']) {
      const ours = await range(run.url, expression)
      assert.notDeepEqual(ours, [])
      assert.deepEqual(await range(url, expression), ours, expression)
    }
    const federated = await until(async () => {
      const reply = await fetch(urlOf(url, '/api/v1/query', { query: 'scrape_samples_scraped{job="federate"}' }))
      const { data } = (await reply.json()) as { data: { result: { value: [number, string] }[] } }
      return data.result[0]?.value[1]
    }, 'a scrape of /federate')
    assert.equal(federated, '1')
    const nothing = await fetch(`${url}/federate`)
    assert.deepEqual([nothing.status, await nothing.text()], [200, ''])
  } finally {
    await peer.stop()
  }
})

/** Damaged blocks of all signals, as the clients of each API see them, and the operator. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runTercet } from '../run-tercet.ts'

const json = { 'content-type': 'application/json' }
const traceId = '0123456789abcdef0123456789abcdef'

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true })
    .map(name => join(directory, String(name)))
    .filter(path => statSync(path).isFile())
}

async function fill(url: string): Promise<void> {
  const nowNs = `${Date.now() - 60_000}000000`
  const pushes: [path: string, type: Record<string, string>, body: string][] = [
    ['/api/v1/import/prometheus', { 'content-type': 'text/plain' }, 'w{i="1"} 1\nw{i="2"} 2\n'],
    ['/loki/api/v1/push', json, JSON.stringify({ streams: [{ stream: { app: 'a' }, values: [[nowNs, 'a line']] }] })],
    [
      '/v1/traces',
      json,
      JSON.stringify({
        resourceSpans: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 's' } }] },
            scopeSpans: [
              {
                spans: [
                  { traceId, spanId: '0123456789abcdef', name: 'n', startTimeUnixNano: nowNs, endTimeUnixNano: nowNs },
                ],
              },
            ],
          },
        ],
      }),
    ],
  ]
  for (const [path, headers, body] of pushes) {
    const reply = await fetch(url + path, { method: 'POST', headers, body })
    assert.ok(reply.ok, `${path}: ${reply.status} ${await reply.text()}`)
  }
  assert.equal((await fetch(`${url}/-/flush`, { method: 'POST' })).status, 204)
}

interface Case {
  path: string
  status?: number
  /** What the body must have; else the header has the warning. */
  body?: RegExp
}

const now = Math.floor(Date.now() / 1000)
const logTime = `start=${now - 3600}&end=${now + 3600}`
const incomplete = /"warnings":\["the results are incomplete: block /
const partial = /"status":"PARTIAL","message":"the results are incomplete: block /
const cases: Case[] = [
  { path: '/api/v1/query?query=w', body: incomplete },
  { path: `/api/v1/query_range?query=w&start=${now - 300}&end=${now + 60}&step=60`, body: incomplete },
  { path: '/api/v1/series?match[]=w', body: incomplete },
  { path: '/api/v1/labels', body: incomplete },
  { path: '/api/v1/label/i/values', body: incomplete },
  { path: '/prometheus/api/v1/labels', body: incomplete },
  { path: '/api/v1/status/tsdb', body: /"damagedBlocks":\[\{"ulid":"[0-9A-Z]{26}","reason":".+index/ },
  { path: '/federate?match[]=w', body: /# the results are incomplete: block / },
  { path: `/loki/api/v1/query_range?query={app="a"}&${logTime}`, body: incomplete },
  { path: `/loki/api/v1/query?query=sum(count_over_time({app="a"} |~ "."[1h]))`, body: incomplete },
  // What is counted by the table beside the index lacks nothing.
  {
    path: `/loki/api/v1/query?query=sum(count_over_time({app="a"}[1h]))`,
    body: /^\{"status":"success","data":.+,"1"\]\}\],"stats":(?!.*incomplete)/,
  },
  { path: `/loki/api/v1/detected_fields?query={app="a"}&${logTime}` },
  { path: `/loki/api/v1/patterns?query={app="a"}&${logTime}` },
  { path: '/select/logsql/query?query=*' },
  { path: '/select/logsql/hits?query=*' },
  { path: '/select/logsql/field_names?query=*' },
  { path: '/api/search?q={}' },
  { path: '/api/search/tags' },
  { path: '/api/v2/search/tags' },
  { path: '/api/v2/search/tag/name/values' },
  { path: '/api/metrics/query_range?q={}|rate()', body: partial },
  { path: '/api/metrics/query?q={}|rate()', body: partial },
  { path: `/api/traces/${traceId}`, status: 500 },
  { path: `/api/v2/traces/${traceId}`, body: partial },
  { path: '/jaeger/api/services' },
  { path: `/jaeger/api/traces/${traceId}`, status: 500 },
  {
    path: '/api/tercet/blocks',
    body: /"damaged":\[\{"signal":"metrics".*"signal":"logs".*"signal":"traces".*"isWhole":/,
  },
]

test('every API says what its answers lack, and the operator sees which blocks are damaged', async () => {
  const first = await runTercet()
  await fill(first.url)
  await first.tercet.close()
  const bucket = `${first.directory}/data/bucket`
  const all = filesBelow(bucket)
  rmSync(all.find(path => /\/[0-9A-Z]{26}\/index$/.test(path))!)
  const chunk = all.find(path => /\/fake\/[0-9a-f]+\/[^./]+$/.test(path))!
  writeFileSync(chunk, readFileSync(chunk).subarray(0, 100))
  rmSync(all.find(path => path.endsWith('/data.parquet'))!)
  const running = await runTercet([], first.directory)
  try {
    for (const { path, status = 200, body } of cases) {
      const reply = await fetch(running.url + encodeURI(path))
      const text = await reply.text()
      assert.equal(reply.status, status, `${path}: ${text}`)
      if (body !== undefined) assert.match(text, body, path)
      else if (status === 200) assert.match(reply.headers.get('x-tercet-warning') ?? '', /incomplete: block /, path)
      else assert.match(text, /incomplete: block /, path)
    }
    await assert.rejects(async () => {
      const reply = await fetch(`${running.url}/api/v1/export?match[]=w`)
      // An error where nothing was sent yet, else a connection that breaks.
      assert.equal(reply.status, 200)
      await reply.text()
    })
    const metrics = await (await fetch(`${running.url}/metrics`)).text()
    for (const signal of ['metrics', 'logs', 'traces']) {
      assert.match(metrics, new RegExp(`^tercet_blocks_damaged\\{signal="${signal}"\\} 1$`, 'm'))
      assert.match(metrics, new RegExp(`^tercet_incomplete_answers_total\\{signal="${signal}"\\} [1-9]`, 'm'))
    }
  } finally {
    await running.stop()
  }
})

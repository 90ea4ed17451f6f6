/** Queries of the command line that find nothing: standard error says what is there, and standard output is empty. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runCommand } from '../run-cli.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'

let running: Running
before(async () => {
  running = await runTercet()
})
after(() => running.stop())

async function told(...args: string[]): Promise<string> {
  const { code, out, err } = await runCommand(['query', `--url=${running.url}`, ...args])
  assert.deepEqual([code, out], [0, ''], err)
  return err
}

async function postJson(path: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  assert.ok((await fetch(running.url + path, { method: 'POST', headers, body: JSON.stringify(body) })).ok)
}

test('where nothing has arrived, that is said', async () => {
  assert.equal(await told('up'), 'tercet: no series matches; no metric has arrived\n')
  assert.equal(await told('--logs', '{a="b"}'), 'tercet: no line of the last 1h matches; no line has arrived\n')
  assert.equal(await told('--traces', '{ }'), 'tercet: no trace of the last 1h matches; no trace has arrived\n')
})

test('where something has arrived, it is named; JSON is as it was', async () => {
  const nowNs = `${Date.now()}000000`
  const labels: [string, string][] = [
    ['__name__', 'orders_total'],
    ['shop', 'a'],
  ]
  await postWrite(running.url, writeBody([{ labels, samples: [[Date.now(), 1]] }]))
  const values = [[nowNs, 'level=warn hello']]
  await postJson('/loki/api/v1/push', { streams: [{ stream: { service_name: 'shop' }, values }] })
  const span = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', name: 'a' }
  const times = { startTimeUnixNano: nowNs, endTimeUnixNano: nowNs }
  const attributes = [{ key: 'service.name', value: { stringValue: 'shop' } }]
  await postJson('/v1/traces', {
    resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans: [{ ...span, ...times }] }] }],
  })
  const cases: readonly (readonly [args: string[], said: string])[] = [
    [['rate(order_total[1m])'], 'no series matches; no metric has the name order_total; the nearest is orders_total'],
    [['sum by (job) (quux)'], 'no series matches; no metric has the name quux'],
    [['orders_total{shop="b"}'], 'no series matches; the metric is there: its labels, or a longer range, may be meant'],
    [['{service_name="shop"}'], 'no series matches; for log lines add --logs, for traces --traces'],
    [['--since=5m', 'quux'], 'no series matches; no metric has the name quux'],
    [['--logs', '--since=5m', '{a="b"}'], 'no line of the last 5m matches; there are lines of {service_name="shop"}'],
    [['--traces', '{ name = "b" }'], 'no trace of the last 1h matches; there are spans of shop'],
  ]
  for (const [args, said] of cases) assert.equal(await told(...args), `tercet: ${said}\n`)
  const json = await runCommand(['query', `--url=${running.url}`, '--json', 'quux'])
  assert.deepEqual([json.out, json.err], ['{"status":"success","data":{"resultType":"vector","result":[]}}\n', ''])
})

test('LogQL that counts lines is drawn as PromQL is', async () => {
  const url = `--url=${running.url}`
  const query = 'sum by (service_name) (count_over_time({service_name="shop"}[1h]))'
  const { out, err } = await runCommand(['query', url, '--logs', '--since=10m', query])
  assert.equal(err, '')
  assert.match(out, /▄ {2}1 \(1 to 1\) {2}\{service_name="shop"\}\n$/)
})

/** Long bodies whose decoding takes more memory than a worker has: refused with a reason, and nothing else suffers. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

let run: Running
before(async () => {
  // All workers have a quarter of it together.
  run = await runTercet(['workers=16', 'memory_limit=512MiB'])
})
after(async () => {
  await run.stop()
})

/** Attributes of one record: short on the wire, objects in memory. */
const attributes = Array.from({ length: 500_000 }, () => '{"key":"a"}').join(',')
const bodies = {
  metrics: `{"resourceMetrics":[{"resource":{"attributes":[${attributes}]},"scopeMetrics":[]}]}`,
  logs: `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[${attributes}]}]}]}]}`,
  traces: `{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[${attributes}]}]}]}]}`,
}

for (const [signal, body] of Object.entries(bodies))
  test(`a body of ${signal} that needs too much is to be sent in parts, and names the option`, async () => {
    const reply = await fetch(`${run.url}/v1/${signal}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    const text = await reply.text()
    assert.equal(reply.status, 503, text)
    assert.match(text, /a worker that decodes bodies used more memory than it may; .* raise memory_limit/)
    assert.ok(Number(reply.headers.get('retry-after')) > 0)
    assert.equal((await fetch(`${run.url}/-/healthy`)).status, 200)
  })

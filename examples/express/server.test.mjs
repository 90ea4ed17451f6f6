import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { startTercet } from 'tercet'
import { expectTelemetry } from 'tercet/testing'

const require = createRequire(import.meta.url)
const tercet = await startTercet()
// The SDK reads these when it starts.
Object.assign(process.env, {
  OTEL_SERVICE_NAME: 'shop',
  OTEL_EXPORTER_OTLP_ENDPOINT: tercet.url,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
  OTEL_TRACES_EXPORTER: 'otlp',
  OTEL_METRICS_EXPORTER: 'otlp',
  OTEL_LOGS_EXPORTER: 'otlp',
})
const telemetry = require('./telemetry.cjs')
const { app } = require('./server.cjs')

let server
before(async () => {
  server = app.listen(0)
  const { port } = server.address()
  const ask = (path, options) => fetch(`http://127.0.0.1:${port}${path}`, options)
  await ask('/cart?ids=1,2,3')
  await ask('/orders/1', { method: 'POST' })
  await ask('/orders/2', { method: 'POST' })
  await new Promise(resolve => server.close(resolve))
  // Everything has arrived when the SDK has stopped: nothing below has to wait.
  await telemetry.shutdown()
})
after(() => tercet.close())

const expect = expectTelemetry(tercet)

test('a cart takes one query, however many items it has', async () => {
  await expect.requests('GET /cart').toMakeQueries({ atMost: 1 })
})

test('the only request that fails is the one without stock', async () => {
  await expect.traces('{ status = error }').toHaveTraces(1)
  await expect.traces('{ status = error && trace:rootName = "POST /orders/:id" }').toHaveTraces(1)
})

test('orders are counted by their outcome', async () => {
  await expect.metric('sum by (outcome) (shop_orders_total)').toHaveSeries(2)
  await expect.metric('shop_orders_total{outcome="refused"}').toBe(1)
})

test('nothing is logged but what is known to go wrong', async () => {
  await expect.logs('{service_name="shop"} | severity_text=`ERROR`').toHaveLines(1)
  await expect.logs('{service_name="shop"} |~ "panic|TypeError"').toBeEmpty()
})

const { logs, metrics, trace, SeverityNumber, SpanStatusCode } = require('@opentelemetry/api')
const express = require('express')
const database = require('./database.cjs')

const orders = metrics.getMeter('shop').createCounter('shop.orders', { description: 'Orders, by their outcome.' })
const logger = logs.getLogger('shop')

const app = express()

app.get('/cart', (request, response) => {
  const ids = String(request.query.ids).split(',').map(Number)
  response.json(database.findItems(ids))
})

app.get('/cart-in-a-loop', (request, response) => {
  const ids = String(request.query.ids).split(',').map(Number)
  response.json(ids.map(id => database.findItem(id)))
})

app.post('/orders/:id', (request, response) => {
  const item = database.findItem(Number(request.params.id))
  if (item === undefined || item.stock === 0) {
    trace.getActiveSpan()?.setStatus({ code: SpanStatusCode.ERROR, message: 'no stock' })
    logger.emit({
      severityNumber: SeverityNumber.ERROR,
      severityText: 'ERROR',
      body: `no stock of ${request.params.id}`,
    })
    orders.add(1, { outcome: 'refused' })
    response.status(409).json({ error: 'no stock' })
    return
  }
  orders.add(1, { outcome: 'taken' })
  response.json({ ordered: item.name })
})

exports.app = app
if (require.main === module) app.listen(process.env.PORT ?? 3000)

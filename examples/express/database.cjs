// Stands for a database: each query is a span, as the instrumentation of a real client makes it.
const { SpanKind, trace } = require('@opentelemetry/api')

const items = new Map([
  [1, { id: 1, name: 'tea', stock: 3 }],
  [2, { id: 2, name: 'pot', stock: 0 }],
  [3, { id: 3, name: 'cup', stock: 9 }],
])

function query(text, run) {
  const attributes = { 'db.system': 'postgresql', 'db.query.text': text }
  const span = trace.getTracer('database').startSpan(text.split(' ', 1)[0], { kind: SpanKind.CLIENT, attributes })
  try {
    return run()
  } finally {
    span.end()
  }
}

exports.findItem = id => query('SELECT * FROM items WHERE id = $1', () => items.get(id))
exports.findItems = ids =>
  query('SELECT * FROM items WHERE id = ANY($1)', () => ids.map(id => items.get(id)).filter(item => item !== undefined))

/** Spans in the order of a waterfall, whatever they say of each other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hexOf, treeOf } from './trace-tree.ts'

const span = (id: number, parent: number, start: number, end: number, more: object = {}) => ({
  spanId: id.toString(16).padStart(16, '0'),
  ...(parent === 0 ? {} : { parentSpanId: parent.toString(16).padStart(16, '0') }),
  name: `s${id}`,
  startTimeUnixNano: String(start),
  endTimeUnixNano: String(end),
  ...more,
})
const tree = (spans: readonly ReturnType<typeof span>[]) =>
  treeOf({
    batches: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'a' } }] },
        scopeSpans: [{ spans: [...spans] }],
      },
    ],
  })

test('parents before children by start; orphans are roots; circles end', () => {
  assert.deepEqual(
    tree([span(3, 1, 5, 9), span(2, 1, 2, 4), span(1, 0, 0, 10), span(4, 3, 6, 7)]).rows.map(r => [r.name, r.depth]),
    [
      ['s1', 0],
      ['s2', 1],
      ['s3', 1],
      ['s4', 2],
    ],
  )
  assert.deepEqual(
    tree([span(2, 99, 1, 2), span(1, 0, 0, 3)]).rows.map(r => r.name),
    ['s1', 's2'],
  )
  assert.equal(tree([span(1, 2, 0, 1), span(2, 1, 0, 1), span(3, 3, 0, 1)]).rows.length, 3)
  assert.deepEqual(tree([]).rows, [])
})

test('a chain of ten thousand is no deeper than memory', () => {
  const rows = tree(Array.from({ length: 10_000 }, (_, i) => span(i + 1, i, i, 20_000 - i))).rows
  assert.deepEqual([rows.length, rows.at(-1)!.depth, rows.at(-1)!.isOnPath], [10_000, 9999, true])
})

test('the path that the end waited for', () => {
  // s2 ended last before the end; s3 before s2 began; s4 ran beside them.
  const rows = tree([span(1, 0, 0, 100), span(2, 1, 60, 95), span(3, 1, 10, 55), span(4, 1, 20, 70)]).rows
  assert.deepEqual(
    rows.filter(r => r.isOnPath).map(r => r.name),
    ['s1', 's3', 's2'],
  )
})

test('ids in hex and base64, errors, values of every kind', () => {
  assert.equal(hexOf('0AF7651916cd43dd'), '0af7651916cd43dd')
  assert.equal(hexOf(btoa('\x01\x02\x03\x04\x05\x06\x07\x08')), '0102030405060708')
  const [row] = tree([
    span(1, 0, 0, 1, {
      status: { code: 'STATUS_CODE_ERROR', message: 'm' },
      kind: 'SPAN_KIND_SERVER',
      attributes: [
        { key: 'n', value: { intValue: '5' } },
        { key: 'b', value: { boolValue: false } },
        { key: 'l', value: { arrayValue: { values: [{ stringValue: 'x' }, { doubleValue: 1.5 }] } } },
        { key: 'none' },
      ],
    }),
  ]).rows
  assert.deepEqual(
    [row!.isError, row!.statusMessage, row!.kind, row!.attributes],
    [true, 'm', 'server', { n: '5', b: 'false', l: '[x, 1.5]', none: '' }],
  )
})

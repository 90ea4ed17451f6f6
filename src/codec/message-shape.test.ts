/** Messages are counted before they are decoded: what counts, what is not looked into, what can't be read. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { elementsMax } from '#core/body-limits.ts'
import { ByteWriter } from './byte-writer.ts'
import { checkMessage, type MessageShape } from './message-shape.ts'

const leaf: MessageShape = { kind: 'parts', fields: {} }
const shape: MessageShape = { fields: { 1: { kind: 'items', fields: { 2: leaf, 3: 'numbers' } } } }

/** Field 1 with these bytes in it. */
function within(inner: Uint8Array, field = 1): Uint8Array {
  const out = new ByteWriter(inner.length + 16)
  out.writeUvarint(field * 8 + 2)
  out.writeUvarint(inner.length)
  out.writeBytes(inner)
  return out.copy()
}
const times = (hex: string, count: number): Buffer => Buffer.alloc(count * (hex.length / 2), hex, 'hex')

test('messages, fields and packed numbers count; texts do not, however long', () => {
  const refused = /has more than \d+ (records|elements) by byte \d+, which is the limit for its size; send smaller/
  const size = 1 << 20
  const cases: [what: string, message: Uint8Array, isRefused: boolean][] = [
    ['records', times('0a00', size / 2), true],
    ['parts', within(times('1200', size / 2)), true],
    ['a text', within(within(Buffer.alloc(size), 4)), false],
    ['real records', times(`0a1e221c${'00'.repeat(28)}`, size / 32), false],
    ['packed numbers, as many as fit', within(within(Buffer.alloc(size), 3)), false],
    ['packed numbers, 20 million', within(within(Buffer.alloc(20_000_000), 3)), true],
    ['unknown numbers, as many as fit', within(times('2000', size / 2)), false],
    ['unknown numbers, 5 million', within(times('2000', 5_000_000)), true],
  ]
  for (const [what, message, isRefused] of cases)
    if (isRefused) assert.throws(() => checkMessage(message, shape), refused, what)
    else checkMessage(message, shape)
})

test('short messages of a shape are counted and not looked into; a body of 64 KiB is not counted', () => {
  const attribute: MessageShape = { kind: 'parts', looksFrom: 100, fields: { 1: leaf } }
  const count = 40_000
  const short = times(`0a14${'0a00'.repeat(10)}`, count)
  const long = times(`0a64${'0a00'.repeat(50)}`, count)
  assert.ok(count < elementsMax('parts', short.length))
  checkMessage(short, { fields: { 1: attribute } })
  assert.throws(() => checkMessage(long, { fields: { 1: attribute } }), /more than \d+ elements/)
  checkMessage(times('0a00', 32 * 1024), shape)
})

test('what can not be read ends its message, and what follows it is counted', () => {
  const broken = within(Buffer.concat([Buffer.from('12ffffffffffffffffffff', 'hex'), Buffer.alloc(20)]))
  const message = Buffer.concat([broken, times('0a00', 1 << 19)])
  assert.throws(() => checkMessage(message, shape), /more than \d+ records/)
  checkMessage(Buffer.concat([Buffer.alloc(1 << 17, 0xff), times('0a00', 1 << 19)]), shape)
})

test('messages within messages are followed to a depth that no decoder reaches', () => {
  const fields: Record<number, MessageShape> = {}
  fields[1] = { kind: 'parts', fields }
  let nested: Uint8Array = times('0a00', 1 << 19)
  for (let i = 0; i < 200; i++) nested = within(nested)
  checkMessage(nested, { fields })
  assert.throws(() => checkMessage(within(times('0a00', 1 << 19)), { fields }), /more than \d+ elements/)
})

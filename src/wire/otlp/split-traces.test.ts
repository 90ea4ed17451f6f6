/** Messages of traces cut by their bytes: what is read of the parts is what is read of the whole. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import type { Trace } from '#model/trace.ts'
import { assertSameLines, showSpans } from '../../../test/show-spans.ts'
import { carrySpans, spansOf, type CarriedSpans } from './carried-spans.ts'
import { splitOtlpTraces, withoutSpans } from './split-traces.ts'
import { decodeOtlpTraces, readOtlpTraces } from './traces.ts'

function varint(value: number): number[] {
  const out: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) out.push((value % 128) | 128)
  return [...out, value]
}

function field(number: number, ...parts: readonly Uint8Array[]): Buffer {
  const inner = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(inner.length)]), inner])
}

const text = (number: number, value: string): Buffer => field(number, Buffer.from(value))
const attribute = (number: number, key: string, value: string): Buffer =>
  field(number, text(1, key), field(2, text(1, value)))

/** Fields that no reader knows, of each wire type, with a mark. */
function unknown(random: Random, mark: string): Buffer[] {
  const kinds = [
    text(900, mark),
    Buffer.from([...varint(901 * 8), ...varint(below(random, 1e9))]),
    Buffer.from([...varint(902 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8]),
    Buffer.from([...varint(903 * 8 + 5), 1, 2, 3, 4]),
  ]
  return kinds.filter((_, i) => i === 0 || below(random, 2) === 0)
}

/** Some of these in any order. */
function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const rest = [...items]
  return items.map(() => rest.splice(below(random, rest.length), 1)[0]!)
}

/** Bytes that are a text, too. */
const idOf = (random: Random, size: number): Uint8Array => random.bytes(size).map(byte => byte & 127)

function randomSpan(random: Random, name: string, isReadable: boolean): Buffer {
  // A number where an id belongs, or an id that ends behind its span.
  const damage = below(random, 2) === 0 ? Buffer.from([0x10, 5]) : Buffer.from([0x0a, 0x7f])
  return field(
    2,
    ...shuffled(random, [text(5, name), field(1, idOf(random, 16)), attribute(9, 'k', name)]),
    field(2, idOf(random, 8)),
    ...(below(random, 3) === 0 ? [field(11, text(2, 'event'), attribute(3, 'a', 'b'))] : []),
    ...(below(random, 3) === 0 ? unknown(random, `of ${name}`) : []),
    ...(isReadable ? [] : [damage]),
  )
}

/** A request with empty lists in it; frames stand before, between and behind what they are of. */
function randomRequest(seed: number): Buffer {
  const random = seededRandom(seed)
  let n = 0
  const scope = (): Buffer => {
    const name = `scope ${n++}`
    const spans = Array.from({ length: below(random, 3) === 0 ? 0 : below(random, 12) }, () =>
      randomSpan(random, `span ${n++} ${'x'.repeat(below(random, 60))}`, below(random, 9) > 0),
    )
    const own = [field(1, text(1, name), ...unknown(random, `in ${name}`)), text(3, `url of ${name}`)]
    return field(2, ...mixed(random, spans, [...own, ...unknown(random, `of ${name}`)]))
  }
  const resource = (): Buffer => {
    const name = `resource ${n++}`
    const scopes = Array.from({ length: below(random, 4) }, scope)
    const own = [field(1, attribute(1, 'service.name', name)), text(3, `url of ${name}`)]
    return field(1, ...mixed(random, scopes, [...own, ...unknown(random, `of ${name}`)]))
  }
  return Buffer.concat(mixed(random, Array.from({ length: below(random, 5) }, resource), unknown(random, 'loose')))
}

/** The first ones in their order, the others anywhere among them. */
function mixed(random: Random, inOrder: readonly Buffer[], others: readonly Buffer[]): Buffer[] {
  const all = [...inOrder]
  for (const other of others) all.splice(below(random, all.length + 1), 0, other)
  return all
}

const shownOf = (parts: readonly CarriedSpans[]): string[] => parts.flatMap(part => showSpans(spansOf(part)))

/** Bytes of each span, as they came; none of one that could not be read. */
function spanBytes(message: Uint8Array, { resources }: Trace = decodeOtlpTraces(message, true)): string[] {
  const spans = resources.flatMap(r => r.scopes.flatMap(s => s.spans))
  return spans.map(({ problem, wireFrom, wireTo }) =>
    problem === undefined ? Buffer.from(message.subarray(wireFrom, wireTo)).toString('latin1') : '',
  )
}

test('parts read as the whole does; spans keep their bytes, and frames their unknown fields', () => {
  let cuts = 0
  for (let seed = 1; seed <= 300; seed++) {
    const sent = randomRequest(seed)
    const { trace, message } = readOtlpTraces(sent)
    assert.equal(message, sent)
    const limits = { items: 1 + (seed % 7), bytes: seed % 3 === 0 ? 100 : 10_000 }
    const parts = carrySpans(trace, message, limits)
    cuts += parts.length - 1
    assertSameLines(shownOf(parts), showSpans(trace), `seed ${seed}`)
    assert.deepEqual(
      parts.flatMap(part => spanBytes(part.message)),
      spanBytes(message, trace),
      `seed ${seed}`,
    )
    const whole = Buffer.from(message).toString('latin1')
    for (const { message: bytes } of parts) {
      const part = Buffer.from(bytes).toString('latin1')
      for (const [name] of part.matchAll(/url of (?:scope|resource) \d+(?!\d)/g))
        assert.ok(new RegExp(`(?<!url )${name.slice(4)}(?!\\d)`).test(part), `seed ${seed}: ${name}`)
    }
    for (const [mark] of whole.matchAll(/(?:in|of) (?:scope|resource) \d+|loose/g))
      assert.ok(
        parts.some(part => Buffer.from(part.message).includes(mark)),
        `seed ${seed}: ${mark}`,
      )
  }
  assert.ok(cuts > 1000, `${cuts} cuts`)
})

test('a message that is damaged is cut into parts that read the same, or not at all', () => {
  let read = 0
  for (let seed = 1; seed <= 400; seed++) {
    const random = seededRandom(seed)
    const bytes = randomRequest(1 + (seed % 60))
    for (let i = 0; i < 4 && bytes.length > 0; i++) bytes[below(random, bytes.length)] = below(random, 256)
    let sent
    try {
      sent = readOtlpTraces(bytes)
    } catch (error) {
      assert.ok(error instanceof CorruptDataError, `seed ${seed}: ${String(error)}`)
      continue
    }
    read++
    const parts = carrySpans(sent.trace, sent.message, { items: 3, bytes: 1000 })
    assertSameLines(shownOf(parts), showSpans(sent.trace), `seed ${seed}`)
    assert.deepEqual(
      showSpans(
        decodeOtlpTraces(
          withoutSpans(sent.message, () => false),
          true,
        ),
      ).length,
      showSpans(sent.trace).length,
    )
  }
  assert.ok(read > 100, `${read} messages were read`)
})

const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes)
const never = (): boolean => false
const span = field(2, text(5, 'name'))

test('each message ends at its limits; a span that is longer is one, and what is repeated is bounded', () => {
  const long = field(2, text(5, 'x'.repeat(5000)))
  const message = field(1, field(2, ...Array.from({ length: 100 }, () => span), long, long, span))
  const limits = { items: 10, bytes: 1000 }
  const parts = splitOtlpTraces(message, limits, never, allocate)
  // The resource and the scope count, too.
  assert.deepEqual(
    parts.map(part => part.spans),
    [8, 10, 10, 10, 10, 10, 10, 10, 10, 10, 3, 1, 1],
  )
  assert.ok(parts.every(part => part.message.length < 5100))

  // A resource of 20 kB is not repeated for each ten spans.
  const large = field(
    1,
    field(1, attribute(1, 'a', 'x'.repeat(20_000))),
    field(2, ...Array.from({ length: 300 }, () => span)),
  )
  const few = splitOtlpTraces(large, limits, never, allocate)
  assert.equal(few.length, 5)
  assert.equal(
    few.reduce((sum, part) => sum + part.spans, 0),
    300,
  )
})

test('spans are left out by their places, and nothing else is', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const { message } = readOtlpTraces(randomRequest(seed))
    const before = spanBytes(message)
    const after = withoutSpans(message, at => at % 3 === 1)
    assert.deepEqual(
      spanBytes(after),
      before.filter((_, at) => at % 3 !== 1),
      `seed ${seed}`,
    )
    const marks = (bytes: Uint8Array): string[] =>
      [
        ...Buffer.from(bytes)
          .toString('latin1')
          .matchAll(/(?:in|of) (?:scope|resource) \d+|loose/g),
      ]
        .map(([mark]) => mark)
        .sort()
    assert.deepEqual(marks(after), marks(message), `seed ${seed}`)
  }
})

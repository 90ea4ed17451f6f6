/** Joined filters: what is in them is found, little else is, and no damage shows as an answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import {
  decodeJoined,
  decodeJoinedHead,
  encodeJoined,
  filterParts,
  joinedHeadBytes,
  JoinedPart,
  partOf,
  PartsBuilder,
  type JoinedBlock,
} from './joined-filters.ts'

const random = seededRandom(11)
const newId = (): Uint8Array => random.bytes(16)
/** As older senders make them. */
const shortId = (n: number): Uint8Array => {
  const id = new Uint8Array(16)
  new DataView(id.buffer).setUint32(12, n)
  return id
}

function blockOf(ids: readonly Uint8Array[], n: number): JoinedBlock {
  const parts = new PartsBuilder()
  for (const id of ids) parts.add(id)
  const blockId = `0000000${n}-0000-4000-8000-00000000000${n}`
  return { blockId, size: 1000 + n, footer: random.bytes(n * 10), parts: parts.finish() }
}

const idsOf = [
  Array.from({ length: 5000 }, newId),
  Array.from({ length: 300 }, (_, n) => shortId(n)),
  [],
  [newId()],
] as const
const blocks = idsOf.map((ids, n) => blockOf(ids, n))
const object = encodeJoined(blocks)
const head = decodeJoinedHead(object)

function mayHave(bytes: Uint8Array, block: number, id: Uint8Array): boolean {
  const { at, bytes: length } = decodeJoinedHead(bytes).parts[partOf(id)]!
  return new JoinedPart(bytes.subarray(at, at + length), blocks.length).mayHave(block, id)
}

test('every id is found in its block, and one in a hundred others at most', () => {
  for (const [block, ids] of idsOf.entries()) for (const id of ids) assert.ok(mayHave(object, block, id))
  for (const block of blocks.keys()) {
    let found = 0
    for (let i = 0; i < 2000; i++) if (mayHave(object, block, newId())) found++
    assert.ok(found <= 20, `${found} of 2000 in block ${block}`)
  }
})

test('a block comes out as it went in, and an object of what came out of two has both', () => {
  assert.deepEqual(decodeJoined(object), blocks)
  assert.deepEqual(
    head.blocks.map(({ blockId, size, footer }) => [blockId, size, footer.bytes]),
    blocks.map(({ blockId, size, footer }) => [blockId, size, footer.length]),
  )
  const halves = [encodeJoined(blocks.slice(0, 2)), encodeJoined(blocks.slice(2))]
  assert.deepEqual(encodeJoined(halves.flatMap(half => decodeJoined(half))), object)
  assert.deepEqual(decodeJoined(encodeJoined([])), [])
  assert.equal(head.parts.length, filterParts)
  assert.equal(head.bytes, object.length)
})

test('bytes that are changed or cut off are an error wherever they are', () => {
  const refused = (bytes: Uint8Array): void => {
    assert.throws(() => decodeJoined(bytes), CorruptDataError)
  }
  for (let i = 0; i < 2000; i++) {
    const damaged = object.slice()
    // The version and the reserved bytes of the head, then everything else.
    const at = i < 16 ? i : below(random, object.length)
    damaged[at]! ^= 1 << below(random, 8)
    refused(damaged)
  }
  for (const length of [0, 3, 15, 16, 100, head.parts[0]!.at, head.footers.at, object.length - 1])
    refused(object.subarray(0, length))
  assert.throws(() => joinedHeadBytes(new Uint8Array(0)), CorruptDataError)
})

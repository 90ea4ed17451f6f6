/** Request bodies: encodings, limits before and after decompression, clients that go away. */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import test from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { encodeSnappy } from '#codec/snappy.ts'
import { BadDataError, CanceledError, CorruptDataError, LimitError, UnavailableError } from '#core/errors.ts'
import { MemoryBudget } from '#core/memory-budget.ts'
import { readBody } from './body.ts'

const bytesMax = 100
const decodedBytesMax = 1000

/** A message as Node's server gives it: a stream with headers. */
function messageOf(headers: Record<string, string>): PassThrough & IncomingMessage {
  return Object.assign(new PassThrough(), { headers }) as unknown as PassThrough & IncomingMessage
}

function read(body: Uint8Array, encoding: string): Promise<Uint8Array> {
  const message = messageOf({ 'content-length': String(body.length) })
  message.end(body)
  return readBody(message, bytesMax, decodedBytesMax, encoding)
}

const text = Buffer.from('a body of some length')
const encodings: [encoding: string, encode: (bytes: Uint8Array) => Uint8Array][] = [
  ['', bytes => bytes],
  ['identity', bytes => bytes],
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['zstd', zstdCompressSync],
  ['br', brotliCompressSync],
  ['snappy', encodeSnappy],
]

test('a body is read in every encoding', async () => {
  for (const [encoding, encode] of encodings) {
    assert.deepEqual(Buffer.from(await read(encode(text), encoding)), text, encoding)
    assert.equal((await read(encode(new Uint8Array(0)), encoding)).length, 0, encoding)
  }
  for (const [encoding, encode] of encodings.slice(2))
    assert.deepEqual(Buffer.from(await read(encode(text), ` ${encoding.toUpperCase()}`)), text, encoding)
  await assert.rejects(
    read(text, 'compress'),
    new BadDataError('content encoding "compress" is not known; identity, gzip, deflate, zstd, br and snappy are'),
  )
})

test('a few bytes that unfold beyond the limit are refused as too large, in every encoding', async () => {
  const bomb = new Uint8Array(decodedBytesMax + 1)
  for (const [encoding, encode] of encodings.slice(2)) {
    const packed = encode(bomb)
    assert.ok(packed.length <= bytesMax, `${encoding}: ${packed.length}`)
    await assert.rejects(read(packed, encoding), (error: unknown) => {
      assert.ok(error instanceof LimitError, encoding)
      assert.equal(error.status, 413)
      assert.match(error.message, /1000/)
      return true
    })
    assert.equal((await read(encode(bomb.subarray(1)), encoding)).length, decodedBytesMax, encoding)
  }
})

test('damaged bodies are corrupt data, in every encoding', async () => {
  for (const [encoding, encode] of encodings.slice(2)) {
    const packed = encode(text)
    await assert.rejects(read(packed.subarray(0, packed.length - 5), encoding), CorruptDataError, encoding)
    await assert.rejects(read(Buffer.from('hello, this is text'), encoding), CorruptDataError, encoding)
  }
})

test('a long body is refused by what it declares, and by what it sends', async () => {
  await assert.rejects(
    readBody(messageOf({ 'content-length': '101' }), bytesMax, decodedBytesMax, undefined),
    new LimitError('the body has 101 bytes, the limit is 100', 413),
  )
  const chunked = messageOf({})
  const body = readBody(chunked, bytesMax, decodedBytesMax, undefined)
  chunked.write(new Uint8Array(60))
  chunked.write(new Uint8Array(60))
  chunked.write(new Uint8Array(60))
  await assert.rejects(body, new LimitError('the body has more than 100 bytes, which is the limit', 413))
})

test('a body in chunks grows beyond the buffer that it began with, and is whole', async () => {
  const all = Buffer.from(Array.from({ length: 60_000 }, (_, i) => i % 251))
  const chunked = messageOf({})
  const body = readBody(chunked, all.length, all.length, undefined)
  for (let at = 0; at < all.length; at += 7000) chunked.write(all.subarray(at, at + 7000))
  chunked.end()
  assert.deepEqual(Buffer.from(await body), all)
})

test('a client that goes away, and a connection that breaks, end the read', async () => {
  const aborted = messageOf({})
  const first = readBody(aborted, bytesMax, decodedBytesMax, undefined)
  aborted.emit('aborted')
  await assert.rejects(first, new CanceledError('the client went away'))
  const broken = messageOf({})
  const second = readBody(broken, bytesMax, decodedBytesMax, undefined)
  broken.destroy(new Error('ECONNRESET'))
  await assert.rejects(second, /ECONNRESET/)
})

/** Ten thousand bytes for the bodies of all requests. */
function memoryOf(bytes = 10_000): MemoryBudget {
  return new MemoryBudget(bytes, { heads: 1, caches: 1, bodies: 1, queries: 1, answers: 1, tails: 1, other: 1 })
}

test('a body holds what has come of it, and is refused by what it declares before it is read', async () => {
  const memory = memoryOf()
  const bodies = memory.account('bodies')
  const slow = messageOf({ 'content-length': '9000' })
  const hold = bodies.hold()
  const body = readBody(slow, 20_000, 20_000, undefined, hold)
  slow.write(new Uint8Array(2000))
  await new Promise(setImmediate)
  assert.equal(memory.heldBytes, 2000)
  // The same again fits beside what has come, not beside what will have.
  const second = messageOf({ 'content-length': '8500' })
  await assert.rejects(readBody(second, 20_000, 20_000, undefined, bodies.hold()), UnavailableError)
  const third = readBody(messageOf({ 'content-length': '7500' }), 20_000, 20_000, undefined, bodies.hold())
  third.catch(() => {})
  slow.end(new Uint8Array(7000))
  assert.equal((await body).length, 9000)
  assert.equal(memory.heldBytes, 9000)
  hold.close()
  assert.equal(memory.heldBytes, 0)
  await assert.rejects(
    readBody(messageOf({ 'content-length': '10001' }), 20_000, 20_000, undefined, bodies.hold()),
    (error: unknown) => error instanceof LimitError && error.status === 413,
  )
})

test('a body that unfolds is refused when there is no memory for more of it, in every encoding', async () => {
  const unfolded = new Uint8Array(200_000)
  for (const [encoding, encode] of encodings.slice(3)) {
    const packed = encode(unfolded)
    const memory = memoryOf(100_000)
    memory.account('heads').take(50_000)
    const hold = memory.account('bodies').hold()
    const message = messageOf({ 'content-length': String(packed.length) })
    message.end(packed)
    await assert.rejects(
      readBody(message, packed.length, unfolded.length, encoding, hold),
      (error: unknown) => error instanceof UnavailableError || error instanceof LimitError,
      encoding,
    )
    assert.ok(hold.bytes <= 50_000, encoding)
    hold.close()
    assert.equal(memory.heldBytes, 50_000)
  }
})

test('a long body that unfolds in many pieces is whole, in every encoding', async () => {
  const long = Buffer.alloc(3_000_000)
  for (let i = 0; i < long.length; i += 997) long[i] = i % 251
  for (const [encoding, encode] of encodings.slice(2)) {
    const message = messageOf({})
    message.end(encode(long))
    const body = await readBody(message, 1e7, 1e7, encoding)
    assert.equal(Buffer.compare(Buffer.from(body), long), 0, encoding)
  }
})

/** The kernel of remote write: its memory grows with a body, and is let go of when the next one needs less. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeSnappy } from './snappy.ts'
import { WriteRequestKernel } from './write-request.ts'

const decodedBytesMax = 128 << 20
const sample = Buffer.from('120b0900000000000000001001', 'hex')

/** One series `{a="b"}` with so many samples of value 0 at time 1. */
function request(samples: number): Uint8Array {
  const labels = Buffer.from('0a060a0161120162', 'hex')
  const inner = Buffer.concat([labels, Buffer.alloc(samples * sample.length, sample)])
  const head = [0x0a]
  let length = inner.length
  for (; length >= 128; length >>>= 7) head.push((length & 127) | 128)
  return encodeSnappy(Buffer.concat([Buffer.from([...head, length]), inner]))
}

test('a large body leaves no large memory behind', () => {
  const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })
  const decode = (body: Uint8Array): { samples: number; hash: string } => {
    const columns = kernel.decode(kernel.unpack(body, decodedBytesMax))
    assert.ok(columns !== undefined && columns.seriesCount === 1 && columns.timesMs[0] === 1)
    return { samples: columns.sampleCount, hash: [...columns.hashes].join(' ') }
  }
  const small = decode(request(10))
  const usualBytes = kernel.memoryBytes
  const large = kernel.unpack(request(600_000), decodedBytesMax)
  const kept = Buffer.from(large.subarray(0, 1000))
  const columns = kernel.decode(large)
  assert.equal(columns?.sampleCount, 600_000)
  assert.ok(kernel.memoryBytes > 32 << 20)
  assert.deepEqual(decode(request(10)), small)
  assert.equal(kernel.memoryBytes, usualBytes)
  // What the large body gave is still what it was.
  assert.deepEqual(Buffer.from(columns.bytes.subarray(0, 1000)), kept)
  assert.equal(decode(request(600_000)).samples, 600_000)
})

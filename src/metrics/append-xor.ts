/** XOR chunks of one series as columns, one behind the other. */
import { decodeXor, xorSampleCount } from '#codec/xor-chunk.ts'
import type { SampleColumns } from '#model/sample-columns.ts'

/** Decodes a chunk behind what is already in the columns. */
export function appendXor(bytes: Uint8Array, into: SampleColumns): void {
  into.reserve(xorSampleCount(bytes, 0, bytes.length))
  into.count += decodeXor(bytes, 0, bytes.length, into.timesMs, into.words, into.count)
}

/** XOR chunks of one series as columns, one behind the other. */
import { decodeXorRun, xorRunCount } from '#codec/xor-run.ts'
import type { SampleColumns } from '#model/sample-columns.ts'

/** Decodes a chunk behind what is already in the columns. */
export function appendXor(bytes: Uint8Array, into: SampleColumns): void {
  const chunks = { bytes: [bytes], from: [0], to: [bytes.length] }
  into.reserve(xorRunCount(chunks, 0, 1))
  into.count += decodeXorRun(chunks, 0, 1, into.timesMs, into.words, into.count)
}

/**
 * Host of the WASM kernel that makes the bitmap of a log block's grams (kernel/gram-bitmap.ts). Form:
 * docs/formats/log-token-filter.md.
 */
import { assert } from '#core/assert.ts'
import { startKernel } from './kernel.ts'

/** Bytes of a gram. */
export const gramBytes = 6
/** The bitmap has 2^bitsLog2 bits. */
export const bitsLog2 = 16
/** Bytes of a bitmap. */
export const bitmapBytes = (1 << bitsLog2) / 8

interface Kernel {
  memory: WebAssembly.Memory
  clear(): void
  bitmap(): number
  blockAt: WebAssembly.Global
  reserve(size: number): void
  add(size: number): number
}

let loaded: Kernel | undefined
function kernel(): Kernel {
  return (loaded ??= startKernel<Kernel>('gram-bitmap'))
}

/**
 * The bitmap of a block of lines in the form that chunks have them, with metadata. Made by a WASM kernel
 * (kernel/gram-bitmap.ts).
 */
export function bitmapOf(block: Uint8Array, entries: number): Uint8Array {
  const { memory, clear, bitmap, blockAt, reserve, add } = kernel()
  reserve(block.length)
  new Uint8Array(memory.buffer, blockAt.value, block.length).set(block)
  clear()
  assert(add(block.length) === entries, 'a block has other entries than its builder said')
  return new Uint8Array(memory.buffer, bitmap(), bitmapBytes).slice()
}

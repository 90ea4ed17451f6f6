/**
 * Host of the WASM kernel that finds second, length and metadata of each line of a log block
 * (kernel/block-columns.ts). Form: docs/formats/log-table.md.
 */
import { startKernel } from './kernel.ts'

interface Kernel {
  memory: WebAssembly.Memory
  combinationsAt: WebAssembly.Global
  blockAt: WebAssembly.Global
  momentsAt: WebAssembly.Global
  momentsLength: WebAssembly.Global
  lengthsAt: WebAssembly.Global
  lengthsLength: WebAssembly.Global
  reserve(size: number, entries: number): void
  columns(size: number, entries: number): number
}

let loaded: Kernel | undefined
function kernel(): Kernel {
  return (loaded ??= startKernel<Kernel>('block-columns'))
}

/** Bytes of metadata that lines of a block have, how many lines, and how many bytes these have. */
export interface MetadataCount {
  /** Where they are in the block. */
  from: number
  length: number
  lines: number
  bytes: number
}

/** Views of the kernel's memory, valid until the next call. */
export interface PlainColumns {
  moments: Uint8Array
  lengths: Uint8Array
  /** In the order in which they are met. */
  metadata: MetadataCount[]
}

const combinationBytes = 16

/**
 * The columns of a block of lines in the form that chunks have them, with metadata; undefined when lines are out of
 * order, have more than 255 different metadata, or are other than so many.
 */
export function plainColumnsOf(block: Uint8Array, entries: number): PlainColumns | undefined {
  const { memory, blockAt, combinationsAt, momentsAt, momentsLength, lengthsAt, lengthsLength, reserve, columns } =
    kernel()
  reserve(block.length, entries)
  new Uint8Array(memory.buffer, blockAt.value, block.length).set(block)
  const count = columns(block.length, entries)
  if (count < 0) return undefined
  const table = new DataView(memory.buffer, combinationsAt.value, count * combinationBytes)
  const metadata = Array.from({ length: count }, (_, i): MetadataCount => {
    const at = i * combinationBytes
    const [from, length] = [table.getUint32(at, true), table.getUint32(at + 4, true)]
    return { from, length, lines: table.getUint32(at + 8, true), bytes: table.getUint32(at + 12, true) }
  })
  const moments = new Uint8Array(memory.buffer, momentsAt.value, momentsLength.value)
  return { moments, lengths: new Uint8Array(memory.buffer, lengthsAt.value, lengthsLength.value), metadata }
}

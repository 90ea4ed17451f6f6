/** Host of the WASM kernel that finds the lines of a log block, and their times (kernel/block-lines.ts). */
import { startKernel } from './kernel.ts'

interface Kernel {
  memory: WebAssembly.Memory
  blockAt: WebAssembly.Global
  columnsAt: WebAssembly.Global
  reserve(size: number, entries: number): void
  decode(size: number, entries: number, hasPairs: boolean): number
}

let loaded: Kernel | undefined
function kernel(): Kernel {
  return (loaded ??= startKernel<Kernel>('block-lines'))
}

/** The most bytes of a block: the kernel's memory stays as large as it was once. */
export const kernelBytesMax = 4 * 1024 * 1024

/** Where lines and their metadata are in a block, and when they were; all columns lie in one piece of memory. */
export interface LineColumns {
  /** Whole milliseconds, and nanoseconds within them. */
  timesMs: Float64Array
  subNs: Uint32Array
  lineFrom: Uint32Array
  lineTo: Uint32Array
  /** Behind the length of the metadata; equal where the form has none. */
  pairsFrom: Uint32Array
  pairsTo: Uint32Array
}

/** Columns of so many lines, one behind the other in `buffer`, or in memory of their own. */
export function lineColumns(entries: number, buffer: ArrayBuffer = new ArrayBuffer(entries * 28)): LineColumns {
  const words = (place: number): Uint32Array => new Uint32Array(buffer, entries * (8 + place * 4), entries)
  return {
    timesMs: new Float64Array(buffer, 0, entries),
    subNs: words(0),
    lineFrom: words(1),
    lineTo: words(2),
    pairsFrom: words(3),
    pairsTo: words(4),
  }
}

/** The columns of a block of no more than `kernelBytesMax`; how many entries are whole, where those are fewer. */
export function decodeLines(block: Uint8Array, entries: number, hasPairs: boolean): LineColumns | number {
  const { memory, blockAt, columnsAt, reserve, decode } = kernel()
  reserve(block.length, entries)
  new Uint8Array(memory.buffer, blockAt.value, block.length).set(block)
  const whole = decode(block.length, entries, hasPairs)
  if (whole < entries) return whole
  const at = columnsAt.value as number
  return lineColumns(entries, (memory.buffer as ArrayBuffer).slice(at, at + entries * 28))
}

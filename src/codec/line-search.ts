/** Host of the WASM kernel that finds lines with a text in a block of lines (kernel/line-search.ts). */
import { startKernel } from './kernel.ts'

interface Kernel {
  memory: WebAssembly.Memory
  needleAt: WebAssembly.Global
  dataAt: WebAssembly.Global
  reserve(size: number): void
  find(
    text: number,
    base: number,
    from: number,
    to: number,
    count: number,
    length: number,
    isFolded: boolean,
    out: number,
  ): number
}

let loaded: Kernel | undefined
function kernel(): Kernel {
  return (loaded ??= startKernel<Kernel>('line-search'))
}

/** The longest text that is looked for: at worst a call compares so many bytes, sixteen a step, at each place. */
export const needleBytesMax = 256
/** The most bytes of lines: the kernel's memory stays as large as it was once. */
export const searchedBytesMax = 4 * 1024 * 1024

/** Lines in the bytes of their block: line i is bytes[lineFrom[i], lineTo[i]), one behind the other. */
export interface SearchedLines {
  readonly bytes: Uint8Array
  readonly lineFrom: Uint32Array
  readonly lineTo: Uint32Array
}

/**
 * Numbers of the lines of [first, end) that contain the text, ascending. `isFolded`: the text has no capitals of ASCII,
 * and lines may have them. Undefined where the text or the lines are too long, or the text is empty.
 */
export function findLines(
  { bytes, lineFrom, lineTo }: SearchedLines,
  first: number,
  end: number,
  needle: Uint8Array,
  isFolded: boolean,
): Uint32Array | undefined {
  if (needle.length === 0 || needle.length > needleBytesMax) return undefined
  if (first >= end) return new Uint32Array(0)
  const base = lineFrom[first]!
  const size = lineTo[end - 1]! - base
  if (size > searchedBytesMax) return undefined
  const { memory, needleAt, dataAt, reserve, find } = kernel()
  const count = end - first
  const from = dataAt.value
  const to = from + count * 4
  const out = to + count * 4
  const text = out + count * 4
  reserve(text + size - from)
  const { buffer } = memory
  new Uint8Array(buffer, needleAt.value, needle.length).set(needle)
  new Uint32Array(buffer, from, count).set(lineFrom.subarray(first, end))
  new Uint32Array(buffer, to, count).set(lineTo.subarray(first, end))
  new Uint8Array(buffer, text, size).set(bytes.subarray(base, base + size))
  const found = find(text, base, from, to, count, needle.length, isFolded, out)
  const numbers = new Uint32Array(buffer, out, found).slice()
  if (first > 0) for (let i = 0; i < found; i++) numbers[i]! += first
  return numbers
}

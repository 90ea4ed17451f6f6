/**
 * CRC-32C (Castagnoli, reflected 0x82F63B78): a WASM kernel (kernel/crc32c.ts) where there are bytes enough to pay for
 * the copy into its memory, eight bytes a step here where there are few. Source: RFC 3720 appendix B.4.
 */
import { startKernel } from './kernel.ts'

interface Kernel {
  memory: WebAssembly.Memory
  bytesAt: WebAssembly.Global
  bytesMax: WebAssembly.Global
  framesAt: WebAssembly.Global
  framesMax: WebAssembly.Global
  fillTables(): void
  update(crc: number, from: number, size: number): number
  checkFrames(count: number, size: number): number
}

/** Frames that begin with less room behind them are for the next time. */
const frameRoom = 64 * 1024

/** With fewer the copy costs more than the kernel saves. */
const kernelBytesMin = 256

interface Loaded {
  update: Kernel['update']
  checkFrames: Kernel['checkFrames']
  room: Uint8Array
  bytesAt: number
  frames: CheckedFrames
}

/** By frame: where it begins; where its content does, and where that ends: 0 for one whose checksum is wrong. */
export interface CheckedFrames {
  at: Uint32Array
  from: Uint32Array
  to: Uint32Array
}

let loaded: Loaded | undefined

function load(): Loaded {
  const kernel = startKernel<Kernel>('crc32c')
  const { update, checkFrames, bytesAt, bytesMax, framesAt, framesMax } = kernel
  const end = framesAt.value + 3 * 4 * framesMax.value
  kernel.memory.grow(Math.ceil(end / 65_536) - kernel.memory.buffer.byteLength / 65_536)
  kernel.fillTables()
  const { buffer } = kernel.memory
  const room = new Uint8Array(buffer, bytesAt.value, bytesMax.value)
  const column = (i: number): Uint32Array =>
    new Uint32Array(buffer, framesAt.value + i * 4 * framesMax.value, framesMax.value)
  const frames = { at: column(0), from: column(1), to: column(2) }
  return { update, checkFrames, room, bytesAt: bytesAt.value, frames }
}

const tables = ((): Uint32Array => {
  const table = new Uint32Array(8 * 256)
  for (let i = 0; i < 256; i++) {
    let c = i
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
    table[i] = c >>> 0
  }
  for (let i = 0; i < 256; i++) {
    let c = table[i]!
    for (let slice = 1; slice < 8; slice++) {
      c = table[c & 255]! ^ (c >>> 8)
      table[slice * 256 + i] = c >>> 0
    }
  }
  return table
})()

/**
 * Checks frames as chunks of Prometheus lie in: a length, a byte and so many more, and the checksum of both. Those from
 * `first` on begin at `placeOf(i)`, ascending, in bytes that reach to `end`. Returns how many were checked, of which
 * there are as many as fit in the kernel's memory, and what was found: places are those of `bytes` less `base`. It is
 * good until the next call.
 */
export function checkFrames(
  bytes: Uint8Array,
  placeOf: (i: number) => number,
  first: number,
  end: number,
): { count: number; base: number; frames: CheckedFrames } {
  loaded ??= load()
  const { checkFrames: check, room, frames } = loaded
  const base = placeOf(first)
  let count = 0
  while (first + count < end && count < frames.at.length) {
    const at = placeOf(first + count) - base
    // What follows the last one is unknown: it may end behind the room, and is then found wrong here.
    if (count > 0 && at > room.length - frameRoom) break
    frames.at[count++] = at
  }
  const part = bytes.subarray(base, base + room.length)
  room.set(part)
  check(count, part.length)
  return { count, base, frames }
}

/** Checksum of `bytes[from, to)`. `seed` continues an earlier checksum. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length, seed = 0): number {
  return ~(to - from < kernelBytesMin ? updateHere(~seed, bytes, from, to) : updateThere(~seed, bytes, from, to)) >>> 0
}

function updateThere(crc: number, bytes: Uint8Array, from: number, to: number): number {
  loaded ??= load()
  const { update, room, bytesAt } = loaded
  for (let at = from; at < to; at += room.length) {
    const end = Math.min(to, at + room.length)
    room.set(bytes.subarray(at, end))
    crc = update(crc, bytesAt, end - at)
  }
  return crc
}

function updateHere(crc: number, bytes: Uint8Array, from: number, to: number): number {
  let i = from
  for (; i + 8 <= to; i += 8) {
    const low = crc ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
    crc =
      tables[1792 + (low & 255)]! ^
      tables[1536 + ((low >>> 8) & 255)]! ^
      tables[1280 + ((low >>> 16) & 255)]! ^
      tables[1024 + (low >>> 24)]! ^
      tables[768 + bytes[i + 4]!]! ^
      tables[512 + bytes[i + 5]!]! ^
      tables[256 + bytes[i + 6]!]! ^
      tables[bytes[i + 7]!]!
  }
  for (; i < to; i++) crc = tables[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8)
  return crc
}

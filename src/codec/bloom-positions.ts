/** Which bits of a bloom filter stand for an id, by a WASM kernel (kernel/bloom-positions.ts). */
import { startKernel } from './kernel.ts'

interface Kernel {
  memory: WebAssembly.Memory
  idAt: WebAssembly.Global
  placesAt: WebAssembly.Global
  hashesMax: WebAssembly.Global
  fill(hashes: number, bits: bigint): void
}

interface Loaded {
  fill: Kernel['fill']
  id: Uint8Array
  places: Uint32Array
}

let loaded: Loaded | undefined

function load(): Loaded {
  const { memory, idAt, placesAt, hashesMax, fill } = startKernel<Kernel>('bloom-positions')
  return {
    fill,
    id: new Uint8Array(memory.buffer, idAt.value, 16),
    places: new Uint32Array(memory.buffer, placesAt.value, hashesMax.value),
  }
}

/** Places of 16 bytes, in the first `hashes` (64 at most) of what is returned, until the next call. */
export function bloomPositions(id: Uint8Array, hashes: number, bits: bigint): Uint32Array {
  loaded ??= load()
  loaded.id.set(id)
  loaded.fill(hashes, bits)
  return loaded.places
}

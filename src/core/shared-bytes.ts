/** Memory that other threads of the process can read. */

/** Memory to be filled before another thread gets it. */
export function sharedBytes(count: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(count))
}

/** A copy in shared memory, or the bytes themselves where they lie there. Nobody may change either. */
export function inSharedMemory(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? bytes : sharedCopy(bytes)
}

/** A copy in shared memory. Nobody may change it. */
export function sharedCopy(bytes: Uint8Array): Uint8Array {
  const copy = sharedBytes(bytes.length)
  copy.set(bytes)
  return copy
}

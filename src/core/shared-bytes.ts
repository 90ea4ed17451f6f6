/** Memory that other threads of the process can read. */

/** A copy in shared memory. Nobody may change it. */
export function sharedCopy(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
  copy.set(bytes)
  return copy
}

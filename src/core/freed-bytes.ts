/**
 * Memory that is given back at once, and not when V8 looks for garbage: large buffers that come and go make it look
 * often, and memory that is used again costs less than new memory.
 */

/**
 * Gives back the memory below the bytes, which nobody may use any more: neither they nor what shares it. Nothing
 * happens where other threads have it, too, or the bytes are so few that they may lie in Node's pool.
 */
export function freeBytes({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && byteLength > Buffer.poolSize) buffer.transfer(0)
}

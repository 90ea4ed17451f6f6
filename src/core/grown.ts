/** Copies `from` to the beginning of `into`, which is at least as long, and returns `into`. */
export function grown<T extends { set(source: T): void }>(from: T, into: T): T {
  into.set(from)
  return into
}

/** A page that threads share. */
export function sharedPage(bytes: number): Uint8Array<ArrayBufferLike> {
  return new Uint8Array(new SharedArrayBuffer(bytes))
}

/** Pages that hold little begin with so many bytes, and double until they are whole. */
export const smallPageBytes = 4096

/**
 * Makes room for the first `needed` bytes of the last page, which grows up to `pageBytes`: it is replaced then by
 * one that `make` made, and views of it show what it held before.
 */
export function growLastPage(
  pages: Uint8Array[],
  needed: number,
  pageBytes: number,
  make: (bytes: number) => Uint8Array = bytes => new Uint8Array(bytes),
): void {
  const last = pages.at(-1)!
  if (needed <= last.length) return
  const bytes = Math.max(needed, Math.min(pageBytes, last.length * 2))
  pages[pages.length - 1] = grown(last, make(bytes))
}

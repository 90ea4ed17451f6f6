/** Copies `from` to the beginning of `into`, which is at least as long, and returns `into`. */
export function grown<T extends { set(source: T): void }>(from: T, into: T): T {
  into.set(from)
  return into
}

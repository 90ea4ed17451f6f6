/** Lists of series as label pairs have them: ascending numbers, each once. */
import type { Matcher } from '#lang/regex/matcher.ts'

/** The only values that a matcher accepts, where it names them. */
export function textsOf(matcher: Matcher): readonly string[] | undefined {
  if (matcher.kind === '=') return [matcher.value]
  return matcher.kind === '=~' ? matcher.alternatives : undefined
}

/** Every number of the lists, which may be in any order, once and ascending. */
export function unionOf(lists: readonly Uint32Array[]): Uint32Array {
  let total = 0
  for (const list of lists) total += list.length
  const all = new Uint32Array(total)
  let at = 0
  for (const list of lists) {
    all.set(list, at)
    at += list.length
  }
  all.sort()
  let count = 0
  for (let i = 0; i < total; i++) if (i === 0 || all[i] !== all[i - 1]) all[count++] = all[i]!
  return all.subarray(0, count)
}

/** The numbers that both ascending lists have. */
export function intersectionOf(a: Uint32Array, b: Uint32Array): Uint32Array {
  const out = new Uint32Array(Math.min(a.length, b.length))
  let i = 0
  let k = 0
  let count = 0
  while (i < a.length && k < b.length) {
    if (a[i]! < b[k]!) i++
    else if (a[i]! > b[k]!) k++
    else {
      out[count++] = a[i]!
      i++
      k++
    }
  }
  return out.subarray(0, count)
}

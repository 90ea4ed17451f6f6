/**
 * Whole numbers of 64 bits among values, which are doubles otherwise. One that a double can't hold keeps its digits
 * as the value's text; the text of any other number is empty.
 */

/** A number of a value: its double, and its digits where the double is another number. */
export interface Whole {
  readonly num: number
  readonly text: string
}

const safe = Number.MAX_SAFE_INTEGER

/** The digits that a value needs; empty where its double says all. */
export function digitsOf(value: bigint): string {
  const num = Number(value)
  return num > safe || num < -safe ? String(value) : ''
}

/** A value's number from a whole one of any size; beyond 64 bits it wraps, as Go's does. */
export function wholeOf(value: bigint): Whole {
  const int = BigInt.asIntN(64, value)
  return { num: Number(int), text: digitsOf(int) }
}

/** The whole number of a value whose type is an integer's. */
export function bigOf({ num, text }: Whole): bigint {
  return text === '' ? BigInt(Math.trunc(num)) : BigInt(text)
}

/** Negative, 0 or positive as `a` is less, equal or more; NaN where one of them is none. */
export function order(a: number, aText: string | undefined, b: number, bText: string): number {
  if (a !== b || ((aText === undefined || aText === '') && bText === '')) return a === b ? 0 : a - b
  const x = bigOf({ num: a, text: aText ?? '' })
  const y = bigOf({ num: b, text: bText })
  return x < y ? -1 : x > y ? 1 : 0
}

/** A number as APIs show it. */
export function numberText({ num, text }: Whole): string {
  return text === '' ? String(num) : text
}

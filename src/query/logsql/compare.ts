/** The orders of LogsQL's values: numbers by size, times by time, other texts as people sort them. */
import { compareText } from '#core/text.ts'
import { instantOf, ipv4, plainNumberOf, toNumber } from '#lang/logsql/numbers.ts'

const whole = /^-?(?:0|[1-9]\d*)$/
const groupedWhole = /^-?[1-9][\d_]*$/
/** Digits of a whole number that any double keeps. */
const safeDigits = 15

/** Begins with an ASCII letter with which no number begins: those begin with digits, signs, points and Inf. */
function beginsAsText(text: string): boolean {
  const code = text.charCodeAt(0) | 32
  return code >= 97 && code <= 122 && code !== 105
}

/** Numbers with and without units by size, times by time, other texts in their natural order; 0 for equal numbers. */
export function compareValues(a: string, b: string): number {
  if (a === b) return 0
  if (beginsAsText(a) || beginsAsText(b)) return compareNaturally(a, b)
  if (isUtc(a) && isUtc(b)) return compareUtc(a, b)
  if (whole.test(a) && whole.test(b)) return compareWholes(a, b)
  const earlier = instantOf(a)
  const later = earlier === undefined ? undefined : instantOf(b)
  if (earlier !== undefined && later !== undefined) return earlier.ms - later.ms || earlier.subNs - later.subNs
  const x = toNumber(a)
  const y = Number.isNaN(x) ? NaN : toNumber(b)
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x < y ? -1 : x > y ? 1 : 0
  return compareNaturally(a, b)
}

/** A time as rows show it: RFC 3339 in UTC. */
function isUtc(text: string): boolean {
  const { length } = text
  return length >= 20 && text.charCodeAt(length - 1) === 90 && text.charCodeAt(10) === 84 && text.charCodeAt(4) === 45
}

/** Texts of one length are in the order of their times; a second without a fraction comes before those with one. */
function compareUtc(a: string, b: string): number {
  if (a.length === b.length) return a < b ? -1 : 1
  const x = a.slice(0, 19)
  const y = b.slice(0, 19)
  if (x !== y) return x < y ? -1 : 1
  return compareText(a.slice(20, -1).padEnd(9, '0'), b.slice(20, -1).padEnd(9, '0'))
}

/** The order of the pipe sort without a limit: units and times are not read there. */
export function comparePlainly(a: string, b: string): number {
  if (a === b) return 0
  const i = wholeOrAddress(a)
  const k = i === undefined ? undefined : wholeOrAddress(b)
  if (i !== undefined && k !== undefined) return compareWholes(i, k)
  const x = plainNumberOf(a)
  const y = Number.isNaN(x) ? NaN : plainNumberOf(b)
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x < y ? -1 : x > y ? 1 : 0
  return compareNaturally(a, b)
}

function wholeOrAddress(text: string): string | undefined {
  if (whole.test(text)) return text
  if (groupedWhole.test(text)) return text.replaceAll('_', '')
  const address = ipv4(text)
  return address === undefined ? undefined : String(address)
}

/** Whole numbers beyond 2^53 are compared digit for digit. */
export function compareWholes(a: string, b: string): number {
  if (a.length <= safeDigits && b.length <= safeDigits) return Number(a) - Number(b)
  const x = BigInt(a)
  const y = BigInt(b)
  return x < y ? -1 : x > y ? 1 : 0
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57

/** The first half of a character that is two of UTF-16; those below are in the order of their bytes. */
const surrogates = 0xd800

/** Runs of digits by the number that they are, everything else by its bytes. */
export function compareNaturally(a: string, b: string): number {
  let i = 0
  let k = 0
  while (i < a.length && k < b.length) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(k)
    if (!isDigit(x) || !isDigit(y)) {
      if (isDigit(x)) return -1
      if (isDigit(y)) return 1
      if (x !== y) return x < surrogates && y < surrogates ? x - y : compareText(a.slice(i), b.slice(k))
      i++
      k++
      continue
    }
    const endOfA = endOfDigits(a, i)
    const endOfB = endOfDigits(b, k)
    if (isTooLarge(a, i, endOfA) || isTooLarge(b, k, endOfB)) return compareText(a.slice(i), b.slice(k))
    const order = compareDigits(a, i, endOfA, b, k, endOfB)
    if (order !== 0) return order
    i = endOfA
    k = endOfB
  }
  return a.length - i - (b.length - k)
}

/** Digits that no 64 bits hold are a text like any other. */
function isTooLarge(text: string, from: number, to: number): boolean {
  return to - from > 19 && BigInt(text.slice(from, to - 1)) > 1_844_674_407_370_955_160n
}

function endOfDigits(text: string, from: number): number {
  let end = from
  while (end < text.length && isDigit(text.charCodeAt(end))) end++
  return end
}

/** Digits of two texts by the numbers that they are; of equal ones the one with fewer zeros in front comes first. */
function compareDigits(a: string, fromA: number, toA: number, b: string, fromB: number, toB: number): number {
  let i = endOfZeros(a, fromA, toA)
  let k = endOfZeros(b, fromB, toB)
  const longer = toA - i - (toB - k)
  if (longer !== 0) return longer
  for (; i < toA; i++, k++) {
    const order = a.charCodeAt(i) - b.charCodeAt(k)
    if (order !== 0) return order
  }
  return toA - fromA - (toB - fromB)
}

function endOfZeros(text: string, from: number, to: number): number {
  let end = from
  while (end < to && text.charCodeAt(end) === 48) end++
  return end
}

/** Buckets of the pipe stats: a value is rounded down to a multiple of a width, in the form that the value has. */
import type { Bucket } from '#lang/logsql/ast.ts'
import { durationOf, instantOf, ipv4, plainNumberOf, type Instant } from '#lang/logsql/numbers.ts'
import { addressText } from '#lang/logsql/shown.ts'
import { durationText } from './format.ts'
import { instantText, nsOf, timeText } from './row.ts'
import { numberText } from './stats.ts'

const whole = /^-?(?:0|[1-9]\d*)$/
const dayNs = 86_400_000_000_000n
/** The epoch was a Thursday; weeks begin on Mondays. */
const mondayNs = 4n * dayNs
const mondayMs = Number(mondayNs / 1_000_000n)

/** `2026-01-02T03:04:05` */
const secondLength = 19
/** No text begins with it that has a bucket. */
const noSecond = '\0'

/** Is what stands behind the second `Z`, or a fraction of nine digits at most and `Z`? */
function isFractionOfUtc(text: string): boolean {
  const end = text.length - 1
  if (text.charCodeAt(end) !== 90 || end === secondLength + 1 || end > secondLength + 10) return false
  if (end === secondLength) return true
  if (text.charCodeAt(secondLength) !== 46) return false
  for (let i = secondLength + 1; i < end; i++) if (text.charCodeAt(i) < 48 || text.charCodeAt(i) > 57) return false
  return true
}

/** Rounds the values of a field; of times near one another it remembers the text. */
export class Bucketing {
  readonly #width: number
  readonly #wholeWidth: number
  readonly #offset: number
  readonly #isWhole: boolean
  readonly #unit: Bucket['unit']
  /** Of times whose buckets are whole milliseconds: width and offset; otherwise undefined. */
  readonly #step: { widthMs: number; offsetMs: number } | undefined
  #lastMs = NaN
  #lastText = ''
  /** Do all times of a second have the same bucket? Then that of the last second is remembered by its text. */
  readonly #isOfSeconds: boolean
  #lastSecond = noSecond
  #lastSecondBucket = ''

  constructor(bucket: Bucket) {
    const { width, offset, unit } = bucket
    this.#width = width > 0 ? width : 1
    this.#wholeWidth = Math.max(1, Math.trunc(this.#width))
    this.#offset = offset
    this.#isWhole = Number.isInteger(this.#width) && Number.isInteger(offset)
    this.#unit = unit
    this.#step = wholeStepOf(bucket)
    this.#isOfSeconds = this.#step !== undefined && this.#step.widthMs % 1000 === 0 && this.#step.offsetMs % 1000 === 0
  }

  /** A text that is no number, time, address or duration is a bucket of its own. */
  of(text: string): string {
    if (text.startsWith(this.#lastSecond) && isFractionOfUtc(text)) return this.#lastSecondBucket
    const code = text.charCodeAt(0)
    if (!((code >= 48 && code <= 57) || code === 45)) return text
    const instant = instantOf(text)
    if (instant !== undefined) {
      const bucket = this.#ofTime(instant)
      if (this.#isOfSeconds && isFractionOfUtc(text)) {
        this.#lastSecond = text.slice(0, secondLength)
        this.#lastSecondBucket = bucket
      }
      return bucket
    }
    if (this.#isWhole && whole.test(text)) return bucketedWhole(text, this.#width, this.#offset)
    const number = plainNumberOf(text)
    if (!Number.isNaN(number)) return bucketedFraction(number, this.#width, this.#offset)
    const offset = Math.trunc(this.#offset)
    const address = ipv4(text)
    if (address !== undefined) return addressText(floorTo(address, this.#wholeWidth, offset))
    const ns = durationOf(text)
    return Number.isNaN(ns) ? text : durationText(BigInt(floorTo(ns, this.#wholeWidth, offset)))
  }

  #ofTime(instant: Instant): string {
    if (this.#step === undefined)
      return bucketedTime(nsOf(instant), this.#wholeWidth, Math.trunc(this.#offset), this.#unit)
    const { widthMs, offsetMs } = this.#step
    const ms = Math.floor((instant.ms - offsetMs) / widthMs) * widthMs + offsetMs
    if (ms !== this.#lastMs) {
      this.#lastMs = ms
      this.#lastText = timeText(ms, 0)
    }
    return this.#lastText
  }
}

/** Buckets of times that begin with whole milliseconds; undefined for those of a calendar, and of finer widths. */
export function wholeStepOf({ width, offset, unit }: Bucket): { widthMs: number; offsetMs: number } | undefined {
  const widthMs = Math.max(1, Math.trunc(width > 0 ? width : 1)) / 1e6
  const offsetMs = offset / 1e6 + (unit === 'week' ? mondayMs : 0)
  const isOfMs = unit !== 'month' && unit !== 'year' && Number.isInteger(widthMs) && Number.isInteger(offsetMs)
  return isOfMs ? { widthMs, offsetMs } : undefined
}

/** Dates with milliseconds, as VictoriaLogs keeps them: fields that have more than a few are shown in that form. */
export class DateForm {
  readonly #seen = new Set<string>()
  #isOther = false

  add(text: string): void {
    if (this.#isOther || this.#seen.size > fewDates) return
    if (dateForm.test(text)) this.#seen.add(text)
    else this.#isOther = true
  }

  /** A bucket in the form of the field's values. */
  shown(bucket: string): string {
    if (this.#isOther || this.#seen.size <= fewDates || !wholeSecond.test(bucket)) return bucket
    return `${bucket.slice(0, 19)}.${bucket.slice(20, -1).padEnd(3, '0').slice(0, 3)}Z`
  }
}

/** VictoriaLogs keeps so many different texts of a field as texts. */
const fewDates = 8
const dateForm = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{3}Z$/
const wholeSecond = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/

function floorTo(value: number, width: number, offset: number): number {
  return Math.floor((value - offset) / width) * width + offset
}

function bucketedWhole(text: string, width: number, offset: number): string {
  const value = Number(text)
  if (Number.isSafeInteger(value) && Number.isSafeInteger(width)) return String(floorTo(value, width, offset))
  return String(floorBig(BigInt(text), BigInt(width), BigInt(offset)))
}

function floorBig(value: bigint, width: bigint, offset: bigint): bigint {
  const rest = (value - offset) % width
  return value - (rest < 0n ? rest + width : rest)
}

/** Widths with a fraction are multiplied until they have none. */
function bucketedFraction(value: number, width: number, offset: number): string {
  const [digits = '', exponent = '0'] = width.toExponential().split('e')
  const scale = 10 ** Math.max(0, (digits.split('.')[1] ?? '').length - Number(exponent))
  const scaledWidth = Math.round(width * scale)
  const scaled = Math.floor((value - offset) * scale)
  return numberText((Math.floor(scaled / scaledWidth) * scaledWidth) / scale + offset)
}

function bucketedTime(ns: bigint, width: number, offset: number, unit: Bucket['unit']): string {
  const shift = BigInt(offset) + (unit === 'week' ? mondayNs : 0n)
  if (unit !== 'month' && unit !== 'year') return instantText(floorBig(ns, BigInt(width), shift))
  const date = new Date(Number((ns - shift) / 1_000_000n))
  const startMs = Date.UTC(date.getUTCFullYear(), unit === 'year' ? 0 : date.getUTCMonth(), 1)
  return instantText(BigInt(startMs) * 1_000_000n + shift)
}

/** A time as templates hold it: it prints as Go prints it, and has the methods that templates call. */
import { GoInt, type GoFunction, type GoObject, type GoValue } from './values.ts'
import { formatGoTime } from './go-time.ts'

export class GoTime implements GoObject {
  readonly goType = 'time.Time'
  readonly ms: number
  readonly subNs: number
  /** Minutes east of UTC, and the zone's name. */
  readonly offsetMinutes: number
  readonly zone: string

  constructor(ms: number, subNs: number, offsetMinutes = 0, zone = 'UTC') {
    this.ms = ms
    this.subNs = subNs
    this.offsetMinutes = offsetMinutes
    this.zone = zone
  }

  static utc(ms: number, subNs = 0): GoTime {
    return new GoTime(ms, subNs)
  }

  format(layout: string): string {
    return formatGoTime(layout, this.ms, this.subNs, this.offsetMinutes, this.zone)
  }
  toGoString(): string {
    return this.format('2006-01-02 15:04:05.999999999 -0700 MST')
  }

  method(name: string): GoFunction | undefined {
    const method = methods[name]
    return method === undefined ? undefined : { ...method, run: (...args) => method.run(this, ...args) }
  }
}

interface Method {
  parameters: readonly string[]
  rest: undefined
  run: (time: GoTime, ...args: never[]) => GoValue
}
const plain = (run: (time: GoTime) => GoValue): Method => ({ parameters: [], rest: undefined, run })
const number = (layout: string): Method => plain(time => new GoInt(Number(time.format(layout))))
const ofTime = (run: (time: GoTime, other: GoTime) => GoValue): Method => ({
  parameters: ['time.Time'],
  rest: undefined,
  run,
})
const order = (a: GoTime, b: GoTime): number => a.ms - b.ms || a.subNs - b.subNs

const methods: Readonly<Partial<Record<string, Method>>> = Object.assign(Object.create(null) as object, {
  Format: {
    parameters: ['string'],
    rest: undefined,
    run: (time: GoTime, layout: string): GoValue => time.format(layout),
  },
  Unix: plain(time => new GoInt(Math.floor(time.ms / 1000), 'int64')),
  UnixMilli: plain(time => new GoInt(time.ms, 'int64')),
  UnixNano: plain(time => new GoInt(BigInt(time.ms) * 1_000_000n + BigInt(time.subNs), 'int64')),
  UnixMicro: plain(time => new GoInt(BigInt(time.ms) * 1000n + BigInt(Math.floor(time.subNs / 1000)), 'int64')),
  Nanosecond: plain(time => new GoInt((((time.ms % 1000) + 1000) % 1000) * 1_000_000 + time.subNs)),
  AddDate: {
    parameters: ['int', 'int', 'int'],
    rest: undefined,
    run: (time: GoTime, years: GoInt, months: GoInt, days: GoInt): GoValue => {
      // Elsewhere the distance from UTC can differ between the two days.
      if (time.zone !== 'UTC') throw new Error('AddDate takes times in UTC only')
      const date = new Date(time.ms)
      date.setUTCFullYear(
        date.getUTCFullYear() + years.number,
        date.getUTCMonth() + months.number,
        date.getUTCDate() + days.number,
      )
      if (Number.isNaN(date.getTime())) throw new Error('the date is out of range')
      return new GoTime(date.getTime(), time.subNs)
    },
  },
  Compare: ofTime((time, other) => new GoInt(Math.sign(order(time, other)))),
  YearDay: number('002'),
  Year: number('2006'),
  Day: number('2'),
  Hour: number('15'),
  Minute: number('4'),
  Second: number('5'),
  IsZero: plain(time => time.ms === -62_135_596_800_000 && time.subNs === 0),
  Before: ofTime((time, other) => order(time, other) < 0),
  After: ofTime((time, other) => order(time, other) > 0),
  Equal: ofTime((time, other) => order(time, other) === 0),
  UTC: plain(time => new GoTime(time.ms, time.subNs)),
  String: plain(time => time.toGoString()),
})

/** A time as templates hold it: it prints as Go prints it, and has the methods that templates call. */
import { GoInt, type GoObject, type GoValue } from './execute.ts'
import { formatGoTime } from './go-time.ts'

export class GoTime implements GoObject {
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

  method(name: string): ((args: readonly GoValue[]) => GoValue) | undefined {
    switch (name) {
      case 'Format':
        return ([layout]) => this.format(typeof layout === 'string' ? layout : '')
      case 'Unix':
        return () => new GoInt(Math.floor(this.ms / 1000))
      case 'UnixMilli':
        return () => new GoInt(this.ms)
      case 'UnixNano':
        return () => new GoInt(BigInt(this.ms) * 1_000_000n + BigInt(this.subNs))
      case 'Year':
        return () => new GoInt(Number(this.format('2006')))
      case 'Day':
        return () => new GoInt(Number(this.format('2')))
      case 'Hour':
        return () => new GoInt(Number(this.format('15')))
      case 'Minute':
        return () => new GoInt(Number(this.format('4')))
      case 'Second':
        return () => new GoInt(Number(this.format('5')))
      case 'IsZero':
        return () => this.ms === -62_135_596_800_000
      case 'Before':
        return ([other]) => other instanceof GoTime && this.ms < other.ms
      case 'After':
        return ([other]) => other instanceof GoTime && this.ms > other.ms
      case 'UTC':
        return () => new GoTime(this.ms, this.subNs)
      case 'String':
        return () => this.toGoString()
      default:
        return undefined
    }
  }
}

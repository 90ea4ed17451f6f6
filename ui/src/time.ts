/** The time that a page looks at: `range` (1h) and `end` (Unix seconds; without it: now). */
import { secondsOf } from './format.ts'
import { usePlace } from './router.ts'

export interface TimeRange {
  start: number
  end: number
  seconds: number
  isNow: boolean
  text: string
}

export const presets = ['5m', '15m', '1h', '3h', '6h', '12h', '1d', '2d', '7d', '30d'] as const

export function rangeOf(params: URLSearchParams, nowSeconds = Date.now() / 1000): TimeRange {
  const text = params.get('range') ?? '1h',
    seconds = Number.isNaN(secondsOf(text)) || secondsOf(text) === 0 ? 3600 : secondsOf(text),
    given = Number(params.get('end') ?? NaN),
    end = Number.isFinite(given) ? given : nowSeconds
  return { start: end - seconds, end, seconds, isNow: !Number.isFinite(given), text }
}

/** Seconds as a range that reads well. */
export function rangeText(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds))
  for (const [unit, size] of [
    ['d', 86400],
    ['h', 3600],
    ['m', 60],
  ] as const)
    if (whole % size === 0) return `${whole / size}${unit}`
  return `${whole}s`
}

/** A step that gives about as many points as there is room for. */
export function stepFor(seconds: number, points: number): number {
  const raw = seconds / Math.max(10, points)
  return (
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400].find(step => step >= raw) ??
    86400
  )
}

/** Of the address bar, with `tick` to look again at what is now. */
export function useRange(tick: number): TimeRange {
  const { params } = usePlace()
  void tick
  return rangeOf(params)
}

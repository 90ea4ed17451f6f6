import { dateTime } from '../format.ts'
import { go, usePlace, withParams } from '../router.ts'
import { presets, rangeOf, rangeText } from '../time.ts'

const intervals = [
  ['0', 'off'],
  ['5', '5 s'],
  ['15', '15 s'],
  ['60', '1 min'],
] as const

/** Seconds between looks, by the address bar. */
export function refreshOf(params: URLSearchParams): number {
  return Number(params.get('refresh') ?? '0') || 0
}

const local = (seconds: number): string => {
  const d = new Date(seconds * 1000 - new Date(seconds * 1000).getTimezoneOffset() * 60_000)
  return d.toISOString().slice(0, 19)
}

export function RangePicker({ onRefresh }: { onRefresh?: () => void }) {
  const { params } = usePlace(),
    range = rangeOf(params),
    set = (change: Record<string, string | undefined>): void => {
      go(withParams(change))
    }
  return (
    <div class="row" role="group" aria-label="Time">
      <button
        aria-label="Earlier"
        onClick={() => {
          set({ end: String(Math.round(range.end - range.seconds / 2)) })
        }}
      >
        ‹
      </button>
      <select
        aria-label="Range"
        value={presets.includes(range.text as '1h') ? range.text : ''}
        onChange={e => {
          set({ range: e.currentTarget.value })
        }}
      >
        {!presets.includes(range.text as '1h') && <option value="">{range.text}</option>}
        {presets.map(p => (
          <option key={p} value={p}>
            last {p}
          </option>
        ))}
      </select>
      <input
        type="datetime-local"
        step="1"
        aria-label="Until"
        value={range.isNow ? '' : local(range.end)}
        title={dateTime(range.end * 1000)}
        onChange={e => {
          const at = Date.parse(e.currentTarget.value)
          set({ end: Number.isNaN(at) ? undefined : String(Math.round(at / 1000)) })
        }}
      />
      <button
        aria-label="Later"
        disabled={range.isNow}
        onClick={() => {
          const end = range.end + range.seconds / 2
          set({ end: end >= Date.now() / 1000 ? undefined : String(Math.round(end)) })
        }}
      >
        ›
      </button>
      <button
        disabled={range.isNow}
        onClick={() => {
          set({ end: undefined })
        }}
      >
        Now
      </button>
      <button
        onClick={() => {
          set({ range: rangeText(range.seconds * 2) })
        }}
      >
        Wider
      </button>
      <label>
        Refresh{' '}
        <select
          value={String(refreshOf(params))}
          onChange={e => {
            set({ refresh: e.currentTarget.value === '0' ? undefined : e.currentTarget.value })
          }}
        >
          {intervals.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {onRefresh !== undefined && <button onClick={onRefresh}>Run again</button>}
    </div>
  )
}

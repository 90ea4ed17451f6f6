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

type Change = Record<string, string | undefined>

const set = (change: Change): void => {
  go(withParams(change))
}

/** How long a time: a preset, or the one that the address has. */
function Length({ text }: { text: string }) {
  const isPreset = presets.some(preset => preset === text)
  return (
    <select
      aria-label="Range"
      value={isPreset ? text : ''}
      onChange={e => {
        set({ range: e.currentTarget.value })
      }}
    >
      {!isPreset && <option value="">{text}</option>}
      {presets.map(p => (
        <option key={p} value={p}>
          last {p}
        </option>
      ))}
    </select>
  )
}

function Until({ end, isNow }: { end: number; isNow: boolean }) {
  return (
    <input
      type="datetime-local"
      step="1"
      aria-label="Until"
      value={isNow ? '' : local(end)}
      title={dateTime(end * 1000)}
      onChange={e => {
        const at = Date.parse(e.currentTarget.value)
        set({ end: Number.isNaN(at) ? undefined : String(Math.round(at / 1000)) })
      }}
    />
  )
}

function Refresh({ seconds }: { seconds: number }) {
  return (
    <label>
      Refresh{' '}
      <select
        value={String(seconds)}
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
  )
}

export function RangePicker({ onRefresh }: { onRefresh?: () => void }) {
  const { params } = usePlace()
  const { end, seconds, text, isNow } = rangeOf(params)
  const goEarlier = (): void => {
    set({ end: String(Math.round(end - seconds / 2)) })
  }
  const goLater = (): void => {
    const later = end + seconds / 2
    set({ end: later >= Date.now() / 1000 ? undefined : String(Math.round(later)) })
  }
  const goNow = (): void => {
    set({ end: undefined })
  }
  const widen = (): void => {
    set({ range: rangeText(seconds * 2) })
  }
  return (
    <div class="row" role="group" aria-label="Time">
      <button aria-label="Earlier" onClick={goEarlier}>
        ‹
      </button>
      <Length text={text} />
      <Until end={end} isNow={isNow} />
      <button aria-label="Later" disabled={isNow} onClick={goLater}>
        ›
      </button>
      <button disabled={isNow} onClick={goNow}>
        Now
      </button>
      <button onClick={widen}>Wider</button>
      <Refresh seconds={refreshOf(params)} />
      {onRefresh !== undefined && <button onClick={onRefresh}>Run again</button>}
    </div>
  )
}

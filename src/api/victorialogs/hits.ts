/** Counts of rows by step and by fields. */
import { LimitError } from '#core/errors.ts'
import { compareText, keyOfTexts } from '#core/text.ts'
import { instantOf } from '#lang/logsql/numbers.ts'
import { timeText, type Fields } from '#query/logsql/row.ts'

const bucketsMax = 100_000

export interface HitsStep {
  widthMs: number
  offsetMs: number
}

export interface HitsSeries {
  fields: Record<string, string>
  timestamps: string[]
  values: number[]
  total: number
}

interface Counts {
  fields: Record<string, string>
  byMs: Map<number, number>
  total: number
}

/** A series for each combination of values; with a limit, the rest of them as one series without fields. */
export function hitsOf(rows: Iterable<Fields>, step: HitsStep, names: readonly string[], limit: number): HitsSeries[] {
  let all = countsOf(rows, step, names)
  if (limit > 0 && limit < all.length) {
    all.sort((a, b) => b.total - a.total)
    all = [...all.slice(0, limit), together(all.slice(limit))]
  }
  return all
    .map(counts => ({ counts, key: JSON.stringify(counts.fields) }))
    .sort((a, b) => compareText(a.key, b.key))
    .map(({ counts: { fields, byMs, total } }) => {
      const points = [...byMs].sort((a, b) => a[0] - b[0])
      return { fields, timestamps: points.map(([ms]) => timeText(ms, 0)), values: points.map(([, n]) => n), total }
    })
}

function countsOf(rows: Iterable<Fields>, { widthMs, offsetMs }: HitsStep, names: readonly string[]): Counts[] {
  const groups = new Map<string, Counts>()
  for (const row of rows) {
    const values = names.map(name => row.get(name) ?? '')
    const key = keyOfTexts(values)
    let group = groups.get(key)
    if (group === undefined) {
      const fields = Object.fromEntries(names.map((name, i) => [name, values[i]!]))
      groups.set(key, (group = { fields, byMs: new Map(), total: 0 }))
    }
    const time = instantOf(row.get('_time') ?? '')
    if (time === undefined) continue
    const ms = Math.floor((time.ms - offsetMs) / widthMs) * widthMs + offsetMs
    group.byMs.set(ms, (group.byMs.get(ms) ?? 0) + 1)
    group.total++
    if (group.byMs.size > bucketsMax)
      throw new LimitError(`there are more than ${bucketsMax} steps, which is the limit; take a longer step`, 422)
  }
  return [...groups.values()]
}

function together(all: readonly Counts[]): Counts {
  const rest: Counts = { fields: {}, byMs: new Map(), total: 0 }
  for (const { byMs, total } of all) {
    rest.total += total
    for (const [ms, n] of byMs) rest.byMs.set(ms, (rest.byMs.get(ms) ?? 0) + n)
  }
  return rest
}

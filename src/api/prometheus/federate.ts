/** GET /federate: the latest samples of chosen series in the text exposition format. */
import type { Clock } from '#core/clock.ts'
import { BadQueryError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { compareText } from '#core/text.ts'
import type { Limits } from '#core/limits.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { MetricsReader, SeriesSet } from '#metrics/select.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { Labels } from '#model/labels.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { Budgets, type Budget } from '#query/budget.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { defaultLookbackMs } from '#query/promql/engine.ts'
import { formatValue } from './json.ts'
import { selectors } from './params.ts'

/** Series whose chunks are fetched, read and released together. */
const seriesAtOnce = 256
/** Units of work (Budget.worked) of a series: its chunk is decoded, later its labels are printed. */
const unitsOfSeries = 256
/** Memory of a series until the answer is sent: its labels, and its place in tables. */
const bytesOfSeries = 400
const pieceChars = 65_536

/** The latest sample of a series. */
interface Latest {
  labels: Labels
  name: string
  value: number
  timeMs: number
}

/**
 * Everything is read before the answer begins, so that what goes wrong has a status; its text is made as it is sent.
 */
export async function federate(
  request: HttpRequest,
  reader: MetricsReader,
  clock: Clock,
  limits: Limits,
): Promise<HttpReply> {
  const form = await request.form()
  let sets: Matcher[][]
  try {
    sets = selectors(form)
  } catch (error) {
    if (!(error instanceof BadQueryError)) throw error
    return { status: 400, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${error.message}\n` }
  }
  const budget = new Budgets(clock, limits).begin(request.signal)
  const nowMs = clock.nowMs()
  const rows: Latest[] = []
  const seen = new Set<string>()
  for (const matchers of sets) {
    const set = await reader.select(matchers, nowMs - defaultLookbackMs, nowMs)
    await eachLatest(set, budget, row => {
      if (sets.length > 1) {
        if (seen.has(row.labels.key)) return
        seen.add(row.labels.key)
      }
      budget.takeBytes(bytesOfSeries)
      rows.push(row)
    })
  }
  await pacedSort(rows, (a, b) => compareText(a.name, b.name), budget)
  return {
    status: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    body: exposition(rows, reader.omissions.text()),
    heldBytes: rows.length * bytesOfSeries,
  }
}

/** A few series at a time are in memory with their samples. */
async function eachLatest(set: SeriesSet, budget: Budget, onRow: (row: Latest) => void): Promise<void> {
  const columns = new SampleColumns()
  for (let from = 0; from < set.labels.length; from += seriesAtOnce) {
    const to = Math.min(set.labels.length, from + seriesAtOnce)
    await set.load(from, to)
    for (let i = from; i < to; i++) {
      columns.clear()
      set.read(i, columns)
      const labels = set.labels[i]!
      const last = columns.count - 1
      // Native histograms have no place in the text format.
      if (last >= 0 && !columns.isStale(last) && columns.histograms?.[last] === undefined)
        onRow({ labels, name: labels.get(metricName), value: columns.values[last]!, timeMs: columns.timesMs[last]! })
      if (budget.worked(unitsOfSeries + columns.count)) await budget.pause()
    }
    set.release()
  }
}

function* exposition(rows: readonly Latest[], warning: string | undefined): Generator<string> {
  let piece = ''
  let known: string | undefined
  for (const { labels, name, value, timeMs } of rows) {
    if (name !== known) piece += `# TYPE ${(known = name)} untyped\n`
    piece += `${name}{${exposed(labels)}} ${formatValue(value)} ${timeMs}\n`
    if (piece.length < pieceChars) continue
    yield piece
    piece = ''
  }
  if (warning !== undefined) piece += `# ${warning.replaceAll('\n', ' ')}\n`
  yield piece
}

/** The labels; `instance` is always there, so that a scrape of this keeps it. */
function exposed(labels: Labels): string {
  const parts: string[] = []
  for (let i = 0; i < labels.pairs.length; i += 2) {
    if (labels.pairs[i] !== metricName) parts.push(`${labels.pairs[i]}="${escaped(labels.pairs[i + 1]!)}"`)
  }
  if (!labels.has('instance')) parts.push('instance=""')
  return parts.join(',')
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

/** GET /federate: the latest samples of chosen series in the text exposition format. */
import type { Clock } from '#core/clock.ts'
import { metricName } from '#core/names.ts'
import { compareText } from '#core/text.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { Labels } from '#model/labels.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { defaultLookbackMs } from '#query/promql/engine.ts'
import { formatValue } from './json.ts'
import { matcherSets } from './params.ts'

export async function federate(request: HttpRequest, reader: MetricsReader, clock: Clock): Promise<HttpReply> {
  const form = await request.form()
  const nowMs = clock.nowMs()
  const latest = new Map<string, { labels: Labels; value: number; timeMs: number }>()
  const columns = new SampleColumns()
  for (const matchers of matcherSets(form)) {
    const set = await reader.select(matchers, nowMs - defaultLookbackMs, nowMs)
    await set.load(0, set.labels.length)
    set.labels.forEach((labels, i) => {
      columns.clear()
      set.read(i, columns)
      const last = columns.count - 1
      // Native histograms have no place in the text format.
      if (last < 0 || columns.isStale(last) || columns.histograms?.[last] !== undefined) return
      latest.set(labels.key, { labels, value: columns.values[last]!, timeMs: columns.timesMs[last]! })
    })
    set.release()
  }
  const rows = [...latest.values()].sort((a, b) => compareText(a.labels.get(metricName), b.labels.get(metricName)))
  let text = ''
  let name: string | undefined
  for (const { labels, value, timeMs } of rows) {
    if (labels.get(metricName) !== name) text += `# TYPE ${(name = labels.get(metricName))} untyped\n`
    text += `${labels.get(metricName)}{${exposed(labels)}} ${formatValue(value)} ${timeMs}\n`
  }
  const warning = reader.omissions.text()
  if (warning !== undefined) text += `# ${warning.replaceAll('\n', ' ')}\n`
  return {
    status: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    body: text,
  }
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

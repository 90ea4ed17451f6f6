/** What is there instead, for an expectation that found nothing. */
import { nearestOf } from '#core/nearest.ts'
import type { Telemetry, TimeRange } from '#library/telemetry.ts'
import { lineText } from './shown-telemetry.ts'

const tracesLookedAt = 200
const linesShown = 5
const nearestShown = 5

/** `3 × shop: GET /cart`, by how often. */
export async function arrivedTraces(telemetry: Telemetry, range: TimeRange): Promise<string[]> {
  const { traces } = await telemetry.traceql('{}', { ...range, limit: tracesLookedAt, spansPerTrace: 1 })
  if (traces.length === 0) return ['no trace has arrived']
  const counts = new Map<string, number>()
  for (const { rootService, rootName } of traces) {
    const name = `${rootService}: ${rootName}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const lines = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${count} × ${name}`)
  return ['traces that have arrived:', ...lines]
}

/** The newest lines of any stream. */
export async function arrivedLines(telemetry: Telemetry, range: TimeRange): Promise<string[]> {
  const { lines } = await telemetry.logql('{service_name=~".+"}', { ...range, limit: linesShown })
  return lines.length === 0 ? ['no line has arrived'] : ['the newest lines that have arrived:', ...lines.map(lineText)]
}

/** A name of a metric: what is quoted, and what stands in brackets, is none. */
const metricNames = /[a-zA-Z_:][a-zA-Z0-9_:]*/g

/** The names that are nearest to those of the expression. */
export async function arrivedMetrics(telemetry: Telemetry, expression: string, range: TimeRange): Promise<string[]> {
  const { series: all } = await telemetry.series('{__name__!=""}', range)
  const known = new Set(all.map(labels => labels['__name__'] ?? ''))
  if (known.size === 0) return ['no metric has arrived']
  const words = expression.replaceAll(/"[^"]*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]/g, ' ').match(metricNames) ?? []
  const wanted = words.find(word => word.includes('_')) ?? words.at(-1) ?? expression
  if (known.has(wanted)) return seriesOf(all, wanted)
  const nearest: string[] = []
  while (nearest.length < Math.min(nearestShown, known.size)) {
    const next =
      nearestOf(
        wanted,
        [...known].filter(name => !nearest.includes(name)),
      ) ?? ''
    nearest.push(next)
  }
  return [`no metric has the name ${wanted}; the nearest of ${known.size}: ${nearest.join(', ')}`]
}

function seriesOf(all: readonly Readonly<Record<string, string>>[], name: string): string[] {
  const own = all.filter(labels => labels['__name__'] === name)
  return [`series of ${name}:`, ...own.map(labels => JSON.stringify({ ...labels, __name__: undefined }))]
}

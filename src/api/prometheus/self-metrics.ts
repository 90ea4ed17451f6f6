/** The process' own metrics as JSON, in the form that protobuf's JSON mapping gives Prometheus' families. */
import { messageOf } from '#core/errors.ts'
import type { Registry, ShownFamily, ShownMetric } from '#core/counter.ts'
import { compileAnchored, type AnchoredRegex } from '#lang/regex/regex.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { formatValue } from './json.ts'
import { invalid } from './params.ts'
import { success } from './respond.ts'

/** JSON has no numbers that are not finite: they are texts. */
const numberOf = (value: number): number | string =>
  Number.isFinite(value) ? value : formatValue(value).replace('+Inf', 'Infinity').replace('-Inf', '-Infinity')

function histogramOf({ bounds, counts, sum }: NonNullable<ShownMetric['histogram']>): object {
  let total = 0
  const bucket = Array.from(counts, (count, i) => {
    total += count
    return { cumulativeCount: String(total), upperBound: numberOf(bounds[i] ?? Infinity) }
  })
  return { sampleCount: String(total), sampleSum: numberOf(sum), bucket: bucket.slice(0, bounds.length) }
}

function familyOf({ name, help, type, metrics }: ShownFamily): object {
  return {
    name,
    help,
    type: type.toUpperCase(),
    metric: metrics.map(({ labels, value, histogram }) => ({
      label: Object.entries(labels).map(([label, text]) => ({ name: label, value: text })),
      [type]: histogram === undefined ? { value: numberOf(value ?? 0) } : histogramOf(histogram),
    })),
  }
}

function patternOf(pattern: string): AnchoredRegex {
  try {
    return compileAnchored(pattern)
  } catch (error) {
    throw invalid('metric_name_pattern', messageOf(error))
  }
}

/** `metric_name_pattern`: families whose whole name matches. */
export async function selfMetrics(registry: Registry, request: HttpRequest): Promise<HttpReply> {
  const pattern = (await request.form()).get('metric_name_pattern') ?? ''
  const wanted = pattern === '' ? undefined : patternOf(pattern)
  const families = [...registry.shown()].filter(({ name }) => wanted?.test(name) !== false)
  return success(JSON.stringify(families.map(familyOf)))
}

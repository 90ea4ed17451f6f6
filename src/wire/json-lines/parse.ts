/** VictoriaMetrics' JSON line format: one series a line, {"metric":{...},"values":[...],"timestamps":[ms...]}. */
import { BadDataError } from '#core/errors.ts'

/** A series with its samples. */
export interface JsonLine {
  labels: Record<string, string>
  timesMs: number[]
  values: number[]
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Lists and objects are no values of labels; they are kept as JSON. */
function labelText(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function toNumber(value: unknown): number {
  if (typeof value === 'number') return value
  // JSON has no words for these.
  if (value === null || value === 'NaN') return NaN
  if (value === 'Infinity' || value === '+Inf' || value === 'Inf') return Infinity
  if (value === '-Infinity' || value === '-Inf') return -Infinity
  throw new BadDataError(`${JSON.stringify(value)} is not a value`)
}

/** One line. Throws BadDataError. */
export function parseJsonLine(line: string): JsonLine {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch (error) {
    throw new BadDataError('not a JSON object', { cause: error })
  }
  const { metric, values, timestamps } = isObject(parsed) ? parsed : {}
  if (!isObject(metric) || !Array.isArray(values) || !Array.isArray(timestamps))
    throw new BadDataError('"metric", "values" and "timestamps" are needed')
  if (values.length !== timestamps.length)
    throw new BadDataError(`${values.length} values and ${timestamps.length} timestamps`)
  const timesMs = timestamps.map(time => {
    if (typeof time !== 'number' || !Number.isFinite(time))
      throw new BadDataError(`${JSON.stringify(time)} is not a timestamp`)
    return Math.round(time)
  })
  return {
    labels: Object.fromEntries(Object.entries(metric).map(([name, value]) => [name, labelText(value)])),
    timesMs,
    values: values.map(toNumber),
  }
}

/** The first `count` samples of a series as a line, with its end. */
export function formatJsonLine(
  labels: Readonly<Record<string, string>>,
  timesMs: ArrayLike<number>,
  values: ArrayLike<number>,
  count: number,
): string {
  const shown: string[] = []
  for (let i = 0; i < count; i++) {
    const v = values[i]!
    shown.push(Number.isFinite(v) ? String(v) : Number.isNaN(v) ? 'null' : v > 0 ? '"Infinity"' : '"-Infinity"')
  }
  const times = Array.from({ length: count }, (_, i) => timesMs[i])
  return `{"metric":${JSON.stringify(labels)},"values":[${shown.join(',')}],"timestamps":[${times.join(',')}]}\n`
}

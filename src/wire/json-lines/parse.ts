/** VictoriaMetrics' JSON line format: one series a line, {"metric":{...},"values":[...],"timestamps":[ms...]}. */
import { BadDataError } from '#core/errors.ts'
import { checkJson } from '#core/json-body.ts'
import { doubleOf, isRawNumber, parseJson } from '#core/json.ts'
import { decodeUtf8Marking } from '#core/text.ts'
import { Labels } from '#model/labels.ts'
import type { BatchBuilder } from '#model/write-batch.ts'

/** A series with its samples. */
export interface JsonLine {
  labels: Record<string, string>
  timesMs: number[]
  values: number[]
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Lists and objects are no values of labels; they are kept as JSON, numbers as they were written. */
function labelText(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function toNumber(value: unknown): number {
  if (typeof value === 'number' || isRawNumber(value)) return doubleOf(value)
  // JSON has no words for these.
  if (value === null) return NaN
  const word = typeof value === 'string' ? /^([+-]?)(nan|inf(?:inity)?)$/i.exec(value) : null
  if (word !== null) return /^n/i.test(word[2]!) ? NaN : word[1] === '-' ? -Infinity : Infinity
  throw new BadDataError(`${JSON.stringify(value)} is not a value`)
}

/** Texts, which stay, and the words that JSON has no numbers for, bare. */
const textsAndWords = /"(?:[^"\\]|\\.)*"|[+-]?\b(?:nan|inf(?:inity)?)\b/gi

/** VictoriaMetrics' older exports wrote NaN and infinities bare. Throws SyntaxError. */
function parseWithWords(line: string): unknown {
  try {
    return parseJson(line)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return parseJson(line.replaceAll(textsAndWords, found => (found.startsWith('"') ? found : `"${found}"`)))
  }
}

/** One line. Throws BadDataError. */
export function parseJsonLine(line: string): JsonLine {
  let parsed: unknown
  try {
    parsed = parseWithWords(line)
  } catch (error) {
    throw new BadDataError('not a JSON object', { cause: error })
  }
  const { metric, values, timestamps } = isObject(parsed) ? parsed : {}
  if (!isObject(metric) || !Array.isArray(values) || !Array.isArray(timestamps))
    throw new BadDataError('"metric", "values" and "timestamps" are needed')
  if (values.length !== timestamps.length)
    throw new BadDataError(`${values.length} values and ${timestamps.length} timestamps`)
  const timesMs = timestamps.map(time => {
    const ms = doubleOf(time)
    if (!Number.isFinite(ms)) throw new BadDataError(`${JSON.stringify(time)} is not a timestamp`)
    return Math.round(ms)
  })
  const labels = Object.entries(metric).map(([name, value]): [string, string] => [name, labelText(value)])
  for (const [name, value] of labels)
    if (!name.isWellFormed() || !value.isWellFormed())
      throw new BadDataError(`the value of label ${JSON.stringify(name)} is not UTF-8`)
  return {
    labels: Object.fromEntries(labels),
    timesMs,
    values: values.map(toNumber),
  }
}

/** Longer lines are counted before they are parsed: shorter ones can't hold more than any body may. */
const lineBytesFree = 64 * 1024

/** Adds the series of a line, with `extra` labels; nothing for a blank line. Throws BadDataError and LimitError. */
export function addJsonLine(bytes: Uint8Array, extra: readonly [string, string][], builder: BatchBuilder): void {
  if (bytes.length > lineBytesFree) checkJson(bytes)
  const line = decodeUtf8Marking(bytes, 0, bytes.length)
  if (line.trim() === '') return
  const { labels, timesMs, values } = parseJsonLine(line)
  const series = builder.addSeries(Labels.from([...Object.entries(labels), ...extra]))
  // NaN is a gap, as in VictoriaMetrics.
  for (let i = 0; i < timesMs.length; i++)
    if (!Number.isNaN(values[i])) builder.batch.addSample(series, timesMs[i]!, values[i]!)
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

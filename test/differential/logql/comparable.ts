/**
 * What of an answer counts: status, content type, and the body. Left out or made alike, because it is not defined:
 * - statistics of a query (`stats`), which are those of the run;
 * - the last digits of floats: 12 significant ones count;
 * - the order of series in a list, of detected labels and fields, of equal volumes, of the values of a field;
 * - the order of encoding flags;
 * - the time of a scalar: Loki's milliseconds overflow;
 * - the order of the reasons for which a push is refused;
 * - which line a pipeline error names, where several have errors: its error and labels;
 * - of /ready, /metrics, /config, /services, /ring and buildinfo everything but the form.
 */
import type { Answer, Question } from '../question.ts'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/** An answer without what never counts: what is kept of a recording. */
export function withoutStatistics(answer: Answer): Answer {
  if (answer.type !== 'application/json') return answer
  try {
    const body = JSON.parse(answer.body) as { data?: { stats?: Json }; stats?: Json }
    if (typeof body.data === 'object' && body.data !== null && body.data.stats !== undefined)
      body.data.stats = 'left out'
    else if (typeof body.stats === 'object') body.stats = 'left out'
    else return answer
    return { ...answer, body: JSON.stringify(body) }
  } catch {
    return answer
  }
}

const rounded = (text: string): string =>
  /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text) ? String(Number(Number(text).toPrecision(12))) : text

function roundedPoint(point: Json): Json {
  return Array.isArray(point) && typeof point[1] === 'string'
    ? [point[0]!, rounded(point[1]), ...point.slice(2)]
    : point
}

/** Values of a vector, a matrix or a scalar, rounded. */
function roundedResult(data: { [name: string]: Json }): void {
  const { resultType, result } = data
  if (resultType === 'scalar' && Array.isArray(result)) data['result'] = roundedPoint([0, result[1]!])
  if ((resultType !== 'vector' && resultType !== 'matrix') || !Array.isArray(result)) return
  for (const one of result as { value?: Json; values?: Json[] }[]) {
    if (one.value !== undefined) one.value = roundedPoint(one.value)
    if (one.values !== undefined) one.values = one.values.map(roundedPoint)
  }
}

const byText = (a: Json, b: Json): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
/** Members in the order of their names. */
function byName(value: Json): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort())
}
const sorted = (list: Json | undefined): Json => (Array.isArray(list) ? [...list].sort(byText) : (list ?? null))

function body(question: Question, text: string): Json {
  const { path } = question
  let json: { [name: string]: Json }
  try {
    json = JSON.parse(text) as typeof json
  } catch {
    if (path.endsWith('/push')) return sorted(text.trimEnd().split('; '))
    return text
      .replace(/^pipeline error: '[^\n]*\.\n/, 'pipeline error\n')
      .replace(/\(e\.g \| __error__!="[^"]*"\)/, '(e.g)')
  }
  if (typeof json !== 'object' || json === null) return json
  const { data } = json
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) {
    roundedResult(data)
    if (data['encodingFlags'] !== undefined) data['encodingFlags'] = sorted(data['encodingFlags'])
  }
  if (path.endsWith('/series') && Array.isArray(data)) return { ...json, data: sorted(data.map(byName)) }
  if (path.includes('/volume') && typeof data === 'object' && data !== null && !Array.isArray(data)) {
    const rows = sorted(data['result']) as Json[]
    return { ...json, data: { ...data, result: rows } }
  }
  if (path.endsWith('/patterns')) return { ...json, data: sorted(data) }
  if (path.endsWith('/detected_labels')) return { ...json, detectedLabels: sorted(json['detectedLabels']) }
  if (path.includes('/detected_field/')) return { ...json, values: sorted(json['values']) }
  if (path.endsWith('/detected_fields') && Array.isArray(json['fields']))
    return {
      ...json,
      fields: sorted(
        (json['fields'] as { parsers?: Json }[]).map(field => ({ ...field, parsers: sorted(field.parsers ?? null) })),
      ),
    }
  if (path.endsWith('/buildinfo')) return Object.keys(json).sort()
  return json
}

const formOnly = new Set(['/metrics', '/config', '/services', '/ring', '/ready', '/log_level'])

export function comparable(question: Question, answer: Answer): unknown {
  const { status, type } = answer
  if (formOnly.has(question.path))
    return { status, type, isText: answer.body.length > 0 && !answer.body.endsWith(' spoiled') }
  const kept = withoutStatistics(answer)
  return { status, type, body: body(question, kept.body) }
}

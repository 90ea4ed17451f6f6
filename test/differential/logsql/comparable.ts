/**
 * What of an answer counts. Not compared, because VictoriaLogs does not define it:
 *
 * - the order of rows, unless the query sorts last; the order of the fields of a row, which JSON does not know either;
 * - digits of fractions behind the twelfth: they depend on the order in which blocks are added up;
 * - the words of an error: both say what was refused in words of their own. Status and content type are compared, and
 *   that there are words.
 * - hits of field names: VictoriaLogs estimates them by the blocks that have the field; with that, their order;
 * - which values are listed when a limit leaves some out; all hits are 0 then;
 * - the order of fields within a text that is a JSON object: they are in the order of stored columns;
 * - the order of the metrics in answers of `stats_query`;
 * - which of the values with equally many hits a facet shows when it does not show all of them.
 */
import type { Answer, Question } from '../question.ts'

const sortingPipe =
  /\|\s*(?:sort|order|first|last|top)\b[^|]*(?:\|\s*(?:fields|limit|head|offset|rename|copy)\b[^|]*)*$/

export function comparable(question: Question, { status, type, body }: Answer): unknown {
  if (status >= 400) return { status, type, hasWords: body.trim() !== '' }
  if (type !== 'application/stream+json') return { status, type, body: inOrder(question, rounded(parsed(body))) }
  const rows = body
    .split('\n')
    .filter(line => line !== '')
    .map(line => rounded(parsed(line)))
  const query = question.params?.['query']
  const isSorted = typeof query === 'string' && sortingPipe.test(query)
  return { status, type, rows: isSorted ? rows : sorted(rows) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function inOrder({ path }: Question, body: unknown): unknown {
  if (typeof body !== 'object' || body === null) return body
  const { values, facets, data } = body as Body
  if (values !== undefined && path.endsWith('/field_names')) return sorted(values.map(({ value }) => value))
  if (values !== undefined && values.length > 0 && values.every(({ hits }) => hits === 0)) return values.length
  if (facets !== undefined) return withoutTies(facets)
  if (!path.endsWith('/stats_query') || data?.result === undefined) return body
  return { ...body, data: { ...data, result: sorted(data.result) } }
}

interface Body {
  values?: { value: string; hits: number }[]
  facets?: Facet[]
  data?: { result?: unknown[] }
}

interface Facet {
  field_name: string
  values: { field_value: string; hits: number }[]
}

function withoutTies(facets: readonly Facet[]): Facet[] {
  return facets.map(({ field_name, values }) => {
    const least = values.at(-1)?.hits
    const shown = values.map(({ field_value, hits }) => ({ field_value: hits === least ? '' : field_value, hits }))
    return { field_name, values: sorted(shown) as Facet['values'] }
  })
}

function sorted(list: readonly unknown[]): unknown[] {
  return list
    .map(item => ({ item, key: keyOf(item) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ item }) => item)
}

function keyOf(item: unknown): string {
  return JSON.stringify(item, (_key, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
}

/** Fractions with twelve digits. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number') return shortened(String(value), value)
  if (typeof value === 'string') return ofText(value)
  if (Array.isArray(value)) return value.map(rounded)
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, rounded(inner)]))
  return value
}

function ofText(text: string): unknown {
  if (/^-?\d+\.\d+$/.test(text) && text.length > 14) return String(shortened(text, text))
  const object = text.startsWith('{"') ? parsed(text) : text
  return typeof object === 'string' ? text : { json: keyOf(object) }
}

function shortened(text: string, otherwise: unknown): unknown {
  return text.includes('.') ? Number(Number(text).toPrecision(12)) : otherwise
}

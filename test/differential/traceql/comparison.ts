/**
 * What counts of an answer. Not compared is what says something of the run and nothing of the data: statistics of the
 * search (`metrics`), the build's own facts. Not ordered in Tempo are attributes of a span, names, values, series and
 * their labels, traces that start at one time, and spans that operators and coalesce() bring together; floats are
 * compared with twelve digits. Which traces fill a limit, which names and values one of them, and which spans stand
 * for a series as exemplars is the server's choice: their number counts, and what is said of an exemplar.
 */
import type { Answer, Question } from '../question.ts'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

export function comparable(question: Question, { status, type, body }: Answer): unknown {
  if (body === '') return { status }
  if (question.headers?.['accept'] === 'application/protobuf')
    return { status, type, length: status === 200 ? 0 : body }
  if (question.path === '/api/status/buildinfo' && status === 200)
    return { status, type, names: Object.keys(parsed(body) as object).sort() }
  if (question.path === '/status/version') return { status, type }
  if (type !== 'application/json') return { status, type, body: body.trimEnd() }
  const read = normal(parsed(body), '', isJoined(question))
  const exemplars = question.id.startsWith('metrics/exemplars/') ? [...new Set(exemplarNames(body))].sort() : []
  return { status, type, body: filled(question, read), exemplars }
}

/** What is said of exemplars, whichever they are, and of whatever series: the names of their labels. */
function exemplarNames(body: string): string[] {
  const read = body.includes('"exemplars"') ? parsed(body) : ''
  const { series = [] } = read as unknown as { series?: { exemplars?: { labels: { key: string }[] }[] }[] }
  return series.flatMap(one => one.exemplars ?? []).flatMap(one => one.labels.map(label => label.key))
}

/** Operators between spansets and coalesce() leave no order. */
function isJoined({ params }: Question): boolean {
  return /coalesce\(\)|[})]\s*[&|<>~!]+\s*[({]/.test(String(params?.['q'] ?? ''))
}

/** A limit that is reached may be filled with any traces, unless the newest are asked for. */
function filled({ params, path }: Question, body: Json): Json {
  const limit = Number(params?.['limit'] ?? 20)
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return body
  if (path.includes('/search/tag') && limit > 0 && params?.['limit'] !== undefined) return counted(body)
  if (path !== '/api/search') return body
  const { traces } = body
  const isAny = !String(params?.['q'] ?? '').includes('most_recent')
  return Array.isArray(traces) && traces.length === limit && isAny ? { traces: limit } : body
}

function parsed(body: string): Json {
  try {
    return JSON.parse(body) as Json
  } catch {
    return body
  }
}

/** Lists whose order says nothing, by the name of their member. */
const unordered: ReadonlySet<string> = new Set([
  'attributes',
  'tagNames',
  'tagValues',
  'tags',
  'scopes',
  'series',
  'labels',
  'traces',
])

function normal(value: Json, name: string, joined: boolean): Json {
  if (typeof value === 'number') return Number(value.toPrecision(12))
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) {
    const items = value.map(item => normal(item, '', joined))
    const isUnordered = unordered.has(name) || (joined && name === 'spans')
    return isUnordered ? items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items
  }
  // Of spans without an order, those that are shown of more are any of them.
  if (joined && Array.isArray(value['spans']) && value['spans'].length !== value['matched'])
    return { matched: value['matched']!, spans: value['spans'].length }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'metrics' && key !== 'exemplars')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, normal(member, key, joined)]),
  )
}

/** Lists by their length. */
function counted(value: Json): Json {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return typeof value[0] === 'string' ? value.length : value.map(counted)
  const members = Object.entries(value).map(([key, member]): [string, Json] => [
    key,
    key === 'tagValues' ? (member as Json[]).length : counted(member),
  ])
  return Object.fromEntries(members)
}

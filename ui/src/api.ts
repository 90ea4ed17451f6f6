/** The process behind the page, by the APIs that it has for everybody. */
import { remembered } from './hooks.ts'

/** Of a native histogram: bounds and count of each bucket, `[boundaries, lower, upper, count]`. */
export interface Histogram {
  count: string
  sum: string
  buckets?: [number, string, string, string][]
}
export interface Series {
  metric: Record<string, string>
  values: [number, string][]
  histograms?: [number, Histogram][]
}
export interface Sample {
  metric: Record<string, string>
  value: [number, string]
  histogram?: [number, Histogram]
}
export interface StreamLines {
  stream: Record<string, string>
  values: [string, string, Record<string, string>?][]
}
export interface Exemplar {
  labels: Record<string, string>
  value: string
  timestamp: number
}

/** What the process said against it. */
export class ApiError extends Error {
  readonly status: number
  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

/** Whose data is looked at, where the process has tenants. */
function tenantHeader(): Record<string, string> {
  const tenant = remembered('tenant', '')
  return tenant === '' ? {} : { 'x-scope-orgid': tenant }
}

/** Somebody has logged in; a page that has lost its session loads itself again, once. */
let hasSession = false

async function read(reply: Response): Promise<unknown> {
  const text = await reply.text()
  let body: unknown
  try {
    body = text === '' ? undefined : JSON.parse(text)
  } catch {
    body = undefined
  }
  if (!reply.ok) {
    // The session is over: the page that comes is that of the login.
    if (reply.status === 401 && hasSession) location.reload()
    const said = body as { error?: string; message?: string } | undefined
    throw new ApiError(
      said?.error ?? said?.message ?? (text.trim().slice(0, 500) || `status ${reply.status}`),
      reply.status,
    )
  }
  return body ?? text
}

/** Who looks at the page. */
export interface Who {
  name: string
  /** Null: all. */
  tenants: string[] | null
  /** Requests name tenants. */
  tenancy: boolean
  hasSession: boolean
}

/** Asked without a tenant: one that was kept may be of somebody else, and be refused. */
export async function whoami(signal: AbortSignal): Promise<Who> {
  const who = (await read(await fetch('/auth/whoami', { headers: { accept: 'application/json' }, signal }))) as Who
  ;({ hasSession } = who)
  return who
}

export async function signOut(): Promise<void> {
  await send('POST', '/auth/logout')
  hasSession = false
  location.assign('/')
}

/** Happens on the window for every answer that lacks something; its detail says what. */
export const warningEvent = 'tercet-warning'

export async function get<T>(
  path: string,
  params: Record<string, string | undefined> = {},
  signal?: AbortSignal,
): Promise<T> {
  const query = new URLSearchParams(
    Object.entries(params).filter((p): p is [string, string] => p[1] !== undefined),
  ).toString()
  const reply = await fetch(query === '' ? path : `${path}?${query}`, {
    headers: { accept: 'application/json', ...tenantHeader() },
    ...(signal === undefined ? {} : { signal }),
  })
  const warning = reply.headers.get('x-tercet-warning')
  if (warning !== null) dispatchEvent(new CustomEvent(warningEvent, { detail: warning }))
  return (await read(reply)) as T
}

export async function send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
  return (await read(
    await fetch(path, {
      method,
      headers: {
        accept: 'application/json',
        ...tenantHeader(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  )) as T
}

const dataOf = <T>(answer: { data: T }): T => answer.data

export async function queryRange(
  query: string,
  start: number,
  end: number,
  step: number,
  signal?: AbortSignal,
): Promise<{ result: Series[]; warnings: string[] }> {
  const answer = await get<{
    data: { result: (Omit<Series, 'values'> & { values?: Series['values'] })[] }
    warnings?: string[]
  }>('/api/v1/query_range', { query, start: String(start), end: String(end), step: String(step) }, signal)
  return { result: answer.data.result.map(s => ({ ...s, values: s.values ?? [] })), warnings: answer.warnings ?? [] }
}
export async function queryInstant(
  query: string,
  time?: number,
  signal?: AbortSignal,
): Promise<{ resultType: string; result: Sample[] | [number, string] }> {
  return dataOf(
    await get<{ data: { resultType: string; result: Sample[] | [number, string] } }>(
      '/api/v1/query',
      { query, ...(time === undefined ? {} : { time: String(time) }) },
      signal,
    ),
  )
}
export async function queryExemplars(
  query: string,
  start: number,
  end: number,
  signal?: AbortSignal,
): Promise<{ seriesLabels: Record<string, string>; exemplars: Exemplar[] }[]> {
  return dataOf(
    await get<{ data: { seriesLabels: Record<string, string>; exemplars: Exemplar[] }[] }>(
      '/api/v1/query_exemplars',
      { query, start: String(start), end: String(end) },
      signal,
    ),
  )
}

/** One number, or undefined where there is none. */
export async function number(query: string, signal?: AbortSignal): Promise<number | undefined> {
  const { result } = await queryInstant(query, undefined, signal),
    [first] = result as Sample[]
  return first === undefined || typeof first === 'number' ? undefined : Number(first.value[1])
}

const ns = (seconds: number): string => `${Math.round(seconds * 1000)}000000`
export async function queryLogs(
  query: string,
  start: number,
  end: number,
  limit: number,
  direction: 'forward' | 'backward',
  signal?: AbortSignal,
): Promise<{ resultType: string; result: StreamLines[] | Series[] }> {
  return dataOf(
    await get<{ data: { resultType: string; result: StreamLines[] | Series[] } }>(
      '/loki/api/v1/query_range',
      { query, start: ns(start), end: ns(end), limit: String(limit), direction },
      signal,
    ),
  )
}
export async function queryLogMetric(
  query: string,
  start: number,
  end: number,
  step: number,
  signal?: AbortSignal,
): Promise<Series[]> {
  return dataOf(
    await get<{ data: { result: Series[] } }>(
      '/loki/api/v1/query_range',
      { query, start: ns(start), end: ns(end), step: String(step) },
      signal,
    ),
  ).result
}

export interface TraceRow {
  traceID: string
  rootServiceName?: string
  rootTraceName?: string
  startTimeUnixNano: string
  durationMs?: number
  spanSets?: {
    matched: number
    spans: { spanID: string; name?: string; startTimeUnixNano: string; durationNanos: string }[]
  }[]
}
export async function searchTraces(
  q: string,
  start: number,
  end: number,
  limit: number,
  signal?: AbortSignal,
): Promise<TraceRow[]> {
  return (
    (
      await get<{ traces?: TraceRow[] }>(
        '/api/search',
        { q, start: String(Math.floor(start)), end: String(Math.ceil(end)), limit: String(limit), spss: '3' },
        signal,
      )
    ).traces ?? []
  )
}

/** Numbers of the process itself, as it exposes them: `name{labels}` to value. */
export async function ownMetrics(signal?: AbortSignal): Promise<Map<string, number>> {
  const text = await (await fetch('/metrics', signal === undefined ? {} : { signal })).text(),
    found = new Map<string, number>()
  for (const line of text.split('\n'))
    if (line !== '' && !line.startsWith('#')) {
      const at = line.lastIndexOf(' ')
      found.set(line.slice(0, at), Number(line.slice(at + 1)))
    }
  return found
}
/** Sum over the series of a name. */
export function sumOf(metrics: ReadonlyMap<string, number>, name: string, label = ''): number {
  let sum = 0
  for (const [key, value] of metrics)
    if ((key === name || key.startsWith(`${name}{`)) && key.includes(label)) sum += value
  return sum
}

export interface Block {
  signal: string
  tenant: string
  id: string
  startMs: number
  endMs: number
  bytes: number
  level: number
  count: number
  unit: string
}
/** What a signal has of a tenant, and what came of it since the start of the process. */
export interface TenantRow {
  signal: string
  tenant: string
  /** Series, streams or live traces in memory. */
  active: number
  received: number
  receivedBytes: number
  refused: Record<string, number>
  queries: number
  blocks: number
  blockBytes: number
}
/** What was asked of object stores since the start of the process; see docs/sizing.md for the prices. */
export interface Requests {
  seconds: number
  signals: { signal: string; put: number; get: number; head: number; list: number; delete: number }[]
  dollarsAMonth: number
  durability: string
  durabilityIntervalMs: number
}
/** A block that can't be read, or not wholly. */
export interface Damage {
  signal: string
  tenant: string
  id: string
  reason: string
  isWhole: boolean
}
/** Blocks of a signal that a time reaches into: what a query may have to read from the bucket. */
export async function blocksIn(
  of: 'metrics' | 'logs' | 'traces',
  start: number,
  end: number,
  signal?: AbortSignal,
): Promise<{ count: number; bytes: number }> {
  const { blocks } = await get<{ blocks: Block[] }>('/api/tercet/blocks', {}, signal),
    own = blocks.filter(b => b.signal === of && b.startMs < end * 1000 && b.endMs > start * 1000)
  return { count: own.length, bytes: own.reduce((sum, b) => sum + b.bytes, 0) }
}

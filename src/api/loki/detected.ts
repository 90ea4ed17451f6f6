/** detected_labels and detected_fields: what there is to filter by. Source: docs/http-api.md. */
import { yieldEvery } from '#core/yield.ts'
import type { Clock } from '#core/clock.ts'
import { parseGoDurationNs } from '#lang/logql/lexer.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
import type { LogsReader } from '#logs/select.ts'
import type { HttpReply } from '#net/route-table.ts'
import type { LogqlEngine } from '#query/logql/engine.ts'
import { readJsonFields } from '#query/logql/json-line.ts'
import { labelName } from '#query/logql/json-line.ts'
import { readLogfmt } from '#query/logql/logfmt-line.ts'
import type { FoundLine } from '#query/logql/log-query.ts'
import { boundsParam, limitParam, selectorParam } from './params.ts'
import { ok } from './respond.ts'

/** Labels that are worth showing whatever their values. */
const alwaysShown: ReadonlySet<string> = new Set(['cluster', 'namespace', 'instance', 'pod'])
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export async function detectedLabels(form: URLSearchParams, reader: LogsReader, clock: Clock): Promise<HttpReply> {
  const { start, end } = boundsParam(form, clock.nowMs())
  const values = new Map<string, Set<string>>()
  for (const { pairs } of await reader.streams(selectorParam(form), start.ms, end.ms)) {
    for (let i = 0; i < pairs.length; i += 2) {
      const set = values.get(pairs[i]!)
      if (set === undefined) values.set(pairs[i]!, new Set([pairs[i + 1]!]))
      else set.add(pairs[i + 1]!)
    }
  }
  const shown = [...values].filter(([name, set]) => alwaysShown.has(name) || isUseful([...set]))
  return ok(JSON.stringify({ detectedLabels: shown.map(([label, set]) => ({ label, cardinality: set.size })) }))
}

function isUseful(values: readonly string[]): boolean {
  if (values.length <= 2 && values.every(v => v === '0' || v === '1')) return true
  return !values.every(v => /^[+-]?\d+(\.\d+)?$/.test(v)) && !values.every(v => uuid.test(v))
}

export interface DetectedField {
  label: string
  type: string
  cardinality: number
  parsers: string[] | null
  jsonPath?: string[]
}

interface Found {
  values: Set<string>
  parsers: Set<string> | null
  jsonPath: string[] | undefined
}

/** Lines whose fields are read between two pauses, in up to 3 ms. */
const linesPerPause = 50
const pauseEveryMs = 8

async function collect(
  form: URLSearchParams,
  reader: LogsReader,
  engine: LogqlEngine,
  clock: Clock,
): Promise<Map<string, Found>> {
  const { start, end } = boundsParam(form, clock.nowMs())
  const lineLimit = Number(form.get('line_limit') ?? '') || 100
  const expr = parseLogQuery(form.get('query') ?? '')
  const { lines } = await engine.lines(
    expr,
    {
      bounds: { fromMs: start.ms, fromSubNs: start.subNs, toMs: end.ms, toSubNs: end.subNs },
      limit: lineLimit,
      isBackward: true,
      intervalNs: 0,
    },
    reader,
  )
  const found = new Map<string, Found>()
  const add = (name: string, value: string, parser: string | null, path?: string[]): void => {
    let field = found.get(name)
    if (field === undefined)
      found.set(name, (field = { values: new Set(), parsers: parser === null ? null : new Set(), jsonPath: path }))
    field.values.add(value)
    if (parser !== null) field.parsers?.add(parser)
  }
  const pause = yieldEvery(clock, pauseEveryMs)
  for (const [i, line] of lines.entries()) {
    readFields(line, add)
    if (i % linesPerPause === 0) await pause()
  }
  return found
}

function readFields(
  line: FoundLine,
  add: (name: string, value: string, parser: string | null, path?: string[]) => void,
): void {
  for (let i = 0; i < line.metadata.length; i += 2) add(line.metadata[i]!, line.metadata[i + 1]!, null)
  const isJson = line.line.trimStart().startsWith('{')
  const paths = isJson ? jsonPaths(line.line) : undefined
  let any = false
  const taken = new Set(line.stream.filter((_, i) => i % 2 === 0))
  const nameOf = (name: string): string => (taken.has(name) ? `${name}_extracted` : name)
  const problem = readJsonFields(
    line.line,
    (name, value) => {
      any = true
      add(nameOf(name), value, 'json', paths?.get(name))
      return true
    },
    () => {},
  )
  if (problem === undefined && any) return
  readLogfmt(line.line, true, (key, value) => {
    if (value !== '') add(nameOf(labelName(key)), value, 'logfmt')
    return true
  })
}

/** Names of objects in objects; deeper ones make no field. */
const pathMax = 100

/** By label name: the keys that lead to it. */
function jsonPaths(line: string): Map<string, string[]> {
  const paths = new Map<string, string[]>()
  const walk = (value: unknown, path: string[]): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      if (path.length > 0) {
        const name = labelName(path.join('_'))
        if (!paths.has(name)) paths.set(name, path)
      }
      return
    }
    if (path.length < pathMax) for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key])
  }
  try {
    walk(JSON.parse(line), [])
  } catch {
    return paths
  }
  return paths
}

function typeOf(value: string): string {
  if (/^[+-]?\d+$/.test(value)) return 'int'
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value)) return 'float'
  if (/^(true|false|t|f|TRUE|FALSE|True|False|T|F)$/.test(value)) return 'boolean'
  if (parseGoDurationNs(value) !== undefined) return 'duration'
  return /^\d+(\.\d+)?\s?(B|kB|KB|MB|GB|TB|PB|KiB|MiB|GiB|TiB|PiB|[kmgtp]i?b?)$/i.test(value) ? 'bytes' : 'string'
}

export async function detectedFields(
  form: URLSearchParams,
  reader: LogsReader,
  engine: LogqlEngine,
  clock: Clock,
): Promise<HttpReply> {
  const limit = limitParam(form, 1000)
  const found = await collect(form, reader, engine, clock)
  if (found.size === 0) return ok('{}')
  const fields = [...found].slice(0, limit).map(([label, { values, parsers, jsonPath }]): DetectedField => ({
    label,
    type: typeOf([...values][0]!),
    cardinality: values.size,
    parsers: parsers === null ? null : [...parsers],
    ...(jsonPath === undefined ? {} : { jsonPath }),
  }))
  return ok(JSON.stringify({ fields, limit }))
}

export async function detectedFieldValues(
  name: string,
  form: URLSearchParams,
  reader: LogsReader,
  engine: LogqlEngine,
  clock: Clock,
): Promise<HttpReply> {
  const limit = limitParam(form, 1000)
  const found = await collect(form, reader, engine, clock)
  return ok(JSON.stringify({ limit, values: [...(found.get(name)?.values ?? [])].slice(0, limit) }))
}

/** detected_labels and detected_fields: what there is to filter by. Source: docs/http-api.md. */
import { yieldEvery } from '#core/yield.ts'
import type { Clock } from '#core/clock.ts'
import { compareText } from '#core/text.ts'
import { parseGoDurationNs } from '#lang/logql/lexer.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
import type { LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import type { HttpReply } from '#net/route-table.ts'
import type { LogqlEngine } from '#query/logql/engine.ts'
import { toBytes, toFloat } from '#query/logql/conversions.ts'
import { errorDetailsLabel, errorLabel } from '#query/logql/entry.ts'
import { fieldPath, labelName, readJsonFields } from '#query/logql/json-line.ts'
import { readLogfmt } from '#query/logql/logfmt-line.ts'
import type { FoundLine } from '#query/logql/log-query.ts'
import { boundsParam, limitParam, refuseLong, refuseReversed, selectorParam, stepParam } from './params.ts'
import { ok } from './respond.ts'

/** Labels that are worth showing whatever their values. */
const alwaysShown: ReadonlySet<string> = new Set(['cluster', 'namespace', 'instance', 'pod'])
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export async function detectedLabels(
  form: URLSearchParams,
  reader: LogsReader,
  clock: Clock,
  lengthMaxMs: number,
): Promise<HttpReply> {
  const { start, end } = boundsParam(form, clock.nowMs())
  refuseReversed({ start, end })
  refuseLong(start, end, 0, lengthMaxMs)
  const values = new Map<string, Set<string>>()
  for (const { pairs } of await reader.streams(selectorParam(form, 'empty'), start.ms, end.ms)) {
    for (let i = 0; i < pairs.length; i += 2) {
      const set = values.get(pairs[i]!)
      if (set === undefined) values.set(pairs[i]!, new Set([pairs[i + 1]!]))
      else set.add(pairs[i + 1]!)
    }
  }
  const shown = [...values].filter(([name, set]) => alwaysShown.has(name) || isUseful([...set]))
  if (shown.length === 0) return ok('{"detectedLabels":null}')
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
  /** The value that was seen last, which is the oldest one: it says of which type the field is. */
  last: string
  parsers: Set<string>
  jsonPath: string[] | undefined
}

/** Fields under way, by label. */
class FoundFields {
  readonly byLabel = new Map<string, Found>()

  add(label: string, value: string, parser: string | undefined, path: string[] | undefined): void {
    let field = this.byLabel.get(label)
    if (field === undefined) {
      field = { values: new Set(), last: '', parsers: new Set(), jsonPath: undefined }
      this.byLabel.set(label, field)
    }
    field.values.add(value)
    field.last = value
    field.jsonPath = path ?? field.jsonPath
    if (parser !== undefined) field.parsers.add(parser)
  }
}

/** Lines whose fields are read between two pauses, in up to 3 ms. */
const linesPerPause = 50
const pauseEveryMs = 8

async function collect(
  form: URLSearchParams,
  reader: LogsReader,
  engine: LogqlEngine,
  clock: Clock,
  lengthMaxMs: number,
): Promise<Map<string, Found>> {
  const { start, end } = boundsParam(form, clock.nowMs())
  refuseReversed({ start, end })
  stepParam(form, start, end)
  refuseLong(start, end, 0, lengthMaxMs)
  const lineLimit = limitParam(form, 100, 'line_limit')
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
  const found = new FoundFields()
  const pause = yieldEvery(clock, pauseEveryMs)
  for (const [i, line] of byStream(lines).entries()) {
    readFields(line, found)
    if (i % linesPerPause === 0) await pause()
  }
  return found.byLabel
}

/** One stream after the other, in the order of their labels, the newest line of each first. */
function byStream(lines: readonly FoundLine[]): FoundLine[] {
  const keys = new Map<readonly string[], string>()
  const keyOf = ({ stream }: FoundLine): string => {
    let key = keys.get(stream)
    if (key === undefined) keys.set(stream, (key = new Labels(stream).toString()))
    return key
  }
  return lines.toSorted((a, b) => compareText(keyOf(a), keyOf(b)))
}

interface LineFields {
  parser: 'json' | 'logfmt'
  values: ReadonlyMap<string, string>
  /** Of JSON: the keys that lead to a field. */
  paths: ReadonlyMap<string, string[]>
}

/** Fields of a line, and the parser that finds them: JSON where the line is whole as such, pairs otherwise. */
function fieldsOf(text: string, stream: readonly string[]): LineFields {
  const taken = new Set(stream.filter((_, i) => i % 2 === 0))
  const labelOf = (name: string): string => (taken.has(name) ? `${name}_extracted` : name)
  const values = new Map<string, string>()
  const paths = new Map<string, string[]>()
  const restart = (): void => {
    values.clear()
    paths.clear()
  }
  const addJson = (name: string, value: string): boolean => {
    const label = labelOf(name)
    if (!values.has(label)) {
      values.set(label, value)
      paths.set(label, fieldPath())
    }
    return true
  }
  if (readJsonFields(text, addJson, restart) === undefined && values.size > 0) return { parser: 'json', values, paths }
  restart()
  readLogfmt(text, false, (key, value) => {
    const label = labelOf(labelName(key))
    if (value !== '' && !values.has(label)) values.set(label, value.replaceAll('\ufffd', ' '))
    return true
  })
  return { parser: 'logfmt', values, paths }
}

function readFields(line: FoundLine, found: FoundFields): void {
  const { metadata, parsed, stream } = line
  for (let i = 0; i < metadata.length; i += 2) found.add(metadata[i]!, metadata[i + 1]!, undefined, undefined)
  const { parser, values, paths } = fieldsOf(line.line, stream)
  for (let i = 0; i < parsed.length; i += 2)
    if (parsed[i] !== errorLabel && parsed[i] !== errorDetailsLabel)
      found.add(parsed[i]!, parsed[i + 1]!, parser, paths.get(parsed[i]!))
  for (const [name, value] of values)
    if (name !== errorLabel && name !== errorDetailsLabel) found.add(name, value, parser, paths.get(name))
}

function typeOf(value: string): string {
  if (/^[+-]?\d+$/.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value)) return 'int'
  if (typeof toFloat(value) === 'number') return 'float'
  if (/^(true|false|t|f|TRUE|FALSE|True|False|T|F)$/.test(value)) return 'boolean'
  if (parseGoDurationNs(value) !== undefined) return 'duration'
  return typeof toBytes(value) === 'number' ? 'bytes' : 'string'
}

/** Loki's first name for it is asked for too. */
function fieldLimit(form: URLSearchParams): number {
  return limitParam(form, limitParam(form, 1000, 'field_limit'))
}

export async function detectedFields(
  form: URLSearchParams,
  reader: LogsReader,
  engine: LogqlEngine,
  clock: Clock,
  lengthMaxMs: number,
): Promise<HttpReply> {
  const limit = fieldLimit(form)
  const found = await collect(form, reader, engine, clock, lengthMaxMs)
  if (found.size === 0) return ok('{}')
  const fields = [...found].slice(0, limit).map(([label, { values, last, parsers, jsonPath }]): DetectedField => ({
    label,
    type: typeOf(last),
    cardinality: values.size,
    parsers: parsers.size === 0 ? null : [...parsers],
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
  lengthMaxMs: number,
): Promise<HttpReply> {
  const limit = fieldLimit(form)
  const found = (await collect(form, reader, engine, clock, lengthMaxMs)).get(name)
  if (found === undefined) return ok('{"values":null}')
  return ok(JSON.stringify({ limit, values: [...found.values].slice(0, limit) }))
}

/**
 * Log entries that come as JSON objects, with the parameters by which senders say what means what. Source: docs/logs.md
 * (the VictoriaLogs part). Nested objects become names with dots; lists stay JSON.
 */
import { BadDataError } from '#core/errors.ts'
import { isRawNumber, wholeOf } from '#core/json.ts'
import type { LogBatchBuilder } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'

/** How fields become time, line, stream and metadata. */
export interface FieldRules {
  /** Names of the fields that make the stream. */
  streamFields: readonly string[]
  /** The first of these that is there is the time, or the line. */
  timeFields: readonly string[]
  messageFields: readonly string[]
  ignoredFields: readonly string[]
  decolorizedFields: readonly string[]
  extraFields: readonly (readonly [string, string])[]
}

/** `list` reads a parameter by either of its names. */
export function readFieldRules(
  parameter: (name: string, header: string) => string | undefined,
  defaults: Partial<FieldRules> = {},
): FieldRules {
  const list = (name: string, header: string): string[] | undefined => {
    const text = parameter(name, header)
    return text === undefined || text === ''
      ? undefined
      : text
          .split(',')
          .map(part => part.trim())
          .filter(part => part !== '')
  }
  return {
    streamFields: list('_stream_fields', 'vl-stream-fields') ?? defaults.streamFields ?? [],
    timeFields: list('_time_field', 'vl-time-field') ?? defaults.timeFields ?? ['_time'],
    messageFields: list('_msg_field', 'vl-msg-field') ?? defaults.messageFields ?? ['_msg'],
    ignoredFields: list('ignore_fields', 'vl-ignore-fields') ?? [],
    decolorizedFields: list('decolorize_fields', 'vl-decolorize-fields') ?? [],
    extraFields: (list('extra_fields', 'vl-extra-fields') ?? []).map(pair => {
      const at = pair.indexOf('=')
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
    }),
  }
}

/** Lists and objects in one another. */
export const fieldDepthMax = 100

function checkDepth(depth: number): void {
  if (depth > fieldDepthMax) throw new BadDataError(`a JSON object is nested more than ${fieldDepthMax} deep`)
}

/** Throws BadDataError where a list is nested too deep: it would be printed as JSON by as many calls. */
function checkList(list: readonly unknown[], depth: number): void {
  checkDepth(depth)
  for (const value of list)
    if (typeof value === 'object' && value !== null)
      checkList(Array.isArray(value) ? value : Object.values(value), depth + 1)
}

/**
 * Names and values of an object, nested ones joined by dots, numbers as they were written. Empty values are nothing.
 * Throws BadDataError where objects and lists are nested too deep.
 */
export function flattenFields(
  object: Readonly<Record<string, unknown>>,
  prefix = '',
  into = new Map<string, string>(),
  depth = 0,
): Map<string, string> {
  checkDepth(depth)
  for (const [key, value] of Object.entries(object)) {
    const name = prefix === '' ? key : `${prefix}.${key}`
    if (value === null || value === undefined || value === '') continue
    if (typeof value === 'object' && !Array.isArray(value) && !isRawNumber(value))
      flattenFields(value as Record<string, unknown>, name, into, depth + 1)
    else {
      if (Array.isArray(value)) checkList(value, depth + 1)
      into.set(name, typeof value === 'string' ? value : JSON.stringify(value))
    }
  }
  return into
}

/**
 * Unix time in seconds, milliseconds, microseconds or nanoseconds, or RFC 3339 with a space or a `T`; undefined for
 * something else.
 */
export function parseAnyTime(text: string): { ms: number; subNs: number } | undefined {
  const unix = unixTime(text)
  if (unix !== undefined) return unix
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?\s*(Z|[+-]\d\d:?\d\d)?$/i.exec(text)
  if (match === null) return undefined
  const [, day = '', clock = '', digits = '', offset = 'Z'] = match
  const zone = offset.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2').toUpperCase()
  const ms = Date.parse(`${day}T${clock}${zone}`)
  if (Number.isNaN(ms)) return undefined
  const fraction = digits.padEnd(9, '0').slice(0, 9)
  return { ms: ms + Number(fraction.slice(0, 3)), subNs: Number(fraction.slice(3)) }
}

/** The unit follows from the number of digits before the point. A part of a nanosecond is left out. */
function unixTime(text: string): { ms: number; subNs: number } | undefined {
  const whole = wholeOf(text)
  if (whole === undefined) return undefined
  const digits = String(whole < 0n ? -whole : whole).length
  const scale = digits <= 11 ? 9 : digits <= 14 ? 6 : digits <= 17 ? 3 : 0
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
  const ns = wholeOf(`${mantissa}e${Number(exponent) + scale}`)
  if (ns === undefined) return undefined
  let ms = ns / 1_000_000n
  if (ms * 1_000_000n > ns) ms -= 1n
  return { ms: Number(ms), subNs: Number(ns - ms * 1_000_000n) }
}

/** A label name from a field's. */
function labelOf(name: string): string {
  const text = name.replaceAll(/[^A-Za-z0-9_]/gu, '_')
  return /^[0-9]/.test(text) ? `_${text}` : text
}

/** Adds the entry; throws BadDataError when its time can't be read. */
export function addFields(
  fields: Map<string, string>,
  rules: FieldRules,
  builder: LogBatchBuilder,
  nowMs: number,
): void {
  for (const [name, value] of rules.extraFields) fields.set(name, value)
  for (const name of rules.ignoredFields) {
    if (name.endsWith('*')) {
      for (const key of fields.keys()) if (key.startsWith(name.slice(0, -1))) fields.delete(key)
    } else fields.delete(name)
  }
  for (const name of rules.decolorizedFields) {
    const value = fields.get(name)
    if (value !== undefined) fields.set(name, value.replaceAll(ansi, ''))
  }
  let time: { ms: number; subNs: number } | undefined
  const timeField = rules.timeFields.find(name => fields.has(name))
  const text = timeField === undefined ? undefined : fields.get(timeField)
  if (timeField !== undefined && text !== undefined) {
    fields.delete(timeField)
    if (text !== '0' && text !== '-') {
      time = parseAnyTime(text)
      if (time === undefined)
        throw new BadDataError(
          `the time ${JSON.stringify(text)} in ${JSON.stringify(timeField)} can't be read; RFC 3339 or a Unix ` +
            'time was expected',
        )
    }
  }
  const messageField = rules.messageFields.find(name => fields.has(name))
  const line = (messageField === undefined ? undefined : fields.get(messageField)) ?? ''
  if (messageField !== undefined) fields.delete(messageField)
  const labels: [string, string][] = []
  for (const name of rules.streamFields) {
    const value = fields.get(name)
    if (value === undefined) continue
    labels.push([labelOf(name), value])
    fields.delete(name)
  }
  builder.add(Labels.from(labels), time?.ms ?? nowMs, time?.subNs ?? 0, line, [...fields].flat())
}

/** `p{Cc}` with a bracket behind it: the escape character. */
const ansi = /\p{Cc}\[[0-9;]*[A-Za-z]/gu

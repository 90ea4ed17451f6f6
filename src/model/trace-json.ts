/** Attribute values as protobuf's JSON mapping spells them, and back. */
import { BadDataError } from '#core/errors.ts'
import { doubleOf as nearestDouble, isRawNumber, numberText, wholeOf } from '#core/json.ts'
import type { AnyValue, Attribute } from './trace.ts'

/** What JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue }

/** Numbers that JSON has no number for are texts. */
export function doubleJson(value: number): JsonValue {
  return Number.isFinite(value) ? value : Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
}

/** A value as protobuf's JSON mapping has it. */
export function valueToJson(value: AnyValue): JsonValue {
  switch (value.kind) {
    case 'string':
      return { stringValue: value.value }
    case 'bool':
      return { boolValue: value.value }
    case 'int':
      return { intValue: String(value.value) }
    case 'double':
      return { doubleValue: doubleJson(value.value) }
    case 'array':
      return { arrayValue: value.values.length === 0 ? {} : { values: value.values.map(valueToJson) } }
    case 'map':
      return { kvlistValue: value.entries.length === 0 ? {} : { values: attributesToJson(value.entries) } }
    case 'bytes':
      return { bytesValue: Buffer.from(value.value).toString('base64') }
    default:
      return {}
  }
}

/** A list of KeyValues. */
export function attributesToJson(attributes: readonly Attribute[]): JsonValue[] {
  return attributes.map(({ key, value }) => ({ key, value: valueToJson(value) }))
}

type Json = Readonly<Record<string, unknown>>
const asObject = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value) ? (value as Json) : {}
const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
/** A member under either of its two spellings. */
const member = (object: Json, name: string): unknown =>
  object[name] ?? object[name.replaceAll(/[A-Z]/g, c => `_${c.toLowerCase()}`)]

/** A whole number from a number or digits; 0 for anything else. */
export function bigintOf(value: unknown): bigint {
  return wholeOf(typeof value === 'string' ? value : (numberText(value) ?? ''), 20) ?? 0n
}

/** Numbers and texts of numbers; NaN for anything else. */
function doubleOf(value: unknown): number {
  return typeof value === 'string' ? Number(value) : nearestDouble(value)
}

const depthMax = 32

/**
 * A value under either spelling of its member; `none` for anything else, and beyond 32 levels. `isSent`: throws
 * BadDataError there instead, so that the sender learns of it.
 */
export function valueFromJson(json: unknown, depth = 0, isSent = false): AnyValue {
  const object = asObject(json)
  if (depth > depthMax) {
    if (isSent) throw new BadDataError(`OTLP: an attribute is nested more than ${depthMax} deep`)
    return { kind: 'none' }
  }
  const read = (name: string): unknown => member(object, name)
  if (typeof read('stringValue') === 'string') return { kind: 'string', value: read('stringValue') as string }
  if (typeof read('boolValue') === 'boolean') return { kind: 'bool', value: read('boolValue') as boolean }
  if (read('intValue') !== undefined) return { kind: 'int', value: BigInt.asIntN(64, bigintOf(read('intValue'))) }
  if (read('doubleValue') !== undefined) return { kind: 'double', value: doubleOf(read('doubleValue')) }
  if (read('arrayValue') !== undefined)
    return {
      kind: 'array',
      values: asList(asObject(read('arrayValue'))['values']).map(v => valueFromJson(v, depth + 1, isSent)),
    }
  if (read('kvlistValue') !== undefined)
    return { kind: 'map', entries: attributesFromJson(asObject(read('kvlistValue'))['values'], depth + 1, isSent) }
  if (typeof read('bytesValue') === 'string')
    return { kind: 'bytes', value: Buffer.from(read('bytesValue') as string, 'base64') }
  return { kind: 'none' }
}

/**
 * Attributes from a list of KeyValues; an empty list for anything else. Throws as `valueFromJson`, whose default is the
 * other one.
 */
export function attributesFromJson(json: unknown, depth = 0, isSent = true): Attribute[] {
  // A number is no attribute: it would become an object of many times its bytes.
  const entries = asList(json).filter(entry => typeof entry === 'object' && entry !== null)
  return entries.map(entry => {
    const object = asObject(entry)
    return {
      key: typeof object['key'] === 'string' ? object['key'] : '',
      value: valueFromJson(object['value'], depth, isSent),
    }
  })
}

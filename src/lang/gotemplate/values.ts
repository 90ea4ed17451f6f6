/**
 * Values of templates are Go's, as JavaScript has them: int, int64 and uint8 as GoInt, float64 as number, maps as Map,
 * lists as arrays. `null` is a nil that a map, a list or a literal holds; `missing` is no value at all.
 */
import { templateLimits } from '#core/limits.ts'

/** A 64-bit integer, apart from floats: `4` and `4.0` print and compare differently in Go. */
export class GoInt {
  readonly value: bigint
  readonly goType: 'int' | 'int64' | 'uint8'

  constructor(value: bigint | number, goType: 'int' | 'int64' | 'uint8' = 'int') {
    this.value = BigInt.asIntN(64, BigInt(value))
    this.goType = goType
  }
  get number(): number {
    return Number(this.value)
  }
}

/** A value that prints as a text of its own and may have methods: times. */
export interface GoObject {
  /** As `%T` names it. */
  readonly goType: string
  toGoString(): string
  method?(name: string): GoFunction | undefined
}
export type GoValue =
  | string
  | number
  | boolean
  | null
  | GoInt
  | readonly GoValue[]
  | ReadonlyMap<string, GoValue>
  | GoObject

/** A function or method with the types of its parameters, by which the engine checks what a call gives. */
export interface GoFunction {
  /** Go's names of the types: `string`, `int`, `interface {}`, `reflect.Value` for the engine's own ... */
  readonly parameters: readonly string[]
  /** The type of any further arguments; undefined where there may be none. */
  readonly rest: string | undefined
  readonly run: (...args: never[]) => GoValue
}

/** A map of texts: a key that is not there gives an empty text, as Go's zero value of the type. */
export class StringMap extends Map<string, GoValue> {
  readonly goType: string = 'map[string]string'
  override get(name: string): GoValue {
    return super.get(name) ?? ''
  }
}

/** A list of a type of its own, such as `[]string`. */
export class TypedList extends Array<GoValue> {
  goType = '[]string'
}

/** A list of texts. */
export function stringList(texts: readonly string[], goType = '[]string'): readonly GoValue[] {
  const list = new TypedList()
  for (const text of texts) list.push(text)
  list.goType = goType
  return list
}

/** What went wrong while a template ran; the text is Go's. */
export class ExecutionFailure extends Error {
  override name = 'ExecutionFailure'
  readonly kind = 'template-execution'
}

const { charactersMax } = templateLimits

/** Throws when a function would make a value of so many characters. Called before memory is taken for it. */
export function refuseLong(characters: number): void {
  if (!(characters <= charactersMax))
    throw new Error(`the result has more than ${charactersMax} characters, which is the limit`)
}

class Missing implements GoObject {
  readonly goType = '<nil>'
  toGoString(): string {
    return '<no value>'
  }
}
/** No value at all: a pipeline that ends in nil, or what a field of no value gives. */
export const missing: GoObject = new Missing()

export function isObject(value: GoValue): value is GoObject {
  return typeof value === 'object' && value !== null && 'toGoString' in value
}

/** The type as Go names it; that of nil is the type that holds it. */
export function typeName(value: GoValue): string {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'number') return 'float64'
  if (typeof value === 'boolean') return 'bool'
  if (value === null) return 'interface {}'
  if ('goType' in value) return value.goType as string
  return Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}'
}

export function isTrue(value: GoValue): boolean {
  if (value === null || value === missing) return false
  if (typeof value === 'string') return value !== ''
  if (typeof value === 'number') return value !== 0
  if (typeof value === 'boolean') return value
  if (value instanceof GoInt) return value.value !== 0n
  if (Array.isArray(value)) return value.length > 0
  return value instanceof Map ? value.size > 0 : true
}

/** How large a value is, in characters, items or keys. */
export function sizeOf(value: GoValue): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length
  return value instanceof Map ? value.size : 0
}

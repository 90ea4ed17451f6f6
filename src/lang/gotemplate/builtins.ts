/** The functions that every template of Go has. Source: the public text/template documentation. */
import { isPrintable, sprint, sprintf, sprintln } from './go-format.ts'
import { variadic, typed } from './signature.ts'
import { GoInt, isObject, isTrue, missing, StringMap, typeName, type GoFunction, type GoValue } from './values.ts'

type Kind = 'bool' | 'int' | 'float' | 'string' | 'uint' | 'none'

function kindOf(value: GoValue): Kind {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'number') return 'float'
  if (typeof value === 'boolean') return 'bool'
  return value instanceof GoInt ? (value.goType === 'uint8' ? 'uint' : 'int') : 'none'
}

function isNothing(value: GoValue): boolean {
  return value === null || value === missing
}

function isInteger(kind: Kind): boolean {
  return kind === 'int' || kind === 'uint'
}

/** What is compared: whole numbers by their value. */
function plainOf(value: GoValue): GoValue | bigint {
  return value instanceof GoInt ? value.value : value
}

/** Lists, maps and objects. Throws for what Go can't compare. */
function isSameThing(a: GoValue, b: GoValue): boolean {
  if (isNothing(a) || isNothing(b)) return isNothing(a) && isNothing(b)
  const form = (value: GoValue): string => (isObject(value) ? 'object' : Array.isArray(value) ? 'list' : 'map')
  if (form(a) !== form(b))
    throw new Error(`non-comparable types ${sprintf('%s', [a])}: ${typeName(a)}, ${typeName(b)}: ${sprintf('%v', [b])}`)
  if (!isObject(b) || !isObject(a)) throw new Error(`non-comparable type ${sprintf('%s', [b])}: ${typeName(b)}`)
  return typeName(a) === typeName(b) && a.toGoString() === b.toGoString()
}

function isEqual(a: GoValue, b: GoValue): boolean {
  const [x, y] = [kindOf(a), kindOf(b)]
  if (x === y && x === 'none') return isSameThing(a, b)
  if (x === y || (isInteger(x) && isInteger(y))) return plainOf(a) === plainOf(b)
  if (isNothing(a) || isNothing(b)) return false
  throw new Error(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`)
}

function isLess(a: GoValue, b: GoValue): boolean {
  const [x, y] = [kindOf(a), kindOf(b)]
  if (x === 'none' || y === 'none') throw new Error('invalid type for comparison')
  if (x !== y && !(isInteger(x) && isInteger(y)))
    throw new Error(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`)
  if (x === 'bool') throw new Error('invalid type for comparison')
  return plainOf(a)! < plainOf(b)!
}

function escapeHtml(text: string): string {
  return text.replaceAll(
    /[&<>"'\0]/g,
    c => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;', '\0': '\uFFFD' })[c]!,
  )
}

const jsEscapes: Readonly<Partial<Record<string, string>>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '<': '\\u003C',
  '>': '\\u003E',
  '&': '\\u0026',
  '=': '\\u003D',
}
function escapeJs(text: string): string {
  return text.replaceAll(/[\\'"<>&=]|[^ -\x7f]/gu, c => {
    if (c > '\x7f' && isPrintable(c)) return c
    return jsEscapes[c] ?? `\\u${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
  })
}

/** A text within the query of a URL. */
export function escapeQuery(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** What the escapers print: nil as an action prints it. */
function argumentsText(values: readonly GoValue[]): string {
  return sprint(values.map(value => (value === null ? '<no value>' : value)))
}

function indexOf(key: GoValue, length: number): number {
  if (isNothing(key)) throw new Error('cannot index slice/array with nil')
  if (!(key instanceof GoInt)) throw new Error(`cannot index slice/array with type ${typeName(key)}`)
  if (key.value < 0n || key.value > BigInt(length)) throw new Error(`index out of range: ${key.value}`)
  return key.number
}

function byteAt(text: string, key: GoValue): GoInt {
  const bytes = Buffer.from(text)
  const at = indexOf(key, bytes.length)
  if (at === bytes.length) throw new Error('reflect: string index out of range')
  return new GoInt(bytes[at]!, 'uint8')
}

function itemAt(list: readonly GoValue[], key: GoValue): GoValue {
  const at = indexOf(key, list.length)
  if (at === list.length) throw new Error('reflect: slice index out of range')
  return list[at]!
}

function valueOf(map: ReadonlyMap<string, GoValue>, key: GoValue): GoValue {
  if (isNothing(key)) throw new Error('value is nil; should be of type string')
  if (typeof key !== 'string') throw new Error(`value has type ${typeName(key)}; should be string`)
  return map.get(key) ?? (map instanceof StringMap ? '' : null)
}

function indexInto(of: GoValue, keys: readonly GoValue[]): GoValue {
  if (isNothing(of)) throw new Error('index of untyped nil')
  let value = of
  for (const key of keys) {
    if (value === null) throw new Error('index of nil pointer')
    if (typeof value === 'string') value = byteAt(value, key)
    else if (Array.isArray(value)) value = itemAt(value as readonly GoValue[], key)
    else if (value instanceof Map) value = valueOf(value as ReadonlyMap<string, GoValue>, key)
    else throw new Error(`can't index item of type ${typeName(value)}`)
  }
  return value
}

function sliceOf(of: GoValue, bounds: readonly GoValue[]): GoValue {
  if (isNothing(of)) throw new Error('slice of untyped nil')
  if (bounds.length > 3) throw new Error(`too many slice indexes: ${bounds.length}`)
  const bytes = typeof of === 'string' ? Buffer.from(of) : undefined
  if (bytes !== undefined && bounds.length === 3) throw new Error('cannot 3-index slice a string')
  const length = bytes?.length ?? (Array.isArray(of) ? of.length : NaN)
  if (Number.isNaN(length)) throw new Error(`can't slice item of type ${typeName(of)}`)
  const [from = 0, to = length, most] = bounds.map(bound => indexOf(bound, length))
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`)
  if (most !== undefined && to > most) throw new Error(`invalid slice index: ${to} > ${most}`)
  return bytes === undefined ? (of as readonly GoValue[]).slice(from, to) : bytes.subarray(from, to).toString('utf8')
}

function lengthOf(value: GoValue): GoInt {
  if (typeof value === 'string') return new GoInt(Buffer.byteLength(value))
  if (Array.isArray(value)) return new GoInt(value.length)
  if (value instanceof Map) return new GoInt(value.size)
  if (value === missing) throw new Error('reflect: call of reflect.Value.Type on zero Value')
  throw new Error(value === null ? 'len of nil pointer' : `len of type ${typeName(value)}`)
}

const any = 'interface {}'
const raw = 'reflect.Value'

/** The engine runs `and`, `or` and `call` itself: of these only the signatures are here. */
const unreachableRun = (): GoValue => null

export const builtins: ReadonlyMap<string, GoFunction> = new Map<string, GoFunction>([
  ['and', variadic([raw], raw, unreachableRun)],
  ['or', variadic([raw], raw, unreachableRun)],
  ['call', variadic([raw], raw, unreachableRun)],
  ['not', typed([raw], value => !isTrue(value))],
  ['len', typed([raw], lengthOf)],
  ['index', variadic([raw], raw, (of, ...keys) => indexInto(of, keys))],
  ['slice', variadic([raw], raw, (of, ...bounds) => sliceOf(of, bounds))],
  ['print', variadic([], any, (...values) => sprint(values))],
  ['println', variadic([], any, (...values) => sprintln(values))],
  ['printf', variadic(['string'], any, (format, ...args) => sprintf(format, args))],
  ['html', variadic([], any, (...values) => escapeHtml(argumentsText(values)))],
  ['js', variadic([], any, (...values) => escapeJs(argumentsText(values)))],
  ['urlquery', variadic([], any, (...values) => escapeQuery(argumentsText(values)))],
  [
    'eq',
    variadic([raw], raw, (a, ...others) => {
      if (others.length === 0) throw new Error('missing argument for comparison')
      return others.some(b => isEqual(a, b))
    }),
  ],
  ['ne', typed([raw, raw], (a, b) => !isEqual(a, b))],
  ['lt', typed([raw, raw], isLess)],
  ['le', typed([raw, raw], (a, b) => isLess(a, b) || isEqual(a, b))],
  ['gt', typed([raw, raw], (a, b) => !isLess(a, b) && !isEqual(a, b))],
  ['ge', typed([raw, raw], (a, b) => !isLess(a, b))],
])

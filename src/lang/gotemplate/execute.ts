/**
 * Runs a template over data. Values are Go's, as JavaScript has them: int64 as GoInt, float64 as number, maps as Map,
 * lists as arrays.
 */
import type { Argument, Command, Node, Pipe, Template } from './parse.ts'
import { formatGoFloat } from './go-float.ts'

/** A 64-bit integer, apart from floats: `4` and `4.0` print and compare differently in Go. */
export class GoInt {
  readonly value: bigint

  constructor(value: bigint | number) {
    this.value = BigInt.asIntN(64, BigInt(value))
  }
}

/** A value that prints as a text of its own and has methods: times. */
export interface GoObject {
  toGoString(): string
  method?(name: string): ((args: readonly GoValue[]) => GoValue) | undefined
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
export type GoFunction = (...args: GoValue[]) => GoValue

/** What went wrong while a template ran; the text is Go's. */
export class ExecutionFailure extends Error {
  override name = 'ExecutionFailure'
  readonly kind = 'template-execution'
}

const outputMax = 1 << 20
const stepsMax = 100_000

class LoopExit {
  readonly kind: 'break' | 'continue'
  constructor(kind: 'break' | 'continue') {
    this.kind = kind
  }
}

export class TemplateRunner {
  readonly #name: string
  readonly #template: Template
  readonly #source: string
  readonly #functions: ReadonlyMap<string, GoFunction>
  readonly #shown: (value: GoValue) => string
  #out = ''
  #variables: [string, GoValue][] = []
  #steps = 0
  #depth = 0

  /** `shown`: how a value is printed, where not as Go prints it. */
  constructor(
    name: string,
    source: string,
    template: Template,
    functions: ReadonlyMap<string, GoFunction>,
    shown: (value: GoValue) => string = printGo,
  ) {
    this.#shown = shown
    this.#name = name
    this.#source = source
    this.#template = template
    this.#functions = functions
  }

  /** The text; ExecutionFailure when something in it can't be done. */
  run(data: GoValue): string {
    this.#out = ''
    this.#variables = [['$', data]]
    this.#steps = 0
    this.#depth = 0
    this.#walk(this.#template.nodes, data)
    return this.#out
  }

  #fail(at: number, context: string, message: string): never {
    const before = this.#source.slice(0, at)
    const line = before.split('\n').length
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1))
    const shown = context.length > 20 ? `${context.slice(0, 20)}...` : context
    throw new ExecutionFailure(
      `template: ${this.#name}:${line}:${column}: ` +
        `executing ${JSON.stringify(this.#name)} at <${shown}>: ${message}`,
    )
  }

  #write(text: string, at: number): void {
    this.#out += text
    if (this.#out.length > outputMax) this.#fail(at, '', `the output has more than ${outputMax} characters`)
  }

  #walk(nodes: readonly Node[], dot: GoValue): void {
    for (const node of nodes) {
      if (++this.#steps > stepsMax) this.#fail(0, '', `more than ${stepsMax} steps`)
      switch (node.kind) {
        case 'text':
          this.#write(node.text, 0)
          break
        case 'action': {
          const value = this.#pipe(node.pipe, dot)
          if (node.pipe.declares.length === 0) this.#write(this.#shown(value), node.pipe.at)
          break
        }
        case 'if':
        case 'with': {
          const depth = this.#variables.length
          const value = this.#pipe(node.pipe, dot)
          if (isTrue(value)) this.#walk(node.body, node.kind === 'with' ? value : dot)
          else this.#walk(node.otherwise, dot)
          this.#variables.length = depth
          break
        }
        case 'range':
          this.#range(node, dot)
          break
        case 'template':
          this.#call(node.name, node.pipe === undefined ? null : this.#pipe(node.pipe, dot), node.pipe?.at ?? 0)
          break
        default:
          throw new LoopExit(node.kind)
      }
    }
  }

  #call(name: string, data: GoValue, at: number): void {
    const nodes = this.#template.defined.get(name)
    if (nodes === undefined) this.#fail(at, name, `template ${JSON.stringify(name)} not defined`)
    if (++this.#depth > 100) this.#fail(at, name, 'exceeded maximum template depth (100)')
    const outer = this.#variables
    this.#variables = [['$', data]]
    this.#walk(nodes, data)
    this.#variables = outer
    this.#depth--
  }

  #range(node: Node & { kind: 'range' }, dot: GoValue): void {
    const depth = this.#variables.length
    const value = this.#pipe({ ...node.pipe, declares: [] }, dot)
    const items = rangeOver(value)
    if (items === undefined) this.#fail(node.pipe.at, node.pipe.text, `range can't iterate over ${printGo(value)}`)
    const [first, second] = node.pipe.declares
    for (const [key, item] of items) {
      if (first !== undefined) this.#set(second === undefined ? first : second, item, node.pipe.isAssignment)
      if (second !== undefined) this.#set(first!, key, node.pipe.isAssignment)
      try {
        this.#walk(node.body, item)
      } catch (error) {
        if (!(error instanceof LoopExit)) throw error
        if (error.kind === 'break') break
      } finally {
        if (!node.pipe.isAssignment) this.#variables.length = depth
      }
    }
    if (items.length === 0) this.#walk(node.otherwise, dot)
    this.#variables.length = depth
  }

  #set(name: string, value: GoValue, isAssignment: boolean): void {
    if (!isAssignment) {
      this.#variables.push([name, value])
      return
    }
    for (let i = this.#variables.length - 1; i >= 0; i--)
      if (this.#variables[i]![0] === name) {
        this.#variables[i]![1] = value
        return
      }
  }

  #pipe(pipe: Pipe, dot: GoValue): GoValue {
    let value: GoValue = null
    pipe.commands.forEach((command, i) => {
      value = this.#command(command, dot, i === 0 ? undefined : [value])
    })
    for (const name of pipe.declares) this.#set(name, value, pipe.isAssignment)
    return value
  }

  #command(command: Command, dot: GoValue, last: [GoValue] | undefined): GoValue {
    const [first, ...rest] = command.args as [Argument, ...Argument[]]
    if (first.kind === 'function') return this.#function(first.name, rest, command, dot, last)
    if (first.kind === 'field' && (rest.length > 0 || last !== undefined))
      return this.#fieldOf(dot, first.names, command, [...rest.map(a => this.#value(a, dot, command)), ...(last ?? [])])
    if (first.kind === 'variable' && first.names.length > 0 && (rest.length > 0 || last !== undefined))
      return this.#fieldOf(this.#variable(first.name), first.names, command, [
        ...rest.map(a => this.#value(a, dot, command)),
        ...(last ?? []),
      ])
    if (rest.length > 0 || last !== undefined)
      this.#fail(command.at, command.text, `can't give argument to non-function ${command.text}`)
    return this.#value(first, dot, command)
  }

  #function(
    name: string,
    args: readonly Argument[],
    command: Command,
    dot: GoValue,
    last: [GoValue] | undefined,
  ): GoValue {
    // `and` and `or` stop at the value that decides.
    if (name === 'and' || name === 'or') {
      let value: GoValue = null
      for (const arg of args) {
        value = this.#value(arg, dot, command)
        if (isTrue(value) === (name === 'or')) return value
      }
      return last === undefined ? value : last[0]
    }
    const values = args.map(arg => this.#value(arg, dot, command))
    if (last !== undefined) values.push(last[0])
    const run = this.#functions.get(name) ?? builtins.get(name)
    try {
      return run!(...values)
    } catch (error) {
      if (error instanceof ExecutionFailure) throw error
      return this.#fail(
        command.at,
        command.text,
        `error calling ${name}: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }

  #variable(name: string): GoValue {
    for (let i = this.#variables.length - 1; i >= 0; i--)
      if (this.#variables[i]![0] === name) return this.#variables[i]![1]
    return null
  }

  #value(arg: Argument, dot: GoValue, command: Command): GoValue {
    switch (arg.kind) {
      case 'dot':
        return dot
      case 'nil':
        return null
      case 'string':
      case 'bool':
        return arg.value
      case 'number':
        return arg.isInt ? new GoInt(arg.value) : arg.value
      case 'field':
        return this.#fieldOf(dot, arg.names, command, [])
      case 'variable':
        return this.#fieldOf(this.#variable(arg.name), arg.names, command, [])
      case 'pipe':
        return this.#fieldOf(this.#pipe(arg.pipe, dot), arg.names, command, [])
      default:
        return this.#function(arg.name, [], command, dot, undefined)
    }
  }

  #fieldOf(of: GoValue, names: readonly string[], command: Command, args: readonly GoValue[]): GoValue {
    let value = of
    names.forEach((name, i) => {
      if (isObject(value)) {
        // A method comes before a key of the same name.
        const method = value.method?.(name)
        if (method !== undefined) {
          value = method(i === names.length - 1 ? args : [])
          return
        }
      }
      if (value instanceof Map) {
        value = (value as ReadonlyMap<string, GoValue>).get(name) ?? missing
        return
      }
      if (value === null || value === missing)
        this.#fail(command.at, command.text, `nil pointer evaluating interface {}.${name}`)
      this.#fail(command.at, command.text, `can't evaluate field ${name} in type ${typeName(value)}`)
    })
    return value
  }
}

/** What a map gives for a key that it lacks. */
class Missing {
  toGoString(): string {
    return '<no value>'
  }
}
const missing: GoObject = new Missing()

function isObject(value: GoValue): value is GoObject {
  return typeof value === 'object' && value !== null && 'toGoString' in value
}

export function typeName(value: GoValue): string {
  if (value === null) return 'nil'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'number') return 'float64'
  if (typeof value === 'boolean') return 'bool'
  if (value instanceof GoInt) return 'int'
  if (Array.isArray(value)) return '[]interface {}'
  return value instanceof Map ? 'map[string]interface {}' : 'interface {}'
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

function rangeOver(value: GoValue): [GoValue, GoValue][] | undefined {
  if (value === null || value === missing) return []
  if (Array.isArray(value)) return (value as readonly GoValue[]).map((item, i) => [new GoInt(i), item])
  if (value instanceof Map) return [...(value as ReadonlyMap<string, GoValue>)].sort((a, b) => (a[0] < b[0] ? -1 : 1))
  if (value instanceof GoInt)
    return value.value > 10_000n
      ? undefined
      : Array.from({ length: Math.max(0, Number(value.value)) }, (_, i): [GoValue, GoValue] => [
          new GoInt(i),
          new GoInt(i),
        ])
  return undefined
}

/** As `%v` prints it. */
export function printGo(value: GoValue): string {
  if (value === null) return '<no value>'
  if (typeof value === 'string') return value
  if (typeof value === 'number') return formatGoFloat(value)
  if (typeof value === 'boolean') return String(value)
  if (value instanceof GoInt) return String(value.value)
  if (Array.isArray(value))
    return `[${(value as readonly GoValue[]).map(v => (v === null ? '<nil>' : printGo(v))).join(' ')}]`
  if (value instanceof Map)
    return `map[${[...(value as ReadonlyMap<string, GoValue>)]
      .sort((a, b) => (a[0] < b[0] ? -1 : 1))
      .map(([k, v]) => `${k}:${v === null ? '<nil>' : printGo(v)}`)
      .join(' ')}]`
  return (value as GoObject).toGoString()
}

// --- Built-in functions ---

function comparable(
  a: GoValue,
  b: GoValue,
): [bigint, bigint] | [number, number] | [string, string] | [boolean, boolean] {
  if (a instanceof GoInt && b instanceof GoInt) return [a.value, b.value]
  if (typeof a === 'number' && typeof b === 'number') return [a, b]
  if (typeof a === 'string' && typeof b === 'string') return [a, b]
  if (typeof a === 'boolean' && typeof b === 'boolean') return [a, b]
  if (typeof a === 'string' && b === missing) return [a, '']
  if (a === missing && typeof b === 'string') return ['', b]
  throw new Error('incompatible types for comparison')
}

function isEqual(a: GoValue, b: GoValue): boolean {
  if ((a === null || a === missing) && (b === null || b === missing)) return true
  const [x, y] = comparable(a, b)
  return x === y
}
function isLess(a: GoValue, b: GoValue): boolean {
  const [x, y] = comparable(a, b)
  if (typeof x === 'boolean') throw new Error('invalid type for comparison')
  return x < y
}

function escapeHtml(text: string): string {
  return text.replaceAll(
    /[&<>"'\0]/g,
    c => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;', '\0': '\uFFFD' })[c]!,
  )
}
function escapeJs(text: string): string {
  return text.replaceAll(
    /[\\'"<>&=]|\p{Cc}/gu,
    c =>
      ({ '\\': '\\\\', "'": "\\'", '"': '\\"', '<': '\\u003C', '>': '\\u003E', '&': '\\u0026', '=': '\\u003D' })[c] ??
      `\\u${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
  )
}

/** Between two operands of which none is a string, Go's Sprint puts a space. */
function sprint(values: readonly GoValue[]): string {
  let out = ''
  values.forEach((value, i) => {
    if (i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string') out += ' '
    out += printGo(value)
  })
  return out
}

/** printf's verbs, as far as templates use them. */
export function sprintf(format: string, args: readonly GoValue[]): string {
  let next = 0
  const out = format.replaceAll(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])/g,
    (whole, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%'
      const star = (text: string | undefined): number | undefined =>
        text === '*' ? Number(numberOf(args[next++] ?? null)) : text === undefined ? undefined : Number(text)
      const wide = star(width)
      const digits = whole.includes('.') ? (star(precision) ?? 0) : undefined
      if (next >= args.length) return `%!${verb}(MISSING)`
      let text = formatVerb(verb, args[next++]!, flags, digits)
      if (wide !== undefined) {
        const length = [...text].length
        const signed = /^[+-]/.test(text)
        if (flags.includes('-')) text = text + ' '.repeat(Math.max(0, wide - length))
        else if (flags.includes('0') && 'dfeEgGxXobt'.includes(verb))
          text = (signed ? text[0]! : '') + '0'.repeat(Math.max(0, wide - length)) + (signed ? text.slice(1) : text)
        else text = ' '.repeat(Math.max(0, wide - length)) + text
      }
      return text
    },
  )
  return next < args.length
    ? `${out}%!(EXTRA ${args
        .slice(next)
        .map(a => `${typeName(a)}=${printGo(a)}`)
        .join(', ')})`
    : out
}

function numberOf(value: GoValue): number | bigint {
  return value instanceof GoInt ? value.value : typeof value === 'number' ? value : 0
}

function formatVerb(verb: string, value: GoValue, flags: string, digits: number | undefined): string {
  const bad = (): string => `%!${verb}(${typeName(value)}=${printGo(value)})`
  const plus = (text: string): string =>
    flags.includes('+') && !text.startsWith('-')
      ? `+${text}`
      : flags.includes(' ') && !text.startsWith('-')
        ? ` ${text}`
        : text
  switch (verb) {
    case 'v':
      return value === null
        ? '<nil>'
        : value instanceof GoInt || typeof value === 'number'
          ? plus(printGo(value))
          : printGo(value)
    case 's':
      return value instanceof GoInt || typeof value === 'number' || typeof value === 'boolean'
        ? bad()
        : digits === undefined
          ? printGo(value)
          : [...printGo(value)].slice(0, digits).join('')
    case 'q':
      return typeof value === 'string'
        ? JSON.stringify(value)
        : value instanceof GoInt
          ? `'${String.fromCodePoint(Number(value.value))}'`
          : bad()
    case 'd':
      return value instanceof GoInt ? plus(String(value.value)) : bad()
    case 't':
      return typeof value === 'boolean' ? String(value) : bad()
    case 'f':
    case 'F':
      return typeof value === 'number'
        ? plus(Number.isFinite(value) ? value.toFixed(Math.min(digits ?? 6, 100)) : formatGoFloat(value))
        : bad()
    case 'e':
    case 'E':
      return typeof value === 'number'
        ? plus(value.toExponential(digits ?? 6).replace(/e([+-])(\d)$/, 'e$10$2'))
        : bad()
    case 'g':
    case 'G':
      return typeof value === 'number'
        ? plus(digits === undefined ? formatGoFloat(value) : String(Number(value.toPrecision(Math.max(1, digits)))))
        : bad()
    case 'x':
    case 'X': {
      const text =
        value instanceof GoInt
          ? value.value.toString(16)
          : typeof value === 'string'
            ? Buffer.from(value).toString('hex')
            : bad()
      return verb === 'X' ? text.toUpperCase() : text
    }
    case 'o':
      return value instanceof GoInt ? value.value.toString(8) : bad()
    case 'b':
      return value instanceof GoInt ? value.value.toString(2) : bad()
    case 'c':
      return value instanceof GoInt ? String.fromCodePoint(Number(value.value)) : bad()
    case 'T':
      return typeName(value)
    default:
      return `%!${verb}(${typeName(value)}=${printGo(value)})`
  }
}

function indexInto(of: GoValue, keys: readonly GoValue[]): GoValue {
  let value = of
  for (const key of keys) {
    if (value instanceof Map) {
      if (typeof key !== 'string') throw new Error(`value has type ${typeName(key)}; should be string`)
      value = (value as ReadonlyMap<string, GoValue>).get(key) ?? ''
    } else if (Array.isArray(value) || typeof value === 'string') {
      if (!(key instanceof GoInt)) throw new Error(`cannot index slice/array with type ${typeName(key)}`)
      const i = Number(key.value)
      if (i < 0 || i >= value.length) throw new Error(`index out of range: ${i}`)
      value = typeof value === 'string' ? new GoInt(Buffer.from(value)[i]!) : (value as readonly GoValue[])[i]!
    } else throw new Error(value === null ? 'index of untyped nil' : `can't index item of type ${typeName(value)}`)
  }
  return value
}

function sliceOf(of: GoValue, bounds: readonly GoValue[]): GoValue {
  const [from, to] = bounds.map(b => {
    if (!(b instanceof GoInt)) throw new Error(`cannot index slice/array with type ${typeName(b)}`)
    return Number(b.value)
  })
  const bytes = typeof of === 'string' ? Buffer.from(of) : undefined
  const length = bytes?.length ?? (Array.isArray(of) ? of.length : NaN)
  if (Number.isNaN(length)) throw new Error(`can't slice item of type ${typeName(of)}`)
  const a = from ?? 0
  const b = to ?? length
  if (a < 0 || b > length || a > b)
    throw new Error(a > b ? `invalid slice index: ${a} > ${b}` : `index out of range: ${a < 0 ? a : b}`)
  return bytes === undefined ? (of as readonly GoValue[]).slice(a, b) : bytes.subarray(a, b).toString('utf8')
}

function lengthOf(value: GoValue): GoInt {
  if (typeof value === 'string') return new GoInt(Buffer.byteLength(value))
  if (Array.isArray(value)) return new GoInt(value.length)
  if (value instanceof Map) return new GoInt(value.size)
  throw new Error(value === null ? 'len of nil pointer' : `len of type ${typeName(value)}`)
}

export const builtins: ReadonlyMap<string, GoFunction> = new Map<string, GoFunction>([
  ['and', () => null],
  ['or', () => null],
  ['not', value => !isTrue(value!)],
  ['len', value => lengthOf(value!)],
  ['index', (of, ...keys) => indexInto(of!, keys)],
  ['slice', (of, ...bounds) => sliceOf(of!, bounds)],
  ['print', (...values) => sprint(values)],
  ['println', (...values) => `${values.map(printGo).join(' ')}\n`],
  [
    'printf',
    (format, ...args) => {
      if (typeof format !== 'string')
        throw new Error(`wrong type for value; expected string; got ${typeName(format ?? null)}`)
      return sprintf(format, args)
    },
  ],
  ['html', (...values) => escapeHtml(sprint(values))],
  ['js', (...values) => escapeJs(sprint(values))],
  [
    'urlquery',
    (...values) =>
      encodeURIComponent(sprint(values))
        .replaceAll('%20', '+')
        .replaceAll(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
  ],
  [
    'call',
    () => {
      throw new Error('call of nil')
    },
  ],
  [
    'eq',
    (a, ...rest) => {
      if (rest.length === 0) throw new Error('missing argument for comparison')
      return rest.some(b => isEqual(a!, b))
    },
  ],
  ['ne', (a, b) => !isEqual(a!, b!)],
  ['lt', (a, b) => isLess(a!, b!)],
  ['le', (a, b) => isLess(a!, b!) || isEqual(a!, b!)],
  ['gt', (a, b) => !isLess(a!, b!) && !isEqual(a!, b!)],
  ['ge', (a, b) => !isLess(a!, b!)],
])

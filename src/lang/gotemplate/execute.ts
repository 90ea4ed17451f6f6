/**
 * Runs a template over data. Values are Go's, as JavaScript has them: int64 as GoInt, float64 as number, maps as Map,
 * lists as arrays.
 */
import { CanceledError, LimitError, TimeoutError } from '#core/errors.ts'
import { templateLimits } from '#core/limits.ts'
import type { Argument, Command, Node, Pipe, Template } from './parse.ts'
import { TemplateAllowance } from './allowance.ts'
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

const { charactersMax, stepsMax, runDepthMax } = templateLimits

/** Throws when a function would make a value of so many characters. Called before memory is taken for it. */
export function refuseLong(characters: number): void {
  if (!(characters <= charactersMax))
    throw new Error(`the result has more than ${charactersMax} characters, which is the limit`)
}

/**
 * Functions that compile and run regular expressions: a character costs them about sixteen times what it costs
 * others.
 */
const slowFunctions: ReadonlySet<string> = new Set([
  'count',
  'match',
  'reReplaceAll',
  'regexReplaceAll',
  'regexReplaceAllLiteral',
])

/** How large a value is, in characters, items or keys. */
function sizeOf(value: GoValue): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length
  return value instanceof Map ? value.size : 0
}

/** What a runner may be given beside its template. */
export interface RunnerOptions {
  /** How a value is printed, where not as Go prints it. */
  shown?: ((value: GoValue) => string) | undefined
  /** Shared with other runs; one of its own unless given. */
  allowance?: TemplateAllowance | undefined
  /** A template that a function of another run calls: it uses what is left to that one. */
  isInner?: boolean
}

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
  readonly #allowance: TemplateAllowance
  readonly #isInner: boolean
  #out = ''
  #variables: [string, GoValue][] = []
  #depth = 0
  #blocks = 0

  constructor(
    name: string,
    source: string,
    template: Template,
    functions: ReadonlyMap<string, GoFunction>,
    { shown = printGo, allowance = new TemplateAllowance(), isInner = false }: RunnerOptions = {},
  ) {
    this.#shown = shown
    this.#allowance = allowance
    this.#isInner = isInner
    this.#name = name
    this.#source = source
    this.#template = template
    this.#functions = functions
  }

  /**
   * The text. Throws ExecutionFailure when something in it can't be done or costs more than one run may, LimitError
   * when
   * all runs together cost more than they may, and what the allowance's check throws.
   */
  run(data: GoValue): string {
    this.#out = ''
    this.#variables = [['$', data]]
    this.#depth = 0
    this.#blocks = 0
    if (!this.#isInner) this.#allowance.begin()
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
    if (!this.#allowance.print(text.length))
      this.#fail(at, '', `the output has more than ${charactersMax} characters, which is the limit`)
    this.#out += text
  }

  #spend(steps: number, at: number, context: string): void {
    if (!this.#allowance.step(steps)) this.#fail(at, context, `more than ${stepsMax} steps, which is the limit`)
  }

  #walk(nodes: readonly Node[], dot: GoValue): void {
    if (++this.#blocks > runDepthMax) this.#fail(0, '', `blocks nest deeper than ${runDepthMax} levels`)
    this.#spend(1, 0, '')
    for (const node of nodes) {
      this.#spend(1, 0, '')
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
    this.#blocks--
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
    const blocks = this.#blocks
    this.#spend(value instanceof GoInt ? Math.max(0, Number(value.value)) : sizeOf(value), node.pipe.at, node.pipe.text)
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
        this.#blocks = blocks
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
      return this.#fieldOf(dot, first.names, first, [...rest.map(a => this.#value(a, dot, command)), ...(last ?? [])])
    if (first.kind === 'variable' && first.names.length > 0 && (rest.length > 0 || last !== undefined))
      return this.#fieldOf(this.#variable(first.name), first.names, first, [
        ...rest.map(a => this.#value(a, dot, command)),
        ...(last ?? []),
      ])
    if (first.kind === 'nil') this.#fail(first.at, 'nil', 'nil is not a command')
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
    const called = args[0]
    if (name === 'call' && called !== undefined && 'text' in called && values[0] !== null)
      this.#fail(
        command.at,
        command.text,
        `error calling call: non-function ${called.text} of type ${typeName(values[0]!)}`,
      )
    if (last !== undefined) values.push(last[0])
    const run = this.#functions.get(name) ?? builtins.get(name)
    let characters = 0
    for (const value of values) characters += sizeOf(value)
    this.#spend(1 + (characters >>> (slowFunctions.has(name) ? 4 : 8)), command.at, command.text)
    try {
      const result = run!(...values)
      if (typeof result === 'string') refuseLong(result.length)
      this.#spend(sizeOf(result) >>> 8, command.at, command.text)
      return result
    } catch (error) {
      if (error instanceof ExecutionFailure || error instanceof LimitError || isStop(error)) throw error
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
        return arg.isInt ? new GoInt(arg.value) : Number(arg.value)
      case 'field':
        return this.#fieldOf(dot, arg.names, arg, [])
      case 'variable':
        return this.#fieldOf(this.#variable(arg.name), arg.names, arg, [])
      case 'pipe':
        return this.#fieldOf(this.#pipe(arg.pipe, dot), arg.names, command, [])
      default:
        return this.#function(arg.name, [], command, dot, undefined)
    }
  }

  #fieldOf(
    of: GoValue,
    names: readonly string[],
    place: { at: number; text: string },
    args: readonly GoValue[],
  ): GoValue {
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
      // Of nothing at all every field is nothing; a nil that a map holds has none.
      if (value === missing || (value === null && i === 0)) {
        value = missing
        return
      }
      if (value === null) this.#fail(place.at, place.text, `nil pointer evaluating interface {}.${name}`)
      this.#fail(place.at, place.text, `can't evaluate field ${name} in type ${typeName(value)}`)
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

/** The query is over: its time ran out, or nobody waits for it. */
function isStop(error: unknown): boolean {
  return error instanceof TimeoutError || error instanceof CanceledError
}

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

/** As `%v` prints it. Throws ExecutionFailure for what prints more than one run may. */
export function printGo(value: GoValue): string {
  return typeof value === 'string' ? value : printWithin(value, { characters: 0 }, 0)
}

/** Lists can hold themselves many times over: characters and levels are counted while they are printed. */
function printWithin(value: GoValue, used: { characters: number }, depth: number): string {
  if (depth > runDepthMax) throw new ExecutionFailure(`a value nests deeper than ${runDepthMax} levels`)
  let out: string
  if (Array.isArray(value)) out = `[${(value as readonly GoValue[]).map(v => printItem(v, used, depth)).join(' ')}]`
  else if (value instanceof Map)
    out = `map[${[...(value as ReadonlyMap<string, GoValue>)]
      .sort((a, b) => (a[0] < b[0] ? -1 : 1))
      .map(([k, v]) => {
        used.characters += k.length
        return `${k}:${printItem(v, used, depth)}`
      })
      .join(' ')}]`
  else {
    out = printPlain(value as GoInt | GoObject | string | number | boolean | null)
    used.characters += out.length
  }
  used.characters += 2
  if (used.characters > charactersMax)
    throw new ExecutionFailure(`a value prints more than ${charactersMax} characters, which is the limit`)
  return out
}

function printItem(value: GoValue, used: { characters: number }, depth: number): string {
  return value === null ? '<nil>' : printWithin(value, used, depth + 1)
}

function printPlain(value: GoInt | GoObject | string | number | boolean | null): string {
  if (value === null) return '<no value>'
  if (typeof value === 'string') return value
  if (typeof value === 'number') return formatGoFloat(value)
  if (typeof value === 'boolean') return String(value)
  return value instanceof GoInt ? String(value.value) : value.toGoString()
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
  throw new Error(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`)
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

/** Go knows no wider fields and no more digits. */
const widthMax = 1_000_000
const verbShape = /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])/g

/** printf's verbs, as far as templates use them. Throws for a text that is longer than a value may be. */
export function sprintf(format: string, args: readonly GoValue[]): string {
  let out = ''
  let next = 0
  let from = 0
  const star = (text: string | undefined): number | undefined =>
    text === '*' ? Number(numberOf(args[next++] ?? null)) : text === undefined ? undefined : Number(text)
  for (const found of format.matchAll(verbShape)) {
    const [whole, flags = '', width, precision, verb = ''] = found
    out += format.slice(from, found.index)
    from = found.index + whole.length
    if (verb === '%') {
      out += '%'
      continue
    }
    // What is too wide ends the text where the format has it, and is passed over where an argument has it.
    if (isTooWide(width) || isTooWide(precision)) return `${out}%!(NOVERB)`
    let wide = star(width)
    if (wide !== undefined && Math.abs(wide) > widthMax) {
      out += '%!(BADWIDTH)'
      wide = undefined
    }
    let digits = whole.includes('.') ? (star(precision) ?? 0) : undefined
    if (digits !== undefined && Math.abs(digits) > widthMax) {
      out += '%!(BADPREC)'
      digits = undefined
    }
    if (next >= args.length) out += `%!${verb}(MISSING)`
    else out += padded(formatVerb(verb, args[next++]!, flags, digits), flags, verb, wide)
    refuseLong(out.length)
  }
  out += format.slice(from)
  if (next >= args.length) return out
  const extra = args.slice(next).map(a => `${typeName(a)}=${printGo(a)}`)
  return `${out}%!(EXTRA ${extra.join(', ')})`
}

function isTooWide(text: string | undefined): boolean {
  return text !== undefined && text !== '*' && Number(text) > widthMax
}

function padded(text: string, flags: string, verb: string, width: number | undefined): string {
  if (width === undefined) return text
  const missing = Math.max(0, width - [...text].length)
  if (flags.includes('-')) return text + ' '.repeat(missing)
  if (!flags.includes('0') || !'dfeEgGxXobt'.includes(verb)) return ' '.repeat(missing) + text
  const sign = /^[+-]/.test(text) ? text.slice(0, 1) : ''
  return sign + '0'.repeat(missing) + text.slice(sign.length)
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
  for (const bound of [a, b]) if (bound < 0 || bound > length) throw new Error(`index out of range: ${bound}`)
  if (a > b) throw new Error(`invalid slice index: ${a} > ${b}`)
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

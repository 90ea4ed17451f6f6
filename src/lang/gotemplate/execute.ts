/**
 * Runs a template over data. Calls are checked by the signatures of the functions, as Go checks them. Source: the
 * public text/template documentation.
 */
import { CanceledError, LimitError, TimeoutError } from '#core/errors.ts'
import { templateLimits } from '#core/limits.ts'
import { quote } from '#core/text.ts'
import type { Argument, Command, Node, Pipe, Place, Template } from './parse.ts'
import { TemplateAllowance } from './allowance.ts'
import { builtins } from './builtins.ts'
import { printGo } from './go-format.ts'
import {
  ExecutionFailure,
  GoInt,
  isObject,
  isTrue,
  missing,
  refuseLong,
  sizeOf,
  typeName,
  type GoFunction,
  type GoValue,
} from './values.ts'

const { charactersMax, stepsMax, runDepthMax } = templateLimits

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
  /** Where the run is, for errors: the part that was looked at last. */
  #place: Place = nowhere
  /** The template that runs. */
  #running: string
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
    this.#running = name
    this.#source = source
    this.#template = template
    this.#functions = functions
  }

  /**
   * The text. Throws ExecutionFailure when something in it can't be done or costs more than one run may, LimitError
   * when all runs together cost more than they may, and what the allowance's check throws.
   */
  run(data: GoValue): string {
    this.#out = ''
    this.#place = nowhere
    this.#running = this.#name
    this.#variables = [['$', data]]
    this.#depth = 0
    this.#blocks = 0
    if (!this.#isInner) this.#allowance.begin()
    this.#walk(this.#template.nodes, data)
    return this.#out
  }

  #fail(message: string): never {
    const { at, text } = this.#place
    const before = this.#source.slice(0, at)
    const line = before.split('\n').length
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1))
    throw new ExecutionFailure(
      `template: ${this.#name}:${line}:${column}: executing ${quote(this.#running)} at <${text}>: ${message}`,
    )
  }

  #write(text: string): void {
    if (!this.#allowance.print(text.length))
      this.#fail(`the output has more than ${charactersMax} characters, which is the limit`)
    this.#out += text
  }

  #spend(steps: number): void {
    if (!this.#allowance.step(steps)) this.#fail(`more than ${stepsMax} steps, which is the limit`)
  }

  #walk(nodes: readonly Node[], dot: GoValue): void {
    if (++this.#blocks > runDepthMax) this.#fail(`blocks nest deeper than ${runDepthMax} levels`)
    this.#spend(1)
    for (const node of nodes) {
      this.#spend(1)
      switch (node.kind) {
        case 'text':
          this.#write(node.text)
          break
        case 'action': {
          const value = this.#pipe(node.pipe, dot)
          if (node.pipe.declares.length === 0) this.#write(this.#shown(value))
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
          this.#runDefined(node, dot)
          break
        default:
          throw new LoopExit(node.kind)
      }
    }
    this.#blocks--
  }

  #runDefined(node: Node & { kind: 'template' }, dot: GoValue): void {
    this.#place = node
    const nodes = this.#template.defined.get(node.name)
    if (nodes === undefined) this.#fail(`template ${quote(node.name)} not defined`)
    if (++this.#depth > 100) this.#fail('exceeded maximum template depth (100)')
    const data = node.pipe === undefined ? missing : this.#pipe(node.pipe, dot)
    const [variables, place, running] = [this.#variables, this.#place, this.#running]
    this.#variables = [['$', data]]
    this.#running = node.name
    this.#walk(nodes, data)
    this.#variables = variables
    this.#place = place
    this.#running = running
    this.#depth--
  }

  #range(node: Node & { kind: 'range' }, dot: GoValue): void {
    const depth = this.#variables.length
    const { declares, isAssignment } = node.pipe
    const value = this.#pipe({ ...node.pipe, declares: [] }, dot)
    const blocks = this.#blocks
    this.#spend(value instanceof GoInt ? Math.max(0, value.number) : sizeOf(value))
    if (value instanceof GoInt && declares.length > 1)
      this.#fail(`can't use ${value.value} to iterate over more than one variable`)
    const items = rangeOver(value)
    if (items === undefined) this.#fail(`range can't iterate over ${printGo(value)}`)
    const [first, second] = declares
    for (const [key, item] of items) {
      if (first !== undefined) this.#set(second === undefined ? first : second, item, isAssignment)
      if (second !== undefined) this.#set(first!, key, isAssignment)
      try {
        this.#walk(node.body, item)
      } catch (error) {
        if (!(error instanceof LoopExit)) throw error
        this.#blocks = blocks
        if (error.kind === 'break') break
      } finally {
        if (!isAssignment) this.#variables.length = depth
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
    this.#place = pipe
    let value: GoValue | undefined
    for (const command of pipe.commands) {
      value = this.#command(command, dot, value)
      if (value === null) value = missing
    }
    value ??= missing
    for (const name of pipe.declares) this.#set(name, value, pipe.isAssignment)
    return value
  }

  /** `final`: what the command before gives as the last argument. */
  #command(command: Command, dot: GoValue, final: GoValue | undefined): GoValue {
    const { args } = command
    const first = args[0]!
    switch (first.kind) {
      case 'function':
        return this.#function(first, command, dot, args, final)
      case 'field':
      case 'chain':
        return this.#fields(first, dot, args, final)
      case 'variable':
        if (first.names.length > 0) return this.#fields(first, dot, args, final)
        break
      default:
    }
    if (first.kind !== 'pipe') this.#place = first
    if (args.length > 1 || final !== undefined) this.#fail(`can't give argument to non-function ${first.text}`)
    switch (first.kind) {
      case 'pipe':
        return this.#pipe(first.pipe, dot)
      case 'variable':
        return this.#variable(first.name)
      case 'dot':
        return dot
      case 'nil':
        return this.#fail('nil is not a command')
      default:
        return this.#constant(first)
    }
  }

  #function(
    node: Argument & { kind: 'function' },
    command: Place,
    dot: GoValue,
    args: readonly Argument[],
    final: GoValue | undefined,
  ): GoValue {
    this.#place = node
    const { name } = node
    const builtin = builtins.get(name)
    const called = this.#functions.get(name) ?? builtin!
    this.#countArguments(called, name, args, final)
    if (called === builtin) {
      if (name === 'and' || name === 'or') return this.#decide(name === 'or', dot, args, final)
      if (name === 'call') return this.#callValue(command, dot, args, final)
    }
    return this.#call(called, name, command, this.#arguments(called, dot, args, final))
  }

  /** Fails when a call gives more or fewer arguments than the function takes. `args` begin with its name. */
  #countArguments(
    { parameters, rest }: GoFunction,
    name: string,
    args: readonly Argument[],
    final: GoValue | undefined,
  ): void {
    const given = Math.max(0, args.length - 1)
    const all = final === undefined ? given : given + 1
    if (rest === undefined) {
      if (all !== parameters.length)
        this.#fail(`wrong number of args for ${name}: want ${parameters.length} got ${all}`)
    } else if (all < parameters.length)
      this.#fail(`wrong number of args for ${name}: want at least ${parameters.length} got ${given}`)
  }

  #arguments(
    { parameters, rest }: GoFunction,
    dot: GoValue,
    args: readonly Argument[],
    final: GoValue | undefined,
  ): GoValue[] {
    const values: GoValue[] = []
    for (let i = 1; i < args.length; i++) values.push(this.#argument(args[i]!, parameters[i - 1] ?? rest!, dot))
    if (final !== undefined) values.push(this.#checked(final, parameters[values.length] ?? rest!))
    return values
  }

  #call(called: GoFunction, name: string, place: Place, values: readonly GoValue[]): GoValue {
    let characters = 0
    for (const value of values) characters += sizeOf(value)
    this.#spend(1 + (characters >>> (slowFunctions.has(name) ? 4 : 8)))
    try {
      const result = called.run(...(values as never[]))
      if (typeof result === 'string') refuseLong(result.length)
      this.#spend(sizeOf(result) >>> 8)
      return result
    } catch (error) {
      if (error instanceof ExecutionFailure || error instanceof LimitError || isStop(error)) throw error
      this.#place = place
      return this.#fail(`error calling ${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** `and` and `or` stop at the value that decides. */
  #decide(isOr: boolean, dot: GoValue, args: readonly Argument[], final: GoValue | undefined): GoValue {
    let value: GoValue = missing
    for (let i = 1; i < args.length; i++) {
      value = this.#argument(args[i]!, 'reflect.Value', dot)
      if (isTrue(value) === isOr) return value
    }
    return final ?? value
  }

  /** `call`: no value of a template is a function. */
  #callValue(command: Place, dot: GoValue, args: readonly Argument[], final: GoValue | undefined): never {
    const [value] = this.#arguments(builtins.get('call')!, dot, args, final) as [GoValue]
    this.#place = command
    if (value === missing || value === null) this.#fail('error calling call: call of nil')
    const name = args[1]?.text ?? (typeof value === 'string' ? value : `<${typeName(value)} Value>`)
    return this.#fail(`error calling call: non-function ${name} of type ${typeName(value)}`)
  }

  #variable(name: string): GoValue {
    for (let i = this.#variables.length - 1; i >= 0; i--)
      if (this.#variables[i]![0] === name) return this.#variables[i]![1]
    return missing
  }

  /** The value of an argument for a parameter of a type. */
  #argument(arg: Argument, type: string, dot: GoValue): GoValue {
    this.#place = arg
    switch (arg.kind) {
      case 'nil':
        if (!canBeNil(type)) this.#fail(`cannot assign nil to ${type}`)
        return nilOf(type)
      case 'string':
        if (type === 'string') return arg.value
        break
      case 'number':
      case 'bool':
        break
      default:
        return this.#checked(this.#value(arg, dot), type)
    }
    switch (type) {
      case 'interface {}':
      case 'reflect.Value':
        return this.#constant(arg)
      case 'bool':
        return arg.kind === 'bool' ? arg.value : this.#fail(`expected bool; found ${arg.text}`)
      case 'int':
      case 'int64':
        return arg.kind === 'number' && arg.int !== undefined
          ? arg.int
          : this.#fail(`expected integer; found ${arg.text}`)
      case 'float64':
        return arg.kind === 'number' ? arg.float : this.#fail(`expected float; found ${arg.text}`)
      case 'string':
        return this.#fail(`expected string; found ${arg.text}`)
      default:
        return this.#fail(`can't handle ${arg.text} for arg of type ${type}`)
    }
  }

  /** What no literal is. */
  #value(arg: Argument, dot: GoValue): GoValue {
    switch (arg.kind) {
      case 'field':
      case 'chain':
        return this.#fields(arg, dot, noArguments, undefined)
      case 'variable':
        return arg.names.length === 0 ? this.#variable(arg.name) : this.#fields(arg, dot, noArguments, undefined)
      case 'pipe':
        return this.#pipe(arg.pipe, dot)
      case 'function':
        return this.#function(arg, arg, dot, noArguments, undefined)
      default:
        return dot
    }
  }

  #constant(arg: Argument): GoValue {
    if (arg.kind === 'number') return arg.value ?? this.#fail(`${arg.text} overflows int`)
    return arg.kind === 'string' || arg.kind === 'bool' ? arg.value : missing
  }

  /** A value that a parameter of the type takes; fails for others. */
  #checked(value: GoValue, type: string): GoValue {
    if (typeof value === 'string' && type === 'string') return value
    if (value === missing) {
      if (!canBeNil(type)) this.#fail(`invalid value; expected ${type}`)
      return nilOf(type)
    }
    if (type === 'interface {}' || type === 'reflect.Value') return value
    const own = typeName(value)
    if (own !== type) this.#fail(`wrong type for value; expected ${type}; got ${own}`)
    return value
  }

  /** The value of a chain of fields; the last one may be a method that takes the arguments. */
  #fields(
    node: Argument & { kind: 'field' | 'variable' | 'chain' },
    dot: GoValue,
    args: readonly Argument[],
    final: GoValue | undefined,
  ): GoValue {
    this.#place = node
    let value =
      node.kind === 'field' ? dot : node.kind === 'variable' ? this.#variable(node.name) : this.#value(node.of, dot)
    const last = node.names.length - 1
    let holder: GoValue = missing
    for (let i = 0; i <= last; i++) {
      const next = this.#field(
        value,
        holder,
        node.names[i]!,
        node,
        dot,
        ...(i < last ? none : ([args, final] as const)),
      )
      holder = value
      value = next
    }
    return value
  }

  /** `holder`: what `of` was a field of. */
  #field(
    of: GoValue,
    holder: GoValue,
    name: string,
    node: Place,
    dot: GoValue,
    args: readonly Argument[],
    final: GoValue | undefined,
  ): GoValue {
    if (of === missing) return missing
    if (of === null) this.#fail(`nil pointer evaluating interface {}.${name}`)
    if (isObject(of)) {
      // A method comes before a key of the same name.
      const method = of.method?.(name)
      if (method !== undefined) {
        this.#countArguments(method, name, args, final)
        return this.#call(method, name, node, this.#arguments(method, dot, args, final))
      }
    }
    if (of instanceof Map) {
      if (args.length > 1 || final !== undefined) this.#fail(`${name} is not a method but has arguments`)
      return (of as ReadonlyMap<string, GoValue>).get(name) ?? null
    }
    const isHeld = holder instanceof Map && typeName(holder) === 'map[string]interface {}'
    return this.#fail(`can't evaluate field ${name} in type ${isHeld ? 'interface {}' : typeName(of)}`)
  }
}

const nowhere: Place = { at: 0, text: '' }
const noArguments: readonly Argument[] = []
const none: readonly [readonly Argument[], undefined] = [noArguments, undefined]

function canBeNil(type: string): boolean {
  return type === 'interface {}' || type === 'reflect.Value' || /^(?:\[\]|\*|map\[)|Result$/.test(type)
}

/** Nil of a type that has it. */
function nilOf(type: string): GoValue {
  if (type === 'reflect.Value') return missing
  return type === 'interface {}' || type.startsWith('*') ? null : []
}

/** The query is over: its time ran out, or nobody waits for it. */
function isStop(error: unknown): boolean {
  return error instanceof TimeoutError || error instanceof CanceledError
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

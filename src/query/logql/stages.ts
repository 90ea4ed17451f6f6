/** The stages of a pipeline, each compiled once and run for every line. Source: docs/logs.md. */
import { unreachable } from '#core/assert.ts'
import { BadQueryError, messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import type { LabelFilter, Stage, Unwrap } from '#lang/logql/ast.ts'
import { parsePattern, type PatternPart } from '#lang/logql/line-pattern.ts'
import { printStage } from '#lang/logql/printer.ts'
import type { TemplateAllowance } from '#lang/gotemplate/allowance.ts'
import { builtins } from '#lang/gotemplate/builtins.ts'
import { TemplateRunner } from '#lang/gotemplate/execute.ts'
import { parseTemplate, type Argument, type Node, type Pipe, type Template } from '#lang/gotemplate/parse.ts'
import { ExecutionFailure, StringMap, type GoFunction, type GoValue } from '#lang/gotemplate/values.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { errorDetailsLabel, errorLabel, type Entry } from './entry.ts'
import {
  labelName,
  parseJsonPath,
  readJsonFields,
  readPackedFields,
  JsonPathReader,
  type JsonPath,
} from './json-line.ts'
import { compileAnchoredMatch, compileLabelFilter } from './label-filter.ts'
import { compileLineFilter, type LineFilter } from './line-filter.ts'
import { readLogfmt } from './logfmt-line.ts'
import { StoredJson } from './stored-json.ts'
import { StoredLogfmt } from './stored-logfmt.ts'
import { StoredNumber } from './stored-numbers.ts'

/** False: the line is out. */
export type Step = (entry: Entry) => boolean

/** What the stages of one query share. */
export interface StageContext {
  entry: Entry
  functions: ReadonlyMap<string, GoFunction>
  /** What the templates of the query may cost together. */
  allowance: TemplateAllowance
  /** Names that are needed of what parsers find; undefined: all. */
  wanted: ReadonlySet<string> | undefined
  /** The unwrap whose field may be a number alone. */
  number: Unwrap | undefined
  /** Do keys of lines that are called as the label of an error count? */
  passesErrors: boolean
  /** Conditions on single labels that are tried as soon as a parser sets them. */
  early: ReadonlyMap<string, (entry: Entry, name: string, value: string) => boolean>
}

/** A step, and its line filter where the stage is one. */
export interface CompiledStage {
  step: Step
  lineFilter: LineFilter | undefined
}

/** Throws BadQueryError, with the stage in its message. */
export function compileStage(stage: Stage, context: StageContext): CompiledStage {
  return inStage(stage, () => {
    if (stage.kind === 'line-filter') {
      const lineFilter = compileLineFilter(stage.op, stage.operands)
      return { step: entry => lineFilter.test(entry), lineFilter }
    }
    return { step: compileOther(stage, context), lineFilter: undefined }
  })
}

/** What goes wrong within becomes an error of the query that names the stage. */
function inStage<T>(stage: Stage, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof BadQueryError) throw error
    throw new BadQueryError(`parse error : stage '${printStage(stage)}' : ${messageOf(error)}`, 0, 0)
  }
}

function compileOther(stage: Exclude<Stage, { kind: 'line-filter' }>, context: StageContext): Step {
  switch (stage.kind) {
    case 'json':
      return stage.extractions.length === 0
        ? jsonStep(context)
        : jsonPathsStep(
            stage.extractions.map(({ name, path }) => ({ name, path: checkedPath(path) })),
            context,
          )
    case 'logfmt':
      return stage.extractions.length === 0
        ? logfmtStep(stage.isStrict, stage.keepsEmpty, context)
        : logfmtKeysStep(stage, context)
    case 'regexp':
      return regexpStep(stage.text, context)
    case 'pattern':
      return patternStep(parsePattern(stage.text, 'parser'), context)
    case 'unpack':
      return unpackStep(context)
    case 'decolorize':
      return entry => {
        const { line } = entry
        if (line.includes('\u001b') || line.includes('\u009b')) entry.line = decolorize(line)
        return true
      }
    case 'line-format':
      return lineFormatStep(stage.template, context)
    case 'label-format':
      return labelFormatStep(stage.formats, context)
    case 'drop':
      return dropStep(
        stage.items.map(({ name, match }) => ({
          name,
          test: match === undefined ? undefined : compileAnchoredMatch(match),
        })),
      )
    case 'keep':
      return keepStep(
        stage.items.map(({ name, match }) => ({
          name,
          test: match === undefined ? undefined : compileAnchoredMatch(match),
        })),
      )
    case 'label-filter':
      return compileLabelFilter(stage.filter)
    default:
      return unreachable(stage)
  }
}

// --- Parsers ---

/** A parser's label: never in place of another. Returns false when nothing more is wanted. */
class ParserSink {
  readonly #context: StageContext
  /** May a label be wanted that a parser calls otherwise because its name is taken? */
  readonly #wantsExtracted: boolean
  #left = 0

  constructor(context: StageContext) {
    this.#context = context
    this.#wantsExtracted = [...(context.wanted ?? [])].some(name => name.endsWith('_extracted'))
  }

  begin(): void {
    this.#left = this.#context.wanted?.size ?? Infinity
    this.#parsedBefore = this.#context.entry.parsedCount
  }
  #parsedBefore = 0

  /** Takes back what was added since `begin`. */
  readonly restart = (): void => {
    this.#context.entry.parsedCount = this.#parsedBefore
    this.#context.entry.hasNumber = false
    this.begin()
  }
  get wantsNothing(): boolean {
    return this.#context.wanted?.size === 0
  }

  /** The number that an unwrap takes, in place of its label; undefined where a label of this name is elsewhere. */
  addNumber(name: string, value: number): boolean | undefined {
    const { entry } = this.#context
    if (entry.hasNumber || entry.hasParsed(name)) return true
    if (entry.hasBase(name) || entry.hasMeta(name) || entry.isGone(name)) return undefined
    entry.number = value
    entry.hasNumber = true
    return --this.#left > 0
  }

  add(name: string, value: string): boolean {
    const { entry, wanted, early, passesErrors } = this.#context
    if (name === errorLabel) {
      if (!passesErrors) return true
      entry.hasErrorKey = true
    }
    if (wanted !== undefined && !this.#wantsExtracted && !wanted.has(name)) return true
    const label = entry.hasBase(name) || entry.hasMeta(name) ? `${name}_extracted` : name
    if (wanted !== undefined && !wanted.has(label) && !wanted.has(name)) return true
    if (entry.hasParsed(label) || entry.isGone(label)) return true
    if (entry.hasNumber && label === this.#context.number?.label) return true
    if (early.size > 0) {
      const test = early.get(label)
      if (test !== undefined && !test(entry, label, value)) {
        entry.isOut = true
        return false
      }
    }
    entry.addParsed(label, value)
    return wanted === undefined || --this.#left > 0
  }
}

function numberInto(sink: ParserSink, { number }: StageContext): StoredNumber | undefined {
  return number === undefined ? undefined : new StoredNumber(number, value => sink.addNumber(number.label, value))
}

function jsonStep(context: StageContext): Step {
  const sink = new ParserSink(context)
  const add = (name: string, value: string): boolean => sink.add(name, value)
  const stored =
    context.wanted === undefined ? undefined : new StoredJson(context.wanted, add, numberInto(sink, context))
  return entry => {
    if (sink.wantsNothing) return true
    sink.begin()
    if (stored !== undefined && entry.isStored) {
      if (stored.read(entry.bytes, entry.from, entry.to)) return !entry.isOut
      sink.restart()
    }
    const problem = readJsonFields(entry.line, add, sink.restart)
    if (entry.isOut) return false
    if (problem !== undefined) entry.fail('JSONParserErr', problem)
    return true
  }
}

function checkedPath(source: string): JsonPath {
  const path = parseJsonPath(source)
  if (typeof path === 'string') throw new Error(path)
  return path
}

function jsonPathsStep(extractions: readonly { name: string; path: JsonPath }[], context: StageContext): Step {
  const reader = new JsonPathReader(extractions.map(({ path }) => path))
  return entry => {
    if (context.wanted?.size === 0) return true
    const { line } = entry
    if (line === '') return true
    const first = line.charCodeAt(0)
    if (first !== 34 && first !== 123 && first !== 91) {
      entry.fail('JSONParserErr', '')
      return true
    }
    const problem = reader.read(line)
    for (let i = 0; i < extractions.length; i++) {
      const { name } = extractions[i]!
      const value = reader.values[i]!
      if (value === '' && entry.get(name) !== undefined) continue
      setExtracted(entry, name, value)
    }
    if (problem !== undefined) entry.fail('JSONParserErr', problem)
    return true
  }
}

/** Forms with expressions write over what was parsed before, beside what the stream has. */
function setExtracted(entry: Entry, name: string, value: string): void {
  if (name === errorLabel) entry.hasErrorKey = true
  const label = entry.hasBase(name) || entry.hasMeta(name) ? `${name}_extracted` : name
  entry.putParsed(label, value)
}

function logfmtStep(isStrict: boolean, keepsEmpty: boolean, context: StageContext): Step {
  const sink = new ParserSink(context)
  const add = (key: string, value: string, mayBeReplaced: boolean): boolean =>
    value === '' && !keepsEmpty
      ? true
      : sink.add(labelName(key), mayBeReplaced ? value.replaceAll('\ufffd', ' ') : value)
  const addStored = (name: string, value: string): boolean =>
    value === '' && !keepsEmpty ? true : sink.add(name, value)
  const number = numberInto(sink, context)
  const stored = context.wanted === undefined ? undefined : new StoredLogfmt(context.wanted, addStored, number)
  return entry => {
    if (sink.wantsNothing) return true
    sink.begin()
    if (stored !== undefined && entry.isStored) {
      if (stored.read(entry.bytes, entry.from, entry.to)) return !entry.isOut
      sink.restart()
    }
    const problem = readLogfmt(entry.line, isStrict, add)
    if (entry.isOut) return false
    if (problem !== undefined) entry.fail('LogfmtParserErr', problem)
    return true
  }
}

/** The key that a path names: a word, or a text in quotes. Throws Error. */
function checkedKey(path: string): string {
  const refuse = (reason: string): never => {
    throw new Error(`cannot parse expression [${path}]: ${reason}`)
  }
  const text = path.trim()
  const quoted = /^"([^"]*)"?/.exec(text)
  const word = quoted === null ? /^[A-Za-z_][A-Za-z0-9_"]*/.exec(text) : null
  const found = quoted ?? word ?? refuse('syntax error: unexpected $end, expecting STRING or KEY')
  const rest = text.slice(found[0].length)
  if (word !== null && /^\S/.test(rest)) refuse(`unexpected char ${String.fromCodePoint(rest.codePointAt(0)!)}`)
  const next = rest.trimStart()
  if (next !== '') refuse(`syntax error: unexpected ${next.startsWith('"') ? 'STRING' : 'KEY'}`)
  return quoted?.[1] ?? text
}

function logfmtKeysStep(stage: Stage & { kind: 'logfmt' }, context: StageContext): Step {
  const keys: string[] = []
  const namesOfKeys: string[] = []
  for (const { name, path } of stage.extractions) {
    const key = checkedKey(path)
    if (keys.includes(key)) continue
    keys.push(key)
    namesOfKeys.push(name)
  }
  const names = [...new Set(stage.extractions.map(({ name }) => name))]
  const places = namesOfKeys.map(name => names.indexOf(name))
  /** By name, of the line that is read. */
  const values: (string | undefined)[] = names.map(() => undefined)
  let of = context.entry
  /** Which name a pair of the line is; -1: none. What was parsed before is no key, but is set again by its name. */
  const placeOf = (key: string): number => {
    const label = labelName(key)
    const own = keys.indexOf(key)
    const at = own < 0 && label !== key ? keys.indexOf(label) : own
    if (at < 0) return names.indexOf(label)
    return namesOfKeys[at] === label || !(of.hasParsed(label) || of.isGone(label)) ? places[at]! : -1
  }
  const add = (key: string, value: string, mayBeReplaced: boolean): boolean => {
    const at = placeOf(key)
    if (at >= 0) values[at] = mayBeReplaced && value.includes('\ufffd') ? '' : value
    return true
  }
  return entry => {
    if (context.wanted?.size === 0) return true
    of = entry
    values.fill(undefined)
    const problem = readLogfmt(entry.line, stage.isStrict, add)
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!
      const value = values[i]
      if (value !== undefined) setExtracted(entry, name, value)
      else if (!entry.hasBase(name) && !entry.hasMeta(name)) entry.putParsed(name, '')
    }
    if (problem !== undefined) entry.fail('LogfmtParserErr', problem)
    return true
  }
}

function regexpStep(source: string, context: StageContext): Step {
  const regex = compileRe2(source.replaceAll(/\(\?<(?![=!])/g, '(?P<'), source)
  const groups = Object.entries(regex.namedGroups()).sort((a, b) => a[1] - b[1])
  const sink = new ParserSink(context)
  return entry => {
    if (sink.wantsNothing && context.wanted !== undefined && context.wanted.size === 0) return true
    const matcher = regex.matcher(entry.line)
    if (!matcher.find()) return true
    sink.begin()
    for (const [name, group] of groups) {
      sink.add(labelName(name), matcher.group(group) ?? '')
      if (entry.isOut) return false
    }
    return true
  }
}

function patternStep(parts: readonly PatternPart[], context: StageContext): Step {
  const sink = new ParserSink(context)
  return entry => {
    const { line } = entry
    if (line === '' || sink.wantsNothing) return true
    sink.begin()
    let at = 0
    let i = 0
    if (parts[0]!.capture === undefined) {
      if (!line.startsWith(parts[0]!.literal)) return true
      at = parts[0]!.literal.length
      i = 1
    }
    for (; i < parts.length; i += 2) {
      const name = parts[i]!.capture
      const next = parts[i + 1]
      const end = next === undefined ? -1 : line.indexOf(next.literal, at)
      const value = line.slice(at, end < 0 ? line.length : end)
      if (name !== undefined && name !== '_') {
        sink.add(name, value)
        if (entry.isOut) return false
      }
      if (end < 0 || next === undefined) break
      at = end + next.literal.length
    }
    return true
  }
}

function unpackStep(context: StageContext): Step {
  const sink = new ParserSink({ ...context, wanted: undefined })
  return entry => {
    if (context.wanted?.size === 0) return true
    const { line } = entry
    if (line === '') return true
    const { fields, error } = readPackedFields(line)
    if (error !== undefined) {
      entry.fail('JSONParserErr', error)
      return true
    }
    const packed = fields.get('_entry')
    if (packed === undefined) return true
    sink.begin()
    for (const [name, value] of fields) {
      if (name === '_entry') continue
      sink.add(labelName(name), value)
      if (entry.isOut) return false
    }
    entry.line = packed
    return true
  }
}

function decolorize(line: string): string {
  return line.replaceAll(
    // eslint-disable-next-line no-control-regex
    /[\x1b\x9b][[\]()#;?]*(?:(?:[a-zA-Z\d]*(?:;[a-zA-Z\d]*)*)?\x07|(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PRZcf-ntqry=><~])/g,
    '',
  )
}

// --- Formats ---

/** A template; the common ones, texts and labels in turn, need no engine. */
export class CompiledTemplate {
  readonly #parts: (string | { label: string })[] | undefined
  readonly #runner: TemplateRunner
  readonly #template: Template

  constructor(name: string, source: string, functions: ReadonlyMap<string, GoFunction>, allowance?: TemplateAllowance) {
    this.#template = parseTemplate(name, source, fn => functions.has(fn) || builtins.has(fn))
    this.#runner = new TemplateRunner(name, source, this.#template, functions, { allowance })
    this.#parts = simpleParts(this.#template)
  }

  /** Throws ExecutionFailure. */
  run(entry: Entry): string {
    if (this.#parts === undefined) return this.#runner.run(labelMap(entry))
    let out = ''
    for (const part of this.#parts) out += typeof part === 'string' ? part : labelText(entry, part.label)
    return out
  }

  runOver(labels: ReadonlyMap<string, GoValue>): string {
    return this.#runner.run(labels)
  }
  /** Labels that it reads; undefined: possibly all. */
  get names(): string[] | undefined {
    return namesOf(this.#template)
  }
}

/** Templates see the details of an error too, and an error that the line names, which filters do not. */
function labelText(entry: Entry, name: string): string {
  if (name === errorLabel) return entry.anyError
  return name === errorDetailsLabel ? entry.errorDetails : (entry.get(name) ?? '')
}

function labelMap(entry: Entry): ReadonlyMap<string, GoValue> {
  const map = new StringMap()
  entry.forEachLabel((name, value) => {
    map.set(name, value)
  })
  return map
}

function simpleParts(template: Template): (string | { label: string })[] | undefined {
  const parts: (string | { label: string })[] = []
  for (const node of template.nodes) {
    if (node.kind === 'text') {
      parts.push(node.text)
      continue
    }
    if (node.kind !== 'action' || node.pipe.declares.length > 0 || node.pipe.commands.length !== 1) return undefined
    const [only, ...rest] = node.pipe.commands[0]!.args
    if (rest.length > 0 || only?.kind !== 'field' || only.names.length !== 1) return undefined
    parts.push({ label: only.names[0]! })
  }
  return parts
}

function namesOf(template: Template): string[] | undefined {
  const names: string[] = []
  let all = false
  const visitPipe = (pipe: Pipe | undefined): void => {
    for (const command of pipe?.commands ?? []) command.args.forEach(visitArgument)
  }
  const visitArgument = (arg: Argument): void => {
    if (arg.kind === 'field') names.push(arg.names[0]!)
    else if (arg.kind === 'variable' && arg.name === '$') {
      if (arg.names.length > 0) names.push(arg.names[0]!)
      else all = true
    } else if (arg.kind === 'dot') all = true
    else if (arg.kind === 'pipe') visitPipe(arg.pipe)
    else if (arg.kind === 'chain') visitArgument(arg.of)
  }
  const visit = (nodes: readonly Node[]): void => {
    for (const node of nodes) {
      if (node.kind === 'action' || node.kind === 'template') visitPipe(node.pipe)
      else if (node.kind === 'if' || node.kind === 'with' || node.kind === 'range') {
        visitPipe(node.pipe)
        visit(node.body)
        visit(node.otherwise)
      }
    }
  }
  visit(template.nodes)
  for (const nodes of template.defined.values()) visit(nodes)
  return all ? undefined : names
}

type TemplateUse = Pick<StageContext, 'functions'> & Partial<Pick<StageContext, 'allowance'>>

/** Throws Error; `what` says what is invalid. */
function compiled(name: string, source: string, use: TemplateUse, what: string): CompiledTemplate {
  try {
    return new CompiledTemplate(name, source, use.functions, use.allowance)
  } catch (error) {
    throw new Error(`${what}: ${messageOf(error)}`, { cause: error })
  }
}

function lineTemplate(source: string, use: TemplateUse): CompiledTemplate {
  return compiled('line', source, use, 'invalid line template')
}

function labelTemplate(name: string, source: string, use: TemplateUse): CompiledTemplate {
  return compiled('label', source, use, `invalid template for label '${name}'`)
}

function lineFormatStep(source: string, context: StageContext): Step {
  const template = lineTemplate(source, context)
  return entry => {
    try {
      entry.line = template.run(entry)
    } catch (error) {
      if (!(error instanceof ExecutionFailure)) throw error
      entry.fail('TemplateFormatErr', error.message)
    }
    return true
  }
}

function labelFormatStep(
  formats: readonly { name: string; from: string | undefined; template: string | undefined }[],
  context: StageContext,
): Step {
  const seen = new Set<string>()
  for (const { name } of formats) {
    if (name === errorLabel) throw new Error(`${name} cannot be formatted`)
    if (seen.has(name)) throw new Error(`multiple label name '${name}' not allowed in a single format operation`)
    seen.add(name)
  }
  // A format has either a template or a label to rename.
  const steps = formats.map(f => ({
    name: f.name,
    from: f.from ?? '',
    run: f.template === undefined ? undefined : labelTemplate(f.name, f.template, context),
  }))
  return entry => {
    let labels: ReadonlyMap<string, GoValue> | undefined
    for (const { name, from, run } of steps) {
      if (run === undefined) {
        const value = from === errorLabel ? undefined : entry.get(from)
        if (value === undefined) continue
        entry.set(name, value)
        entry.remove(from)
        continue
      }
      try {
        // All templates of a stage see the labels as the first one found them.
        labels ??= labelMap(entry)
        entry.set(name, run.runOver(labels))
      } catch (error) {
        if (!(error instanceof ExecutionFailure)) throw error
        entry.fail('TemplateFormatErr', error.message)
      }
    }
    return true
  }
}

type Item = { name: string; test: ((value: string) => boolean) | undefined }

function dropStep(items: readonly Item[]): Step {
  return entry => {
    for (const { name, test } of items) {
      if (test !== undefined && !test((name === errorDetailsLabel ? entry.errorDetails : entry.get(name)) ?? ''))
        continue
      entry.remove(name)
    }
    return true
  }
}

function keepStep(items: readonly Item[]): Step {
  return entry => {
    const dropped: string[] = []
    entry.forEachLabel((name, value) => {
      if (name === errorLabel || name === errorDetailsLabel) return
      if (!items.some(item => item.name === name && (item.test === undefined || item.test(value)))) dropped.push(name)
    })
    for (const name of dropped) entry.remove(name)
    return true
  }
}

/** Names that a stage reads; undefined: possibly all. Throws BadQueryError, with the stage in its message. */
export function stageNames(
  stage: Stage,
  functions: ReadonlyMap<string, GoFunction>,
  filterNames: (filter: LabelFilter) => string[],
): string[] | undefined {
  return inStage(stage, () => namesOfStage(stage, functions, filterNames))
}

function namesOfStage(
  stage: Stage,
  functions: ReadonlyMap<string, GoFunction>,
  filterNames: (filter: LabelFilter) => string[],
): string[] | undefined {
  switch (stage.kind) {
    case 'label-filter':
      return filterNames(stage.filter)
    case 'line-format':
      return lineTemplate(stage.template, { functions }).names
    case 'label-format': {
      const names: string[] = []
      for (const { name, from, template } of stage.formats) {
        if (from !== undefined) {
          names.push(from)
          continue
        }
        const read = labelTemplate(name, template ?? '', { functions }).names
        if (read === undefined) return undefined
        addAll(names, read)
      }
      return names
    }
    case 'drop':
    case 'keep':
      return stage.items.filter(i => i.match !== undefined).map(i => i.name)
    default:
      return []
  }
}

/** Conditions on spans, compiled for one table. Source of the rules: docs/traces.md (the language). */
import type { CompareOp, Field, FieldExpr, Literal } from '#lang/traceql/ast.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { firstChild, valueType, type FieldColumn, type Level, type SpanTable, type Value } from './span-table.ts'
import { bigOf, order, wholeOf, type Whole } from './whole.ts'

/** Does a condition hold for span i, event e and link l? -1 for no event and no link. */
export type SpanTest = (i: number, e: number, l: number) => boolean
/** Does a stored value fit? */
export type ValueTest = (type: number, num: number, text: string) => boolean
type Evaluated = (i: number, e: number, l: number) => Value | undefined

/** The fields that an expression reads, added to `into`. */
export function fieldsOf(expr: FieldExpr | undefined, into: Field[] = []): Field[] {
  if (expr === undefined) return into
  switch (expr.kind) {
    case 'literal':
      break
    case 'field':
      into.push(expr.field)
      break
    case 'not':
    case 'negate':
      fieldsOf(expr.inner, into)
      break
    default:
      fieldsOf(expr.left, into)
      fieldsOf(expr.right, into)
  }
  return into
}

function levelOf(field: Field): 'event' | 'link' | undefined {
  if (field.kind === 'attribute') return field.scope === 'event' || field.scope === 'link' ? field.scope : undefined
  return field.name.startsWith('event:') ? 'event' : field.name.startsWith('link:') ? 'link' : undefined
}

const isOfLevel = (expr: FieldExpr, level: 'event' | 'link'): boolean => fieldsOf(expr).some(f => levelOf(f) === level)
/** A condition that holds within the event and the link that are given. */
export function compileWithin(expr: FieldExpr, table: SpanTable): SpanTest {
  return new Compiler(table).test(expr)
}

/** Fields must be loaded. Without a condition every span fits. */
export function compileCondition(expr: FieldExpr | undefined, table: SpanTable): SpanTest {
  return expr === undefined ? () => true : new Compiler(table).whole(expr)
}

const noText: Value = { type: valueType.string, num: 0, text: '' }
const noTime: Value = { type: valueType.duration, num: 0, text: '' }

/** What an intrinsic of events or links is for a span that has none of them. */
export function defaultOf(field: Field): Value | undefined {
  if (field.kind === 'attribute' || levelOf(field) === undefined) return undefined
  return field.name === 'event:timeSinceStart' ? noTime : noText
}

/** The number of the owner of a level, by span, event and link; -1 where there is none. */
export function ownerOf(table: SpanTable, level: Level): (i: number, e: number, l: number) => number {
  switch (level) {
    case 'trace':
      return i => table.traceOf[i]!
    case 'resource':
      return i => table.resourceOf[i]!
    case 'scope':
      return i => table.scopeOf[i]!
    case 'event':
      return (_i, e) => e
    case 'link':
      return (_i, _e, l) => l
    default:
      return i => i
  }
}

/** The columns in which a field is looked for, in order. */
export function columnsOf(table: SpanTable, field: Field): FieldColumn[] {
  return field.kind === 'attribute' && field.scope === 'any'
    ? [table.column(field, 'span'), table.column(field, 'resource')]
    : [table.column(field)]
}

/** Every value of a field of a span: the first column that has some. */
export function valuesReader(table: SpanTable, field: Field): (i: number, e: number, l: number) => readonly Value[] {
  const places = columnsOf(table, field).map(column => ({ column, owner: ownerOf(table, column.level) }))
  return (i, e, l) => {
    for (const { column, owner } of places) {
      const at = owner(i, e, l)
      if (at < 0) continue
      const list = column.lists?.get(at)
      if (list !== undefined) return list
      const value = column.at(at)
      if (value !== undefined) return [value]
      if (column.others?.has(at) === true) return []
    }
    return []
  }
}

/** The only value of a field of a span: undefined where it has several. */
function singleReader(table: SpanTable, field: Field): Evaluated {
  const places = columnsOf(table, field).map(column => ({ column, owner: ownerOf(table, column.level) }))
  const missing = defaultOf(field)
  return (i, e, l) => {
    for (const { column, owner } of places) {
      const at = owner(i, e, l)
      if (at < 0) continue
      const list = column.lists?.get(at)
      if (list !== undefined) return list.length > 1 ? undefined : (list[0] ?? missing)
      const value = column.at(at)
      if (value !== undefined) return value
      if (column.others?.has(at) === true) return missing
    }
    return missing
  }
}

/** Whether a span has a field, of whatever type. */
export function presenceTest(table: SpanTable, field: Field): SpanTest {
  const places = columnsOf(table, field).map(column => ({ column, owner: ownerOf(table, column.level) }))
  return (i, e, l) =>
    places.some(({ column, owner }) => {
      const at = owner(i, e, l)
      return at >= 0 && column.has(at)
    })
}

/** Whether no span of the table has a field. */
export function isNowhere(table: SpanTable, field: Field): boolean {
  return columnsOf(table, field).every(column => column.isEmpty)
}

/** The value of a field, span by span, without an object for each: `read` fills the three members. */
export class FieldCursor {
  readonly #places: { column: FieldColumn; owner: (i: number, e: number, l: number) => number }[]
  readonly #default: Value | undefined
  type: number = valueType.none
  num = 0
  text = ''

  constructor(table: SpanTable, field: Field) {
    this.#places = columnsOf(table, field).map(column => ({ column, owner: ownerOf(table, column.level) }))
    this.#default = defaultOf(field)
  }

  /** False where there is none. */
  read(i: number, e: number, l: number): boolean {
    for (const { column, owner } of this.#places) {
      const at = owner(i, e, l)
      if (at < 0) continue
      const list = column.lists?.get(at)
      if (list !== undefined) {
        // A list is no single value, unless it has but one.
        const first = list.length === 1 ? list[0] : undefined
        this.type = first?.type ?? valueType.none
        this.num = first?.num ?? 0
        this.text = first?.text ?? ''
        return first !== undefined
      }
      const type = column.type[at]!
      if (type === valueType.none) {
        if (column.others?.has(at) === true) break
        continue
      }
      this.type = type
      this.num = column.num[at]!
      this.text = column.text[at] ?? ''
      return true
    }
    this.type = this.#default?.type ?? valueType.none
    this.num = 0
    this.text = ''
    return this.#default !== undefined
  }

  get value(): Value | undefined {
    return this.type === valueType.none ? undefined : { type: this.type, num: this.num, text: this.text }
  }
}

/** The value of an expression for a span; of its events and links the first ones count. */
export function compileValue(expr: FieldExpr, table: SpanTable): (i: number) => Value | undefined {
  const value = new Compiler(table).value(expr)
  return i => value(i, firstChild(table.eventFrom, i), firstChild(table.linkFrom, i))
}

class Compiler {
  readonly #table: SpanTable

  constructor(table: SpanTable) {
    this.#table = table
  }

  /** A condition that looks for an event or a link that fits it, where it mentions them. */
  whole(expr: FieldExpr): SpanTest {
    if (expr.kind === 'logic' && expr.op === '||') {
      const left = this.whole(expr.left)
      const right = this.whole(expr.right)
      return (i, e, l) => left(i, e, l) || right(i, e, l)
    }
    if (expr.kind === 'not') {
      const inner = this.whole(expr.inner)
      return (i, e, l) => !inner(i, e, l)
    }
    if (expr.kind === 'logic') {
      const terms: FieldExpr[] = []
      flatten(expr, terms)
      // Conditions on events hold in one event, those on links in one link.
      const tests: SpanTest[] = []
      const isAlone = (t: FieldExpr): boolean => t.kind === 'not' || (!isOfLevel(t, 'event') && !isOfLevel(t, 'link'))
      for (const term of terms.filter(isAlone)) tests.push(this.whole(term))
      const joined = terms.filter(t => !isAlone(t))
      for (const level of ['event', 'link'] as const) {
        const own = joined.filter(t => isOfLevel(t, level) && (level === 'event' || !isOfLevel(t, 'event')))
        if (own.length > 0) {
          const each = own.map(t => this.test(t))
          tests.push(this.#exists(own, (i, e, l) => each.every(t => t(i, e, l))))
        }
      }
      return allOf(tests)
    }
    return this.#exists([expr], this.test(expr))
  }

  #exists(exprs: readonly FieldExpr[], test: SpanTest): SpanTest {
    const { eventFrom, linkFrom } = this.#table
    let found = test
    if (exprs.some(x => isOfLevel(x, 'link')) && linkFrom !== undefined) {
      const inner = found
      found = (i, e) => {
        for (let l = linkFrom[i]!; l < linkFrom[i + 1]!; l++) if (inner(i, e, l)) return true
        return false
      }
    }
    if (exprs.some(x => isOfLevel(x, 'event')) && eventFrom !== undefined) {
      const inner = found
      found = (i, _e, l) => {
        for (let e = eventFrom[i]!; e < eventFrom[i + 1]!; e++) if (inner(i, e, l)) return true
        return false
      }
    }
    return found
  }

  /** A condition within the event and link that are given. */
  test(expr: FieldExpr): SpanTest {
    switch (expr.kind) {
      case 'logic': {
        const left = this.test(expr.left)
        const right = this.test(expr.right)
        return expr.op === '&&'
          ? (i, e, l) => left(i, e, l) && right(i, e, l)
          : (i, e, l) => left(i, e, l) || right(i, e, l)
      }
      case 'not': {
        const inner = this.test(expr.inner)
        return (i, e, l) => !inner(i, e, l)
      }
      case 'literal': {
        const holds = expr.literal.type === 'bool' && expr.literal.value
        return () => holds
      }
      case 'field': {
        const values = valuesReader(this.#table, expr.field)
        return (i, e, l) => values(i, e, l).some(v => v.type === valueType.bool && v.num === 1)
      }
      case 'compare':
        return this.#comparison(expr)
      default:
        return () => false
    }
  }

  #comparison(expr: FieldExpr & { kind: 'compare' }): SpanTest {
    const { left, right, op } = expr
    if (right.kind === 'literal' && right.literal.type === 'nil' && left.kind === 'field')
      return this.#nilTest(left.field, op)
    if (left.kind === 'literal' && left.literal.type === 'nil' && right.kind === 'field')
      return this.#nilTest(right.field, op)
    if (left.kind === 'field' && right.kind === 'literal') return this.#literalTest(left.field, op, right.literal)
    if (left.kind === 'literal' && right.kind === 'field' && op !== '=~' && op !== '!~')
      return this.#literalTest(right.field, turned(op), left.literal)
    if (op === '=~' || op === '!~') {
      const value = this.value(left)
      const fits = textFits(op, right.kind === 'literal' && right.literal.type === 'string' ? right.literal.value : '')
      return (i, e, l) => {
        const v = value(i, e, l)
        return v !== undefined && v.type === valueType.string && fits(v.text)
      }
    }
    if (left.kind === 'field' && right.kind === 'field') return this.#fieldsTest(left.field, op, right.field)
    const a = this.value(left)
    const b = this.value(right)
    return (i, e, l) => {
      const x = a(i, e, l)
      const y = b(i, e, l)
      return x !== undefined && y !== undefined && compareLoose(op, x, y)
    }
  }

  /** Of arrays any element may be the one. */
  #fieldsTest(left: Field, op: CompareOp, right: Field): SpanTest {
    const a = valuesReader(this.#table, left)
    const b = valuesReader(this.#table, right)
    const [missingA, missingB] = [left, right].map(field => {
      const missing = defaultOf(field)
      return missing === undefined ? [] : [missing]
    }) as [Value[], Value[]]
    const orElse = (found: readonly Value[], missing: readonly Value[]): readonly Value[] =>
      found.length === 0 ? missing : found
    return (i, e, l) =>
      orElse(a(i, e, l), missingA).some(x => orElse(b(i, e, l), missingB).some(y => compareLoose(op, x, y)))
  }

  /** A value of a type that nothing is compared with is no absent one. */
  #nilTest(field: Field, op: CompareOp): SpanTest {
    // Where the span lacks the attribute it is absent, whatever its resource has.
    const isUnscoped = field.kind === 'attribute' && field.scope === 'any'
    const isThere = presenceTest(this.#table, isUnscoped && op === '=' ? { ...field, scope: 'span' } : field)
    return op === '=' ? (i, e, l) => !isThere(i, e, l) : isThere
  }

  #literalTest(field: Field, op: CompareOp, literal: Literal): SpanTest {
    const fits = literalFits(op, literal, field)
    const columns = columnsOf(this.#table, field)
    const places = columns.map(column => ({ column, owner: ownerOf(this.#table, column.level) }))
    const [only] = places
    if (only !== undefined && places.length === 1) {
      const { column, owner } = only
      return (i, e, l) => {
        const at = owner(i, e, l)
        return at >= 0 && fitsAt(column, at, fits) === true
      }
    }
    return (i, e, l) => {
      for (const { column, owner } of places) {
        const at = owner(i, e, l)
        const found = at < 0 ? undefined : fitsAt(column, at, fits)
        if (found !== undefined) return found
      }
      return false
    }
  }

  value(expr: FieldExpr): Evaluated {
    switch (expr.kind) {
      case 'literal': {
        const value = literalValue(expr.literal)
        return () => value
      }
      case 'field':
        return singleReader(this.#table, expr.field)
      case 'negate': {
        const inner = this.value(expr.inner)
        return (i, e, l) => {
          const v = inner(i, e, l)
          if (v === undefined || v.type === valueType.string) return undefined
          return v.text === '' ? { ...v, num: -v.num } : { type: v.type, ...wholeOf(-bigOf(v)) }
        }
      }
      case 'arithmetic': {
        const left = this.value(expr.left)
        const right = this.value(expr.right)
        return (i, e, l) => {
          const a = left(i, e, l)
          const b = right(i, e, l)
          return a === undefined || b === undefined || !isNumber(a) || !isNumber(b)
            ? undefined
            : arithmetic(expr.op, a, b)
        }
      }
      default: {
        const test = this.test(expr)
        return (i, e, l) => ({ type: valueType.bool, num: test(i, e, l) ? 1 : 0, text: '' })
      }
    }
  }
}

const isNumber = (v: Value): boolean =>
  v.type === valueType.int || v.type === valueType.float || v.type === valueType.duration

/** Whether an owner's value, or one of its list, fits; undefined for an owner without any. */
function fitsAt(column: FieldColumn, at: number, fits: ValueTest): boolean | undefined {
  const list = column.lists?.get(at)
  if (list !== undefined) return list.length > 0 ? list.some(v => fits(v.type, v.num, v.text)) : undefined
  const type = column.type[at]!
  if (type !== valueType.none) return fits(type, column.num[at]!, column.text[at] ?? '')
  return column.others?.has(at) === true ? false : undefined
}

function allOf(tests: readonly SpanTest[]): SpanTest {
  const [first, second] = tests
  if (first !== undefined && second !== undefined && tests.length === 2)
    return (i, e, l) => first(i, e, l) && second(i, e, l)
  return (i, e, l) => tests.every(t => t(i, e, l))
}

function arithmetic(op: string, a: Value, b: Value): Value | undefined {
  const isInt = a.type === valueType.int && b.type === valueType.int
  const type = isInt
    ? valueType.int
    : a.type === valueType.duration && b.type === valueType.duration
      ? valueType.duration
      : valueType.float
  if (type !== valueType.float && isExact(a) && isExact(b)) {
    const whole = wholeArithmetic(op, a, b)
    if (whole !== undefined) return { type, ...whole }
  }
  let num: number
  switch (op) {
    case '+':
      num = a.num + b.num
      break
    case '-':
      num = a.num - b.num
      break
    case '*':
      num = a.num * b.num
      break
    case '/':
      if (isInt && b.num === 0) return undefined
      num = isInt ? Math.trunc(a.num / b.num) : a.num / b.num
      break
    case '%':
      if (isInt && b.num === 0) return undefined
      num = a.num % b.num
      break
    // The reference swaps the operands of ^ where both are whole numbers.
    default:
      num = isInt ? b.num ** a.num : a.num ** b.num
  }
  return { type, num, text: '' }
}

const isExact = (v: Value): boolean => v.type !== valueType.float

/** Results beyond 2^53 digit for digit; undefined where doubles are exact, or do as well. */
function wholeArithmetic(op: string, a: Value, b: Value): Whole | undefined {
  if (op !== '+' && op !== '-' && op !== '*' && op !== '%') return undefined
  const limit = Number.MAX_SAFE_INTEGER
  const rough = op === '*' ? a.num * b.num : Math.abs(a.num) + Math.abs(b.num)
  if (Math.abs(rough) <= limit) return undefined
  const x = bigOf(a)
  const y = bigOf(b)
  if (op === '%') return y === 0n ? undefined : wholeOf(x % y)
  return wholeOf(op === '+' ? x + y : op === '-' ? x - y : x * y)
}

function literalValue(literal: Literal): Value | undefined {
  switch (literal.type) {
    case 'string':
      return { type: valueType.string, num: 0, text: literal.value }
    case 'bool':
      return { type: valueType.bool, num: literal.value ? 1 : 0, text: '' }
    case 'nil':
      return undefined
    case 'int':
    case 'duration':
      return { type: valueType[literal.type], num: literal.value, text: literal.digits ?? '' }
    default:
      return { type: valueType[literal.type], num: literal.value, text: '' }
  }
}

export function turned(op: CompareOp): CompareOp {
  return op === '<' ? '>' : op === '<=' ? '>=' : op === '>' ? '<' : op === '>=' ? '<=' : op
}

function ordered(op: CompareOp, order: number): boolean {
  switch (op) {
    case '=':
      return order === 0
    case '!=':
      return order !== 0
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    default:
      return order >= 0
  }
}

function compareLoose(op: CompareOp, a: Value, b: Value): boolean {
  if (isNumber(a) && isNumber(b))
    return Number.isNaN(a.num) || Number.isNaN(b.num) ? op === '!=' : ordered(op, order(a.num, a.text, b.num, b.text))
  if (a.type !== b.type) return false
  if (a.type === valueType.string) return ordered(op, a.text < b.text ? -1 : a.text > b.text ? 1 : 0)
  return ordered(op, a.num - b.num)
}

function textFits(op: '=~' | '!~', source: string): (text: string) => boolean {
  // Texts of spans have lines: a dot matches their ends too, unless the expression says otherwise.
  const regex = compileRe2(`(?s)${source}`)
  const memo = new Map<string, boolean>()
  return text => {
    let result = memo.get(text)
    if (result === undefined) {
      result = regex.matcher(text).matches() === (op === '=~')
      if (memo.size < 10_000) memo.set(text, result)
    }
    return result
  }
}

/** Ids, which are the same with and without zeros before them, in small letters and capitals. */
export const idFields: ReadonlySet<string> = new Set([
  'trace:id',
  'span:id',
  'span:parentID',
  'link:traceID',
  'link:spanID',
])

function plainId(text: string): string {
  return text.toLowerCase().replace(/^0+(?=.)/, '')
}

/** Whether a stored id, which has small letters, is this plain one. */
function isSameId(text: string, id: string): boolean {
  return text.length > id.length ? text.endsWith(id) && plainId(text) === id : text === id
}

/**
 * Does a stored value fit? Attributes are compared with values of the literal's own type only, intrinsics with any
 * number.
 */
export function literalFits(op: CompareOp, literal: Literal, field: Field): ValueTest {
  const isIntrinsic = field.kind === 'intrinsic'
  if (literal.type === 'string') {
    const { value } = literal
    if (isIntrinsic && idFields.has(field.name) && (op === '=' || op === '!=')) {
      const id = plainId(value)
      return (_type, _num, text) => isSameId(text, id) === (op === '=')
    }
    if (op === '=~' || op === '!~') {
      const fits = textFits(op, value)
      return (type, _num, text) => type === valueType.string && fits(text)
    }
    if (op === '=') return (type, _num, text) => type === valueType.string && text === value
    if (op === '!=') return (type, _num, text) => type === valueType.string && text !== value
    return (type, _num, text) => type === valueType.string && ordered(op, text < value ? -1 : text > value ? 1 : 0)
  }
  const value = literalValue(literal)
  if (value === undefined) return () => false
  if (isIntrinsic && isNumber(value))
    return (type, num, text) =>
      (type === valueType.int || type === valueType.duration || type === valueType.float) &&
      ordered(op, order(num, text, value.num, value.text))
  return (type, num, text) => type === value.type && ordered(op, order(num, text, value.num, value.text))
}

function flatten(expr: FieldExpr, into: FieldExpr[]): void {
  if (expr.kind === 'logic' && expr.op === '&&') {
    flatten(expr.left, into)
    flatten(expr.right, into)
  } else into.push(expr)
}

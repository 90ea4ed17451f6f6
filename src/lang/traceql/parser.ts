/** TraceQL's parser and its static checks. Source: docs/traces.md (the language). */
import { addAll } from '#core/lists.ts'
import { ownOf } from '#core/own.ts'
import { checkQueryLength, QuerySize } from '#lang/query-size.ts'
import { compileRe2 } from '../regex/regex.ts'
import type {
  Aggregate,
  ArithmeticOp,
  CompareOp,
  Field,
  FieldExpr,
  Hints,
  Literal,
  MetricsExpr,
  MetricsFunction,
  SecondStage,
  SpansetOp,
  Stage,
  TraceqlQuery,
} from './ast.ts'
import { typeOfField } from './fields.ts'
import { failAt, tokenize, type Token } from './lexer.ts'

const statuses: Readonly<Record<string, number>> = { unset: 0, ok: 1, error: 2 }
const kinds: Readonly<Record<string, number>> = {
  unspecified: 0,
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5,
}
const comparisons: ReadonlySet<string> = new Set(['=', '!=', '=~', '!~', '<', '<=', '>', '>='])
const looseOps: ReadonlySet<string> = new Set(['&&', '||'])
const tightOps: ReadonlySet<string> = new Set([
  '>',
  '>>',
  '<',
  '<<',
  '~',
  '!>',
  '!>>',
  '!<',
  '!<<',
  '!~',
  '&>',
  '&>>',
  '&<',
  '&<<',
  '&~',
])
const metricsNames: ReadonlySet<string> = new Set([
  'rate',
  'count_over_time',
  'min_over_time',
  'max_over_time',
  'sum_over_time',
  'avg_over_time',
  'quantile_over_time',
  'histogram_over_time',
  'compare',
])
const aggregateNames: ReadonlySet<string> = new Set(['count', 'min', 'max', 'avg', 'sum'])
const groupsMax = 5
const topNMax = 1000

/** What a pipeline in parentheses may turn out to be. */
type Parsed = { kind: 'stages'; stages: Stage[] } | { kind: 'metrics'; expr: MetricsExpr }

/** Throws BadQueryError. */
export function parseTraceql(text: string): TraceqlQuery {
  return new Parser(text).query()
}

/** A field by itself, as parameters and group keys name it. Throws BadQueryError. */
export function parseField(text: string): Field {
  const tokens = tokenize(text)
  if (tokens.length === 2 && tokens[0]!.kind === 'field') return tokens[0]!.field
  return failAt(text, 0, `${JSON.stringify(text)} is no attribute or intrinsic`)
}

class Parser {
  readonly #text: string
  readonly #tokens: Token[]
  #at = 0
  readonly #size = new QuerySize((message, at) => this.#fail(message, at))

  constructor(text: string) {
    checkQueryLength(text)
    this.#text = text
    this.#tokens = tokenize(text)
  }

  #fail(message: string, at = this.#token.at): never {
    return failAt(this.#text, at, message)
  }
  get #token(): Token {
    return this.#tokens[this.#at]!
  }
  #is(text: string): boolean {
    const token = this.#token
    return (token.kind === 'symbol' || token.kind === 'word') && token.text === text
  }
  #take(text: string): boolean {
    if (!this.#is(text)) return false
    this.#at++
    return true
  }
  #expect(text: string): void {
    if (!this.#take(text)) this.#unexpected(`${JSON.stringify(text)} was expected`)
  }
  #unexpected(hint?: string): never {
    const token = this.#token
    const shown =
      token.kind === 'end'
        ? '$end'
        : token.kind === 'symbol'
          ? token.text
          : token.kind === 'word'
            ? token.text
            : token.kind === 'field'
              ? token.field.text
              : token.kind === 'string'
                ? 'STRING'
                : 'NUMBER'
    if (token.kind === 'word' && hint === undefined) return this.#fail(`unknown identifier: ${token.text}`)
    return this.#fail(`syntax error: unexpected ${shown}${hint === undefined ? '' : `, ${hint}`}`)
  }
  #deeper<T>(work: () => T): T {
    return this.#size.deeper(this.#token.at, work)
  }

  query(): TraceqlQuery {
    const parsed = this.#top()
    const hints = this.#hints()
    if (this.#token.kind !== 'end') this.#unexpected()
    if (parsed.kind === 'metrics') {
      if (parsed.expr.kind === 'constant') this.#fail('a constant is no query', 0)
      return { kind: 'metrics', expr: parsed.expr, hints }
    }
    return { kind: 'search', stages: parsed.stages, hints }
  }

  #hints(): Hints {
    const hints = new Map<string, Literal>()
    if (!this.#take('with')) return hints
    this.#expect('(')
    do {
      const token = this.#token
      if (token.kind !== 'word') this.#unexpected('a hint was expected')
      this.#at++
      this.#expect('=')
      hints.set(token.text, this.#literal() ?? this.#unexpected('a value was expected'))
    } while (this.#take(','))
    this.#expect(')')
    return hints
  }

  // --- Pipelines and metrics ---

  #top(): Parsed {
    const left = this.#operand()
    return left.kind === 'metrics' ? { kind: 'metrics', expr: this.#mathRest(left.expr, 0) } : left
  }

  /** A pipeline, or a number with arithmetic behind it. */
  #operand(): Parsed {
    const token = this.#token
    const next = this.#tokens[this.#at + 1]
    if (token.kind === 'number' && (next?.kind !== 'symbol' || !comparisons.has(next.text))) {
      this.#at++
      return { kind: 'metrics', expr: { kind: 'constant', value: token.value, isInt: token.isInt } }
    }
    return this.#deeper(() => this.#pipeline())
  }

  #mathRest(left: MetricsExpr, level: 0 | 1): MetricsExpr {
    const ops = [
      ['+', '-'],
      ['*', '/'],
    ][level]!
    if (level === 0) left = this.#mathRest(left, 1)
    for (;;) {
      const op = ops.find(o => this.#is(o)) as '+' | '-' | '*' | '/' | undefined
      if (op === undefined) return left
      this.#size.operator(this.#token.at)
      this.#at++
      const operand = this.#operand()
      if (operand.kind !== 'metrics') this.#fail('arithmetic joins metrics queries in parentheses and numbers')
      else {
        const right = level === 0 ? this.#mathRest(operand.expr, 1) : operand.expr
        left = foldMath(op, left, right)
      }
    }
  }

  #pipeline(): Parsed {
    const first = this.#stage(true)
    if (first.kind === 'metrics') return first
    const stages = first.stages
    while (this.#take('|')) {
      const token = this.#token
      this.#size.part(token.at)
      if (token.kind === 'word' && metricsNames.has(token.text)) return { kind: 'metrics', expr: this.#metrics(stages) }
      const next = this.#stage(false)
      if (next.kind === 'metrics') this.#fail("a metrics query can't be a stage")
      else addAll(stages, next.stages)
    }
    return { kind: 'stages', stages }
  }

  #stage(isFirst: boolean): Parsed {
    const token = this.#token
    if (token.kind === 'word') {
      if (token.text === 'by') {
        this.#at++
        this.#expect('(')
        const from = this.#token.at
        const expr = this.#fieldExpr()
        const text = this.#text.slice(from, this.#token.at).trim()
        this.#expect(')')
        if (!references(expr)) this.#fail('grouping field expressions must reference the span', from)
        return { kind: 'stages', stages: [{ kind: 'by', expr, text: exprText(expr) || text }] }
      }
      if (token.text === 'coalesce') {
        if (isFirst) this.#unexpected("coalesce() can't be the first stage")
        this.#at++
        this.#expect('(')
        this.#expect(')')
        return { kind: 'stages', stages: [{ kind: 'coalesce' }] }
      }
      if (token.text === 'select') {
        this.#at++
        this.#expect('(')
        const fields = [this.#field()]
        while (this.#take(',')) fields.push(this.#field())
        this.#expect(')')
        return { kind: 'stages', stages: [{ kind: 'select', fields }] }
      }
      if (aggregateNames.has(token.text)) return { kind: 'stages', stages: [this.#scalarFilter()] }
      return this.#unexpected()
    }
    if (token.kind === 'number' || token.kind === 'duration' || this.#is('-'))
      return { kind: 'stages', stages: [this.#scalarFilter()] }
    return this.#spanset(0)
  }

  #spanset(level: 0 | 1): Parsed {
    let left = level === 0 ? this.#spanset(1) : this.#spansetPrimary()
    const ops = level === 0 ? looseOps : tightOps
    for (;;) {
      const token = this.#token
      if (left.kind === 'metrics' || token.kind !== 'symbol' || !ops.has(token.text)) return left
      this.#size.operator(token.at)
      this.#at++
      const right = level === 0 ? this.#spanset(1) : this.#spansetPrimary()
      if (right.kind === 'metrics') this.#fail("spanset operators don't join metrics queries", token.at)
      else
        left = {
          kind: 'stages',
          stages: [{ kind: 'combine', op: token.text as SpansetOp, left: left.stages, right: right.stages }],
        }
    }
  }

  #spansetPrimary(): Parsed {
    if (this.#take('{')) {
      if (this.#take('}')) return { kind: 'stages', stages: [{ kind: 'filter', condition: undefined }] }
      const { at } = this.#token
      const condition = this.#fieldExpr()
      this.#expect('}')
      this.#checkFilter(condition, at)
      return { kind: 'stages', stages: [{ kind: 'filter', condition }] }
    }
    if (this.#take('(')) {
      const inner = this.#deeper(() => this.#top())
      this.#expect(')')
      return inner
    }
    return this.#unexpected()
  }

  #aggregate(): Aggregate {
    const token = this.#token
    if (token.kind !== 'word' || !aggregateNames.has(token.text)) return this.#unexpected('an aggregate was expected')
    this.#at++
    this.#expect('(')
    const name = token.text as Aggregate['name']
    if (name === 'count') {
      this.#expect(')')
      return { name, argument: undefined, text: 'count()' }
    }
    const { at } = this.#token
    const argument = this.#fieldExpr()
    this.#expect(')')
    if (!references(argument)) this.#fail('aggregate field expressions must reference the span', at)
    const type = this.#typeOf(argument)
    if (type !== 'number' && type !== 'any')
      this.#fail(`aggregate field expressions must resolve to a number type: ${name}(${exprText(argument)})`, at)
    return { name, argument, text: `${name}(${exprText(argument)})` }
  }

  #scalarNumber(): { value: number; digits: string } | undefined {
    const at = this.#at
    const sign = this.#take('-') ? -1 : 1
    const token = this.#token
    if (token.kind !== 'number' && token.kind !== 'duration') {
      this.#at = at
      return undefined
    }
    this.#at++
    let value = sign * token.value
    let { digits } = token
    if (digits !== '' && sign < 0) digits = `-${digits}`
    // Constants are folded.
    for (;;) {
      const op = (['+', '-', '*', '/'] as const).find(o => this.#is(o))
      const next = this.#tokens[this.#at + 1]
      if (op === undefined || (next?.kind !== 'number' && next?.kind !== 'duration')) return { value, digits }
      this.#at += 2
      digits = ''
      value =
        op === '+'
          ? value + next.value
          : op === '-'
            ? value - next.value
            : op === '*'
              ? value * next.value
              : value / next.value
    }
  }

  #scalarFilter(): Stage {
    const start = this.#token.at
    const constant = this.#scalarNumber()
    const aggregate = constant === undefined ? this.#aggregate() : undefined
    const op = this.#token
    if (op.kind !== 'symbol' || !comparisons.has(op.text))
      return op.kind === 'symbol' && '+-*/%^'.includes(op.text)
        ? this.#fail('arithmetic between aggregates is not yet supported', op.at)
        : this.#unexpected('a comparison was expected')
    if (op.text === '=~' || op.text === '!~') this.#fail(`${op.text} does not compare numbers`, op.at)
    this.#at++
    if (aggregate !== undefined) {
      const value = this.#scalarNumber()
      if (value === undefined)
        return this.#fail('an aggregate is compared with a constant: both sides being aggregates is not yet supported')
      return { kind: 'scalar-filter', aggregate, op: op.text as CompareOp, ...value }
    }
    const right = this.#aggregate()
    const turned: Record<string, CompareOp> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '=': '=', '!=': '!=' }
    if (constant === undefined) return this.#fail('a constant was expected', start)
    return { kind: 'scalar-filter', aggregate: right, op: turned[op.text]!, ...constant }
  }

  // --- Metrics ---

  #field(): Field {
    const token = this.#token
    if (token.kind !== 'field') return this.#unexpected('an attribute or intrinsic was expected')
    this.#at++
    return token.field
  }

  #int(what: string): number {
    return Number(this.#bigint(what))
  }

  #bigint(what: string): bigint {
    const token = this.#token
    if (token.kind !== 'number' || !token.isInt) return this.#unexpected(`${what} was expected`)
    this.#at++
    return BigInt(token.digits === '' ? token.value : token.digits)
  }

  #metrics(stages: Stage[]): MetricsExpr {
    const word = this.#token
    const name = (word.kind === 'word' ? word.text : '') as MetricsFunction['name']
    this.#at++
    const fn: MetricsFunction = {
      name,
      field: undefined,
      quantiles: [],
      by: [],
      selection: undefined,
      topN: 10,
      startNs: 0n,
      endNs: 0n,
    }
    this.#expect('(')
    if (name === 'compare') this.#compareArguments(fn)
    else if (name !== 'rate' && name !== 'count_over_time') {
      const { at } = this.#token
      fn.field = this.#field()
      const type = typeOfField(fn.field)
      if (type !== 'number' && type !== 'any') this.#fail(`${name}(${fn.field.text}): a number was expected`, at)
      while (name === 'quantile_over_time' && this.#take(',')) {
        const token = this.#token
        if (token.kind !== 'number') return this.#unexpected('a quantile was expected')
        this.#at++
        if (token.value < 0 || token.value > 1) this.#fail(`quantile must be between 0 and 1: ${token.value}`, token.at)
        fn.quantiles.push(token.value)
      }
      if (name === 'quantile_over_time' && fn.quantiles.length === 0) this.#unexpected('a quantile was expected')
    }
    this.#expect(')')
    if (name !== 'compare' && this.#take('by')) {
      const { at } = this.#token
      this.#expect('(')
      fn.by.push(this.#field())
      while (this.#take(',')) fn.by.push(this.#field())
      this.#expect(')')
      const most = name === 'quantile_over_time' || name === 'histogram_over_time' ? groupsMax - 1 : groupsMax
      if (fn.by.length > most) this.#fail(`${name} by ${fn.by.length} attributes is not supported, ${most} are`, at)
    }
    return { kind: 'pipeline', stages, fn, after: this.#secondStages(name) }
  }

  #compareArguments(fn: MetricsFunction): void {
    this.#expect('{')
    const { at } = this.#token
    if (!this.#is('}')) {
      fn.selection = this.#fieldExpr()
      this.#checkFilter(fn.selection, at)
    }
    this.#expect('}')
    const numbers: bigint[] = []
    while (this.#take(',')) numbers.push(this.#bigint('a number'))
    if (numbers.length !== 0 && numbers.length !== 1 && numbers.length !== 3)
      this.#fail('compare() takes a selection, and after it a count, or a count, a start and an end')
    if (numbers.length > 0) fn.topN = Number(numbers[0]!)
    if (fn.topN <= 0 || fn.topN > topNMax) this.#fail(`compare() top number of values must be between 1 and ${topNMax}`)
    if (numbers.length === 3) {
      fn.startNs = numbers[1]!
      fn.endNs = numbers[2]!
      if (fn.startNs >= fn.endNs) this.#fail('compare() start must be before its end')
    }
  }

  #secondStages(name: string): SecondStage[] {
    const after: SecondStage[] = []
    for (;;) {
      const token = this.#token
      if (token.kind === 'symbol' && comparisons.has(token.text)) {
        if (token.text === '=~' || token.text === '!~') this.#fail(`${token.text} does not compare numbers`)
        this.#at++
        const sign = this.#take('-') ? -1 : 1
        const value = this.#token
        if (value.kind !== 'number' && value.kind !== 'duration') return this.#unexpected('a number was expected')
        this.#at++
        after.push({
          kind: 'compare',
          op: token.text as CompareOp,
          value: sign * (value.kind === 'duration' ? value.value / 1e9 : value.value),
        })
      } else if (token.kind === 'symbol' && token.text === '|') {
        this.#at++
        const word = this.#token
        if (word.kind !== 'word' || (word.text !== 'topk' && word.text !== 'bottomk'))
          return this.#unexpected('topk or bottomk was expected')
        this.#at++
        this.#expect('(')
        const { at } = this.#token
        const count = this.#int('a count')
        if (count <= 0) this.#fail(`${word.text} limit must be greater than 0`, at)
        this.#expect(')')
        after.push({ kind: word.text, count })
      } else break
      if (name === 'compare') this.#fail('nothing may follow compare()', token.at)
    }
    return after
  }

  // --- Expressions over fields ---

  #fieldExpr(): FieldExpr {
    return this.#deeper(() => this.#logic())
  }

  #logic(): FieldExpr {
    let left = this.#comparison()
    for (;;) {
      const op = this.#is('&&') ? ('&&' as const) : this.#is('||') ? ('||' as const) : undefined
      if (op === undefined) return left
      const { at } = this.#token
      this.#size.operator(at)
      this.#at++
      const right = this.#comparison()
      for (const side of [left, right]) {
        const type = this.#typeOf(side)
        if (type !== 'bool' && type !== 'any')
          this.#fail(`illegal operation for the given types: ${exprText(left)} ${op} ${exprText(right)}`, at)
      }
      left = { kind: 'logic', op, left, right }
    }
  }

  #comparison(): FieldExpr {
    const left = this.#sum()
    const token = this.#token
    if (token.kind !== 'symbol' || !comparisons.has(token.text)) return left
    this.#at++
    const right = this.#sum()
    const expr: FieldExpr = { kind: 'compare', op: token.text as CompareOp, left, right }
    this.#checkComparison(expr, token.at)
    if (this.#token.kind === 'symbol' && comparisons.has(this.#token.text)) this.#unexpected()
    return expr
  }

  #sum(): FieldExpr {
    return this.#arithmetic(['+', '-'], () => this.#unaryNot())
  }
  #unaryNot(): FieldExpr {
    const { at } = this.#token
    if (!this.#take('!')) return this.#product()
    const inner = this.#deeper(() => this.#unaryNot())
    const type = this.#typeOf(inner)
    if (type !== 'bool' && type !== 'any') this.#fail(`illegal operation for the given type: !${exprText(inner)}`, at)
    return { kind: 'not', inner }
  }
  #product(): FieldExpr {
    return this.#arithmetic(['*', '/', '%'], () => this.#power())
  }
  #power(): FieldExpr {
    const left = this.#unaryMinus()
    const { at } = this.#token
    if (!this.#take('^')) return left
    const expr: FieldExpr = { kind: 'arithmetic', op: '^', left, right: this.#deeper(() => this.#power()) }
    this.#checkArithmetic(expr, at)
    return expr
  }

  #arithmetic(ops: readonly ArithmeticOp[], operand: () => FieldExpr): FieldExpr {
    let left = operand()
    for (;;) {
      const op = ops.find(o => this.#is(o))
      if (op === undefined) return left
      const { at } = this.#token
      this.#size.operator(at)
      this.#at++
      const expr: FieldExpr = { kind: 'arithmetic', op, left, right: operand() }
      this.#checkArithmetic(expr, at)
      left = expr
    }
  }

  #unaryMinus(): FieldExpr {
    const { at } = this.#token
    if (!this.#take('-')) return this.#primary()
    const inner = this.#deeper(() => this.#unaryMinus())
    if (inner.kind === 'literal') {
      const { literal } = inner
      if (literal.type === 'float') return { kind: 'literal', literal: { ...literal, value: -literal.value } }
      if (literal.type === 'int' || literal.type === 'duration') return { kind: 'literal', literal: negated(literal) }
    }
    const type = this.#typeOf(inner)
    if (type !== 'number' && type !== 'any') this.#fail(`illegal operation for the given type: -${exprText(inner)}`, at)
    return { kind: 'negate', inner }
  }

  #primary(): FieldExpr {
    if (this.#take('(')) {
      const inner = this.#fieldExpr()
      this.#expect(')')
      return inner
    }
    const token = this.#token
    if (token.kind === 'field') {
      this.#at++
      return { kind: 'field', field: token.field }
    }
    const literal = this.#literal()
    return literal === undefined ? this.#unexpected() : { kind: 'literal', literal }
  }

  #literal(): Literal | undefined {
    const token = this.#token
    switch (token.kind) {
      case 'string':
        this.#at++
        return { type: 'string', value: token.value }
      case 'number':
        this.#at++
        return token.isInt
          ? { type: 'int', value: token.value, ...digitsMember(token.digits) }
          : { type: 'float', value: token.value }
      case 'duration':
        this.#at++
        return { type: 'duration', value: token.value, ...digitsMember(token.digits) }
      case 'word': {
        const literal = wordLiteral(token.text)
        if (literal !== undefined) this.#at++
        return literal
      }
      default:
        return undefined
    }
  }

  // --- Static checks ---

  #typeOf(expr: FieldExpr): 'bool' | 'number' | 'string' | 'status' | 'kind' | 'nil' | 'any' {
    switch (expr.kind) {
      case 'literal': {
        const { type } = expr.literal
        return type === 'int' || type === 'float' || type === 'duration' ? 'number' : type
      }
      case 'field':
        return typeOfField(expr.field)
      case 'arithmetic':
      case 'negate':
        return 'number'
      default:
        return 'bool'
    }
  }

  #checkFilter(condition: FieldExpr, at: number): void {
    const type = this.#typeOf(condition)
    if (type !== 'bool' && type !== 'any')
      this.#fail(`span filter field expressions must resolve to a boolean: { ${exprText(condition)} }`, at)
    if (!references(condition) && condition.kind !== 'literal')
      this.#fail('span filter field expressions must reference the span', at)
  }

  #checkArithmetic(expr: FieldExpr & { kind: 'arithmetic' }, at: number): void {
    for (const side of [expr.left, expr.right]) {
      const type = this.#typeOf(side)
      if (type !== 'number' && type !== 'any')
        this.#fail(`illegal operation for the given types: ${exprText(expr)}`, at)
    }
  }

  #checkComparison(expr: FieldExpr & { kind: 'compare' }, at: number): void {
    const { op, left, right } = expr
    const a = this.#typeOf(left)
    const b = this.#typeOf(right)
    const illegal = (): never => this.#fail(`illegal operation for the given types: ${exprText(expr)}`, at)
    if (op === '=~' || op === '!~') {
      if (right.kind !== 'literal' || right.literal.type !== 'string') {
        illegal()
        return
      }
      if (a !== 'string' && a !== 'any') illegal()
      this.#size.regex(right.literal.value, at)
      try {
        compileRe2(right.literal.value)
      } catch (error) {
        this.#fail(`invalid regex: ${error instanceof Error ? error.message : String(error)}`, at)
      }
      return
    }
    if (a === 'nil' || b === 'nil') {
      const other = a === 'nil' ? right : left
      if ((op !== '=' && op !== '!=') || other.kind !== 'field') {
        illegal()
        return
      }
      const { field } = other
      if (op === '=' && (field.kind === 'intrinsic' || (field.scope === 'resource' && field.name === 'service.name')))
        this.#fail(`${field.text} is always there: it can't be compared with nil`, at)
      return
    }
    if (a !== b && a !== 'any' && b !== 'any') illegal()
    const type = a === 'any' ? b : a
    if ((type === 'bool' || type === 'status' || type === 'kind') && op !== '=' && op !== '!=') illegal()
  }
}

/** Digits as a literal has them: only where they are needed. */
function digitsMember(digits: string): { digits?: string } {
  return digits === '' ? {} : { digits }
}

function negated<T extends { value: number; digits?: string }>(literal: T): T {
  const { value, digits } = literal
  return { ...literal, value: -value, ...(digits === undefined ? {} : { digits: String(-BigInt(digits)) }) }
}

function wordLiteral(word: string): Literal | undefined {
  if (word === 'true' || word === 'false') return { type: 'bool', value: word === 'true' }
  if (word === 'nil') return { type: 'nil' }
  if (word === 'minInt') return { type: 'int', value: -(2 ** 63), digits: String(-(2n ** 63n)) }
  if (word === 'maxInt') return { type: 'int', value: 2 ** 63, digits: String(2n ** 63n - 1n) }
  const status = ownOf(statuses, word)
  if (status !== undefined) return { type: 'status', value: status }
  const kind = ownOf(kinds, word)
  return kind === undefined ? undefined : { type: 'kind', value: kind }
}

function foldMath(op: '+' | '-' | '*' | '/', left: MetricsExpr, right: MetricsExpr): MetricsExpr {
  if (left.kind !== 'constant' || right.kind !== 'constant') return { kind: 'math', op, left, right }
  const isInt = left.isInt && right.isInt
  const value =
    op === '+'
      ? left.value + right.value
      : op === '-'
        ? left.value - right.value
        : op === '*'
          ? left.value * right.value
          : left.value / right.value
  return { kind: 'constant', value: isInt && op === '/' ? Math.trunc(value) : value, isInt }
}

/** Does the expression look at a span at all? */
function references(expr: FieldExpr): boolean {
  switch (expr.kind) {
    case 'literal':
      return false
    case 'field':
      return true
    case 'not':
    case 'negate':
      return references(expr.inner)
    default:
      return references(expr.left) || references(expr.right)
  }
}

const statusNames = ['unset', 'ok', 'error']
const kindNames = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']

export function durationText(ns: number): string {
  if (ns === 0) return '0s'
  const sign = ns < 0 ? '-' : ''
  const abs = Math.abs(ns)
  const trim = (value: number): string => String(Number(value.toPrecision(15)))
  if (abs < 1e3) return `${sign}${trim(abs)}ns`
  if (abs < 1e6) return `${sign}${trim(abs / 1e3)}µs`
  if (abs < 1e9) return `${sign}${trim(abs / 1e6)}ms`
  const hours = Math.floor(abs / 3.6e12)
  const minutes = Math.floor((abs % 3.6e12) / 6e10)
  const seconds = `${trim((abs % 6e10) / 1e9)}s`
  return `${sign}${hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : ''}${seconds}`
}

function literalText(literal: Literal): string {
  switch (literal.type) {
    case 'string':
      return `\`${literal.value}\``
    case 'duration':
      return durationText(literal.value)
    case 'status':
      return statusNames[literal.value]!
    case 'kind':
      return kindNames[literal.value]!
    case 'nil':
      return 'nil'
    default:
      return String(literal.value)
  }
}

/** An expression as keys of results spell it. */
export function exprText(expr: FieldExpr, isInner = false): string {
  const part = (inner: FieldExpr): string => exprText(inner, true)
  switch (expr.kind) {
    case 'literal':
      return literalText(expr.literal)
    case 'field':
      return expr.field.text
    case 'not':
      return `!${part(expr.inner)}`
    case 'negate':
      return `-${part(expr.inner)}`
    default: {
      const text = `${part(expr.left)} ${expr.op} ${part(expr.right)}`
      return isInner ? `(${text})` : text
    }
  }
}

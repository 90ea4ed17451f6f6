/** TraceQL's parser and its static checks. Source: docs/traces.md (the language). */
import { BadQueryError } from '#core/errors.ts'
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
import { isReserved, typeOfField } from './fields.ts'
import { failAt, RefusedQueryError, tokenize, type Token } from './lexer.ts'

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

/** What a pipeline in parentheses may turn out to be; `isClosed`: in parentheses, so that arithmetic may follow. */
type Parsed = { kind: 'stages'; stages: Stage[] } | { kind: 'metrics'; expr: MetricsExpr; isClosed: boolean }

/** Throws BadQueryError. */
export function parseTraceql(text: string): TraceqlQuery {
  if (text === '') throw new BadQueryError('parse error : syntax error: unexpected $end', 0, 0)
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
  #refused: string | undefined
  readonly #size = new QuerySize((message, at) => this.#fail(message, at))

  constructor(text: string) {
    checkQueryLength(text)
    this.#text = text
    this.#tokens = tokenize(text)
  }

  #fail(message: string, at = this.#token.at): never {
    return failAt(this.#text, at, message)
  }
  /** What the whole query is refused for, once it has been read: a query of the language that means nothing. */
  #refuse(message: string): void {
    this.#refused ??= message
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
    if (!this.#take(text)) this.#unexpected(text)
  }
  /** `expected`: the words that may stand here, where they are few. */
  #unexpected(expected?: string): never {
    const shown = shownToken(this.#token)
    return this.#fail(`syntax error: unexpected ${shown}${expected === undefined ? '' : `, expecting ${expected}`}`)
  }
  #deeper<T>(work: () => T): T {
    return this.#size.deeper(this.#token.at, work)
  }

  query(): TraceqlQuery {
    const parsed = this.#top()
    const hints = this.#hints()
    if (this.#token.kind !== 'end') this.#unexpected('with')
    if (parsed.kind === 'metrics' && parsed.expr.kind === 'constant')
      this.#fail('syntax error: unexpected $end', this.#text.length)
    if (this.#refused !== undefined) throw new RefusedQueryError(this.#refused, 0, this.#text.length)
    if (parsed.kind === 'metrics') {
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
      if (token.kind !== 'word') this.#unexpected('IDENTIFIER')
      this.#at++
      this.#expect('=')
      hints.set(token.text, this.#literal() ?? this.#unexpected())
    } while (this.#take(','))
    this.#expect(')')
    return hints
  }

  // --- Pipelines and metrics ---

  #top(): Parsed {
    const left = this.#operand()
    if (left.kind !== 'metrics' || !left.isClosed) return left
    const inner = this.#mathRest(left.expr, 0)
    const after = this.#secondStages()
    if (after.length === 0) return { kind: 'metrics', expr: inner, isClosed: false }
    if (hasCompare(inner)) this.#refuse(compareAlone)
    return { kind: 'metrics', expr: { kind: 'staged', inner, after }, isClosed: false }
  }

  /** A pipeline, or a number with arithmetic behind it. */
  #operand(): Parsed {
    const token = this.#token
    const next = this.#tokens[this.#at + 1]
    if (token.kind === 'number' && (next?.kind !== 'symbol' || !comparisons.has(next.text))) {
      this.#at++
      return { kind: 'metrics', expr: { kind: 'constant', value: token.value, isInt: token.isInt }, isClosed: true }
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
      if (this.#token.kind === 'duration')
        this.#fail('duration cannot be used as a scalar operand in metric arithmetic', this.#tokens[this.#at + 1]!.at)
      if (this.#token.kind !== 'number' && !this.#is('(')) this.#unexpected()
      const operand = this.#operand()
      if (operand.kind !== 'metrics') {
        this.#at--
        this.#unexpected('|')
      } else {
        const right = level === 0 ? this.#mathRest(operand.expr, 1) : operand.expr
        if (hasCompare(left) || hasCompare(right)) this.#refuse(compareAlone)
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
      if (token.kind === 'word' && metricsNames.has(token.text))
        return { kind: 'metrics', expr: this.#metrics(stages), isClosed: false }
      const next = this.#stage(false)
      if (next.kind === 'metrics') this.#unexpected()
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
        const expr = this.#fieldExpr()
        const text = exprText(expr)
        this.#expect(')')
        if (!references(expr)) this.#refuse(`grouping field expressions must reference the span: by(${text})`)
        return { kind: 'stages', stages: [{ kind: 'by', expr, text }] }
      }
      if (token.text === 'coalesce') {
        if (isFirst) this.#unexpected()
        this.#at++
        this.#expect('(')
        this.#expect(')')
        return { kind: 'stages', stages: [{ kind: 'coalesce' }] }
      }
      if (token.text === 'select') {
        this.#at++
        this.#expect('(')
        return { kind: 'stages', stages: [{ kind: 'select', fields: this.#fields() }] }
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
      if (isPipeline(left.stages)) {
        if (!this.#is('(')) this.#unexpected('(')
      } else if (!this.#is('{') && !this.#is('(')) this.#unexpected('{ or (')
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
      const condition = this.#fieldExpr()
      if (!this.#take('}')) this.#unexpected()
      this.#checkFilter(condition)
      return { kind: 'stages', stages: [{ kind: 'filter', condition }] }
    }
    if (this.#take('(')) {
      const inner = this.#deeper(() => this.#top())
      this.#expect(')')
      return inner.kind === 'metrics' ? { ...inner, isClosed: true } : inner
    }
    return this.#unexpected()
  }

  #aggregate(): Aggregate {
    const token = this.#token
    if (token.kind !== 'word' || !aggregateNames.has(token.text)) return this.#unexpected()
    this.#at++
    this.#expect('(')
    const name = token.text as Aggregate['name']
    if (name === 'count') {
      this.#expect(')')
      return { name, argument: undefined, text: 'count()' }
    }
    const argument = this.#fieldExpr()
    this.#expect(')')
    const text = `${name}(${exprText(argument)})`
    const type = this.#typeOf(argument)
    if (type !== 'number' && type !== 'any')
      this.#refuse(`aggregate field expressions must resolve to a number type: ${text}`)
    else if (!references(argument)) this.#refuse(`aggregate field expressions must reference the span: ${text}`)
    return { name, argument, text }
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
    const constant = this.#scalarNumber()
    let aggregate = constant === undefined ? this.#aggregate() : undefined
    // Arithmetic with aggregates can be written, but nothing evaluates it: both texts are the reference's own.
    while (['+', '-', '*', '/', '%', '^'].some(op => this.#take(op))) {
      this.#refuse('scalar filter lhs of type (%v) not yet supported')
      if (this.#scalarNumber() === undefined) aggregate ??= this.#aggregate()
    }
    const op = this.#token
    if (op.kind !== 'symbol' || !comparisons.has(op.text) || op.text === '=~' || op.text === '!~')
      return this.#unexpected()
    this.#at++
    const value = this.#scalarNumber()
    if (aggregate !== undefined && value !== undefined)
      return { kind: 'scalar-filter', aggregate, op: op.text as CompareOp, ...value }
    if (aggregate !== undefined) this.#refuse('scalar filter rhs of type (%v) not yet supported')
    const turned: Record<string, CompareOp> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '=': '=', '!=': '!=' }
    return {
      kind: 'scalar-filter',
      aggregate: this.#aggregate(),
      op: turned[op.text]!,
      ...(constant ?? { value: 0, digits: '' }),
    }
  }

  // --- Metrics ---

  #field(): Field {
    const token = this.#token
    if (token.kind === 'unsupported') return this.#unsupported(token.message)
    if (token.kind !== 'field') return this.#unexpected()
    this.#at++
    return token.field
  }

  /** Stands for a field that can't be read: the query is refused. */
  #unsupported(message: string): Field {
    this.#refuse(message)
    this.#at++
    return { kind: 'attribute', scope: 'any', name: 'parent', text: 'parent' }
  }

  /** Fields up to the closing parenthesis. */
  #fields(): Field[] {
    const fields = [this.#field()]
    while (this.#take(',')) fields.push(this.#field())
    if (!this.#take(')')) this.#unexpected(') or ,')
    return fields
  }

  #bigint(): bigint {
    const token = this.#token
    if (token.kind !== 'number' || !token.isInt) return this.#unexpected('INTEGER')
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
      fn.field = this.#field()
      if (name === 'quantile_over_time') this.#quantiles(fn)
    }
    this.#expect(')')
    if (name !== 'compare' && this.#take('by')) {
      this.#expect('(')
      fn.by = this.#fields()
      const most = name === 'quantile_over_time' || name === 'histogram_over_time' ? groupsMax - 1 : groupsMax
      if (fn.by.length > most) this.#refuse(`metrics group by ${fn.by.length} values not yet supported`)
    }
    const after = this.#secondStages()
    if (name === 'compare' && after.length > 0) this.#refuse(compareAlone)
    return { kind: 'pipeline', stages, fn, after }
  }

  #quantiles(fn: MetricsFunction): void {
    if (!this.#is(',')) this.#unexpected(',')
    while (this.#take(',')) {
      const token = this.#token
      if (token.kind !== 'number') return this.#unexpected('INTEGER or FLOAT')
      this.#at++
      if (token.value < 0 || token.value > 1) this.#refuse(`quantile must be between 0 and 1: ${token.value}`)
      fn.quantiles.push(token.value)
    }
  }

  #compareArguments(fn: MetricsFunction): void {
    this.#expect('{')
    if (!this.#is('}')) {
      fn.selection = this.#fieldExpr()
      this.#checkFilter(fn.selection)
    }
    this.#expect('}')
    if (this.#is(')')) return
    if (!this.#take(',')) this.#unexpected(') or ,')
    fn.topN = Number(this.#bigint())
    if (fn.topN <= 0 || fn.topN > topNMax)
      this.#refuse(`compare() top number of values must be an integer between 1 and ${topNMax}`)
    if (!this.#take(',')) return
    fn.startNs = this.#bigint()
    this.#expect(',')
    fn.endNs = this.#bigint()
    if (fn.startNs >= fn.endNs) this.#refuse('compare() end timestamp must be greater than start timestamp')
  }

  #secondStages(): SecondStage[] {
    const after: SecondStage[] = []
    for (;;) {
      const token = this.#token
      if (token.kind === 'symbol' && comparisons.has(token.text) && token.text !== '=~' && token.text !== '!~') {
        this.#at++
        const sign = this.#take('-') ? -1 : 1
        const value = this.#token
        if (value.kind !== 'number' && value.kind !== 'duration') return this.#unexpected()
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
          return this.#unexpected('topk or bottomk')
        this.#at++
        this.#expect('(')
        const count = Number(this.#bigint())
        if (count <= 0) this.#refuse('limit must be greater than 0')
        this.#expect(')')
        after.push({ kind: word.text, count })
      } else return after
    }
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
          this.#refuse(`illegal operation for the given types: ${exprText({ kind: 'logic', op, left, right })}`)
      }
      left = { kind: 'logic', op, left, right }
    }
  }

  #comparison(): FieldExpr {
    let left = this.#sum()
    for (;;) {
      const token = this.#token
      if (token.kind !== 'symbol' || !comparisons.has(token.text)) return left
      this.#size.operator(token.at)
      this.#at++
      const op = token.text as CompareOp
      const isNil = this.#is('nil') && (op === '=' || op === '!=')
      if (isNil) this.#at++
      const right: FieldExpr = isNil ? { kind: 'literal', literal: { type: 'nil' } } : this.#sum()
      const expr: FieldExpr & { kind: 'compare' } = { kind: 'compare', op, left, right }
      this.#checkComparison(expr, token.at)
      left = expr
    }
  }

  #sum(): FieldExpr {
    return this.#arithmetic(['+', '-'], () => this.#unaryNot())
  }
  #unaryNot(): FieldExpr {
    if (!this.#take('!')) return this.#product()
    const inner = this.#deeper(() => this.#unaryNot())
    const type = this.#typeOf(inner)
    if (type !== 'bool' && type !== 'any') this.#refuse(`illegal operation for the given type: !${exprText(inner)}`)
    return { kind: 'not', inner }
  }
  #product(): FieldExpr {
    return this.#arithmetic(['*', '/', '%'], () => this.#power())
  }
  #power(): FieldExpr {
    const left = this.#unaryMinus()
    if (!this.#take('^')) return left
    const expr: FieldExpr = { kind: 'arithmetic', op: '^', left, right: this.#deeper(() => this.#power()) }
    this.#checkArithmetic(expr)
    return foldArithmetic(expr)
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
      this.#checkArithmetic(expr)
      left = foldArithmetic(expr)
    }
  }

  #unaryMinus(): FieldExpr {
    if (!this.#take('-')) return this.#primary()
    const inner = this.#deeper(() => this.#unaryMinus())
    if (inner.kind === 'literal') {
      const { literal } = inner
      if (literal.type === 'float') return { kind: 'literal', literal: { ...literal, value: -literal.value } }
      if (literal.type === 'int' || literal.type === 'duration') return { kind: 'literal', literal: negated(literal) }
    }
    const type = this.#typeOf(inner)
    if (type !== 'number' && type !== 'any') this.#refuse(`illegal operation for the given type: -${exprText(inner)}`)
    return { kind: 'negate', inner }
  }

  #primary(): FieldExpr {
    if (this.#take('(')) {
      const inner = this.#fieldExpr()
      this.#expect(')')
      return inner
    }
    const token = this.#token
    if (token.kind === 'field' || token.kind === 'unsupported') return { kind: 'field', field: this.#field() }
    if (token.kind === 'word' && !isReserved(token.text)) this.#fail(`unknown identifier: ${token.text}`)
    const literal = this.#literal()
    if (literal === undefined) return this.#unexpected()
    // An absent value is compared, and nothing else.
    if (literal.type === 'nil' && !this.#is('=') && !this.#is('!=')) this.#unexpected('= or !=')
    return { kind: 'literal', literal }
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

  #checkFilter(condition: FieldExpr): void {
    const type = this.#typeOf(condition)
    if (type !== 'bool' && type !== 'any')
      this.#refuse(`span filter field expressions must resolve to a boolean: { ${exprText(condition)} }`)
  }

  #checkArithmetic(expr: FieldExpr & { kind: 'arithmetic' }): void {
    const sides = [this.#typeOf(expr.left), this.#typeOf(expr.right)]
    if (sides.every(type => type === 'number' || type === 'any')) return
    this.#refuse(`${differ(sides[0]!, sides[1]!) ? otherTypes : illegalTypes}: ${exprText(expr)}`)
  }

  #checkComparison(expr: FieldExpr & { kind: 'compare' }, at: number): void {
    const { op, left, right } = expr
    const a = this.#typeOf(left)
    const b = this.#typeOf(right)
    if (a === 'nil' || b === 'nil') {
      this.#checkNil(op, a === 'nil' ? right : left)
      return
    }
    if (differ(a, b)) {
      this.#refuse(`${otherTypes}: ${exprText(expr)}`)
      return
    }
    if (op === '=~' || op === '!~') {
      if ((a !== 'string' && a !== 'any') || (b !== 'string' && b !== 'any'))
        this.#refuse(`${illegalTypes}: ${exprText(expr)}`)
      else if (right.kind !== 'literal' || right.literal.type !== 'string')
        this.#refuse(`invalid type for =~ or !~: ${exprText(right)}`)
      else this.#checkRegex(right.literal.value, at)
      return
    }
    const type = a === 'any' ? b : a
    if ((type === 'bool' || type === 'status' || type === 'kind') && op !== '=' && op !== '!=')
      this.#refuse(`${illegalTypes}: ${exprText(expr)}`)
  }

  #checkNil(op: CompareOp, other: FieldExpr): void {
    if (other.kind !== 'field' || op !== '=') return
    const { field } = other
    if (field.kind === 'intrinsic') this.#refuse(`${field.text}=nil is not valid because intrinsics cannot be nil`)
    else if (field.scope === 'resource' && field.name === 'service.name')
      this.#refuse(`${field.text}=nil is not valid because resource.service.name cannot be nil`)
  }

  #checkRegex(source: string, at: number): void {
    this.#size.regex(source, at)
    try {
      compileRe2(source)
    } catch {
      this.#refuse(`invalid regex: \`${source}\``)
    }
  }
}

const otherTypes = 'binary operations must operate on the same type'
const illegalTypes = 'illegal operation for the given types'
const compareAlone = '`compare()` cannot be used with second stage functions'

/** Types of which both are known, and not the same. */
function differ(a: string, b: string): boolean {
  return a !== b && a !== 'any' && b !== 'any'
}

/** More than spansets joined: only another one in parentheses may be joined with it. */
function isPipeline(stages: readonly Stage[]): boolean {
  return stages.length > 1 || (stages[0]?.kind !== 'filter' && stages[0]?.kind !== 'combine')
}

function hasCompare(expr: MetricsExpr): boolean {
  switch (expr.kind) {
    case 'pipeline':
      return expr.fn.name === 'compare'
    case 'math':
      return hasCompare(expr.left) || hasCompare(expr.right)
    case 'staged':
      return hasCompare(expr.inner)
    default:
      return false
  }
}

/** A token as errors name it. */
function shownToken(token: Token): string {
  switch (token.kind) {
    case 'end':
      return '$end'
    case 'string':
      return 'STRING'
    case 'number':
      return token.isInt ? 'INTEGER' : 'FLOAT'
    case 'duration':
      return 'DURATION'
    case 'unsupported':
      return 'parent'
    case 'word':
      return isReserved(token.text) ? token.text : 'IDENTIFIER'
    case 'field': {
      const { field } = token
      if (field.kind === 'attribute') return field.scope === 'any' ? '.' : `${field.scope}.`
      return field.text.includes(':') ? `${field.text.split(':')[0]}:` : field.text
    }
    default:
      return token.text
  }
}

/** Arithmetic of constants is a constant of its type. */
function foldArithmetic(expr: FieldExpr & { kind: 'arithmetic' }): FieldExpr {
  if (expr.left.kind !== 'literal' || expr.right.kind !== 'literal') return expr
  const a = expr.left.literal
  const b = expr.right.literal
  if (!('value' in a) || !('value' in b) || typeof a.value !== 'number' || typeof b.value !== 'number') return expr
  const isInt = a.type === 'int' && b.type === 'int'
  const value = folded(expr.op, a.value, b.value)
  if ((isInt && !Number.isFinite(value)) || Math.abs(value) > Number.MAX_SAFE_INTEGER) return expr
  if (isInt) return { kind: 'literal', literal: { type: 'int', value: Math.trunc(value) } }
  const type = a.type === 'duration' && b.type === 'duration' ? 'duration' : 'float'
  return { kind: 'literal', literal: { type, value } }
}

function folded(op: ArithmeticOp, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return a % b
    default:
      return a ** b
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

/**
 * PromQL text -> syntax tree, by precedence climbing, types checked. Source: the public language documentation as of
 * Prometheus 3.14; messages follow the reference implementation, so that they read the same in every client.
 */
import { BadQueryError, messageOf } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { quote } from '#core/text.ts'
import { Matcher, type MatchKind } from '../regex/matcher.ts'
import { checkQueryLength, QuerySize } from '../query-size.ts'
import { makeMatcher } from '../regex/regex.ts'
import {
  isComparison,
  isSet,
  type Aggregate,
  type AggregateOperator,
  type At,
  type Binary,
  type BinaryOperator,
  type Call,
  type Duration,
  type DurationExpr,
  type Expr,
  type Matching,
  type NumberLiteral,
  type VectorSelector,
} from './ast.ts'
import type { ValueType } from './value-type.ts'
import { isFunctionName, signatureOf } from './functions.ts'
import { tokenize, type Token } from './lexer.ts'

/** Binary operators, and how tightly they bind. */
export const precedence: Readonly<Record<BinaryOperator, number>> = {
  or: 1,
  and: 2,
  unless: 2,
  '==': 3,
  '!=': 3,
  '<': 3,
  '>': 3,
  '<=': 3,
  '>=': 3,
  '</': 3,
  '>/': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
  atan2: 5,
  '^': 6,
}
const multiplication = 5
/** What a signed 64-bit count of nanoseconds holds. */
export const durationSecondsMax = 2 ** 63 / 1e9

/** Parses and checks a whole query. Throws BadQueryError; its message already carries `line:column: parse error:`. */
export function parsePromql(query: string): Expr {
  return guarded(query, () => {
    const parser = new Parser(query)
    const expr = parser.parseQuery()
    typeOf(expr)
    return expr
  })
}

/** Parses a series selector as the series endpoints take it: `up{job="x"}`. One that takes any series too. */
export function parseSelector(text: string): Matcher[] {
  return guarded(text, () => new Parser(text).parseLoneSelector().matchers)
}

function guarded<T>(query: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof BadQueryError)) throw error
    throw new BadQueryError(
      `${query === '' ? 'unknown position' : positionOf(query, error.from)}: parse error: ${error.message}`,
      error.from,
      error.to,
    )
  }
}

/** `line:column`, both from 1. */
export function positionOf(query: string, at: number): string {
  const before = query.slice(0, at)
  const lines = before.split('\n')
  return `${lines.length}:${lines.at(-1)!.length + 1}`
}

class Parser {
  readonly #tokens: Token[]
  #at = 0
  readonly #size = new QuerySize((message, at) => {
    throw new BadQueryError(message, at, at + 1)
  })

  constructor(query: string) {
    checkQueryLength(query)
    this.#tokens = tokenize(query)
  }

  parseQuery(): Expr {
    if (this.#peek().kind === 'end') throw new BadQueryError('no expression found in input', 0, 0)
    const expr = this.#parseExpr(0)
    if (this.#peek().kind !== 'end') this.#unexpected('', '')
    for (const { from, to } of this.#withoutMatcher)
      this.#note('vector selector must contain at least one non-empty matcher', from, to)
    if (this.#problem !== undefined) throw this.#problem
    return expr
  }

  /** A selector and nothing else. */
  parseLoneSelector(): VectorSelector {
    const token = this.#peek()
    const isName = /^[a-zA-Z_:]/.test(token.raw) && token.kind !== 'number'
    if (!isName && !this.#isSymbol('{')) this.#unexpected('', '')
    const selector = this.#parseSelector()
    if (this.#peek().kind !== 'end') this.#unexpected('', '')
    if (this.#problem !== undefined) throw this.#problem
    return selector
  }

  /** How many aggregations have their arguments open: what is unexpected there is so in the aggregation. */
  #aggregates = 0

  /** Selectors that may select everything: only info() takes them. */
  #withoutMatcher: VectorSelector[] = []

  /** The first error of meaning; it is thrown after the whole query could be parsed. */
  #problem: BadQueryError | undefined
  #note(message: string, from: number, to: number): void {
    this.#problem ??= new BadQueryError(message, from, to)
  }

  #peek(ahead = 0): Token {
    const token = this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)]!
    if (ahead === 0 && token.kind === 'error') throw new BadQueryError(token.value, token.from, token.to)
    return token
  }
  #next(): Token {
    return this.#tokens[Math.min(this.#at++, this.#tokens.length - 1)]!
  }
  #isSymbol(text: string): boolean {
    return this.#peek().kind === 'symbol' && this.#peek().text === text
  }
  #isKeyword(text: string): boolean {
    return this.#peek().kind === 'keyword' && this.#peek().text === text
  }
  #expect(text: string, context: string, expected: string): Token {
    if (!this.#isSymbol(text)) this.#unexpected(context, expected)
    return this.#next()
  }

  #unexpected(context: string, expected: string): never {
    const token = this.#peek()
    const place = context === '' && this.#aggregates > 0 ? 'aggregation' : context
    const where = place === '' ? '' : ` in ${place}`
    const wanted = expected === '' ? '' : `, expected ${expected}`
    throw new BadQueryError(`unexpected ${describe(token)}${where}${wanted}`, token.from, token.to)
  }

  #parseExpr(least: number): Expr {
    this.#size.enter(this.#peek().from)
    let lhs = this.#parseUnary()
    for (;;) {
      const token = this.#peek()
      if (token.kind !== 'operator' || !(token.text in precedence)) break
      const op = token.text as BinaryOperator
      const level = precedence[op]
      if (level < least) break
      this.#size.operator(token.from)
      this.#next()
      const { returnBool, matching } = this.#parseBinaryModifiers()
      const rhs = this.#parseExpr(op === '^' ? level : level + 1)
      if (isSet(op) && matching.card === 'one-to-one') matching.card = 'many-to-many'
      const binary: Binary = { kind: 'binary', op, lhs, rhs, returnBool, matching, from: lhs.from, to: rhs.to }
      checkBinary(binary, token)
      lhs = binary
    }
    this.#size.leave()
    return lhs
  }

  #parseBinaryModifiers(): { returnBool: boolean; matching: Matching } {
    const matching: Matching = {
      card: 'one-to-one',
      on: false,
      labels: [],
      include: [],
      fillLeft: undefined,
      fillRight: undefined,
    }
    let returnBool = false
    if (this.#isKeyword('bool')) {
      this.#next()
      returnBool = true
    }
    if (this.#isKeyword('on') || this.#isKeyword('ignoring')) {
      matching.on = this.#next().text === 'on'
      matching.labels = this.#parseGrouping()
      if (this.#isKeyword('group_left') || this.#isKeyword('group_right')) {
        matching.card = this.#next().text === 'group_left' ? 'many-to-one' : 'one-to-many'
        if (this.#isSymbol('(')) matching.include = this.#parseGrouping()
      }
    }
    // Each side has one value: what follows as a second one is a metric's name.
    for (let sides = ['fill', 'fill_left', 'fill_right']; sides.some(side => this.#isKeyword(side));) {
      if (this.#peek(1).text !== '(') break
      const side = this.#next().text
      this.#next()
      const value = this.#parseSignedNumber('')
      this.#expect(')', '', '')
      if (side !== 'fill_right') matching.fillLeft = value
      if (side !== 'fill_left') matching.fillRight = value
      sides = side === 'fill' || sides.length === 1 ? [] : sides.filter(one => one !== 'fill' && one !== side)
    }
    return { returnBool, matching }
  }

  #parseSignedNumber(context: string): number {
    let sign = 1
    if (this.#peek().kind === 'operator' && (this.#peek().text === '-' || this.#peek().text === '+'))
      sign = this.#next().text === '-' ? -1 : 1
    const token = this.#peek()
    if (token.kind !== 'number' && token.kind !== 'duration')
      this.#unexpected(context, context === '@' ? 'timestamp' : '')
    this.#next()
    return sign * token.number
  }

  #parseUnary(): Expr {
    const token = this.#peek()
    if (token.kind !== 'operator' || (token.text !== '-' && token.text !== '+'))
      return this.#parsePostfix(this.#parsePrimary())
    this.#next()
    const expr = this.#parseExpr(multiplication + 1)
    if (expr.kind === 'number')
      return { ...expr, value: token.text === '-' ? -expr.value : expr.value, from: token.from }
    return { kind: 'unary', op: token.text, expr, from: token.from, to: expr.to }
  }

  #parsePrimary(): Expr {
    const token = this.#peek()
    switch (token.kind) {
      case 'number':
      case 'duration':
        this.#next()
        return {
          kind: 'number',
          value: token.number,
          isDuration: token.kind === 'duration',
          from: token.from,
          to: token.to,
        }
      case 'string':
        this.#next()
        return { kind: 'string', value: token.value, from: token.from, to: token.to }
      case 'identifier':
        if (this.#peek(1).kind === 'symbol' && this.#peek(1).text === '(') return this.#parseCall()
        return this.#parseSelector()
      case 'metric-identifier':
        return this.#parseSelector()
      case 'aggregator': {
        const after = this.#peek(1)
        if (after.text === '(' || (after.kind === 'keyword' && (after.text === 'by' || after.text === 'without')))
          return this.#parseAggregate()
        return this.#parseSelector()
      }
      case 'keyword':
        if (this.#peek(1).text === '(' && ['start', 'end', 'step', 'range', 'min_of', 'max_of'].includes(token.text))
          return this.#parseCall()
        if (
          token.text === 'bool' ||
          token.text === 'on' ||
          token.text === 'ignoring' ||
          token.text === 'group_left' ||
          token.text === 'group_right'
        )
          this.#unexpected('', '')
        return this.#parseSelector()
      case 'operator':
        if (token.text === 'and' || token.text === 'or' || token.text === 'unless' || token.text === 'atan2')
          return this.#parseSelector()
        return this.#unexpected('', '')
      case 'symbol':
        if (token.text === '(') {
          this.#next()
          const expr = this.#parseExpr(0)
          const close = this.#expect(')', '', '')
          return { kind: 'paren', expr, from: token.from, to: close.to }
        }
        if (token.text === '{') return this.#parseSelector()
        return this.#unexpected('', '')
      case 'end':
      case 'error':
        return this.#unexpected('', '')
    }
  }

  #parseCall(): Call {
    const token = this.#next()
    // Keywords count in any case of their letters, functions do not.
    const name = { ...token, text: token.raw }
    if (!isFunctionName(name.text))
      throw new BadQueryError(`unknown function with name ${quote(name.text)}`, name.from, name.to)
    const { args, to } = this.#parseArguments()
    if (name.text === 'info') this.#withoutMatcher = this.#withoutMatcher.filter(selector => selector !== args[1])
    return { kind: 'call', name: name.text, args, from: name.from, to }
  }

  #parseArguments(): { args: Expr[]; to: number } {
    this.#expect('(', '', '')
    const args: Expr[] = []
    while (!this.#isSymbol(')')) {
      args.push(this.#parseExpr(0))
      if (!this.#isSymbol(',')) break
      const comma = this.#next()
      if (this.#isSymbol(')'))
        throw new BadQueryError('trailing commas not allowed in function call args', comma.from, comma.to)
    }
    return { args, to: this.#expect(')', '', '').to }
  }

  #parseAggregate(): Aggregate {
    const token = this.#next()
    let grouping: string[] = []
    let without = false
    let hasGrouping = false
    const readModifier = (): void => {
      if (!this.#isKeyword('by') && !this.#isKeyword('without')) return
      without = this.#next().text === 'without'
      grouping = this.#parseGrouping()
      hasGrouping = true
    }
    readModifier()
    if (!this.#isSymbol('(')) this.#unexpected('aggregation', '')
    this.#aggregates++
    const { args, to } = this.#parseArguments()
    this.#aggregates--
    let end = to
    if (!hasGrouping) {
      readModifier()
      if (hasGrouping) end = this.#tokens[this.#at - 1]!.to
    }
    const op = token.text as AggregateOperator
    const takesParam =
      op === 'topk' ||
      op === 'bottomk' ||
      op === 'count_values' ||
      op === 'quantile' ||
      op === 'limitk' ||
      op === 'limit_ratio'
    if (args.length === 0) throw new BadQueryError('no arguments for aggregate expression provided', token.from, end)
    const wanted = takesParam ? 2 : 1
    if (args.length !== wanted)
      throw new BadQueryError(
        `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`,
        token.from,
        end,
      )
    return {
      kind: 'aggregate',
      op,
      param: takesParam ? args[0] : undefined,
      expr: args[wanted - 1]!,
      grouping,
      without,
      hasGrouping,
      from: token.from,
      to: end,
    }
  }

  #parseGrouping(): string[] {
    this.#expect('(', 'grouping opts', '"("')
    const labels: string[] = []
    while (!this.#isSymbol(')')) {
      const token = this.#peek()
      if (token.kind === 'string') {
        if (token.value === '')
          throw new BadQueryError(`invalid label name for grouping: ${quote(token.value)}`, token.from, token.to)
        labels.push(token.value)
      } else if (
        token.kind === 'identifier' ||
        token.kind === 'keyword' ||
        token.kind === 'aggregator' ||
        (token.kind === 'operator' && /^[a-z]/.test(token.text)) ||
        token.kind === 'metric-identifier' ||
        (token.kind === 'number' && /^[a-z]/i.test(token.raw))
      ) {
        labels.push(token.raw)
      } else this.#unexpected('grouping opts', 'label')
      this.#next()
      if (this.#isSymbol(',')) this.#next()
      else if (!this.#isSymbol(')')) this.#unexpected('grouping opts', '"," or ")"')
    }
    this.#next()
    return labels
  }

  #parseSelector(): VectorSelector {
    const first = this.#peek()
    const selector: VectorSelector = {
      kind: 'selector',
      name: '',
      matchers: [],
      offset: undefined,
      at: undefined,
      modifier: undefined,
      from: first.from,
      to: first.to,
    }
    if (!(first.kind === 'symbol')) {
      this.#next()
      selector.name = first.raw
    }
    if (this.#isSymbol('{')) {
      const { matchers, to } = this.#parseMatchers()
      selector.matchers = matchers
      selector.to = to
    }
    if (selector.name !== '') {
      for (const m of selector.matchers) {
        if (m.name === metricName)
          this.#note(
            `metric name must not be set twice: ${quote(selector.name)} or ${quote(m.value)}`,
            selector.from,
            selector.to,
          )
      }
      selector.matchers.push(Matcher.equal(metricName, selector.name))
    }
    if (selector.matchers.every(m => m.matchesEmpty)) this.#withoutMatcher.push(selector)
    return selector
  }

  #parseMatchers(): { matchers: Matcher[]; to: number } {
    this.#next()
    const matchers: Matcher[] = []
    while (!this.#isSymbol('}')) {
      const label = this.#peek()
      this.#size.part(label.from)
      if (label.kind !== 'identifier' && label.kind !== 'string')
        this.#unexpected('label matching', 'identifier or "}"')
      this.#next()
      const op = this.#peek()
      if (label.kind === 'string' && (this.#isSymbol(',') || this.#isSymbol('}'))) {
        matchers.push(Matcher.equal(metricName, label.value))
      } else {
        if (label.kind === 'string' && op.kind !== 'operator') this.#unexpected('label matching', '"," or "}"')
        if (op.kind !== 'operator' || !['=', '!=', '=~', '!~'].includes(op.text))
          this.#unexpected('label matching', 'label matching operator')
        this.#next()
        const value = this.#peek()
        if (value.kind !== 'string') this.#unexpected('label matching', 'string')
        this.#next()
        if (op.text.includes('~')) this.#size.regex(value.value, value.from)
        try {
          matchers.push(
            makeMatcher(op.text as MatchKind, label.kind === 'string' ? label.value : label.raw, value.value),
          )
        } catch (error) {
          throw new BadQueryError(messageOf(error), label.from, value.to)
        }
      }
      if (this.#isSymbol(',')) this.#next()
      else if (!this.#isSymbol('}')) this.#unexpected('label matching', '"," or "}"')
    }
    return { matchers, to: this.#next().to }
  }

  #parsePostfix(expr: Expr): Expr {
    for (;;) {
      if (this.#isSymbol('[')) expr = this.#parseRange(expr)
      else if (this.#isKeyword('offset')) expr = this.#parseOffset(expr)
      else if (this.#isSymbol('@')) expr = this.#parseAt(expr)
      else if (this.#isKeyword('anchored') || this.#isKeyword('smoothed')) expr = this.#parseModifier(expr)
      else return expr
    }
  }

  #parseModifier(expr: Expr): Expr {
    const token = this.#next()
    const modifier = token.text as 'anchored' | 'smoothed'
    const selector = expr.kind === 'matrix' ? expr.selector : expr
    if (selector.kind !== 'selector') {
      const why = expr.kind === 'subquery' ? 'is not supported for subqueries' : 'not implemented'
      throw new BadQueryError(`${modifier} modifier ${why}`, expr.from, token.to)
    }
    if (selector.modifier !== undefined && selector.modifier !== modifier)
      throw new BadQueryError('anchored and smoothed modifiers cannot be used together', expr.from, token.to)
    selector.modifier = modifier
    expr.to = token.to
    return expr
  }

  #parseRange(expr: Expr): Expr {
    const open = this.#next()
    this.#size.operator(open.from)
    const range = this.#parsePositiveDuration('subquery or range selector', durationWords)
    if (this.#isSymbol(':')) {
      this.#next()
      let step: Duration | undefined
      if (!this.#isSymbol(']')) {
        step = this.#parsePositiveDuration('subquery selector', `${durationWords.replace(', or', ',')}, or "]"`)
        if (!this.#isSymbol(']')) this.#unexpected('subquery selector', '"]"')
      }
      const close = this.#next()
      return { kind: 'subquery', expr, range, step, offset: undefined, at: undefined, from: expr.from, to: close.to }
    }
    if (!this.#isSymbol(']')) this.#unexpected('subquery or range', '":" or "]"')
    const close = this.#next()
    if (expr.kind !== 'selector')
      throw new BadQueryError('ranges only allowed for vector selectors', open.from, close.to)
    if (expr.offset !== undefined)
      throw new BadQueryError('no offset modifiers allowed before range', open.from, close.to)
    if (expr.at !== undefined) throw new BadQueryError('no @ modifiers allowed before range', open.from, close.to)
    return { kind: 'matrix', selector: expr, range, from: expr.from, to: close.to }
  }

  #modified(expr: Expr, what: string): { offset: Duration | undefined; at: At | undefined; to: number } {
    if (expr.kind === 'selector' || expr.kind === 'subquery') return expr
    if (expr.kind === 'matrix') return expr.selector
    throw new BadQueryError(
      `${what} must be preceded by an instant vector selector or range vector selector or a subquery`,
      expr.from,
      expr.to,
    )
  }

  #parseOffset(expr: Expr): Expr {
    this.#next()
    const duration = this.#parseOffsetDuration()
    const target = this.#modified(expr, 'offset modifier')
    if (target.offset !== undefined) throw new BadQueryError('offset may not be set multiple times', expr.from, expr.to)
    target.offset = duration
    expr.to = this.#tokens[this.#at - 1]!.to
    return expr
  }

  #parseAt(expr: Expr): Expr {
    this.#next()
    let at: At
    if (this.#isKeyword('start') || this.#isKeyword('end')) {
      const token = this.#next()
      this.#expect('(', '@', 'timestamp')
      this.#expect(')', '@', 'timestamp')
      at = { kind: token.text as 'start' | 'end' }
    } else {
      const seconds = this.#parseSignedNumber('@')
      if (!Number.isFinite(seconds) || Math.abs(seconds * 1000) >= 9.223372036854775e18)
        throw new BadQueryError(`timestamp out of bounds for @ modifier: ${secondsText(seconds)}`, expr.from, expr.to)
      at = { kind: 'time', atMs: Math.round(seconds * 1000) }
    }
    const target = this.#modified(expr, '@ modifier')
    if (target.at !== undefined)
      throw new BadQueryError('@ <timestamp> may not be set multiple times', expr.from, expr.to)
    target.at = at
    expr.to = this.#tokens[this.#at - 1]!.to
    return expr
  }

  #parsePositiveDuration(context: string, expected: string): Duration {
    const expr = this.#parseDurationExpr(0, expected, context)
    if (expr.kind === 'number') {
      if (expr.value <= 0) throw new BadQueryError('duration must be greater than 0', expr.from, expr.to)
      return { ms: roundMs(expr.value), expr: undefined }
    }
    return { ms: 0, expr }
  }

  #parseOffsetDuration(): Duration {
    const sign = this.#peek()
    let negative = false
    if (sign.kind === 'operator' && (sign.text === '-' || sign.text === '+')) {
      this.#next()
      negative = sign.text === '-'
    }
    const primary = this.#parseDurationPrimary(durationWords, 'offset')
    const expr = negative ? negate(primary, sign.from) : primary
    return expr.kind === 'number' ? { ms: roundMs(expr.value), expr: undefined } : { ms: 0, expr }
  }

  #parseDurationExpr(least: number, expected: string, context: string): DurationExpr {
    return this.#size.deeper(this.#peek().from, () => this.#parseDurationSides(least, expected, context))
  }

  #parseDurationSides(least: number, expected: string, context: string): DurationExpr {
    const sign = this.#peek()
    let left: DurationExpr
    if (sign.kind === 'operator' && (sign.text === '-' || sign.text === '+')) {
      this.#next()
      const operand = this.#parseDurationExpr(multiplication + 1, expected, context)
      left = sign.text === '-' ? negate(operand, sign.from) : operand
    } else {
      left = this.#parseDurationPrimary(expected, context)
    }
    for (;;) {
      const token = this.#peek()
      if (token.kind !== 'operator' || !'+-*/%^'.includes(token.text)) return left
      const op = token.text as '+'
      const level = precedence[op]
      if (level < least) return left
      this.#size.operator(token.from)
      this.#next()
      const right = this.#parseDurationExpr(token.text === '^' ? level : level + 1, expected, context)
      if (right.kind === 'number' && right.value === 0 && (token.text === '/' || token.text === '%')) {
        throw new BadQueryError(token.text === '/' ? 'division by zero' : 'modulo by zero', token.from, token.to)
      }
      left = { kind: 'duration-binary', op, left, right, wrapped: false, from: left.from, to: right.to }
    }
  }

  #parseDurationPrimary(expected: string, context: string): DurationExpr {
    const token = this.#peek()
    if (token.kind === 'number' || token.kind === 'duration') {
      this.#next()
      if (Math.abs(token.number) > durationSecondsMax)
        throw new BadQueryError('duration out of range', token.from, token.to)
      return {
        kind: 'number',
        value: token.number,
        isDuration: token.kind === 'duration',
        from: token.from,
        to: token.to,
      }
    }
    if (this.#isSymbol('(')) {
      this.#next()
      const expr = this.#parseDurationExpr(0, expected, context)
      this.#expect(')', context, expected)
      if (expr.kind !== 'number') expr.wrapped = true
      return expr
    }
    if (
      this.#peek(1).text === '(' &&
      (token.text === 'step' || token.text === 'range' || token.text === 'min_of' || token.text === 'max_of')
    ) {
      this.#next()
      this.#next()
      const args: DurationExpr[] = []
      if (token.text === 'min_of' || token.text === 'max_of') {
        args.push(this.#parseDurationExpr(0, expected, context))
        this.#expect(',', context, expected)
        args.push(this.#parseDurationExpr(0, expected, context))
      }
      const close = this.#expect(')', context, expected)
      return { kind: 'duration-call', name: token.text, args, wrapped: false, from: token.from, to: close.to }
    }
    return this.#unexpected(context, expected)
  }
}

/** What may stand for a duration, in messages. */
const durationWords = 'number, duration, step(), or range()'

function roundMs(seconds: number): number {
  return Math.round(seconds * 1000)
}

function negate(operand: DurationExpr, from: number): DurationExpr {
  if (operand.kind === 'number') return { ...operand, value: -operand.value, from } satisfies NumberLiteral
  return { kind: 'duration-negative', operand, wrapped: false, from, to: operand.to }
}

const wordKinds: Partial<Record<Token['kind'], string>> = {
  identifier: 'identifier',
  'metric-identifier': 'metric identifier',
  string: 'string',
  number: 'number',
  duration: 'duration',
}

function describe(token: Token): string {
  if (token.kind === 'end') return 'end of input'
  if (token.kind === 'keyword') return `<${token.text}>`
  if (token.kind === 'aggregator') return `<aggr:${token.text}>`
  if (token.kind === 'operator') return token.text === '=' ? '"="' : `<op:${token.text}>`
  if (token.kind === 'symbol') return token.text === '@' ? '<op:@>' : quote(token.text)
  const shown =
    token.kind.endsWith('identifier') || token.raw.length <= 10
      ? quote(token.raw)
      : `${quote(token.raw.slice(0, 10))}...`
  return `${wordKinds[token.kind]} ${shown}`
}

function documentedType(type: ValueType): string {
  return type === 'vector' ? 'instant vector' : type === 'matrix' ? 'range vector' : type
}

function checkBinary(node: Binary, op: Token): void {
  const left = typeOf(node.lhs)
  const right = typeOf(node.rhs)
  const matching = node.matching!
  const at = (message: string, from: number, to: number): never => {
    throw new BadQueryError(message, from, to)
  }
  if (node.returnBool && !isComparison(node.op))
    at('bool modifier can only be used on comparison operators', op.from, op.to)
  if (isComparison(node.op) && !node.returnBool && left === 'scalar' && right === 'scalar')
    at('comparisons between scalars must use BOOL modifier', op.from, op.to)
  if (isSet(node.op) && matching.card !== 'many-to-many')
    at(`no grouping allowed for ${quote(node.op)} operation`, node.from, node.to)
  if (matching.on) {
    for (const label of matching.labels)
      if (matching.include.includes(label))
        at(`label ${quote(label)} must not occur in ON and GROUP clause at once`, op.from, op.to)
  }
  if (left !== 'scalar' && left !== 'vector')
    at('binary expression must contain only scalar and instant vector types', node.lhs.from, node.lhs.to)
  if (right !== 'scalar' && right !== 'vector')
    at('binary expression must contain only scalar and instant vector types', node.rhs.from, node.rhs.to)
  const filled = matching.fillLeft !== undefined || matching.fillRight !== undefined
  if (left !== 'vector' || right !== 'vector') {
    if (matching.labels.length > 0) at('vector matching only allowed between instant vectors', node.from, node.to)
    if (filled) at('filling in missing series only allowed between instant vectors', node.from, node.to)
    node.matching = undefined
  } else if (isSet(node.op) && filled) at('filling in missing series not allowed for set operators', node.from, node.to)
  if ((left === 'scalar' || right === 'scalar') && isSet(node.op))
    at(`set operator ${quote(node.op)} not allowed in binary scalar expression`, node.from, node.to)
}

function expectType(expr: Expr, wanted: ValueType, context: string): void {
  const type = typeOf(expr)
  if (type !== wanted)
    throw new BadQueryError(
      `expected type ${documentedType(wanted)} in ${context}, got ${documentedType(type)}`,
      expr.from,
      expr.to,
    )
}

/** The type of an expression; throws BadQueryError where the types inside don't fit. */
export function typeOf(expr: Expr): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar'
    case 'string':
      return 'string'
    case 'selector':
      return 'vector'
    case 'matrix':
      return 'matrix'
    case 'paren':
      return typeOf(expr.expr)
    case 'unary': {
      const type = typeOf(expr.expr)
      if (type !== 'scalar' && type !== 'vector')
        throw new BadQueryError(
          'unary expression only allowed on expressions of type scalar or instant vector, got ' +
            `${quote(documentedType(type))}`,
          expr.from,
          expr.to,
        )
      return type
    }
    case 'subquery': {
      const type = typeOf(expr.expr)
      if (type !== 'vector')
        throw new BadQueryError(`subquery is only allowed on instant vector, got ${type} instead`, expr.from, expr.to)
      return 'matrix'
    }
    case 'aggregate':
      expectType(expr.expr, 'vector', 'aggregation expression')
      if (expr.op === 'count_values') expectType(expr.param!, 'string', 'aggregation parameter')
      else if (expr.param !== undefined) expectType(expr.param, 'scalar', 'aggregation parameter')
      return 'vector'
    case 'binary':
      return typeOf(expr.lhs) === 'scalar' && typeOf(expr.rhs) === 'scalar' ? 'scalar' : 'vector'
    case 'call':
      return checkCall(expr)
  }
}

function checkCall(call: Call): ValueType {
  const signature = signatureOf(call.name)
  const count = signature.args.length
  const given = call.args.length
  const plural = (n: number, word: string): string =>
    `expected ${word}${n} argument(s) in call to ${quote(call.name)}, got ${given}`
  if (signature.variadic === 0) {
    if (given !== count) throw new BadQueryError(plural(count, ''), call.from, call.to)
  } else {
    if (given < count - 1) throw new BadQueryError(plural(count - 1, 'at least '), call.from, call.to)
    const most = count + signature.variadic - 1
    if (signature.variadic > 0 && given > most) throw new BadQueryError(plural(most, 'at most '), call.from, call.to)
  }
  if (call.name === 'info' && given > 1) {
    const selector = call.args[1]!
    if (typeOf(selector) !== 'vector')
      throw new BadQueryError(
        `expected type instant vector in call to function "info", got ${documentedType(typeOf(selector))}`,
        call.from,
        call.to,
      )
    if (selector.kind !== 'selector')
      throw new BadQueryError('expected label selectors only', selector.from, selector.to)
    if (selector.name !== '')
      throw new BadQueryError('expected label selectors only, got vector selector instead', selector.from, selector.to)
  }
  call.args.forEach((arg, i) => {
    expectType(arg, signature.args[Math.min(i, count - 1)]!, `call to function ${quote(call.name)}`)
  })
  return signature.returns
}

/** As Go's %f prints it. */
function secondsText(seconds: number): string {
  if (Number.isNaN(seconds)) return 'NaN'
  if (Number.isFinite(seconds))
    return Math.abs(seconds) < 1e21 ? seconds.toFixed(6) : `${BigInt(seconds).toString()}.000000`
  return seconds > 0 ? '+Inf' : '-Inf'
}

/** LogQL's grammar, and what is refused while the tree is built. Source: docs/logs.md. */
import { messageOf, BadQueryError } from '#core/errors.ts'
import { quote } from '#core/text.ts'
import { QuerySize } from '#lang/query-size.ts'
import { BadRegexError, compileAnchored, compileRe2 } from '#lang/regex/regex.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import {
  rangeOps,
  vectorOps,
  type BinaryOp,
  type CompareOp,
  type Conversion,
  type Extraction,
  type Grouping,
  type LabelFilter,
  type LabelFormat,
  type LabelMatch,
  type LineFilterOp,
  type LineOperand,
  type LogExpr,
  type LogqlExpr,
  type Matching,
  type MetricExpr,
  type NamedOrMatched,
  type RangeOp,
  type Stage,
  type Unwrap,
  type VectorOp,
} from './ast.ts'
import { lexLogql, syntaxError, type Token } from './lexer.ts'
import { parsePattern } from './line-pattern.ts'

/** What is wrong without a place. */
function semanticError(message: string): BadQueryError {
  return new BadQueryError(`parse error : ${message}`, 0, 0)
}

/** Selectors have a matcher that not every stream fits. */
export const selectorRule =
  'queries require at least one regexp or equality matcher that does not have an empty-compatible value. ' +
  'For instance, app=~".*" does not meet this requirement, but app=~".+" will'

export function parseLogql(text: string): LogqlExpr {
  return new Parser(text).parseAll()
}

/** A log query; metric queries are refused. */
export function parseLogQuery(text: string): LogExpr {
  const expr = parseLogql(text)
  if (expr.kind !== 'log') throw new BadQueryError('only log selector is supported', 0, text.length)
  return expr
}

/** A selector alone; with `allowsAll` also one that every stream fits. */
export function parseLogSelector(text: string, allowsAll = true): Matcher[] {
  const parser = new Parser(text, allowsAll)
  const expr = parser.parseAll()
  if (expr.kind !== 'log' || expr.stages.length > 0)
    throw new BadQueryError('only label matchers are supported', 0, text.length)
  return compileMatchers(expr.matchers)
}

export function compileMatchers(matches: readonly LabelMatch[]): Matcher[] {
  return matches.map(m => makeMatcher(m.kind, m.name, m.value))
}

const lineOps: ReadonlySet<string> = new Set(['|=', '!=', '|~', '!~', '|>', '!>'])
const compareOps: ReadonlySet<string> = new Set(['>', '>=', '<', '<=', '=', '==', '!='])
const matchOps: ReadonlySet<string> = new Set(['=', '!=', '=~', '!~'])
const needUnwrap: ReadonlySet<string> = new Set([
  'avg_over_time',
  'sum_over_time',
  'min_over_time',
  'max_over_time',
  'stdvar_over_time',
  'stddev_over_time',
  'quantile_over_time',
  'first_over_time',
  'last_over_time',
  'rate_counter',
])
const refuseUnwrap: ReadonlySet<string> = new Set(['count_over_time', 'bytes_over_time', 'bytes_rate'])
const mayGroup: ReadonlySet<string> = new Set([
  'avg_over_time',
  'min_over_time',
  'max_over_time',
  'stdvar_over_time',
  'stddev_over_time',
  'quantile_over_time',
  'first_over_time',
  'last_over_time',
])
const needParameter: ReadonlySet<string> = new Set(['topk', 'bottomk', 'approx_topk'])

const precedence: readonly (readonly BinaryOp[])[] = [
  ['or'],
  ['and', 'unless'],
  ['==', '!=', '<', '<=', '>', '>='],
  ['+', '-'],
  ['*', '/', '%'],
  ['^'],
]

interface RangeParts {
  log: LogExpr
  rangeMs: number | undefined
  offsetNs: number
  unwrap: Unwrap | undefined
}

class Parser {
  readonly #text: string
  readonly #tokens: Token[]
  readonly #allowsAll: boolean
  #at = 0
  readonly #size = new QuerySize((message, at) => {
    throw syntaxError(this.#text, at, at + 1, message, false)
  })

  constructor(text: string, allowsAll = false) {
    this.#text = text
    this.#tokens = lexLogql(text)
    this.#allowsAll = allowsAll
  }

  get #token(): Token {
    return this.#tokens[this.#at]!
  }
  #is(text: string): boolean {
    return (
      this.#token.text === text &&
      this.#token.kind !== 'string' &&
      this.#token.kind !== 'identifier' &&
      this.#token.kind !== 'end'
    )
  }
  #peekIs(text: string): boolean {
    const token = this.#tokens[this.#at + 1]
    return token !== undefined && token.text === text && token.kind === 'operator'
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false
    this.#at++
    return true
  }

  #expect(text: string): Token {
    if (!this.#is(text)) this.#unexpected(text)
    return this.#tokens[this.#at++]!
  }

  #unexpected(...expecting: string[]): never {
    const token = this.#token
    if (this.#text === '') throw semanticError('syntax error: unexpected $end')
    const isShort = expecting.length > 0 && expecting.length <= 4
    const wanted = isShort ? `, expecting ${expecting.join(' or ')}` : ''
    throw syntaxError(
      this.#text,
      token.from,
      token.to,
      `syntax error: unexpected ${nameOf(token)}${wanted}`,
      token.isAhead,
    )
  }

  parseAll(): LogqlExpr {
    const expr = this.#expression()
    if (this.#token.kind !== 'end') this.#unexpected()
    return expr
  }

  /** A log query, or a metric query with its binary operators. */
  #expression(): LogqlExpr {
    return this.#binary(0)
  }

  /** An operand that must be a number or a metric query. */
  #metric(): MetricExpr {
    const expr = this.#size.deeper(this.#token.from, () => this.#binary(0))
    return expr.kind === 'log' ? this.#unexpected() : expr
  }

  #logExpr(): LogExpr {
    const expr: LogExpr = { kind: 'log', matchers: this.#selector(), stages: this.#stages() }
    // Only an unwrap is left behind a bar, and a log query takes none.
    if (this.#take('|')) this.#unexpected()
    return expr
  }

  #selector(): LabelMatch[] {
    this.#expect('{')
    const matchers: LabelMatch[] = []
    if (!this.#take('}')) {
      if (this.#token.kind !== 'identifier') this.#unexpected('IDENTIFIER', '}')
      do {
        this.#size.part(this.#token.from)
        matchers.push(this.#matcher())
      } while (this.#take(','))
      if (!this.#take('}')) this.#unexpected('}', ',')
    }
    if (!this.#allowsAll && !matchers.some(m => !matchesEmpty(m))) throw semanticError(selectorRule)
    return matchers
  }

  #identifier(...others: string[]): string {
    if (this.#token.kind !== 'identifier') this.#unexpected('IDENTIFIER', ...others)
    // A sign that is no name.
    if (!/^[\p{L}_]/u.test(this.#token.text)) this.#unexpected()
    return this.#tokens[this.#at++]!.text
  }

  #string(): string {
    if (this.#token.kind !== 'string') this.#unexpected('STRING')
    return String(this.#tokens[this.#at++]!.value)
  }

  #matcher(): LabelMatch {
    const name = this.#identifier()
    if (this.#token.kind !== 'operator' || !matchOps.has(this.#token.text)) this.#unexpected('=', '=~', '!~', '!=')
    const kind = this.#tokens[this.#at++]!.text as LabelMatch['kind']
    return this.#checkedMatch({ kind, name, value: this.#string() })
  }

  #checkedMatch(match: LabelMatch): LabelMatch {
    if (match.kind !== '=~' && match.kind !== '!~') return match
    this.#size.regex(match.value, this.#token.from)
    try {
      compileAnchored(match.value)
    } catch (error) {
      if (!(error instanceof BadRegexError)) throw error
      throw semanticError(error.message)
    }
    return match
  }

  // --- Stages ---

  /** Stages up to something that is none; an unwrap stays for the caller. */
  #stages(): Stage[] {
    const stages: Stage[] = []
    for (;;) {
      const token = this.#token
      this.#size.part(token.from)
      if (token.kind === 'operator' && lineOps.has(token.text)) {
        this.#at++
        stages.push({ kind: 'line-filter', op: token.text as LineFilterOp, operands: this.#operands(token) })
        continue
      }
      if (
        !this.#is('|') ||
        (this.#tokens[this.#at + 1]!.text === 'unwrap' && this.#tokens[this.#at + 1]!.kind === 'word')
      )
        return stages
      this.#at++
      stages.push(this.#stage())
    }
  }

  #operands({ text, from }: Token): LineOperand[] {
    const operands = [this.#operand()]
    while (this.#take('or')) {
      this.#size.part(this.#token.from)
      operands.push(this.#operand())
    }
    if (text === '|~' || text === '!~') for (const { value } of operands) this.#size.regex(value, from)
    return operands
  }

  #operand(): LineOperand {
    if (this.#token.kind === 'function' && this.#token.text === 'ip') {
      this.#at++
      this.#expect('(')
      const value = this.#string()
      this.#expect(')')
      return { value, isIp: true }
    }
    if (this.#token.kind !== 'string') this.#unexpected('STRING', 'ip')
    return { value: this.#string(), isIp: false }
  }

  #stage(): Stage {
    const token = this.#token
    if (token.kind !== 'word') {
      if (token.kind !== 'identifier' && !this.#is('(')) this.#unexpected()
      return { kind: 'label-filter', filter: this.#labelFilter() }
    }
    this.#at++
    switch (token.text) {
      case 'json':
        return { kind: 'json', extractions: this.#extractions() }
      case 'logfmt': {
        let isStrict = false
        let keepsEmpty = false
        for (; this.#token.kind === 'flag'; this.#at++) {
          if (this.#token.text === '--strict') isStrict = true
          else keepsEmpty = true
        }
        return { kind: 'logfmt', isStrict, keepsEmpty, extractions: this.#extractions() }
      }
      case 'regexp': {
        const text = this.#string()
        this.#size.regex(text, token.from)
        checkRegexp(text)
        return { kind: 'regexp', text }
      }
      case 'pattern': {
        const text = this.#string()
        try {
          parsePattern(text, 'parser')
        } catch (error) {
          throw semanticError(`invalid pattern parser: ${messageOf(error)}`)
        }
        return { kind: 'pattern', text }
      }
      case 'unpack':
        return { kind: 'unpack' }
      case 'decolorize':
        return { kind: 'decolorize' }
      case 'line_format':
        return { kind: 'line-format', template: this.#string() }
      case 'label_format':
        return { kind: 'label-format', formats: this.#formats() }
      case 'drop':
      case 'keep':
        return { kind: token.text, items: this.#items() }
      default:
        this.#at--
        return this.#unexpected()
    }
  }

  #extractions(): Extraction[] {
    const list: Extraction[] = []
    if (this.#token.kind !== 'identifier') return list
    do {
      const name = this.#identifier()
      list.push({ name, path: this.#take('=') ? this.#string() : name })
    } while (this.#take(','))
    return list
  }

  #formats(): LabelFormat[] {
    const list: LabelFormat[] = []
    do {
      this.#size.part(this.#token.from)
      const name = this.#identifier()
      this.#expect('=')
      if (this.#token.kind === 'identifier') list.push({ name, from: this.#identifier(), template: undefined })
      else if (this.#token.kind === 'string') list.push({ name, from: undefined, template: this.#string() })
      else this.#unexpected('IDENTIFIER', 'STRING')
    } while (this.#take(','))
    return list
  }

  #items(): NamedOrMatched[] {
    const list: NamedOrMatched[] = []
    do {
      this.#size.part(this.#token.from)
      const next = this.#tokens[this.#at + 1] ?? this.#token
      if (next.kind === 'operator' && matchOps.has(next.text)) {
        const match = this.#matcher()
        list.push({ name: match.name, match })
      } else list.push({ name: this.#identifier(), match: undefined })
    } while (this.#take(','))
    return list
  }

  #labelFilter(): LabelFilter {
    let left = this.#filterAnd()
    for (let at = this.#token.from; this.#take('or'); at = this.#token.from) {
      this.#size.operator(at)
      left = { kind: 'or', left, right: this.#filterAnd(), isList: false }
    }
    return left
  }

  #filterAnd(): LabelFilter {
    let left = this.#filterList()
    for (let at = this.#token.from; this.#take('and'); at = this.#token.from) {
      this.#size.operator(at)
      left = { kind: 'and', left, right: this.#filterList(), isList: false }
    }
    return left
  }

  /** What follows a comma, or nothing at all, belongs together before anything on the left does. */
  #filterList(): LabelFilter {
    const left = this.#filterAtom()
    const { from } = this.#token
    if (this.#take(',') || this.#token.kind === 'identifier' || this.#is('('))
      return { kind: 'and', left, right: this.#size.deeper(from, () => this.#labelFilter()), isList: true }
    return left
  }

  #filterAtom(): LabelFilter {
    const { from } = this.#token
    if (this.#take('(')) {
      const inner = this.#size.deeper(from, () => this.#labelFilter())
      if (!this.#take(')')) this.#unexpected()
      return inner
    }
    const name = this.#identifier('(')
    const op = this.#token
    if (op.kind !== 'operator' || !(compareOps.has(op.text) || matchOps.has(op.text))) this.#unexpected()
    this.#at++
    const value = this.#token
    if (value.kind === 'string') {
      if (!matchOps.has(op.text)) this.#unexpected()
      this.#at++
      return {
        kind: 'match',
        match: this.#checkedMatch({ kind: op.text as LabelMatch['kind'], name, value: String(value.value) }),
      }
    }
    if (!compareOps.has(op.text)) this.#unexpected('STRING')
    if (value.kind === 'function' && value.text === 'ip') {
      if (op.text !== '=' && op.text !== '!=') this.#unexpected()
      this.#at++
      this.#expect('(')
      const address = this.#string()
      this.#expect(')')
      return { kind: 'ip', name, isNegated: op.text === '!=', value: address }
    }
    const sign = this.#is('-') || this.#is('+') ? this.#tokens[this.#at++]!.text : ''
    const number = this.#token
    if (sign !== '' && number.kind !== 'number') this.#unexpected('NUMBER')
    if (number.kind !== 'number' && number.kind !== 'duration' && number.kind !== 'bytes') this.#unexpected()
    if (Number.isNaN(number.value))
      throw syntaxError(
        this.#text,
        number.from,
        number.to,
        `strconv.ParseFloat: parsing ${quote(number.text)}: invalid syntax`,
      )
    this.#at++
    return {
      kind: number.kind as 'number' | 'duration' | 'bytes',
      name,
      op: op.text as CompareOp,
      value: sign === '-' ? -Number(number.value) : Number(number.value),
      text: `${sign}${number.text}`,
    }
  }

  // --- Metric queries ---

  #binary(level: number): LogqlExpr {
    if (level === precedence.length) return this.#unary()
    const isPower = level === precedence.length - 1
    let left = this.#binary(level + 1)
    while (precedence[level]!.some(op => this.#is(op))) {
      this.#size.operator(this.#token.from)
      const op = this.#tokens[this.#at++]!.text as BinaryOp
      const isBool = this.#take('bool')
      const matching = this.#matching()
      const right = isPower ? this.#size.deeper(this.#token.from, () => this.#binary(level)) : this.#binary(level + 1)
      left = this.#combine(op, isBool, matching, left, right)
    }
    return left
  }

  #matching(): Matching | undefined {
    if (!this.#is('on') && !this.#is('ignoring')) return undefined
    const isOn = this.#tokens[this.#at++]!.text === 'on'
    const labels = this.#names()
    const matching: Matching = { isOn, labels, group: undefined, include: [] }
    if (this.#is('group_left') || this.#is('group_right')) {
      matching.group = this.#tokens[this.#at++]!.text === 'group_left' ? 'left' : 'right'
      if (this.#is('(')) matching.include = this.#names()
    }
    return matching
  }

  #combine(
    op: BinaryOp,
    isBool: boolean,
    matching: Matching | undefined,
    left: LogqlExpr,
    right: LogqlExpr,
  ): MetricExpr {
    if (left.kind === 'log') throw legError('left', op, left)
    if (right.kind === 'log') throw legError('right', op, right)
    const isSet = op === 'or' || op === 'and' || op === 'unless'
    if (isSet)
      for (const [leg, side] of [
        [left, 'left'],
        [right, 'right'],
      ] as const)
        if (leg.kind === 'number')
          throw semanticError(
            `unexpected literal for ${side} leg of logical/set binary operation (${op}): ${leg.value.toFixed(6)}`,
          )
    if (left.kind === 'number' && right.kind === 'number')
      return { kind: 'number', value: foldNumbers(op, left.value, right.value) }
    return { kind: 'binary', op, isBool, matching, left, right }
  }

  #unary(): LogqlExpr {
    const token = this.#token
    if (token.kind === 'number') {
      this.#at++
      return { kind: 'number', value: literalValue(token) }
    }
    if (this.#is('-') || this.#is('+')) {
      this.#at++
      const number = this.#token
      if (number.kind !== 'number') this.#unexpected('NUMBER')
      this.#at++
      return { kind: 'number', value: token.text === '-' ? -literalValue(number) : literalValue(number) }
    }
    if (this.#is('(')) {
      this.#at++
      const inner = this.#size.deeper(token.from, () => this.#binary(0))
      this.#expect(')')
      return inner
    }
    if (token.kind === 'operator' && token.text === '{') return this.#logExpr()
    if (token.kind !== 'function') this.#unexpected()
    if ((rangeOps as readonly string[]).includes(token.text)) return this.#rangeAggregation(token.text as RangeOp)
    if ((vectorOps as readonly string[]).includes(token.text)) return this.#vectorAggregation(token.text as VectorOp)
    if (token.text === 'vector') {
      this.#at++
      this.#expect('(')
      if (this.#token.kind !== 'number') this.#unexpected('NUMBER')
      const value = Number(this.#tokens[this.#at++]!.value)
      this.#expect(')')
      return { kind: 'vector', value }
    }
    if (token.text === 'label_replace') return this.#labelReplace()
    return this.#unexpected()
  }

  #labelReplace(): MetricExpr {
    this.#at++
    this.#expect('(')
    const inner = this.#metric()
    const [to, replacement, from, regex] = [0, 1, 2, 3].map(place => {
      if (!this.#take(',')) this.#unexpected(...(place === 0 ? [] : [',']))
      return this.#string()
    }) as [string, string, string, string]
    this.#expect(')')
    this.#size.regex(regex, this.#token.from)
    try {
      // The expression is shown with its anchors.
      compileRe2(regex, `^(?:${regex})$`)
    } catch (error) {
      throw semanticError(`invalid regex in label_replace: ${messageOf(error)}`)
    }
    return { kind: 'label-replace', inner, to, replacement, from, regex }
  }

  #names(): string[] {
    this.#expect('(')
    const names: string[] = []
    if (this.#take(')')) return names
    if (this.#token.kind !== 'identifier') this.#unexpected('IDENTIFIER', ')')
    do names.push(this.#identifier())
    while (this.#take(','))
    if (!this.#take(')')) this.#unexpected(',', ')')
    return names
  }

  #grouping(): Grouping | undefined {
    if (!this.#is('by') && !this.#is('without')) return undefined
    const isWithout = this.#tokens[this.#at++]!.text === 'without'
    return { isWithout, labels: this.#names() }
  }

  /** `NUMBER ,` in front of an argument. */
  #parameter(): { value: number; text: string } | undefined {
    if (this.#token.kind !== 'number' || !this.#peekIs(',')) return undefined
    const token = this.#tokens[this.#at]!
    this.#at += 2
    return { value: Number(token.value), text: token.text }
  }

  #rangeAggregation(op: RangeOp): MetricExpr {
    this.#at++
    if (this.#is('by') || this.#is('without')) this.#unexpected('(')
    this.#expect('(')
    if (this.#token.kind === 'number' && !this.#peekIs(',')) {
      this.#at++
      this.#unexpected(',')
    }
    const parameter = this.#parameter()
    if (!this.#is('{') && !this.#is('(')) this.#unexpected(...(parameter === undefined ? ['NUMBER'] : []), '{', '(')
    const { log, rangeMs, offsetNs, unwrap } = this.#rangeParts()
    if (rangeMs === undefined) this.#unexpected(...(unwrap === undefined ? [] : ['RANGE', '|']))
    this.#expect(')')
    const grouping = this.#grouping()
    if (op === 'quantile_over_time' && parameter === undefined)
      throw semanticError(`parameter required for operation ${op}`)
    if (op !== 'quantile_over_time' && parameter !== undefined)
      throw semanticError(`parameter ${parameter.text} not supported for operation ${op}`)
    if (grouping !== undefined && !mayGroup.has(op)) throw semanticError(`grouping not allowed for ${op} aggregation`)
    if (unwrap === undefined && needUnwrap.has(op)) throw semanticError(`invalid aggregation ${op} without unwrap`)
    if (unwrap !== undefined && refuseUnwrap.has(op)) throw semanticError(`invalid aggregation ${op} with unwrap`)
    return { kind: 'range', op, parameter: parameter?.value, log, rangeMs, offsetNs, unwrap, grouping }
  }

  #duration(): number {
    if (this.#token.kind !== 'duration') this.#unexpected('DURATION')
    return Number(this.#tokens[this.#at++]!.value)
  }

  #rangeParts(): RangeParts {
    const { from } = this.#token
    if (this.#take('(')) {
      const inner = this.#size.deeper(from, () => this.#rangeParts())
      this.#expect(')')
      return inner.rangeMs === undefined ? this.#rangeEnd(inner, false) : inner
    }
    const parts: RangeParts = {
      log: { kind: 'log', matchers: this.#selector(), stages: [] },
      rangeMs: undefined,
      offsetNs: 0,
      unwrap: undefined,
    }
    return this.#rangeEnd(parts, true)
  }

  /** Stages, range and offset behind a selector, in either order. */
  #rangeEnd(parts: RangeParts, mayHaveStages: boolean): RangeParts {
    if (mayHaveStages && this.#token.kind !== 'range') {
      parts.log.stages = this.#stages()
      parts.unwrap = this.#unwrap()
    }
    if (this.#token.kind !== 'range') return parts
    const hadStages = parts.log.stages.length > 0 || parts.unwrap !== undefined
    parts.rangeMs = Number(this.#tokens[this.#at++]!.value)
    if (this.#take('offset')) parts.offsetNs = this.#duration()
    if (mayHaveStages && !hadStages) {
      parts.log.stages = this.#stages()
      parts.unwrap = this.#unwrap()
    }
    return parts
  }

  #unwrap(): Unwrap | undefined {
    if (!this.#is('|') || this.#tokens[this.#at + 1]!.text !== 'unwrap' || this.#tokens[this.#at + 1]!.kind !== 'word')
      return undefined
    this.#at += 2
    let conversion: Conversion = ''
    let label: string
    if (this.#token.kind === 'function') {
      const { text } = this.#token
      if (text !== 'bytes' && text !== 'duration' && text !== 'duration_seconds')
        this.#unexpected('IDENTIFIER', 'BYTES_CONV', 'DURATION_CONV', 'DURATION_SECONDS_CONV')
      conversion = text
      this.#at++
      this.#expect('(')
      label = this.#identifier()
      this.#expect(')')
    } else label = this.#identifier('BYTES_CONV', 'DURATION_CONV', 'DURATION_SECONDS_CONV')
    const filters: LabelFilter[] = []
    while (this.#take('|')) {
      this.#size.part(this.#token.from)
      if (this.#token.kind !== 'identifier' && !this.#is('(')) this.#unexpected('IDENTIFIER', '(')
      filters.push(this.#labelFilter())
    }
    return { label, conversion, filters }
  }

  #vectorAggregation(op: VectorOp): MetricExpr {
    this.#at++
    let grouping = this.#grouping()
    this.#expect('(')
    const parameter = this.#parameter()
    const inner = this.#metric()
    if (!this.#take(')')) this.#unexpected()
    grouping ??= this.#grouping()
    if (needParameter.has(op)) {
      if (parameter === undefined) throw semanticError(`parameter required for operation ${op}`)
      if (!/^[0-9]+$/.test(parameter.text)) throw semanticError(`invalid parameter ${op}(${parameter.text},`)
      if (parameter.value < 1) throw semanticError(`invalid parameter (must be greater than 0) ${op}(${parameter.text}`)
    } else if (parameter !== undefined)
      throw semanticError(`unsupported parameter for operation ${op}(${parameter.text},`)
    if ((op === 'sort' || op === 'sort_desc') && grouping !== undefined && grouping.labels.length > 0)
      throw semanticError("sort and sort_desc doesn't allow grouping by ")
    if (op === 'approx_topk' && grouping !== undefined)
      throw semanticError('grouping not allowed for approx_topk aggregation')
    return { kind: 'aggregation', op, parameter: parameter?.value, grouping, inner }
  }
}

const conversions: ReadonlySet<string> = new Set(['bytes', 'duration', 'duration_seconds'])

function nameOf(token: Token): string {
  switch (token.kind) {
    case 'end':
      return '$end'
    case 'identifier':
      return 'IDENTIFIER'
    case 'string':
      return 'STRING'
    case 'number':
      return 'NUMBER'
    case 'duration':
      return 'DURATION'
    case 'bytes':
      return 'BYTES'
    case 'range':
      return 'RANGE'
    case 'flag':
      return 'FUNCTION_FLAG'
    case 'function':
      return token.text === 'ip' ? 'ip' : token.text.toUpperCase() + (conversions.has(token.text) ? '_CONV' : '')
    default:
      return token.text
  }
}

/** Throws BadQueryError for a number that no double can be. */
function literalValue({ value, text }: Token): number {
  if (Number.isFinite(Number(value))) return Number(value)
  const why = Number.isNaN(value) ? 'invalid syntax' : 'value out of range'
  const reason = `strconv.ParseFloat: parsing ${quote(text)}: ${why}`
  throw semanticError(`unable to parse literal as a float: ${reason}`)
}

/** The leg of an operator that is no number and no metric query. */
function legError(side: 'left' | 'right', op: BinaryOp, { stages }: LogExpr): BadQueryError {
  const type = stages.length === 0 ? 'MatchersExpr' : 'PipelineExpr'
  return semanticError(`unexpected type for ${side} leg of binary operation (${op}): *syntax.${type}`)
}

function matchesEmpty(match: LabelMatch): boolean {
  switch (match.kind) {
    case '=':
      return match.value === ''
    case '!=':
      return match.value !== ''
    case '=~':
      return compileAnchored(match.value).test('')
    default:
      return !compileAnchored(match.value).test('')
  }
}

/** Names of the groups of a regular expression, in order. */
export function groupNames(source: string): string[] {
  const names: string[] = []
  for (let i = 0; i < source.length; i++) {
    if (source[i] === '\\') {
      i++
      continue
    }
    if (source[i] === '[') {
      i++
      if (source[i] === '^') i++
      if (source[i] === ']') i++
      while (i < source.length && source[i] !== ']') i += source[i] === '\\' ? 2 : 1
      continue
    }
    const group = source[i] === '(' ? /^\(\?P?<([^>=!]+)>/.exec(source.slice(i, i + 200)) : null
    if (group !== null) names.push(group[1]!)
  }
  return names
}

function checkRegexp(source: string): void {
  const refuse = (reason: string): never => {
    throw semanticError(`invalid regexp parser: ${reason}`)
  }
  const names = groupNames(source)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  // Group names that come twice are an error of their own.
  const distinct = twice === undefined ? source : source.replaceAll(/\(\?P?<(?![=!])[^>]*>/g, '(')
  try {
    compileRe2(distinct.replaceAll(/\(\?<(?![=!])/g, '(?P<'), source)
  } catch (error) {
    refuse(messageOf(error))
  }
  if (names.length === 0) refuse('at least one named capture must be supplied')
  if (twice !== undefined) refuse(`duplicate extracted label name '${twice}'`)
}

/** Arithmetic of two literals, as the reference system folds it. */
export function foldNumbers(op: BinaryOp, left: number, right: number): number {
  switch (op) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return right === 0 ? NaN : left / right
    case '%':
      return right === 0 ? NaN : left % right
    case '^':
      return left ** right
    case '==':
      return left === right ? 1 : 0
    case '!=':
      return left !== right ? 1 : 0
    case '>':
      return left > right ? 1 : 0
    case '>=':
      return left >= right ? 1 : 0
    case '<':
      return left < right ? 1 : 0
    case '<=':
      return left <= right ? 1 : 0
    default:
      throw semanticError(`unexpected literal for ${quote(op)}`)
  }
}

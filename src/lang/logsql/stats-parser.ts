/** The pipes stats, running_stats and total_stats. Source: docs/logs.md (the VictoriaLogs part). */
import type { Bucket, Filter, GroupKey, StatsCall, StatsFunction } from './ast.ts'
import type { QueryLexer } from './lexer.ts'
import { countOf, durationOf, plainNumberOf, sizeOf } from './numbers.ts'
import { callText, filterText } from './shown.ts'

/** What a call may be given: names of fields, without or with stars; how many at least and at most. */
interface Arguments {
  least: number
  most: number
  takesStars: boolean
  /** A limit may follow. */
  takesLimit: boolean
}

const anyFields: Arguments = { least: 0, most: Infinity, takesStars: true, takesLimit: false }
const limited: Arguments = { ...anyFields, takesLimit: true }
const named: Arguments = { least: 1, most: Infinity, takesStars: false, takesLimit: true }

const argumentsOf: Readonly<Record<StatsFunction, Arguments>> = {
  avg: anyFields,
  count: anyFields,
  count_empty: anyFields,
  count_uniq: named,
  count_uniq_hash: named,
  first: anyFields,
  histogram: { ...named, most: 1, takesLimit: false },
  json_values: limited,
  last: anyFields,
  max: anyFields,
  median: anyFields,
  min: anyFields,
  quantile: anyFields,
  rate: { least: 0, most: 0, takesStars: false, takesLimit: false },
  rate_sum: anyFields,
  row_any: anyFields,
  row_max: anyFields,
  row_min: anyFields,
  stddev: anyFields,
  sum: anyFields,
  sum_len: anyFields,
  uniq_values: limited,
  values: limited,
}

const unitWidths: Readonly<Record<string, number>> = {
  nanosecond: 1,
  microsecond: 1e3,
  millisecond: 1e6,
  second: 1e9,
  minute: 6e10,
  hour: 3.6e12,
  day: 8.64e13,
  week: 6.048e14,
  month: 0,
  year: 0,
}

export class StatsParser {
  readonly #lexer: QueryLexer
  readonly #condition: () => Filter | undefined
  readonly #names: () => string[]

  /** `condition` reads an `if (…)` where there is one, `names` names of fields in parentheses. */
  constructor(lexer: QueryLexer, condition: () => Filter | undefined, names: () => string[]) {
    this.#lexer = lexer
    this.#condition = condition
    this.#names = names
  }

  parts(functions: readonly StatsFunction[]): { by: GroupKey[]; calls: StatsCall[] } {
    const lexer = this.#lexer
    const by = lexer.is('by', '(') ? this.#groupKeys() : []
    const calls: StatsCall[] = []
    do {
      const { from } = lexer
      const call = this.#call(functions)
      if (by.some(({ field }) => field === call.as))
        lexer.fail(`${JSON.stringify(call.as)} is a field of "by" already: call the result something else`, from)
      if (calls.some(({ as }) => as === call.as))
        lexer.fail(`two results are called ${JSON.stringify(call.as)}: call one of them something else`, from)
      calls.push(call)
    } while (lexer.take(','))
    if (!lexer.isEndOfPipe) lexer.fail('"," or the end of the pipe was expected')
    return { by, calls }
  }

  #groupKeys(): GroupKey[] {
    const lexer = this.#lexer
    lexer.take('by')
    lexer.expect('(')
    const keys: GroupKey[] = []
    while (!lexer.take(')')) {
      keys.push(this.#groupKey())
      if (!lexer.is(')')) lexer.expect(',')
    }
    return keys
  }

  #groupKey(): GroupKey {
    const lexer = this.#lexer
    const field = lexer.compound('a field', ['*', ',', '(', ')', '[', ']', '|', '', ':']) || '_msg'
    return { field, bucket: lexer.take(':') ? this.#bucket(field) : undefined }
  }

  #bucket(field: string): Bucket {
    const lexer = this.#lexer
    const { from, token } = lexer
    lexer.next()
    let width = Object.hasOwn(unitWidths, token) ? unitWidths[token]! : widthOf(token)
    if (token === '/') {
      const bits = countOf(lexer.token)
      width = bits === undefined || bits > 32 ? NaN : 2 ** (32 - bits)
      lexer.next()
    }
    if (Number.isNaN(width)) lexer.fail(`${JSON.stringify(token)} is no width of a bucket of ${field}`, from)
    const unit = token === 'month' || token === 'year' || token === 'week' ? token : undefined
    return { width, offset: lexer.take('offset') ? this.#bucketOffset(field) : 0, unit }
  }

  #bucketOffset(field: string): number {
    const lexer = this.#lexer
    const { from } = lexer
    const sign = lexer.take('-') ? -1 : 1
    const { token } = lexer
    lexer.next()
    const offset = widthOf(token)
    if (Number.isNaN(offset)) lexer.fail(`${JSON.stringify(token)} is no offset of a bucket of ${field}`, from)
    return sign * offset
  }

  #call(functions: readonly StatsFunction[]): StatsCall {
    const lexer = this.#lexer
    const { from } = lexer
    const word = lexer.isQuoted ? '' : lexer.token.toLowerCase()
    const name = functions.find(known => known === word)
    if (name === undefined) return lexer.fail(`the stats function ${JSON.stringify(lexer.token)} is not known`)
    lexer.next()
    const call: StatsCall = {
      name,
      args: this.#names(),
      limit: 0,
      parameter: undefined,
      parameterText: '',
      condition: undefined,
      as: '',
    }
    this.#checkArguments(call, from)
    if (argumentsOf[name].takesLimit && lexer.take('limit')) call.limit = this.#limit()
    call.condition = this.#condition()
    call.as = this.#resultName(call)
    return call
  }

  #limit(): number {
    const lexer = this.#lexer
    const limit = lexer.isQuoted ? undefined : countOf(lexer.token)
    if (limit === undefined) return lexer.fail(`${JSON.stringify(lexer.token)} is no limit`)
    lexer.next()
    return limit
  }

  #checkArguments(call: StatsCall, at: number): void {
    const lexer = this.#lexer
    const { name, args } = call
    const { least, most, takesStars } = argumentsOf[name]
    if (args.length < least || args.length > most)
      lexer.fail(`${name}() is given ${args.length} fields, it takes ${most === least ? most : `${least} or more`}`, at)
    if (!takesStars && args.some(arg => arg.endsWith('*'))) lexer.fail(`${name}() takes no fields with a star`, at)
    if (name === 'quantile') {
      call.parameterText = args.shift() ?? ''
      call.parameter = plainNumberOf(call.parameterText)
      if (!(call.parameter >= 0 && call.parameter <= 1))
        lexer.fail(`the first argument of quantile() is a number between 0 and 1, not ${call.parameterText}`, at)
    }
    const isOfRows = name === 'row_min' || name === 'row_max'
    if (isOfRows && (args.length === 0 || args[0]!.endsWith('*')))
      lexer.fail(`the first argument of ${name}() is a field, without a star`, at)
    if (most > 0 && args.length === (isOfRows ? 1 : 0)) args.push('*')
  }

  #resultName(call: StatsCall): string {
    const lexer = this.#lexer
    if (!lexer.isEndOfPipe && !lexer.is(',')) {
      lexer.take('as')
      const { from } = lexer
      const name = lexer.compound('a name')
      if (name.endsWith('*')) lexer.fail('a result has a name without a star at its end', from)
      return name || '_msg'
    }
    return callText(call) + (call.condition === undefined ? '' : ` if (${filterText(call.condition)})`)
  }
}

/** A number, a duration or a size; NaN for anything else. */
function widthOf(text: string): number {
  const number = plainNumberOf(text)
  if (!Number.isNaN(number)) return number
  const ns = durationOf(text)
  return Number.isNaN(ns) ? sizeOf(text) : ns
}

/** LogsQL: a filter, then pipes. Source: docs/logs.md (the VictoriaLogs part). */
import { addAll } from '#core/lists.ts'
import type { Filter, LogsqlQuery, Pipe } from './ast.ts'
import { FilterParser } from './filter-parser.ts'
import { QueryLexer } from './lexer.ts'
import { countOf } from './numbers.ts'
import { PipeParser } from './pipe-parser.ts'

/** Times that are relative count from `nowNs`. Throws BadQueryError. */
export function parseLogsql(text: string, nowNs: bigint): LogsqlQuery {
  const lexer = new QueryLexer(text)
  let inherited = false
  const query = (): LogsqlQuery => lexer.size.deeper(lexer.from, wholeQuery)
  const wholeQuery = (): LogsqlQuery => {
    const outer = inherited
    const ignoresRequestTime = readOptions(lexer, inherited)
    inherited = ignoresRequestTime
    const filter = filters.filter()
    const pipes: Pipe[] = []
    while (lexer.take('|')) {
      lexer.size.part(lexer.from)
      pipes.push(pipeParser.pipe())
      if (!lexer.isEndOfPipe) lexer.fail('"|" or the end of the query was expected')
    }
    inherited = outer
    return { ...merged(filter, limited(pipes)), ignoresRequestTime, hasBareFilter: pipeParser.hasBareFilter }
  }
  const filters: FilterParser = new FilterParser(lexer, nowNs, query)
  const pipeParser = new PipeParser(lexer, filters, query)
  if (lexer.isEnd) lexer.fail('the query is empty')
  const whole = query()
  if (!lexer.isEnd) lexer.fail('nothing more was expected')
  return whole
}

/** Filters in front of all other pipes are part of the filter: their times and streams count for the search. */
function merged(filter: Filter, pipes: Pipe[]): { filter: Filter; pipes: Pipe[] } {
  const parts = flattened(filter)
  let count = 0
  for (const pipe of pipes) {
    if (pipe.kind !== 'filter') break
    addAll(parts, flattened(pipe.filter))
    count++
  }
  return { filter: parts.length === 1 ? parts[0]! : { kind: 'and', parts }, pipes: pipes.slice(count) }
}

/** Limits and offsets directly behind pipes that know them are part of these. */
function limited(pipes: readonly Pipe[]): Pipe[] {
  const joined: Pipe[] = []
  for (const pipe of pipes) {
    const last = joined.at(-1)
    if (pipe.kind === 'limit' && (last?.kind === 'sort' || last?.kind === 'uniq') && pipe.count > 0) {
      const limit = last.limit === 0 ? pipe.count : Math.min(last.limit, pipe.count)
      joined[joined.length - 1] = { ...last, limit }
    } else if (pipe.kind === 'offset' && last?.kind === 'sort' && last.offset === 0 && last.limit === 0)
      joined[joined.length - 1] = { ...last, offset: pipe.count }
    else joined.push(pipe)
  }
  return joined
}

function flattened(filter: Filter): Filter[] {
  if (filter.kind !== 'and') return [filter]
  return filter.parts.flatMap(flattened)
}

/** `options(name=value, …)` in front of a query. Does the time of the request not count for it? */
function readOptions(lexer: QueryLexer, inherited: boolean): boolean {
  if (!lexer.take('options')) return inherited
  lexer.expect('(')
  let ignoresRequestTime = inherited
  const ends = ['=', ',', '(', ')', '[', ']', '|', '']
  while (!lexer.take(')')) {
    const { from } = lexer
    const name = lexer.compound('the name of an option', ends)
    lexer.expect('=')
    const value = lexer.compound('the value of an option', ends)
    if (name === 'ignore_global_time_filter') ignoresRequestTime = truthOf(lexer, value, from)
    else if (name !== 'concurrency') lexer.fail(`the option ${JSON.stringify(name)} is not known`, from)
    else if (countOf(value) === undefined) lexer.fail(`${JSON.stringify(value)} is no count of threads`, from)
    if (!lexer.is(')')) lexer.expect(',')
  }
  return ignoresRequestTime
}

function truthOf(lexer: QueryLexer, value: string, at: number): boolean {
  if (/^(?:1|t|true)$/i.test(value)) return true
  if (/^(?:0|f|false)$/i.test(value)) return false
  return lexer.fail(`${JSON.stringify(value)} is neither true nor false`, at)
}

/** LogsQL: a filter, then pipes. Source: docs/logs.md (the VictoriaLogs part). */
import type { LogsqlQuery, Pipe } from './ast.ts'
import { FilterParser } from './filter-parser.ts'
import { PipeParser } from './pipe-parser.ts'
import { QueryScanner } from './scanner.ts'

/** Times that are relative count from `nowMs`. Throws BadQueryError. */
export function parseLogsql(text: string, nowMs: number): LogsqlQuery {
  const scan: QueryScanner = new QueryScanner(text)
  const query = (): LogsqlQuery => scan.size.deeper(scan.at, wholeQuery)
  const wholeQuery = (): LogsqlQuery => {
    const filter = filters.or('_msg')
    const pipes: Pipe[] = []
    while (scan.take('|')) {
      scan.size.part(scan.at)
      pipes.push(pipeParser.pipe())
    }
    return { filter, pipes }
  }
  const filters: FilterParser = new FilterParser(scan, nowMs, query)
  const pipeParser = new PipeParser(scan, filters, query)
  if (scan.atEnd()) scan.fail('the query is empty')
  // options(...) in front are hints for the engine.
  if (/^options\s*\(/.test(scan.text.slice(scan.at))) scan.at = scan.text.indexOf(')', scan.at) + 1
  const whole = query()
  if (!scan.atEnd()) scan.fail('nothing more was expected')
  return whole
}

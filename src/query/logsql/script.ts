/**
 * Scripts of LogsQL.
 *
 *     load
 *       {app="a"} 10s status=200 "GET /"
 *     eval status:200 | fields _msg, status
 *       _msg="GET /" status=200
 *     eval from 0s to 30s * | count() as n
 *       n=1
 *
 * `eval` may name `from 0s to 1h` and `last 10`, in this order. Rows are compared in any order unless `expect ordered`
 * stands among them; a row has exactly the expected fields, `{}` stands for none. Now is one hour after the start.
 */
import { BadDataError } from '#core/errors.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import {
  checkAnswer,
  expectedFailure,
  LineScanner,
  scriptStartMs,
  timeOf,
  type Command,
  type ScriptLanguage,
} from '../script-commands.ts'
import { labelText, readLines, type LogStore } from '../log-script.ts'
import { rangeOfMs, type LogsqlEngine } from './engine.ts'

const hourMs = 3_600_000
const orderedLine = 'expect ordered'

/** Scripts of LogsQL: answers come from `engine`, data goes into stores that `makeStore` makes. */
export function logsqlScripts(engine: LogsqlEngine, makeStore: () => Promise<LogStore>): ScriptLanguage<LogStore> {
  return {
    makeStore,
    load: ({ body }, store) => store.append(readLines(body, true)),
    evaluate: (command, store) => evaluate(command, engine, store),
  }
}

function evaluate({ head, body }: Command, engine: LogsqlEngine, store: LogStore): Promise<string | undefined> {
  const scanner = new LineScanner(head)
  scanner.expect(/^eval\b/, 'eval')
  const range = { fromMs: scriptStartMs, toMs: scriptStartMs + hourMs }
  if (scanner.take(/^from\s/) !== undefined) {
    range.fromMs = scriptStartMs + timeOf(scanner.expect(/^\S+/, 'a time'))
    scanner.expect(/^to\s/, 'to')
    range.toMs = scriptStartMs + timeOf(scanner.expect(/^\S+/, 'a time'))
  }
  const last = scanner.take(/^last\s+\d+/)
  const answer = async (): Promise<string[]> => {
    const query = parseLogsql(scanner.rest, engine.nowNs)
    const rows: string[] = []
    const count = last === undefined ? undefined : Number(last.replace(/\D/g, ''))
    await engine.run(query, rangeOfMs(range.fromMs, range.toMs), store.reader(), count, row => {
      rows.push(labelText([...row].filter(([, value]) => value !== '')))
      return true
    })
    return rows
  }
  return checkAnswer(expectedFailure(body), answer, found => compareRows(found, body))
}

function compareRows(found: readonly string[], body: readonly string[]): string | undefined {
  const wanted = body.filter(line => line !== orderedLine).map(readRow)
  const isOrdered = wanted.length < body.length
  const shown = found.join(' | ')
  if (found.length !== wanted.length) return `${found.length} rows, wanted ${wanted.length}: ${shown}`
  const own = isOrdered ? found : [...found].sort()
  const expected = isOrdered ? wanted : [...wanted].sort()
  const missing = expected.find((row, i) => row !== own[i])
  return missing === undefined ? undefined : `wanted ${missing}; there are ${shown}`
}

function readRow(text: string): string {
  if (text === '{}') return text
  const scanner = new LineScanner(text)
  const fields: [string, string][] = []
  while (!scanner.isAtEnd) {
    const pair = scanner.pair()
    if (pair === undefined) throw new BadDataError(`a field was expected at ${JSON.stringify(scanner.rest)}`)
    fields.push(pair)
  }
  return labelText(fields)
}

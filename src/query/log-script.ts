/** What scripts of LogQL and of LogsQL share: where their lines go, and how a line and labels are written. */
import { BadDataError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import type { LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder, type LogBatch } from '#model/log-batch.ts'
import { LineScanner, scriptStartMs, timeOf } from './script-commands.ts'

/** Where a script's lines go, and where its queries read them. */
export interface LogStore {
  append(batch: LogBatch): Promise<void>
  reader(): LogsReader
}

/** Lines as `{app="a"} 10s name=value "text"`: the stream, the time, structured metadata, the line. */
export function readLines(body: readonly string[], isVerbatim: boolean): LogBatch {
  const builder = new LogBatchBuilder()
  for (const text of body) {
    const scanner = new LineScanner(text)
    const labels = Labels.fromObject(Object.fromEntries(readLabels(scanner)))
    const ms = scriptStartMs + timeOf(scanner.expect(/^\S+/, 'a time'))
    const pairs: string[] = []
    for (let pair = scanner.pair(); pair !== undefined; pair = scanner.pair()) addAll(pairs, pair)
    builder.add(labels, ms, 0, scanner.quoted(), pairs)
    if (!scanner.isAtEnd) throw new BadDataError(`nothing was expected at ${JSON.stringify(scanner.rest)}`)
  }
  const batch = builder.build()
  batch.isVerbatim = isVerbatim
  return batch
}

/** `{name="value", ...}` */
export function readLabels(scanner: LineScanner): [name: string, value: string][] {
  const labels: [string, string][] = []
  scanner.expect(/^\{/, 'labels')
  while (scanner.take(/^\}/) === undefined) {
    const pair = scanner.pair()
    if (pair === undefined) throw new BadDataError(`a label was expected at ${JSON.stringify(scanner.rest)}`)
    labels.push(pair)
    scanner.take(/^,/)
  }
  return labels
}

/** Labels in one order, so that equal ones have equal texts. */
export function labelText(labels: readonly (readonly [name: string, value: string])[]): string {
  const sorted = [...labels].sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${sorted.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`
}

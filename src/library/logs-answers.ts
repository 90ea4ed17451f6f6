/** Answers of Loki's and VictoriaLogs' APIs as results. */
import { bigintOf, labelsOf, listOf, mapOf, textOf, textsOf } from './json.ts'
import type { Labels, LogLine, LogsAnswer } from './results.ts'
import { WrongAnswerError } from './telemetry.ts'

function lineOf(labels: Labels, value: unknown): LogLine {
  const [time, line, categories] = listOf(value)
  const { structuredMetadata, parsed } = mapOf(categories)
  const timeNs = bigintOf(time)
  return {
    timeNs,
    timeMs: Number(timeNs / 1_000_000n),
    line: textOf(line),
    labels,
    metadata: labelsOf(structuredMetadata),
    parsed: labelsOf(parsed),
  }
}

function byTime(a: LogLine, b: LogLine): number {
  return a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0
}

export function logsAnswerOf(json: unknown): LogsAnswer {
  const body = mapOf(json)
  const { resultType, result } = mapOf(body['data'])
  if (resultType !== 'streams')
    throw new WrongAnswerError('it gives numbers, and no lines: ask with logqlMetrics or logqlRange')
  const lines = listOf(result).flatMap(item => {
    const { stream, values } = mapOf(item)
    const labels = labelsOf(stream)
    return listOf(values).map(value => lineOf(labels, value))
  })
  return { lines: lines.sort(byTime), warnings: textsOf(body['warnings']) }
}

/** JSON lines. */
export function rowsOf(text: string): Labels[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => labelsOf(JSON.parse(line)))
}

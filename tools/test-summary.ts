/** A reporter of node's test runner: the files that took longest, then each test that failed with where and how. */
import { relative } from 'node:path'
import { inspect } from 'node:util'

/** What of the runner's events is used. */
interface TestEvent {
  readonly type: string
  readonly data: {
    readonly name: string
    readonly nesting: number
    readonly file?: string
    readonly line?: number
    readonly details?: { readonly error?: Error; readonly duration_ms?: number }
  }
}

const linesMax = 30
const filesMax = 15

function failureOf({ name, file, line, details }: TestEvent['data']): string {
  const cause: unknown = details?.error?.cause ?? details?.error
  // A parent fails with its children.
  if (/^\d+ subtests? failed$/.test(String(cause))) return ''
  const place = file === undefined ? '' : `${relative('.', file)}${line === undefined ? '' : `:${line}`}: `
  const text = typeof cause === 'string' ? cause : inspect(cause)
  return `failed: ${place}${name}\n${text.split('\n').slice(0, linesMax).join('\n')}\n`
}

export default async function* testSummary(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const secondsOf = new Map<string, number>()
  const failures: string[] = []
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const { nesting, file = '', details } = data
    if (nesting === 0) secondsOf.set(file, (secondsOf.get(file) ?? 0) + (details?.duration_ms ?? 0) / 1000)
    if (type === 'test:fail') failures.push(failureOf(data))
  }
  const slowest = [...secondsOf].sort(([, a], [, b]) => b - a).slice(0, filesMax)
  for (const [file, seconds] of slowest) yield `${seconds.toFixed(0).padStart(4)} s: ${relative('.', file)}\n`
  yield* failures
}

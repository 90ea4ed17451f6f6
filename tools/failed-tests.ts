/** A reporter of node's test runner: a line for each test that failed, with where it lies and how it failed. */
import { relative } from 'node:path'
import { inspect } from 'node:util'

/** What of the runner's event is used. */
interface FailedTest {
  readonly type: string
  readonly data: {
    readonly name: string
    readonly file?: string
    readonly line?: number
    readonly details?: { readonly error?: Error }
  }
}

const linesMax = 30

export default async function* failedTests(events: AsyncIterable<FailedTest>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type !== 'test:fail') continue
    const { name, file, line, details } = data
    const cause: unknown = details?.error?.cause ?? details?.error
    // A parent fails with its children.
    if (String(cause).match(/^\d+ subtests? failed$/)) continue
    const place = file === undefined ? '' : `${relative('.', file)}${line === undefined ? '' : `:${line}`}: `
    const text = typeof cause === 'string' ? cause : inspect(cause)
    yield `failed: ${place}${name}\n${text.split('\n').slice(0, linesMax).join('\n')}\n`
  }
}

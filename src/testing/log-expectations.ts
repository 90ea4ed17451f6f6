/** Expectations about the lines that a LogQL query finds. */
import type { Labels, LogLine } from '#library/results.ts'
import type { Telemetry, TimeRange } from '#library/telemetry.ts'
import { arrivedLines } from './arrived.ts'
import { boundText, checkBound, isWithin, type Bound } from './bound.ts'
import { notWhole, type Check } from './checking.ts'
import { lineText } from './shown-telemetry.ts'

/** Of Loki's API. */
const linesMax = 5000

export class LogExpectations {
  readonly #telemetry: Telemetry
  readonly #query: string
  readonly #range: TimeRange
  readonly #check: Check

  constructor(telemetry: Telemetry, query: string, { from, to }: TimeRange, check: Check) {
    this.#telemetry = telemetry
    this.#query = query
    this.#range = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
    this.#check = check
  }

  async toBeEmpty(): Promise<void> {
    await this.toHaveLines(0)
  }

  async toHaveLines(bound: Bound): Promise<void> {
    await this.#look(bound, 'lines', lines => lines.length)
  }

  /** As many different sets of labels: a label that takes ever more values fails here. */
  async toHaveStreams(bound: Bound): Promise<void> {
    await this.#look(bound, 'streams', lines => new Set(lines.map(({ labels }) => streamKey(labels))).size)
  }

  async #look(bound: Bound, what: string, countOf: (lines: readonly LogLine[]) => number): Promise<void> {
    checkBound(bound)
    await this.#check(async () => {
      const { lines, warnings } = await this.#telemetry.logql(this.#query, { ...this.#range, limit: linesMax })
      const count = countOf(lines)
      if (isWithin(count, bound)) return notWhole(this.#query, warnings, bound)
      return {
        message: `${this.#query}: expected ${boundText(bound)} ${what}, found ${count}`,
        actual: count,
        expected: bound,
        operator: what === 'lines' ? 'toHaveLines' : 'toHaveStreams',
        evidence: lines.length > 0 ? lines.map(lineText) : await arrivedLines(this.#telemetry, this.#range),
      }
    })
  }
}

function streamKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
}

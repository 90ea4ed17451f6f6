/** Expectations about the lines that a LogQL query finds. */
import type { Telemetry, TimeRange } from '#library/telemetry.ts'
import { arrivedLines } from './arrived.ts'
import { boundText, isWithin, type Bound } from './bound.ts'
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
    await this.#check(async () => {
      const { lines, warnings } = await this.#telemetry.logql(this.#query, { ...this.#range, limit: linesMax })
      if (isWithin(lines.length, bound)) return notWhole(this.#query, warnings, bound)
      return {
        message: `${this.#query}: expected ${boundText(bound)} lines, found ${lines.length}`,
        actual: lines.length,
        expected: bound,
        operator: 'toHaveLines',
        evidence: lines.length > 0 ? lines.map(lineText) : await arrivedLines(this.#telemetry, this.#range),
      }
    })
  }
}

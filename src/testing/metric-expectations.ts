/** Expectations about the answer of a PromQL expression. */
import type { Sample } from '#library/results.ts'
import type { Telemetry, TimeRange } from '#library/telemetry.ts'
import { arrivedMetrics } from './arrived.ts'
import { boundText, checkBound, isWithin, type Bound } from './bound.ts'
import { notWhole, type Check, type Outcome } from './checking.ts'
import type { Failure } from './failure.ts'
import { sampleText } from './shown-telemetry.ts'

/** The value of one sample, the list of several. */
function valuesOf(samples: readonly Sample[]): number | readonly number[] {
  const values = samples.map(({ value }) => value)
  return values.length === 1 ? values[0]! : values
}

export class MetricExpectations {
  readonly #telemetry: Telemetry
  readonly #expression: string
  readonly #at: TimeRange['to']
  readonly #check: Check

  constructor(telemetry: Telemetry, expression: string, { to }: TimeRange, check: Check) {
    this.#telemetry = telemetry
    this.#expression = expression
    this.#at = to
    this.#check = check
  }

  /** Every series of the answer has such a value, and there is one at least. */
  async toBe(bound: Bound): Promise<void> {
    checkBound(bound)
    await this.#look(samples => {
      const wrong = samples.filter(({ value }) => !isWithin(value, bound))
      if (samples.length > 0 && wrong.length === 0) return undefined
      const found = samples.length === 0 ? 'no series' : wrong.map(({ value }) => value).join(', ')
      return this.#failure(`expected ${boundText(bound)}, found ${found}`, samples, bound, 'toBe')
    })
  }

  /** As `toBe`, and no series at all is 0: counters are not there before their first event. */
  async toBeOrAbsent(bound: Bound): Promise<void> {
    checkBound(bound)
    await this.#look(samples => {
      const wrong = samples.filter(({ value }) => !isWithin(value, bound))
      if (wrong.length === 0 && (samples.length > 0 || isWithin(0, bound))) return undefined
      const found = samples.length === 0 ? 'no series' : wrong.map(({ value }) => value).join(', ')
      return this.#failure(`expected ${boundText(bound)}, found ${found}`, wrong, bound, 'toBeOrAbsent')
    })
  }

  async toExist(): Promise<void> {
    await this.#look(samples =>
      samples.length > 0 ? undefined : this.#failure('expected series, found none', samples, undefined, 'toExist'),
    )
  }

  async toBeAbsent(): Promise<void> {
    await this.#look(samples =>
      samples.length === 0
        ? undefined
        : this.#failure(`expected no series, found ${samples.length}`, samples, [], 'toBeAbsent'),
    )
  }

  /** As many series: a label that takes ever more values fails here. */
  async toHaveSeries(bound: Bound): Promise<void> {
    checkBound(bound)
    await this.#look(samples =>
      isWithin(samples.length, bound)
        ? undefined
        : this.#failure(`expected ${boundText(bound)} series, found ${samples.length}`, samples, bound, 'toHaveSeries'),
    )
  }

  #failure(problem: string, samples: readonly Sample[], expected: unknown, operator: string): Failure {
    const message = `${this.#expression}: ${problem}`
    return { message, actual: valuesOf(samples), expected, operator, evidence: samples.map(sampleText) }
  }

  #look(judge: (samples: readonly Sample[]) => Outcome): Promise<void> {
    return this.#check(async () => {
      const { samples, warnings } = await this.#telemetry.promql(this.#expression, this.#at)
      const failure = judge(samples)
      if (failure === undefined) return notWhole(this.#expression, partialOnly(warnings))
      if (samples.length > 0) return failure
      const range = this.#at === undefined ? {} : { to: this.#at }
      return { ...failure, evidence: await arrivedMetrics(this.#telemetry, this.#expression, range) }
    })
  }
}

/** PromQL remarks on questionable expressions, too: those don't make an answer less than whole. */
function partialOnly(warnings: readonly string[]): string[] {
  return warnings.filter(warning => !/^PromQL (info|warning)/.test(warning))
}

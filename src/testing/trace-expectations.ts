/** Expectations about the traces that a TraceQL query finds. */
import type { FoundTrace, Trace } from '#library/results.ts'
import type { Telemetry, TimeRange } from '#library/telemetry.ts'
import { arrivedTraces } from './arrived.ts'
import { boundText, checkBound, isWithin, type Bound } from './bound.ts'
import { notWhole, type Check } from './checking.ts'
import { traceLines } from './shown-telemetry.ts'

/** As many traces as an expectation looks at; beyond, it fails rather than to be wrong. */
const lookedAtMax = 10_000
/** As many traces are shown whole. */
const tracesShown = 3

export class TraceExpectations {
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

  /** Nothing matches. */
  async toBeEmpty(): Promise<void> {
    await this.toHaveTraces(0)
  }

  async toHaveTraces(bound: Bound): Promise<void> {
    await this.#look(bound, traces =>
      isWithin(traces.length, bound)
        ? undefined
        : { problem: `expected ${boundText(bound)} traces, found ${traces.length}`, wrong: traces },
    )
  }

  /** In all traces together. */
  async toHaveSpans(bound: Bound): Promise<void> {
    await this.#look(bound, traces => {
      const spans = traces.reduce((sum, { matched }) => sum + matched, 0)
      const problem = `expected ${boundText(bound)} spans, found ${spans} in ${traces.length} traces`
      return isWithin(spans, bound) ? undefined : { problem, wrong: traces }
    })
  }

  /** In each trace that has any: a loop of queries fails here. */
  async toHaveSpansPerTrace(bound: Bound): Promise<void> {
    await this.#look(bound, traces => {
      const wrong = traces.filter(({ matched }) => !isWithin(matched, bound))
      const counts = wrong.map(({ matched }) => matched).join(', ')
      const problem = `expected ${boundText(bound)} spans in each trace, found ${counts}`
      return wrong.length === 0 ? undefined : { problem, wrong }
    })
  }

  async #look(bound: Bound, judge: (traces: readonly FoundTrace[]) => Judgement | undefined): Promise<void> {
    checkBound(bound)
    return this.#check(async () => {
      const range = { ...this.#range, limit: lookedAtMax }
      const { traces, warnings } = await this.#telemetry.traceql(this.#query, range)
      const judgement = judge(traces)
      if (judgement === undefined) return notWhole(this.#query, warnings, bound)
      const { problem, wrong } = judgement
      return {
        message: `${this.#query}: ${problem}`,
        actual: wrong.map(({ matched }) => matched),
        expected: bound,
        operator: 'toHaveSpans',
        evidence: await this.#evidence(wrong),
      }
    })
  }

  async #evidence(traces: readonly FoundTrace[]): Promise<string[]> {
    if (traces.length === 0) return arrivedTraces(this.#telemetry, this.#range)
    const lines: string[] = []
    for (const found of traces.slice(0, tracesShown)) {
      const trace = await this.#telemetry.trace(found.traceId)
      const marked = new Set(found.spans.map(({ spanId }) => spanId))
      lines.push(trace === undefined ? `trace ${found.traceId}` : wholeText(trace, marked))
    }
    return [...lines, ...traces.slice(tracesShown).map(({ traceId, rootName }) => `trace ${traceId}  ${rootName}`)]
  }
}

interface Judgement {
  problem: string
  wrong: readonly FoundTrace[]
}

function wholeText(trace: Trace, marked: ReadonlySet<string>): string {
  return traceLines(trace, marked).join('\n')
}

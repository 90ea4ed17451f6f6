/** Expectations about the requests of a route: what each asks of databases and services, and how long it takes. */
import { BadDataError } from '#core/errors.ts'
import { requestsOf, type Request } from '#gate/requests.ts'
import { refuseUnknown } from '#library/fields.ts'
import { durationMs, type Duration } from '#library/moment.ts'
import type { Trace } from '#library/results.ts'
import type { Telemetry, TimeRange } from '#library/telemetry.ts'
import { arrivedTraces } from './arrived.ts'
import { boundText, checkBound, isWithin, type Bound } from './bound.ts'
import { notWhole, type Check, type Outcome } from './checking.ts'
import { traceLines } from './shown-telemetry.ts'

/** As many traces as an expectation reads; beyond, it fails rather than to be wrong. */
const tracesMax = 1000
/** As many traces are shown whole. */
const tracesShown = 3

/** A request, and the trace that it is in. */
interface Found {
  request: Request
  trace: Trace
}

export class RequestExpectations {
  readonly #telemetry: Telemetry
  readonly #route: string
  readonly #range: TimeRange
  readonly #check: Check

  constructor(telemetry: Telemetry, route: string, { from, to }: TimeRange, check: Check) {
    this.#telemetry = telemetry
    this.#route = route
    this.#range = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
    this.#check = check
  }

  /** Each makes as many queries of databases: a loop of queries fails here. */
  async toMakeQueries(bound: Bound): Promise<void> {
    await this.#each(bound, 'queries', ({ queries }) => queries)
  }

  /** Each makes as many requests of other services. */
  async toMakeCalls(bound: Bound): Promise<void> {
    await this.#each(bound, 'calls', ({ calls }) => calls)
  }

  /** None has failed. */
  async toSucceed(): Promise<void> {
    await this.#look(0, found => {
      const wrong = found.filter(({ request }) => request.isFailed)
      const problem = `expected no failed request, found ${wrong.length} of ${found.length}`
      return wrong.length === 0 ? undefined : { problem, wrong, actual: wrong.length, expected: 0 }
    })
  }

  /** A share of them, 0.9 of all where none is named, takes no longer. */
  async toTake(bound: { atMost: Duration; share?: number }): Promise<void> {
    refuseUnknown('toTake', bound, { atMost: true, share: true })
    const { atMost, share = 0.9 } = bound
    const mostMs = durationMs(atMost)
    if (!(share > 0 && share <= 1)) throw new BadDataError(`a share of ${share} is not between 0 and 1`)
    await this.#look(0, found => {
      const slowest = found.toSorted((a, b) => a.request.durationMs - b.request.durationMs)
      const at = slowest[Math.ceil(share * found.length) - 1] ?? slowest[0]
      if (at === undefined || at.request.durationMs <= mostMs) return undefined
      const takenMs = Number(at.request.durationMs.toFixed(2))
      const most = `expected ${share * 100} % of ${found.length} requests to take at most ${mostMs} ms`
      const problem = `${most}, found ${takenMs} ms`
      const wrong = slowest.filter(({ request }) => request.durationMs > mostMs).toReversed()
      return { problem, wrong, actual: takenMs, expected: mostMs }
    })
  }

  #each(bound: Bound, what: string, of: (request: Request) => readonly string[]): Promise<void> {
    return this.#look(bound, found => {
      const wrong = found.filter(({ request }) => !isWithin(of(request).length, bound))
      const counts = wrong.map(({ request }) => of(request).length)
      const repeated = mostRepeated(wrong.flatMap(({ request }) => of(request)))
      const problem = `expected ${boundText(bound)} ${what} a request, found ${counts.join(', ')}${repeated}`
      return wrong.length === 0 ? undefined : { problem, wrong, actual: counts, expected: bound }
    })
  }

  async #look(bound: Bound, judge: (found: readonly Found[]) => Judgement | undefined): Promise<void> {
    checkBound(bound)
    return this.#check(async () => {
      const { traces, warnings } = await this.#telemetry.traceql('{ }', {
        ...this.#range,
        limit: tracesMax,
        spansPerTrace: 1,
      })
      const found: Found[] = []
      for (const { traceId } of traces) {
        const trace = await this.#telemetry.trace(traceId)
        if (trace === undefined) continue
        for (const request of requestsOf(trace)) if (request.route === this.#route) found.push({ request, trace })
      }
      return this.#outcome(bound, judge(found), found.length, warnings)
    })
  }

  /** A route without requests fails: nothing was looked at. */
  async #outcome(
    bound: Bound,
    judgement: Judgement | undefined,
    count: number,
    warnings: readonly string[],
  ): Promise<Outcome> {
    const name = `requests of ${this.#route}`
    if (count === 0) {
      const evidence = await arrivedTraces(this.#telemetry, this.#range)
      return { message: `${name}: found none`, actual: 0, expected: bound, operator: 'requests', evidence }
    }
    if (judgement === undefined) return notWhole(name, warnings, bound)
    const { problem, wrong, actual, expected } = judgement
    const evidence = wrong.slice(0, tracesShown).map(shownRequest)
    return { message: `${name}: ${problem}`, actual, expected, operator: 'requests', evidence }
  }
}

interface Judgement {
  problem: string
  wrong: readonly Found[]
  actual: unknown
  expected: unknown
}

function shownRequest({ request, trace }: Found): string {
  return traceLines(trace, new Set([request.span.spanId])).join('\n')
}

/** `; 20 × SELECT * FROM items WHERE id = ?`; empty where nothing comes twice. */
function mostRepeated(texts: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  const [most] = [...counts].sort((a, b) => b[1] - a[1])
  return most === undefined || most[1] < 2 ? '' : `; ${most[1]} × ${most[0]}`
}

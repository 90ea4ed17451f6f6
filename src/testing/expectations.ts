/** Expectations about telemetry, for any test runner: each resolves, or throws with the telemetry that it found. */
import { sleep, systemClock, type Clock } from '#core/clock.ts'
import { refuseUnknown } from '#library/fields.ts'
import { durationMs, type Duration } from '#library/moment.ts'
import type { Telemetry, TimeRange } from '#library/telemetry.ts'
import { AlertExpectations } from './alert-expectations.ts'
import type { Outcome } from './checking.ts'
import { TelemetryAssertionError } from './failure.ts'
import { LogExpectations } from './log-expectations.ts'
import { MetricExpectations } from './metric-expectations.ts'
import { RequestExpectations } from './request-expectations.ts'
import { TraceExpectations } from './trace-expectations.ts'

export interface ExpectationOptions extends TimeRange {
  /**
   * Asks again until the expectation holds, for so long at most: what SDKs send arrives a little later. Default: 0,
   * it is asked once. An expectation that nothing is there holds at once: let everything arrive before.
   */
  within?: Duration
}

/** Between two questions. */
const askEveryMs = 50

export class TelemetryExpectations {
  readonly #telemetry: Telemetry
  readonly #options: ExpectationOptions
  readonly #clock: Clock

  constructor(telemetry: Telemetry, options: ExpectationOptions, clock: Clock = systemClock) {
    this.#telemetry = telemetry
    this.#options = options
    this.#clock = clock
  }

  /** About the values of a PromQL expression. */
  metric(expression: string): MetricExpectations {
    return new MetricExpectations(this.#telemetry, expression, this.#options, this.#check)
  }

  /** About the traces that a TraceQL query finds, and their spans that match. */
  traces(query: string): TraceExpectations {
    return new TraceExpectations(this.#telemetry, query, this.#options, this.#check)
  }

  /** About the requests of a route, as `GET /cart/:id`: what `http.route`, or the procedure, says. */
  requests(route: string): RequestExpectations {
    return new RequestExpectations(this.#telemetry, route, this.#options, this.#check)
  }

  /** About the lines that a LogQL query finds. */
  logs(query: string): LogExpectations {
    return new LogExpectations(this.#telemetry, query, this.#options, this.#check)
  }

  /** About an alert by its name. */
  alert(name: string): AlertExpectations {
    return new AlertExpectations(this.#telemetry, name, this.#check)
  }

  readonly #check = async (look: () => Promise<Outcome>): Promise<void> => {
    const untilMs = this.#clock.monotonicMs() + durationMs(this.#options.within ?? 0)
    for (;;) {
      const failure = await look()
      if (failure === undefined) return
      if (this.#clock.monotonicMs() >= untilMs) throw new TelemetryAssertionError(failure)
      await sleep(this.#clock, askEveryMs)
    }
  }
}

const optionNames: Readonly<Record<keyof ExpectationOptions, true>> = { within: true, from: true, to: true }

/** `within`, `from` and `to` hold for every expectation that is made of it. */
export function expectTelemetry(telemetry: Telemetry, options: ExpectationOptions = {}): TelemetryExpectations {
  refuseUnknown('expectTelemetry', options, optionNames)
  return new TelemetryExpectations(telemetry, options)
}

/** Expectations about a run of rules. */
import { formatDuration } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { refuseUnknown } from '#library/fields.ts'
import { durationMs, type Duration } from '#library/moment.ts'
import type { Labels } from '#library/results.ts'
import { TelemetryAssertionError } from './failure.ts'
import type { Firing, RuleRun } from './rule-run.ts'
import { seriesText } from './shown-telemetry.ts'

export interface FiringOptions {
  /** From the beginning of the run. Default: its whole length. */
  within?: Duration
  /** Labels that the alert has, among others. */
  labels?: Labels
}

function firingText({ alert, labels, fromMs, toMs }: Firing): string {
  return `${alert}${seriesText(labels)} from ${formatDuration(fromMs)} to ${formatDuration(toMs)}`
}

function hasLabels({ labels }: Firing, wanted: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value)
}

export class RuleExpectations {
  readonly #run: RuleRun

  constructor(run: RuleRun) {
    this.#run = run
  }

  toFire(alert: string, options: FiringOptions = {}): void {
    refuseUnknown('toFire', options, { within: true, labels: true })
    const { within, labels = {} } = options
    const untilMs = within === undefined ? this.#run.durationMs : durationMs(within)
    const firings = this.#firings(alert, labels)
    if (firings.some(({ fromMs }) => fromMs <= untilMs)) return
    const found = firings.length === 0 ? 'it never does' : `it does so first at ${formatDuration(firings[0]!.fromMs)}`
    this.#fail(`alert ${alert}: expected to fire within ${formatDuration(untilMs)}, ${found}`, firings, 'toFire')
  }

  toNeverFire(alert: string, options: Pick<FiringOptions, 'labels'> = {}): void {
    refuseUnknown('toNeverFire', options, { labels: true })
    const { labels = {} } = options
    const firings = this.#firings(alert, labels)
    if (firings.length === 0 && this.#run.errors.length === 0) return
    const length = formatDuration(this.#run.durationMs)
    const problem = firings.length === 0 ? 'a rule fails' : `it fires ${firings.length} times`
    this.#fail(`alert ${alert}: expected not to fire in ${length}, ${problem}`, firings, 'toNeverFire')
  }

  /** Throws BadDataError for an alert that no rule has: it can never fire. */
  #firings(alert: string, labels: Labels): readonly Firing[] {
    const { alerts, firings } = this.#run
    if (!alerts.includes(alert))
      throw new BadDataError(
        `no rule has the alert ${alert}; ${alerts.length === 0 ? 'there is none' : `there are ${alerts.join(', ')}`}`,
      )
    return firings.filter(firing => firing.alert === alert && hasLabels(firing, labels))
  }

  #fail(message: string, firings: readonly Firing[], operator: string): never {
    const evidence = [...this.#run.errors.map(error => `the rule fails: ${error}`), ...firings.map(firingText)]
    throw new TelemetryAssertionError({ message, actual: firings, expected: undefined, operator, evidence })
  }
}

export function expectRules(run: RuleRun): RuleExpectations {
  return new RuleExpectations(run)
}

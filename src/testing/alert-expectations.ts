/** Expectations about the state of an alert. */
import type { Telemetry } from '#library/telemetry.ts'
import type { Check } from './checking.ts'
import type { Failure } from './failure.ts'
import { alertText } from './shown-telemetry.ts'

export class AlertExpectations {
  readonly #telemetry: Telemetry
  readonly #name: string
  readonly #check: Check

  constructor(telemetry: Telemetry, name: string, check: Check) {
    this.#telemetry = telemetry
    this.#name = name
    this.#check = check
  }

  async toBeFiring(): Promise<void> {
    await this.#expect('firing')
  }

  async toBePending(): Promise<void> {
    await this.#expect('pending')
  }

  /** It neither fires nor is about to. A name that no rule has fails: it would never fire. */
  async toBeInactive(): Promise<void> {
    await this.#expect('inactive')
  }

  async #expect(expected: 'firing' | 'pending' | 'inactive'): Promise<void> {
    await this.#check(async () => {
      const rules = (await this.#telemetry.rules()).filter(
        ({ kind, name }) => kind === 'alerting' && name === this.#name,
      )
      if (rules.length === 0) return this.#failure('no rule', expected, ['no rule has this name'])
      const alerts = (await this.#telemetry.alerts()).filter(({ name }) => name === this.#name)
      const states = alerts.map(({ state }) => state)
      const actual = states.includes('firing') ? 'firing' : (states[0] ?? 'inactive')
      const errors = rules.flatMap(({ error }) => (error === '' ? [] : [`the rule fails: ${error}`]))
      if (actual === expected && errors.length === 0) return undefined
      const queries = rules.map(({ query }) => `rule: ${query}`)
      return this.#failure(actual, expected, [...errors, ...alerts.map(alertText), ...queries])
    })
  }

  #failure(actual: string, expected: string, evidence: readonly string[]): Failure {
    const message = `alert ${this.#name}: expected ${expected}, found ${actual}`
    return { message, actual, expected, operator: 'toBe', evidence }
  }
}

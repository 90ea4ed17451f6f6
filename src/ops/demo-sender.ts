/** Sends the telemetry of the demo's shop by HTTP: the history at once, then every few seconds what was since. */
import { messageOf } from '#core/errors.ts'
import { Repeater, type Clock } from '#core/clock.ts'
import type { DemoBodies, Telemetry } from '#demo/telemetry.ts'
import { request } from './client.ts'

export interface DemoAddresses {
  /** Of OTLP over HTTP. */
  otlpUrl: string
  url: string
  onProblem: (problem: string) => void
}

/** Of the history one trace in so many is kept, and every one with an error; live ones are all kept. */
const keepOneOf = 10
/** The history goes in pieces of so much time. */
const pieceSeconds = 300
const liveEveryMs = 3000
/** A request that began has ended by then. */
const lagSeconds = 3

export class DemoSender {
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #addresses: DemoAddresses
  #sentSecond = 0
  #live: Repeater | undefined
  #problem: string | undefined

  constructor(clock: Clock, telemetry: Telemetry, addresses: DemoAddresses) {
    this.#clock = clock
    this.#telemetry = telemetry
    this.#addresses = addresses
  }

  /** What was in the seconds from one to another, oldest first. */
  async sendHistory(fromSecond: number, toSecond: number): Promise<void> {
    const end = toSecond - lagSeconds
    for (let second = fromSecond; second < end; second += pieceSeconds) {
      const to = Math.min(end, second + pieceSeconds)
      await this.#send(this.#telemetry.between(second, to, keepOneOf))
    }
    this.#sentSecond = Math.max(fromSecond, end)
  }

  goLive(): void {
    this.#live = new Repeater(this.#clock, liveEveryMs, () => this.#sendLive())
  }

  async stop(): Promise<void> {
    await this.#live?.stop()
  }

  async #sendLive(): Promise<void> {
    const to = Math.floor(this.#clock.nowMs() / 1000) - lagSeconds
    // A machine that slept does not send hours at once: that is what the history is for.
    const from = Math.max(this.#sentSecond, to - pieceSeconds)
    if (to <= from) return
    this.#sentSecond = to
    await this.#send(this.#telemetry.between(from, to, 1))
  }

  async #send({ traces, logs, metrics, lines }: DemoBodies): Promise<void> {
    const { otlpUrl, url } = this.#addresses
    await Promise.all([
      this.#post(otlpUrl, '/v1/traces', traces),
      this.#post(otlpUrl, '/v1/logs', logs),
      this.#post(otlpUrl, '/v1/metrics', metrics),
      this.#post(url, '/loki/api/v1/push', lines),
    ])
  }

  /** What is refused is said once, until something else is. */
  async #post(url: string, path: string, body: object): Promise<void> {
    let problem: string | undefined
    try {
      const headers = { 'content-type': 'application/json' }
      const reply = await request({ url }, path, { method: 'POST', headers, body: JSON.stringify(body) })
      const text = await reply.text()
      if (!reply.ok) problem = `${path} answered ${reply.status}: ${text.slice(0, 200)}`
      else if (/"rejected\w+":"?[1-9]/.test(text)) problem = `${path} refused some: ${text.slice(0, 200)}`
    } catch (error) {
      problem = messageOf(error)
    }
    if (problem === undefined || problem === this.#problem) return
    this.#problem = problem
    this.#addresses.onProblem(problem)
  }
}

/** HTTP requests by route and status, and how long they took. */
import type { Counter, Distribution, Registry } from '#core/counter.ts'

/** Upper bounds of the histogram, in seconds. */
const latencyBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export class RequestMetrics {
  readonly #registry: Registry
  readonly #requests = new Map<string, Counter>()
  readonly #durations = new Map<string, Distribution>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  count(route: string, status: number, seconds: number): void {
    this.#counter(route, status).increment()
    this.#duration(route).observe(seconds)
  }

  #counter(route: string, status: number): Counter {
    const key = `${route} ${status}`
    let counter = this.#requests.get(key)
    if (counter === undefined) {
      const labels = { path: route, code: String(status) }
      counter = this.#registry.counter('tercet_http_requests_total', 'Requests answered.', labels)
      this.#requests.set(key, counter)
    }
    return counter
  }

  #duration(route: string): Distribution {
    let duration = this.#durations.get(route)
    if (duration === undefined) {
      duration = this.#registry.distribution(
        'tercet_http_request_duration_seconds',
        'Time from the request to its answer.',
        latencyBounds,
        { path: route },
      )
      this.#durations.set(route, duration)
    }
    return duration
  }
}

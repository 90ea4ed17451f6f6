/** The process's own metrics into its own store, as a scrape of itself would bring them. */
import type { Clock } from '#core/clock.ts'
import type { Registry } from '#core/counter.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { parseExposition } from '#wire/prometheus-text/parse.ts'

const ownLabels: readonly (readonly [string, string])[] = [
  ['instance', 'self'],
  ['job', 'tercet'],
]

export class SelfScrape {
  readonly #registry: Registry
  readonly #appender: MetricsAppender
  readonly #clock: Clock
  readonly #builder = new BatchBuilder()

  constructor(registry: Registry, appender: MetricsAppender, clock: Clock) {
    this.#registry = registry
    this.#appender = appender
    this.#clock = clock
  }

  /** Stores every value as it is now, and `up`. */
  async store(tenant: string): Promise<void> {
    const nowMs = this.#clock.nowMs()
    this.#builder.clear()
    for (const sample of parseExposition(this.#registry.expose()).samples)
      this.#builder.add(Labels.from([...sample.labels, ...ownLabels]), nowMs, sample.value)
    this.#builder.add(Labels.from([['__name__', 'up'], ...ownLabels]), nowMs, 1)
    await this.#appender.append(tenant, this.#builder.batch)
  }
}

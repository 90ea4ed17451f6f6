/**
 * Everything that the shop sends for a span of time. Spans of time are asked for one after the other, since counters go
 * on; the same seed and the same seconds give the same telemetry.
 */
import { logsMessage, metricsMessage, tracesMessage } from './otlp-messages.ts'
import { platformLines } from './platform-lines.ts'
import type { Shop } from './shop.ts'
import { lookSeconds, Totals, type PodMetrics } from './totals.ts'
import type { DemoTrace, Pod } from './trace-builder.ts'

/** Bodies of requests, as JSON. */
export interface DemoBodies {
  /** `/v1/traces` */
  traces: object
  /** `/v1/logs` */
  logs: object
  /** `/v1/metrics` */
  metrics: object
  /** `/loki/api/v1/push` */
  lines: object
}

export class Telemetry {
  readonly #shop: Shop
  readonly #totals = new Totals()
  /** The pods of the last look: one that is gone is looked at once more. */
  #pods: Pod[] = []

  constructor(shop: Shop) {
    this.#shop = shop
  }

  /**
   * What was sent for the seconds from one to another, that one left out. Of `keepOneOf` traces one is kept, and every
   * one with an error; lines are those of kept traces. Metrics count them all.
   */
  between(fromSecond: number, toSecond: number, keepOneOf: number): DemoBodies {
    const kept: DemoTrace[] = []
    const looks: PodMetrics[] = []
    for (let second = fromSecond; second < toSecond; second++) {
      for (const trace of this.#shop.requestsOf(second)) {
        const isKept = isSampled(trace, keepOneOf)
        this.#totals.add(trace, isKept)
        if (isKept) kept.push(trace)
      }
      if ((second + 1) % lookSeconds === 0) this.#look((second + 1) * 1000, looks)
    }
    return {
      traces: tracesMessage(kept),
      logs: logsMessage(kept),
      metrics: metricsMessage(looks),
      lines: platformLines(this.#shop, kept, fromSecond, toSecond),
    }
  }

  #look(timeMs: number, looks: PodMetrics[]): void {
    const pods = Object.values(this.#shop.podsAt(timeMs))
    const gone = this.#pods.filter(({ instance }) => !pods.some(pod => pod.instance === instance))
    for (const pod of [...gone, ...pods]) looks.push(this.#totals.look(pod, timeMs))
    this.#pods = pods
  }
}

/** As a sampler at the end of traces decides: errors are kept, and a part of the rest, by the trace's id. */
function isSampled({ traceId, spans }: DemoTrace, keepOneOf: number): boolean {
  return spans.some(span => span.hasFailed) || Number.parseInt(traceId.slice(-6), 16) % keepOneOf === 0
}

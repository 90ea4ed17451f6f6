/** Spans and log lines of one request, as they are made while it passes from service to service. */
import type { Random } from '#core/random.ts'

export type ServiceName = 'shop' | 'payment' | 'stock'
export type SpanKind = 'internal' | 'server' | 'client'
export type Severity = 'INFO' | 'WARN' | 'ERROR'
export type Attributes = Record<string, string | number | boolean>

/** A running copy of a service. */
export interface Pod {
  service: ServiceName
  version: string
  instance: string
  sinceMs: number
}

export interface DemoException {
  type: string
  message: string
  stack: string
}

/** Times are milliseconds since the epoch, with fractions. */
export interface DemoSpan {
  pod: Pod
  spanId: string
  /** Undefined: the first of its trace. */
  parent: DemoSpan | undefined
  kind: SpanKind
  name: string
  startMs: number
  endMs: number
  attributes: Attributes
  exception: DemoException | undefined
  hasFailed: boolean
}

export interface DemoLog {
  span: DemoSpan
  timeMs: number
  severity: Severity
  text: string
  attributes: Attributes
}

export interface DemoTrace {
  traceId: string
  spans: DemoSpan[]
  logs: DemoLog[]
  /** Orders that were placed, and what they cost together. */
  orders: number
  revenue: number
}

export class TraceBuilder {
  readonly trace: DemoTrace
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
    this.trace = { traceId: hex(random, 16), spans: [], logs: [], orders: 0, revenue: 0 }
  }

  /** Begins a span; `end` ends it. */
  begin(
    pod: Pod,
    kind: SpanKind,
    name: string,
    parent: DemoSpan | undefined,
    startMs: number,
    attributes: Attributes,
  ): DemoSpan {
    const own = { pod, kind, name, parent, startMs, endMs: startMs, attributes, exception: undefined, hasFailed: false }
    const span: DemoSpan = { ...own, spanId: hex(this.#random, 8) }
    this.trace.spans.push(span)
    return span
  }

  log(span: DemoSpan, timeMs: number, severity: Severity, text: string, attributes: Attributes = {}): void {
    this.trace.logs.push({ span, timeMs, severity, text, attributes })
  }

  /** A time with this median, mostly near it, sometimes three times as long. */
  spread(medianMs: number): number {
    const unit = (): number => this.unit()
    const normal = unit() + unit() + unit() + unit() - 2
    return medianMs * Math.exp(normal * 0.7)
  }

  /** In [0, 1). */
  unit(): number {
    return this.#random.u32() / 4294967296
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.unit() * items.length)]!
  }

  /** Of items with weights. */
  weighted<T extends { weight: number }>(items: readonly T[]): T {
    let at = this.unit() * items.reduce((sum, { weight }) => sum + weight, 0)
    return items.find(({ weight }) => (at -= weight) < 0) ?? items[0]!
  }
}

function hex(random: Random, count: number): string {
  return Buffer.from(random.bytes(count)).toString('hex')
}

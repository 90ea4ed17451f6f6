/** What a comparison knows of a run. */
import type { Trace } from '#library/results.ts'
import { LogProfile } from './log-patterns.ts'
import { metricProfileOf, type LabelProfile, type MetricProfile } from './metric-profile.ts'
import { RequestProfile } from './request-profile.ts'
import { requestsOf } from './requests.ts'
import { SpanProfile } from './span-profile.ts'

export interface RunCounts {
  traces: number
  spans: number
  lines: number
  /** Lines with the level warn and above. */
  alarming: number
  metrics: number
  series: number
}

export class Profile {
  /** As the user named it: a directory, a range. */
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
  readonly requests = new RequestProfile()
  readonly spans = new SpanProfile()
  readonly logs = new LogProfile()
  readonly metrics = new Map<string, MetricProfile>()
  /** The streams of log lines, as if they were the series of a metric. */
  streams: MetricProfile = metricProfileOf('streams', [])
  /** How many values each attribute of resources has. */
  readonly resources = new Map<string, LabelProfile>()
  /** Traces that the run has, read or not. */
  traces = 0
  /** Log lines of all levels. */
  lines = 0
  /** What is not whole, and why: sentences. */
  readonly notes: string[] = []

  constructor(name: string, fromMs: number, toMs: number) {
    this.name = name
    this.fromMs = fromMs
    this.toMs = toMs
  }

  /**
   * `weight`: how many traces of the run this one stands for; 0 where it is read for its failures alone.
   * `failureWeight`: likewise of those with a failure.
   */
  addTrace(trace: Pick<Trace, 'traceId' | 'spans'>, weight = 1, failureWeight = 1): void {
    const requests = requestsOf(trace)
    if (weight > 0) {
      this.spans.addSpans(trace.spans, weight)
      for (const request of requests) this.requests.add(request, weight)
    }
    if (failureWeight > 0) this.spans.addFailures(trace.spans, requests, failureWeight)
  }

  /** Once everything is there. */
  finish(): this {
    this.requests.finish()
    const omitted = this.requests.omitted + this.spans.omitted
    if (omitted > 0) this.notes.push(`${omitted} spans of more names than are kept are not compared`)
    if (this.logs.omitted > 0) this.notes.push(`${this.logs.omitted} lines of more patterns than are kept are left out`)
    return this
  }

  get counts(): RunCounts {
    const series = [...this.metrics.values()].reduce((sum, metric) => sum + metric.series, 0)
    return {
      traces: this.traces,
      spans: this.spans.spans,
      lines: this.lines,
      alarming: this.logs.lines,
      metrics: this.metrics.size,
      series,
    }
  }

  get isEmpty(): boolean {
    return this.traces === 0 && this.spans.spans === 0 && this.lines + this.logs.lines === 0 && this.metrics.size === 0
  }
}

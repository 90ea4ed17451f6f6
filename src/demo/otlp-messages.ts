/** Traces, logs and metrics as bodies of OTLP over HTTP, in its JSON form: what an SDK or a collector would send. */
import type { Attributes, DemoLog, DemoSpan, DemoTrace, Pod, Severity, SpanKind } from './trace-builder.ts'
import { durationBounds, type DemoExemplar, type DemoMetric, type PodMetrics } from './totals.ts'

const kinds: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3 }
const severities: Readonly<Record<Severity, number>> = { INFO: 9, WARN: 13, ERROR: 17 }
const languages = { shop: 'nodejs', payment: 'java', stock: 'go' } as const
const cumulative = 2

/** Milliseconds with fractions as whole nanoseconds. */
function nanos(ms: number): string {
  const whole = Math.floor(ms)
  return `${whole}${String(Math.floor((ms - whole) * 1e6)).padStart(6, '0')}`
}

function attributesOf(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) }))
}

function valueOf(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

function resourceOf({ service, version, instance }: Pod): object {
  return {
    attributes: attributesOf({
      'service.name': service,
      'service.version': version,
      'service.instance.id': instance,
      'deployment.environment.name': 'demo',
      'telemetry.sdk.name': 'opentelemetry',
      'telemetry.sdk.language': languages[service],
    }),
  }
}

const scope = { name: 'tercet-demo' }

/** Items of each pod, in the order of the pods' first ones. */
function byPod<T>(items: readonly T[], podOf: (item: T) => Pod): Map<string, { pod: Pod; items: T[] }> {
  const groups = new Map<string, { pod: Pod; items: T[] }>()
  for (const item of items) {
    const pod = podOf(item)
    const group = groups.get(pod.instance)
    if (group === undefined) groups.set(pod.instance, { pod, items: [item] })
    else group.items.push(item)
  }
  return groups
}

/** The body of `/v1/traces`. */
export function tracesMessage(traces: readonly DemoTrace[]): object {
  const spans = traces.flatMap(({ traceId, spans: own }) => own.map(span => ({ traceId, span })))
  const groups = byPod(spans, ({ span }) => span.pod)
  return {
    resourceSpans: Array.from(groups.values(), ({ pod, items }) => ({
      resource: resourceOf(pod),
      scopeSpans: [{ scope, spans: items.map(({ traceId, span }) => spanMessage(traceId, span)) }],
    })),
  }
}

function spanMessage(traceId: string, span: DemoSpan): object {
  const { spanId, parent, name, kind, startMs, endMs, attributes, exception, hasFailed } = span
  return {
    traceId,
    spanId,
    ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
    name,
    kind: kinds[kind],
    startTimeUnixNano: nanos(startMs),
    endTimeUnixNano: nanos(endMs),
    attributes: attributesOf(attributes),
    ...(exception === undefined ? {} : { events: [exceptionEvent(exception, endMs)] }),
    status: hasFailed ? { code: 2, ...(exception === undefined ? {} : { message: exception.message }) } : {},
  }
}

function exceptionEvent({ type, message, stack }: NonNullable<DemoSpan['exception']>, timeMs: number): object {
  return {
    name: 'exception',
    timeUnixNano: nanos(timeMs),
    attributes: attributesOf({
      'exception.type': type,
      'exception.message': message,
      'exception.stacktrace': stack,
    }),
  }
}

/** The body of `/v1/logs`. */
export function logsMessage(traces: readonly DemoTrace[]): object {
  const logs = traces.flatMap(({ traceId, logs: own }) => own.map(log => ({ traceId, log })))
  const groups = byPod(logs, ({ log }) => log.span.pod)
  return {
    resourceLogs: Array.from(groups.values(), ({ pod, items }) => ({
      resource: resourceOf(pod),
      scopeLogs: [{ scope, logRecords: items.map(({ traceId, log }) => logMessage(traceId, log)) }],
    })),
  }
}

function logMessage(traceId: string, { span, timeMs, severity, text, attributes }: DemoLog): object {
  return {
    timeUnixNano: nanos(timeMs),
    severityNumber: severities[severity],
    severityText: severity,
    body: { stringValue: text },
    attributes: attributesOf(attributes),
    traceId,
    spanId: span.spanId,
  }
}

/** The body of `/v1/metrics`. */
export function metricsMessage(looks: readonly PodMetrics[]): object {
  return {
    resourceMetrics: looks.map(look => ({
      resource: resourceOf(look.pod),
      scopeMetrics: [{ scope, metrics: metricsOf(look) }],
    })),
  }
}

function metricsOf({ pod, timeMs, histograms, sums, gauges }: PodMetrics): object[] {
  const times = { startTimeUnixNano: nanos(pod.sinceMs), timeUnixNano: nanos(timeMs) }
  const metric = <Point>(
    { name, unit, description, points }: DemoMetric<Point>,
    kind: string,
    more: object,
    point: (one: Point) => object,
  ): object => ({ name, unit, description, [kind]: { ...more, dataPoints: points.map(point) } })
  const total = { aggregationTemporality: cumulative, isMonotonic: true }
  return [
    ...histograms.map(one =>
      metric(
        one,
        'histogram',
        { aggregationTemporality: cumulative },
        ({ attributes, counts, sum, count, exemplar }) => ({
          ...times,
          attributes: attributesOf(attributes),
          count: String(count),
          sum,
          explicitBounds: durationBounds,
          bucketCounts: counts.map(String),
          ...(exemplar === undefined ? {} : { exemplars: [exemplarMessage(exemplar)] }),
        }),
      ),
    ),
    ...sums.map(one =>
      metric(one, 'sum', total, ({ attributes, value }) => ({
        ...times,
        attributes: attributesOf(attributes),
        asDouble: value,
      })),
    ),
    ...gauges.map(one =>
      metric(one, 'gauge', {}, ({ attributes, value }) => ({
        timeUnixNano: times.timeUnixNano,
        attributes: attributesOf(attributes),
        asDouble: value,
      })),
    ),
  ]
}

function exemplarMessage({ timeMs, value, traceId, spanId }: DemoExemplar): object {
  return { timeUnixNano: nanos(timeMs), asDouble: value, traceId, spanId }
}

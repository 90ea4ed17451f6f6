/** What a Tercet has taken in and refused, from its own metrics. */
import type { Telemetry } from '#library/telemetry.ts'
import type { SignalCounts } from './recording.ts'

export interface Taken {
  counts: SignalCounts
  refused: SignalCounts
  /** Pushes that were answered. */
  requests: number
  /** By path and status, as `/v1/traces: 413`, those that were pushes and were refused as a whole. */
  refusedRequests: ReadonlyMap<string, number>
}

export function totalOf({ samples, lines, spans }: SignalCounts): number {
  return samples + lines + spans
}

export async function readTaken(telemetry: Pick<Telemetry, 'request'>): Promise<Taken> {
  const { body } = await telemetry.request({ path: '/metrics' })
  return takenOf(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
}

/** From Prometheus' text format, as this program writes it. */
export function takenOf(text: string): Taken {
  const sums = new Map<string, number>()
  const refusedRequests = new Map<string, number>()
  let requests = 0
  for (const line of text.split('\n')) {
    const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    sums.set(name, (sums.get(name) ?? 0) + Number(value))
    if (name !== 'tercet_http_requests_total') continue
    const [, path = '', code = ''] = /^path="([^"]*)",code="(\d+)"$/.exec(labels) ?? []
    if (!isPush(path)) continue
    requests += Number(value)
    if (Number(code) >= 400) refusedRequests.set(`${path}: ${code}`, Number(value))
  }
  const sum = (name: string): number => sums.get(name) ?? 0
  return {
    counts: {
      samples: sum('tercet_samples_appended_total'),
      lines: sum('tercet_log_lines_appended_total'),
      spans: sum('tercet_spans_appended_total'),
    },
    refused: {
      samples: sum('tercet_samples_refused_total'),
      lines: sum('tercet_log_lines_refused_total'),
      spans: sum('tercet_spans_refused_total'),
    },
    requests,
    refusedRequests,
  }
}

/** Queries that the command asks wrong are its own affair. */
function isPush(path: string): boolean {
  return /push|write|import|insert|\/v1\/(traces|metrics|logs)$|spans|\/otlp\//.test(path)
}

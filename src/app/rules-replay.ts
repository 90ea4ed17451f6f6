/** tercet rules replay: what recording rules would have recorded, asked of a running process for a time that is over, and pushed into it. */
import { encodeSnappy } from '#codec/snappy.ts'
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { encodeWriteRequest } from '#wire/remote-write/encode.ts'
import { loadRules } from './alerting.ts'

export interface ReplayRequest {
  url: string
  files: readonly string[]
  startMs: number
  endMs: number
  intervalMs: number
  isTold: (line: string) => void
}

/** Steps of one question. */
const stepsMax = 1000

/** Seconds, RFC 3339, or a duration before now. */
export function momentOf(text: string, nowMs: number): number {
  const ago = parseDurationMs(text)
  if (ago !== undefined && /[a-z]/.test(text)) return nowMs - ago
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  if (Number.isNaN(ms))
    throw new BadDataError(
      `${JSON.stringify(text)} is no time: seconds, 2026-11-25T10:00:00Z or 6h (ago) were expected`,
    )
  return ms
}

async function range(
  url: string,
  expr: string,
  startMs: number,
  endMs: number,
  stepMs: number,
): Promise<{ labels: Labels; points: [number, string][] }[]> {
  const reply = await fetch(`${url}/api/v1/query_range`, {
    method: 'POST',
    body: new URLSearchParams({
      query: expr,
      start: String(startMs / 1000),
      end: String(endMs / 1000),
      step: String(stepMs / 1000),
    }),
  })
  const answer = (await reply.json()) as {
    status: string
    error?: string
    data?: { result: { metric: Record<string, string>; values?: [number, string][] }[] }
  }
  if (answer.status !== 'success' || answer.data === undefined)
    throw new BadDataError(`${expr}: ${answer.error ?? `status ${reply.status}`}`)
  return answer.data.result.map(({ metric, values = [] }) => ({ labels: Labels.fromObject(metric), points: values }))
}

const valueOf = (text: string): number => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text))

/** Group by group in the files' order, rule by rule: a rule sees what those before it recorded. Throws BadDataError. */
export async function replayRules(
  { url, files: paths, startMs, endMs, intervalMs, isTold }: ReplayRequest,
  files: Files,
): Promise<void> {
  if (endMs <= startMs) throw new BadDataError('--end must be after --start')
  const groups = await loadRules(paths, files, process.cwd(), process.env, missing => {
    throw new BadDataError(`${missing}: no such file`)
  })
  const builder = new BatchBuilder()
  for (const group of groups) {
    const stepMs = group.intervalMs ?? intervalMs
    const from = Math.ceil(startMs / stepMs) * stepMs
    for (const rule of group.rules) {
      if (rule.kind !== 'recording' || rule.language !== 'promql') {
        isTold(`${group.name}: ${rule.name} is left out: only recording rules over metrics can be replayed`)
        continue
      }
      let samples = 0
      for (let at = from; at <= endMs; at += stepMs * stepsMax) {
        builder.clear()
        for (const { labels, points } of await range(
          url,
          rule.expr,
          at,
          Math.min(endMs, at + stepMs * (stepsMax - 1)),
          stepMs,
        )) {
          const pairs: [string, string][] = Array.from({ length: labels.size }, (_, i) => [
            labels.pairs[2 * i]!,
            labels.pairs[2 * i + 1]!,
          ])
          const series = builder.addSeries(
            Labels.from([...pairs, ...group.labels, ...rule.labels, ['__name__', rule.name]]),
          )
          for (const [seconds, value] of points)
            builder.batch.addSample(series, Math.round(seconds * 1000), valueOf(value))
        }
        if (builder.batch.sampleCount === 0) continue
        const { bytes, samples: count } = encodeWriteRequest(builder.batch, {
          labelsOf: undefined,
          added: [],
          isWithExemplars: false,
          isWithHistograms: false,
        })
        const reply = await fetch(`${url}/api/v1/write`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
          body: Buffer.from(encodeSnappy(bytes)),
        })
        if (!reply.ok)
          throw new BadDataError(
            `${rule.name}: the process refused what was recorded: ${(await reply.text()).trim()}; samples older than metrics.out_of_order_window are taken when that is longer`,
          )
        samples += count
      }
      isTold(`${group.name}: ${rule.name}: ${samples} samples`)
    }
  }
}

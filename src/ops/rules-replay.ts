/**
 * tercet rules replay: what recording rules would have recorded, asked of a running process for a time that is over,
 * and pushed into it.
 */
import { encodeSnappy } from '#codec/snappy.ts'
import { BadDataError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { encodeWriteRequest } from '#wire/remote-write/encode.ts'
import { loadRules } from '#app/alerting.ts'
import type { GroupSettings } from '#alert/rules-file.ts'
import { askPrometheus, request, type RangeSeries, type Server } from './client.ts'

export interface ReplayRequest {
  server: Server
  files: readonly string[]
  startMs: number
  endMs: number
  intervalMs: number
  onLine: (line: string) => void
}

/** Steps of one query. */
const stepsMax = 1000

type Series = { labels: Labels; points: [number, string][] }

async function queryRange(
  server: Server,
  expr: string,
  { startMs, endMs, stepMs }: { startMs: number; endMs: number; stepMs: number },
): Promise<Series[]> {
  const { data, error, status } = await askPrometheus(server, '/api/v1/query_range', {
    query: expr,
    start: String(startMs / 1000),
    end: String(endMs / 1000),
    step: String(stepMs / 1000),
  })
  if (status !== 'success' || data === undefined)
    throw new BadDataError(`${expr}: ${error ?? 'the answer has no data'}`)
  return (data.result as RangeSeries[]).map(({ metric, values = [] }) => ({
    labels: Labels.fromObject(metric),
    points: values,
  }))
}

const valueOf = (text: string): number => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text))

/**
 * Group by group in the order of the files, rule by rule: a rule sees what the rules before it recorded. Throws
 * BadDataError.
 */
export async function replayRules(
  { server, files: paths, startMs, endMs, intervalMs, onLine }: ReplayRequest,
  files: Files,
): Promise<void> {
  if (endMs <= startMs) throw new BadDataError('--end must be after --start')
  const groups = await loadRules(paths, files, process.cwd(), process.env, missing => {
    throw new BadDataError(`${missing}: no such file`)
  })
  for (const group of groups) {
    const stepMs = group.intervalMs ?? intervalMs
    const fromMs = Math.ceil(startMs / stepMs) * stepMs
    for (const rule of group.rules)
      if (rule.kind === 'recording' && rule.language === 'promql') {
        const samples = await replayRule(server, group, rule, { startMs: fromMs, endMs, stepMs })
        onLine(`${group.name}: ${rule.name}: ${samples} samples`)
      } else onLine(`${group.name}: ${rule.name} is left out: only recording rules over metrics can be replayed`)
  }
}

type Rule = GroupSettings['rules'][number]

/** How many samples were recorded. */
async function replayRule(
  server: Server,
  group: GroupSettings,
  rule: Rule,
  { startMs, endMs, stepMs }: { startMs: number; endMs: number; stepMs: number },
): Promise<number> {
  const builder = new BatchBuilder()
  let samples = 0
  for (let atMs = startMs; atMs <= endMs; atMs += stepMs * stepsMax) {
    const lastMs = Math.min(endMs, atMs + stepMs * (stepsMax - 1))
    builder.clear()
    for (const { labels, points } of await queryRange(server, rule.expr, { startMs: atMs, endMs: lastMs, stepMs })) {
      const series = builder.addSeries(recordedLabels(labels, group, rule))
      for (const [seconds, value] of points) builder.batch.addSample(series, Math.round(seconds * 1000), valueOf(value))
    }
    if (builder.batch.sampleCount > 0) samples += await push(server, rule.name, builder)
  }
  return samples
}

/** The rule's labels go before its group's, and both before the series' own. */
function recordedLabels(labels: Labels, group: GroupSettings, rule: Rule): Labels {
  const pairs: [string, string][] = []
  // A name and a value a label.
  for (let i = 0; i < labels.size; i++) pairs.push([labels.pairs[2 * i]!, labels.pairs[2 * i + 1]!])
  return Labels.from([...pairs, ...group.labels, ...rule.labels, ['__name__', rule.name]])
}

/** Remote write; how many samples. */
async function push(server: Server, ruleName: string, builder: BatchBuilder): Promise<number> {
  const { bytes, samples } = encodeWriteRequest(builder.batch, {
    labelsOf: undefined,
    added: [],
    isWithExemplars: false,
    isWithHistograms: false,
  })
  const reply = await request(server, '/api/v1/write', {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body: Buffer.from(encodeSnappy(bytes)),
  })
  if (reply.ok) return samples
  throw new BadDataError(
    `${ruleName}: the process refused what was recorded: ${(await reply.text()).trim()}; ` +
      'samples older than metrics.out_of_order_window are taken when that is longer',
  )
}

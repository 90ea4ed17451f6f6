/** index/stats and index/volume: sizes from the index, without reading chunks. Source: docs/http-api.md. */
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { ChunkSource, LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import type { HttpReply } from '#net/route-table.ts'
import { labelsJson, secondsText } from './json.ts'
import { boundsParam, durationParam, limitParam, selectorParam, type Instant } from './params.ts'
import { ok } from './respond.ts'

/** The part of a chunk that lies in the time, by length. */
function share(chunk: ChunkSource, fromMs: number, throughMs: number): number {
  const length = chunk.throughMs - chunk.fromMs
  if (length <= 0) return 1
  return Math.max(0, Math.min(chunk.throughMs, throughMs) - Math.max(chunk.fromMs, fromMs)) / length
}

export async function indexStats(form: URLSearchParams, reader: LogsReader, clock: Clock): Promise<HttpReply> {
  const { start, end } = boundsParam(form, clock.nowMs())
  let streams = 0,
    chunks = 0,
    bytes = 0,
    entries = 0
  for (const stream of await reader.select(selectorParam(form), start.ms, end.ms)) {
    const listed = stream.chunks.filter(chunk => !chunk.isInMemory)
    if (listed.length === 0) continue
    streams++
    for (const chunk of listed) {
      const part = share(chunk, start.ms, end.ms)
      chunks++
      bytes += Math.floor(chunk.kilobytes * 1024 * part)
      entries += Math.floor(chunk.entries * part)
    }
  }
  return { ...ok(''), body: JSON.stringify({ streams, chunks, bytes, entries }) }
}

interface Bucket {
  fromMs: number
  toMs: number
}
interface Volume {
  labels: Labels
  /** By bucket. */
  bytes: Float64Array
  total: number
}

/** The series to which a stream's bytes are added: chosen labels, or a series for each of its label names. */
function groupingOf(form: URLSearchParams, matchers: readonly Matcher[]): (labels: Labels) => Labels[] {
  const targets = (form.get('targetLabels') ?? '').split(',').filter(name => name !== '')
  const aggregateBy = form.get('aggregateBy') ?? 'series'
  if (aggregateBy !== 'series' && aggregateBy !== 'labels' && aggregateBy !== '')
    throw new BadDataError('invalid aggregation option')
  const names = new Set(targets.length > 0 ? targets : matchers.map(m => m.name))
  return labels => {
    if (targets.length > 0 && !targets.some(name => labels.has(name))) return []
    const kept = names.size === 0 ? labels : labels.keep(names)
    if (aggregateBy !== 'labels') return [kept]
    return kept.pairs.filter((_, i) => i % 2 === 0).map(name => new Labels([name, '']))
  }
}

const bucketsMax = 11_000

/** The whole time, or one bucket a step. */
function bucketsOf(form: URLSearchParams, start: Instant, end: Instant, isRange: boolean): Bucket[] {
  if (!isRange) return [{ fromMs: start.ms, toMs: end.ms }]
  const stepMs = durationParam(form, 'step') ?? Math.max(Math.floor((end.ms - start.ms) / 250_000), 1) * 1000
  if (stepMs <= 0)
    throw new BadDataError('zero or negative query resolution step widths are not accepted. Try a positive integer')
  const buckets: Bucket[] = []
  for (let at = Math.floor(start.ms / stepMs) * stepMs; at < end.ms && buckets.length < bucketsMax; at += stepMs)
    buckets.push({ fromMs: Math.max(at, start.ms), toMs: at + stepMs })
  return buckets
}

function addChunk(volume: Volume, chunk: ChunkSource, buckets: readonly Bucket[]): void {
  buckets.forEach(({ fromMs, toMs }, i) => {
    if (chunk.fromMs > toMs || chunk.throughMs < fromMs) return
    const size = Math.floor(chunk.kilobytes * 1024 * share(chunk, fromMs, toMs))
    volume.bytes[i]! += size
    volume.total += size
  })
}

const noStats = {
  summary: {
    bytesProcessedPerSecond: 0,
    linesProcessedPerSecond: 0,
    totalBytesProcessed: 0,
    totalLinesProcessed: 0,
    execTime: 0,
    queueTime: 0,
    subqueries: 0,
    totalEntriesReturned: 0,
    splits: 0,
    shards: 0,
    totalPostFilterLines: 0,
    totalStructuredMetadataBytesProcessed: 0,
  },
}

/** Bytes by series: of the whole time, or of each step with `isRange`. Throws BadDataError. */
export async function indexVolume(
  form: URLSearchParams,
  reader: LogsReader,
  clock: Clock,
  isRange: boolean,
): Promise<HttpReply> {
  const { start, end } = boundsParam(form, clock.nowMs())
  const matchers = selectorParam(form)
  const keysOf = groupingOf(form, matchers)
  const limit = limitParam(form, 100)
  const buckets = bucketsOf(form, start, end, isRange)
  const volumes = new Map<string, Volume>()
  for (const { labels, chunks } of await reader.select(matchers, start.ms, end.ms))
    for (const key of keysOf(labels)) {
      let volume = volumes.get(key.key)
      if (volume === undefined) {
        volume = { labels: key, bytes: new Float64Array(buckets.length), total: 0 }
        volumes.set(key.key, volume)
      }
      for (const chunk of chunks) addChunk(volume, chunk, buckets)
    }
  const largest = [...volumes.values()]
    .filter(v => v.total > 0)
    .sort((a, b) => b.total - a.total || (a.labels.key < b.labels.key ? -1 : 1))
    .slice(0, limit)
  const endText = secondsText(end.subNs > 0 ? end.ms + 1 : end.ms)
  const result = largest.map(
    v => `{"metric":${labelsJson(v.labels)},${isRange ? points(v, buckets) : total(v, endText)}}`,
  )
  const type = isRange ? 'matrix' : 'vector'
  return ok(
    `{"status":"success","data":{"resultType":"${type}","result":[${result.join(',')}],` +
      `"stats":${JSON.stringify(noStats)}}}`,
  )
}

function total(volume: Volume, endText: string): string {
  return `"value":[${endText},"${volume.total}"]`
}

/** At the last millisecond of each bucket that has any bytes. */
function points({ bytes }: Volume, buckets: readonly Bucket[]): string {
  const texts = buckets.flatMap(({ toMs }, i) => (bytes[i]! > 0 ? [`[${secondsText(toMs - 1)},"${bytes[i]!}"]`] : []))
  return `"values":[${texts.join(',')}]`
}

/** index/stats and index/volume: sizes from the index, without reading chunks. Source: docs/http-api.md. */
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { ChunkSource, LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import type { HttpReply } from '#net/route-table.ts'
import { labelsJson, secondsText } from './json.ts'
import {
  boundsParam,
  limitParam,
  refuseLong,
  refuseReversed,
  selectorParam,
  stepParam,
  type Instant,
} from './params.ts'
import { ok } from './respond.ts'

/** The part of a chunk that lies in the time, by length. */
function share(chunk: ChunkSource, fromMs: number, throughMs: number): number {
  const length = chunk.throughMs - chunk.fromMs
  if (length <= 0) return 1
  return Math.max(0, Math.min(chunk.throughMs, throughMs) - Math.max(chunk.fromMs, fromMs)) / length
}

interface IndexTotals {
  streams: number
  chunks: number
  bytes: number
  entries: number
}

/** What the index lists of the streams that the request selects, in its time. */
async function indexTotals(
  form: URLSearchParams,
  reader: LogsReader,
  clock: Clock,
  lengthMaxMs: number,
): Promise<IndexTotals> {
  const { start, end } = boundsParam(form, clock.nowMs())
  refuseReversed({ start, end })
  limitParam(form, 100)
  stepParam(form, start, end)
  refuseLong(start, end, 0, lengthMaxMs)
  let streams = 0,
    chunks = 0,
    bytes = 0,
    entries = 0
  for (const stream of await reader.select(selectorParam(form, 'none'), start.ms, end.ms)) {
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
  return { streams, chunks, bytes, entries }
}

type IndexAnswer = (form: URLSearchParams, reader: LogsReader, clock: Clock, lengthMaxMs: number) => Promise<HttpReply>

export const indexStats: IndexAnswer = async (...asked) => {
  return { ...ok(''), body: JSON.stringify(await indexTotals(...asked)) }
}

/** All hashes of streams: one process is one shard. */
const allHashes = { min: '0', max: '18446744073709551615' }

export const indexShards: IndexAnswer = async (...asked) => {
  const stats = await indexTotals(...asked)
  const target = asked[0].get('targetBytesPerShard') ?? ''
  if (target !== '' && !/^\d+(?:\.\d+)?\s*(?:[KMGTPE]i?)?B?$/i.test(target))
    throw new BadDataError(`invalid targetBytesPerShard: ${target}; bytes like 600MB were expected`)
  return ok(JSON.stringify({ shards: stats.streams === 0 ? [] : [{ bounds: allHashes, stats }] }))
}

interface Bucket {
  fromMs: number
  /** What it is called by. */
  toMs: number
  /** Up to where chunks count. */
  throughMs: number
}
interface Volume {
  labels: Labels
  /** By bucket; -1: no chunk lies in it. */
  bytes: Float64Array
  total: number
}

/** The series to which a stream's bytes are added: chosen labels, or a series for each of its label names. */
function groupingOf(form: URLSearchParams, matchers: readonly Matcher[]): (labels: Labels) => Labels[] {
  const targets = (form.get('targetLabels') ?? '').split(',').filter(name => name !== '')
  const aggregateBy = form.get('aggregateBy') ?? 'series'
  if (aggregateBy !== 'series' && aggregateBy !== 'labels' && aggregateBy !== '')
    throw new BadDataError('invalid aggregation option')
  const isOfLabels = aggregateBy === 'labels'
  const names = new Set(targets.length > 0 ? targets : isOfLabels ? [] : matchers.map(m => m.name))
  return labels => {
    if (targets.length > 0 && !targets.some(name => labels.has(name))) return []
    const kept = names.size === 0 ? labels : labels.keep(names)
    if (!isOfLabels) return [kept]
    return kept.pairs.filter((_, i) => i % 2 === 0).map(name => new Labels([name, '']))
  }
}

const bucketsMax = 11_000

/** The whole time, or one bucket a step. The last one ends with the time, others a millisecond before the next. */
function bucketsOf(form: URLSearchParams, start: Instant, end: Instant, isRange: boolean): Bucket[] {
  if (!isRange) return [{ fromMs: start.ms, toMs: end.ms, throughMs: end.ms }]
  const stepMs = stepParam(form, start, end)
  const buckets: Bucket[] = []
  for (let at = Math.floor(start.ms / stepMs) * stepMs; at < end.ms && buckets.length < bucketsMax; at += stepMs) {
    const isLast = at + stepMs >= end.ms
    const toMs = isLast ? end.ms : at + stepMs - 1
    // An end between two seconds is looked for at the first of them.
    const throughMs = isLast ? toMs : Math.max(at, Math.floor(toMs / 1000) * 1000)
    buckets.push({ fromMs: Math.max(at, start.ms), toMs, throughMs })
  }
  return buckets
}

function addChunk(volume: Volume, chunk: ChunkSource, buckets: readonly Bucket[]): void {
  const bytes = chunk.bytes ?? chunk.kilobytes * 1024
  buckets.forEach(({ fromMs, throughMs }, i) => {
    if (chunk.fromMs > throughMs || chunk.throughMs < fromMs) return
    const size = Math.floor(bytes * share(chunk, fromMs, throughMs))
    volume.bytes[i] = (volume.bytes[i]! < 0 ? 0 : volume.bytes[i]!) + size
    volume.total += size
  })
}

/** Of each bucket the largest series alone. */
function limitBuckets(volumes: readonly Volume[], limit: number, buckets: number): void {
  for (let i = 0; volumes.length > limit && i < buckets; i++)
    [...volumes]
      .sort((a, b) => b.bytes[i]! - a.bytes[i]! || byLabels(a, b))
      .forEach((volume, place) => {
        if (place >= limit) volume.bytes[i] = -1
      })
}

function byLabels(a: Volume, b: Volume): number {
  return a.labels.key < b.labels.key ? -1 : 1
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
  { isRange, lengthMaxMs }: { isRange: boolean; lengthMaxMs: number },
): Promise<HttpReply> {
  const { start, end } = boundsParam(form, clock.nowMs())
  refuseReversed({ start, end })
  refuseLong(start, end, 0, lengthMaxMs)
  const matchers = selectorParam(form, 'braces')
  const keysOf = groupingOf(form, matchers)
  // Zero means the limit that there is anyway.
  const limit = form.get('limit') === '0' ? 100 : limitParam(form, 100)
  const buckets = bucketsOf(form, start, end, isRange)
  const volumes = new Map<string, Volume>()
  for (const { labels, chunks } of await reader.select(matchers, start.ms, end.ms))
    for (const key of keysOf(labels)) {
      let volume = volumes.get(key.key)
      if (volume === undefined) {
        volume = { labels: key, bytes: new Float64Array(buckets.length).fill(-1), total: 0 }
        volumes.set(key.key, volume)
      }
      for (const chunk of chunks) addChunk(volume, chunk, buckets)
    }
  const there = [...volumes.values()].filter(v => v.bytes.some(bytes => bytes >= 0))
  limitBuckets(there, limit, buckets.length)
  const largest = there
    .filter(v => v.bytes.some(bytes => bytes >= 0))
    .sort((a, b) => b.total - a.total || byLabels(a, b))
  // Of one bucket alone there is a value, not a row of them.
  const filled = buckets.filter((_, i) => there.some(v => v.bytes[i]! >= 0))
  const isMatrix = filled.length > 1
  const endText = secondsText(filled[0]?.toMs ?? end.ms)
  const result = largest.map(
    v => `{"metric":${labelsJson(v.labels)},${isMatrix ? points(v, buckets) : total(v, endText)}}`,
  )
  const type = isMatrix ? 'matrix' : 'vector'
  return ok(
    `{"status":"success","data":{"resultType":"${type}","result":[${result.join(',')}],` +
      `"stats":${JSON.stringify(noStats)}}}`,
  )
}

function total(volume: Volume, endText: string): string {
  return `"value":[${endText},"${volume.total}"]`
}

/** At the end of each bucket that a chunk lies in. */
function points({ bytes }: Volume, buckets: readonly Bucket[]): string {
  const texts = buckets.flatMap(({ toMs }, i) => (bytes[i]! >= 0 ? [`[${secondsText(toMs)},"${bytes[i]!}"]`] : []))
  return `"values":[${texts.join(',')}]`
}

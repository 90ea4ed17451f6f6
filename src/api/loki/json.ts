/** Answers of Loki's API as JSON text. Source: docs/http-api.md. */
import { formatNs } from '#core/nanoseconds.ts'
import type { Labels } from '#model/labels.ts'
import type { FoundLine } from '#query/logql/log-query.ts'
import type { MetricResult } from '#query/logql/engine.ts'
import type { QueryStats } from '#query/logql/stats.ts'

/** JSON with `<`, `>` and `&` escaped, as the reference system writes it. */
export function jsonText(text: string): string {
  const json = JSON.stringify(text)
  return /[<>&\u2028\u2029]/.test(json)
    ? json.replaceAll(/[<>&\u2028\u2029]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : json
}

function pairsJson(pairs: readonly string[]): string {
  let out = '{'
  for (let i = 0; i < pairs.length; i += 2)
    out += `${i > 0 ? ',' : ''}${jsonText(pairs[i]!)}:${jsonText(pairs[i + 1]!)}`
  return `${out}}`
}

export function labelsJson(labels: Labels): string {
  return pairsJson(labels.pairs)
}

/** The label text by which streams are sorted. */
function printed(pairs: readonly string[]): string {
  const parts: string[] = []
  for (let i = 0; i < pairs.length; i += 2) parts.push(`${pairs[i]!}=${JSON.stringify(pairs[i + 1]!)}`)
  return `{${parts.join(', ')}}`
}

/** In the order of UTF-16 units, as `sort` has it of texts. */
function byText([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function merged(...lists: readonly (readonly string[])[]): string[] {
  const values = new Map<string, string>()
  for (const list of lists) for (let i = 0; i < list.length; i += 2) values.set(list[i]!, list[i + 1]!)
  return [...values].sort(byText).flat()
}

/** Lines by stream; with `isCategorized` streams have their own labels alone, and lines say what else they have. */
export function streamsJson(lines: readonly FoundLine[], isCategorized: boolean): string {
  const streams = new Map<string, { labels: string[]; values: string[] }>()
  for (const line of lines) {
    const labels = isCategorized ? [...line.stream] : merged(line.stream, line.metadata, line.parsed)
    const key = printed(labels)
    let stream = streams.get(key)
    if (stream === undefined) streams.set(key, (stream = { labels, values: [] }))
    stream.values.push(valueJson(line, isCategorized))
  }
  const sorted = [...streams].sort(byText)
  return list(sorted.map(([, { labels, values }]) => `{"stream":${pairsJson(labels)},"values":${list(values)}}`))
}

export function valueJson(line: FoundLine, isCategorized: boolean): string {
  const categories = isCategorized ? `,${categoriesJson(line)}` : ''
  return `["${formatNs(line.ms, line.subNs)}",${jsonText(line.line)}${categories}]`
}

function categoriesJson({ metadata, parsed }: FoundLine): string {
  const parts: string[] = []
  if (metadata.length > 0) parts.push(`"structuredMetadata":${pairsJson(metadata)}`)
  if (parsed.length > 0) parts.push(`"parsed":${pairsJson(parsed)}`)
  return `{${parts.join(',')}}`
}

/** The shortest decimal without an exponent. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  const text = String(value)
  if (!text.includes('e')) return Object.is(value, -0) ? '-0' : text
  const [mantissa, exponent] = text.split('e') as [string, string]
  const power = Number(exponent),
    sign = mantissa.startsWith('-') ? '-' : ''
  const digits = mantissa.replace('-', '').replace('.', '')
  return power < 0 ? `${sign}0.${'0'.repeat(-power - 1)}${digits}` : `${sign}${digits.padEnd(power + 1, '0')}`
}

/** Seconds, with milliseconds where there are any. */
export function secondsText(ms: number): string {
  return String(ms / 1000)
}

function point(ms: number, value: number): string {
  return `[${secondsText(ms)},"${numberText(value)}"]`
}

export function metricJson({ kind, value, series, grid }: MetricResult): string {
  if (kind === 'scalar') return `[${grid.startMs},"${numberText(value)}"]`
  if (kind === 'vector')
    return list(series.map(s => `{"metric":${labelsJson(s.labels)},"value":${point(grid.startMs, s.values[0]!)}}`))
  const rows = series.map(({ labels, values, present }) => {
    const points: string[] = []
    for (let step = 0; step < values.length; step++)
      if (present[step] === 1) points.push(point(grid.startMs + step * grid.stepMs, values[step]!))
    return `{"metric":${labelsJson(labels)},"values":${list(points)}}`
  })
  return list(rows)
}

function list(items: readonly string[]): string {
  return `[${items.join(',')}]`
}

const noChunk = {
  headChunkBytes: 0,
  headChunkLines: 0,
  decompressedBytes: 0,
  decompressedLines: 0,
  compressedBytes: 0,
  totalDuplicates: 0,
}
const noCache = {
  entriesFound: 0,
  entriesRequested: 0,
  entriesStored: 0,
  bytesReceived: 0,
  bytesSent: 0,
  requests: 0,
  downloadTime: 0,
}

/** The statistics that clients read, and the objects that they expect to be there. */
export function statsJson(stats: QueryStats, seconds: number): string {
  const { chunks } = stats
  const atLeast = Math.max(seconds, 1e-6)
  const store = { totalChunksRef: chunks, totalChunksDownloaded: chunks, chunksDownloadTime: 0, chunk: noChunk }
  return JSON.stringify({
    summary: {
      bytesProcessedPerSecond: Math.round(stats.bytes / atLeast),
      linesProcessedPerSecond: Math.round(stats.lines / atLeast),
      totalBytesProcessed: stats.bytes,
      totalLinesProcessed: stats.lines,
      execTime: seconds,
      queueTime: 0,
      subqueries: 0,
      totalEntriesReturned: stats.entriesReturned,
      splits: 1,
      shards: 1,
      totalPostFilterLines: stats.linesPassed,
      totalStructuredMetadataBytesProcessed: 0,
    },
    querier: { store },
    ingester: { totalReached: 1, totalChunksMatched: 0, totalBatches: 0, totalLinesSent: 0, store },
    cache: { chunk: noCache, index: noCache, result: noCache },
    index: { totalChunks: chunks, postFilterChunks: chunks, shardsDuration: 0 },
  })
}

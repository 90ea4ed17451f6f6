/** What is in the buckets, as tables or JSON. */
import { systemClock } from '#core/clock.ts'
import { silentLog } from '#core/log.ts'
import type { SignalName } from '#core/signal-name.ts'
import { isUlid } from '#codec/ulid.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { decodeMeta } from '#metrics/block-meta.ts'
import { dayMs, IndexCatalogue } from '#logs/index-catalogue.ts'
import { listBlocks } from '#metrics/block-list.ts'
import { BlockList } from '#traces/block-list.ts'
import { isMissingDirectory } from './missing-directory.ts'

interface BlockRow {
  tenant: string
  block: string
  from: string
  to: string
  level: number
  series: number
  samples: number
  bytes: number
}
interface LogRow {
  tenant: string
  day: string
  indexes: number
  streams: number
  chunks: number
  lines: number
  kilobytes: number
}

async function metricRows(bucket: Bucket): Promise<BlockRow[]> {
  const { found } = await listBlocks(bucket, { isId: isUlid })
  const rows: BlockRow[] = []
  for (const { tenant, id, meta: bytes } of found) {
    const meta = decodeMeta(bytes, id)
    const objects = await bucket.list(`${tenant}/${id}/`)
    rows.push({
      tenant,
      block: id,
      from: new Date(meta.minTime).toISOString(),
      to: new Date(meta.maxTime).toISOString(),
      level: meta.compaction.level,
      series: meta.stats.numSeries ?? 0,
      samples: meta.stats.numSamples ?? 0,
      bytes: objects.reduce((sum, o) => sum + o.bytes, 0),
    })
  }
  return rows
}

async function logRows(bucket: Bucket): Promise<LogRow[]> {
  const catalogue = new IndexCatalogue(bucket, systemClock, silentLog)
  await catalogue.refresh()
  const rows: LogRow[] = []
  for (const tenant of catalogue.tenants()) {
    for (const day of catalogue.daysOf(tenant)) {
      const files = catalogue.filesOf(tenant, day)
      const row: LogRow = {
        tenant,
        day: new Date(day * dayMs).toISOString().slice(0, 10),
        indexes: files.length,
        streams: 0,
        chunks: 0,
        lines: 0,
        kilobytes: 0,
      }
      for (const { key } of files) {
        const index = await catalogue.index(key, tenant)
        row.streams += index?.streams.length ?? 0
        for (const stream of index?.streams ?? [])
          for (const chunk of stream.chunks) {
            row.chunks++
            row.lines += chunk.entries
            row.kilobytes += chunk.kilobytes
          }
      }
      rows.push(row)
    }
  }
  return rows
}

interface TraceRow {
  tenant: string
  block: string
  format: string
  from: string
  to: string
  level: number
  traces: number
  bytes: number
}

async function traceRows(bucket: Bucket): Promise<TraceRow[]> {
  const list = new BlockList(bucket, silentLog, systemClock)
  await list.refresh()
  return list
    .tenants()
    .sort()
    .flatMap(tenant =>
      list
        .of(tenant)
        .sort((a, b) => a.startMs - b.startMs)
        .map(m => ({
          tenant,
          block: m.blockId,
          format: m.format,
          from: new Date(m.startMs).toISOString(),
          to: new Date(m.endMs).toISOString(),
          level: m.level,
          traces: m.traces,
          bytes: m.size,
        })),
    )
}

/** A chunk of logs that reaches over midnight counts on both days. Tables, or JSON. */
export async function inspectBuckets(buckets: Readonly<Record<SignalName, Bucket>>, isJson: boolean): Promise<string> {
  const blocks = await metricRows(buckets.metrics)
  const days = await logRows(buckets.logs)
  const traceBlocks = await traceRows(buckets.traces)
  const { metrics, logs, traces } = buckets
  if (isJson)
    return `${JSON.stringify({
      bucket: metrics.description,
      blocks,
      logs: { bucket: logs.description, days },
      traces: { bucket: traces.description, blocks: traceBlocks },
    })}\n`
  const tables = [
    blocks.length === 0 ? [emptyText(metrics, 'blocks')] : tableOf(blockColumns, blocks),
    days.length === 0 ? [emptyText(logs, 'logs')] : tableOf(dayColumns, days),
    traceBlocks.length === 0 ? [emptyText(traces, 'traces')] : tableOf(traceColumns, traceBlocks),
  ]
  const isEmpty = blocks.length + days.length + traceBlocks.length === 0
  return `${tables.map(lines => lines.join('\n')).join('\n\n')}\n${isEmpty ? `\n${emptyHint}\n` : ''}`
}

/** What a process took lately is in none of its buckets. */
const emptyHint =
  'What came in lately is in the memory and the log of the running process: POST /-/flush cuts blocks of it.'

function emptyText(bucket: Bucket, what: string): string {
  return `${bucket.description}: ${isMissingDirectory(bucket) ? 'no such directory' : `no ${what}`}`
}

/** `width`: characters at least; numbers end at the right. */
interface Column<Row> {
  key: keyof Row
  title: string
  width: number
  isNumber?: boolean
}

const blockColumns: readonly Column<BlockRow>[] = [
  { key: 'tenant', title: 'TENANT', width: 12 },
  { key: 'block', title: 'BLOCK', width: 26 },
  { key: 'from', title: 'FROM', width: 24 },
  { key: 'to', title: 'TO', width: 24 },
  { key: 'level', title: 'LEVEL', width: 5, isNumber: true },
  { key: 'series', title: 'SERIES', width: 9, isNumber: true },
  { key: 'samples', title: 'SAMPLES', width: 12, isNumber: true },
  { key: 'bytes', title: 'BYTES', width: 12, isNumber: true },
]
const dayColumns: readonly Column<LogRow>[] = [
  { key: 'tenant', title: 'TENANT', width: 12 },
  { key: 'day', title: 'DAY', width: 10 },
  { key: 'indexes', title: 'INDEXES', width: 7, isNumber: true },
  { key: 'streams', title: 'STREAMS', width: 9, isNumber: true },
  { key: 'chunks', title: 'CHUNKS', width: 9, isNumber: true },
  { key: 'lines', title: 'LINES', width: 12, isNumber: true },
  { key: 'kilobytes', title: 'KIB OF LINES', width: 13, isNumber: true },
]
const traceColumns: readonly Column<TraceRow>[] = [
  { key: 'tenant', title: 'TENANT', width: 14 },
  { key: 'block', title: 'BLOCK', width: 36 },
  { key: 'format', title: 'FORMAT', width: 10 },
  { key: 'from', title: 'FROM', width: 24 },
  { key: 'to', title: 'TO', width: 24 },
  { key: 'level', title: 'LEVEL', width: 5, isNumber: true },
  { key: 'traces', title: 'TRACES', width: 9, isNumber: true },
  { key: 'bytes', title: 'BYTES', width: 12, isNumber: true },
]

function tableOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const lineOf = (textOf: (column: Column<Row>) => string): string =>
    columns.map(column => textOf(column)[column.isNumber === true ? 'padStart' : 'padEnd'](column.width)).join(' ')
  return [lineOf(column => column.title), ...rows.map(row => lineOf(column => String(row[column.key])))]
}

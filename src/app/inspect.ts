/** What is in the buckets, as tables or JSON. */
import { systemClock } from '#core/clock.ts'
import { silentLog } from '#core/log.ts'
import { isUlid } from '#codec/ulid.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { decodeMeta } from '#metrics/block-meta.ts'
import { dayMs, IndexCatalogue } from '#logs/index-catalogue.ts'
import { listBlocks } from '#metrics/block-list.ts'
import { BlockList } from '#traces/block-list.ts'

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
  const { found } = await listBlocks(bucket, isUlid, () => false)
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

/** A chunk that reaches over midnight counts on both days. */
export async function inspectBucket(metrics: Bucket, logs: Bucket, traces: Bucket, json: boolean): Promise<string> {
  const blocks = await metricRows(metrics),
    days = await logRows(logs),
    traceBlocks = await traceRows(traces)
  if (json)
    return `${JSON.stringify({ bucket: metrics.description, blocks, logs: { bucket: logs.description, days }, traces: { bucket: traces.description, blocks: traceBlocks } })}\n`
  const blockTable =
    blocks.length === 0
      ? [`${metrics.description}: no blocks`]
      : [
          `${'TENANT'.padEnd(12)} ${'BLOCK'.padEnd(26)} ${'FROM'.padEnd(24)} ${'TO'.padEnd(24)} LEVEL ${'SERIES'.padStart(9)} ${'SAMPLES'.padStart(12)} ${'BYTES'.padStart(12)}`,
          ...blocks.map(
            r =>
              `${r.tenant.padEnd(12)} ${r.block} ${r.from} ${r.to} ${String(r.level).padStart(5)} ${String(r.series).padStart(9)} ${String(r.samples).padStart(12)} ${String(r.bytes).padStart(12)}`,
          ),
        ]
  const logTable =
    days.length === 0
      ? [`${logs.description}: no logs`]
      : [
          `${'TENANT'.padEnd(12)} ${'DAY'.padEnd(10)} INDEXES ${'STREAMS'.padStart(9)} ${'CHUNKS'.padStart(9)} ${'LINES'.padStart(12)} ${'KIB OF LINES'.padStart(13)}`,
          ...days.map(
            r =>
              `${r.tenant.padEnd(12)} ${r.day} ${String(r.indexes).padStart(7)} ${String(r.streams).padStart(9)} ${String(r.chunks).padStart(9)} ${String(r.lines).padStart(12)} ${String(r.kilobytes).padStart(13)}`,
          ),
        ]
  const traceTable =
    traceBlocks.length === 0
      ? [`${traces.description}: no traces`]
      : [
          `${'TENANT'.padEnd(14)} ${'BLOCK'.padEnd(36)} FORMAT     ${'FROM'.padEnd(24)} ${'TO'.padEnd(24)} LEVEL ${'TRACES'.padStart(9)} ${'BYTES'.padStart(12)}`,
          ...traceBlocks.map(
            r =>
              `${r.tenant.padEnd(14)} ${r.block} ${r.format.padEnd(10)} ${r.from} ${r.to} ${String(r.level).padStart(5)} ${String(r.traces).padStart(9)} ${String(r.bytes).padStart(12)}`,
          ),
        ]
  return `${[...blockTable, '', ...logTable, '', ...traceTable].join('\n')}\n`
}

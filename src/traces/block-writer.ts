/** Blocks into the bucket: data, filters and index first, meta.json last, which is what makes a block live. */
import { marked, uploadMarkName } from '#store/upload-mark.ts'
import { crc32 } from 'node:zlib'
import { ParquetWriter } from '#codec/parquet/file-writer.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { encodeBlooms } from './bloom.ts'
import type { IdleTraces } from './segment.ts'
import { mergeRows, shredIdle } from './merge.ts'
import { encodeMeta, type BlockMeta } from './block-meta.ts'
import { schemaOf, type BlockLayout } from './schema.ts'
import type { RowSource, TraceShredder } from './shred.ts'

export interface BlockPlan {
  blockId: string
  tenant: string
  level: number
  startMs: number
  endMs: number
  layout: BlockLayout
}
export interface BuiltBlock {
  meta: BlockMeta
  data: Uint8Array
  blooms: Uint8Array[]
  index: Uint8Array
}

/** Collects row groups. */
class BlockBuilder {
  readonly #writer: ParquetWriter
  readonly #ids: Uint8Array[] = []
  readonly #last: string[] = []

  constructor(layout: BlockLayout) {
    this.#writer = new ParquetWriter(schemaOf(layout), 'tercet')
  }

  readonly add = (group: TraceShredder, ids: readonly Uint8Array[]): void => {
    this.#writer.addGroup(group.builders, group.rows)
    for (const id of ids) this.#ids.push(id)
    this.#last.push(Buffer.from(ids.at(-1)!).toString('base64'))
  }

  finish({ layout, ...plan }: BlockPlan): BuiltBlock {
    const { rowGroups } = this.#writer
    const { bytes, footerSize } = this.#writer.finish()
    const blooms = encodeBlooms(this.#ids)
    return {
      meta: {
        ...plan,
        ...layout,
        traces: this.#ids.length,
        size: bytes.length,
        rowGroups,
        bloomShards: blooms.length,
        footerSize,
        checksums: {
          footer: crc32(bytes.subarray(bytes.length - 8 - footerSize, bytes.length - 8)),
          blooms: blooms.map(bloom => crc32(bloom)),
        },
      },
      data: bytes,
      blooms,
      index: Buffer.from(JSON.stringify({ rowGroups: this.#last })),
    }
  }
}

/** From rows of other blocks. */
export async function buildBlock(
  plan: BlockPlan,
  sources: readonly RowSource[],
  pause: () => Promise<void>,
): Promise<BuiltBlock> {
  const builder = new BlockBuilder(plan.layout)
  await mergeRows(sources, plan.layout, builder.add, pause)
  return builder.finish(plan)
}

/** A block of idle traces, with the times of their spans; without those that are left out. Undefined: none is left. */
export async function buildFirstBlock(
  plan: Omit<BlockPlan, 'startMs' | 'endMs'>,
  idle: readonly IdleTraces[],
  pause: () => Promise<void>,
  leftOut?: ReadonlySet<string>,
): Promise<BuiltBlock | undefined> {
  const builder = new BlockBuilder(plan.layout)
  const { startNs, endNs } = await shredIdle(idle, plan.layout, builder.add, pause, leftOut)
  if (startNs < 0n) return undefined
  const startMs = Number(startNs / 1_000_000n)
  return builder.finish({ ...plan, startMs, endMs: Math.max(startMs, Number(endNs / 1_000_000n) + 1) })
}

export function blockPrefix(tenant: string, blockId: string): string {
  return `${tenant}/${blockId}/`
}

export async function putBlock(bucket: Bucket, { meta, data, blooms, index }: BuiltBlock): Promise<void> {
  const prefix = blockPrefix(meta.tenant, meta.blockId)
  await marked(bucket, prefix, async () => {
    await bucket.put(`${prefix}data.parquet`, data)
    for (let i = 0; i < blooms.length; i++) await bucket.put(`${prefix}bloom-${i}`, blooms[i]!)
    await bucket.put(`${prefix}index`, index)
    await bucket.put(`${prefix}meta.json`, encodeMeta(meta))
  })
}

/** No reader of the bucket serves the block any more; its objects stay for the readers that have it open. */
export async function retireBlock(bucket: Bucket, meta: BlockMeta): Promise<void> {
  const prefix = blockPrefix(meta.tenant, meta.blockId)
  await bucket.put(`${prefix}meta.compacted.json`, encodeMeta(meta))
  await bucket.delete(`${prefix}meta.json`)
}

/** What `putBlock` wrote, and what retired it. */
function objectsOf({ bloomShards }: BlockMeta): string[] {
  const blooms = Array.from({ length: bloomShards }, (_, i) => `bloom-${i}`)
  return ['data.parquet', ...blooms, 'index', uploadMarkName, 'meta.json', 'meta.compacted.json']
}

/** Every object of a block, what makes it known last. Those of a block that this program wrote are not listed. */
export async function deleteBlock(
  bucket: Bucket,
  { tenant, blockId, meta }: { tenant: string; blockId: string; meta?: BlockMeta | undefined },
): Promise<void> {
  const prefix = blockPrefix(tenant, blockId)
  const objects =
    meta?.checksums === undefined
      ? (await bucket.list(prefix)).map(o => o.key)
      : objectsOf(meta).map(name => prefix + name)
  const isMeta = (key: string): boolean => key.endsWith('/meta.json') || key.endsWith('/meta.compacted.json')
  for (const key of objects.filter(k => !isMeta(k))) await bucket.delete(key)
  for (const key of objects.filter(isMeta)) await bucket.delete(key)
}

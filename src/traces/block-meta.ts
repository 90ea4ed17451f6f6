/** A block's meta.json. Form: docs/formats/tempo-block.md. */
import { CorruptDataError, messageOf } from '#core/errors.ts'
import { checkSeal, sealMeta } from '#store/sealed-meta.ts'
import type { JoinedPlace } from './joined-filters.ts'
import type { DedicatedColumn } from './schema.ts'

export interface BlockMeta {
  format: string
  blockId: string
  tenant: string
  startMs: number
  /** Covers the end of the last span, rounded up to whole seconds. */
  endMs: number
  traces: number
  size: number
  level: number
  rowGroups: number
  bloomShards: number
  footerSize: number
  dedicated: readonly DedicatedColumn[]
  /** CRC-32 of parts that have none in their own format; only blocks that this program wrote have them. */
  checksums?: { footer: number; blooms: readonly number[] }
  /** Not of meta.json: where joined filters have the block, for one query. */
  joined?: JoinedPlace
}

export const isBlockId = (text: string): boolean =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text)
const rfc3339 = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z')

export function encodeMeta(meta: BlockMeta): Uint8Array {
  const dedicated = meta.dedicated.map(({ scope, name, type, isBlob }) => ({
    ...(scope === 'span' ? {} : { s: scope }),
    n: name,
    ...(type === 'int' ? { t: 'int' } : {}),
    ...(isBlob ? { o: ['blob'] } : {}),
  }))
  return sealMeta({
    format: meta.format,
    blockID: meta.blockId,
    tenantID: meta.tenant,
    startTime: rfc3339(Math.floor(meta.startMs / 1000) * 1000),
    endTime: rfc3339(Math.ceil(meta.endMs / 1000) * 1000),
    totalObjects: meta.traces,
    size: meta.size,
    compactionLevel: meta.level,
    indexPageSize: 0,
    totalRecords: meta.rowGroups,
    bloomShards: meta.bloomShards,
    footerSize: meta.footerSize,
    ...(dedicated.length === 0 ? {} : { dedicatedColumns: dedicated }),
    // A Tempo 3 answers from blocks with the factor 1 alone; a Tempo 2.x, for which vParquet4 is, from those without.
    ...(meta.format === 'vParquet4' ? {} : { replicationFactor: 1 }),
    ...(meta.checksums === undefined ? {} : { tercet: meta.checksums }),
  })
}

/** Throws CorruptDataError. */
export function decodeMeta(bytes: Uint8Array): BlockMeta {
  let json: Record<string, unknown>
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>
  } catch (error) {
    throw new CorruptDataError(`meta.json: ${messageOf(error)}`, { cause: error })
  }
  checkSeal(json)
  const number = (name: string, fallback = 0): number => {
    const value = json[name] ?? fallback
    if (typeof value !== 'number') throw new CorruptDataError(`meta.json: ${name} is no number`)
    return value
  }
  const text = (name: string): string => {
    const value = json[name]
    if (typeof value !== 'string') throw new CorruptDataError(`meta.json: ${name} is no text`)
    return value
  }
  const startMs = Date.parse(text('startTime'))
  const endMs = Date.parse(text('endTime'))
  if (Number.isNaN(startMs) || Number.isNaN(endMs))
    throw new CorruptDataError('meta.json: startTime or endTime is no time')
  return {
    format: text('format'),
    blockId: text('blockID'),
    tenant: text('tenantID'),
    startMs,
    endMs,
    traces: number('totalObjects'),
    size: number('size'),
    level: number('compactionLevel'),
    rowGroups: number('totalRecords', 1),
    bloomShards: number('bloomShards') || 10,
    footerSize: number('footerSize'),
    ...checksumsOf(json['tercet']),
    dedicated: (Array.isArray(json['dedicatedColumns'])
      ? (json['dedicatedColumns'] as Record<string, unknown>[])
      : []
    ).map(c => ({
      scope: c['s'] === 'resource' || c['s'] === 'event' ? c['s'] : 'span',
      name: String(c['n']),
      type: c['t'] === 'int' ? 'int' : 'string',
      isBlob: Array.isArray(c['o']) && c['o'].includes('blob'),
    })),
  }
}

function checksumsOf(own: unknown): Pick<BlockMeta, 'checksums'> {
  if (typeof own !== 'object' || own === null) return {}
  const { footer, blooms } = own as Record<string, unknown>
  if (typeof footer !== 'number' || !Array.isArray(blooms)) return {}
  return { checksums: { footer, blooms: blooms.map(Number) } }
}

/**
 * What of another system's bucket is copied, to which keys, and in which order: what makes a block visible comes
 * last.
 */
import type { Bucket, ObjectInfo } from '#bucket/bucket.ts'
import { addAll } from '#core/lists.ts'
import { uploadMarkName } from '#store/upload-mark.ts'

export type ImportSource = 'prometheus' | 'thanos' | 'mimir' | 'loki' | 'tempo'

/** `block`: prefix of the block at the target; `newestMs`: its newest sample, with its meta.json alone. */
export interface CopyStep {
  from: string
  to: string
  bytes: number
  block?: string
  newestMs?: number
}

export interface CopyOptions {
  /** Of blocks that have none. */
  tenant: string
  /** Loki's file store has names of chunks in base64. */
  isTargetDirectory: boolean
}

const ulid = /^[0-9A-HJKMNP-TV-Z]{26}$/
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

interface Block {
  path: string
  to: string
  objects: ObjectInfo[]
}

/** Objects by the block that they belong to. `at`: where in the key the block's name stands. */
function blocksOf(
  objects: readonly ObjectInfo[],
  at: number,
  isBlock: (name: string) => boolean,
  toPrefix: string,
): Block[] {
  const blocks = new Map<string, Block>()
  for (const object of objects) {
    const parts = object.key.split('/')
    const name = parts[at]
    if (name === undefined || parts.length <= at + 1 || !isBlock(name)) continue
    const path = parts.slice(0, at + 1).join('/')
    const block = blocks.get(path) ?? { path, to: `${toPrefix}${path}`, objects: [] }
    block.objects.push(object)
    blocks.set(path, block)
  }
  return [...blocks.values()]
}

interface TsdbMeta {
  ulid?: string
  version?: number
  minTime?: number
  maxTime?: number
  compaction?: { sources?: string[] }
}

/** Why a block of metrics is left out; or its newest time. */
async function judge(source: Bucket, { path, objects }: Block): Promise<string | number> {
  const names = objects.map(o => o.key.slice(path.length + 1))
  if (!names.includes('meta.json')) return `${path}: no meta.json, so it is not whole`
  if (names.includes('deletion-mark.json')) return `${path}: marked for deletion`
  if (!names.includes('index')) return `${path}: no index`
  let meta: TsdbMeta
  try {
    meta = JSON.parse(Buffer.from(await source.get(`${path}/meta.json`)).toString()) as TsdbMeta
  } catch {
    return `${path}: its meta.json is no JSON`
  }
  if (meta.version !== 1) return `${path}: version ${String(meta.version)}; 1 was expected`
  // Mimir's and our own compactor would delete it at once.
  if (meta.compaction?.sources === undefined || meta.compaction.sources.length === 0)
    return `${path}: its meta.json names no compaction.sources`
  return meta.maxTime ?? 0
}

function stepsOf({ path, to, objects }: Block, skip: (name: string) => boolean, newestMs?: number): CopyStep[] {
  const steps = objects
    .filter(o => !skip(o.key.slice(path.length + 1)))
    .map((o): CopyStep => ({ from: o.key, to: to + o.key.slice(path.length), bytes: o.bytes, block: `${to}/` }))
  const isLast = (step: CopyStep): number => (step.from.endsWith('/meta.json') ? 1 : 0)
  steps.sort((a, b) => isLast(a) - isLast(b) || (a.from < b.from ? -1 : 1))
  const last = steps.at(-1)
  if (newestMs !== undefined && last !== undefined) last.newestMs = newestMs
  return steps
}

/** A chunk's name in the form of the target's store. */
export function chunkNameFor(name: string, isTargetDirectory: boolean): string {
  const plain = name.includes(':') ? name : Buffer.from(name, 'base64').toString()
  if (!/^[0-9a-f]+:[0-9a-f]+:[0-9a-f]+$/.test(plain)) return name
  return isTargetDirectory ? Buffer.from(plain).toString('base64') : plain
}

/** What is copied in which order, and why the rest is left out. */
export async function planCopy(
  from: ImportSource,
  source: Bucket,
  { tenant, isTargetDirectory }: CopyOptions,
): Promise<CopyPlan> {
  const objects = await source.list('')
  switch (from) {
    case 'loki':
      return { steps: lokiSteps(objects, isTargetDirectory), skipped: [] }
    case 'tempo':
      return planTraceBlocks(blocksOf(objects, 1, name => uuid.test(name), ''))
    case 'mimir':
      return planMetricBlocks(
        source,
        blocksOf(objects, 1, name => ulid.test(name), ''),
      )
    case 'prometheus':
    case 'thanos':
      return planMetricBlocks(
        source,
        blocksOf(objects, 0, name => ulid.test(name), `${tenant}/`),
      )
  }
}

interface CopyPlan {
  steps: CopyStep[]
  skipped: string[]
}

/** Chunks first: an index never names a chunk that is not there. */
function lokiSteps(objects: readonly ObjectInfo[], isTargetDirectory: boolean): CopyStep[] {
  const chunks: CopyStep[] = []
  const indexes: CopyStep[] = []
  for (const { key, bytes } of objects) {
    const [tenant = '', fingerprint = '', name = '', ...more] = key.split('/')
    if (/^index\/.*\.tsdb(\.gz)?$/.test(key)) indexes.push({ from: key, to: key, bytes })
    else if (
      tenant !== 'index' &&
      /^[0-9a-f]{1,16}$/.test(fingerprint) &&
      name !== '' &&
      more.length === 0 &&
      !name.endsWith('.tercet-tokens')
    )
      chunks.push({ from: key, to: `${tenant}/${fingerprint}/${chunkNameFor(name, isTargetDirectory)}`, bytes })
  }
  return [...chunks, ...indexes]
}

function planTraceBlocks(blocks: readonly Block[]): CopyPlan {
  const plan: CopyPlan = { steps: [], skipped: [] }
  for (const block of blocks) {
    const has = (name: string): boolean => block.objects.some(object => object.key.endsWith(`/${name}`))
    if (has('meta.compacted.json')) plan.skipped.push(`${block.path}: compacted away`)
    else if (!has('meta.json')) plan.skipped.push(`${block.path}: no meta.json, so it is not whole`)
    else
      addAll(
        plan.steps,
        stepsOf(block, name => name === uploadMarkName),
      )
  }
  return plan
}

async function planMetricBlocks(source: Bucket, blocks: readonly Block[]): Promise<CopyPlan> {
  const plan: CopyPlan = { steps: [], skipped: [] }
  const isForeign = (name: string): boolean => !/^(meta\.json|index|tombstones(-\d+)?|chunks\/\d+)$/.test(name)
  for (const block of blocks) {
    const verdict = await judge(source, block)
    if (typeof verdict === 'string') plan.skipped.push(verdict)
    else addAll(plan.steps, stepsOf(block, isForeign, verdict))
  }
  return plan
}

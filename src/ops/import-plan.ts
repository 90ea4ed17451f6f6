/** What of another system's bucket is copied, to which keys, and in which order: what makes a block visible comes last. */
import type { Bucket, ObjectInfo } from '#bucket/bucket.ts'

export type ImportSource = 'prometheus' | 'thanos' | 'mimir' | 'loki' | 'tempo'

/** `newestMs`: of a block, its newest sample; with its meta.json alone. */
export interface CopyStep {
  from: string
  to: string
  bytes: number
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
    const parts = object.key.split('/'),
      name = parts[at]
    if (name === undefined || parts.length <= at + 1 || !isBlock(name)) continue
    const path = parts.slice(0, at + 1).join('/'),
      block = blocks.get(path) ?? { path, to: `${toPrefix}${path}`, objects: [] }
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
    .map((o): CopyStep => ({ from: o.key, to: to + o.key.slice(path.length), bytes: o.bytes }))
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

export async function planCopy(
  from: ImportSource,
  source: Bucket,
  { tenant, isTargetDirectory }: CopyOptions,
): Promise<{ steps: CopyStep[]; skipped: string[] }> {
  const objects = await source.list(''),
    steps: CopyStep[] = [],
    skipped: string[] = []
  if (from === 'loki') {
    const chunks = objects.filter(o => {
      const [first, fingerprint = '', , more] = o.key.split('/')
      return (
        first !== 'index' &&
        /^[0-9a-f]{1,16}$/.test(fingerprint) &&
        more === undefined &&
        !o.key.endsWith('.tercet-tokens')
      )
    })
    for (const { key, bytes } of chunks) {
      const parts = key.split('/')
      steps.push({ from: key, to: [...parts.slice(0, 2), chunkNameFor(parts[2]!, isTargetDirectory)].join('/'), bytes })
    }
    // Chunks first: an index never names what is not there.
    for (const { key, bytes } of objects)
      if (/^index\/.*\.tsdb(\.gz)?$/.test(key)) steps.push({ from: key, to: key, bytes })
    return { steps, skipped }
  }
  const blocks =
    from === 'tempo'
      ? blocksOf(objects, 1, name => uuid.test(name), '')
      : from === 'mimir'
        ? blocksOf(objects, 1, name => ulid.test(name), '')
        : blocksOf(objects, 0, name => ulid.test(name), `${tenant}/`)
  for (const block of blocks) {
    if (from === 'tempo') {
      if (block.objects.some(o => o.key.endsWith('/meta.compacted.json'))) skipped.push(`${block.path}: compacted away`)
      else if (!block.objects.some(o => o.key.endsWith('/meta.json')))
        skipped.push(`${block.path}: no meta.json, so it is not whole`)
      else steps.push(...stepsOf(block, () => false))
      continue
    }
    const verdict = await judge(source, block)
    if (typeof verdict === 'string') skipped.push(verdict)
    else steps.push(...stepsOf(block, name => !/^(meta\.json|index|tombstones|chunks\/\d+)$/.test(name), verdict))
  }
  return { steps, skipped }
}

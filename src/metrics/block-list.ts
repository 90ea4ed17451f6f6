/**
 * Which blocks the bucket has, by tenant, read from their meta.json. Listing happens at the start and when asked for,
 * not in steady state.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { NotFoundError } from '#core/errors.ts'
import { forEachParallel } from '#core/parallel.ts'
import { reservedFor } from '#core/tenant-name.ts'
import { readBucketIndex } from './bucket-index.ts'
import { markName } from './deletion-marks.ts'

const readsAtOnce = 16
/** From so many unknown blocks on the tenant's index is worth a request. */
const indexWorthBlocks = 16
const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export interface FoundBlock {
  tenant: string
  id: string
  meta: Uint8Array
}

export interface BlockListing {
  found: FoundBlock[]
  /** By tenant: what has a directory, but for blocks that are marked for deletion. */
  ids: Map<string, Set<string>>
  withoutMeta: { tenant: string; id: string }[]
  /** By tenant: blocks that another program is about to delete, and that something else stands in for. */
  marked: Map<string, ReadonlySet<string>>
}

export interface ListingOptions {
  /** Is the directory's name that of a block? */
  isId: (name: string) => boolean
  /** Blocks whose meta.json is not asked for. */
  isKnown?: (tenant: string, id: string) => boolean
  /** Other programs write the bucket: their marks and indexes are heeded. Default: false. */
  isForeign?: boolean
}

/**
 * Directories of the bucket that hold a `meta.json` and whose name `isId` accepts, and those that hold none. Fails when
 * one can't be read.
 */
export async function listBlocks(bucket: Bucket, options: ListingOptions): Promise<BlockListing> {
  const { isId, isKnown = () => false, isForeign = false } = options
  const listing: BlockListing = { found: [], ids: new Map(), withoutMeta: [], marked: new Map() }
  const { found, ids, withoutMeta, marked } = listing
  for (const tenant of await bucket.listDirectories('')) {
    if (reservedFor(tenant) !== undefined) continue
    const { names, deleted } = isForeign
      ? await listForeign(bucket, tenant)
      : { names: await bucket.listDirectories(`${tenant}/`), deleted: new Set<string>() }
    const present = new Set(names.filter(name => isId(name) && !deleted.has(name)))
    ids.set(tenant, present)
    marked.set(tenant, deleted)
    const unknown = [...present].filter(id => !isKnown(tenant, id))
    const isIndexed = isForeign && unknown.length >= indexWorthBlocks
    const indexed = isIndexed ? await readBucketIndex(bucket, tenant) : new Map<string, Uint8Array>()
    await forEachParallel(unknown, readsAtOnce, async id => {
      try {
        found.push({ tenant, id, meta: indexed.get(id) ?? (await bucket.get(`${tenant}/${id}/meta.json`)) })
      } catch (error) {
        // Without meta.json a block is not there yet, or not any more. Any other failure makes the list incomplete, and
        // an incomplete list is none: answers would lack what the bucket has.
        if (!(error instanceof NotFoundError)) throw error
        withoutMeta.push({ tenant, id })
      }
    })
  }
  found.sort((a, b) => compareTexts(a.tenant, b.tenant) || compareTexts(a.id, b.id))
  return listing
}

/**
 * The directories of a tenant, and blocks that are marked for deletion. A mark is written when what stands in for its
 * block is in the bucket: so the marks are listed before the blocks, or in one go with them where newer blocks come
 * after older ones.
 */
async function listForeign(bucket: Bucket, tenant: string): Promise<{ names: string[]; deleted: Set<string> }> {
  const deleted = new Set<string>()
  // Mimir and Cortex have all marks of a tenant in one place.
  const marks = await bucket.list(`${tenant}/markers/`)
  for (const { key } of marks) {
    const name = key.slice(key.lastIndexOf('/') + 1)
    if (name.endsWith(`-${markName}`)) deleted.add(name.slice(0, -markName.length - 1))
  }
  const names = await bucket.listDirectories(`${tenant}/`)
  // What this program wrote has its own way to say what is replaced, and a log that is long to list.
  if (marks.length > 0 || names.includes('tercet')) return { names, deleted }
  const inOrder = new Set<string>()
  for (const { key } of await bucket.list(`${tenant}/`)) {
    const [, id = '', name, ...more] = key.split('/')
    if (name === undefined) continue
    inOrder.add(id)
    if (name === markName && more.length === 0) deleted.add(id)
  }
  return { names: [...inOrder], deleted }
}

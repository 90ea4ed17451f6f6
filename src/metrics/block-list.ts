/**
 * Which blocks the bucket has, by tenant, read from their meta.json. Listing happens at the start and when asked for,
 * not in steady state.
 */
import { NotFoundError } from '#core/errors.ts'
import { forEachParallel } from '#core/parallel.ts'
import type { Bucket } from '#bucket/bucket.ts'

const readsAtOnce = 16
const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export interface FoundBlock {
  tenant: string
  id: string
  meta: Uint8Array
}

/**
 * Directories of the bucket that hold a `meta.json` and whose name `isId` accepts, and those that hold none. Fails when
 * one can't be read.
 */
export async function listBlocks(
  bucket: Bucket,
  isId: (name: string) => boolean,
  isKnown: (tenant: string, id: string) => boolean,
): Promise<{ found: FoundBlock[]; ids: Map<string, Set<string>>; withoutMeta: { tenant: string; id: string }[] }> {
  const withoutMeta: { tenant: string; id: string }[] = []
  const found: FoundBlock[] = []
  const ids = new Map<string, Set<string>>()
  for (const tenant of await bucket.listDirectories('')) {
    if (tenant.startsWith('__')) continue
    const present = new Set<string>()
    ids.set(tenant, present)
    const listed = (await bucket.listDirectories(`${tenant}/`)).filter(isId)
    for (const id of listed) present.add(id)
    const unknown = listed.filter(id => !isKnown(tenant, id))
    await forEachParallel(unknown, readsAtOnce, async id => {
      try {
        found.push({ tenant, id, meta: await bucket.get(`${tenant}/${id}/meta.json`) })
      } catch (error) {
        // Without meta.json a block is not there yet, or not any more. Any other failure makes the list incomplete, and
        // an incomplete list is none: answers would lack what the bucket has.
        if (!(error instanceof NotFoundError)) throw error
        withoutMeta.push({ tenant, id })
      }
    })
  }
  found.sort((a, b) => compareTexts(a.tenant, b.tenant) || compareTexts(a.id, b.id))
  return { found, ids, withoutMeta }
}

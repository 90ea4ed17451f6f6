/**
 * Which blocks the bucket has, by tenant, read from their meta.json. Listing happens at the start and when asked for,
 * not in steady state.
 */
import { NotFoundError } from '#core/errors.ts'
import type { Bucket } from '#bucket/bucket.ts'

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
    for (const id of await bucket.listDirectories(`${tenant}/`)) {
      if (!isId(id)) continue
      present.add(id)
      if (isKnown(tenant, id)) continue
      try {
        found.push({ tenant, id, meta: await bucket.get(`${tenant}/${id}/meta.json`) })
      } catch (error) {
        // Without meta.json a block is not there yet, or not any more. Any other failure makes the list incomplete, and
        // an incomplete list is none: answers would lack what the bucket has.
        if (!(error instanceof NotFoundError)) throw error
        withoutMeta.push({ tenant, id })
      }
    }
  }
  return { found, ids, withoutMeta }
}

/** Which blocks the bucket has, by tenant, read from their meta.json. Listing happens at the start and when asked for, not in steady state. */
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { Bucket } from '#bucket/bucket.ts'

export interface FoundBlock { tenant: string; id: string; meta: Uint8Array }

/** Directories of the bucket that hold a `meta.json` and whose name `isId` accepts. Unreadable ones are reported and left out. */
export async function listBlocks(bucket: Bucket, log: Log, isId: (name: string) => boolean, isKnown: (tenant: string, id: string) => boolean): Promise<{ found: FoundBlock[]; ids: Map<string, Set<string>> }> {
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
        // Without meta.json a block is not there yet, or not any more.
        if (!(error instanceof NotFoundError)) log.warn('a block could not be read', { tenant, block: id, error: messageOf(error) })
      }
    }
  }
  return { found, ids }
}

/** Objects of a bucket, removed some at a time. */
import type { Bucket } from '#bucket/bucket.ts'
import { forEachParallel } from '#core/parallel.ts'

const removalsAtOnce = 16
/** A round of background work removes no more: others have their rounds between. */
const removalsMax = 5000

/**
 * Removes the objects, in their order as far as that can be with several at once: those of `first` are gone before any
 * other one. False where more are left.
 */
export async function removeObjects(
  bucket: Bucket,
  keys: readonly string[],
  isFirst: (key: string) => boolean,
): Promise<boolean> {
  const first = keys.filter(isFirst)
  const others = keys.filter(key => !isFirst(key))
  let left = removalsMax
  for (const part of [first, others]) {
    const now = part.slice(0, left)
    await forEachParallel(now, removalsAtOnce, key => bucket.delete(key))
    left -= now.length
    if (now.length < part.length) return false
  }
  return true
}

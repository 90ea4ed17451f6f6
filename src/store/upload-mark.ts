/**
 * A mark beside the objects of a block while they go into the bucket: where a process died half-way it tells a block
 * that never was from one whose meta.json was lost. Readers of Prometheus, Mimir and Tempo do not look at it.
 */
import type { Bucket } from '#bucket/bucket.ts'

export const uploadMarkName = 'tercet-upload-mark'

/** Runs `put` with the mark below `prefix`, which stays where it fails. Throws what `put` and the bucket throw. */
export async function marked(bucket: Bucket, prefix: string, put: () => Promise<void>): Promise<void> {
  const key = prefix + uploadMarkName
  await bucket.put(key, new Uint8Array(0))
  await put()
  await bucket.delete(key)
}

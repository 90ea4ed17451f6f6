/** What the checks of the three formats have in common: what they find, and how a repair moves objects aside. */
import type { Bucket, ObjectInfo } from '#bucket/bucket.ts'
import type { Files } from '#core/files.ts'
import { isDamage } from '#core/omissions.ts'
import type { Random } from '#core/random.ts'
import type { SignalName } from '#core/signal-name.ts'

export type FindingKind = 'damaged' | 'missing' | 'orphan' | 'note'

/** `note`: nothing is lost, something could be faster, or is going on. */
export interface DataFinding {
  signal: SignalName
  kind: FindingKind
  /** The object, or the block. */
  key: string
  reason: string
  /** What the repair did. */
  done?: string
}

export interface DataCheck {
  bucket: Bucket
  files: Files
  random: Random
  nowMs: number
  /** Gives way to other work. */
  pause: () => Promise<void>
  isRepair: boolean
  /** The bucket is a directory: names of chunks are base64. */
  isBase64: boolean
  /** A local directory for blocks that are written again. */
  workDirectory: string
  onFinding: (finding: DataFinding) => void
}

/** What nothing refers to is left alone for so long: somebody may be about to refer to it. */
export const orphanAgeMs = 24 * 3_600_000

export function isOld(objects: readonly ObjectInfo[], nowMs: number): boolean {
  return objects.every(object => object.modifiedMs <= nowMs - orphanAgeMs)
}

/** The error, when it is damage; throws what is none. */
export async function damageOf(work: () => Promise<unknown>): Promise<Error | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (isDamage(error)) return error
    throw error
  }
}

/** Moves objects below the tenant's own prefix, which the real systems ignore; what makes a block known goes first. */
export async function quarantine(bucket: Bucket, tenant: string, keys: readonly string[]): Promise<void> {
  const isMeta = (key: string): boolean => key.endsWith('/meta.json')
  for (const key of [...keys].sort((a, b) => Number(isMeta(b)) - Number(isMeta(a)))) {
    const parts = key.split('/')
    const name = parts.filter((part, i) => part !== tenant && !(i === 0 && part === 'index')).join('/')
    await bucket.put(`${tenant}/tercet/quarantine/${name}`, await bucket.get(key))
    await bucket.delete(key)
  }
}

/**
 * meta.json of a block that this program wrote has a checksum of itself, in the member `tercet` that others ignore: a
 * flipped digit of a time or a size would make data vanish without a word.
 */
import { crc32 } from 'node:zlib'
import { CorruptDataError } from '#core/errors.ts'

type Json = Readonly<Record<string, unknown>>

/** The object as JSON, with its checksum in `tercet.checksum` where it has such a member. */
export function sealMeta(meta: Json, indent?: string): Uint8Array {
  const own = ownOf(meta)
  const sealed = own === undefined ? meta : { ...meta, tercet: { ...own, checksum: checksumOf(meta, own) } }
  return Buffer.from(JSON.stringify(sealed, undefined, indent))
}

/** Throws CorruptDataError when the object has a checksum, and another one than it says. */
export function checkSeal(meta: unknown): void {
  const own = ownOf(meta)
  if (own === undefined || typeof own['checksum'] !== 'number') return
  if (checksumOf(meta as Json, own) !== own['checksum']) throw new CorruptDataError('meta.json has a wrong checksum')
}

function ownOf(meta: unknown): Json | undefined {
  if (typeof meta !== 'object' || meta === null || !('tercet' in meta)) return undefined
  return typeof meta.tercet === 'object' && meta.tercet !== null ? (meta.tercet as Json) : undefined
}

/** Of the text without blanks and without the checksum: members keep their order when JSON is read and written. */
function checksumOf(meta: Json, own: Json): number {
  const rest = Object.fromEntries(Object.entries(own).filter(([name]) => name !== 'checksum'))
  return crc32(JSON.stringify({ ...meta, tercet: rest }))
}

/** A day's index is written again, from the files that it has and the chunks that come. */
import { gzip } from 'node:zlib'
import { promisify } from 'node:util'
import { isPoison } from '#core/poison.ts'
import { decodeIndex, encodeIndex, indexChecksum, type IndexedStream, type LogIndex } from './index-file.ts'

const pack = promisify(gzip)

/** An index as it goes into the bucket. */
export interface WrittenIndex {
  packed: Uint8Array
  checksum: number
  fromMs: number
  throughMs: number
}

/** A stream, by its place among those that were added, that no index can hold. */
export interface PoisonedStream {
  at: number
  reason: string
}

/**
 * The index of what `merged` makes of streams, checked by reading it; undefined when there is nothing to list. Streams
 * of `added` that no index can hold are left out.
 */
export async function writeIndex(
  merged: (added: readonly IndexedStream[]) => IndexedStream[],
  added: readonly IndexedStream[],
  pause: () => Promise<void>,
): Promise<{ index: WrittenIndex | undefined; poisoned: PoisonedStream[] }> {
  const { encoded, poisoned } = encodeWithoutPoison(merged, added)
  if (encoded === undefined) return { index: undefined, poisoned }
  await pause()
  const { bytes, index } = encoded
  const packed = await pack(bytes, { level: 1 })
  const { fromMs, throughMs } = index
  return { index: { packed: new Uint8Array(packed), checksum: indexChecksum(bytes), fromMs, throughMs }, poisoned }
}

interface Encoded {
  bytes: Uint8Array
  index: LogIndex
}

function encodeWithoutPoison(
  merged: (added: readonly IndexedStream[]) => IndexedStream[],
  added: readonly IndexedStream[],
): { encoded: Encoded | undefined; poisoned: PoisonedStream[] } {
  try {
    return { encoded: encode(merged(added)), poisoned: [] }
  } catch (error) {
    if (!isPoison(error)) throw error
    const poisoned: PoisonedStream[] = []
    const healthy = added.filter((stream, at) => {
      try {
        encode([stream])
        return true
      } catch (cause) {
        if (!isPoison(cause)) throw cause
        poisoned.push({ at, reason: cause.message })
        return false
      }
    })
    if (healthy.length === added.length) throw error
    return { encoded: encode(merged(healthy)), poisoned }
  }
}

function encode(streams: readonly IndexedStream[]): Encoded | undefined {
  if (streams.length === 0) return undefined
  const bytes = encodeIndex(streams)
  return { bytes, index: decodeIndex(bytes) }
}

/** Several indexes of one tenant and day become one. */
import type { ChunkRef } from './chunk.ts'
import type { IndexedChunk, IndexedStream, LogIndex } from './index-file.ts'

/** `keep` says which chunks stay listed. Streams without any are left out. */
export function mergeIndexes(
  indexes: readonly LogIndex[],
  added: readonly IndexedStream[],
  keep: (chunk: IndexedChunk) => boolean,
): IndexedStream[] {
  const streams = new Map<string, IndexedStream>()
  const seen = new Set<string>()
  const take = ({ fingerprint, labels, chunks }: IndexedStream): void => {
    const key = `${fingerprint} ${labels.key}`
    let stream = streams.get(key)
    if (stream === undefined) streams.set(key, (stream = { fingerprint, labels, chunks: [] }))
    for (const chunk of chunks) {
      const name = chunkName(chunk)
      if (!keep(chunk) || seen.has(name)) continue
      seen.add(name)
      stream.chunks.push(chunk)
    }
  }
  for (const index of indexes) index.streams.forEach(take)
  added.forEach(take)
  return [...streams.values()].filter(s => s.chunks.length > 0)
}

/** Two listings of one chunk have one name. */
export function chunkName(chunk: ChunkRef): string {
  return `${chunk.fingerprint}/${chunk.fromMs}:${chunk.throughMs}:${chunk.checksum}`
}

/** The door out of the logs signal: what a query can ask of it. */
import type { Omissions } from '#core/omissions.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import type { DamagedBlock } from '#store/damage.ts'
import { readPairs, type Lines } from './block-lines.ts'

import type { ChunkColumns, CountedBlock, CountedCombination } from './line-columns.ts'
import type { WholeChunk } from './table.ts'

export { readPairs, type ChunkColumns, type CountedBlock, type CountedCombination, type Lines, type WholeChunk }

export interface LineBlock {
  /** First and last time, whole milliseconds, both inclusive. */
  readonly minMs: number
  readonly maxMs: number
  readonly entries: number
  /**
   * False when no line of the block can contain the text (by a filter beside the chunk). Only a hint: true may be
   * wrong.
   */
  mayContain(needle: Uint8Array): boolean
  /** Synchronous: decompresses, or gives what a cache has; no lines when they are damaged. */
  lines(): Lines
  /** The lines that `lines` gave are not used any more: their memory is given back, unless a cache has them. */
  release?(): void
}

export interface OpenedChunk {
  /** Names and values of structured metadata, by number. */
  readonly symbols: readonly string[]
  readonly blocks: readonly LineBlock[]
}

export interface ChunkSource {
  /** Inclusive milliseconds. */
  readonly fromMs: number
  readonly throughMs: number
  readonly entries: number
  readonly kilobytes: number
  /** Of an open chunk: bytes of its lines and metadata. */
  readonly bytes?: number
  /** Not in the bucket's index yet. */
  readonly isInMemory: boolean
  /**
   * Fetches the chunk; `needles`: texts that a line must contain, so that a chunk that lacks one need not be fetched:
   * undefined then, and for a chunk that is damaged. Throws PlanStaleError for one that was replaced meanwhile.
   */
  open(needles?: readonly Uint8Array[]): Promise<OpenedChunk | undefined>
  /** What can be counted without fetching the chunk, its blocks in the same order; undefined where there is nothing. */
  columns?(): Promise<ChunkColumns | undefined>
  /** All lines of the chunk as one block, counted; undefined where they are not. */
  whole?(): Promise<WholeChunk | undefined>
}

/** A stream and its chunks that touch the time, in order of their start; chunks may overlap and repeat lines. */
export interface StreamChunks {
  readonly labels: Labels
  readonly chunks: readonly ChunkSource[]
  /** Of a stream of one of several tenants: the deletions of that tenant, in place of those of the reader. */
  readonly deletions?: readonly DeletionNotice[]
}

export interface TailedLine {
  labels: Labels
  ms: number
  subNs: number
  line: string
  pairs: readonly string[]
}

/** Who follows lines. The calls come one after another, between other work. */
export interface TailListener {
  onLine(line: TailedLine): void
  /**
   * A line or more of the stream came faster than they were taken, and will not be handed on. No labels: of streams
   * that are too many to be named.
   */
  onDropped(labels: Labels, ms: number): void
  /** What `onLine` threw: nothing follows. */
  onError(error: unknown): void
}

/** What an accepted deletion hides: lines of these streams and this time that a filter finds. */
export interface DeletionNotice {
  id: string
  query: string
  fromMs: number
  throughMs: number
}

/** Made for one request. */
export interface LogsReader {
  /** What the answers so far lack. */
  readonly omissions: Omissions
  /** The tenant's indexes and chunks that are known to be damaged, or those of all tenants. */
  damaged(of?: 'tenant' | 'all'): readonly DamagedBlock[]
  /** All times are inclusive milliseconds. */
  select(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<StreamChunks[]>
  streams(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<readonly Labels[]>
  /** Calls for every line that is accepted from now on, until the returned function is called. */
  subscribe(matchers: readonly Matcher[], listener: TailListener): () => void
  /** Calls whenever lines were accepted, until the returned function is called. */
  watch(onNew: () => void): () => void
  /** Deletions that queries must apply. */
  deletions(): readonly DeletionNotice[]
}

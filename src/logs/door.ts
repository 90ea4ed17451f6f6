/**
 * What a thread that evaluates queries asks the one that has the streams and the list of indexes. Every question and
 * answer can be cloned; see view.ts for the other side.
 */
import type { Clock } from '#core/clock.ts'
import { Omissions, type Omission } from '#core/omissions.ts'
import { yieldEvery } from '#core/yield.ts'
import { unpackMatcher, type CarriedMatcher } from '#lang/regex/carried-matcher.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { DeletionRequests } from './deletion.ts'
import type { StreamHead } from './head.ts'
import { memoryOf, noticesOf } from './head-source.ts'
import type { IndexCatalogue, IndexFile } from './index-catalogue.ts'
import type { ClosedChunk } from './closed-chunk.ts'
import type { ChunkSnapshot } from './open-chunk.ts'
import type { DeletionNotice } from './select.ts'

export interface LogsPlanAsk {
  tenant: string
  matchers: readonly CarriedMatcher[]
  fromMs: number
  throughMs: number
}

/** A stream that has chunks in memory. */
export interface CarriedStream {
  /** Names and values in turn. */
  labels: readonly string[]
  open: ChunkSnapshot | undefined
  closed: readonly ClosedChunk[]
}

/** What a query is planned with. */
export interface LogsPlan {
  streams: CarriedStream[]
  /** Indexes of the tenant, also beyond the time: listed after the streams were looked through. */
  indexes: IndexFile[]
  deletions: DeletionNotice[]
  deletionProblem: { key: string; reason: string } | undefined
  omissions: Omission[]
}

/** What the door looks into. */
export interface LogsDoorSources {
  clock: Clock
  streams: (tenant: string) => Iterable<StreamHead>
  catalogue: IndexCatalogue
  requests: DeletionRequests
  /** Throws UnavailableError while nothing can be read. */
  requireReadable: () => void
  /** Why answers lack what is in the bucket; undefined: they don't. */
  notJoined: () => string | undefined
}

/** How long the thread with the streams works for a query before other work runs. */
const turnMs = 4
/** Streams between two looks at the clock. */
const stepStreams = 64

export class LogsDoor {
  readonly #sources: LogsDoorSources

  constructor(sources: LogsDoorSources) {
    this.#sources = sources
  }

  /** The streams first: what leaves memory meanwhile is in an index that is listed afterwards. */
  async plan({ tenant, matchers: carried, fromMs, throughMs }: LogsPlanAsk): Promise<LogsPlan> {
    const { clock, requireReadable, streams: streamsOf, catalogue, requests } = this.#sources
    requireReadable()
    const matchers = carried.map(unpackMatcher)
    // A deletion that is done while streams are looked at hides its lines in what was seen before.
    const deletions = noticesOf(requests, tenant)
    const pause = yieldEvery(clock, turnMs)
    const streams: CarriedStream[] = []
    let looked = 0
    for (const stream of streamsOf(tenant)) {
      const found = memoryOf(stream, matchers, fromMs, throughMs)
      if (found !== undefined)
        streams.push({ labels: found.labels.pairs, open: carry(found.open), closed: found.closed.map(withoutFilter) })
      if (++looked % stepStreams === 0) await pause()
    }
    return {
      streams,
      indexes: catalogue.usableFilesOf(tenant),
      deletions,
      deletionProblem: requests.problem,
      omissions: this.#omissions(tenant, fromMs, throughMs),
    }
  }

  /** An index or a chunk turned out to be damaged. */
  noteDamage(block: DamagedBlock): void {
    this.#sources.catalogue.noteDamage(block)
  }

  #omissions(tenant: string, fromMs: number, throughMs: number): Omission[] {
    const omissions = new Omissions()
    this.#sources.catalogue.addLeftOut(tenant, fromMs, throughMs, omissions)
    const reason = this.#sources.notJoined()
    if (reason !== undefined) omissions.add('(all)', reason)
    return omissions.list()
  }
}

/** Lines are added behind the bytes of its last block, which would all be cloned. */
function carry(open: ChunkSnapshot | undefined): ChunkSnapshot | undefined {
  if (open === undefined) return undefined
  const blocks = open.blocks.map(block => (block.form === 'packed' ? block : { ...block, bytes: block.bytes.slice() }))
  return { ...open, symbols: open.symbols.slice(), blocks }
}

/** Queries read all of a chunk that is in memory. */
function withoutFilter(chunk: ClosedChunk): ClosedChunk {
  return { ...chunk, filter: undefined }
}

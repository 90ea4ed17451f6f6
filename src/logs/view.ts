/**
 * The logs signal as a thread without streams sees it: indexes and chunks of the bucket are opened here, what is in
 * memory elsewhere comes as bytes, finished ones in shared memory.
 */
import type { Bucket } from '#bucket/bucket.ts'
import type { Clock } from '#core/clock.ts'
import type { Files } from '#core/files.ts'
import { silentLog } from '#core/log.ts'
import type { Omissions } from '#core/omissions.ts'
import { noOverrides, type Overrides } from '#core/overrides.ts'
import { yieldEvery } from '#core/yield.ts'
import { packMatcher } from '#lang/regex/carried-matcher.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { Labels } from '#model/labels.ts'
import type { DamagedBlock } from '#store/damage.ts'
import { ChunkReader } from './block-reader.ts'
import type { LogsPlan, LogsPlanAsk } from './door.ts'
import { IndexCatalogue } from './index-catalogue.ts'
import { Reader, type LogsSource, type MemoryStream } from './reader.ts'
import type { DeletionNotice, LogsReader } from './select.ts'

/** The other thread's door (door.ts), as it is asked from here. */
export interface DistantLogsDoor {
  plan(ask: LogsPlanAsk): Promise<LogsPlan>
  noteDamage(block: DamagedBlock): Promise<void>
}

export interface LogsViewOptions {
  clock: Clock
  files: Files
  bucket: Bucket
  /** Chunk keys end in base64: the bucket is a directory. */
  isBase64: boolean
  cacheBytes: number
  door: DistantLogsDoor
  /** Infinity keeps everything. */
  retentionMs: number
  /** What single tenants have otherwise; it may change. Default: nothing. */
  overrides?: Overrides
}

export class LogsView {
  readonly #options: LogsViewOptions
  readonly #catalogue: IndexCatalogue
  readonly #chunks: ChunkReader
  /** The thread with the streams says when it is not. */
  readonly ready = true

  constructor(options: LogsViewOptions) {
    this.#options = options
    const { bucket, clock, door } = options
    this.#catalogue = new IndexCatalogue(bucket, clock, silentLog, block => {
      door.noteDamage(block).catch(() => {})
    })
    this.#chunks = new ChunkReader({ ...options, pause: yieldEvery(clock) })
  }

  reader(tenant: string): LogsReader {
    const { clock, retentionMs, door, overrides = noOverrides } = this.#options
    const source = new DistantSource(tenant, door, this.#catalogue, this.#chunks)
    const moved = overrides.retainedFrom(tenant, 'logs', retentionMs)
    this.#catalogue.forgetIdle()
    return new Reader(tenant, source, fromMs => moved(fromMs, clock.nowMs()))
  }
}

/** What one request sees of a tenant. */
class DistantSource implements LogsSource {
  readonly catalogue: IndexCatalogue
  readonly chunks: ChunkReader
  readonly #tenant: string
  readonly #door: DistantLogsDoor
  #plan: LogsPlan | undefined

  constructor(tenant: string, door: DistantLogsDoor, catalogue: IndexCatalogue, chunks: ChunkReader) {
    this.#tenant = tenant
    this.#door = door
    this.catalogue = catalogue
    this.chunks = chunks
  }

  async memory(
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    omissions: Omissions,
  ): Promise<readonly MemoryStream[]> {
    const ask = { tenant: this.#tenant, matchers: matchers.map(packMatcher), fromMs, throughMs }
    const plan = (this.#plan = await this.#door.plan(ask))
    for (const { block, reason } of plan.omissions) omissions.add(block, reason)
    this.catalogue.follow(this.#tenant, plan.indexes)
    return plan.streams.map(({ labels, open, closed }) => ({ labels: new Labels(labels), open, closed }))
  }

  deletions(): readonly DeletionNotice[] {
    return this.#plan?.deletions ?? []
  }

  deletionProblem(): { key: string; reason: string } | undefined {
    return this.#plan?.deletionProblem
  }

  follow(): () => void {
    throw new Error('lines are followed where they come in')
  }

  watch(): () => void {
    throw new Error('lines are followed where they come in')
  }
}

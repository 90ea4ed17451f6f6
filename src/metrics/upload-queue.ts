/**
 * Finished blocks on their way to the bucket. A block is staged as a local directory and uploaded file by file, the
 * file that makes it visible last; while the bucket is away it stays, and is served from, on the disk. Those of one
 * tenant go in order, one at a time.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { backoffMs } from '#core/backoff.ts'
import { sleep, type Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { forEachParallel } from '#core/parallel.ts'
import { marked } from '#store/upload-mark.ts'

/** Blocks, each of another tenant, that are uploaded beside each other. */
export const uploadsAtOnce = 8
const retryPause = { leastMs: 250, mostMs: 30_000 }

export interface StagedBlock {
  tenant: string
  id: string
  directory: string
  /** Paths below the directory; the last one makes the block visible. */
  files: string[]
  bytes: number
}

export interface UploadQueueOptions {
  clock: Clock
  files: Files
  log: Log
  bucket: Bucket
  /** Called when the bucket has all of the block, before its local files go. */
  onUploaded: (block: StagedBlock) => Promise<void>
  /** Refuses to go on: another writer has the prefix. */
  mayWrite: () => Promise<boolean>
}

export class UploadQueue {
  readonly #options: UploadQueueOptions
  readonly #waiting: StagedBlock[] = []
  /** Of these: what is being uploaded. */
  readonly #active = new Set<StagedBlock>()
  #running: Promise<void> | undefined
  #closed = false
  uploads = 0
  failures = 0
  /** Why the last attempt failed; undefined: it did not. */
  trouble: string | undefined

  constructor(options: UploadQueueOptions) {
    this.#options = options
  }

  get waitingBytes(): number {
    return this.#waiting.reduce((sum, block) => sum + block.bytes, 0)
  }
  get waitingBlocks(): number {
    return this.#waiting.length
  }

  /** Is there a block of the tenant that waits, or is being uploaded? */
  has(tenant: string): boolean {
    return this.#waiting.some(block => block.tenant === tenant)
  }

  /** Lets go of a tenant's blocks, but for one that is being uploaded. Returns them. */
  drop(tenant: string): StagedBlock[] {
    const dropped = this.#waiting.filter(block => block.tenant === tenant && !this.#active.has(block))
    for (const block of dropped) this.#waiting.splice(this.#waiting.indexOf(block), 1)
    return dropped
  }

  add(block: StagedBlock): void {
    this.#waiting.push(block)
    this.resume()
  }

  /** Goes on with what waits: it stopped when the prefix was not ours, as before the bucket was reached. */
  resume(): void {
    if (!this.#closed && this.#waiting.length > 0) this.#running ??= this.#run()
  }

  /**
   * Resolves when nothing waits, or nothing is uploaded any more: another writer has the prefix, or the queue is
   * closed.
   */
  async drained(): Promise<void> {
    this.resume()
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      for (let attempt = 0; this.#waiting.length > 0 && !this.#closed;) {
        const blocks = this.#next()
        const failed = await this.#tryAll(blocks)
        if (failed === 'refused' || (failed > 0 && this.#closed)) return
        if (failed > 0) await sleep(this.#options.clock, backoffMs(attempt++, retryPause))
        else attempt = 0
      }
    } finally {
      this.#running = undefined
    }
  }

  /** The first block of each of the first tenants: a later one of the same may claim to cover what it has. */
  #next(): StagedBlock[] {
    const first = new Map<string, StagedBlock>()
    for (const block of this.#waiting) {
      if (!first.has(block.tenant)) first.set(block.tenant, block)
      if (first.size === uploadsAtOnce) break
    }
    return [...first.values()]
  }

  /** How many failed; `refused`: another writer has the prefix. */
  async #tryAll(blocks: readonly StagedBlock[]): Promise<number | 'refused'> {
    try {
      if (!(await this.#options.mayWrite())) return 'refused'
    } catch (error) {
      this.#noteFailure(blocks[0]!, error)
      return 1
    }
    let failed = 0
    await forEachParallel(blocks, uploadsAtOnce, async block => {
      if (!this.#waiting.includes(block)) return
      this.#active.add(block)
      try {
        await this.#upload(block)
        this.#waiting.splice(this.#waiting.indexOf(block), 1)
        this.uploads++
        this.trouble = undefined
      } catch (error) {
        failed++
        this.#noteFailure(block, error)
      } finally {
        this.#active.delete(block)
      }
    })
    return failed
  }

  async #upload(block: StagedBlock): Promise<void> {
    const { bucket, onUploaded } = this.#options
    const prefix = `${block.tenant}/${block.id}/`
    await marked(bucket, prefix, async () => {
      for (const file of block.files) await bucket.putFile(prefix + file, `${block.directory}/${file}`)
    })
    await onUploaded(block)
  }

  #noteFailure({ tenant, id }: StagedBlock, error: unknown): void {
    this.failures++
    this.trouble = messageOf(error)
    this.#options.log.warn('a block could not be uploaded, it stays on disk', {
      tenant,
      block: id,
      error: messageOf(error),
    })
  }

  /** Stops after the file under way; what waits is found again at the next start. */
  async close(): Promise<void> {
    this.#closed = true
    const gaveUp = sleep(this.#options.clock, 2000)
    await Promise.race([this.#running, gaveUp])
  }
}

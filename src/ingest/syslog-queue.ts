/** Syslog messages of one tenant: gathered for a moment, stored together, in order, and tried again for a while. */
import { backoffMs } from '#core/backoff.ts'
import { sleep, type Clock, type Timer } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { LogsAppender } from '#logs/append.ts'
import type { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'

const gatherMs = 50
const gatherMax = 2000
const attemptsMax = 20
const retryPause = { leastMs: 100, mostMs: 5000 }

export interface SyslogLine {
  readonly labels: Labels
  readonly ms: number
  readonly subNs: number
  readonly message: string
  /** Names and values in turn. */
  readonly pairs: readonly string[]
}

export interface SyslogQueueOptions {
  readonly appender: LogsAppender
  readonly tenant: string
  readonly clock: Clock
  readonly log: Log
  /** Beyond so many bytes it has no room. */
  readonly bytesMax: number
  /** Messages of so many bytes are stored, or given up. */
  readonly onRelease: (bytes: number) => void
  /** So many messages were given up. */
  readonly onLost: (messages: number) => void
}

export class SyslogQueue {
  readonly #options: SyslogQueueOptions
  #builder = new LogBatchBuilder()
  #timer: Timer | undefined
  #storing: Promise<void> = Promise.resolve()
  /** Batches that are being stored, or wait for those before them: messages gather for as long. */
  #batches = 0
  #gatheredBytes = 0
  /** Of messages that are not stored yet. */
  waitingBytes = 0

  constructor(options: SyslogQueueOptions) {
    this.#options = options
  }

  /** Resolved when there is room again; undefined: there is. */
  get room(): Promise<void> | undefined {
    if (this.waitingBytes <= this.#options.bytesMax) return undefined
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }
  #room: PromiseWithResolvers<void> | undefined

  #letIn(): void {
    if (this.waitingBytes > this.#options.bytesMax / 2) return
    this.#room?.resolve()
    this.#room = undefined
  }

  get isEmpty(): boolean {
    return this.#batches === 0 && this.#builder.count === 0
  }

  add({ labels, ms, subNs, message, pairs }: SyslogLine, bytes: number): void {
    this.#builder.add(labels, ms, subNs, message, pairs)
    this.#gatheredBytes += bytes
    this.waitingBytes += bytes
    if (this.#builder.count >= gatherMax) this.#flush()
    else if (this.#batches === 0) this.#flushSoon()
  }

  #flushSoon(): void {
    this.#timer ??= this.#options.clock.after(gatherMs, () => {
      this.#flush()
    })
  }

  #flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const builder = this.#builder
    if (builder.count === 0) return
    this.#builder = new LogBatchBuilder()
    const bytes = this.#gatheredBytes
    this.#gatheredBytes = 0
    this.#batches++
    this.#storing = this.#storing
      .then(() => this.#store(builder))
      .finally(() => {
        this.waitingBytes -= bytes
        if (--this.#batches === 0 && this.#builder.count > 0) this.#flushSoon()
        this.#letIn()
        this.#options.onRelease(bytes)
      })
  }

  /** Syslog has no answer: what can't be kept now is tried again for a while, then given up with a word in the log. */
  async #store(builder: LogBatchBuilder): Promise<void> {
    const { appender, tenant, clock } = this.#options
    builder.partDuplicates()
    const batch = builder.build()
    batch.isVerbatim = true
    for (let attempt = 0; ; attempt++) {
      // The next one can't be stored before.
      batch.isPart = this.#batches > 1
      try {
        const { refused, status, problems } = await appender.append(tenant, batch)
        // Limits that pass, and lines that are sent again with them are stored once.
        if (refused > 0 && status === 429 && attempt < attemptsMax) {
          await sleep(clock, backoffMs(attempt, retryPause))
          continue
        }
        if (refused > 0) this.#noteRefused(refused, problems[0]?.message ?? '')
        return
      } catch (error) {
        if (attempt >= attemptsMax) {
          this.#noteGivenUp(batch.count, error)
          return
        }
        await sleep(clock, backoffMs(attempt, retryPause))
      }
    }
  }

  #noteRefused(refused: number, reason: string): void {
    const { tenant, log, onLost } = this.#options
    onLost(refused)
    log.warn('syslog messages were refused', { tenant, refused, reason })
  }

  #noteGivenUp(messages: number, error: unknown): void {
    const { tenant, log, onLost } = this.#options
    onLost(messages)
    log.error('syslog messages were given up', { tenant, messages, error: messageOf(error) })
  }

  async close(): Promise<void> {
    this.#flush()
    await this.#storing
  }
}

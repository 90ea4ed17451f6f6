/**
 * A remote that messages go to: from its queue, over several lanes at once, again until it takes or refuses them. Each
 * message names its lane: within a lane they go in the order in which they were put, whatever becomes of them.
 */
import { backoffMs, Pauses } from '#core/backoff.ts'
import type { Clock } from '#core/clock.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { ClientReply, HttpClient } from '#net/http-client.ts'
import { retryAfterMs } from '#net/retry-after.ts'
import { DiskQueue, type QueueMessage } from './disk-queue.ts'

/** How the remote is reached, which may change. */
export interface RemoteAccess {
  client: HttpClient
  headers: Readonly<Record<string, string>>
  timeoutMs: number
}

/** Times are milliseconds; `lanes` messages are sent at a time. */
export interface RemoteOptions extends RemoteAccess {
  clock: Clock
  log: Log
  name: string
  url: string
  queue: DiskQueue
  lanes: number
  minBackoffMs: number
  maxBackoffMs: number
}

/**
 * `[lane, of]`: behind all that came before it in this lane; `any`: in any order. Without one, and where there are as
 * many lanes no more, a message goes alone: behind all before it, before all behind it.
 */
export type Lane = readonly [lane: number, of: number] | 'any'

/** Stands in front of a message's body: the path after the remote's URL, its own headers, its number of samples. */
export interface MessageHead {
  path?: string
  headers: Record<string, string>
  samples?: number
  lane?: Lane
}

/** A message as it lies in a queue: length of its head (32 bits), head as JSON, body. */
export function packMessage(head: MessageHead, body: Uint8Array): Uint8Array {
  const text = Buffer.from(JSON.stringify(head))
  const packed = new Uint8Array(4 + text.length + body.length)
  new DataView(packed.buffer).setUint32(0, text.length)
  packed.set(text, 4)
  packed.set(body, 4 + text.length)
  return packed
}

/** The head and body of a packed message; the body is a view of it. Throws when the head is no JSON. */
export function unpackMessage(packed: Uint8Array): { head: MessageHead; body: Uint8Array } {
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0)
  return {
    head: JSON.parse(Buffer.from(packed.subarray(4, 4 + length)).toString('utf8')) as MessageHead,
    body: packed.subarray(4 + length),
  }
}

const refusalLogMs = 60_000
/** So much is taken from the queue before it can be sent. */
const waitingMax = 64
const waitingBytesMax = 4 * 1024 * 1024

/** Sends what its queue holds until `stop`; the place in the queue is written down every five seconds. */
export class Remote {
  readonly #options: RemoteOptions
  #access: RemoteAccess
  #running: Promise<void> | undefined
  #isStopped = false
  readonly #stopping = new AbortController()
  readonly #pauses: Pauses
  #position: Repeater | undefined
  /** The last message of each lane, and how many are in it. */
  readonly #tails: Promise<void>[]
  readonly #depths: number[]
  /** Messages that were taken and are not finished. */
  readonly #waiting = new Set<Promise<void>>()
  #waitingBytes = 0
  /** Nothing goes to the remote before this moment of the monotonic clock. */
  #pausedUntilMs = 0
  /** Failures in a row, and how often a pause began: messages that were under way together fail together. */
  #failures = 0
  #pauseNumber = 0
  #refusalLoggedMs = -Infinity
  #refusedSinceLog = 0
  sent = 0
  sentSamples = 0
  retries = 0
  refused = 0
  refusedSamples = 0
  /** Refused messages by their reason: the status, or `damaged`. */
  readonly refusedBy = new Map<string, number>()
  onNewReason: (reason: string) => void = () => {}
  lastError = ''

  constructor(options: RemoteOptions) {
    this.#options = options
    this.#access = options
    this.#pauses = new Pauses(options.clock)
    this.#tails = Array.from({ length: options.lanes }, () => Promise.resolve())
    this.#depths = this.#tails.map(() => 0)
  }

  get name(): string {
    return this.#options.name
  }
  /** Messages go by this from now on; the client before is closed when nothing is under way with it. */
  reach(access: RemoteAccess): void {
    const { client } = this.#access
    this.#access = access
    if (client !== access.client) void Promise.allSettled(this.#waiting).then(() => client.close())
  }
  get queue(): DiskQueue {
    return this.#options.queue
  }
  get lanes(): number {
    return this.#options.lanes
  }

  async start(): Promise<void> {
    await this.#options.queue.open()
    this.#running = this.#run()
    this.#position = new Repeater(this.#options.clock, 5000, () =>
      this.#options.queue.savePosition().catch((error: unknown) => {
        this.#options.log.warn('the place in a queue could not be written down', {
          remote: this.name,
          error: messageOf(error),
        })
      }),
    )
  }

  /** Takes messages in order and puts each behind what it must not overtake. */
  async #run(): Promise<void> {
    const { queue, log } = this.#options
    while (!this.#isStopped) {
      let message: QueueMessage | undefined
      try {
        message = await queue.take()
      } catch (error) {
        log.error("a queue can't be read", { remote: this.name, error: messageOf(error) })
        await this.#pauses.wait(1000)
        continue
      }
      if (message === undefined) return
      this.#enter(message)
      while (this.#waiting.size >= waitingMax || this.#waitingBytes >= waitingBytesMax)
        await Promise.race(this.#waiting)
    }
  }

  #enter(message: QueueMessage): void {
    let unpacked: ReturnType<typeof unpackMessage> | undefined
    try {
      unpacked = unpackMessage(message.payload)
    } catch (error) {
      this.#refuse('damaged', messageOf(error), 0)
    }
    const lane = unpacked?.head.lane
    const work = async (): Promise<void> => {
      if (unpacked !== undefined && !(await this.#deliver(unpacked))) return
      try {
        await this.#options.queue.finish(message)
      } catch (error) {
        this.#options.log.warn("a queue's file could not be removed", { remote: this.name, error: messageOf(error) })
      }
    }
    const size = message.payload.length
    const own = this.#place(lane, work).finally(() => {
      this.#waiting.delete(own)
      this.#waitingBytes -= size
    })
    this.#waiting.add(own)
    this.#waitingBytes += size
  }

  /** Runs work when all that it must not overtake is done. */
  #place(lane: Lane | undefined, work: () => Promise<void>): Promise<void> {
    const tails = this.#tails
    const places =
      lane === 'any'
        ? [this.#leastBusy()]
        : lane?.[1] === tails.length && lane[0] < tails.length
          ? [lane[0]]
          : tails.map((_, i) => i)
    const done = Promise.all(places.map(i => tails[i])).then(() => (this.#isStopped ? undefined : work()))
    for (const i of places) {
      this.#depths[i]!++
      tails[i] = done.finally(() => {
        this.#depths[i]!--
      })
    }
    return done
  }

  #leastBusy(): number {
    let least = 0
    for (let i = 1; i < this.#tails.length; i++) if (this.#depths[i]! < this.#depths[least]!) least = i
    return least
  }

  /** Whether the message is finished: taken, or refused for good. False when the remote stops first. */
  async #deliver(message: ReturnType<typeof unpackMessage>): Promise<boolean> {
    const { clock, log } = this.#options
    for (let attempt = 0; ; attempt++) {
      // Another lane may lengthen the pause while this one waits.
      for (let ms = 0; (ms = this.#pausedUntilMs - clock.monotonicMs()) > 0 && !this.#isStopped;)
        await this.#pauses.wait(ms)
      if (this.#isStopped) return false
      const pauseNumber = this.#pauseNumber
      let askedMs = 0
      try {
        const reply = await this.#send(message)
        const problem = this.#judge(reply, message.head)
        if (problem === undefined) {
          if (pauseNumber === this.#pauseNumber) this.#failures = 0
          return true
        }
        this.lastError = problem
        askedMs = retryAfterMs(reply.header('retry-after'), clock.nowMs())
      } catch (error) {
        if (this.#isStopped) return false
        this.lastError = messageOf(error)
      }
      this.retries++
      if (attempt === 0)
        log.warn('a message is not taken now, it is sent again', { remote: this.name, error: this.lastError })
      this.#pause(pauseNumber, askedMs)
    }
  }

  /** The whole remote is left alone, not one message: what is behind it must not overtake it. */
  #pause(pauseNumber: number, askedMs: number): void {
    const { clock, minBackoffMs, maxBackoffMs } = this.#options
    let ms = askedMs
    if (pauseNumber === this.#pauseNumber) {
      this.#pauseNumber++
      ms = Math.max(ms, backoffMs(this.#failures++, { leastMs: minBackoffMs, mostMs: maxBackoffMs }))
    }
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, clock.monotonicMs() + ms)
  }

  #send({ head, body }: ReturnType<typeof unpackMessage>): Promise<ClientReply> {
    const { url } = this.#options
    const { client, headers, timeoutMs } = this.#access
    return client.send(url + (head.path ?? ''), {
      method: 'POST',
      headers: { ...head.headers, ...headers },
      body,
      timeoutMs,
      bodyBytesMax: 64 * 1024,
      isBodyOptional: true,
      signal: this.#stopping.signal,
    })
  }

  /** Why the message must be sent again; undefined: it is finished, taken or refused for good. */
  #judge({ status, body }: ClientReply, { samples = 0 }: MessageHead): string | undefined {
    if (status >= 200 && status < 300) {
      this.sent++
      this.sentSamples += samples
      this.lastError = ''
      return undefined
    }
    // Cut off, a secret would not be found.
    const said = this.#access.client.hide(Buffer.from(body).toString('utf8')).slice(0, 200).trim()
    const answer = `${status}: ${said}`
    if (status === 429 || status === 408 || status >= 500) return answer
    this.lastError = answer
    this.#refuse(String(status), answer, samples)
    return undefined
  }

  /** One line a minute says how many were refused since the last one. */
  #refuse(reason: string, answer: string, samples: number): void {
    const { clock, log } = this.#options
    this.refused++
    this.refusedSamples += samples
    this.#refusedSinceLog++
    const before = this.refusedBy.get(reason)
    this.refusedBy.set(reason, (before ?? 0) + 1)
    if (before === undefined) this.onNewReason(reason)
    if (clock.monotonicMs() - this.#refusalLoggedMs < refusalLogMs) return
    log.error('messages were refused for good, and are dropped', {
      remote: this.name,
      count: this.#refusedSinceLog,
      answer,
    })
    this.#refusalLoggedMs = clock.monotonicMs()
    this.#refusedSinceLog = 0
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopping.abort()
    this.#pauses.end()
    await this.#position?.stop()
    this.#options.queue.end()
    await Promise.all(this.#waiting)
    await this.#running
    await this.#options.queue.close()
    await this.#access.client.close()
  }
}

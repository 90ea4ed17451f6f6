/** A remote that messages go to: from its queue, by several workers at once, again until it takes or refuses them. */
import { backoffMs, Pauses } from '#core/backoff.ts'
import type { Clock } from '#core/clock.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { HttpClient } from '#net/http-client.ts'
import { DiskQueue, type QueueMessage } from './disk-queue.ts'

/** Times are milliseconds; `shards` messages are sent at a time. */
export interface RemoteOptions {
  clock: Clock
  log: Log
  name: string
  url: string
  client: HttpClient
  queue: DiskQueue
  headers: Readonly<Record<string, string>>
  timeoutMs: number
  shards: number
  minBackoffMs: number
  maxBackoffMs: number
}

/** Stands in front of a message's body: the path after the remote's URL, its own headers, its number of samples. */
export interface MessageHead {
  path?: string
  headers: Record<string, string>
  samples?: number
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

/** Sends what its queue holds until `stop`; the place in the queue is written down every five seconds. */
export class Remote {
  readonly #options: RemoteOptions
  readonly #workers: Promise<void>[] = []
  #taking: Promise<unknown> = Promise.resolve()
  #isStopped = false
  readonly #stopping = new AbortController()
  readonly #pauses: Pauses
  #position: Repeater | undefined
  sent = 0
  sentSamples = 0
  retries = 0
  refused = 0
  lastError = ''

  constructor(options: RemoteOptions) {
    this.#options = options
    this.#pauses = new Pauses(options.clock)
  }

  get name(): string {
    return this.#options.name
  }
  get queue(): DiskQueue {
    return this.#options.queue
  }

  async start(): Promise<void> {
    await this.#options.queue.open()
    for (let i = 0; i < this.#options.shards; i++) this.#workers.push(this.#work())
    this.#position = new Repeater(this.#options.clock, 5000, () =>
      this.#options.queue.savePosition().catch((error: unknown) => {
        this.#options.log.warn('the place in a queue could not be written down', {
          remote: this.name,
          error: messageOf(error),
        })
      }),
    )
  }

  /** Workers take one after the other, and send side by side. */
  #take(): Promise<QueueMessage | undefined> {
    const next = this.#taking.then(() => this.#options.queue.take())
    this.#taking = next.catch(() => {
      // The worker that takes gets the error.
    })
    return next
  }

  async #work(): Promise<void> {
    for (;;) {
      let message: QueueMessage | undefined
      try {
        message = await this.#take()
      } catch (error) {
        this.#options.log.error("a queue can't be read", { remote: this.name, error: messageOf(error) })
        await this.#pauses.wait(1000)
        if (this.#isStopped) return
        continue
      }
      if (message === undefined || this.#isStopped) return
      if (await this.#deliver(message)) await this.#options.queue.finish(message)
      if (this.#isStopped) return
    }
  }

  /** Whether the message is finished: taken, or refused for good. False when the remote stops first. */
  async #deliver({ payload }: QueueMessage): Promise<boolean> {
    const { log, minBackoffMs, maxBackoffMs } = this.#options
    const message = unpackMessage(payload)
    const limits = { leastMs: minBackoffMs, mostMs: maxBackoffMs }
    for (let attempt = 0; !this.#isStopped; attempt++) {
      let pauseMs = backoffMs(attempt, limits)
      try {
        const { isFinished, retryAfterMs } = await this.#send(message)
        if (isFinished) return true
        pauseMs = Math.max(pauseMs, retryAfterMs)
      } catch (error) {
        if (this.#isStopped) return false
        this.lastError = messageOf(error)
      }
      this.retries++
      if (attempt === 0)
        log.warn('a message is not taken now, it is sent again', { remote: this.name, error: this.lastError })
      await this.#pauses.wait(pauseMs)
    }
    return false
  }

  /** Sends a message once. `retryAfterMs`: how long the remote asks to be left alone, at most a minute. */
  async #send({
    head,
    body,
  }: ReturnType<typeof unpackMessage>): Promise<{ isFinished: boolean; retryAfterMs: number }> {
    const { client, url, headers, timeoutMs, log } = this.#options
    const reply = await client.send(url + (head.path ?? ''), {
      method: 'POST',
      headers: { ...head.headers, ...headers },
      body,
      timeoutMs,
      bodyBytesMax: 1 << 20,
      signal: this.#stopping.signal,
    })
    if (reply.status >= 200 && reply.status < 300) {
      this.sent++
      this.sentSamples += head.samples ?? 0
      this.lastError = ''
      return { isFinished: true, retryAfterMs: 0 }
    }
    const answer = `${reply.status}: ${Buffer.from(reply.body.subarray(0, 200)).toString('utf8').trim()}`
    this.lastError = answer
    if (reply.status !== 429 && reply.status < 500) {
      this.refused++
      log.error('a message was refused for good, and is dropped', { remote: this.name, answer })
      return { isFinished: true, retryAfterMs: 0 }
    }
    const afterSeconds = Number(reply.header('retry-after'))
    return { isFinished: false, retryAfterMs: afterSeconds > 0 ? Math.min(afterSeconds * 1000, 60_000) : 0 }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopping.abort()
    this.#pauses.end()
    await this.#position?.stop()
    await this.#options.queue.close()
    await Promise.all(this.#workers)
    await this.#options.client.close()
  }
}

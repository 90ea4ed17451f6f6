/** One place that messages go to: from its queue, by several at once, again until it takes them. */
import type { Clock, Timer } from '#core/clock.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { HttpClient } from '#net/http-client.ts'
import { DiskQueue, type QueueMessage } from './disk-queue.ts'

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

/** What a message says of itself, in front of its body. */
export interface MessageHead {
  path?: string
  headers: Record<string, string>
  samples?: number
}

export function packMessage(head: MessageHead, body: Uint8Array): Uint8Array {
  const text = Buffer.from(JSON.stringify(head))
  const packed = new Uint8Array(4 + text.length + body.length)
  new DataView(packed.buffer).setUint32(0, text.length)
  packed.set(text, 4)
  packed.set(body, 4 + text.length)
  return packed
}
export function unpackMessage(packed: Uint8Array): { head: MessageHead; body: Uint8Array } {
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0)
  return {
    head: JSON.parse(Buffer.from(packed.subarray(4, 4 + length)).toString('utf8')) as MessageHead,
    body: packed.subarray(4 + length),
  }
}

export class Remote {
  readonly #options: RemoteOptions
  readonly #workers: Promise<void>[] = []
  #turn: Promise<unknown> = Promise.resolve()
  #isStopped = false
  readonly #gone = new AbortController()
  readonly #waits = new Set<{ timer: Timer; wake: () => void }>()
  #position: Repeater | undefined
  sent = 0
  sentSamples = 0
  retries = 0
  refused = 0
  lastError = ''

  constructor(options: RemoteOptions) {
    this.#options = options
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

  /** One takes at a time; sending goes on side by side. */
  #take(): Promise<QueueMessage | undefined> {
    const next = this.#turn.then(() => this.#options.queue.take())
    this.#turn = next.catch(() => {
      /* told to the worker */
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
        await this.#wait(1000)
        if (this.#isStopped) return
        continue
      }
      if (message === undefined || this.#isStopped) return
      if (await this.#deliver(message)) await this.#options.queue.finish(message)
      if (this.#isStopped) return
    }
  }

  /** Whether the message is done with: taken, or refused for good. */
  async #deliver({ payload }: QueueMessage): Promise<boolean> {
    const { client, url, headers, timeoutMs, log, minBackoffMs, maxBackoffMs } = this.#options
    const { head, body } = unpackMessage(payload)
    let isTold = false
    for (let waitMs = minBackoffMs; !this.#isStopped; waitMs = Math.min(maxBackoffMs, waitMs * 2)) {
      let pauseMs = waitMs
      try {
        const reply = await client.send(url + (head.path ?? ''), {
          method: 'POST',
          headers: { ...head.headers, ...headers },
          body,
          timeoutMs,
          bodyBytesMax: 1 << 20,
          signal: this.#gone.signal,
        })
        if (reply.status >= 200 && reply.status < 300) {
          this.sent++
          this.sentSamples += head.samples ?? 0
          this.lastError = ''
          return true
        }
        const told = `${reply.status}: ${Buffer.from(reply.body.subarray(0, 200)).toString('utf8').trim()}`
        if (reply.status !== 429 && reply.status < 500) {
          this.refused++
          this.lastError = told
          log.error('a message was refused for good, and is dropped', { remote: this.name, answer: told })
          return true
        }
        this.lastError = told
        const after = Number(reply.header('retry-after'))
        if (after > 0) pauseMs = Math.max(pauseMs, Math.min(after * 1000, 60_000))
      } catch (error) {
        if (this.#isStopped) return false
        this.lastError = messageOf(error)
      }
      this.retries++
      if (!isTold) {
        isTold = true
        log.warn('a message is not taken now, it is sent again', { remote: this.name, error: this.lastError })
      }
      await this.#wait(pauseMs)
    }
    return false
  }

  #wait(ms: number): Promise<void> {
    return new Promise(resolve => {
      const wait = {
        timer: this.#options.clock.after(ms, () => {
          this.#waits.delete(wait)
          resolve()
        }),
        wake: resolve,
      }
      this.#waits.add(wait)
    })
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#gone.abort()
    for (const { timer, wake } of this.#waits) {
      timer.cancel()
      wake()
    }
    await this.#position?.stop()
    await this.#options.queue.close()
    await Promise.all(this.#workers)
    await this.#options.client.close()
  }
}

/** What does not work now, as Prometheus' notifications: a list, and a stream of server-sent events. */
import { sleep, type Clock } from '#core/clock.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { success } from './respond.ts'

interface Notification {
  text: string
  /** RFC 3339: since when. */
  date: string
  active: boolean
}

const lookEveryMs = 1000
/** A stream more is answered 204, as Prometheus does. */
const streamsMax = 16

export class Notifications {
  readonly #clock: Clock
  readonly #warnings: () => readonly string[]
  readonly #since = new Map<string, string>()
  #streams = 0

  /** `warnings`: what does not work at this moment, a text each. */
  constructor(clock: Clock, warnings: () => readonly string[]) {
    this.#clock = clock
    this.#warnings = warnings
  }

  #now(): Notification[] {
    const texts = new Set(this.#warnings().flatMap(warning => warning.split('\n')))
    for (const text of Array.from(this.#since.keys())) if (!texts.has(text)) this.#since.delete(text)
    const date = new Date(this.#clock.nowMs()).toISOString()
    for (const text of texts) if (!this.#since.has(text)) this.#since.set(text, date)
    return Array.from(this.#since, ([text, since]) => ({ text, date: since, active: true }))
  }

  readonly list = (): Promise<HttpReply> => Promise.resolve(success(JSON.stringify(this.#now())))

  readonly live = ({ signal }: HttpRequest): Promise<HttpReply> => {
    if (this.#streams >= streamsMax) return Promise.resolve({ status: 204 })
    this.#streams++
    let isOver = false
    const drop = (): void => {
      if (!isOver) this.#streams--
      isOver = true
    }
    const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
    return Promise.resolve({ status: 200, headers, isLive: true, drop, body: this.#events(signal, drop) })
  }

  /** What is new, and what is over, as it comes. */
  async *#events(signal: AbortSignal, drop: () => void): AsyncGenerator<string> {
    const sent = new Map<string, Notification>()
    const isAborted = new Promise<void>(resolve => {
      signal.addEventListener('abort', () => {
        resolve()
      })
    })
    try {
      // A comment opens the stream for readers that wait for the first bytes.
      yield ':\n\n'
      while (!signal.aborted) {
        const now = this.#now()
        const active = new Set(now.map(({ text }) => text))
        for (const one of now) {
          if (sent.has(one.text)) continue
          sent.set(one.text, one)
          yield eventOf(one)
        }
        for (const [text, one] of Array.from(sent)) {
          if (active.has(text)) continue
          sent.delete(text)
          yield eventOf({ ...one, active: false })
        }
        await Promise.race([sleep(this.#clock, lookEveryMs), isAborted])
      }
    } finally {
      drop()
    }
  }
}

const eventOf = (notification: Notification): string => `data: ${JSON.stringify(notification)}\n\n`

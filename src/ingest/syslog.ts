/** Syslog over TCP, TLS and UDP: messages are gathered for a moment and stored together. */
import { backoffMs } from '#core/backoff.ts'
import { sleep, type Clock, type Timer } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import { syslogWaitingBytesMax } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import type { LogsAppender } from '#logs/append.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import type { BytePeer, ByteReceiver } from '#net/byte-streams.ts'
import { parseSyslog, SyslogFraming } from '#wire/syslog/parse.ts'

const gatherMs = 50
const gatherMax = 2000
const attemptsMax = 20
const httpMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT', 'TRACE'] as const
/**
 * How a request of HTTP begins, as far as it has come. A browser sends one to any port that a page names, and the lines
 * of its body would be messages.
 */
const httpRequest = /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE) \S* HTTP\/\d/
const partOfHttpRequest = /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE) \S*(?: H?T?T?P?\/?)?$/
/** What comes first and may be such a beginning is kept until that is sure, up to so many bytes. */
const beginningBytesMax = 8192
/** What a message takes beside its bytes. */
const messageBytes = 200
const retryPause = { leastMs: 100, mostMs: 5000 }

/** Tells syslog from HTTP by what a connection begins with. */
class Beginning {
  #kept: Buffer | undefined = Buffer.alloc(0)
  #isHttp = false

  /** What may be read as syslog; nothing while it is not sure. */
  push(bytes: Uint8Array): Uint8Array | 'http' {
    if (this.#isHttp) return 'http'
    if (this.#kept === undefined) return bytes
    this.#kept = Buffer.concat([this.#kept, bytes])
    const text = this.#kept.subarray(0, beginningBytesMax).toString('latin1')
    this.#isHttp = httpRequest.test(text)
    if (this.#isHttp) {
      this.end()
      return 'http'
    }
    const isOpen = this.#kept.length < beginningBytesMax && mayBecomeHttp(text)
    return isOpen ? Buffer.alloc(0) : this.end()
  }

  /** What was kept. */
  end(): Uint8Array {
    const kept = this.#kept ?? Buffer.alloc(0)
    this.#kept = undefined
    return kept
  }
}

function mayBecomeHttp(text: string): boolean {
  return partOfHttpRequest.test(text) || httpMethods.some(method => method.startsWith(text))
}

export class SyslogReceiver {
  readonly #appender: LogsAppender
  readonly #tenant: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #messageBytesMax: number
  #builder = new LogBatchBuilder()
  #timer: Timer | undefined
  #storing: Promise<void> = Promise.resolve()
  /** Batches that are being stored, or wait for those before them: messages gather for as long. */
  #batches = 0
  /** Of messages that are not stored yet, those of `#builder` included. */
  #waitingBytes = 0
  #gatheredBytes = 0
  /** Connections wait for this. */
  #room: PromiseWithResolvers<void> | undefined
  /** Datagrams are being dropped. */
  #isDropping = false
  messages = 0
  /** Messages that were given up: syslog has no reply that could say so. */
  lost = 0

  constructor(appender: LogsAppender, tenant: string, clock: Clock, log: Log, messageBytesMax: number) {
    this.#appender = appender
    this.#tenant = tenant
    this.#clock = clock
    this.#log = log
    this.#messageBytesMax = messageBytesMax
  }

  /** For one connection. */
  readonly connect = (peer: BytePeer): ByteReceiver => {
    const framing = new SyslogFraming(this.#messageBytesMax)
    const beginning = new Beginning()
    return {
      data: bytes => {
        const sure = beginning.push(bytes)
        if (sure === 'http') {
          this.#refuseHttp()
          peer.end()
          return undefined
        }
        for (const message of framing.push(sure)) this.#take(message)
        if (this.#waitingBytes <= syslogWaitingBytesMax) return undefined
        this.#room ??= Promise.withResolvers()
        return this.#room.promise
      },
      close: () => {
        for (const message of [...framing.push(beginning.end()), ...framing.end()]) this.#take(message)
      },
    }
  }

  #refuseHttp(): void {
    this.lost++
    this.#log.warn('a connection for syslog began as HTTP does, and was ended')
  }

  /** For one datagram, which may hold several lines. */
  readonly datagram = (bytes: Uint8Array): void => {
    const framing = new SyslogFraming(this.#messageBytesMax)
    const messages = [...framing.push(bytes), ...framing.end()]
    if (this.#waitingBytes > syslogWaitingBytesMax) this.#drop(messages.length)
    else for (const message of messages) this.#take(message)
  }

  /** UDP can't be slowed down. */
  #drop(messages: number): void {
    this.messages += messages
    this.lost += messages
    if (this.#isDropping) return
    this.#isDropping = true
    const waitingBytes = this.#waitingBytes
    this.#log.warn('syslog datagrams are dropped: messages wait to be stored', { waitingBytes, syslogWaitingBytesMax })
  }

  /** Messages of so many bytes are stored, or given up. */
  #release(bytes: number): void {
    this.#waitingBytes -= bytes
    if (this.#waitingBytes > syslogWaitingBytesMax / 2) return
    this.#isDropping = false
    this.#room?.resolve()
    this.#room = undefined
  }

  #take(bytes: Buffer): void {
    const nowMs = this.#clock.nowMs()
    const { time, message, fields } = parseSyslog(bytes.toString('utf8'), nowMs)
    const labels: [string, string][] = []
    for (const name of ['hostname', 'app_name', 'proc_id']) {
      const value = fields.get(name)
      if (value === undefined) continue
      labels.push([name, value])
      fields.delete(name)
    }
    this.#builder.add(Labels.from(labels), time?.ms ?? nowMs, time?.subNs ?? 0, message, [...fields].flat())
    this.messages++
    this.#waitingBytes += bytes.length + messageBytes
    this.#gatheredBytes += bytes.length + messageBytes
    if (this.#builder.count >= gatherMax) this.#flush()
    else if (this.#batches === 0) this.#flushSoon()
  }

  #flushSoon(): void {
    this.#timer ??= this.#clock.after(gatherMs, () => {
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
        this.#release(bytes)
        if (--this.#batches === 0 && this.#builder.count > 0) this.#flushSoon()
      })
  }

  /** Syslog has no answer: what can't be kept now is tried again for a while, then given up with a word in the log. */
  async #store(builder: LogBatchBuilder): Promise<void> {
    builder.partDuplicates()
    const batch = builder.build()
    batch.isVerbatim = true
    for (let attempt = 0; ; attempt++) {
      // The next one can't be stored before.
      batch.isPart = this.#batches > 1
      try {
        const result = await this.#appender.append(this.#tenant, batch)
        // Limits that pass, and lines that are sent again with them are stored once.
        if (result.refused > 0 && result.status === 429 && attempt < attemptsMax) {
          await sleep(this.#clock, backoffMs(attempt, retryPause))
          continue
        }
        if (result.refused > 0) {
          this.lost += result.refused
          this.#log.warn('syslog messages were refused', {
            refused: result.refused,
            reason: result.problems[0]?.message ?? '',
          })
        }
        return
      } catch (error) {
        if (attempt >= attemptsMax) {
          this.lost += batch.count
          this.#log.error('syslog messages were given up', { messages: batch.count, error: messageOf(error) })
          return
        }
        await sleep(this.#clock, backoffMs(attempt, retryPause))
      }
    }
  }

  async close(): Promise<void> {
    this.#flush()
    await this.#storing
  }
}

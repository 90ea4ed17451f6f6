/** Syslog over TCP, TLS and UDP: messages are told apart, and each goes into the queue of its tenant. */
import type { Clock } from '#core/clock.ts'
import { syslogWaitingBytesMax } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import { RareLines } from '#core/rare-lines.ts'
import type { LogsAppender } from '#logs/append.ts'
import { Labels } from '#model/labels.ts'
import type { Grant } from '#net/access.ts'
import type { BytePeer, ByteReceiver } from '#net/byte-streams.ts'
import { parseSyslog, SyslogFraming } from '#wire/syslog/parse.ts'
import type { SyslogDoor, SyslogPeer, SyslogRefusal } from './syslog-door.ts'
import { SyslogQueue } from './syslog-queue.ts'

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
/** With tenancy a tenant may have so much of the room, so that one whose limits are reached stops no other. */
const tenantShare = 1 / 4

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

export interface SyslogOptions {
  readonly appender: LogsAppender
  readonly clock: Clock
  readonly log: Log
  readonly messageBytesMax: number
  readonly hasTenancy: boolean
  /** Tenants whose messages wait; those of one more are lost. */
  readonly tenantsMax: number
  /** Somebody who is known tried what the credential is not for. */
  readonly onForbidden?: (who: string, listener: string, peer: SyslogPeer) => void
}

/** What a listener hands its bytes to. */
export interface SyslogListener {
  readonly connect: (peer: BytePeer) => ByteReceiver
  /** One datagram, which may hold several lines, and the address that it says it is from. */
  readonly datagram: (bytes: Uint8Array, address: string) => void
}

export class SyslogReceiver {
  readonly #options: SyslogOptions
  readonly #queues = new Map<string, SyslogQueue>()
  readonly #lines: RareLines
  /** Of messages that are not stored yet. */
  #waitingBytes = 0
  /** Connections wait for this. */
  #room: PromiseWithResolvers<void> | undefined
  /** Datagrams are being dropped. */
  #isDropping = false
  messages = 0
  /** Messages that were given up: syslog has no reply that could say so. */
  lost = 0
  /** Connections and datagrams that were not let in. */
  refused = 0

  constructor(options: SyslogOptions) {
    this.#options = options
    this.#lines = new RareLines(options.clock, options.log)
  }

  listener(door: SyslogDoor): SyslogListener {
    return {
      connect: peer => this.#connect(door, peer),
      datagram: (bytes, address) => {
        this.#datagram(door, bytes, address)
      },
    }
  }

  #connect(door: SyslogDoor, { certificate, address, end }: BytePeer): ByteReceiver {
    const framing = new SyslogFraming(this.#options.messageBytesMax)
    const beginning = new Beginning()
    const peer = { address, clientSubject: certificate?.subject }
    let isRefused = false
    const enter = (): Grant | undefined => {
      if (isRefused) return undefined
      const grant = door.enter(peer)
      if (!('reason' in grant)) return grant
      isRefused = true
      this.#refuse(door, peer, grant)
      end()
      return undefined
    }
    enter()
    return {
      data: bytes => {
        const grant = enter()
        if (grant === undefined) return undefined
        const sure = beginning.push(bytes)
        if (sure === 'http') {
          this.#refuseHttp()
          end()
          return undefined
        }
        const full = new Set<SyslogQueue>()
        for (const message of framing.push(sure)) {
          const queue = this.#take(door, grant, message)
          if (queue?.room !== undefined) full.add(queue)
        }
        return this.#roomFor(full)
      },
      close: () => {
        const grant = enter()
        if (grant === undefined) return
        for (const message of [...framing.push(beginning.end()), ...framing.end()]) this.#take(door, grant, message)
      },
    }
  }

  #refuseHttp(): void {
    this.lost++
    this.#lines.warn('a connection for syslog began as HTTP does, and was ended')
  }

  #refuse({ name: listener }: SyslogDoor, peer: SyslogPeer, { reason, name }: SyslogRefusal): void {
    this.refused++
    this.#lines.warn('senders of syslog are not let in', { listener, from: peer.address ?? '', reason })
    if (name !== undefined) this.#options.onForbidden?.(name, listener, peer)
  }

  #datagram(door: SyslogDoor, bytes: Uint8Array, address: string): void {
    const grant = door.enter({ address })
    if ('reason' in grant) {
      this.#refuse(door, { address }, grant)
      return
    }
    const framing = new SyslogFraming(this.#options.messageBytesMax)
    const messages = [...framing.push(bytes), ...framing.end()]
    if (!this.#hasRoom()) this.#drop(messages.length)
    else for (const message of messages) this.#take(door, grant, message, true)
  }

  /** UDP can't be slowed down. */
  #drop(messages: number): void {
    this.messages += messages
    this.lost += messages
    if (this.#isDropping) return
    this.#isDropping = true
    const waitingBytes = this.#waitingBytes
    this.#options.log.warn('syslog datagrams are dropped: messages wait to be stored', {
      waitingBytes,
      syslogWaitingBytesMax,
    })
  }

  #hasRoom(): boolean {
    return this.#waitingBytes <= syslogWaitingBytesMax
  }

  /** Resolved when there is room for all, and for these tenants; undefined: there is. */
  #roomFor(full: ReadonlySet<SyslogQueue>): Promise<void> | undefined {
    const rooms = Array.from(full, ({ room }) => room).filter(room => room !== undefined)
    if (!this.#hasRoom()) {
      this.#room ??= Promise.withResolvers()
      rooms.push(this.#room.promise)
    }
    return rooms.length === 0 ? undefined : Promise.all(rooms).then(() => undefined)
  }

  /** The queue that has it now. With `orDrop` nothing is put into one that has no room. */
  #take(door: SyslogDoor, grant: Grant, bytes: Buffer, orDrop = false): SyslogQueue | undefined {
    const nowMs = this.#options.clock.nowMs()
    const { time, message, fields } = parseSyslog(bytes.toString('utf8'), nowMs)
    const tenant = door.tenantOf(fields, grant)
    const queue = typeof tenant === 'string' ? this.#queueOf(tenant) : tenant
    if (!(queue instanceof SyslogQueue)) {
      this.#lose(door, queue)
      return undefined
    }
    if (orDrop && queue.room !== undefined) {
      this.#drop(1)
      return undefined
    }
    const labels: [string, string][] = []
    for (const name of ['hostname', 'app_name', 'proc_id']) {
      const value = fields.get(name)
      if (value === undefined) continue
      labels.push([name, value])
      fields.delete(name)
    }
    this.messages++
    const size = bytes.length + messageBytes
    this.#waitingBytes += size
    const { ms = nowMs, subNs = 0 } = time ?? {}
    queue.add({ labels: Labels.from(labels), ms, subNs, message, pairs: [...fields].flat() }, size)
    return queue
  }

  #lose({ name: listener }: SyslogDoor, { reason }: SyslogRefusal): void {
    this.messages++
    this.lost++
    this.#lines.warn('syslog messages are lost: they are of no tenant', { listener, reason })
  }

  #queueOf(tenant: string): SyslogQueue | SyslogRefusal {
    const known = this.#queues.get(tenant)
    if (known !== undefined) return known
    const { appender, clock, log, tenantsMax, hasTenancy } = this.#options
    if (this.#queues.size >= tenantsMax)
      return { reason: `messages of ${tenantsMax} tenants wait, which is the limit (limits.tenants)` }
    const queue: SyslogQueue = new SyslogQueue({
      appender,
      tenant,
      clock,
      log,
      bytesMax: syslogWaitingBytesMax * (hasTenancy ? tenantShare : 1),
      onRelease: bytes => {
        if (queue.isEmpty) this.#queues.delete(tenant)
        this.#release(bytes)
      },
      onLost: messages => {
        this.lost += messages
      },
    })
    this.#queues.set(tenant, queue)
    return queue
  }

  /** Messages of so many bytes are stored, or given up. */
  #release(bytes: number): void {
    this.#waitingBytes -= bytes
    if (this.#waitingBytes > syslogWaitingBytesMax / 2) return
    this.#isDropping = false
    this.#room?.resolve()
    this.#room = undefined
  }

  async close(): Promise<void> {
    for (const queue of Array.from(this.#queues.values())) await queue.close()
  }
}

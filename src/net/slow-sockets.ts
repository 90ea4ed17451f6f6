/** An end to connections whose reader takes nothing of what waits for it: one look a second at all of a server's. */
import type { Server as HttpServer } from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { Clock, Timer } from '#core/clock.ts'

export interface SlowSocketsOptions {
  clock: Pick<Clock, 'monotonicMs' | 'after'>
  /** A connection that takes neither 64 KiB nor all of what waits for it in this time is ended. */
  timeoutMs: number
  /** Called for each of them. */
  onSlowReader: () => void
}

const lookEveryMs = 1000
/** So much makes a reader one that reads. */
const wantedBytesMax = 65_536

/** Whoever takes what is written: a connection, or one answer of several on it. */
interface Reader {
  readonly bytesWritten: number
  readonly writableLength: number
  destroy(): void
}

/** What a connection had taken at a time, and how much more it must take to be in time. */
interface Mark {
  readonly takenBytes: number
  readonly wantedBytes: number
  readonly sinceMs: number
}

/**
 * Bytes that the system's own buffer of a connection holds count as taken: nobody is told of them. What is written must
 * come in pieces: one of which a part is missing counts as waiting.
 */
export class SlowSockets {
  readonly #options: SlowSocketsOptions
  readonly #marks = new Map<Reader, Mark | undefined>()
  #timer: Timer | undefined

  constructor(options: SlowSocketsOptions) {
    this.#options = options
  }

  /** Watches the connections that the server will have, those that become WebSockets too. */
  watch(server: HttpServer | Http2SecureServer): void {
    const event = server instanceof TlsServer ? 'secureConnection' : 'connection'
    server.on(event, (socket: Socket) => {
      socket.once('close', this.watchOne(socket))
    })
  }

  /** Watches until the returned function is called. */
  watchOne(reader: Reader): () => void {
    this.#marks.set(reader, undefined)
    this.#timer ??= this.#arm()
    return () => {
      this.#marks.delete(reader)
    }
  }

  #arm(): Timer {
    return this.#options.clock.after(lookEveryMs, () => {
      const nowMs = this.#options.clock.monotonicMs()
      for (const [socket, mark] of this.#marks) this.#look(socket, mark, nowMs)
      this.#timer = this.#marks.size === 0 ? undefined : this.#arm()
    })
  }

  #look(socket: Reader, mark: Mark | undefined, nowMs: number): void {
    const waitingBytes = socket.writableLength
    if (waitingBytes === 0) {
      if (mark !== undefined) this.#marks.set(socket, undefined)
      return
    }
    const takenBytes = socket.bytesWritten - waitingBytes
    if (mark === undefined || takenBytes - mark.takenBytes >= mark.wantedBytes) {
      const wantedBytes = Math.min(waitingBytes, wantedBytesMax)
      this.#marks.set(socket, { takenBytes, wantedBytes, sinceMs: nowMs })
    } else if (nowMs - mark.sinceMs >= this.#options.timeoutMs) {
      this.#options.onSlowReader()
      socket.destroy()
    }
  }

  /** Looks no more. */
  close(): void {
    this.#timer?.cancel()
    this.#marks.clear()
  }
}

/**
 * Requests that come on a connection before the one ahead of them is answered: their answers must follow one another,
 * so they are begun one after the other too, and the thread serves others in between.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests of one connection that may wait, some KiB each; clients that send so send some tens. */
const waitingMax = 256

interface Line {
  /** The answer to the last request that came. */
  last: ServerResponse
  waiting: number
}

export class Pipelining {
  readonly #lines = new WeakMap<Socket, Line>()

  /**
   * Undefined where the request may begin at once, else what to await. A connection with too many requests is closed:
   * then that never resolves.
   */
  turn({ socket }: IncomingMessage, response: ServerResponse): Promise<void> | undefined {
    const line = this.#lines.get(socket)
    if (line === undefined) {
      this.#lines.set(socket, { last: response, waiting: 0 })
      return undefined
    }
    const ahead = line.last
    line.last = response
    if (ahead.writableFinished || ahead.destroyed) return undefined
    if (++line.waiting > waitingMax) socket.destroy()
    return new Promise(resolve => {
      ahead.once('close', () => {
        line.waiting--
        if (!socket.destroyed) resolve()
      })
    })
  }
}

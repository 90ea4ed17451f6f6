/** Threads of a worker pool as objects: messages are cloned, and the test says when a thread is deaf, and ends. */
import type { LinkMessage, Port } from '#worker/link.ts'
import type { ThreadEnd, ThreadHandle } from '#worker/pool.ts'

type Listener = (message: LinkMessage) => void

/** Both ends of a channel. `isDeaf`: what the second end is sent does not arrive while it is true. */
export function portPair(): { near: Port; far: Port; pause: (isDeaf: boolean) => void; cut: () => void } {
  let isDeaf = false
  let isCut = false
  const waiting: (() => void)[] = []
  const end = (): { port: Port; deliver: (message: LinkMessage) => void } => {
    let listener: Listener | undefined
    return {
      port: {
        post: () => {},
        onMessage: on => {
          listener = on
        },
      },
      deliver: message => {
        listener?.(message)
      },
    }
  }
  const near = end()
  const far = end()
  const send =
    (to: { deliver: (message: LinkMessage) => void }, isHeld: () => boolean): Port['post'] =>
    (message, transfer) => {
      const copy = structuredClone(message, { transfer: [...transfer] })
      const deliver = (): void => {
        if (isCut) return
        if (isHeld()) waiting.push(deliver)
        else to.deliver(copy)
      }
      queueMicrotask(deliver)
    }
  near.port.post = send(far, () => isDeaf)
  far.port.post = send(near, () => false)
  return {
    near: near.port,
    far: far.port,
    pause: deaf => {
      isDeaf = deaf
      if (!deaf) for (const deliver of waiting.splice(0)) deliver()
    },
    cut: () => {
      isCut = true
    },
  }
}

/** A thread that the test can make deaf, and end. */
export interface FakeThread extends ThreadHandle {
  readonly isKilled: boolean
  setDeaf(isDeaf: boolean): void
  end(end: ThreadEnd): void
}

/** `serve` makes the thread's own side of the port. */
export function fakeThread(serve: (port: Port) => void): FakeThread {
  const { near, far, pause, cut } = portPair()
  let listener: ((end: ThreadEnd) => void) | undefined
  let isKilled = false
  serve(far)
  const end = (reason: ThreadEnd): void => {
    cut()
    listener?.(reason)
  }
  return {
    port: near,
    get isKilled() {
      return isKilled
    },
    onEnd: on => {
      listener = on
    },
    kill: () => {
      isKilled = true
      queueMicrotask(() => {
        end({ reason: 'exit', message: 'it was ended' })
      })
    },
    setDeaf: pause,
    end,
  }
}

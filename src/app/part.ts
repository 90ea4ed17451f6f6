/**
 * A part of the process: what it serves, what it runs, and how it starts and stops. A role is a list of parts
 * (roles.ts).
 */
import type { Registry } from '#core/counter.ts'
import type { Access } from '#net/access.ts'
import type { GrpcMethod } from '#net/grpc.ts'
import type { GuardedRoute } from '#net/route-table.ts'
import type { SocketRoute } from '#net/web-socket.ts'

/** A server of a part's own, beside HTTP and gRPC: syslog. */
export interface Listener {
  /** As the configuration names it: `syslog_tcp`. */
  readonly name: string
  /** What it asks of whoever sends. */
  readonly access: Access
  /** Opens it; the address, `host:port`, that was opened, or undefined where the configuration says `off`. */
  open(): Promise<string | undefined>
  /** Does nothing where it is not open. */
  close(): Promise<void>
}

export interface Part {
  /** For messages: `could not start metrics: ...`. */
  readonly name: string
  /**
   * Its routes answer before the process is ready: health, own metrics, pages. Those of other parts say 503 until
   * then.
   */
  readonly answersAtOnce?: boolean
  /** Aliases included. No two parts own the same method and path. */
  readonly routes: readonly GuardedRoute[]
  readonly sockets: readonly SocketRoute[]
  readonly grpc: readonly GrpcMethod[]
  readonly listeners: readonly Listener[]
  /** Registers the part's own metrics, once, before the start. */
  metrics(registry: Registry): void
  /** Called for every part that was started before the addresses are closed and the parts are stopped. */
  drain?(): void
  /**
   * Called in the order of the list, when the addresses are open already. What it opened before it throws is closed
   * by `stop`.
   */
  start(): Promise<void>
  /** Called in reverse order for every part whose `start` was called, also when that start failed. */
  stop(): Promise<void>
  /** Reads its files again; what is wrong in them changes nothing, and is thrown. */
  reload?(): Promise<void>
  /** Why the part can't serve yet, or no more; undefined: it can. */
  ready?(): string | undefined
  /** What does not work although the part serves; undefined: all works. */
  warning?(): string | undefined
}

/** A part from the pieces that it has. */
export function makePart(pieces: Pick<Part, 'name'> & Partial<Part>): Part {
  return {
    routes: [],
    sockets: [],
    grpc: [],
    listeners: [],
    metrics: () => {},
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    ...pieces,
  }
}

/**
 * What every push protocol does: content type, body, decode, append, reply, errors. A protocol is a decoder plus the
 * shape of its reply: one file that makes a `PushProtocol` and names its paths, and one line in the list of its signal
 * (metrics-protocols.ts, log-protocols.ts, trace-protocols.ts).
 */
import type { SignalName } from '#core/signal-name.ts'
import { writes, type Caller } from '#net/access.ts'
import type { GrpcMethod } from '#net/grpc.ts'
import {
  allowing,
  at,
  replyTo,
  type Finish,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type GuardedRoute,
  type Method,
} from '#net/route-table.ts'
import { ingestErrors } from './reply.ts'

/** What a protocol serves. */
export interface ServedProtocol {
  readonly routes: readonly GuardedRoute[]
  readonly grpc: readonly GrpcMethod[]
}

/** Whose data a caller sends. Throws UnauthorizedError, ForbiddenError, BadDataError. */
export type TenantOf = (caller: Caller) => string

/** The door of a signal: stores a batch for a tenant. */
export type Append<Batch, Outcome> = (tenant: string, batch: Batch) => Promise<Outcome>

/** Where the batches of a signal go. */
export interface Destination<Batch, Outcome> {
  readonly signal: SignalName
  readonly append: Append<Batch, Outcome>
  readonly tenantOf: TenantOf
}

/** Where the batches of one request go. */
export interface Intake<Batch, Outcome> {
  /** Whose request it is. Throws UnauthorizedError. */
  readonly tenant: () => string
  /** The batch is copied, or not kept, before the first wait: a decoder may fill it again when this has returned. */
  readonly append: (batch: Batch) => Promise<Outcome>
}

/**
 * One push protocol. `Format` is what a request says about its body, `Batch` and `Outcome` are those of the signal's
 * door, and `Stored` is what the reply needs to know.
 */
export interface PushProtocol<Format, Batch, Outcome, Stored = Outcome> {
  /** Read from headers and parameters, before the body. Throws UnsupportedTypeError (415) and BadDataError (400). */
  readonly formatOf: (request: HttpRequest) => Format
  /** The bytes to decode; the uncompressed body where a protocol does not say how to read it. */
  readonly read?: (request: HttpRequest, format: Format) => Promise<Uint8Array>
  /** Decodes a body and appends what it holds. Errors are those of the decoder and of the door. */
  readonly store: (body: Uint8Array, format: Format, intake: Intake<Batch, Outcome>) => Promise<Stored>
  readonly reply: (stored: Stored, format: Format) => HttpReply
  /** The reply to an error, where a protocol adds something to the one that all have. */
  readonly failed?: (reply: HttpReply, format: Format) => HttpReply
}

/** The protocol over HTTP. */
function pushHandler<Format, Batch, Outcome, Stored>(
  protocol: PushProtocol<Format, Batch, Outcome, Stored>,
  { append, tenantOf }: Destination<Batch, Outcome>,
): Handler {
  const take = async (request: HttpRequest, format: Format): Promise<HttpReply> => {
    const body = protocol.read === undefined ? await request.body() : await protocol.read(request, format)
    const tenant = (): string => tenantOf(request)
    const intake = { tenant, append: (batch: Batch) => append(tenant(), batch) }
    return protocol.reply(await protocol.store(body, format, intake), format)
  }
  return async request => {
    let format: Format
    try {
      format = protocol.formatOf(request)
    } catch (error) {
      return replyTo(error, ingestErrors)
    }
    try {
      return await take(request, format)
    } catch (error) {
      const reply = replyTo(error, ingestErrors)
      return protocol.failed === undefined ? reply : protocol.failed(reply, format)
    }
  }
}

/** A protocol's message over gRPC. */
export interface PushMethod<Format, Stored> {
  /** Full service name, package included. */
  readonly service: string
  readonly method: string
  /** The format of messages. */
  readonly format: Format
  /** The response message. Throws where the caller must learn of it by its status. */
  readonly answer: (stored: Stored) => Uint8Array
}

/** The same protocol over gRPC: the message in, the response message out. */
function pushMethod<Format, Batch, Outcome, Stored>(
  { service, method, format, answer }: PushMethod<Format, Stored>,
  protocol: PushProtocol<Format, Batch, Outcome, Stored>,
  { signal, append, tenantOf }: Destination<Batch, Outcome>,
): GrpcMethod {
  return {
    service,
    method,
    access: writes(signal),
    handler: async (message, caller) => {
      const tenant = tenantOf(caller)
      const intake = { tenant: () => tenant, append: (batch: Batch) => append(tenant, batch) }
      return answer(await protocol.store(message, format, intake))
    },
  }
}

/** Where a protocol is served. */
export interface Places<Format, Stored> {
  readonly methods: readonly Method[]
  readonly paths: readonly string[]
  readonly grpc?: PushMethod<Format, Stored>
}

/** A protocol at its paths, and its gRPC method where it has one. */
export function serve<Format, Batch, Outcome, Stored>(
  protocol: PushProtocol<Format, Batch, Outcome, Stored>,
  { methods, paths, grpc }: Places<NoInfer<Format>, NoInfer<Stored>>,
  destination: Destination<Batch, Outcome>,
): ServedProtocol {
  return {
    routes: allowing(writes(destination.signal), at(methods, paths, pushHandler(protocol, destination))),
    grpc: grpc === undefined ? [] : [pushMethod(grpc, protocol, destination)],
  }
}

/** The same, with every answer at its paths brought into one form. */
export function finished({ routes, grpc }: ServedProtocol, finish: Finish): ServedProtocol {
  return { routes: routes.map(route => ({ ...route, finish })), grpc }
}

/** All that a list of protocols serves. */
export function joinProtocols(protocols: readonly ServedProtocol[]): { routes: GuardedRoute[]; grpc: GrpcMethod[] } {
  return { routes: protocols.flatMap(p => p.routes), grpc: protocols.flatMap(p => p.grpc) }
}

/** The media type of a request, without parameters; `fallback` where it names none. */
export function mediaTypeOf(request: HttpRequest, fallback: string): string {
  const type = request.header('content-type') ?? fallback
  const semicolon = type.indexOf(';')
  return (semicolon < 0 ? type : type.slice(0, semicolon)).trim()
}

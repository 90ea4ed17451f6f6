/** gRPC calls with one request, bodies as bytes: decoding is the handler's. */
import type { PeerCertificate } from 'node:tls'
import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  status,
  type handleServerStreamingCall,
  type Metadata,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js'
import type { Clock } from '#core/clock.ts'
import { ForbiddenError, messageOf, TimeoutError, UnauthorizedError, UnavailableError } from '#core/errors.ts'
import type { MemoryBudget, MemoryHold } from '#core/memory-budget.ts'
import type { Access, Caller } from './access.ts'
import { isRefusal, type Auth, type Refusal } from './auth.ts'
import { certificateOf } from './client-certificate.ts'
import { checkPort, listenError } from './listen-error.ts'
import { WaitingReaders } from './paced-body.ts'
import { replyTo, type ByErrorKind } from './route-table.ts'
import { secureOptions, type TlsOptions } from './tls-options.ts'

export interface GrpcMethod {
  /** Full service name, package included. */
  service: string
  method: string
  access: Access
  /** `signal`: the caller went away. */
  handler: (message: Uint8Array, caller: Caller, signal: AbortSignal) => Promise<Uint8Array>
}

/** Certificates that are replaced while connections go on; the library's own can't say a version of TLS. */
class FollowedCredentials extends ServerCredentials {
  /** Ends the following. */
  readonly end: () => void

  constructor(tls: TlsOptions) {
    super(secureOptions(tls), tls.certificates.context)
    this.end = tls.certificates.follow(context => {
      this.updateSecureContextOptions(context)
    })
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other
  }
}

/** Calls of one connection at a time; clients wait with more. */
const streamsMax = 100

const asIs = (bytes: Buffer): Buffer => bytes

/** OTLP senders retry on UNAVAILABLE and RESOURCE_EXHAUSTED (with RetryInfo), and drop on the rest. */
const codes = {
  'bad-data': () => status.INVALID_ARGUMENT,
  'bad-query': () => status.INVALID_ARGUMENT,
  canceled: () => status.CANCELLED,
  conflict: () => status.INTERNAL,
  'corrupt-data': () => status.INVALID_ARGUMENT,
  evaluation: () => status.INVALID_ARGUMENT,
  execution: () => status.INVALID_ARGUMENT,
  forbidden: () => status.PERMISSION_DENIED,
  limit: error => (error.status === 429 ? status.UNAVAILABLE : status.INVALID_ARGUMENT),
  'not-found': () => status.NOT_FOUND,
  timeout: () => status.DEADLINE_EXCEEDED,
  unauthorized: () => status.UNAUTHENTICATED,
  unavailable: () => status.UNAVAILABLE,
  unknown: () => status.INTERNAL,
} satisfies ByErrorKind<status>

function failure(error: unknown): Partial<ServiceError> {
  return { code: replyTo<status>(error, codes), details: messageOf(error) }
}

/** A call with one request, as both kinds of handlers get it. */
interface Call {
  readonly request: Buffer
  readonly metadata: Metadata
  /** `address:port`. */
  getPeer(): string
  /** The certificate of a client that was checked. */
  getAuthContext(): { sslPeerCertificate?: PeerCertificate | undefined }
  on(event: 'cancelled', run: () => void): unknown
}

function headerOf(metadata: Metadata, name: string): string | undefined {
  const value = metadata.get(name)[0]
  return value === undefined ? undefined : String(value)
}

function forwardedFor(metadata: Metadata): string | undefined {
  const values = metadata.get('x-forwarded-for')
  return values.length === 0 ? undefined : values.join(',')
}

function hostOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '')
}

function refusalError({ status: code, reason }: Refusal): Error {
  if (code === 401) return new UnauthorizedError(reason)
  return code === 403 ? new ForbiddenError(reason) : new UnavailableError(reason, 1)
}

export interface GrpcOptions {
  clock: Pick<Clock, 'monotonicMs' | 'after'>
  /** What requests and answers draw on. */
  memory: MemoryBudget
  /** A call that takes nothing of its answer in this time is ended; so is a connection that answers no ping. */
  writeTimeoutMs: number
  /** Called for each of these calls. */
  onSlowReader: () => void
}

export class GrpcServer {
  readonly #options: GrpcOptions | undefined
  readonly #server: Server
  readonly #tls: TlsOptions | undefined
  readonly #auth: Auth
  readonly #readers: WaitingReaders | undefined
  readonly #followed: FollowedCredentials[] = []

  /** `messageBytesMax`: longer requests are refused. Without `options` nobody counts and nobody is waited for. */
  constructor(
    methods: readonly GrpcMethod[],
    messageBytesMax: number,
    auth: Auth,
    tls: TlsOptions | undefined,
    options?: GrpcOptions,
  ) {
    this.#options = options
    this.#readers = options && new WaitingReaders(options.clock, options.writeTimeoutMs)
    this.#tls = tls
    this.#auth = auth
    // Its errors are thrown or answered; the library would write them to the standard error too.
    setLogVerbosity(logVerbosity.NONE)
    const { writeTimeoutMs = Infinity } = options ?? {}
    const ping = { 'grpc.keepalive_time_ms': writeTimeoutMs, 'grpc.keepalive_timeout_ms': writeTimeoutMs }
    this.#server = new Server({
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_concurrent_streams': streamsMax,
      ...(writeTimeoutMs === Infinity ? {} : ping),
    })
    for (const method of methods) this.#add(method)
  }

  #add(own: GrpcMethod): void {
    const { service, method } = own
    const definition = {
      path: `/${service}/${method}`,
      requestStream: false,
      // An answer of one message is the same bytes either way; only of a stream it is known when they were taken.
      responseStream: true,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    }
    const stream: handleServerStreamingCall<Buffer, Buffer> = call => {
      this.#run(own, call).then(
        answer => {
          this.#stream(call, answer)
        },
        (error: unknown) => {
          call.emit('error', failure(error))
        },
      )
    }
    this.#server.addService({ [method]: definition }, { [method]: stream })
  }

  /** The answer as one message; it is held until the caller has taken it, or has gone. */
  #stream(call: ServerWritableStream<Buffer, Buffer>, answer: Buffer): void {
    const hold = this.#options?.memory.account('answers').hold()
    try {
      hold?.take(answer.length)
    } catch (error) {
      hold?.close()
      call.emit('error', failure(error))
      return
    }
    const taken = this.#readers?.wait(() => {
      this.#options?.onSlowReader()
      hold?.close()
      call.emit('error', failure(new TimeoutError('the answer was not read in time (write_timeout)')))
    })
    const end = (): void => {
      taken?.()
      hold?.close()
    }
    call.on('cancelled', end)
    call.write(answer, end)
    call.end()
  }

  #holdBody(bytes: number): MemoryHold | undefined {
    const hold = this.#options?.memory.account('bodies').hold()
    hold?.take(bytes)
    return hold
  }

  /** Throws UnauthorizedError, ForbiddenError, and what the handler throws. */
  async #run({ access, handler }: GrpcMethod, call: Call): Promise<Buffer> {
    const gone = new AbortController()
    call.on('cancelled', () => {
      gone.abort()
    })
    const header: Caller['header'] = name => headerOf(call.metadata, name)
    const admission = await this.#auth.enter(access, {
      authorization: header('authorization'),
      remoteAddress: this.#auth.addresses.of(hostOf(call.getPeer()), forwardedFor(call.metadata)),
      clientSubject: certificateOf(call.getAuthContext().sslPeerCertificate)?.subject,
    })
    if (isRefusal(admission)) throw refusalError(admission)
    const hold = this.#holdBody(call.request.length)
    try {
      return Buffer.from(await handler(call.request, { header, grant: admission }, gone.signal))
    } finally {
      hold?.close()
    }
  }

  /**
   * `host:port`, port 0 = any. Returns the address that was opened. Throws BadDataError where it can't be listened at;
   * addresses that were opened before stay open until `close`.
   */
  async listen(address: string, tls = this.#tls): Promise<string> {
    checkPort(address)
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, this.#credentials(tls), (error, port) => {
        if (error !== null) reject(listenError(address, error))
        else resolve(`${address.slice(0, address.lastIndexOf(':'))}:${port}`)
      })
    })
  }

  #credentials(tls: TlsOptions | undefined): ServerCredentials {
    if (tls === undefined) return ServerCredentials.createInsecure()
    const followed = new FollowedCredentials(tls)
    this.#followed.push(followed)
    return followed
  }

  close(): Promise<void> {
    this.#readers?.close()
    for (const followed of this.#followed) followed.end()
    return new Promise(resolve => {
      this.#server.tryShutdown(() => {
        resolve()
      })
      this.#server.forceShutdown()
    })
  }
}

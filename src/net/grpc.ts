/** gRPC calls with one request, bodies as bytes: decoding is the handler's. */
import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  status,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js'
import { messageOf, UnauthorizedError } from '#core/errors.ts'
import type { Auth } from './auth.ts'
import { checkPort, listenError } from './listen-error.ts'
import { replyTo, type ByErrorKind } from './route-table.ts'
import type { TlsOptions } from './tls-options.ts'

export interface GrpcMethod {
  /** Full service name, package included. */
  service: string
  method: string
  /** The answer goes out as a stream of one message. */
  isStream?: boolean
  /** `signal`: the caller went away. */
  handler: (message: Uint8Array, tenant: string | undefined, signal: AbortSignal) => Promise<Uint8Array>
}

function credentials(tls: TlsOptions | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure()
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }
  return ServerCredentials.createSsl(
    tls.clientCa === undefined ? null : Buffer.from(tls.clientCa),
    [pair],
    tls.clientCa !== undefined,
  )
}

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
  on(event: 'cancelled', run: () => void): unknown
}

function headerOf(metadata: Metadata, name: string): string | undefined {
  const value = metadata.get(name)[0]
  return value === undefined ? undefined : String(value)
}

export class GrpcServer {
  readonly #server: Server
  readonly #tls: TlsOptions | undefined
  readonly #auth: Auth

  /** `messageBytesMax`: longer requests are refused. */
  constructor(methods: readonly GrpcMethod[], messageBytesMax: number, auth: Auth, tls: TlsOptions | undefined) {
    this.#tls = tls
    this.#auth = auth
    // Its errors are thrown or answered; the library would write them to the standard error too.
    setLogVerbosity(logVerbosity.NONE)
    this.#server = new Server({ 'grpc.max_receive_message_length': messageBytesMax })
    for (const method of methods) this.#add(method)
  }

  #add(own: GrpcMethod): void {
    const { service, method, isStream = false } = own
    const definition = {
      path: `/${service}/${method}`,
      requestStream: false,
      responseStream: isStream,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    }
    const unary: handleUnaryCall<Buffer, Buffer> = (call, reply) => {
      this.#run(own, call).then(
        answer => {
          reply(null, answer)
        },
        (error: unknown) => {
          reply(failure(error))
        },
      )
    }
    const stream: handleServerStreamingCall<Buffer, Buffer> = call => {
      this.#run(own, call).then(
        answer => {
          call.write(answer)
          call.end()
        },
        (error: unknown) => {
          call.emit('error', failure(error))
        },
      )
    }
    this.#server.addService({ [method]: definition }, { [method]: isStream ? stream : unary })
  }

  /** Throws UnauthorizedError, and what the handler throws. */
  async #run({ service, method, handler }: GrpcMethod, call: Call): Promise<Buffer> {
    const gone = new AbortController()
    call.on('cancelled', () => {
      gone.abort()
    })
    const problem = this.#auth.refuses(`/${service}/${method}`, headerOf(call.metadata, 'authorization'))
    if (problem !== undefined) throw new UnauthorizedError(problem)
    return Buffer.from(await handler(call.request, headerOf(call.metadata, 'x-scope-orgid'), gone.signal))
  }

  /**
   * `host:port`, port 0 = any. Returns the address that was opened. Throws BadDataError where it can't be listened at;
   * addresses that were opened before stay open until `close`.
   */
  async listen(address: string): Promise<string> {
    checkPort(address)
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials(this.#tls), (error, port) => {
        if (error !== null) reject(listenError(address, error))
        else resolve(`${address.slice(0, address.lastIndexOf(':'))}:${port}`)
      })
    })
  }

  close(): Promise<void> {
    return new Promise(resolve => {
      this.#server.tryShutdown(() => {
        resolve()
      })
      this.#server.forceShutdown()
    })
  }
}

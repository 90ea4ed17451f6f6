/** gRPC calls with one request, bodies as bytes: decoding is the handler's. */
import {
  Server,
  ServerCredentials,
  status,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js'
import { messageOf, UnauthorizedError } from '#core/errors.ts'
import type { Auth } from './auth.ts'
import type { TlsOptions } from './http.ts'
import { replyTo, type ByErrorKind } from './route-table.ts'

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

export class GrpcServer {
  readonly #server: Server

  readonly #tls: TlsOptions | undefined

  constructor(methods: readonly GrpcMethod[], messageBytesMax: number, auth: Auth, tls: TlsOptions | undefined) {
    this.#tls = tls
    this.#server = new Server({ 'grpc.max_receive_message_length': messageBytesMax })
    for (const { service, method, isStream = false, handler } of methods) {
      const run = async (
        { request, metadata }: { request: Buffer; metadata: Metadata },
        signal: AbortSignal,
      ): Promise<Buffer> => {
        const authorization = metadata.get('authorization')[0]
        const problem = auth.refuses(
          `/${service}/${method}`,
          authorization === undefined ? undefined : String(authorization),
        )
        if (problem !== undefined) throw new UnauthorizedError(problem)
        const tenant = metadata.get('x-scope-orgid')[0]
        return Buffer.from(await handler(request, tenant === undefined ? undefined : String(tenant), signal))
      }
      const unary: handleUnaryCall<Buffer, Buffer> = (call, reply) => {
        const gone = new AbortController()
        call.on('cancelled', () => {
          gone.abort()
        })
        run(call, gone.signal).then(
          answer => {
            reply(null, answer)
          },
          (error: unknown) => {
            reply(failure(error))
          },
        )
      }
      const stream: handleServerStreamingCall<Buffer, Buffer> = call => {
        const gone = new AbortController()
        call.on('cancelled', () => {
          gone.abort()
        })
        run(call, gone.signal).then(
          answer => {
            call.write(answer)
            call.end()
          },
          (error: unknown) => {
            call.emit('error', failure(error))
          },
        )
      }
      this.#server.addService(
        {
          [method]: {
            path: `/${service}/${method}`,
            requestStream: false,
            responseStream: isStream,
            requestSerialize: asIs,
            requestDeserialize: asIs,
            responseSerialize: asIs,
            responseDeserialize: asIs,
          },
        },
        { [method]: isStream ? stream : unary },
      )
    }
  }

  /** `host:port`, port 0 = any. Returns the address that was opened. */
  listen(address: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials(this.#tls), (error, port) => {
        if (error !== null) reject(error)
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

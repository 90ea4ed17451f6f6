/** gRPC unary calls with bodies as bytes: decoding is the handler's. */
import { Server, ServerCredentials, status, type handleUnaryCall } from '@grpc/grpc-js'
import { BadDataError, CorruptDataError, LimitError, messageOf, UnavailableError } from '#core/errors.ts'
import type { Auth } from './auth.ts'
import type { TlsOptions } from './http.ts'

export interface GrpcMethod {
  /** Full service name, package included. */
  service: string
  method: string
  handler: (message: Uint8Array, tenant: string | undefined) => Promise<Uint8Array>
}

function credentials(tls: TlsOptions | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure()
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }
  return ServerCredentials.createSsl(tls.clientCa === undefined ? null : Buffer.from(tls.clientCa), [pair], tls.clientCa !== undefined)
}

const asIs = (bytes: Buffer): Buffer => bytes

/** OTLP senders retry on UNAVAILABLE and RESOURCE_EXHAUSTED (with RetryInfo), and drop on the rest. */
function statusOf(error: unknown): number {
  if (error instanceof UnavailableError) return status.UNAVAILABLE
  if (error instanceof LimitError) return error.status === 429 ? status.UNAVAILABLE : status.INVALID_ARGUMENT
  return error instanceof BadDataError || error instanceof CorruptDataError ? status.INVALID_ARGUMENT : status.INTERNAL
}

export class GrpcServer {
  readonly #server: Server

  readonly #tls: TlsOptions | undefined

  constructor(methods: readonly GrpcMethod[], messageBytesMax: number, auth: Auth, tls: TlsOptions | undefined) {
    this.#tls = tls
    this.#server = new Server({ 'grpc.max_receive_message_length': messageBytesMax })
    for (const { service, method, handler } of methods) {
      const call: handleUnaryCall<Buffer, Buffer> = (request, reply) => {
        const authorization = request.metadata.get('authorization')[0]
        const problem = auth.refuses(`/${service}/${method}`, authorization === undefined ? undefined : String(authorization))
        if (problem !== undefined) { reply({ code: status.UNAUTHENTICATED, details: problem }); return }
        const tenant = request.metadata.get('x-scope-orgid')[0]
        Promise.resolve().then(() => handler(request.request, tenant === undefined ? undefined : String(tenant))).then(
          answer => { reply(null, Buffer.from(answer)) },
          (error: unknown) => { reply({ code: statusOf(error), details: messageOf(error) }) },
        )
      }
      this.#server.addService({ [method]: { path: `/${service}/${method}`, requestStream: false, responseStream: false, requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs } }, { [method]: call })
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
      this.#server.tryShutdown(() => { resolve() })
      this.#server.forceShutdown()
    })
  }
}

/** The addresses that all parts share: one HTTP server and one gRPC server over the routes and methods of the parts. */
import { errorReply } from '#api/prometheus/respond.ts'
import type { Tenancy } from '#api/tenancy.ts'
import { messageOf, UnavailableError } from '#core/errors.ts'
import type { Caller } from '#net/access.ts'
import { noAuth } from '#net/auth.ts'
import type { GrpcMethod, GrpcServer } from '#net/grpc.ts'
import { HttpServer, type RequestObserver } from '#net/http.ts'
import { LocalRequests } from '#net/local-requests.ts'
import { RouteTable, type GuardedRoute, type HttpReply } from '#net/route-table.ts'
import type { SocketRoute } from '#net/web-socket.ts'
import type { Audit } from './audit.ts'
import type { Context } from './context.ts'
import type { Address, SharedServers } from './lifecycle.ts'
import type { Part } from './part.ts'
import { hostAndPort } from './world.ts'

function refusalOf(reason: string): HttpReply {
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'retry-after': '2' }
  return { status: 503, headers, body: `${reason}\n` }
}

/** Routes that change something, other than by ingestion: `cors_origins: '*'` lets any page send telemetry, not act. */
function isAction({ access }: Pick<GuardedRoute, 'access'>): boolean {
  return (access.kind === 'signal' || access.kind === 'process') && (access.verb === 'rules' || access.verb === 'admin')
}

/**
 * What is asked of a part before the process is ready, or while it stops, gets 503, or UNAVAILABLE: its sender sends it
 * again.
 */
class Gate {
  readonly #notRunning: () => string | undefined
  readonly #tenancy: Tenancy
  readonly #audit: Audit

  constructor(notRunning: () => string | undefined, { tenancy, audit }: Pick<Context, 'tenancy' | 'audit'>) {
    this.#notRunning = notRunning
    this.#tenancy = tenancy
    this.#audit = audit
  }

  routes({ routes, answersAtOnce }: Part): readonly GuardedRoute[] {
    return routes.map(route => {
      const guarded: GuardedRoute = {
        ...route,
        handler: async request => {
          const reason = answersAtOnce === true ? undefined : this.#notRunning()
          if (reason !== undefined) return refusalOf(reason)
          // Nobody is refused at an open route, whatever tenant a probe's headers name.
          const forbidden = route.access.kind === 'open' ? undefined : this.#forbids(request)
          if (forbidden !== undefined) return route.refuse?.(forbidden) ?? errorReply(forbidden)
          return route.handler(request)
        },
      }
      return isAction(route) ? this.#audit.watched(guarded) : guarded
    })
  }

  /** Why the caller may not name the tenants that it names. */
  #forbids(caller: Caller): unknown {
    try {
      this.#tenancy.check(caller)
      return undefined
    } catch (error) {
      return error
    }
  }

  sockets({ sockets }: Part): SocketRoute[] {
    return sockets.map(route => ({
      ...route,
      open: request => {
        const reason = this.#notRunning()
        if (reason !== undefined) return { status: 503, body: `${reason}\n` }
        const forbidden = this.#forbids(request)
        return forbidden === undefined ? route.open(request) : { status: 403, body: `${messageOf(forbidden)}\n` }
      },
    }))
  }

  grpc({ grpc }: Part): GrpcMethod[] {
    return grpc.map(method => ({
      ...method,
      handler: async (message, caller, signal) => {
        const reason = this.#notRunning()
        if (reason !== undefined) throw new UnavailableError(reason, 2)
        this.#tenancy.check(caller)
        return method.handler(message, caller, signal)
      },
    }))
  }
}

export class Servers implements SharedServers {
  readonly #context: Context
  readonly #http: HttpServer
  readonly #methods: readonly GrpcMethod[]
  #grpc: GrpcServer | undefined
  /** The same routes for who asks from within the process. */
  readonly local: LocalRequests
  /** Health and readiness without TLS and credentials. */
  readonly #health: HttpServer
  /** As they were opened, in that order. */
  readonly addresses: Address[] = []

  /** `onRequest` is called after every HTTP request. Throws when two parts claim the same route. */
  constructor(
    context: Context,
    parts: readonly Part[],
    notRunning: () => string | undefined,
    onRequest: RequestObserver,
  ) {
    this.#context = context
    const { limits, security, world, memory, slowReaders } = context
    const writeTimeoutMs = context.config.durationMs('write_timeout')
    const gate = new Gate(notRunning, context)
    const table = new RouteTable()
    for (const part of parts) table.add(part.name, gate.routes(part))
    const sockets = parts.flatMap(part => gate.sockets(part))
    const options = {
      log: world.log,
      bodyBytesMax: limits.bodyBytesMax,
      decodedBytesMax: limits.decodedBytesMax,
      onError: errorReply,
      monotonicMs: () => world.clock.monotonicMs(),
      after: (delayMs: number, run: () => void) => world.clock.after(delayMs, run),
      memory,
      writeTimeoutMs,
      onSlowReader: () => slowReaders.http++,
      onRequest,
    }
    this.local = new LocalRequests(table.routes, options)
    const { auth, browsers } = security
    this.#http = new HttpServer(table.routes, sockets, {
      ...options,
      auth,
      browsers,
      isAction,
      onForbidden: forbidden => {
        context.audit.noteForbidden(forbidden)
      },
    })
    const health = table.routes.filter(({ access }) => access.kind === 'open')
    this.#health = new HttpServer(health, [], { ...options, auth: noAuth })
    this.#methods = parts.flatMap(part => gate.grpc(part))
  }

  /** `http://host:port` of the main address; `https:` with TLS. */
  get url(): string {
    const main = this.addresses.find(({ name }) => name === 'http') ?? this.addresses[0]
    return `${this.#context.security.tls === undefined ? 'http' : 'https'}://${main?.address ?? ''}`
  }

  async open(): Promise<void> {
    const { config } = this.#context
    await this.#openHttp('http', config.text('listen.http'))
    await this.#openHttp('otlp_http', config.text('listen.otlp_http'))
    for (const alias of config.list('listen.aliases')) await this.#openHttp('aliases', alias)
    await this.#openHealth(config.text('listen.health'))
    await this.#openGrpc('otlp_grpc', config.text('listen.otlp_grpc'))
    for (const alias of config.list('listen.grpc_aliases')) await this.#openGrpc('grpc_aliases', alias)
    await this.#openGrpc('loki_grpc', config.text('listen.loki_grpc'))
  }

  async #openHttp(listener: 'http' | 'otlp_http' | 'aliases', setting: string): Promise<void> {
    if (setting === 'off') return
    const { host, port } = hostAndPort(setting)
    const address = await this.#http.listen(host, port, this.#context.security.tls?.of(listener))
    this.addresses.push({ name: listener === 'aliases' ? 'alias' : listener, address })
  }

  async #openHealth(setting: string): Promise<void> {
    if (setting === 'off') return
    const { host, port } = hostAndPort(setting)
    this.addresses.push({ name: 'health', address: await this.#health.listen(host, port) })
  }

  async #openGrpc(listener: 'otlp_grpc' | 'loki_grpc' | 'grpc_aliases', setting: string): Promise<void> {
    if (setting === 'off' || this.#methods.length === 0) return
    this.#grpc ??= await this.#makeGrpc()
    const address = await this.#grpc.listen(setting, this.#context.security.tls?.of(listener))
    this.addresses.push({ name: listener === 'grpc_aliases' ? 'grpc_alias' : listener, address })
  }

  /** An agent has no methods, and goes without the library. */
  async #makeGrpc(): Promise<GrpcServer> {
    const { config, limits, security, world, memory, slowReaders } = this.#context
    const { GrpcServer: Server } = await import('#net/grpc.ts')
    return new Server(this.#methods, limits.bodyBytesMax, security.auth, undefined, {
      clock: world.clock,
      memory,
      writeTimeoutMs: config.durationMs('write_timeout'),
      onSlowReader: () => slowReaders.grpc++,
    })
  }

  async close(): Promise<void> {
    await this.#http.close()
    await this.#grpc?.close()
    await this.#health.close()
  }
}

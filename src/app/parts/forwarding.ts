/** Forwarding, the agent's part: what is scraped and received waits in queues on the disk and is sent on to remotes. */
import { createHash } from 'node:crypto'
import type { Registry } from '#core/counter.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { identityOf, maskUrl } from '#core/secret.ts'
import { DiskQueue } from '#forward/disk-queue.ts'
import { kept, MetricsForwarder, type MetricsRemote } from '#forward/metrics-forwarder.ts'
import { packMessage, Remote, type Lane, type RemoteOptions } from '#forward/remote.ts'
import { agentMetricsRoutes } from '#ingest/metrics-protocols.ts'
import type { TenantOf } from '#ingest/protocol.ts'
import { ingestError } from '#ingest/reply.ts'
import { plainClient, readHttpClient, type HttpClientSettings } from '#lang/settings/http-client.ts'
import { parseSettings } from '#lang/settings/section.ts'
import { writes } from '#net/access.ts'
import type { HttpClient } from '#net/http-client.ts'
import { allowing, at, type GuardedRoute, type Handler, type HttpReply, type HttpRequest } from '#net/route-table.ts'
import type { PrometheusConfig, RemoteWriteSettings } from '#scrape/config.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'

/** Requests at once, at most, whatever prometheus.yml says. An agent's memory is small. */
const lanesMax = 64
const defaultDelivery = { timeoutMs: 30_000, lanes: 2, minBackoffMs: 100, maxBackoffMs: 10_000 }

type Delivery = Pick<RemoteOptions, 'timeoutMs' | 'lanes' | 'minBackoffMs' | 'maxBackoffMs'> & {
  headers?: Record<string, string>
  /** Undefined: without anything. */
  settings?: HttpClientSettings
  /** What distinguishes two remotes at one URL; the URL where it is not given. */
  identity?: string
}
type RemoteKind = 'remote_write' | 'loki' | 'otlp'

/** Throws BadDataError for what is no address of a server of HTTP. */
function hostOf(url: string, kind: RemoteKind): string {
  if (/^https?:/i.test(url) && URL.canParse(url)) return new URL(url).host
  throw new BadDataError(`agent.${kind}: ${JSON.stringify(maskUrl(url))} is no URL like https://host/path`)
}

type ClientFor = (settings: HttpClientSettings) => HttpClient

/** The remotes of the process, each opened once: who asks for the same one again gets it, reached as is asked now. */
class Remotes {
  readonly #context: Context
  readonly #clientFor: ClientFor
  /** With what decides how each is reached. */
  readonly #open = new Map<string, { remote: Remote; access: string }>()
  registry: Registry | undefined

  constructor(context: Context, clientFor: ClientFor) {
    this.#context = context
    this.#clientFor = clientFor
  }

  all(): Remote[] {
    return [...this.#open.values()].map(({ remote }) => remote)
  }

  async open(kind: RemoteKind, url: string, delivery: Delivery): Promise<Remote> {
    const identity = `${kind} ${delivery.identity ?? url}`
    const id = createHash('sha256').update(identity).digest('hex').slice(0, 12)
    const { settings = plainClient, headers = {}, timeoutMs } = delivery
    const access = identityOf([settings, headers, timeoutMs])
    const known = this.#open.get(id)
    if (known !== undefined) {
      if (known.access !== access) known.remote.reach({ client: this.#clientFor(settings), headers, timeoutMs })
      known.access = access
      return known.remote
    }
    const remote = this.#make(kind, url, id, delivery)
    await remote.start()
    this.#open.set(id, { remote, access })
    this.#register(remote, id)
    return remote
  }

  #make(kind: RemoteKind, url: string, id: string, delivery: Delivery): Remote {
    const { config, world } = this.#context
    const { clock, files, log } = world
    const { timeoutMs, lanes, minBackoffMs, maxBackoffMs, headers = {}, settings = plainClient } = delivery
    return new Remote({
      clock,
      log,
      name: `${kind} ${hostOf(url, kind)}`,
      url,
      client: this.#clientFor(settings),
      queue: new DiskQueue({
        files,
        log,
        directory: `${config.text('data_dir')}/agent/${kind}-${id}`,
        bytesMax: config.bytes('agent.queue_size'),
      }),
      headers,
      timeoutMs,
      lanes,
      minBackoffMs,
      maxBackoffMs,
    })
  }

  #register(remote: Remote, id: string): void {
    const labels = { remote: remote.name, id }
    const counter = (name: string, help: string, read: () => number): void => {
      this.registry?.read(name, help, 'counter', read, labels)
    }
    const { queue } = remote
    const help = 'Bytes that wait on the disk to be sent.'
    this.registry?.read('tercet_agent_queue_bytes', help, 'gauge', () => queue.bytes, labels)
    counter(
      'tercet_agent_queue_dropped_bytes_total',
      'Bytes that were dropped because the queue was full.',
      () => queue.dropped,
    )
    counter('tercet_agent_messages_sent_total', 'Messages that the remote took.', () => remote.sent)
    counter('tercet_agent_samples_sent_total', 'Samples that the remote took.', () => remote.sentSamples)
    counter('tercet_agent_retries_total', 'Messages that had to be sent again.', () => remote.retries)
    counter('tercet_agent_samples_refused_total', 'Samples of refused messages.', () => remote.refusedSamples)
    counter(
      'tercet_agent_queue_damaged_bytes_total',
      "Bytes of the queue's files that are no whole message, and were passed over.",
      () => queue.damaged,
    )
    remote.onNewReason = reason => {
      const refused = 'Messages that the remote refused for good, by its status, or that were damaged.'
      const read = (): number => remote.refusedBy.get(reason) ?? 0
      this.registry?.read('tercet_agent_messages_refused_total', refused, 'counter', read, { ...labels, reason })
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.all().map(remote => remote.stop()))
  }
}

/** Headers of a body that goes on as it came. */
const relayedHeaders = ['content-type', 'content-encoding', 'x-scope-orgid'] as const

function headersToRelay(request: HttpRequest): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of relayedHeaders) {
    const value = request.header(name)
    if (value !== undefined) headers[name] = value
  }
  return headers
}

interface RelayOptions {
  /** Opened when the part starts. */
  remotes: readonly Remote[]
  what: string
  /** The option that names remotes. */
  option: string
  /** Below the remote's URL. */
  path: string
  /** 204 without a body, or 200 with an empty OTLP response. */
  status: 200 | 204
  /** Spans have no order; lines go one message after the other: whose lines are in a body is not looked up. */
  lane?: Lane
}

/** Bodies go on as they came, after the queues of all remotes have them. */
function relay({ remotes, what, option, path, status, lane }: RelayOptions): Handler {
  return async request => {
    try {
      if (remotes.length === 0) throw new BadDataError(`this agent forwards no ${what}: it has no ${option}`)
      const body = await request.rawBody()
      if (body.length === 0) throw new BadDataError('the body is empty')
      const headers = headersToRelay(request)
      const head = { path, headers, ...(lane === undefined ? {} : { lane }) }
      await kept(remotes.map(remote => remote.queue.put(packMessage(head, body))))
      return status === 204 ? { status } : emptyResponse(headers['content-type'])
    } catch (error) {
      return ingestError(error)
    }
  }
}

function emptyResponse(contentType = 'application/json'): HttpReply {
  const body = contentType.includes('json') ? '{}' : new Uint8Array(0)
  return { status: 200, headers: { 'content-type': contentType }, body }
}

export interface ForwardingPart extends Part {
  /** Takes in what is scraped and received. */
  forwarder: MetricsForwarder
  /** Where log lines go. */
  loki: readonly Remote[]
  remotes(): Remote[]
  /** Sends to the remotes that prometheus.yml names from now on; the queue of one that is gone stays on the disk. */
  apply(config: PrometheusConfig | undefined): Promise<void>
}

/** `clientFor` makes clients with the credentials of prometheus.yml. */
export function makeForwarding(context: Context, clientFor: ClientFor): ForwardingPart {
  const { config, world, kernel, limits } = context
  const remotes = new Remotes(context, clientFor)
  const forwarder = new MetricsForwarder()
  const loki: Remote[] = []
  const otlp: Remote[] = []

  const fromSettings = async (settings: RemoteWriteSettings): Promise<MetricsRemote> => ({
    remote: await remotes.open('remote_write', settings.url, {
      timeoutMs: settings.timeoutMs,
      // Each batch is split over all lanes, so that more of them make more and smaller requests.
      lanes: Math.max(1, Math.min(lanesMax, settings.queue.minShards)),
      minBackoffMs: settings.queue.minBackoffMs,
      maxBackoffMs: settings.queue.maxBackoffMs,
      headers: Object.fromEntries(settings.headers.map(([name, value]) => [name.toLowerCase(), value])),
      settings: settings.client,
      identity: `${settings.url} ${settings.name}`,
    }),
    rules: settings.writeRelabelRules,
    isWithExemplars: settings.sendExemplars,
    isWithHistograms: settings.sendNativeHistograms,
    version: settings.protobufMessage === 'prometheus.WriteRequest' ? 1 : 2,
  })
  // As agent.client_config_file says it, once the part has started.
  let named: Delivery = defaultDelivery
  const fromFlag = async (url: string): Promise<MetricsRemote> => ({
    remote: await remotes.open('remote_write', url, { ...named, lanes: 1 }),
    rules: [],
    isWithExemplars: true,
    isWithHistograms: true,
    version: 1,
  })
  const apply = async (loaded: PrometheusConfig | undefined): Promise<void> => {
    const next: MetricsRemote[] = []
    for (const settings of loaded?.remoteWrite ?? []) if (settings.url !== '') next.push(await fromSettings(settings))
    for (const url of config.list('agent.remote_write')) next.push(await fromFlag(url))
    forwarder.externalLabels = loaded?.externalLabels ?? []
    forwarder.remotes = next
  }
  /** Opens the remotes that the configuration names, or reaches them as their file says now. */
  const openNamed = async (): Promise<void> => {
    const settings = await readClientConfig(config.text('agent.client_config_file'), context)
    named = { ...defaultDelivery, ...(settings === undefined ? {} : { settings }) }
    const open = async (kind: 'loki' | 'otlp', urls: readonly string[], into: Remote[]): Promise<void> => {
      const opened = await Promise.all(urls.map(url => remotes.open(kind, url, named)))
      into.length = 0
      addAll(into, opened)
    }
    await open('loki', config.list('agent.loki'), loki)
    const bases = config.list('agent.otlp').map(url => url.replace(/\/+$/, ''))
    await open('otlp', bases, otlp)
  }
  // The remote decides whose samples they are.
  const tenantOf: TenantOf = caller => caller.header('x-scope-orgid') ?? ''
  const push = { appender: forwarder, tenantOf, clock: world.clock, kernel, limits }
  const part = makePart({
    name: 'forwarding',
    routes: [...agentMetricsRoutes(push), ...relayRoutes(loki, otlp)],
    metrics: registry => {
      remotes.registry = registry
      const help = 'Samples scraped and received.'
      registry.read('tercet_agent_samples_total', help, 'counter', () => forwarder.samples)
    },
    start: async () => {
      await openNamed()
    },
    // The remotes of prometheus.yml follow when it is read again.
    reload: () => openNamed(),
    stop: () => remotes.stop(),
  })
  return { ...part, forwarder, loki, remotes: () => remotes.all(), apply }
}

/** How remotes are reached that the configuration names by a URL alone; undefined: without anything. */
async function readClientConfig(
  path: string,
  { world, env }: Pick<Context, 'world' | 'env'>,
): Promise<HttpClientSettings | undefined> {
  if (path === '') return undefined
  let text: string
  try {
    text = Buffer.from(await world.files.read(path)).toString('utf8')
  } catch (error) {
    throw new BadDataError(`${path}: ${messageOf(error)}`, { cause: error })
  }
  const section = parseSettings(text, path, env).section()
  const settings = readHttpClient(section)
  section.finish()
  return settings
}

function relayRoutes(loki: readonly Remote[], otlp: readonly Remote[]): GuardedRoute[] {
  const lines = relay({ remotes: loki, what: 'log lines', option: 'agent.loki', path: '', status: 204 })
  const otlpRelay = (what: string, path: string, lane?: Lane): Handler =>
    relay({ remotes: otlp, what, option: 'agent.otlp', path, status: 200, ...(lane === undefined ? {} : { lane }) })
  return [
    ...allowing(writes('logs'), at(['POST'], ['/loki/api/v1/push'], lines)),
    ...allowing(writes('logs'), at(['POST'], ['/v1/logs'], otlpRelay('logs', '/v1/logs'))),
    ...allowing(writes('traces'), at(['POST'], ['/v1/traces'], otlpRelay('traces', '/v1/traces', 'any'))),
  ]
}

/** tercet up --role=agent: scrapes, receives and follows log files, and forwards; nothing is stored but what waits to be sent. */
import { createHash } from 'node:crypto'
import { makeHashSeed } from '#codec/series-key.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { Registry } from '#core/counter.ts'
import { BadDataError } from '#core/errors.ts'
import { errorReply } from '#api/prometheus/respond.ts'
import { targetRoutes } from '#api/prometheus/targets.ts'
import { DiskQueue } from '#forward/disk-queue.ts'
import { LogTailer } from '#forward/log-tailer.ts'
import { MetricsForwarder, type MetricsRemote } from '#forward/metrics-forwarder.ts'
import { packMessage, Remote, type RemoteOptions } from '#forward/remote.ts'
import { agentMetricsRoutes } from '#ingest/metrics-protocols.ts'
import { ingestError } from '#ingest/reply.ts'
import { compileAnchored } from '#lang/regex/regex.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { HttpClient } from '#net/http-client.ts'
import { HttpServer } from '#net/http.ts'
import type { Handler, Route } from '#net/route-table.ts'
import type { PrometheusConfig, RemoteWriteSettings } from '#scrape/config.ts'
import { OperatorWatcher } from '#scrape/operator/watcher.ts'
import type { Config } from './config.ts'
import { limitsOf, openSecurity, hostAndPort, type World } from './world.ts'
import { Scraping } from './scraping.ts'
import { version } from './version.ts'

export interface Agent {
  readonly url: string
  readonly addresses: { name: string; address: string }[]
  readonly remotes: readonly Remote[]
  reload(): Promise<void>
  close(): Promise<void>
}

/** Requests at once, where the file does not say. An agent's memory is small. */
const shardsMax = 4
const defaultRemote = { timeoutMs: 30_000, shards: 2, minBackoffMs: 100, maxBackoffMs: 10_000 }

export async function startAgent(config: Config, world: World): Promise<Agent> {
  const { clock, random, files, log } = world
  const dataDir = config.text('data_dir'),
    env = process.env
  const limits = limitsOf(config)
  const { auth, tls } = await openSecurity(config, files)
  const forwarder = new MetricsForwarder()
  const scraping = new Scraping({
    world,
    env,
    file: config.text('scrape_config_file'),
    appender: forwarder,
    tenant: '',
    bodyBytesMax: config.bytes('limits.scrape_size'),
    version,
  })
  const registry = new Registry()
  const running = new Map<string, Remote>()
  const client = (settings: typeof plainClient): HttpClient => scraping.discovery.client(settings)

  const openRemote = async (
    kind: string,
    url: string,
    settings: Pick<RemoteOptions, 'timeoutMs' | 'shards' | 'minBackoffMs' | 'maxBackoffMs'> & {
      headers?: Record<string, string>
      client?: HttpClient
      identity?: string
    },
  ): Promise<Remote> => {
    const id = createHash('sha256')
      .update(`${kind} ${settings.identity ?? url}`)
      .digest('hex')
      .slice(0, 12)
    const known = running.get(id)
    if (known !== undefined) return known
    const host = new URL(url).host
    const remote = new Remote({
      clock,
      log,
      name: `${kind} ${host}`,
      url,
      client: settings.client ?? client(plainClient),
      queue: new DiskQueue({
        files,
        log,
        directory: `${dataDir}/agent/${kind}-${id}`,
        bytesMax: config.bytes('agent.queue_size'),
      }),
      headers: settings.headers ?? {},
      timeoutMs: settings.timeoutMs,
      shards: settings.shards,
      minBackoffMs: settings.minBackoffMs,
      maxBackoffMs: settings.maxBackoffMs,
    })
    await remote.start()
    running.set(id, remote)
    for (const [name, help, type, value] of [
      ['tercet_agent_queue_bytes', 'Bytes that wait on the disk to be sent.', 'gauge', () => remote.queue.bytes],
      [
        'tercet_agent_queue_dropped_bytes_total',
        'Bytes that were dropped because the queue was full.',
        'counter',
        () => remote.queue.dropped,
      ],
      ['tercet_agent_messages_sent_total', 'Messages that the remote took.', 'counter', () => remote.sent],
      ['tercet_agent_samples_sent_total', 'Samples that the remote took.', 'counter', () => remote.sentSamples],
      ['tercet_agent_retries_total', 'Messages that had to be sent again.', 'counter', () => remote.retries],
      [
        'tercet_agent_messages_refused_total',
        'Messages that the remote refused for good.',
        'counter',
        () => remote.refused,
      ],
    ] as const)
      registry.read(name, help, type, value, { remote: `${kind} ${host}`, id })
    return remote
  }
  const metricsRemote = async (settings: RemoteWriteSettings): Promise<MetricsRemote> => ({
    remote: await openRemote('remote_write', settings.url, {
      timeoutMs: settings.timeoutMs,
      shards: Math.max(settings.queue.minShards, Math.min(shardsMax, settings.queue.maxShards)),
      minBackoffMs: settings.queue.minBackoffMs,
      maxBackoffMs: settings.queue.maxBackoffMs,
      headers: Object.fromEntries(settings.headers.map(([name, value]) => [name.toLowerCase(), value])),
      client: client(settings.client),
      identity: `${settings.url} ${settings.name}`,
    }),
    rules: settings.writeRelabelRules,
    isWithExemplars: settings.sendExemplars,
    isWithHistograms: settings.sendNativeHistograms,
    version: settings.protobufMessage === 'prometheus.WriteRequest' ? 1 : 2,
  })
  /** Remotes of the file change with it; what waits for one that is gone stays on the disk. */
  const apply = async (loaded: PrometheusConfig | undefined): Promise<void> => {
    const remotes: MetricsRemote[] = []
    for (const settings of loaded?.remoteWrite ?? [])
      if (settings.url !== '') remotes.push(await metricsRemote(settings))
    for (const url of config.list('agent.remote_write'))
      remotes.push({
        remote: await openRemote('remote_write', url, defaultRemote),
        rules: [],
        isWithExemplars: true,
        isWithHistograms: true,
        version: 1,
      })
    forwarder.externalLabels = loaded?.externalLabels ?? []
    forwarder.remotes = remotes
  }
  const loki: Remote[] = [],
    otlp: Remote[] = []
  for (const url of config.list('agent.loki')) loki.push(await openRemote('loki', url, defaultRemote))
  for (const url of config.list('agent.otlp'))
    otlp.push(await openRemote('otlp', url.replace(/\/+$/, ''), defaultRemote))

  /** Bodies go on as they came. */
  const relay =
    (remotes: readonly Remote[], what: string, path: string, status: number): Handler =>
    async request => {
      try {
        if (remotes.length === 0)
          throw new BadDataError(
            `this agent forwards no ${what}: it has no ${what === 'log lines' ? 'agent.loki' : 'agent.otlp'}`,
          )
        const body = await request.rawBody()
        if (body.length === 0) throw new BadDataError('the body is empty')
        const headers = Object.fromEntries(
          ['content-type', 'content-encoding', 'x-scope-orgid'].flatMap(name => {
            const value = request.header(name)
            return value === undefined ? [] : [[name, value]]
          }),
        ) as Record<string, string>
        await Promise.all(remotes.map(remote => remote.queue.put(packMessage({ path, headers }, body))))
        return status === 204
          ? { status }
          : {
              status,
              headers: { 'content-type': headers['content-type'] ?? 'application/json' },
              body: (headers['content-type'] ?? '').includes('json') ? '{}' : new Uint8Array(0),
            }
      } catch (error) {
        return ingestError(error)
      }
    }
  const kernel = new WriteRequestKernel(makeHashSeed(random))
  registry.read('tercet_build_info', 'The version that runs.', 'gauge', () => 1, { version })
  registry.read('tercet_agent_samples_total', 'Samples scraped and received.', 'counter', () => forwarder.samples)
  registry.read('process_resident_memory_bytes', 'Resident memory size in bytes.', 'gauge', () =>
    process.memoryUsage.rss(),
  )
  registry.read('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', 'counter', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  const ok =
    (text: string): Handler =>
    async () => ({ status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: text })
  let reload: () => Promise<void> = () => Promise.resolve()
  const routes: Route[] = [
    ...targetRoutes(scraping, () => new Map()),
    ...agentMetricsRoutes({ appender: forwarder, tenantOf: header => header ?? '', clock, kernel, limits }),
    { methods: ['POST'], path: '/loki/api/v1/push', handler: relay(loki, 'log lines', '', 204) },
    { methods: ['POST'], path: '/v1/logs', handler: relay(otlp, 'logs', '/v1/logs', 200) },
    { methods: ['POST'], path: '/v1/traces', handler: relay(otlp, 'traces', '/v1/traces', 200) },
    { methods: ['GET'], path: '/health', handler: ok('OK') },
    { methods: ['GET'], path: '/-/healthy', handler: ok('Tercet is healthy.\n') },
    { methods: ['GET'], path: '/-/ready', handler: ok('Tercet is ready.\n') },
    { methods: ['GET'], path: '/ready', handler: ok('Tercet is ready.\n') },
    {
      methods: ['GET'],
      path: '/metrics',
      handler: async () => ({
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: registry.expose(),
      }),
    },
    {
      methods: ['POST', 'PUT'],
      path: '/-/reload',
      handler: async () => {
        try {
          await reload()
        } catch (error) {
          return errorReply(error)
        }
        return { status: 200, body: '' }
      },
    },
  ]
  const http = new HttpServer(routes, [], {
    log,
    bodyBytesMax: limits.bodyBytesMax,
    decodedBytesMax: limits.decodedBytesMax,
    onError: errorReply,
    monotonicMs: () => clock.monotonicMs(),
    onRequest: () => {
      /* not counted */
    },
    auth,
    tls,
  })
  const addresses: { name: string; address: string }[] = []
  const listen = async (name: string, setting: string): Promise<void> => {
    if (setting === 'off') return
    const { host, port } = hostAndPort(setting)
    addresses.push({ name, address: await http.listen(host, port) })
  }
  await listen('http', config.text('listen.http'))
  await listen('otlp_http', config.text('listen.otlp_http'))
  for (const alias of config.list('listen.aliases')) await listen('alias', alias)
  reload = async () => {
    await apply(await scraping.load())
  }
  try {
    await reload()
  } catch (error) {
    await http.close()
    for (const remote of running.values()) await remote.stop()
    throw error
  }
  const follows =
    config.text('operator_objects') === 'on' ||
    (config.text('operator_objects') === 'auto' && (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '')
  const operators = follows
    ? new OperatorWatcher(scraping.discovery, ({ jobs }) => scraping.setOperatorJobs(jobs))
    : undefined
  operators?.start()
  const logDirectory = config.text('agent.log_directory'),
    firstLine = config.text('agent.log_first_line')
  if (logDirectory !== '' && loki.length === 0)
    throw new BadDataError('agent.log_directory needs agent.loki: a place to send lines to')
  const first = firstLine === '' ? undefined : compileAnchored(`${firstLine}.*`)
  const tailer =
    logDirectory === ''
      ? undefined
      : new LogTailer({
          clock,
          files,
          log,
          directory: logDirectory,
          statePath: `${dataDir}/agent/log-places.json`,
          labels: Object.fromEntries(forwarder.externalLabels),
          isFirstLine: first === undefined ? undefined : line => first.test(line),
          push: async body => {
            await Promise.all(
              loki.map(remote =>
                remote.queue.put(packMessage({ headers: { 'content-type': 'application/json' } }, body)),
              ),
            )
          },
        })
  await tailer?.start()
  if (tailer !== undefined) {
    registry.read('tercet_agent_log_lines_total', 'Log lines read.', 'counter', () => tailer.lines)
    registry.read(
      'tercet_agent_log_lines_malformed_total',
      "Lines of log files that are not in CRI's format.",
      'counter',
      () => tailer.malformed,
    )
  }
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${addresses[0]?.address ?? ''}`,
    addresses,
    get remotes() {
      return [...running.values()]
    },
    reload: () => reload(),
    async close() {
      await operators?.stop()
      await scraping.stop()
      await tailer?.stop()
      await http.close()
      await Promise.all([...running.values()].map(remote => remote.stop()))
    },
  }
}

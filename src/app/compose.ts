/** Puts the process together: the world, the bucket, the signal, the routes. The only place that knows everything. */
import { dirname, resolve } from 'node:path'
import { CachedBucket } from '#bucket/cache.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { probeBucket } from '#bucket/probe.ts'
import { makeHashSeed } from '#codec/series-key.ts'
import { Fence } from '#store/fencing.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { Repeater } from '#core/clock.ts'
import { Registry } from '#core/counter.ts'
import { BadDataError, messageOf, UnauthorizedError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { lokiRoutes } from '#api/loki/routes.ts'
import { tailRoutes } from '#api/loki/tail.ts'
import { prometheusRoutes } from '#api/prometheus/routes.ts'
import { errorReply } from '#api/prometheus/respond.ts'
import { logProtocols } from '#ingest/log-protocols.ts'
import { metricsProtocols } from '#ingest/metrics-protocols.ts'
import { SyslogReceiver } from '#ingest/syslog.ts'
import { MetricsEngine } from '#metrics/engine.ts'
import { LogsEngine } from '#logs/engine.ts'
import { listenTcp, listenUdp } from '#net/byte-streams.ts'
import { HttpServer } from '#net/http.ts'
import type { HttpRequest, Route } from '#net/route-table.ts'
import { GrpcServer } from '#net/grpc.ts'
import { LogsqlEngine } from '#query/logsql/engine.ts'
import { LogqlEngine } from '#query/logql/engine.ts'
import { HiddenLines } from '#query/logql/scan.ts'
import { TraceMetrics } from '#query/traceql/metrics.ts'
import { TraceSearch } from '#query/traceql/search.ts'
import { TagFinder } from '#query/traceql/tags.ts'
import { tercetRoutes, type ListedBlock, type Setting } from '#api/tercet/routes.ts'
import { RunningQueries } from '#api/tercet/running-queries.ts'
import { uiRoutes } from '#api/tercet/ui.ts'
import { alertmanagerRoutes } from '#api/alertmanager/routes.ts'
import { jaegerRoutes, type Dependency } from '#api/jaeger/routes.ts'
import { TempoAnswers } from '#api/tempo/answers.ts'
import { tempoRoutes } from '#api/tempo/routes.ts'
import { tempoStreams } from '#api/tempo/streams.ts'
import { DerivedMetrics } from '#ingest/derived-metrics.ts'
import { traceProtocols } from '#ingest/trace-protocols.ts'
import { TracesEngine } from '#traces/engine.ts'
import { defaultDedicated, layoutOf, type BlockFormat } from '#traces/schema.ts'
import { decodeOtlpTraces, decodeSpan, encodeOtlpTraces, spanSize } from '#wire/otlp/traces.ts'
import { OperatorWatcher } from '#scrape/operator/watcher.ts'
import { PromqlEngine } from '#query/promql/engine.ts'
import { victoriaLogsRoutes } from '#api/victorialogs/routes.ts'
import { ruleRoutes } from '#api/prometheus/rules.ts'
import { targetRoutes } from '#api/prometheus/targets.ts'
import { exportRoutes } from '#api/prometheus/export.ts'
import { openBucket } from './buckets.ts'
import type { Config } from './config.ts'
import { guardOrigin } from '#net/same-origin.ts'
import { optionOf, type OptionName } from './options.ts'
import { filesOf } from '#scrape/discovery/simple.ts'
import { uiFiles } from './ui-files.ts'
import { hostAndPort, limitsOf, openSecurity, shareOf, type World } from './world.ts'
import { SelfMetrics } from './self-metrics.ts'
import { SelfTraces } from './self-traces.ts'
import { Alerting, loadRules } from './alerting.ts'
import { loadAlertmanagerConfig, OwnAlertmanager } from './alertmanager.ts'
import { loadPrometheusConfig, Scraping } from './scraping.ts'
import { version } from './version.ts'

export interface Tercet {
  /** `http://host:port` of the main address, `https:` with TLS. */
  readonly url: string
  readonly addresses: { name: string; address: string }[]
  readonly metrics: MetricsEngine
  readonly logs: LogsEngine
  traces: TracesEngine
  flush(): Promise<void>
  reload(): Promise<void>
  close(): Promise<void>
}

const defaultTenant = 'anonymous'
const defaultLogTenant = 'fake'
/** Tempo's tenant without multitenancy. */
const defaultTraceTenant = 'single-tenant'

/** What changes something and is no ingestion: browsers send telemetry from pages of everybody. */
function isAction({ methods, path }: Route): boolean {
  return (
    (path.startsWith('/-/') && !methods.includes('GET')) ||
    ((methods.includes('POST') || methods.includes('PUT') || methods.includes('DELETE')) &&
      (/\/api\/v2\/silences?\b/.test(path) || /\/admin\/|\/delete$/.test(path) || path.startsWith('/api/tercet/')))
  )
}

/** A restart does not take back what was given away. */
async function refuseHandedOver(prefixes: readonly (readonly [Bucket, string])[]): Promise<void> {
  for (const [bucket, tenant] of prefixes) {
    const successor = await Fence.successorOf(bucket, `${tenant}/tercet/epoch/`)
    if (successor !== undefined)
      throw new BadDataError(
        `${bucket.description} was handed over to ${successor}. To write there again, stop those and start once with --take_back=true; to look, start with --role=query`,
      )
  }
}

function openLogs(
  config: Config,
  { clock, random, files, log, memoryBytes }: World,
  bucket: Bucket,
  limits: Limits,
  isReader: boolean,
): LogsEngine {
  const outOfOrderMs = config.durationMs('logs.out_of_order_window')
  return new LogsEngine({
    clock,
    random,
    files,
    log,
    bucket,
    directory: `${config.text('data_dir')}/logs`,
    defaultTenant: defaultLogTenant,
    isBase64: bucket instanceof DirectoryBucket,
    durability: config.text('durability') as 'local' | 'bucket',
    syncAlways: config.text('wal_sync') === 'always',
    retentionMs: config.durationMs('logs.retention'),
    deletionDelayMs: config.durationMs('logs.deletion_delay'),
    hides: (notices, labels) => new HiddenLines(notices, () => clock.nowMs()).of(labels),
    admission: {
      // Who takes lines of any age, takes old ones too.
      maxAgeMs: outOfOrderMs === Infinity ? Infinity : limits.logMaxAgeMs,
      futureMs: limits.futureMs,
      outOfOrderMs,
      lineBytesMax: config.bytes('limits.log_line_size'),
      labelsPerStreamMax: limits.logLabelsMax,
      labelNameBytesMax: 1024,
      labelValueBytesMax: 2048,
      metadataPairsMax: limits.logMetadataPairsMax,
      metadataBytesMax: limits.logMetadataBytesMax,
    },
    streamsMax: config.number('limits.log_streams'),
    rateBytes: config.bytes('limits.log_rate') || Infinity,
    headBytesMax: shareOf({ memoryBytes }, 1 / 8, 256 * 1024 * 1024),
    cacheBytes: shareOf({ memoryBytes }, 1 / 8, config.bytes('logs.cache_size')),
    freeBytesMin: config.bytes('disk_free_min'),
    readOnly: isReader,
    refreshMs: bucket instanceof DirectoryBucket ? 60_000 : isReader ? 300_000 : 3_600_000,
  })
}

function openTraces(
  config: Config,
  { clock, random, files, log, memoryBytes }: World,
  bucket: Bucket,
  limits: Limits,
  isReader: boolean,
): TracesEngine {
  return new TracesEngine({
    clock,
    random,
    files,
    log,
    bucket,
    directory: `${config.text('data_dir')}/traces`,
    defaultTenant: defaultTraceTenant,
    durability: config.text('durability') as 'local' | 'bucket',
    syncAlways: config.text('wal_sync') === 'always',
    retentionMs: config.durationMs('traces.retention'),
    limits: {
      futureMs: Math.max(limits.futureMs, 86_400_000),
      traceBytesMax: config.bytes('limits.trace_size'),
      attributeBytesMax: config.bytes('limits.trace_attribute_size'),
      attributesMax: config.number('limits.trace_attributes'),
      requestSpansMax: config.number('limits.trace_request_spans'),
      liveTracesMax: config.number('limits.live_traces'),
    },
    layout: layoutOf(config.text('traces.block_version') as BlockFormat, defaultDedicated),
    headBytesMax: shareOf({ memoryBytes }, 1 / 10, 192 * 1024 * 1024),
    compactBytesMax: shareOf({ memoryBytes }, 1 / 64, 128 * 1024 * 1024),
    cacheBytes: shareOf({ memoryBytes }, 1 / 8, config.bytes('traces.cache_size')),
    freeBytesMin: config.bytes('disk_free_min'),
    readOnly: isReader,
    refreshMs: bucket instanceof DirectoryBucket ? 60_000 : 300_000,
    decode: decodeOtlpTraces,
    decodeSpan,
    encode: encodeOtlpTraces,
  })
}

/** Files of others are looked at before anything is opened or changed. Throws BadDataError. */
async function checkFiles(config: Config, { files, log }: World): Promise<void> {
  const missing = (path: string): void => {
    log.warn('a file of rules is not there', { file: path })
  }
  const scrapeFile = config.text('scrape_config_file')
  if (scrapeFile !== '')
    await loadRules(
      (await loadPrometheusConfig(scrapeFile, files, process.env)).ruleFiles,
      files,
      dirname(resolve(scrapeFile)),
      process.env,
      missing,
    )
  await loadRules(config.list('rule_files'), files, resolve('.'), process.env, missing)
  await loadAlertmanagerConfig(config.text('alertmanager_config_file'), files, process.env)
}

export async function startTercet(config: Config, world: World): Promise<Tercet> {
  const { clock, random, files, log } = world
  const limits = limitsOf(config)
  const dataDir = config.text('data_dir')
  const { auth, tls } = await openSecurity(config, files)
  if (config.text('role') !== 'query') await checkFiles(config, world)
  const bucket = await openBucket(config, world, 'metrics')
  const logsBucket = await openBucket(config, world, 'logs')
  const tracesBucket = await openBucket(config, world, 'traces')
  const isReader = config.text('role') === 'query',
    isAnswering = config.text('role') !== 'insert'
  await probeBucket(tracesBucket, `${defaultTraceTenant}/tercet/`, isReader, random)
  await probeBucket(bucket, `${defaultTenant}/tercet/`, isReader, random)
  await probeBucket(logsBucket, `${defaultLogTenant}/tercet/`, isReader, random)
  if (!isReader && !config.isOn('take_back'))
    await refuseHandedOver([
      [bucket, defaultTenant],
      [logsBucket, defaultLogTenant],
      [tracesBucket, defaultTraceTenant],
    ])
  const registry = new Registry()
  const hashSeed = makeHashSeed(random)
  const metrics = new MetricsEngine({
    clock,
    random,
    hashSeed,
    files,
    log,
    bucket,
    limits,
    directory: `${dataDir}/metrics`,
    defaultTenant,
    durability: config.text('durability') as 'local' | 'bucket',
    syncAlways: config.text('wal_sync') === 'always',
    blockMs: config.durationMs('metrics.block_duration'),
    outOfOrderMs: config.durationMs('metrics.out_of_order_window'),
    retentionMs: config.durationMs('metrics.retention'),
    retentionBytesMax: config.bytes('metrics.retention_size') || Infinity,
    freeBytesMin: config.bytes('disk_free_min'),
    readOnly: isReader,
    // Listing a directory costs nothing; in an object store only a process that does not write itself needs to look.
    refreshMs: bucket instanceof DirectoryBucket ? 60_000 : isReader ? 300_000 : 3_600_000,
  })
  const logs = openLogs(config, world, logsBucket, limits, isReader)
  const traces = openTraces(config, world, tracesBucket, limits, isReader)
  const tenancy = config.text('tenancy') === 'on'
  const tenantNamed = (header: string | undefined, fallback = defaultTenant): string => {
    if (!tenancy) return fallback
    const tenant = header ?? ''
    if (!/^[A-Za-z0-9!_.*'()-]{1,150}$/.test(tenant) || tenant === '.' || tenant === '..')
      throw new UnauthorizedError(
        "no org id: the X-Scope-OrgID header must name the tenant in 1 to 150 letters, digits and !-_.*'()",
      )
    return tenant
  }
  const tenantOf = (request: HttpRequest): string => tenantNamed(request.header('x-scope-orgid'))
  const logTenantOf = (request: HttpRequest): string => tenantNamed(request.header('x-scope-orgid'), defaultLogTenant)
  const traceTenantOf = (request: HttpRequest): string =>
    tenantNamed(request.header('x-scope-orgid'), defaultTraceTenant)
  const engine = new PromqlEngine(clock, limits)
  const startedMs = clock.nowMs()
  const kernel = new WriteRequestKernel(hashSeed)
  const logql = new LogqlEngine(clock, limits, { seriesMax: limits.logQuerySeriesMax, stepsMax: limits.queryStepsMax })
  const derives = config.isOn('traces.derived_metrics') && !isReader
  const derived = new DerivedMetrics({
    clock,
    log,
    metrics,
    seriesMax: config.number('limits.derived_series'),
    sizeOf: spanSize,
    decode: decodeSpan,
  })
  // Without multitenancy each signal has a name of its own for its one tenant.
  const pushes = [
    metricsProtocols({ appender: metrics, tenantOf: header => tenantNamed(header), clock, kernel, limits }),
    logProtocols({
      appender: logs,
      tenantOf: header => tenantNamed(header, defaultLogTenant),
      clock,
      log,
      kernel,
      limits,
    }),
    traceProtocols({
      appender: traces,
      tenantOf: header => tenantNamed(header, defaultTraceTenant),
      onStored: (tenant, trace, message) => {
        if (derives) derived.add(tenant === defaultTraceTenant ? defaultTenant : tenant, trace, message)
      },
    }),
  ]
  const search = new TraceSearch(clock, limits),
    tags = new TagFinder(clock, limits)
  const traceql = new TraceMetrics(clock, limits)
  const tempo = new TempoAnswers({ clock, search, tags, metrics: traceql })
  /** From the service graph's own metrics. */
  const dependencies = async (request: HttpRequest, endMs: number, lookbackMs: number): Promise<Dependency[]> => {
    const { series } = await engine.instant(
      metrics.reader(tenantOf(request)),
      `sum by (client, server) (increase(traces_service_graph_request_total[${Math.max(1, Math.round(lookbackMs))}ms]))`,
      endMs,
      { signal: request.signal },
    )
    return series
      .map(s => ({
        parent: s.labels.get('client') ?? '',
        child: s.labels.get('server') ?? '',
        callCount: Math.round(s.values[0] ?? 0),
      }))
      .filter(d => d.callCount > 0)
  }
  const syslog = new SyslogReceiver(logs, defaultLogTenant, clock, log, config.bytes('limits.log_line_size'))
  const self = new SelfMetrics(
    registry,
    metrics,
    logs,
    traces,
    bucket instanceof CachedBucket ? bucket : undefined,
    clock,
    version,
  )
  const ok =
    (text: string) => async (): Promise<{ status: number; headers: Record<string, string>; body: string }> => ({
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: text,
    })
  const selfTraces =
    config.isOn('self_trace') && !isReader
      ? new SelfTraces(traces, defaultTraceTenant, clock, random, log, version)
      : undefined
  const scraping = new Scraping({
    world,
    env: process.env,
    file: isReader ? '' : config.text('scrape_config_file'),
    appender: metrics,
    tenant: defaultTenant,
    bodyBytesMax: config.bytes('limits.scrape_size'),
    version,
  })
  // Where nothing else is said, links lead to the address that is listened at.
  const externalUrl = (
    config.text('external_url') || `${tls === undefined ? 'http' : 'https'}://${config.text('listen.http')}`
  ).replace(/\/+$/, '')
  const own = isReader
    ? undefined
    : await OwnAlertmanager.open({
        world,
        env: process.env,
        file: config.text('alertmanager_config_file'),
        dataDir,
        bucket,
        backupKey: `${defaultTenant}/tercet/alertmanager/state.json`,
        externalUrl,
        allowsOffLimits: config.isOn('limits.notify_link_local'),
      })
  const alerting = new Alerting({
    world,
    env: process.env,
    ruleFiles: isReader ? [] : config.list('rule_files'),
    appender: metrics,
    tenant: defaultTenant,
    externalUrl,
    own: own?.receiver,
    discovery: scraping.discovery,
    promql: engine,
    logql,
    traceql,
    metrics: () => metrics.reader(defaultTenant),
    logs: () => logs.reader(defaultLogTenant),
    traces: () => traces.reader(defaultTraceTenant),
  })
  const followsOperators =
    !isReader &&
    (config.text('operator_objects') === 'on' ||
      (config.text('operator_objects') === 'auto' && (process.env['KUBERNETES_SERVICE_HOST'] ?? '') !== ''))
  const operators = followsOperators
    ? new OperatorWatcher(scraping.discovery, async ({ jobs, rules }) => {
        await scraping.setOperatorJobs(jobs)
        await alerting.setOperatorRules(rules)
      })
    : undefined
  for (const health of ['up', 'down', 'unknown'] as const)
    registry.read(
      'tercet_scrape_targets',
      'Targets by how their last scrape ended.',
      'gauge',
      () => scraping.active().filter(t => t.health === health).length,
      { health },
    )
  registry.read('tercet_rule_groups', 'Groups of rules.', 'gauge', () => alerting.groups().length)
  registry.read('tercet_rule_evaluation_failures', 'Rules whose last evaluation failed.', 'gauge', () =>
    alerting.groups().reduce((sum, g) => sum + g.rules.filter(r => r.health === 'err').length, 0),
  )
  registry.read('tercet_alerts_sent_total', 'Alerts handed to Alertmanagers.', 'counter', () => alerting.notifier.sent)
  registry.read(
    'tercet_alerts_dropped_total',
    'Alerts that no Alertmanager took.',
    'counter',
    () => alerting.notifier.dropped,
  )
  if (own !== undefined) {
    registry.read(
      'tercet_notifications_total',
      'Notifications that receivers took.',
      'counter',
      () => own.alertmanager.notifications,
    )
    registry.read(
      'tercet_notification_failures_total',
      'Notifications that failed.',
      'counter',
      () => own.alertmanager.failures,
    )
    registry.read(
      'tercet_alertmanager_alerts',
      'Alerts that are not over.',
      'gauge',
      () => own.alertmanager.alerts().length,
    )
    registry.read(
      'tercet_alertmanager_silences',
      'Silences, those that are over too.',
      'gauge',
      () => own.alertmanager.silences.size,
    )
  }
  let tercet: Tercet | undefined
  const readiness = async (): Promise<{ status: number; headers: Record<string, string>; body: string }> => {
    const problem = metrics.ready && logs.ready && traces.ready ? undefined : 'starting'
    return {
      status: problem === undefined ? 200 : 503,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: problem ?? 'Tercet is ready.\n',
    }
  }
  const push = ['POST', 'PUT'] as const
  const running = new RunningQueries(clock)
  // Read when they are asked for, so that a changed file shows.
  const dashboards = async (): Promise<{ name: string; text: string }[]> => {
    const paths = (
      await Promise.all(
        config.list('dashboard_files').map(pattern => filesOf({ files, directory: process.cwd() }, pattern)),
      )
    ).flat()
    return Promise.all(
      paths.map(async path => ({
        name: path.slice(path.lastIndexOf('/') + 1).replace(/\.json$/, ''),
        text: Buffer.from(await files.read(path)).toString('utf8'),
      })),
    )
  }
  const listed = (): ListedBlock[] =>
    Object.entries({ metrics, logs, traces }).flatMap(([signal, store]) =>
      store.blockList().map(block => ({ signal, ...block })),
    )
  const settings = (): Setting[] =>
    Object.entries(config.shown()).map(([name, value]) => ({
      name,
      value,
      source: config.placeOf(name as OptionName),
      help: optionOf(name as OptionName).help,
    }))
  const answering: Route[] = [
    ...tercetRoutes({ blocks: listed, settings, running, alertmanager: own?.alertmanager, dashboards }),
    ...prometheusRoutes({
      clock,
      limits,
      engine,
      store: metrics,
      tenantOf,
      version,
      startedMs,
      flags: config.shown(),
      configText: config.describe(),
      retention: config.text('metrics.retention'),
    }),
    ...ruleRoutes(alerting),
    ...(own === undefined ? [] : alertmanagerRoutes({ clock, alertmanager: own.alertmanager, version, startedMs })),
    ...targetRoutes(scraping, request => metrics.metadata(tenantOf(request))),
    ...exportRoutes({ clock, store: metrics, tenantOf }),
    ...lokiRoutes({
      clock,
      engine: logql,
      store: logs,
      tenantOf: logTenantOf,
      version,
      entriesMax: limits.logQueryEntriesMax,
      queryLengthMaxMs: limits.logQueryLengthMaxMs,
    }),
    ...victoriaLogsRoutes({
      clock,
      engine: new LogsqlEngine(clock, limits),
      logql,
      store: logs,
      tenantOf: logTenantOf,
    }),
    ...tempoRoutes({ answers: tempo, store: traces, tenantOf: traceTenantOf, version }),
    ...jaegerRoutes({ clock, search, tags, store: traces, tenantOf: traceTenantOf, dependencies }),
  ]
  const refused = {
    status: 403,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: 'This process has role=insert: it takes in and answers no queries. Ask one with role=query over the same bucket, or with role=all.\n',
  }
  const routes: Route[] = [
    ...(isAnswering
      ? running.watched(answering)
      : answering.map((route): Route => ({ ...route, handler: async () => refused }))),
    ...pushes.flatMap(p => p.routes),
    { methods: ['GET'], path: '/health', handler: ok('OK') },
    { methods: ['GET'], path: '/-/healthy', handler: ok('Tercet is healthy.\n') },
    { methods: ['GET'], path: '/-/ready', handler: readiness },
    { methods: ['GET'], path: '/ready', handler: readiness },
    {
      methods: ['GET'],
      path: '/metrics',
      handler: async () => ({
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: self.expose(),
      }),
    },
    {
      methods: push,
      path: '/-/flush',
      handler: async () => {
        await Promise.all([metrics.flush(), logs.flush(), traces.flush()])
        return { status: 204 }
      },
    },
    // To another system on the same buckets: see tercet deploy graduate.
    {
      methods: ['POST'],
      path: '/-/hand-over',
      handler: async ({ query }) => {
        const to = query.get('to') ?? 'another writer'
        await Promise.all([metrics, logs, traces].map(signal => signal.handOver(to)))
        return { status: 204 }
      },
    },
    // Looks for blocks that others put into the buckets.
    {
      methods: push,
      path: '/-/refresh',
      handler: async () => {
        await Promise.all([metrics.refresh(), logs.refresh(), traces.refresh()])
        return { status: 204 }
      },
    },
    {
      methods: push,
      path: '/-/reload',
      handler: async () => {
        await tercet!.reload()
        return { status: 200, body: '' }
      },
    },
    ...uiRoutes(await uiFiles(files), welcome, random),
  ]
  const sockets = !isAnswering
    ? []
    : tailRoutes({ clock, engine: logql, store: logs, tenantOf: header => tenantNamed(header, defaultLogTenant) })
  const guarded = guardOrigin(routes, isAction)
  const http = new HttpServer(guarded, sockets, {
    log,
    bodyBytesMax: limits.bodyBytesMax,
    decodedBytesMax: limits.decodedBytesMax,
    onError: errorReply,
    monotonicMs: () => clock.monotonicMs(),
    onRequest: (route, status, seconds) => {
      self.request(route, status, seconds)
      if (traces.ready) selfTraces?.note(route, status, seconds)
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
  // Listening first: health answers, and everything else says that the process is starting.
  await listen('http', config.text('listen.http'))
  await listen('otlp_http', config.text('listen.otlp_http'))
  for (const alias of config.list('listen.aliases')) await listen('alias', alias)
  const grpc = new GrpcServer(
    [...pushes.flatMap(p => p.grpc), ...tempoStreams(tempo, traces, tenant => tenantNamed(tenant, defaultTraceTenant))],
    limits.bodyBytesMax,
    auth,
    tls,
  )
  const grpcAddress = config.text('listen.otlp_grpc')
  if (grpcAddress !== 'off') addresses.push({ name: 'otlp_grpc', address: await grpc.listen(grpcAddress) })
  for (const alias of config.list('listen.grpc_aliases'))
    addresses.push({ name: 'grpc_alias', address: await grpc.listen(alias) })
  if (config.text('listen.loki_grpc') !== 'off')
    addresses.push({ name: 'loki_grpc', address: await grpc.listen(config.text('listen.loki_grpc')) })
  try {
    await Promise.all([metrics.open(), logs.open(), traces.open()])
    await alerting.load(await scraping.load())
    operators?.start()
  } catch (error) {
    await operators?.stop()
    await scraping.stop()
    await alerting.stop()
    await own?.stop()
    await http.close()
    await grpc.close()
    await Promise.allSettled([metrics.close(), logs.close(), traces.close()])
    throw error
  }
  const syslogServers: { stop(): Promise<void> }[] = []
  const openSyslog = async (name: 'syslog_tcp' | 'syslog_tls' | 'syslog_udp'): Promise<void> => {
    const setting = config.text(`listen.${name}`)
    if (setting === 'off' || isReader) return
    const { host, port } = hostAndPort(setting)
    if (name === 'syslog_tls' && tls === undefined)
      throw new BadDataError('listen.syslog_tls needs tls.cert_file and tls.key_file')
    const server =
      name === 'syslog_udp'
        ? await listenUdp(host, port, syslog.datagram)
        : await listenTcp(host, port, name === 'syslog_tls' ? tls : undefined, syslog.connect)
    addresses.push({ name, address: server.address })
    syslogServers.push(server)
  }
  for (const name of ['syslog_tcp', 'syslog_tls', 'syslog_udp'] as const) await openSyslog(name)
  const deriver = derives
    ? new Repeater(clock, config.durationMs('metrics.scrape_interval'), () => derived.store())
    : undefined
  let scraper: Repeater | undefined
  if (config.isOn('self_scrape') && !isReader) {
    const scrape = (): Promise<void> =>
      self.store(defaultTenant).catch((error: unknown) => {
        log.warn('own metrics could not be stored', { error: messageOf(error) })
      })
    scraper = new Repeater(clock, config.durationMs('metrics.scrape_interval'), scrape)
    void scrape()
  }
  tercet = {
    url: `${tls === undefined ? 'http' : 'https'}://${addresses.find(a => a.name === 'http')?.address ?? addresses[0]?.address ?? ''}`,
    addresses,
    metrics,
    logs,
    traces,
    async flush() {
      await Promise.all([metrics.flush(), logs.flush(), traces.flush()])
    },
    async reload() {
      await checkFiles(config, world)
      await alerting.load(await scraping.load())
      await own?.reload()
      await Promise.all([metrics.refresh(), logs.refresh(), traces.refresh()])
    },
    async close() {
      await operators?.stop()
      await scraping.stop()
      await alerting.stop()
      await own?.stop()
      await scraper?.stop()
      await deriver?.stop()
      for (const server of syslogServers) await server.stop()
      await syslog.close()
      await http.close()
      await grpc.close()
      await Promise.all([metrics.close(), logs.close(), traces.close()])
    },
  }
  return tercet
}

const welcome = `Tercet ${version}

  GET  /api/v1/query?query=up            PromQL, as Prometheus answers it (also under /prometheus)
  POST /api/v1/write                     remote write 1.0 and 2.0
  POST /v1/metrics, /v1/logs, /v1/traces OpenTelemetry
  GET  /loki/api/v1/query_range?query=   LogQL, as Loki answers it (also under /select/logsql)
  POST /loki/api/v1/push                 Loki's push
  GET  /select/logsql/query?query=       LogsQL, as VictoriaLogs answers it
  POST /insert/jsonline                  VictoriaLogs' JSON lines
  GET  /api/search?q={}                  TraceQL, as Tempo answers it
  GET  /api/traces/<id>                  a trace by its id
  GET  /metrics                          own metrics
  POST /-/flush                          cut blocks now, answer when the bucket has them
`

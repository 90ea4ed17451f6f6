/** compose.yaml: the stack on one host. */
import type { SignalName } from '#core/signal-name.ts'
import { alertingOf } from './alerting.ts'
import { dataSources, provisioning } from './grafana.ts'
import { mimirConfig } from './lgtm.ts'
import { lokiConfig, tempoConfig } from './lgtm-config.ts'
import { storeServices } from './release.ts'
import { imageOf, type Engine, type Stack, type StackS3 } from './stack.ts'
import { defined, yamlText, type FileTree } from './tree.ts'
import { images, type Image } from './versions.ts'

type Service = Record<string, unknown>
interface Parts {
  services: Record<string, Service>
  /** On which ports each listens, inside the network: by the names that reach it. */
  ports: Record<string, readonly number[]>
  volumes: string[]
  files: FileTree
  /** Names of files below ./secrets. */
  secrets: Set<string>
}

const network = 'observability'
/** The API and its aliases of Loki and Tempo, OTLP by gRPC and by HTTP. */
const tercetPorts = [8428, 3100, 3200, 4317, 4318]
const probe = { interval: '10s', timeout: '5s', retries: 5, start_period: '10s' } as const

/** What every container has: no rights, no writable root, no surprise after a restart of the host. */
function hardened(service: Service, memory: string): Service {
  return {
    ...service,
    restart: 'unless-stopped',
    read_only: true,
    tmpfs: ['/tmp'],
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    deploy: { resources: { limits: { memory } } },
  }
}

/** Adds a service, under its own name and others. */
function addService(parts: Parts, name: string, service: Service, ports: readonly number[], aliases: string[]): void {
  parts.services[name] = service
  for (const known of [name, ...aliases]) parts.ports[known] = ports
}

const secretFile = (signal: SignalName, part: 'access-key-id' | 'secret-access-key'): string => `${signal}-s3-${part}`

function s3Secrets(stack: Stack, parts: Parts, signals: readonly SignalName[]): string[] {
  if (stack.s3 === undefined) return []
  const names = signals.flatMap(signal => [
    secretFile(signal, 'access-key-id'),
    secretFile(signal, 'secret-access-key'),
  ])
  for (const name of names) parts.secrets.add(name)
  return names
}

/** Buckets and files of keys, a signal each. */
function bucketEnvironment(stack: Stack, s3: StackS3): Record<string, string> {
  const own = stack.signals.map(signal => {
    const name = `TERCET_${signal.toUpperCase()}_BUCKET_S3`
    return {
      [`${name}_BUCKET`]: s3.buckets[signal],
      [`${name}_ACCESS_KEY_ID_FILE`]: `/run/secrets/${secretFile(signal, 'access-key-id')}`,
      [`${name}_SECRET_ACCESS_KEY_FILE`]: `/run/secrets/${secretFile(signal, 'secret-access-key')}`,
    }
  })
  return {
    TERCET_BUCKET_S3_REGION: s3.region,
    ...(s3.endpoint === '' ? {} : { TERCET_BUCKET_S3_ENDPOINT: s3.endpoint }),
    ...(s3.allowInsecure ? { TERCET_BUCKET_S3_ALLOW_INSECURE: 'true' } : {}),
    ...Object.fromEntries(own.flatMap(part => Object.entries(part))),
  }
}

function addTercet(stack: Stack, parts: Parts): void {
  const { s3, retention } = stack
  parts.volumes.push('victoriametrics-data')
  addScrapeConfig(stack, parts, 'tercet', 'What the server scrapes, in the syntax of Prometheus.')
  parts.files.set('config/rules/example.yml', exampleRules)
  const secrets = s3Secrets(stack, parts, stack.signals)
  const auth = authEnvironment(stack, parts, secrets)
  const alertmanager = addAlertmanagerConfig(stack, parts, secrets)
  const service = hardened(
    {
      image: imageOf(stack.image),
      container_name: 'victoriametrics',
      hostname: 'victoriametrics',
      command: ['up', '-storageDataPath=/data', `-retentionPeriod=${retention.metrics}`],
      environment: {
        TERCET_LISTEN_ALIASES: '0.0.0.0:3100,0.0.0.0:3200',
        TERCET_LOG_FORMAT: 'json',
        TERCET_LOGS_RETENTION: retention.logs,
        TERCET_TRACES_RETENTION: retention.traces,
        TERCET_SCRAPE_CONFIG_FILE: '/etc/tercet/prometheus.yml',
        ...(s3 === undefined ? {} : bucketEnvironment(stack, s3)),
        ...auth,
        TERCET_RULE_FILES: '/etc/tercet/rules/*.yml',
        TERCET_ALERTMANAGER_CONFIG_FILE: alertmanager,
        // Docker's log driver sends here from the host: see `logging` below.
        TERCET_LISTEN_SYSLOG_UDP: '0.0.0.0:5514',
      },
      ports: [...tercetPorts.map(port => `127.0.0.1:${port}:${port}`), '127.0.0.1:5514:5514/udp'],
      volumes: ['victoriametrics-data:/data', './config:/etc/tercet:ro'],
      networks: { [network]: { aliases: Object.values(storeServices) } },
      healthcheck: { test: ['CMD', 'node', '/app/tercet.js', 'healthcheck'], ...probe },
      stop_grace_period: '60s',
      ...(secrets.length === 0 ? {} : { secrets }),
      ...(stack.developmentS3.isOn
        ? { depends_on: { bootstrap: { condition: 'service_completed_successfully' } } }
        : {}),
    },
    '512m',
  )
  addService(parts, 'victoriametrics', service, tercetPorts, Object.values(storeServices))
  const comment = `# For programs that send to the store, inside the network ${network}.\n`
  parts.files.set('.env', comment + clientEnvironment(stack))
}

const authUser = 'tercet'
const authFile = 'auth-password'

function authEnvironment(stack: Stack, parts: Parts, secrets: string[]): Record<string, string> {
  if (stack.authSecret === '') return {}
  parts.secrets.add(authFile)
  secrets.push(authFile)
  return { TERCET_AUTH_USERNAME: authUser, TERCET_AUTH_PASSWORD_FILE: `/run/secrets/${authFile}` }
}

/** Grafana reads the file itself. */
function withComposeCredentials(text: string): string {
  return text
    .replaceAll('$TERCET_USERNAME', authUser)
    .replaceAll('$TERCET_PASSWORD', `$__file{/run/secrets/${authFile}}`)
}

/** A group without rules, so that the pattern finds a file. */
const exampleRules = yamlText({ groups: [] }, 'Rules in the syntax of Prometheus; every *.yml of this folder is read.')

/** With credentials in it, it is a secret like the keys. The path in the container. */
function addAlertmanagerConfig(stack: Stack, parts: Parts, secrets: string[]): string {
  const alerting = alertingOf(stack)
  if (alerting.kind === 'secret') {
    parts.secrets.add('alertmanager.yml')
    secrets.push('alertmanager.yml')
    return '/run/secrets/alertmanager.yml'
  }
  const text =
    alerting.kind === 'clear'
      ? `${alerting.config.trimEnd()}\n`
      : yamlText(
          { route: { receiver: 'nobody' }, receivers: [{ name: 'nobody' }] },
          'Who is told of alerts, in the syntax of Alertmanager.',
        )
  parts.files.set('config/alertmanager.yml', text)
  return '/etc/tercet/alertmanager.yml'
}

/** prometheus.yml for a server that scrapes itself. */
function addScrapeConfig(stack: Stack, parts: Parts, jobName: string, comment?: string): void {
  const config = {
    global: { scrape_interval: stack.scrape.interval, scrape_timeout: stack.scrape.timeout },
    scrape_configs: [{ job_name: jobName, static_configs: [{ targets: ['victoriametrics:8428'] }] }],
  }
  parts.files.set('config/prometheus.yml', yamlText(config, comment))
}

function clientEnvironment({ scrape }: Stack): string {
  return [
    'VICTORIAMETRICS_URL=http://victoriametrics:8428',
    'METRICS_PUSH_ENABLED=true',
    `METRICS_PUSH_INTERVAL=${scrape.interval}`,
    '',
  ].join('\n')
}

interface VictoriaServer {
  name: string
  image: Image
  port: number
  /** Where else it listens, and as whom: what are several Services in a cluster is one process here. */
  more?: { ports: readonly number[]; names: readonly string[] }
  flags: readonly string[]
  volumes: readonly string[]
}

const victoriaServers: Readonly<Record<SignalName, VictoriaServer>> = {
  metrics: {
    name: 'victoriametrics',
    image: images.victoriaMetrics,
    port: 8428,
    flags: ['-promscrape.config=/etc/victoriametrics/prometheus.yml'],
    volumes: ['./config:/etc/victoriametrics:ro'],
  },
  logs: {
    name: 'victorialogs',
    image: images.victoriaLogs,
    port: 9428,
    more: { ports: [9471, 9481], names: ['vlinsert', 'vlselect'] },
    flags: [],
    volumes: [],
  },
  traces: {
    name: 'victoriatraces',
    image: images.victoriaTraces,
    port: 10428,
    flags: [],
    volumes: [],
  },
}

function addVictoria(stack: Stack, parts: Parts): void {
  for (const signal of stack.signals) {
    const { name, image, port, more, flags, volumes } = victoriaServers[signal]
    const ports = [port, ...(more?.ports ?? [])]
    const names = [storeServices[signal], ...(more?.names ?? [])]
    parts.volumes.push(`${name}-data`)
    const service = hardened(
      {
        image: `${image.repository}:${image.tag}`,
        container_name: name,
        hostname: name,
        command: [
          '-storageDataPath=/data',
          `-retentionPeriod=${stack.retention[signal]}`,
          '-loggerFormat=json',
          ...(more === undefined ? [] : ports.map(p => `-httpListenAddr=:${p}`)),
          ...flags,
        ],
        ports: ports.map(p => `127.0.0.1:${p}:${p}`),
        volumes: [`${name}-data:/data`, ...volumes],
        networks: { [network]: { aliases: names } },
        // Not localhost: it listens for IPv4 alone.
        healthcheck: { test: ['CMD', 'wget', '-q', '-O', '/dev/null', `http://127.0.0.1:${port}/health`], ...probe },
      },
      '2g',
    )
    addService(parts, name, service, ports, names)
  }
  if (!stack.signals.includes('metrics')) return
  addScrapeConfig(stack, parts, 'victoriametrics')
  parts.files.set('.env', clientEnvironment(stack))
}

interface LgtmServer {
  name: 'mimir' | 'loki' | 'tempo'
  config: (stack: Stack) => Record<string, unknown>
  dataDirectory: string
  ports: readonly number[]
  memory: string
  /** Files beside the configuration: path below the tree to text; the folder is mounted as the program names it. */
  more?: { files: Readonly<Record<string, string>>; volume: string }
}

const mimirRules = {
  files: {
    'config/rules/anonymous/rules.yaml': '# Rule groups for Mimir, in the syntax of Prometheus.\ngroups: []\n',
  },
  volume: './config/rules:/etc/mimir-rules:ro',
} as const

const lgtmServers: Readonly<Record<SignalName, LgtmServer>> = {
  metrics: {
    name: 'mimir',
    config: oneMimirConfig,
    dataDirectory: '/data',
    ports: [8428],
    memory: '1536m',
    more: mimirRules,
  },
  logs: { name: 'loki', config: lokiConfig, dataDirectory: '/loki', ports: [3100], memory: '1536m' },
  traces: {
    name: 'tempo',
    config: tempoConfig,
    dataDirectory: '/var/tempo',
    ports: [3200, 4317, 4318],
    memory: '1g',
  },
}

/** At the port of the store itself: nothing stands before it here. */
function oneMimirConfig(stack: Stack): Record<string, unknown> {
  return {
    ...mimirConfig(stack),
    server: { http_listen_port: 8428, grpc_listen_port: 9095, log_format: 'json' },
  }
}

function addLgtm(stack: Stack, parts: Parts): void {
  for (const signal of stack.signals) {
    const { name, config, dataDirectory, ports, memory, more } = lgtmServers[signal]
    parts.volumes.push(`${name}-data`)
    for (const [path, text] of Object.entries(more?.files ?? {})) parts.files.set(path, text)
    parts.files.set(`config/${name}.yaml`, yamlText(config(stack)))
    if (stack.s3 !== undefined)
      parts.files.set(
        `secrets/${name}.env.example`,
        `# Copy to secrets/${name}.env, which stays out of version control.\n` +
          'S3_ACCESS_KEY_ID=\nS3_SECRET_ACCESS_KEY=\n',
      )
    const service = hardened(
      {
        image: `${images[name].repository}:${images[name].tag}`,
        container_name: name,
        hostname: name,
        command: ['-config.file=/etc/observability/config.yaml', '-config.expand-env=true'],
        ...(stack.s3 === undefined ? {} : { env_file: [{ path: `./secrets/${name}.env`, required: true }] }),
        ports: ports.map(port => `127.0.0.1:${port}:${port}`),
        volumes: [
          `${name}-data:${dataDirectory}`,
          `./config/${name}.yaml:/etc/observability/config.yaml:ro`,
          ...(more === undefined ? [] : [more.volume]),
        ],
        networks: { [network]: { aliases: [storeServices[signal]] } },
      },
      memory,
    )
    addService(parts, name, service, ports, [storeServices[signal]])
  }
}

function addGrafana(stack: Stack, parts: Parts): void {
  parts.volumes.push('grafana-data')
  const sources = withComposeCredentials(yamlText(provisioning(stack)))
  parts.files.set('config/grafana/datasources/observability.yaml', sources)
  const needsPlugin = dataSources(stack).some(source => source.type === 'victoriametrics-logs-datasource')
  const stores = Object.keys(parts.services).filter(name => name !== 's3' && name !== 'bootstrap')
  const service = hardened(
    {
      image: `docker.io/grafana/grafana:${stack.grafana.tag}`,
      container_name: 'grafana',
      hostname: 'grafana',
      profiles: ['grafana'],
      ports: ['127.0.0.1:3000:3000'],
      environment: {
        GF_ANALYTICS_REPORTING_ENABLED: 'false',
        ...(needsPlugin ? { GF_PLUGINS_PREINSTALL_SYNC: 'victoriametrics-logs-datasource' } : {}),
      },
      volumes: ['grafana-data:/var/lib/grafana', './config/grafana:/etc/grafana/provisioning:ro'],
      networks: { [network]: {} },
      depends_on: Object.fromEntries(stores.map(name => [name, { condition: 'service_started' }])),
      ...(stack.engine === 'tercet' ? { logging: logsToTercet } : {}),
      ...(stack.authSecret === '' ? {} : { secrets: [authFile] }),
    },
    '512m',
  )
  addService(parts, 'grafana', service, [3000], [])
}

const addEngine: Readonly<Record<Engine, (stack: Stack, parts: Parts) => void>> = {
  tercet: addTercet,
  victoria: addVictoria,
  lgtm: addLgtm,
}

/** compose.yaml, and the files beside it; and on which ports its services listen, by the names that reach them. */
export function renderCompose(stack: Stack): { tree: FileTree; services: Parts['ports'] } {
  const parts: Parts = { services: {}, ports: {}, volumes: [], files: new Map(), secrets: new Set() }
  addEngine[stack.engine](stack, parts)
  if (stack.developmentS3.isOn) addDevelopmentS3(stack, parts)
  if (stack.grafana.isOn) addGrafana(stack, parts)
  const secrets = [...parts.secrets].map(name => [name, { file: `./secrets/${name}` }] as const)
  const document = defined({
    name: stack.name,
    services: parts.services,
    networks: { [network]: { name: network } },
    volumes: Object.fromEntries(parts.volumes.map(volume => [volume, { name: volume }])),
    secrets: secrets.length === 0 ? undefined : Object.fromEntries(secrets),
  })
  const tree: FileTree = new Map([['compose.yaml', yamlText(document, commentOf(secrets.length > 0))], ...parts.files])
  if (secrets.length > 0) tree.set('secrets/README.md', secretsReadme([...parts.secrets]))
  if (stack.s3 !== undefined || secrets.length > 0)
    tree.set('.gitignore', 'secrets/*\n!secrets/*.example\n!secrets/README.md\n')
  return { tree, services: parts.ports }
}

function commentOf(hasSecrets: boolean): string {
  if (!hasSecrets) return 'docker compose up -d'
  return 'Put the keys into ./secrets, one a file, as secrets/README.md says; then: docker compose up -d'
}

/** Grafana has another user. */
const readByGrafana = `Grafana reads ${authFile}, too, as the user 472: that file needs the mode 0444.

`

/** Compose mounts a file of secrets as it is on the host, with its owner and its mode. */
function secretsReadme(names: readonly string[]): string {
  return `# Files that this stack reads its secrets from

Each file holds one value and nothing else:

${names.map(name => `    ${name}\n`).join('')}
The containers run as the user 10001, and compose mounts a file with the owner and the mode that it has on the host: a
key of mode 0600 that is yours can't be read in the container, and the server would end at its start with
"permission denied". Give the files to that user, and nobody else can read them:

    sudo chown 10001:10001 ${names.join(' ')}
    sudo chmod 0400 ${names.join(' ')}

${names.includes(authFile) ? readByGrafana : ''}Without sudo, let all read the files, and you alone enter the folder:

    chmod 0644 ${names.join(' ')}
    chmod 0700 .
`
}

/**
 * What containers write goes to Tercet by the driver that every Docker has; it sends from the host. Copy it to your own
 * services.
 */
const logsToTercet = {
  driver: 'syslog',
  options: { 'syslog-address': 'udp://127.0.0.1:5514', 'syslog-format': 'rfc5424micro', tag: '{{.Name}}' },
} as const

/** A store for trying out, and the buckets in it. */
function addDevelopmentS3(stack: Stack, parts: Parts): void {
  const { image, command, environment, port, healthcheck } = stack.developmentS3
  parts.volumes.push('s3-data')
  parts.ports['s3'] = [port]
  parts.services['s3'] = {
    image,
    container_name: 's3',
    hostname: 's3',
    ...(command.length === 0 ? {} : { command }),
    ...(environment.length === 0 ? {} : { environment: Object.fromEntries(environment) }),
    ports: [`127.0.0.1:${port}:${port}`],
    volumes: ['s3-data:/data'],
    networks: { [network]: {} },
    restart: 'unless-stopped',
    ...(healthcheck.length === 0 ? {} : { healthcheck: { test: ['CMD', ...healthcheck], ...probe } }),
    deploy: { resources: { limits: { memory: '1g' } } },
  }
  for (const part of ['access-key-id', 'secret-access-key']) parts.secrets.add(`admin-s3-${part}`)
  parts.services['bootstrap'] = {
    image: imageOf(stack.image),
    read_only: true,
    tmpfs: ['/tmp'],
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    networks: { [network]: {} },
    command: [
      'deploy',
      'bootstrap-s3',
      '--config=/etc/tercet-stack.yaml',
      '--access-key-id-file=/run/secrets/admin-s3-access-key-id',
      '--secret-access-key-file=/run/secrets/admin-s3-secret-access-key',
    ],
    volumes: ['./stack.yaml:/etc/tercet-stack.yaml:ro'],
    secrets: ['admin-s3-access-key-id', 'admin-s3-secret-access-key'],
    depends_on: { s3: { condition: healthcheck.length === 0 ? 'service_started' : 'service_healthy' } },
    deploy: { resources: { limits: { memory: '256m' } } },
  }
}

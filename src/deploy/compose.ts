/** compose.yaml: the stack on one host. */
import type { SignalName } from '#core/signal-name.ts'
import { dataSources, provisioning } from './grafana.ts'
import { images, mimirConfig } from './lgtm.ts'
import { lokiConfig, tempoConfig } from './lgtm-config.ts'
import { storeServices } from './release.ts'
import type { Stack } from './stack.ts'
import { defined, yamlText, type FileTree } from './tree.ts'

type Service = Record<string, unknown>
interface Parts {
  services: Record<string, Service>
  volumes: string[]
  files: FileTree
  secrets: Set<string>
}

const network = 'observability'
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

function tercetService(stack: Stack, parts: Parts): void {
  const { s3, retention } = stack
  parts.volumes.push('victoriametrics-data')
  const environment: Record<string, string> = {
    TERCET_LISTEN_ALIASES: '0.0.0.0:3100,0.0.0.0:3200',
    TERCET_LOG_FORMAT: 'json',
    TERCET_LOGS_RETENTION: retention.logs,
    TERCET_TRACES_RETENTION: retention.traces,
    TERCET_SCRAPE_CONFIG_FILE: '/etc/tercet/prometheus.yml',
    ...(s3 === undefined
      ? {}
      : {
          TERCET_BUCKET_S3_REGION: s3.region,
          ...(s3.endpoint === '' ? {} : { TERCET_BUCKET_S3_ENDPOINT: s3.endpoint }),
          ...(s3.allowInsecure ? { TERCET_BUCKET_S3_ALLOW_INSECURE: 'true' } : {}),
          ...Object.fromEntries(
            stack.signals.flatMap(signal => [
              [`TERCET_${signal.toUpperCase()}_BUCKET_S3_BUCKET`, s3.buckets[signal]],
              [
                `TERCET_${signal.toUpperCase()}_BUCKET_S3_ACCESS_KEY_ID_FILE`,
                `/run/secrets/${secretFile(signal, 'access-key-id')}`,
              ],
              [
                `TERCET_${signal.toUpperCase()}_BUCKET_S3_SECRET_ACCESS_KEY_FILE`,
                `/run/secrets/${secretFile(signal, 'secret-access-key')}`,
              ],
            ]),
          ),
        }),
    ...(stack.alerting.config === '' ? {} : { TERCET_ALERTMANAGER_CONFIG_FILE: '/etc/tercet/alertmanager.yml' }),
  }
  parts.files.set(
    'config/prometheus.yml',
    yamlText(
      {
        global: { scrape_interval: stack.scrape.interval, scrape_timeout: stack.scrape.timeout },
        scrape_configs: [{ job_name: 'tercet', static_configs: [{ targets: ['victoriametrics:8428'] }] }],
      },
      'What the server scrapes, in the syntax of Prometheus.',
    ),
  )
  if (stack.alerting.config !== '') parts.files.set('config/alertmanager.yml', `${stack.alerting.config.trimEnd()}\n`)
  const secrets = s3Secrets(stack, parts, stack.signals)
  parts.services['victoriametrics'] = hardened(
    {
      image: `${stack.image.repository}:${stack.image.tag}`,
      container_name: 'victoriametrics',
      hostname: 'victoriametrics',
      command: ['up', '-storageDataPath=/data', `-retentionPeriod=${retention.metrics}`],
      environment,
      ports: ['127.0.0.1:8428:8428', '127.0.0.1:4317:4317', '127.0.0.1:4318:4318'],
      volumes: ['victoriametrics-data:/data', './config:/etc/tercet:ro'],
      networks: { [network]: { aliases: Object.values(storeServices) } },
      healthcheck: { test: ['CMD', 'node', '/app/src/app/main.ts', 'healthcheck'], ...probe },
      stop_grace_period: '60s',
      ...(secrets.length === 0 ? {} : { secrets }),
      ...(stack.developmentS3.isOn
        ? { depends_on: { bootstrap: { condition: 'service_completed_successfully' } } }
        : {}),
    },
    '512m',
  )
  parts.files.set(
    '.env',
    `# For programs that send to the store, inside the network ${network}.
VICTORIAMETRICS_URL=http://victoriametrics:8428
METRICS_PUSH_ENABLED=true
METRICS_PUSH_INTERVAL=${stack.scrape.interval}
`,
  )
}

function victoriaServices(stack: Stack, parts: Parts): void {
  const service = (
    key: string,
    image: string,
    store: string,
    port: number,
    retention: string,
    more: readonly string[],
  ): void => {
    parts.volumes.push(`${key}-data`)
    parts.services[key] = hardened(
      {
        image,
        container_name: key,
        hostname: key,
        command: [`-storageDataPath=/data`, `-retentionPeriod=${retention}`, '-loggerFormat=json', ...more],
        ports: [`127.0.0.1:${port}:${port}`],
        volumes: [`${key}-data:/data`, ...(key === 'victoriametrics' ? ['./config:/etc/victoriametrics:ro'] : [])],
        networks: { [network]: { aliases: [store] } },
        // Not localhost: it listens for IPv4 alone.
        healthcheck: { test: ['CMD', 'wget', '-q', '-O', '/dev/null', `http://127.0.0.1:${port}/health`], ...probe },
      },
      '2g',
    )
  }
  if (stack.signals.includes('metrics')) {
    service(
      'victoriametrics',
      'docker.io/victoriametrics/victoria-metrics:v1.150.0',
      'metrics-store',
      8428,
      stack.retention.metrics,
      ['-promscrape.config=/etc/victoriametrics/prometheus.yml'],
    )
    parts.files.set(
      'config/prometheus.yml',
      yamlText({
        global: { scrape_interval: stack.scrape.interval, scrape_timeout: stack.scrape.timeout },
        scrape_configs: [{ job_name: 'victoriametrics', static_configs: [{ targets: ['victoriametrics:8428'] }] }],
      }),
    )
    parts.files.set(
      '.env',
      `VICTORIAMETRICS_URL=http://victoriametrics:8428\nMETRICS_PUSH_ENABLED=true\nMETRICS_PUSH_INTERVAL=${stack.scrape.interval}\n`,
    )
  }
  if (stack.signals.includes('logs'))
    service(
      'victorialogs',
      'docker.io/victoriametrics/victoria-logs:v1.52.0',
      'logs-store',
      9428,
      stack.retention.logs,
      [],
    )
  if (stack.signals.includes('traces'))
    service(
      'victoriatraces',
      'docker.io/victoriametrics/victoria-traces:v0.9.2',
      'traces-store',
      10428,
      stack.retention.traces,
      [],
    )
}

function lgtmServices(stack: Stack, parts: Parts): void {
  const service = (
    signal: SignalName,
    key: 'mimir' | 'loki' | 'tempo',
    config: Record<string, unknown>,
    data: string,
    ports: readonly number[],
  ): void => {
    if (!stack.signals.includes(signal)) return
    parts.volumes.push(`${key}-data`)
    parts.files.set(`config/${key}.yaml`, yamlText(config))
    if (stack.s3 !== undefined)
      parts.files.set(
        `secrets/${key}.env.example`,
        '# Copy to secrets/' +
          key +
          '.env, which stays out of version control.\nS3_ACCESS_KEY_ID=\nS3_SECRET_ACCESS_KEY=\n',
      )
    parts.services[key] = hardened(
      {
        image: `${images[key].repository}:${images[key].tag}`,
        container_name: key,
        hostname: key,
        command: ['-config.file=/etc/observability/config.yaml', '-config.expand-env=true'],
        ...(stack.s3 === undefined ? {} : { env_file: [{ path: `./secrets/${key}.env`, required: true }] }),
        ports: ports.map(port => `127.0.0.1:${port}:${port}`),
        volumes: [`${key}-data:${data}`, `./config/${key}.yaml:/etc/observability/config.yaml:ro`],
        networks: { [network]: { aliases: [storeServices[signal]] } },
      },
      key === 'tempo' ? '1g' : '1536m',
    )
  }
  service(
    'metrics',
    'mimir',
    {
      ...mimirConfig(stack),
      server: { http_listen_port: 8428, grpc_listen_port: 9095, log_format: 'json' },
      ruler_storage: { backend: 'local', local: { directory: '/data/rules' } },
    },
    '/data',
    [8428],
  )
  service('logs', 'loki', lokiConfig(stack), '/loki', [3100])
  service('traces', 'tempo', tempoConfig(stack), '/var/tempo', [3200, 4317, 4318])
}

export function renderCompose(stack: Stack): FileTree {
  const parts: Parts = { services: {}, volumes: [], files: new Map(), secrets: new Set() }
  if (stack.engine === 'tercet') tercetService(stack, parts)
  else if (stack.engine === 'victoria') victoriaServices(stack, parts)
  else lgtmServices(stack, parts)
  if (stack.developmentS3.isOn) developmentS3(stack, parts)
  if (stack.grafana.isOn) {
    parts.volumes.push('grafana-data')
    parts.files.set('config/grafana/datasources/observability.yaml', yamlText(provisioning(stack, composeUrl(stack))))
    parts.services['grafana'] = hardened(
      {
        image: `docker.io/grafana/grafana:${stack.grafana.tag}`,
        container_name: 'grafana',
        hostname: 'grafana',
        profiles: ['grafana'],
        ports: ['127.0.0.1:3000:3000'],
        environment: {
          GF_ANALYTICS_REPORTING_ENABLED: 'false',
          ...(dataSources(stack).some(s => s.type === 'victoriametrics-logs-datasource')
            ? { GF_INSTALL_PLUGINS: 'victoriametrics-logs-datasource' }
            : {}),
        },
        volumes: ['grafana-data:/var/lib/grafana', './config/grafana:/etc/grafana/provisioning:ro'],
        networks: { [network]: {} },
        depends_on: Object.fromEntries(
          Object.keys(parts.services)
            .filter(name => name !== 's3' && name !== 'bootstrap')
            .map(name => [name, { condition: 'service_started' }]),
        ),
      },
      '512m',
    )
  }
  const document = defined({
    name: stack.name,
    services: parts.services,
    networks: { [network]: { name: network } },
    volumes: Object.fromEntries(parts.volumes.map(volume => [volume, { name: volume }])),
    secrets:
      parts.secrets.size === 0
        ? undefined
        : Object.fromEntries([...parts.secrets].map(name => [name, { file: `./secrets/${name}` }])),
  })
  const tree: FileTree = new Map([
    [
      'compose.yaml',
      yamlText(
        document,
        parts.secrets.size === 0
          ? 'docker compose up -d'
          : 'Put the keys into ./secrets, one a file, then: docker compose up -d',
      ),
    ],
    ...parts.files,
  ])
  if (stack.s3 !== undefined) tree.set('.gitignore', 'secrets/*\n!secrets/*.example\n')
  return tree
}

/** Hosts as they are inside the network of compose: VictoriaLogs is one process there. */
function composeUrl(stack: Stack): (url: string) => string {
  return stack.engine === 'victoria' ? url => url.replace('http://vlselect:9471', 'http://logs-store:9428') : url => url
}

/** A store for trying out, and the buckets in it. */
function developmentS3(stack: Stack, parts: Parts): void {
  const { image, command, environment, port, healthcheck } = stack.developmentS3
  parts.volumes.push('s3-data')
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
    image: `${stack.image.repository}:${stack.image.tag}`,
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

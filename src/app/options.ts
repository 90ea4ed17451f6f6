/**
 * Every configuration key: its type, its default, and what it is for. The table is the documentation (`tercet up
 * --help`, docs/configuration.md).
 */
import { defaultAlertLimits, defaultLimits } from '#core/limits.ts'

export type OptionKind =
  | 'text'
  | 'number'
  | 'bytes'
  | 'memory'
  | 'duration'
  | 'switch'
  | 'list'
  | 'networks'
  | 'hosts'
  | 'origins'
  | 'client-auths'
  | 'syslog-tenants'
  | 'syslog-listeners'
  | 'address'
  | readonly string[]
export interface Option {
  kind: OptionKind
  fallback: string
  help: string
}

const option = (kind: OptionKind, fallback: string, help: string): Option => ({ kind, fallback, help })

export const optionTable = {
  'listen.http': option(
    'address',
    '127.0.0.1:8428',
    'Address that everything is served on; port 0 = any free one, off = not opened.',
  ),
  'listen.otlp_http': option(
    'address',
    '127.0.0.1:4318',
    'Extra address for OpenTelemetry over HTTP; the same routes as listen.http.',
  ),
  'listen.otlp_grpc': option('address', '127.0.0.1:4317', 'Address for OpenTelemetry over gRPC.'),
  'listen.health': option(
    'address',
    'off',
    'Address without TLS that answers /health, /-/healthy, /ready and /-/ready alone: for probes, which have no ' +
      'certificate to show where tls.client_ca_file asks for one.',
  ),
  'listen.loki_grpc': option('address', 'off', "Address for Loki's gRPC Pusher; it is served at listen.otlp_grpc too."),
  'listen.grpc_aliases': option(
    'list',
    '',
    'More addresses for the gRPC services, as 0.0.0.0:14250 for what sends to a Jaeger collector.',
  ),
  'listen.syslog_tcp': option('address', 'off', 'Address for syslog (RFC 3164 and 5424) over TCP.'),
  'listen.syslog_tls': option('address', 'off', 'The same over TLS, with the certificate of tls.cert_file.'),
  'listen.syslog_udp': option('address', 'off', 'The same over UDP.'),
  'syslog.tenants': option(
    'syslog-tenants',
    '',
    'With tenancy: on, the tenant of what each listener of syslog gets: syslog_tcp=a, syslog_udp=b; others have fake.',
  ),
  'syslog.tenant_field': option(
    'text',
    '',
    'With tenancy: on, the field of a message that names its tenant: hostname, app_name, proc_id, msg_id, ' +
      "or one of the structured data, as tercet@32473.tenant. A message without a tenant's name there goes to the " +
      'tenant that syslog.tenants has for its listener, else it is lost.',
  ),
  'syslog.allow': option(
    'networks',
    '',
    'Networks that syslog is taken from, by all its listeners: 10.0.0.0/8, fd00::/8, 192.0.2.7; without it, from all.',
  ),
  'syslog.without_credentials': option(
    'syslog-listeners',
    '',
    'Listeners of syslog that take messages from whoever reaches them although credentials are set up (auth.*): ' +
      'syslog_udp, syslog_tcp, syslog_tls. Others ask for a client certificate that auth.file lists, ' +
      'and without TLS they do not start.',
  ),
  'listen.aliases': option('list', '', 'More addresses of the same handlers: 127.0.0.1:9090, \u2026'),
  'tls.cert_file': option(
    'text',
    '',
    'PEM certificate chain; with tls.key_file every address speaks TLS and nothing else.',
  ),
  'tls.key_file': option('text', '', 'PEM private key of tls.cert_file.'),
  'tls.client_ca_file': option(
    'text',
    '',
    'PEM certificates of authorities: only clients with a certificate of theirs get in, as tls.client_auth says.',
  ),
  'tls.client_auth': option(
    ['auto', 'none', 'optional', 'required'],
    'auto',
    'Whether clients show a certificate of tls.client_ca_file: they are not asked, may, or must; ' +
      'auto: they must where tls.client_ca_file is set.',
  ),
  'tls.client_auth_listeners': option(
    'client-auths',
    '',
    'The same for some of the addresses, by their names below listen: syslog_tls=required, http=none, \u2026',
  ),
  'tls.min_version': option(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2', 'Oldest version of TLS that is spoken.'),
  scrape_config_file: option(
    'text',
    '',
    'prometheus.yml: what to scrape, which rules to evaluate, where alerts and samples go.',
  ),
  'scrape.tenant': option(
    'text',
    '',
    'With tenancy=on, whose the series of scrape jobs are that have no key `tenant` and no label `__tenant_id__`; ' +
      'empty: the default tenant; of an agent: nobody says it.',
  ),
  rule_files: option(
    'list',
    '',
    "Files of rules, Prometheus' and Loki's; a star in the last part of a path is a pattern. " +
      'The rule files of scrape_config_file are added.',
  ),
  'rules.tenant': option(
    'text',
    '',
    'With tenancy=on, whose the groups of rule files are that have no key `tenant`; ' +
      "empty: each signal's default tenant.",
  ),
  alertmanager_config_file: option(
    'text',
    '',
    'alertmanager.yml: how alerts are grouped and held back, and who is notified. ' +
      'Without it alerts are kept and shown, and nobody is notified.',
  ),
  files_check_interval: option(
    'duration',
    'inf',
    'How often scrape_config_file, rule_files and alertmanager_config_file are looked at, and all files read again ' +
      'where one has changed (as at /-/reload); inf or 0s: never.',
  ),
  'limits.notify_link_local': option(
    'switch',
    'false',
    'Notifications may go to link-local addresses, where clouds have their metadata; outgoing.allow is finer.',
  ),
  'outgoing.allow': option(
    'networks',
    '',
    'Networks (169.254.20.0/24) and addresses that scrapes, discovery, notifications and an agent may connect to, ' +
      "though they are refused by default: link-local, the clouds' metadata, unspecified, multicast, broadcast.",
  ),
  'outgoing.deny': option(
    'networks',
    '',
    'Networks and addresses that scrapes, discovery, notifications and an agent may not connect to, beside those ' +
      'that are refused by default.',
  ),
  operator_objects: option(
    ['auto', 'on', 'off'],
    'auto',
    'Follow ServiceMonitors, PodMonitors, Probes, ScrapeConfigs, PrometheusRules, VMServiceScrapes, VMPodScrapes and ' +
      'VMRules of the cluster; auto: where the process runs in one.',
  ),
  operator_tenant: option(
    ['default', 'namespace'],
    'default',
    'With tenancy=on, whose the targets and rules of these objects are: those of scrape.tenant and rules.tenant, ' +
      'or of the tenant that has the name of their namespace.',
  ),
  'agent.remote_write': option(
    'list',
    '',
    'URLs of remote write that an agent sends samples to, beside those of scrape_config_file.',
  ),
  'agent.loki': option(
    'list',
    '',
    "URLs of Loki's push that an agent sends log lines to: http://loki:3100/loki/api/v1/push.",
  ),
  'agent.otlp': option(
    'list',
    '',
    'Base URLs of OpenTelemetry receivers that an agent hands traces to, and logs and metrics: http://tempo:4318.',
  ),
  'agent.client_config_file': option(
    'text',
    '',
    "File that says how agent.remote_write, agent.loki and agent.otlp are reached, in Prometheus' form of an " +
      'http_config: basic_auth, authorization, tls_config, proxy_url.',
  ),
  'agent.queue_size': option(
    'bytes',
    '2GiB',
    'What may wait on the disk for each place that an agent sends to; the oldest is dropped beyond.',
  ),
  'agent.log_directory': option('text', '', "Log files of a node's pods that an agent follows: /var/log/pods."),
  'agent.log_first_line': option(
    'text',
    '',
    'Expression that the first line of an entry matches; ' +
      'without it, lines that begin with a blank or a brace belong to the line before.',
  ),
  dashboard_files: option(
    'list',
    '',
    'Dashboards of Grafana, as JSON, that the web interface shows; a star in the last part of a path is a pattern. ' +
      'With tenancy=on a directory <tenant> stands for that of each tenant: dashboards/<tenant>/*.json.',
  ),
  external_url: option(
    'text',
    '',
    'Where people reach this process: links in alerts begin so, and its host is one that is answered to.',
  ),
  allowed_hosts: option(
    'hosts',
    '',
    'Names that browsers reach this process by, beside addresses, localhost, names without a dot, private ones ' +
      '(docs/security.md) and those of external_url and listen.*: tercet.example.net, *.example.net, or * for any. ' +
      'By others nothing is read.',
  ),
  cors_origins: option(
    'origins',
    '',
    'Origins whose pages may read, send telemetry and act here: https://app.example.net; with * any page may read ' +
      'and send telemetry.',
  ),
  trusted_proxies: option(
    'networks',
    '',
    'Networks (10.0.0.0/8) and addresses of proxies in front of this process: what they add to X-Forwarded-For is ' +
      'the address that wrong passwords are counted by, and that the audit names.',
  ),
  'limits.scrape_size': option(
    'bytes',
    '64MiB',
    'Largest body of a scrape whose job has no body_size_limit, uncompressed.',
  ),
  'auth.file': option(
    'text',
    '',
    'File of users, tokens and client certificates, and what each may do (docs/security.md); ' +
      'it is read again when it has changed.',
  ),
  'auth.session_key_file': option(
    'text',
    '',
    'File of 32 bytes or more that signs the sessions of the web interface; without it they end with the process.',
  ),
  'auth.username': option(
    'text',
    '',
    'User of HTTP Basic authentication who may do everything; health and readiness answer without.',
  ),
  'auth.password_file': option('text', '', 'File that holds the password of auth.username.'),
  'auth.bearer_token_file': option('text', '', 'File that holds a bearer token that may do everything.'),
  self_trace: option(
    'switch',
    'true',
    'Own requests as traces into own store: one a second, and some that were slow or failed.',
  ),
  'traces.derived_metrics': option(
    'switch',
    'true',
    'Span metrics and service graphs of incoming spans, into own store, every metrics.scrape_interval.',
  ),
  self_scrape: option('switch', 'true', 'Own metrics into own store, every metrics.scrape_interval.'),
  data_dir: option('text', './data', 'Write-ahead log, cache, and the bucket when no S3 is configured.'),
  'bucket.dir': option('text', '', 'A local directory as the bucket (default: <data_dir>/bucket/<signal>).'),
  'bucket.s3.endpoint': option(
    'text',
    '',
    'S3 endpoint: https://\u2026; plain http only with bucket.s3.allow_insecure.',
  ),
  'bucket.s3.region': option('text', 'us-east-1', 'Region that requests are signed for; any text the store accepts.'),
  'bucket.s3.bucket': option('text', '', 'Name of the S3 bucket; setting it selects S3.'),
  'bucket.s3.prefix': option('text', '', 'Key prefix inside the bucket.'),
  'bucket.s3.access_key_id': option('text', '', 'Access key; without it the environment and instance roles are asked.'),
  'bucket.s3.secret_access_key': option('text', '', 'Secret key.'),
  'bucket.s3.access_key_id_file': option('text', '', 'File that holds the access key; it is read again now and then.'),
  'bucket.s3.secret_access_key_file': option(
    'text',
    '',
    'File that holds the secret key; it is read again now and then, so that a key can change without a restart.',
  ),
  'bucket.s3.path_style': option(
    ['auto', 'true', 'false'],
    'auto',
    'endpoint/bucket/key instead of bucket.endpoint/key; auto = true for custom endpoints.',
  ),
  'bucket.s3.allow_insecure': option('switch', 'false', 'Allow an endpoint without TLS.'),
  'bucket.cache_size': option(
    'bytes',
    '2GiB',
    'Local copies of what was read from S3 lately, below <data_dir>/cache; 0 = none.',
  ),
  'metrics.bucket.dir': option('text', '', 'As bucket.dir, for metrics alone.'),
  'metrics.bucket.s3.bucket': option('text', '', 'As bucket.s3.bucket, for metrics alone.'),
  'metrics.bucket.s3.prefix': option('text', '', 'As bucket.s3.prefix, for metrics alone.'),
  'metrics.bucket.s3.endpoint': option('text', '', 'As bucket.s3.endpoint, for metrics alone.'),
  'metrics.bucket.s3.region': option('text', '', 'As bucket.s3.region, for metrics alone.'),
  'metrics.bucket.s3.access_key_id': option('text', '', 'As bucket.s3.access_key_id, for metrics alone.'),
  'metrics.bucket.s3.access_key_id_file': option('text', '', 'As bucket.s3.access_key_id_file, for metrics alone.'),
  'metrics.bucket.s3.secret_access_key': option('text', '', 'As bucket.s3.secret_access_key, for metrics alone.'),
  'metrics.bucket.s3.secret_access_key_file': option(
    'text',
    '',
    'As bucket.s3.secret_access_key_file, for metrics alone.',
  ),
  'logs.bucket.dir': option('text', '', 'As bucket.dir, for logs alone.'),
  'logs.bucket.s3.bucket': option('text', '', 'As bucket.s3.bucket, for logs alone.'),
  'logs.bucket.s3.prefix': option('text', '', 'As bucket.s3.prefix, for logs alone.'),
  'logs.bucket.s3.endpoint': option('text', '', 'As bucket.s3.endpoint, for logs alone.'),
  'logs.bucket.s3.region': option('text', '', 'As bucket.s3.region, for logs alone.'),
  'logs.bucket.s3.access_key_id': option('text', '', 'As bucket.s3.access_key_id, for logs alone.'),
  'logs.bucket.s3.access_key_id_file': option('text', '', 'As bucket.s3.access_key_id_file, for logs alone.'),
  'logs.bucket.s3.secret_access_key': option('text', '', 'As bucket.s3.secret_access_key, for logs alone.'),
  'logs.bucket.s3.secret_access_key_file': option('text', '', 'As bucket.s3.secret_access_key_file, for logs alone.'),
  'traces.bucket.dir': option('text', '', 'As bucket.dir, for traces alone.'),
  'traces.bucket.s3.bucket': option('text', '', 'As bucket.s3.bucket, for traces alone.'),
  'traces.bucket.s3.prefix': option(
    'text',
    '',
    'As bucket.s3.prefix, for traces alone; without it traces/ below that prefix.',
  ),
  'traces.bucket.s3.endpoint': option('text', '', 'As bucket.s3.endpoint, for traces alone.'),
  'traces.bucket.s3.region': option('text', '', 'As bucket.s3.region, for traces alone.'),
  'traces.bucket.s3.access_key_id': option('text', '', 'As bucket.s3.access_key_id, for traces alone.'),
  'traces.bucket.s3.access_key_id_file': option('text', '', 'As bucket.s3.access_key_id_file, for traces alone.'),
  'traces.bucket.s3.secret_access_key': option('text', '', 'As bucket.s3.secret_access_key, for traces alone.'),
  'traces.bucket.s3.secret_access_key_file': option(
    'text',
    '',
    'As bucket.s3.secret_access_key_file, for traces alone.',
  ),
  durability: option(['local', 'bucket'], 'local', 'Acknowledge when in the local log, or when in the bucket.'),
  durability_interval: option(
    'duration',
    '3s',
    "With durability: bucket, the least time between two writes of a signal's log to the bucket: what comes in " +
      'meanwhile is acknowledged with the next one, and each write is a request that costs (docs/sizing.md). ' +
      'A push after a pause of this length is written at once; so are the parts of a long push, and what waits when ' +
      'the process stops. Unless it is set, a bucket in a directory has 200ms.',
  ),
  take_back: option(
    'switch',
    'false',
    'Write to buckets that were handed over to Mimir, Loki and Tempo (tercet deploy graduate); ' +
      'their processes must be stopped.',
  ),
  wal_sync: option(
    ['interval', 'always'],
    'interval',
    'Force the local log to disk every second, or before every reply.',
  ),
  'metrics.retention': option('duration', '30d', 'Samples older than this are deleted; inf keeps all.'),
  'metrics.retention_size': option('bytes', '0', 'The oldest blocks are deleted beyond this size; 0 = no limit.'),
  'metrics.out_of_order_window': option(
    'duration',
    '1h',
    'How much older than the newest sample a sample may be; inf takes any age.',
  ),
  'metrics.block_duration': option(
    'duration',
    '2h',
    'Time that one block covers; 2h is what the reading systems like.',
  ),
  'metrics.scrape_interval': option('duration', '30s', 'How often own metrics are stored.'),
  'metrics.type_and_unit_labels': option(
    'switch',
    'false',
    'Recognise counters by a __type__ label instead of by their names.',
  ),
  'logs.retention': option('duration', '30d', 'Lines older than this are deleted; inf keeps all.'),
  'logs.deletion_delay': option(
    'duration',
    '24h',
    'How long a request to delete lines can be cancelled; ' +
      'then the chunks in the bucket are rewritten without these lines.',
  ),
  'logs.out_of_order_window': option(
    'duration',
    '1h',
    "How much older than its stream's newest line a line may be; inf takes any age.",
  ),
  'traces.block_version': option(
    ['vParquet5', 'vParquet4'],
    'vParquet5',
    'Form of the blocks that are written: vParquet4 for a Tempo 2.x on the same bucket. Both are read, and vParquet3.',
  ),
  'traces.retention': option('duration', '30d', 'Traces older than this are deleted; inf keeps all.'),
  'metrics.answer_cache_size': option(
    'bytes',
    '32MiB',
    'Answers of range queries that each thread keeps, so that a dashboard that asks again is evaluated where samples ' +
      'have changed alone; a 64th of the memory at most; 0 keeps none.',
  ),
  'traces.cache_size': option(
    'bytes',
    '256MiB',
    'Columns, filters and footers of trace blocks that are kept in memory for queries; ' +
      'an eighth of the memory at most.',
  ),
  'logs.cache_size': option(
    'bytes',
    '256MiB',
    'Decompressed blocks of lines that are kept in memory for queries; an eighth of the memory at most.',
  ),
  tenancy: option(['off', 'on'], 'off', 'on: the X-Scope-OrgID header names the tenant.'),
  tenants_file: option(
    'text',
    '',
    'With tenancy: on, a file of limits and retention of single tenants (docs/operating.md#tenants); ' +
      'it is read again when it has changed.',
  ),
  memory_limit: option(
    'memory',
    '100%',
    'Memory that the process plans with: bytes, or a part of what its container or its machine has. ' +
      'What would go beyond is refused (503), caches give back before that.',
  ),
  write_timeout: option(
    'duration',
    '30s',
    'A client that takes neither 64 KiB nor all that waits for it in this time is disconnected, its query ended.',
  ),
  disk_free_min: option('bytes', '512MiB', 'Below this much free disk nothing is accepted (503).'),
  'limits.body_size': option('bytes', String(defaultLimits.bodyBytesMax), 'Request bodies as they come.'),
  'limits.decoded_size': option('bytes', String(defaultLimits.decodedBytesMax), 'Request bodies when decoded.'),
  'limits.labels_per_series': option('number', String(defaultLimits.labelsPerSeriesMax), 'Labels of one series.'),
  'limits.label_name_length': option('bytes', String(defaultLimits.labelNameBytesMax), 'Bytes of a label name.'),
  'limits.label_value_length': option('bytes', String(defaultLimits.labelValueBytesMax), 'Bytes of a label value.'),
  'limits.active_series': option('number', String(defaultLimits.activeSeriesMax), 'Series in memory, per tenant.'),
  'limits.trace_size': option('bytes', '5MiB', 'Bytes of one trace while spans arrive for it.'),
  'limits.trace_attribute_size': option('bytes', '64KiB', 'Bytes of an attribute, name and value.'),
  'limits.trace_attributes': option('number', '1024', 'Attributes of a span.'),
  'limits.trace_request_spans': option('number', '200000', 'Spans of one request.'),
  'limits.derived_series': option(
    'number',
    '5000',
    'Label sets of span metrics and service graphs, all tenants together; with tenancy: on, a tenant has no more ' +
      'than it leaves to the others.',
  ),
  'limits.live_traces': option('number', '500000', 'Traces that still get spans, per tenant.'),
  'limits.log_streams': option('number', String(defaultLimits.logStreamsMax), 'Log streams in memory, per tenant.'),
  'limits.log_line_size': option('bytes', String(defaultLimits.logLineBytesMax), 'Bytes of a log line.'),
  'limits.log_rate': option('bytes', '0', 'Bytes of log lines a second, per tenant; 0 = no limit.'),
  workers: option(
    'text',
    'auto',
    'Threads for queries and other long work: a number, or auto: one less than the processor cores, at least one. ' +
      '0: the main thread does all of it.',
  ),
  'limits.query_samples': option(
    'number',
    String(defaultLimits.querySamplesMax),
    'Samples that one query may hold in memory.',
  ),
  'limits.query_timeout': option('duration', '2m', 'Time of one query, with the time that it waits for others.'),
  'limits.query_concurrency': option(
    'number',
    String(defaultLimits.queryConcurrencyMax),
    'Queries of all languages, and rules, that run at a time; others wait, those of one tenant in order.',
  ),
  'limits.query_queue': option(
    'number',
    String(defaultLimits.queryQueueMax),
    'Queries that may wait for others; more are refused (503, or 429 as the API has it).',
  ),
  'limits.tenants': option(
    'number',
    String(defaultLimits.tenantsMax),
    'Tenants of one signal in memory, each costs up to 70 KiB; a push for one more is refused (429).',
  ),
  'limits.alerts': option(
    'number',
    String(defaultAlertLimits.alertsMax),
    'Alerts that the Alertmanager holds of a tenant; of all tenants together it holds ten times as many.',
  ),
  'limits.silences': option(
    'number',
    String(defaultAlertLimits.silencesMax),
    'Silences that the Alertmanager holds of a tenant, with those that ended in the last five days; of all tenants ' +
      'together it holds ten times as many.',
  ),
  'limits.rule_groups': option(
    'number',
    String(defaultAlertLimits.ruleGroupsMax),
    'Groups of rules that a tenant may set through the API of a ruler (docs/alerting.md).',
  ),
  'limits.tails': option('number', String(defaultLimits.tailsMax), 'Live tails of logs at a time.'),
  role: option(
    ['all', 'query', 'insert', 'agent'],
    'all',
    'query: serve the bucket, write nothing (docs/existing-buckets.md); insert: take in, store, answer no queries; ' +
      'agent: scrape, receive and follow log files, and forward, store nothing.',
  ),
  'log.format': option(['json', 'logfmt'], 'logfmt', 'Form of the log lines on standard error.'),
  'log.level': option(['debug', 'info', 'warn', 'error'], 'info', 'Least severity that is logged.'),
} as const satisfies Record<string, Option>

export type OptionName = keyof typeof optionTable
export const optionNames = Object.keys(optionTable) as OptionName[]

export function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(optionTable, name)
}
export function optionOf(name: OptionName): Option {
  return optionTable[name]
}

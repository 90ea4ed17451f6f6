/** How people's senders are pointed here, with this server's own addresses. */
export interface Snippet {
  name: string
  signal: 'metrics' | 'logs' | 'traces'
  note: string
  text: string
}

type Place = Pick<Location, 'origin' | 'hostname'>

export const snippets = (place: Place): Snippet[] => [
  ...scrapers(place),
  ...collectors(place),
  ...loggers(place),
  ...byHand(place),
]

/** What scrapes metrics. */
function scrapers({ origin }: Place): Snippet[] {
  return [
    {
      name: 'Prometheus',
      signal: 'metrics',
      note: 'prometheus.yml',
      text: lines(
        'remote_write:',
        `  - url: ${origin}/api/v1/write`,
        '    send_exemplars: true',
        '    send_native_histograms: true',
      ),
    },
    {
      name: 'vmagent',
      signal: 'metrics',
      note: 'Flags',
      text: `vmagent -promscrape.config=prometheus.yml -remoteWrite.url=${origin}/api/v1/write`,
    },
    {
      name: 'Own scraping',
      signal: 'metrics',
      note: 'Tercet scrapes by the same file',
      text: `tercet up --scrape_config_file=prometheus.yml`,
    },
  ]
}

/** What takes several signals along. */
function collectors({ origin }: Place): Snippet[] {
  return [
    {
      name: 'Alloy',
      signal: 'logs',
      note: 'config.alloy',
      text: lines(
        'loki.write "tercet" {',
        `  endpoint { url = "${origin}/loki/api/v1/push" }`,
        '}',
        'prometheus.remote_write "tercet" {',
        `  endpoint { url = "${origin}/api/v1/write" }`,
        '}',
      ),
    },
    { name: 'Promtail', signal: 'logs', note: 'promtail.yaml', text: `clients:\n  - url: ${origin}/loki/api/v1/push` },
    {
      name: 'OpenTelemetry SDK',
      signal: 'traces',
      note: 'Environment of the program',
      text: lines(
        `OTEL_EXPORTER_OTLP_ENDPOINT=${origin}`,
        'OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf',
        'OTEL_SERVICE_NAME=my-service',
      ),
    },
    {
      name: 'OTel Collector',
      signal: 'traces',
      note: 'config.yaml',
      text: lines(
        'exporters:',
        '  otlphttp/tercet:',
        `    endpoint: ${origin}`,
        'service:',
        '  pipelines:',
        '    traces:  { receivers: [otlp], exporters: [otlphttp/tercet] }',
        '    metrics: { receivers: [otlp], exporters: [otlphttp/tercet] }',
        '    logs:    { receivers: [otlp], exporters: [otlphttp/tercet] }',
      ),
    },
  ]
}

/** What reads logs. */
function loggers({ origin, hostname }: Place): Snippet[] {
  return [
    {
      name: 'rsyslog',
      signal: 'logs',
      note: '/etc/rsyslog.d/tercet.conf, with --listen.syslog_tcp=0.0.0.0:1514',
      text:
        `*.* action(type="omfwd" target="${hostname}" port="1514" protocol="tcp" ` +
        'template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted")',
    },
    {
      name: 'Fluent Bit',
      signal: 'logs',
      note: 'fluent-bit.conf',
      text: lines(
        '[OUTPUT]',
        '    name   loki',
        '    match  *',
        `    host   ${hostname}`,
        `    port   ${new URL(origin).port || '80'}`,
        '    labels job=fluent-bit',
      ),
    },
    {
      name: 'Vector',
      signal: 'logs',
      note: 'vector.yaml',
      text: lines(
        'sinks:',
        '  tercet:',
        '    type: loki',
        '    inputs: [my_source]',
        `    endpoint: ${origin}`,
        '    labels: { app: "{{ service }}" }',
        '    encoding: { codec: json }',
      ),
    },
  ]
}

/** What a person types. */
function byHand({ origin }: Place): Snippet[] {
  return [
    {
      name: 'curl',
      signal: 'metrics',
      note: 'One sample, by hand',
      text: `echo 'my_metric{from="curl"} 42' | curl --data-binary @- ${origin}/api/v1/import/prometheus`,
    },
  ]
}

const lines = (...of: readonly string[]): string => of.join('\n')

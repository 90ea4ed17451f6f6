/** How people's senders are pointed here, with this server's own addresses. */
export interface Snippet {
  name: string
  signal: 'metrics' | 'logs' | 'traces'
  note: string
  text: string
}

export function snippets({ origin, hostname }: Pick<Location, 'origin' | 'hostname'>): Snippet[] {
  return [
    {
      name: 'Prometheus',
      signal: 'metrics',
      note: 'prometheus.yml',
      text: `remote_write:\n  - url: ${origin}/api/v1/write\n    send_exemplars: true\n    send_native_histograms: true`,
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
    {
      name: 'Alloy',
      signal: 'logs',
      note: 'config.alloy',
      text: `loki.write "tercet" {\n  endpoint { url = "${origin}/loki/api/v1/push" }\n}\nprometheus.remote_write "tercet" {\n  endpoint { url = "${origin}/api/v1/write" }\n}`,
    },
    { name: 'Promtail', signal: 'logs', note: 'promtail.yaml', text: `clients:\n  - url: ${origin}/loki/api/v1/push` },
    {
      name: 'OpenTelemetry SDK',
      signal: 'traces',
      note: 'Environment of the program',
      text: `OTEL_EXPORTER_OTLP_ENDPOINT=${origin}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nOTEL_SERVICE_NAME=my-service`,
    },
    {
      name: 'OTel Collector',
      signal: 'traces',
      note: 'config.yaml',
      text: `exporters:\n  otlphttp/tercet:\n    endpoint: ${origin}\nservice:\n  pipelines:\n    traces:  { receivers: [otlp], exporters: [otlphttp/tercet] }\n    metrics: { receivers: [otlp], exporters: [otlphttp/tercet] }\n    logs:    { receivers: [otlp], exporters: [otlphttp/tercet] }`,
    },
    {
      name: 'rsyslog',
      signal: 'logs',
      note: '/etc/rsyslog.d/tercet.conf, with --listen.syslog_tcp=0.0.0.0:1514',
      text: `*.* action(type="omfwd" target="${hostname}" port="1514" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted")`,
    },
    {
      name: 'Fluent Bit',
      signal: 'logs',
      note: 'fluent-bit.conf',
      text: `[OUTPUT]\n    name   loki\n    match  *\n    host   ${hostname}\n    port   ${new URL(origin).port || '80'}\n    labels job=fluent-bit`,
    },
    {
      name: 'Vector',
      signal: 'logs',
      note: 'vector.yaml',
      text: `sinks:\n  tercet:\n    type: loki\n    inputs: [my_source]\n    endpoint: ${origin}\n    labels: { app: "{{ service }}" }\n    encoding: { codec: json }`,
    },
    {
      name: 'curl',
      signal: 'metrics',
      note: 'One sample, by hand',
      text: `echo 'my_metric{from="curl"} 42' | curl --data-binary @- ${origin}/api/v1/import/prometheus`,
    },
  ]
}

/** Every chart and image that a render names, at the version that was tried (specs/deploy.md 3.1). */

export interface Chart {
  name: string
  /** `oci://…`, with the chart's name at the end. */
  url: string
  version: string
}

/** Of the chart, the image and the package: one number. */
export const tercetVersion = '0.1.0'

export const charts = {
  k8sStack: {
    name: 'victoria-metrics-k8s-stack',
    url: 'oci://ghcr.io/victoriametrics/helm-charts/victoria-metrics-k8s-stack',
    version: '0.91.2',
  },
  logsCluster: {
    name: 'victoria-logs-cluster',
    url: 'oci://ghcr.io/victoriametrics/helm-charts/victoria-logs-cluster',
    version: '0.2.8',
  },
  tracesSingle: {
    name: 'victoria-traces-single',
    url: 'oci://ghcr.io/victoriametrics/helm-charts/victoria-traces-single',
    version: '0.1.11',
  },
  loki: { name: 'loki', url: 'oci://ghcr.io/grafana-community/helm-charts/loki', version: '18.11.0' },
  tempo: { name: 'tempo', url: 'oci://ghcr.io/grafana-community/helm-charts/tempo', version: '2.2.4' },
  grafana: { name: 'grafana', url: 'oci://ghcr.io/grafana-community/helm-charts/grafana', version: '12.11.1' },
  nodeExporter: {
    name: 'prometheus-node-exporter',
    url: 'oci://ghcr.io/prometheus-community/charts/prometheus-node-exporter',
    version: '4.55.1',
  },
  stateMetrics: {
    name: 'kube-state-metrics',
    url: 'oci://ghcr.io/prometheus-community/charts/kube-state-metrics',
    version: '7.5.3',
  },
  appTemplate: { name: 'app-template', url: 'oci://ghcr.io/bjw-s-labs/helm/app-template', version: '4.1.1' },
} as const satisfies Record<string, Chart>

/** What the charts of these versions run, for compose and where a chart takes any image. */
export const images = {
  victoriaMetrics: { repository: 'docker.io/victoriametrics/victoria-metrics', tag: 'v1.150.0' },
  vmbackup: { repository: 'docker.io/victoriametrics/vmbackup', tag: 'v1.150.0' },
  vmalert: { repository: 'docker.io/victoriametrics/vmalert', tag: 'v1.150.0' },
  victoriaLogs: { repository: 'docker.io/victoriametrics/victoria-logs', tag: 'v1.52.0' },
  victoriaTraces: { repository: 'docker.io/victoriametrics/victoria-traces', tag: 'v0.11.0' },
  mimir: { repository: 'docker.io/grafana/mimir', tag: '3.0.1' },
  loki: { repository: 'docker.io/grafana/loki', tag: '3.7.6' },
  tempo: { repository: 'docker.io/grafana/tempo', tag: '2.10.8' },
} as const

export type Image = (typeof images)[keyof typeof images]

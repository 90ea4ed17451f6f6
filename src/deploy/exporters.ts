/**
 * node exporter and kube-state-metrics, as releases of their own: what kube-prometheus-stack brings, and the Victoria
 * stack, too. Agents find them by the annotations of their pods.
 */
import { resources, type Release } from './release.ts'
import type { Stack } from './stack.ts'
import { charts } from './versions.ts'

const scrapedAt = (port: number): Record<string, string> => ({
  'prometheus.io/scrape': 'true',
  'prometheus.io/port': String(port),
})

/** None where the stack does not ask for them. */
export function exporterReleases({ hasExporters }: Stack): Release[] {
  if (!hasExporters) return []
  return [
    {
      name: 'prometheus-node-exporter',
      chart: charts.nodeExporter,
      values: {
        fullnameOverride: 'prometheus-node-exporter',
        podAnnotations: scrapedAt(9100),
        resources: resources('10m', '32Mi', '64Mi'),
      },
      ...nothingElse,
      services: { 'prometheus-node-exporter': [9100] },
    },
    {
      name: 'kube-state-metrics',
      chart: charts.stateMetrics,
      values: {
        fullnameOverride: 'kube-state-metrics',
        replicas: 1,
        // By the annotation of its pod alone: once.
        prometheusScrape: false,
        podAnnotations: scrapedAt(8080),
        resources: resources('10m', '64Mi', '256Mi'),
      },
      ...nothingElse,
      services: { 'kube-state-metrics': [8080] },
    },
  ]
}

const nothingElse = { secrets: [], dependsOn: [], makes: [], objects: {} } as const

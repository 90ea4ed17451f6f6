/** The engine tercet: our own chart. */
import { charts, secretsOf, storeServices, type Plan, type Release } from './release.ts'
import type { Stack } from './stack.ts'
import { defined } from './tree.ts'

/** Values of the chart that differ from its defaults. */
export function tercetValues(stack: Stack): Record<string, unknown> {
  const { s3, retention, persistence, networkPolicy } = stack
  return defined({
    fullnameOverride: stack.name === 'tercet' ? undefined : stack.name,
    image: { repository: stack.image.repository, tag: stack.image.tag },
    retention: retention.metrics,
    logsRetention: retention.logs === retention.metrics ? undefined : retention.logs,
    tracesRetention: retention.traces === retention.metrics ? undefined : retention.traces,
    s3:
      s3 === undefined
        ? undefined
        : {
            endpoint: s3.endpoint,
            region: s3.region,
            allowInsecure: s3.allowInsecure ? true : undefined,
            buckets: s3.buckets,
            secrets: s3.secrets,
          },
    server: {
      persistence: persistence.isOn
        ? { enabled: true, size: persistence.size, storageClass: persistence.storageClass || undefined }
        : { enabled: false },
      alertmanagerConfig: stack.alerting.config || undefined,
      podAnnotations: stack.isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined,
    },
    agent: stack.agent.isOn
      ? {
          enabled: true,
          logs: stack.agent.isFollowingLogs ? true : undefined,
          podAnnotations: stack.isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined,
        }
      : { enabled: false },
    scrape: stack.scrape,
    networkPolicy: networkPolicy.isOn
      ? { enabled: true, fromNamespaces: networkPolicy.fromNamespaces, toCidrs: networkPolicy.toCidrs }
      : undefined,
  })
}

/** One release, of our own chart. */
export function planTercet(stack: Stack): Plan {
  const warnings: { name: string; text: string }[] = []
  if (stack.s3 === undefined && !stack.persistence.isOn)
    warnings.push({
      name: 'nothing-is-kept',
      text: 'neither s3 nor persistence is configured: everything is lost with the pod',
    })
  if (stack.s3 === undefined && stack.persistence.isOn)
    warnings.push({
      name: 'no-bucket',
      text: 'no s3 is configured: the data lies on one volume of the cluster, and nowhere else',
    })
  // Signals may share a Secret; an empty name means the credentials of the machine.
  const all = (['metrics', 'logs', 'traces'] as const).flatMap(signal => secretsOf(stack, signal))
  const secrets = all.filter(({ name }, i) => name !== '' && all.findIndex(other => other.name === name) === i)
  const release: Release = {
    name: stack.name,
    chart: charts.tercet,
    values: tercetValues(stack),
    secrets,
    dependsOn: [],
    objects: {},
    makes: [],
    services: {
      [storeServices.metrics]: [8428],
      [storeServices.logs]: [3100, 4317],
      [storeServices.traces]: [3200, 4317, 4318],
    },
  }
  return { releases: [release], warnings }
}

/** The engine tercet: our own chart. */
import { alertingOf } from './alerting.ts'
import { exporterReleases } from './exporters.ts'
import { authSecretsOf, secretsOf, storeServices, type Plan, type Release } from './release.ts'
import type { Expose, Stack } from './stack.ts'
import { defined } from './tree.ts'

/** Values of the chart that differ from its defaults. */
export function tercetValues(stack: Stack): Record<string, unknown> {
  const { s3, retention, persistence, networkPolicy, expose } = stack
  const alerting = alertingOf(stack)
  return defined({
    fullnameOverride: stack.name === 'tercet' ? undefined : stack.name,
    image: imageValues(stack),
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
      alertmanagerConfig: alerting.kind === 'clear' ? alerting.config : undefined,
      alertmanagerConfigSecret:
        alerting.kind === 'secret' ? { name: alerting.secret.name, key: alerting.key } : undefined,
      podAnnotations: stack.isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined,
      aliasServices: stack.hasAliases ? aliases : undefined,
    },
    auth: stack.authSecret === '' ? undefined : { existingSecret: stack.authSecret },
    ...routeValues(expose),
    dashboards: { enabled: true, kind: stack.grafana.objects === 'operator' ? 'grafanaOperator' : 'configMap' },
    serviceMonitor: stack.hasMonitors ? { enabled: true } : undefined,
    prometheusRule: stack.hasMonitors ? { enabled: true } : undefined,
    agent: stack.agent.isOn
      ? {
          enabled: true,
          logs: stack.agent.isFollowingLogs ? true : undefined,
          kubelet: stack.agent.hasKubelet ? { enabled: true } : undefined,
          podAnnotations: stack.isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined,
        }
      : { enabled: false },
    scrape: stack.scrape,
    networkPolicy: networkPolicy.isOn
      ? { enabled: true, fromNamespaces: networkPolicy.fromNamespaces, toCidrs: networkPolicy.toCidrs }
      : undefined,
  })
}

/** The names that the documents have for Mimir, Loki, VictoriaLogs and VictoriaMetrics; each has its ports. */
const aliases = ['loki-gateway', 'mimir-gateway', 'tempo', 'vlinsert', 'vlselect', 'vmsingle'] as const

function routeValues(expose: Expose): Record<string, unknown> {
  const { host, gateway, gatewayNamespace, ingressClass, tlsSecret } = expose
  if (host === '') return {}
  if (gateway !== '')
    return {
      route: {
        enabled: true,
        hostnames: [host],
        parentRefs: [defined({ name: gateway, namespace: gatewayNamespace || undefined })],
      },
    }
  return {
    ingress: defined({
      enabled: true,
      className: ingressClass,
      hosts: [{ host }],
      tls: tlsSecret === '' ? undefined : [{ secretName: tlsSecret, hosts: [host] }],
    }),
  }
}

export function imageValues({ image }: Stack): Record<string, unknown> {
  return { repository: image.repository, tag: image.tag, digest: image.digest || undefined }
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
      text: 'no s3 is configured: the data lies on one volume, and nowhere else',
    })
  if (stack.expose.host !== '' && stack.authSecret === '')
    warnings.push({
      name: 'exposed-without-auth',
      text: `everybody who reaches ${stack.expose.host} may read and write; name auth_secret, or ask before it`,
    })
  if (stack.authSecret !== '' && !stack.grafana.isOn && stack.grafana.objects === 'configmap')
    warnings.push({
      name: 'grafana-credentials',
      text:
        `the data sources read TERCET_USERNAME and TERCET_PASSWORD from Grafana's environment; give it those of the ` +
        `Secret ${stack.authSecret} (envValueFrom of its chart)`,
    })
  // Signals may share a Secret; an empty name means the credentials of the machine.
  const all = (['metrics', 'logs', 'traces'] as const).flatMap(signal => secretsOf(stack, signal))
  const keys = all.filter(({ name }, i) => name !== '' && all.findIndex(other => other.name === name) === i)
  const alerting = alertingOf(stack)
  const secrets = [...keys, ...authSecretsOf(stack), ...(alerting.kind === 'secret' ? [alerting.secret] : [])]
  const release: Release = {
    name: stack.name,
    chart: 'tercet',
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
  return { releases: [release, ...exporterReleases(stack)], warnings }
}

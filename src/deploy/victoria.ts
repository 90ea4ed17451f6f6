/**
 * The engine victoria: VictoriaMetrics' k8s-stack and its cluster of logs, as the documents name them, with what they
 * have wrong put right.
 */
import { parse } from 'yaml'
import { alertingOf } from './alerting.ts'
import {
  containerSecurity,
  ownUserSecurity,
  podSecurity,
  policyOf,
  resources,
  secretsOf,
  storeService,
  type Plan,
  type Release,
} from './release.ts'
import type { Stack, StackS3 } from './stack.ts'
import { defined } from './tree.ts'
import { charts, images } from './versions.ts'

const stackName = 'victoria-metrics-k8s-stack'
const logsName = 'victoria-logs-cluster'
const tracesName = 'victoria-traces-single'
/** For images whose user we do not know. */
const unprivileged = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }
const reloader = { configReloaderResources: resources('10m', '32Mi', '64Mi') }

function claimOf({ persistence }: Stack): Record<string, unknown> {
  return defined({
    accessModes: ['ReadWriteOnce'],
    storageClassName: persistence.storageClass || undefined,
    resources: { requests: { storage: persistence.size } },
  })
}

const meshOf = (stack: Stack): Record<string, unknown> =>
  stack.isMeshed ? { podMetadata: { annotations: { 'linkerd.io/inject': 'enabled' } } } : {}

/** Every value path is one of the chart's own values.yaml; each `spec` is the CRD's. */
export function k8sStackValues(stack: Stack): Record<string, unknown> {
  const alerting = alertingOf(stack)
  return defined({
    fullnameOverride: stackName,
    'victoria-metrics-operator': {
      enabled: true,
      crds: { plain: true, cleanup: { enabled: false } },
      // Converted objects stay when the Prometheus ones go with the old stack: ownership would take them along.
      operator: { disable_prometheus_converter: false, enable_converter_ownership: false },
      resources: resources('50m', '128Mi', '512Mi'),
    },
    vmsingle: { enabled: true, spec: singleSpec(stack) },
    vmcluster: { enabled: false },
    vmagent: { enabled: stack.agent.isOn, spec: agentSpec(stack) },
    vmalert: { enabled: true, spec: alertSpec(stack) },
    alertmanager: {
      enabled: true,
      spec: {
        replicaCount: 1,
        resources: resources('50m', '128Mi', '512Mi'),
        ...reloader,
        ...(alerting.kind === 'secret' ? { configSecret: alerting.secret.name } : {}),
        ...meshOf(stack),
      },
      ...(alerting.kind === 'clear' ? { config: parse(alerting.config) as unknown } : {}),
    },
    syncJob: { resources: resources('10m', '64Mi', '256Mi'), containerSecurityContext: unprivileged },
    grafana: { enabled: false },
    defaultDatasources: { grafanaOperator: { enabled: false } },
    'kube-state-metrics': { enabled: true, resources: resources('10m', '64Mi', '256Mi') },
    'prometheus-node-exporter': { enabled: true, resources: resources('10m', '32Mi', '64Mi') },
  })
}

function singleSpec(stack: Stack): Record<string, unknown> {
  return {
    port: '8428',
    replicaCount: 1,
    retentionPeriod: stack.retention.metrics,
    ...(stack.persistence.isOn ? { storage: claimOf(stack) } : {}),
    resources: resources('500m', '512Mi', '2Gi'),
    extraArgs: { loggerFormat: 'json', 'envflag.enable': 'true', 'envflag.prefix': 'VM_' },
    securityContext: podSecurity,
    ...meshOf(stack),
  }
}

function agentSpec(stack: Stack): Record<string, unknown> {
  return {
    selectAllByDefault: true,
    scrapeInterval: stack.scrape.interval,
    scrapeTimeout: stack.scrape.timeout,
    replicaCount: 1,
    resources: resources('100m', '256Mi', '1Gi'),
    ...reloader,
    ...meshOf(stack),
  }
}

function alertSpec(stack: Stack): Record<string, unknown> {
  return {
    selectAllByDefault: true,
    evaluationInterval: '30s',
    replicaCount: 1,
    resources: resources('100m', '128Mi', '512Mi'),
    ...reloader,
    ...meshOf(stack),
  }
}

function volumeOf({ persistence }: Stack): Record<string, unknown> {
  return {
    enabled: persistence.isOn,
    size: persistence.size,
    storageClassName: persistence.storageClass || undefined,
  }
}

/** Every value path is one of the chart's own values.yaml. */
export function logsClusterValues(stack: Stack): Record<string, unknown> {
  const role = (name: string, cpu: string, memory: string, limit: string): Record<string, unknown> => ({
    enabled: true,
    fullnameOverride: name,
    replicaCount: 1,
    resources: resources(cpu, memory, limit),
    podSecurityContext: { enabled: true, ...podSecurity },
    securityContext: { enabled: true, ...ownUserSecurity },
    podDisruptionBudget: { enabled: false },
    ...(stack.isMeshed ? { podAnnotations: { 'linkerd.io/inject': 'enabled' } } : {}),
  })
  return defined({
    vlinsert: role('vlinsert', '100m', '256Mi', '2Gi'),
    vlselect: role('vlselect', '100m', '256Mi', '1Gi'),
    vlstorage: {
      ...role('vlstorage', '100m', '512Mi', '2Gi'),
      retentionPeriod: stack.retention.logs,
      persistentVolume: volumeOf(stack),
    },
    vector: stack.agent.isFollowingLogs
      ? { enabled: true, resources: resources('50m', '128Mi', '256Mi') }
      : { enabled: false },
  })
}

/** A snapshot of VMSingle in S3 every night: vmbackup reads the volume beside the server, on the same node. */
function backupRelease(s3: StackS3): Release {
  return {
    name: 'victoria-metrics-backup',
    chart: charts.appTemplate,
    dependsOn: [stackName],
    secrets: [],
    services: {},
    makes: [],
    objects: {},
    values: {
      controllers: {
        backup: {
          type: 'cronjob',
          cronjob: { schedule: '0 3 * * *', concurrencyPolicy: 'Forbid' },
          pod: { affinity: besideSingle },
          containers: { app: backupContainer(s3) },
        },
      },
      defaultPodOptions: { securityContext: podSecurity, automountServiceAccountToken: false },
      persistence: { storage: { existingClaim: `vmsingle-${stackName}`, globalMounts: [{ path: '/storage' }] } },
    },
  }
}

const singleLabels = { 'app.kubernetes.io/name': 'vmsingle', 'app.kubernetes.io/instance': stackName }

const besideSingle = {
  podAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: [
      { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: singleLabels } },
    ],
  },
}

function backupContainer(s3: StackS3): Record<string, unknown> {
  const secret = (key: string): Record<string, unknown> => ({
    valueFrom: { secretKeyRef: { name: s3.secrets.metrics, key } },
  })
  return {
    image: images.vmbackup,
    args: [
      '-storageDataPath=/storage',
      `-snapshot.createURL=http://vmsingle-${stackName}:8428/snapshot/create`,
      `-dst=s3://${s3.buckets.metrics}/latest`,
      ...(s3.endpoint === '' ? [] : [`-customS3Endpoint=${s3.endpoint}`, '-s3ForcePathStyle']),
      '-envflag.enable',
    ],
    env: {
      AWS_REGION: s3.region,
      AWS_ACCESS_KEY_ID: secret('S3_ACCESS_KEY_ID'),
      AWS_SECRET_ACCESS_KEY: secret('S3_SECRET_ACCESS_KEY'),
    },
    resources: resources('50m', '64Mi', '512Mi'),
    securityContext: containerSecurity,
  }
}

/** A release a signal, and the backup of the metrics where there is a store. */
export function planVictoria(stack: Stack): Plan {
  const releases: Release[] = []
  if (stack.signals.includes('metrics')) {
    releases.push(metricsRelease(stack))
    if (stack.s3 !== undefined && stack.persistence.isOn) releases.push(backupRelease(stack.s3))
  }
  if (stack.signals.includes('logs')) releases.push(logsRelease(stack))
  if (stack.signals.includes('traces')) releases.push(tracesRelease(stack))
  return { releases, warnings: victoriaWarnings(stack) }
}

function alertingSecrets(stack: Stack): Release['secrets'] {
  const alerting = alertingOf(stack)
  return alerting.kind === 'secret' ? [alerting.secret] : []
}

function metricsRelease(stack: Stack): Release {
  return {
    name: stackName,
    chart: charts.k8sStack,
    values: k8sStackValues(stack),
    dependsOn: [],
    secrets: [...secretsOf(stack, 'metrics'), ...alertingSecrets(stack)],
    makes: [`PersistentVolumeClaim/vmsingle-${stackName}`],
    services: {
      [`vmsingle-${stackName}`]: [8428],
      ...(stack.agent.isOn ? { [`vmagent-${stackName}`]: [8429] } : {}),
      [`vmalert-${stackName}`]: [8080],
      [`vmalertmanager-${stackName}`]: [9093],
    },
    objects: {
      'service.yaml': [
        storeService('metrics', singleLabels, [
          { name: 'http', port: 8428, targetPort: 8428 },
          { name: 'http-operator', port: 8429, targetPort: 8428 },
        ]),
      ],
      ...policyOf(stack, 'vmsingle', { matchLabels: singleLabels }, [8428]),
    },
  }
}

function logsRelease(stack: Stack): Release {
  const instance = { 'app.kubernetes.io/instance': logsName }
  // Not Vector's pods, which ask the API server.
  const roles = { key: 'app', operator: 'In', values: ['vlinsert', 'vlselect', 'vlstorage'] } as const
  return {
    name: logsName,
    chart: charts.logsCluster,
    values: logsClusterValues(stack),
    dependsOn: [],
    secrets: secretsOf(stack, 'logs'),
    makes: [],
    services: { vlinsert: [9481], vlselect: [9471], vlstorage: [9491] },
    objects: {
      'service.yaml': [
        storeService('logs', { app: 'vlinsert', ...instance }, [
          { name: 'http', port: 9481, targetPort: 9481 },
          { name: 'loki', port: 3100, targetPort: 9481 },
        ]),
      ],
      ...policyOf(stack, 'victoria-logs', { matchLabels: instance, matchExpressions: [roles] }, [9471, 9481, 9491]),
    },
  }
}

function tracesRelease(stack: Stack): Release {
  const pods = { app: 'server', 'app.kubernetes.io/instance': tracesName }
  return {
    name: tracesName,
    chart: charts.tracesSingle,
    dependsOn: [],
    secrets: [],
    makes: [],
    services: { [`${tracesName}-server`]: [10428] },
    values: defined({
      server: {
        fullnameOverride: `${tracesName}-server`,
        retentionPeriod: stack.retention.traces,
        persistentVolume: volumeOf(stack),
        resources: resources('100m', '256Mi', '1Gi'),
        podSecurityContext: { enabled: true, ...podSecurity },
        securityContext: { enabled: true, ...ownUserSecurity },
      },
    }),
    objects: {
      'service.yaml': [storeService('traces', pods, [{ name: 'http', port: 10428, targetPort: 10428 }])],
      ...policyOf(stack, 'victoria-traces', { matchLabels: pods }, [10428]),
    },
  }
}

/** What the documents say of these systems and is not so (specs/deploy.md 1). */
function victoriaWarnings(stack: Stack): { name: string; text: string }[] {
  const warnings = [
    {
      name: 'logs-language',
      text:
        'VictoriaLogs answers LogsQL, not LogQL: Grafana needs the plugin victoriametrics-logs-datasource, and ' +
        'dashboards of Loki must be written again',
    },
    {
      name: 'logs-push-path',
      text: 'clients push to /insert/loki/api/v1/push, which Tercet takes too, and not to /loki/api/v1/push',
    },
    {
      name: 'promql-differs',
      text: 'MetricsQL differs from PromQL on purpose (rate and increase, staleness, names that stay)',
    },
  ]
  if (stack.signals.includes('metrics'))
    warnings.push({
      name: 'downloads-at-deploy',
      text:
        'the chart victoria-metrics-k8s-stack has a job that fetches rules and dashboards from their repositories at ' +
        'each deployment; without a way out of the cluster set syncJob.enabled to false',
    })
  if (stack.s3 !== undefined) {
    warnings.push({
      name: 'metrics-s3-is-backup',
      text: `VMSingle keeps its data on a volume, never in S3; s3://${stack.s3.buckets.metrics} gets a nightly backup`,
    })
    warnings.push({
      name: 'logs-s3-unused',
      text:
        `VictoriaLogs can't use S3: s3://${stack.s3.buckets.logs} stays empty, and the Secret ` +
        `${stack.s3.secrets.logs} is there for backups of your own`,
    })
  }
  if (!stack.persistence.isOn)
    warnings.push({
      name: 'no-volume',
      text: 'persistence is off: VMSingle and vlstorage lose everything with their pods',
    })
  if (!stack.signals.includes('traces'))
    warnings.push({
      name: 'no-traces',
      text:
        'the Victoria stack of the documents has no traces; name signals: [metrics, logs, traces] for ' +
        'VictoriaTraces, which has no TraceQL',
    })
  else warnings.push({ name: 'traces-language', text: "VictoriaTraces answers Jaeger's API, not TraceQL" })
  return warnings
}

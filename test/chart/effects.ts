/**
 * What each value of the chart does: where in what Helm renders a text appears that is not there without the value.
 */
import type { Values } from './render.ts'

export interface Effect {
  /** `Kind`, or `Kind/name`: the objects that are looked at. */
  at: string
  /** Matches their YAML with the values, and not without. */
  is?: RegExp
  /** Matches their YAML without the values, and not with them. */
  isNot?: RegExp
}

export interface Row {
  /** Values without which those of the row have no effect. */
  base?: Values
  values: Values
  /** By the path of each value that the row sets. */
  shows: Readonly<Record<string, Effect>>
}

const server = 'StatefulSet'
const agent = 'DaemonSet'
const config = 'ConfigMap/try-tercet'
const agentConfig = 'ConfigMap/try-tercet-agent'
const tls = { existingSecret: 'their-tls' }
const s3Base = { s3: { buckets: { metrics: 'm' } } }
const where = {
  podAnnotations: { 'their.example/a': 'b' },
  podLabels: { 'their.example/c': 'd' },
  nodeSelector: { disk: 'ssd' },
  tolerations: [{ key: 'their-taint', operator: 'Exists' }],
  priorityClassName: 'their-class',
}
const extra = {
  extraArgs: ['--log.level=debug'],
  extraEnv: [{ name: 'THEIRS', value: 'mine' }],
  extraEnvFrom: [{ secretRef: { name: 'their-env' } }],
  extraVolumes: [{ name: 'theirs', secret: { secretName: 'their-files' } }],
  extraVolumeMounts: [{ name: 'theirs', mountPath: '/theirs', readOnly: true }],
}
const resources = {
  requests: { cpu: '11m', memory: '12Mi' },
  limits: { cpu: '13m', memory: '14Mi' },
}
const job = [{ job_name: 'theirs', static_configs: [{ targets: ['elsewhere.example.net:1'] }] }]

/** Effects that server and agents have alike. */
function ofPods(prefix: string, at: string): Record<string, Effect> {
  return {
    [`${prefix}.podAnnotations`]: { at, is: /their\.example\/a: b/ },
    [`${prefix}.podLabels`]: { at, is: /their\.example\/c: d/ },
    [`${prefix}.nodeSelector`]: { at, is: /nodeSelector:\n +disk: ssd/ },
    [`${prefix}.tolerations`]: { at, is: /key: their-taint/ },
    [`${prefix}.priorityClassName`]: { at, is: /priorityClassName: their-class/ },
    [`${prefix}.extraArgs`]: { at, is: /- --log\.level=debug/ },
    [`${prefix}.extraEnv`]: { at, is: /name: THEIRS\n +value: mine/ },
    [`${prefix}.extraEnvFrom`]: { at, is: /envFrom:\n +- secretRef:\n +name: their-env/ },
    [`${prefix}.extraVolumes`]: { at, is: /secretName: their-files/ },
    [`${prefix}.extraVolumeMounts`]: { at, is: /mountPath: \/theirs/ },
    [`${prefix}.resources.requests.cpu`]: { at, is: /requests:\n +cpu: 11m/ },
    [`${prefix}.resources.requests.memory`]: { at, is: /memory: 12Mi/ },
    [`${prefix}.resources.limits.cpu`]: { at, is: /limits:\n +cpu: 13m/ },
    [`${prefix}.resources.limits.memory`]: { at, is: /memory: 14Mi/ },
  }
}

const general: Row[] = [
  { values: { enabled: false }, shows: { enabled: { at: server, isNot: /kind/ } } },
  { values: { nameOverride: 'store' }, shows: { nameOverride: { at: server, is: /name: try-store\n/ } } },
  { values: { fullnameOverride: 'mine' }, shows: { fullnameOverride: { at: server, is: /name: mine\n/ } } },
  {
    values: { commonLabels: { team: 'a' }, commonAnnotations: { note: 'b' } },
    shows: {
      commonLabels: { at: 'Service/metrics-store', is: /labels:[^]*team: a/ },
      commonAnnotations: { at: 'Service/metrics-store', is: /annotations:\n +note: b/ },
    },
  },
  {
    values: {
      image: { repository: 'r.example.net/t', tag: '9.9.9', pullPolicy: 'Always' },
      imagePullSecrets: [{ name: 'their-pull' }],
    },
    shows: {
      'image.repository': { at: server, is: /image: r\.example\.net\/t:/ },
      'image.tag': { at: agent, is: /image: .*:9\.9\.9/ },
      'image.pullPolicy': { at: server, is: /imagePullPolicy: Always/ },
      imagePullSecrets: { at: agent, is: /imagePullSecrets:\n +- name: their-pull/ },
    },
  },
  {
    values: { image: { digest: `sha256:${'0'.repeat(64)}` } },
    shows: { 'image.digest': { at: server, is: /image: .*@sha256:0+/ } },
  },
  {
    values: { retention: '7d', logsRetention: '8d', tracesRetention: '9d', tenancy: 'on', durability: 'bucket' },
    shows: {
      retention: { at: server, is: /- -retentionPeriod=7d/ },
      logsRetention: { at: config, is: /logs:\n +retention: 8d/ },
      tracesRetention: { at: config, is: /traces:\n +retention: 9d/ },
      tenancy: { at: config, is: /tenancy: "on"/ },
      durability: { at: config, is: /durability: bucket/ },
    },
  },
  {
    base: s3Base,
    values: {
      s3: {
        endpoint: 'https://s3.example.net',
        region: 'garage',
        allowInsecure: true,
        buckets: { metrics: 'm1', logs: 'l1', traces: 't1' },
        secrets: { metrics: 'their-m', logs: 'their-l', traces: 'their-t' },
      },
    },
    shows: {
      's3.endpoint': { at: config, is: /endpoint: https:\/\/s3\.example\.net/ },
      's3.region': { at: config, is: /region: garage/ },
      's3.allowInsecure': { at: config, is: /allow_insecure: true/ },
      's3.buckets.metrics': { at: config, is: /bucket: m1/ },
      's3.buckets.logs': { at: config, is: /bucket: l1/ },
      's3.buckets.traces': { at: config, is: /bucket: t1/ },
      's3.secrets.metrics': { at: server, is: /METRICS_BUCKET_S3_ACCESS_KEY_ID[^]*?name: their-m/ },
      's3.secrets.logs': { at: server, is: /LOGS_BUCKET_S3_ACCESS_KEY_ID[^]*?name: their-l/ },
      's3.secrets.traces': { at: server, is: /TRACES_BUCKET_S3_ACCESS_KEY_ID[^]*?name: their-t/ },
    },
  },
  {
    base: { s3: { buckets: { metrics: 'm' }, secrets: { metrics: 'their-m' } } },
    values: { s3: { mountSecrets: true } },
    shows: { 's3.mountSecrets': { at: server, is: /mountPath: \/etc\/tercet-s3\/metrics/ } },
  },
  {
    values: { scrape: { interval: '20s', timeout: '5s' } },
    shows: {
      'scrape.interval': { at: agentConfig, is: /scrape_interval: 20s/ },
      'scrape.timeout': { at: agentConfig, is: /scrape_timeout: 5s/ },
    },
  },
  { values: { reloader: { enabled: true } }, shows: { 'reloader.enabled': { at: server, is: /reloader\.stakater/ } } },
  {
    values: { podDisruptionBudget: { enabled: true } },
    shows: { 'podDisruptionBudget.enabled': { at: 'PodDisruptionBudget', is: /maxUnavailable: 1/ } },
  },
]

const security: Row[] = [
  {
    values: { auth: { existingSecret: 'their-auth' } },
    shows: { 'auth.existingSecret': { at: server, is: /secretName: their-auth/ } },
  },
  {
    base: { auth: { existingSecret: 'their-auth' } },
    values: { auth: { usernameKey: 'user', passwordKey: 'pass', tokenKey: 'token', fileKey: 'who', sessionKey: 's' } },
    shows: {
      'auth.usernameKey': { at: server, is: /TERCET_AUTH_USERNAME[^]*?key: user\n/ },
      'auth.passwordKey': { at: config, is: /password_file: \/etc\/tercet-auth\/pass\n/ },
      'auth.fileKey': { at: config, is: /file: \/etc\/tercet-auth\/who\n/ },
      'auth.sessionKey': { at: config, is: /session_key_file: \/etc\/tercet-auth\/s\n/ },
      'auth.tokenKey': { at: config, is: /bearer_token_file: \/etc\/tercet-auth\/token\n/ },
    },
  },
  { values: { tls }, shows: { 'tls.existingSecret': { at: server, is: /scheme: HTTPS/ } } },
  {
    base: { tls },
    values: {
      tls: {
        certKey: 'c.pem',
        keyKey: 'k.pem',
        ca: { existingSecret: 'their-ca', key: 'a.pem' },
        serverName: 'tercet.example.net',
      },
    },
    shows: {
      'tls.certKey': { at: config, is: /cert_file: \/etc\/tercet-tls\/c\.pem/ },
      'tls.keyKey': { at: config, is: /key_file: \/etc\/tercet-tls\/k\.pem/ },
      'tls.ca.existingSecret': { at: agent, is: /secretName: their-ca/ },
      'tls.ca.key': { at: agentConfig, is: /ca_file: \/etc\/tercet-server-ca\/a\.pem/ },
      'tls.serverName': { at: agentConfig, is: /server_name: tercet\.example\.net/ },
    },
  },
  {
    base: { tls },
    values: {
      tls: {
        clientCa: {
          existingSecret: 'their-clients',
          key: 'clients.pem',
          auth: 'optional',
          listeners: { syslog_tls: 'required' },
        },
        minVersion: 'TLSv1.3',
        clientSecret: 'their-client',
      },
    },
    shows: {
      'tls.clientCa.existingSecret': { at: server, is: /port: health/ },
      'tls.clientCa.key': { at: config, is: /client_ca_file: \/etc\/tercet-client-ca\/clients\.pem/ },
      'tls.clientCa.auth': { at: config, is: /client_auth: optional/ },
      'tls.clientCa.listeners': { at: config, is: /- syslog_tls=required/ },
      'tls.minVersion': { at: config, is: /min_version: TLSv1\.3/ },
      'tls.clientSecret': { at: agent, is: /secretName: their-client\n/ },
    },
  },
  {
    values: { ca: { existingSecret: 'their-ca', key: 'root.pem' } },
    shows: {
      'ca.existingSecret': { at: server, is: /secretName: their-ca/ },
      'ca.key': { at: agent, is: /NODE_EXTRA_CA_CERTS\n +value: \/etc\/tercet-ca\/root\.pem/ },
    },
  },
  {
    values: { ca: { existingConfigMap: 'their-bundle' } },
    shows: { 'ca.existingConfigMap': { at: server, is: /configMap:\n +name: their-bundle/ } },
  },
  {
    values: { serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn' }, name: 'a', agentName: 'b' } },
    shows: {
      'serviceAccount.annotations': { at: 'ServiceAccount', is: /role-arn: arn/ },
      'serviceAccount.name': { at: server, is: /serviceAccountName: a\n/ },
      'serviceAccount.agentName': { at: agent, is: /serviceAccountName: b\n/ },
    },
  },
  {
    base: { serviceAccount: { agentName: 'their-account' } },
    values: { serviceAccount: { create: false } },
    shows: { 'serviceAccount.create': { at: 'ServiceAccount', isNot: /kind/ } },
  },
  { values: { rbac: { create: false } }, shows: { 'rbac.create': { at: 'ClusterRoleBinding', isNot: /kind/ } } },
  {
    base: { server: { operatorObjects: true } },
    values: { rbac: { secrets: true } },
    shows: { 'rbac.secrets': { at: 'ClusterRole/monitoring:try-tercet:server', is: /- secrets/ } },
  },
  {
    values: { networkPolicy: { enabled: true } },
    shows: { 'networkPolicy.enabled': { at: 'NetworkPolicy', is: /kind/ } },
  },
  {
    base: { networkPolicy: { enabled: true }, server: { operatorObjects: true } },
    values: {
      networkPolicy: {
        fromNamespaces: ['grafana'],
        toCidrs: ['10.1.0.0/16'],
        toNamespaces: ['mail'],
        apiServerCidrs: ['10.2.0.1/32'],
      },
    },
    shows: {
      'networkPolicy.fromNamespaces': { at: 'NetworkPolicy', is: /metadata\.name: grafana/ },
      'networkPolicy.toCidrs': { at: 'NetworkPolicy', is: /cidr: 10\.1\.0\.0\/16/ },
      'networkPolicy.toNamespaces': { at: 'NetworkPolicy', is: /metadata\.name: mail/ },
      'networkPolicy.apiServerCidrs': { at: 'NetworkPolicy', is: /cidr: 10\.2\.0\.1\/32/ },
    },
  },
]

const ofServer: Row[] = [
  { values: { server: { enabled: false } }, shows: { 'server.enabled': { at: server, isNot: /kind/ } } },
  { values: { server: { replicas: 0 } }, shows: { 'server.replicas': { at: server, is: /replicas: 0/ } } },
  {
    values: { server: { sharedNames: false } },
    shows: { 'server.sharedNames': { at: 'Service', is: /name: try-tercet-metrics-store\n/ } },
  },
  {
    values: { server: { metricsServiceName: 'm', logsServiceName: 'l', tracesServiceName: 't' } },
    shows: {
      'server.metricsServiceName': { at: agentConfig, is: /http:\/\/m:8428/ },
      'server.logsServiceName': { at: 'Service', is: /name: l\n/ },
      'server.tracesServiceName': { at: 'Service', is: /name: t\n/ },
    },
  },
  {
    values: { server: { service: { type: 'NodePort', port: 8080, annotations: { 'their.example/s': 'x' } } } },
    shows: {
      'server.service.type': { at: 'Service/metrics-store', is: /type: NodePort/ },
      'server.service.port': { at: agentConfig, is: /metrics-store:8080\// },
      'server.service.annotations': { at: 'Service/metrics-store', is: /their\.example\/s: x/ },
    },
  },
  {
    values: { server: { aliasServices: ['loki-gateway', { name: 'mine', ports: [80] }] } },
    shows: {
      'server.aliasServices': { at: 'Service', is: /name: loki-gateway\n[^]*port: 9095\n +targetPort: otlp-grpc/ },
    },
  },
  {
    values: { server: { ...extra, ...where, resources } },
    shows: ofPods('server', server),
  },
  {
    values: {
      server: {
        affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
        topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }],
        terminationGracePeriodSeconds: 99,
      },
    },
    shows: {
      'server.affinity': { at: server, is: /podAntiAffinity/ },
      'server.topologySpreadConstraints': { at: server, is: /topologyKey: zone/ },
      'server.terminationGracePeriodSeconds': { at: server, is: /terminationGracePeriodSeconds: 99/ },
    },
  },
  {
    values: {
      server: {
        persistence: {
          size: '50Gi',
          storageClass: 'fast',
          accessModes: ['ReadWriteOncePod'],
          annotations: { 'their.example/v': 'y' },
        },
      },
    },
    shows: {
      'server.persistence.size': { at: server, is: /storage: 50Gi/ },
      'server.persistence.storageClass': { at: server, is: /storageClassName: fast/ },
      'server.persistence.accessModes': { at: server, is: /- ReadWriteOncePod/ },
      'server.persistence.annotations': { at: server, is: /their\.example\/v: y/ },
    },
  },
  {
    values: { server: { persistence: { existingClaim: 'their-claim' } } },
    shows: { 'server.persistence.existingClaim': { at: server, is: /claimName: their-claim/ } },
  },
  {
    values: { server: { persistence: { enabled: false } } },
    shows: { 'server.persistence.enabled': { at: server, isNot: /volumeClaimTemplates/ } },
  },
  {
    base: { server: { persistence: { enabled: false } } },
    values: { server: { emptyDirSize: '3Gi' } },
    shows: { 'server.emptyDirSize': { at: server, is: /sizeLimit: 3Gi/ } },
  },
  {
    values: {
      server: {
        config: { limits: { active_series: 12345 } },
        allowedHosts: ['theirs.example.net'],
        corsOrigins: ['https://elsewhere.example.net'],
        scrapeConfigs: job,
        operatorObjects: true,
        filesCheckInterval: '77s',
        rules: { 'theirs.yml': 'groups: []\n' },
        rulesConfigMaps: ['their-rules'],
        rulesSecrets: ['their-secret-rules'],
      },
    },
    shows: {
      'server.config': { at: config, is: /active_series: 12345/ },
      'server.allowedHosts': { at: config, is: /allowed_hosts:[^:]*- theirs\.example\.net/ },
      'server.corsOrigins': { at: config, is: /cors_origins:\s*- https:\/\/elsewhere\.example\.net/ },
      'server.scrapeConfigs': { at: config, is: /job_name: theirs/ },
      'server.operatorObjects': { at: 'ClusterRole', is: /- servicemonitors/ },
      'server.filesCheckInterval': { at: config, is: /files_check_interval: 77s/ },
      'server.rules': { at: config, is: /rule-theirs\.yml/ },
      'server.rulesConfigMaps': { at: config, is: /- \/etc\/tercet-rules\/configmap-their-rules\/\*/ },
      'server.rulesSecrets': { at: server, is: /mountPath: \/etc\/tercet-rules\/secret-their-secret-rules/ },
    },
  },
  {
    values: { server: { mountToken: 'on' } },
    shows: { 'server.mountToken': { at: server, is: /automountServiceAccountToken: true/ } },
  },
  {
    values: { server: { alertmanagerConfig: 'route: { receiver: x }\nreceivers: [{ name: x }]\n' } },
    shows: {
      'server.alertmanagerConfig': { at: config, is: /alertmanager_config_file: \/etc\/tercet\/alertmanager\.yml/ },
    },
  },
  {
    values: {
      server: {
        alertmanagerConfigSecret: { name: 'their-alerts', key: 'am.yaml' },
        alertmanagerFilesSecret: 'their-receivers',
      },
    },
    shows: {
      'server.alertmanagerConfigSecret.name': { at: server, is: /name: their-alerts/ },
      'server.alertmanagerConfigSecret.key': { at: server, is: /key: am\.yaml\n +path: alertmanager\.yml/ },
      'server.alertmanagerFilesSecret': { at: server, is: /name: their-receivers/ },
    },
  },
]

const ofAgent: Row[] = [
  { values: { agent: { enabled: false } }, shows: { 'agent.enabled': { at: agent, isNot: /kind/ } } },
  { values: { agent: { ...extra, ...where, resources } }, shows: ofPods('agent', agent) },
  {
    values: {
      agent: {
        remoteWriteUrl: 'https://elsewhere.example.net/write',
        remoteWrite: { name: 'theirs' },
        scrapeConfigs: job,
        config: { limits: { body_size: '8MiB' } },
        queueSize: '1GiB',
        selfScrape: true,
        logs: true,
        logsUrl: 'https://elsewhere.example.net/push',
      },
    },
    shows: {
      'agent.remoteWriteUrl': { at: agentConfig, is: /url: https:\/\/elsewhere\.example\.net\/write/ },
      'agent.remoteWrite': { at: agentConfig, is: /name: theirs/ },
      'agent.scrapeConfigs': { at: agentConfig, is: /job_name: theirs/ },
      'agent.config': { at: agentConfig, is: /body_size: 8MiB/ },
      'agent.queueSize': { at: agentConfig, is: /queue_size: 1GiB/ },
      'agent.selfScrape': { at: agentConfig, is: /job_name: tercet-agent/ },
      'agent.logs': { at: agent, is: /path: \/var\/log/ },
      'agent.logsUrl': { at: agentConfig, is: /- https:\/\/elsewhere\.example\.net\/push/ },
    },
  },
  {
    values: { agent: { kubelet: { enabled: true } } },
    shows: { 'agent.kubelet.enabled': { at: agentConfig, is: /job_name: kubelet/ } },
  },
  {
    base: { agent: { kubelet: { enabled: true } } },
    values: { agent: { kubelet: { viaApiServer: true, cadvisorJob: 'kubelet', dropUnused: false } } },
    shows: {
      'agent.kubelet.viaApiServer': { at: 'ClusterRole', is: /nodes\/proxy/ },
      'agent.kubelet.cadvisorJob': { at: agentConfig, isNot: /replacement: cadvisor/ },
      'agent.kubelet.dropUnused': { at: agentConfig, isNot: /metric_relabel_configs/ },
    },
  },
  {
    base: { agent: { kubelet: { enabled: true } } },
    values: { agent: { kubelet: { cadvisor: false, insecureSkipVerify: false } } },
    shows: {
      'agent.kubelet.cadvisor': { at: agentConfig, isNot: /job_name: cadvisor/ },
      'agent.kubelet.insecureSkipVerify': { at: agentConfig, isNot: /insecure_skip_verify/ },
    },
  },
]

const around: Row[] = [
  {
    values: { serviceMonitor: { enabled: true, interval: '11s', labels: { release: 'x' } } },
    shows: {
      'serviceMonitor.enabled': { at: 'ServiceMonitor', is: /path: \/metrics/ },
      'serviceMonitor.interval': { at: 'ServiceMonitor', is: /interval: 11s/ },
      'serviceMonitor.labels': { at: 'ServiceMonitor', is: /release: x/ },
    },
  },
  {
    values: { vmServiceScrape: { enabled: true, interval: '12s', labels: { release: 'x' } } },
    shows: {
      'vmServiceScrape.enabled': { at: 'VMServiceScrape', is: /path: \/metrics/ },
      'vmServiceScrape.interval': { at: 'VMServiceScrape', is: /interval: 12s/ },
      'vmServiceScrape.labels': { at: 'VMServiceScrape', is: /release: x/ },
    },
  },
  {
    values: { prometheusRule: { enabled: true } },
    shows: { 'prometheusRule.enabled': { at: 'PrometheusRule', is: /alert: TercetDown/ } },
  },
  {
    base: { prometheusRule: { enabled: true } },
    values: { prometheusRule: { labels: { role: 'alert' }, disabled: ['TercetRestarts'], job: 'metrics-store' } },
    shows: {
      'prometheusRule.labels': { at: 'PrometheusRule', is: /role: alert/ },
      'prometheusRule.disabled': { at: 'PrometheusRule', isNot: /alert: TercetRestarts/ },
      'prometheusRule.job': { at: 'PrometheusRule', is: /job=~"metrics-store"/ },
    },
  },
  {
    values: {
      dashboards: {
        enabled: true,
        label: 'their_dashboard',
        labelValue: 'theirs',
        folder: 'Store',
        folderAnnotation: 'their_folder',
        labels: { a: 'b' },
        annotations: { c: 'd' },
      },
    },
    shows: {
      'dashboards.enabled': { at: 'ConfigMap/try-tercet-dashboard-server', is: /server\.json/ },
      'dashboards.label': { at: 'ConfigMap/try-tercet-dashboard-server', is: /their_dashboard: / },
      'dashboards.labelValue': { at: 'ConfigMap/try-tercet-dashboard-server', is: /: theirs\n/ },
      'dashboards.folder': { at: 'ConfigMap/try-tercet-dashboard-server', is: /: Store\n/ },
      'dashboards.folderAnnotation': { at: 'ConfigMap/try-tercet-dashboard-server', is: /their_folder: / },
      'dashboards.labels': { at: 'ConfigMap/try-tercet-dashboard-server', is: /labels:\n +a: b/ },
      'dashboards.annotations': { at: 'ConfigMap/try-tercet-dashboard-server', is: / c: d\n/ },
    },
  },
  {
    base: { dashboards: { enabled: true } },
    values: { dashboards: { kind: 'grafanaOperator', instanceSelector: { matchLabels: { dashboards: 'theirs' } } } },
    shows: {
      'dashboards.kind': { at: 'GrafanaDashboard/try-tercet-dashboard-agents', is: /json: / },
      'dashboards.instanceSelector': { at: 'GrafanaDashboard', is: /dashboards: theirs/ },
    },
  },
  {
    values: {
      ingress: {
        enabled: true,
        className: 'nginx',
        annotations: { a: 'b' },
        labels: { c: 'd' },
        hosts: [{ host: 'tercet.example.net' }],
        tls: [{ secretName: 'their-certificate', hosts: ['tercet.example.net'] }],
      },
    },
    shows: {
      'ingress.enabled': { at: 'Ingress', is: /name: metrics-store\n +port:\n +name: http/ },
      'ingress.className': { at: 'Ingress', is: /ingressClassName: nginx/ },
      'ingress.annotations': { at: 'Ingress', is: /annotations:\n +a: b/ },
      'ingress.labels': { at: 'Ingress', is: / c: d\n/ },
      'ingress.hosts': { at: config, is: /external_url: https:\/\/tercet\.example\.net/ },
      'ingress.tls': { at: 'Ingress', is: /secretName: their-certificate/ },
    },
  },
  {
    values: {
      route: {
        enabled: true,
        parentRefs: [{ name: 'their-gateway', namespace: 'network', sectionName: 'https' }],
        hostnames: ['tercet.example.net'],
        matches: [{ path: { type: 'PathPrefix', value: '/api' } }],
        filters: [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { remove: ['server'] } }],
        extraRules: [{ matches: [{ path: { type: 'Exact', value: '/gone' } }] }],
        annotations: { a: 'b' },
        labels: { c: 'd' },
      },
    },
    shows: {
      'route.enabled': { at: 'HTTPRoute', is: /backendRefs:\n +- name: metrics-store\n +port: 8428/ },
      'route.parentRefs': { at: 'HTTPRoute', is: /sectionName: https/ },
      'route.hostnames': { at: 'HTTPRoute', is: /- tercet\.example\.net/ },
      'route.matches': { at: 'HTTPRoute', is: /value: \/api/ },
      'route.filters': { at: 'HTTPRoute', is: /ResponseHeaderModifier/ },
      'route.extraRules': { at: 'HTTPRoute', is: /value: \/gone/ },
      'route.annotations': { at: 'HTTPRoute', is: /annotations:\n +a: b/ },
      'route.labels': { at: 'HTTPRoute', is: / c: d\n/ },
    },
  },
]

const otherNames: Row[] = [
  {
    values: {
      server: {
        image: { repository: 'r.example.net/t' },
        retention: '11d',
        persistentVolume: { size: '51Gi', storageClassName: 'slow' },
        env: [{ name: 'THEIRS', value: 'mine' }],
        envFrom: [{ secretRef: { name: 'their-env' } }],
      },
      vmagent: { image: { tag: '1.2.3' }, resources: { limits: { memory: '99Mi' } } },
    },
    shows: {
      'server.image': { at: server, is: /image: r\.example\.net\/t:1\.2\.3/ },
      'server.retention': { at: server, is: /-retentionPeriod=11d/ },
      'server.persistentVolume': { at: server, is: /storageClassName: slow[^]*storage: 51Gi/ },
      'server.env': { at: server, is: /name: THEIRS/ },
      'server.envFrom': { at: server, is: /name: their-env/ },
      vmagent: { at: agent, is: /memory: 99Mi/ },
    },
  },
  {
    values: { server: { retentionPeriod: 3 } },
    shows: { 'server.retentionPeriod': { at: config, is: /logs:\n +retention: 93d/ } },
  },
  {
    values: {
      victoriametrics: {
        server: { retention: '12d', persistence: { size: '52Gi' } },
        vmagent: { resources: { limits: { memory: '98Mi' } } },
        scrape: { interval: '33s' },
      },
    },
    shows: { victoriametrics: { at: server, is: /-retentionPeriod=12d[^]*storage: 52Gi/ } },
  },
]

export const rows: readonly Row[] = [...general, ...security, ...ofServer, ...ofAgent, ...around, ...otherNames]

/**
 * What `deploy render` writes, for three engines and four targets: trees as the documents name them, every object
 * strictly of its kind, every reference resolved, no secret in clear, the same input the same bytes. req-001 req-005
 * req-008 req-011 req-013 req-014 req-015 req-016 req-018 req-022 req-023 req-024 req-025 req-026 req-030 req-031
 * req-032 req-033 req-036 req-037 req-041 req-042 req-043 req-048 req-049 req-051 req-052 req-054 req-062 req-063
 * req-067 req-068 req-069 req-073 req-080 req-081 req-083 req-109 req-110 req-111 req-112 req-113 req-122 req-123
 * req-124 req-125 req-126 req-127 req-128 req-129 req-130 req-135 req-137 req-138 req-139 req-140 req-141 req-150
 * req-157 req-158 req-160 req-161 req-162 req-167 req-171 req-172 req-173 req-174 req-175 req-176.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { seededRandom } from '#core/random.ts'
import { dataSourceConfigMap, dataSources, grafanaValues } from '#deploy/grafana.ts'
import { migrationPlan, survivorsOf, withoutApplications } from '#deploy/migrate.ts'
import { findUnresolved } from '#deploy/references.ts'
import { clientUrls, type SecretSpec } from '#deploy/release.ts'
import { objectsOf, planOf, render, type Rendered } from '#deploy/render.ts'
import { secretRule } from '#deploy/sops-rule.ts'
import { seal, secretProblems, unseal } from '#deploy/sops.ts'
import { engines, readStack, targets, type Engine, type Stack, type Target } from '#deploy/stack.ts'
import { yamlText, type FileTree, type KubeObject } from '#deploy/tree.ts'
import { ownChart } from '../../src/ops/render-tree.ts'
import { builtInProblems, customProblems, isBuiltIn } from '../kube-objects.ts'
import { needs, programPath } from '../peers.ts'

const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const directory = mkdtempSync(join(tmpdir(), 'tercet-render-'))
after(() => {
  rmSync(directory, { recursive: true })
})
const base = `s3: { endpoint: 'https://s3.example.net', region: minio }\nage_recipients: [${recipient}]\n`
const variants: Readonly<Record<string, string>> = {
  base,
  'nothing at all': '',
  grafana: `${base}grafana: { enabled: true }\n`,
  'grafana elsewhere': `${base}grafana: { namespace: grafana, org_id: team }\n`,
  policies: `${base}network_policy: { enabled: true, from_namespaces: [apps], to_cidrs: [10.0.0.0/8] }\nmesh: true\n`,
  'no volumes': `${base}persistence: { enabled: false }\nagent: { enabled: false }\n`,
  volumes: `${base}persistence: { enabled: true, size: 50Gi, storage_class: fast }\nagent: { logs: true }\n`,
  retention: `${base}retention: { metrics: 7d, logs: 2w, traces: 12h }\nscrape: { interval: 30s }\n`,
  alerting: `${base}alerting: { alertmanager_config: "route: {receiver: x}\\nreceivers: [{name: x}]" }\n`,
  'alerting with credentials':
    `${base}alerting: { alertmanager_config: "route: {receiver: x}\\nreceivers: [{name: x, slack_configs: ` +
    '[{api_url: https://hooks.example.net/services/T0/B0/x}]}]" }\n',
  'external secrets': `${base}external_secrets: { store: vault, prefix: observability/ }\n`,
  'chart from Git': `${base}chart: { git: { url: 'https://git.example.net/tercet.git', ref: v0.1.0 } }\n`,
  'chart by path': `${base}chart: { path: charts/tercet }\n`,
  digest: `${base}image: { repository: registry.example.net/tercet, digest: 'sha256:${'0'.repeat(64)}' }\n`,
  'operator of Grafana': `${base}grafana: { objects: operator, namespace: grafana }\n`,
  'Grafana elsewhere': `${base}grafana: { enabled: true, namespace: grafana }\n`,
  amazon: `s3: { region: eu-west-1 }\nage_recipients: [${recipient}]\n`,
  'development S3':
    `${base}development_s3: { enabled: true, image: 'registry.example.net/s3:1.0', command: [serve], ` +
    'environment: { A: b }, healthcheck: [curl, -f, http://127.0.0.1:9000/] }\n',
}
const plaintexts = ['PLAIN-ID', 'PLAIN-KEY', 'hooks.example.net/services']
const plainOf: Readonly<Record<string, string>> = {
  S3_ACCESS_KEY_ID: 'PLAIN-ID',
  S3_SECRET_ACCESS_KEY: 'PLAIN-KEY',
}

function sealing(before: FileTree = new Map()): (path: string, secret: SecretSpec) => Promise<string> {
  return async (path, { name, keys, content }) => {
    const there = before.get(path)
    return seal(
      yamlText({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name },
        type: 'Opaque',
        stringData: content ?? Object.fromEntries(keys.map(key => [key, `${plainOf[key] ?? 'PLAIN'}-${name}`])),
      }),
      secretRule([recipient]),
      { random: seededRandom(path.length), nowMs: 1.8e12 + before.size },
      there === undefined ? undefined : { text: there, identities: [identity] },
    )
  }
}
async function make(
  text: string,
  engine: Engine,
  target: Target,
  before?: FileTree,
): Promise<Rendered & { stack: Stack }> {
  const stack = readStack(text, 'stack.yaml', engine)
  return {
    stack,
    ...(await render({
      stack,
      target,
      ownChart: ownChart(),
      seal: (path, secret) =>
        stack.ageRecipients.length === 0 ? Promise.resolve(undefined) : sealing(before)(path, secret),
      configText: text,
    })),
  }
}
const named = (tree: FileTree, kind: string, name?: string): KubeObject => {
  const found = objectsOf(tree).filter(o => o.kind === kind && (name === undefined || o.metadata.name === name))
  assert.equal(found.length, 1, `${kind} ${name ?? ''}`)
  return found[0]!
}
const valuesOf = (tree: FileTree, name: string): Record<string, unknown> =>
  (named(tree, 'HelmRelease', name) as unknown as { spec: { values: Record<string, unknown> } }).spec.values
const at = (value: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((v, part) => (v as Record<string, unknown> | undefined)?.[part], value)

function writeOut(tree: FileTree, name: string): string {
  const root = join(directory, name)
  for (const [path, text] of tree) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

test('every Flux tree: kinds, references, listed files, sealed secrets, the same bytes again', async () => {
  const builtIn: KubeObject[] = []
  for (const engine of engines) {
    for (const [name, text] of Object.entries(variants)) {
      const { tree, warnings } = await make(text, engine, 'flux')
      const again = await make(text, engine, 'flux', tree)
      const where = `${engine}, ${name}`
      // req-173: sealed files keep their bytes, though the time and the randomness are others.
      assert.deepEqual([...again.tree], [...tree], where)
      for (const object of objectsOf(tree)) {
        if (object.kind === 'Kustomization' && object.apiVersion.startsWith('kustomize.config')) continue
        if (isBuiltIn(object)) {
          const { sops: _sops, ...opened } = object
          builtIn.push(opened as KubeObject)
        } else assert.deepEqual(customProblems(object), [], where)
      }
      for (const [path, content] of tree) {
        for (const plain of plaintexts)
          assert.ok(!content.includes(plain), `${where}: ${path} holds a secret in clear (req-016 req-167)`)
        // As check-secrets: documents of a chart name keys, and hold none.
        const isChecked = /\.ya?ml$/.test(path) && !path.startsWith('.sops')
        assert.deepEqual(isChecked ? await secretProblems(content) : [], [], path)
        if (path.endsWith('.sops.yaml') && path !== '.sops.yaml')
          assert.match(await unseal(content, [identity]), /PLAIN-ID|hooks\.example\.net/)
      }
      assert.equal(tree.has('.sops.yaml'), text.includes('age1'), 'req-017')
      // req-013: what a kustomization lists is there, and what is there is listed.
      for (const [path, content] of tree) {
        if (!path.endsWith('/kustomization.yaml')) continue
        const folder = dirname(path)
        const listed = (parse(content) as { resources: string[] }).resources.map(r => join(folder, r)).sort()
        const there = [...tree.keys()]
          .filter(
            p =>
              p !== path &&
              (folder.endsWith('/app')
                ? dirname(p) === folder
                : p === join(folder, 'namespace.yaml') || (p.endsWith('/ks.yaml') && dirname(dirname(p)) === folder)),
          )
          .sort()
        assert.deepEqual(listed, there, `${where}: ${path}`)
      }
      for (const warning of warnings) assert.match(warning.name, /^[a-z0-9-]+$/, 'req-175')
    }
  }
  assert.ok(builtIn.length > 60)
  assert.deepEqual(builtInProblems(builtIn), [])
})

test('kustomize builds every application', needs('kustomize'), async () => {
  for (const engine of engines) {
    const { tree } = await make(variants['policies']!, engine, 'flux')
    const root = writeOut(tree, `kustomize-${engine}`)
    for (const path of tree.keys()) {
      if (!path.endsWith('/kustomization.yaml')) continue
      const run = spawnSync(programPath('kustomize')!, ['build', join(root, dirname(path))], { encoding: 'utf8' })
      assert.equal(run.status, 0, `${path}: ${run.stderr}`)
    }
  }
})

const app = (
  name: string,
  secrets: readonly string[] = ['secret.sops.yaml'],
  more: readonly string[] = ['service.yaml'],
): string[] => [
  `${name}/ks.yaml`,
  ...['helmrelease.yaml', 'kustomization.yaml', 'ocirepository.yaml', ...secrets, ...more].map(
    file => `${name}/app/${file}`,
  ),
]

test('the trees are those of the documents', async () => {
  const expected: Record<Engine, string[]> = {
    tercet: app(
      'tercet',
      ['metrics-s3-secret.sops.yaml', 'logs-s3-secret.sops.yaml', 'traces-s3-secret.sops.yaml'],
      [],
    ),
    victoria: [
      ...app('victoria-metrics-k8s-stack'),
      ...app('victoria-metrics-backup', [], []),
      ...app('victoria-logs-cluster'),
    ],
    lgtm: [
      ...app('loki'),
      ...app('tempo'),
      ...app('mimir', undefined, ['service.yaml', 'prometheus-values.yaml']),
      ...['ks.yaml', 'app/kustomization.yaml', 'app/servicemonitor.yaml'].map(file => `metrics-store-monitor/${file}`),
      ...app('tercet-agent', [], []),
    ],
  }
  for (const engine of engines) {
    const { tree } = await make(base, engine, 'flux')
    const monitoring = 'kubernetes/apps/monitoring/'
    const sources = [
      'grafana-datasources/ks.yaml',
      'grafana-datasources/app/kustomization.yaml',
      'grafana-datasources/app/configmap.yaml',
    ]
    assert.deepEqual(
      [...tree.keys()].sort(),
      [
        '.sops.yaml',
        ...['namespace.yaml', 'kustomization.yaml', ...sources, ...expected[engine]].map(p => monitoring + p),
      ].sort(),
      `${engine} (req-013 req-068 req-130)`,
    )
    for (const ks of objectsOf(tree).filter(o => o.apiVersion.startsWith('kustomize.toolkit'))) {
      const spec = ks['spec'] as { prune: boolean; wait: boolean; path: string }
      assert.deepEqual([spec.prune, spec.wait], [true, true], 'req-015 req-023')
      assert.ok(
        [...tree.keys()].some(p => p.startsWith(spec.path.slice(2))),
        spec.path,
      )
    }
    for (const release of objectsOf(tree).filter(o => o.kind === 'HelmRelease')) {
      assert.equal(at(release, 'spec.install.crds'), 'CreateReplace', 'req-030')
      assert.equal(at(release, 'spec.upgrade.remediation.strategy'), 'rollback', 'req-014')
      assert.equal(release.metadata.annotations!['kustomize.toolkit.fluxcd.io/substitute'], 'disabled')
    }
    // req-063: no workloads beside the charts.
    assert.deepEqual(
      objectsOf(tree).filter(o => ['Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', 'Pod'].includes(o.kind)),
      [],
    )
  }
  // req-014: back and forth is the same.
  const a = await make(base, 'victoria', 'flux')
  const b = await make(variants['retention']!, 'victoria', 'flux', a.tree)
  const back = await make(base, 'victoria', 'flux', b.tree)
  assert.deepEqual([...back.tree], [...a.tree])
  assert.notDeepEqual([...b.tree], [...a.tree])
})

test('what depends on what has no cycle, and Grafana comes last', async () => {
  for (const engine of engines) {
    const { tree } = await make(variants['grafana']!, engine, 'flux')
    const edges = new Map(
      objectsOf(tree)
        .filter(o => o.apiVersion.startsWith('kustomize.toolkit'))
        .map(o => [
          o.metadata.name,
          ((o['spec'] as { dependsOn?: { name: string }[] }).dependsOn ?? []).map(d => d.name),
        ]),
    )
    const done = new Set<string>()
    for (let before = -1; done.size > before;) {
      before = done.size
      for (const [name, needed] of edges) if (needed.every(n => done.has(n))) done.add(name)
    }
    assert.equal(done.size, edges.size, `${engine} (req-015)`)
    if (engine === 'lgtm')
      assert.deepEqual(
        [edges.get('loki'), edges.get('tempo'), edges.get('mimir'), edges.get('grafana')],
        [[], [], [], ['loki', 'tempo', 'mimir']],
        'req-140',
      )
  }
})

test("victoria: the operator's objects are valid to the field, sized and connected as the documents say", async () => {
  const { tree, warnings } = await make(base, 'victoria', 'flux')
  const stack = valuesOf(tree, 'victoria-metrics-k8s-stack')
  const logs = valuesOf(tree, 'victoria-logs-cluster')
  const kinds = {
    vmsingle: 'VMSingle',
    vmagent: 'VMAgent',
    vmalert: 'VMAlert',
    alertmanager: 'VMAlertmanager',
  } as const
  // What the chart itself puts in, and the CustomResourceDefinition requires.
  const chartFills: Record<string, object> = {
    VMAgent: { remoteWrite: [{ url: 'http://vmsingle-victoria-metrics-k8s-stack:8428/api/v1/write' }] },
    VMAlert: { datasource: { url: 'http://vmsingle-victoria-metrics-k8s-stack:8428' } },
  }
  for (const [key, kind] of Object.entries(kinds)) {
    assert.equal(at(stack, `${key}.enabled`), true, 'req-001')
    assert.deepEqual(
      customProblems({
        apiVersion: 'operator.victoriametrics.com/v1beta1',
        kind,
        metadata: { name: 'x' },
        spec: { ...chartFills[kind], ...(at(stack, `${key}.spec`) as object) },
      } as KubeObject),
      [],
    )
  }
  assert.equal(at(stack, 'vmcluster.enabled'), false)
  // The document's own block is what strict checking catches.
  assert.match(
    customProblems({
      apiVersion: 'operator.victoriametrics.com/v1beta1',
      kind: 'VMSingle',
      metadata: { name: 'x' },
      spec: { storage: { bucket: 'b', accessKey: 'a' } },
    } as KubeObject).join(),
    /accessKey/,
  )
  assert.equal(at(stack, 'vmagent.spec.selectAllByDefault'), true, 'req-018')
  assert.equal(at(stack, 'vmagent.spec.scrapeInterval'), '30s', 'req-032')
  assert.equal(at(stack, 'vmalert.spec.evaluationInterval'), '30s', 'req-042')
  assert.deepEqual(
    [
      at(stack, 'victoria-metrics-operator.operator.disable_prometheus_converter'),
      at(stack, 'victoria-metrics-operator.operator.enable_converter_ownership'),
    ],
    [false, false],
    'req-031',
  )
  const sizes = (value: unknown): string => {
    const r = at(value, 'resources') as { requests: { cpu: string; memory: string }; limits: { memory: string } }
    return `${r.requests.cpu} ${r.requests.memory} ${r.limits.memory}`
  }
  assert.deepEqual(
    ['vmsingle', 'vmagent', 'vmalert', 'alertmanager'].map(key => sizes(at(stack, `${key}.spec`))),
    ['500m 512Mi 2Gi', '100m 256Mi 1Gi', '100m 128Mi 512Mi', '50m 128Mi 512Mi'],
    'req-033 req-041 req-042 req-043',
  )
  assert.deepEqual(
    ['vlinsert', 'vlselect', 'vlstorage'].map(key => sizes(logs[key])),
    ['100m 256Mi 2Gi', '100m 256Mi 1Gi', '100m 512Mi 2Gi'],
    'req-048',
  )
  assert.deepEqual(
    ['vlinsert', 'vlselect', 'vlstorage'].map(key => [
      at(logs, `${key}.replicaCount`),
      at(logs, `${key}.fullnameOverride`),
    ]),
    [
      [1, 'vlinsert'],
      [1, 'vlselect'],
      [1, 'vlstorage'],
    ],
    'req-005 req-011 req-049',
  )
  assert.equal(at(stack, 'vmsingle.spec.retentionPeriod'), '30d', 'req-037')
  assert.equal(at(logs, 'vlstorage.retentionPeriod'), '30d', 'req-052')
  assert.equal(at(logs, 'vlstorage.persistentVolume.enabled'), true, 'req-054')
  assert.deepEqual(
    ['envflag.enable', 'envflag.prefix', 'loggerFormat'].map(
      key => (at(stack, 'vmsingle.spec.extraArgs') as Record<string, string>)[key],
    ),
    ['true', 'VM_', 'json'],
    'req-041',
  )
  const names = warnings.map(w => w.name)
  for (const name of ['metrics-s3-is-backup', 'logs-s3-unused', 'logs-language', 'promql-differs', 'no-traces'])
    assert.ok(names.includes(name), `${name} (req-004 req-175)`)
  // Every container of every object has a limit of 2Gi at most.
  const limits: string[] = []
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, child] of Object.entries(value)) {
      if (key === 'limits' && typeof (child as { memory?: string }).memory === 'string')
        limits.push((child as { memory: string }).memory)
      walk(child)
    }
  }
  for (const engine of engines)
    for (const release of planOf(readStack(base, 'x', engine)).releases) walk(release.values)
  for (const limit of limits)
    assert.ok(
      /^(\d+)Mi$/.test(limit) ? Number(limit.slice(0, -2)) <= 2048 : ['1Gi', '2Gi'].includes(limit),
      `${limit} (req-011)`,
    )
})

test('lgtm: Mimir, Loki and Tempo on the buckets that Tercet writes', async () => {
  const { tree, warnings } = await make(base, 'lgtm', 'flux')
  const loki = valuesOf(tree, 'loki')
  const tempo = valuesOf(tree, 'tempo')
  const mimir = valuesOf(tree, 'mimir')
  const config = parse(at(mimir, 'configMaps.config.data')!['mimir.yaml' as never]) as Record<string, unknown>
  assert.deepEqual(
    [
      at(loki, 'deploymentMode'),
      at(loki, 'singleBinary.replicas'),
      at(loki, 'read.replicas'),
      at(loki, 'write.replicas'),
      at(loki, 'backend.replicas'),
    ],
    ['Monolithic', 1, 0, 0, 0],
    'req-125',
  )
  assert.deepEqual(
    [
      at(loki, 'loki.storage.bucketNames.chunks'),
      at(tempo, 'tempo.storage.trace.s3.bucket'),
      at(config, 'blocks_storage.s3.bucket_name'),
    ],
    ['loki-chunks', 'tempo-traces', 'mimir-blocks'],
    'req-124',
  )
  assert.equal(at(loki, 'loki.schemaConfig.configs.0.index.prefix'), 'index_')
  assert.deepEqual(
    [
      at(loki, 'singleBinary.extraEnvFrom.0.secretRef.name'),
      at(tempo, 'tempo.extraEnvFrom.0.secretRef.name'),
      at(mimir, 'controllers.mimir.containers.app.envFrom.0.secretRef.name'),
    ],
    ['loki-s3-secret', 'tempo-s3-secret', 'mimir-s3-secret'],
    'req-124 req-139 req-157 req-158',
  )
  assert.deepEqual(
    [
      at(loki, 'loki.limits_config.retention_period'),
      at(tempo, 'tempo.retention'),
      at(config, 'limits.compactor_blocks_retention_period'),
    ],
    ['720h', '720h', '720h'],
    'req-150 req-172',
  )
  assert.deepEqual(
    [at(loki, 'loki.ingester.max_chunk_age'), at(tempo, 'tempo.ingester.max_block_duration')],
    ['5m', '5m'],
    'req-172',
  )
  assert.deepEqual(at(tempo, 'tempo.receivers.otlp.protocols.grpc.endpoint'), '0.0.0.0:4317', 'req-126')
  assert.deepEqual(
    [at(config, 'target'), at(config, 'ingest_storage.enabled'), at(config, 'multitenancy_enabled')],
    ['all', false, false],
    'req-127',
  )
  assert.deepEqual(
    ['loki', 'tempo', 'mimir'].map(name =>
      at(
        valuesOf(tree, name),
        {
          loki: 'singleBinary.resources.limits.memory',
          tempo: 'tempo.resources.limits.memory',
          mimir: 'controllers.mimir.containers.app.resources.limits.memory',
        }[name]!,
      ),
    ),
    ['1536Mi', '1Gi', '1536Mi'],
    'req-141',
  )
  assert.equal(at(loki, 'singleBinary.persistence.enabled'), true, 'req-123: what is not in S3 yet needs a volume')
  for (const name of ['loki', 'tempo', 'mimir']) {
    const secret = parse(
      await unseal(tree.get(`kubernetes/apps/monitoring/${name}/app/secret.sops.yaml`)!, [identity]),
    ) as { metadata: { name: string }; stringData: object }
    assert.deepEqual(
      [secret.metadata.name, Object.keys(secret.stringData)],
      [`${name}-s3-secret`, ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY']],
      'req-138',
    )
  }
  const policies = objectsOf((await make(variants['policies']!, 'lgtm', 'flux')).tree).filter(
    o => o.kind === 'NetworkPolicy',
  )
  assert.deepEqual(
    policies.map(p => p.metadata.name),
    ['loki', 'tempo', 'mimir'],
    'req-171',
  )
  for (const policy of policies) {
    assert.deepEqual(
      (at(policy, 'spec.ingress.0.from') as object[])[1],
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'apps' } } },
      'req-171',
    )
    assert.deepEqual(at(policy, 'spec.egress.2'), { to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }, 'req-171')
    assert.deepEqual(
      (at(policy, 'spec.egress.0.ports') as { port: number }[]).map(p => p.port),
      [53, 53],
      'req-172: DNS',
    )
  }
  for (const name of ['mimir-chart', 'write-path', 'logs-grpc', 'tempo-blocks'])
    assert.ok(
      warnings.some(w => w.name === name),
      `${name} (req-175)`,
    )
  const remote = parse(
    (named(tree, 'ConfigMap', 'kube-prometheus-stack-remote-write') as unknown as { data: Record<string, string> })
      .data['values.yaml']!,
  ) as unknown
  assert.equal(
    at(remote, 'prometheus.prometheusSpec.remoteWrite.0.url'),
    clientUrls(readStack(base, 'x', 'lgtm')).metrics.push,
    'req-135',
  )
  const monitor = named(tree, 'ServiceMonitor', 'metrics-store')
  const service = named(tree, 'Service', 'metrics-store')
  for (const [label, value] of Object.entries(at(monitor, 'spec.selector.matchLabels') as Record<string, string>))
    assert.equal(service.metadata.labels![label], value, 'req-135')
  for (const [name, file] of [
    ['loki', 'loki'],
    ['tempo', 'tempo'],
    ['mimir', 'app-template'],
  ])
    assert.match(
      String(at(named(tree, 'OCIRepository', name), 'spec.url')),
      new RegExp(`^oci://.*/${file!}$`),
      'req-122',
    )
  assert.equal(
    at(named((await make(variants['policies']!, 'lgtm', 'flux')).tree, 'Namespace'), 'metadata.annotations')![
      'linkerd.io/inject' as never
    ],
    'enabled',
    'req-137',
  )
})

test('graduation: from tercet to lgtm nothing changes for clients and for Grafana', async () => {
  const of = (engine: Engine): Stack => readStack(base, 'x', engine)
  assert.deepEqual(clientUrls(of('tercet')), clientUrls(of('lgtm')), 'req-176')
  const shape = (engine: Engine): unknown => dataSources(of(engine)).map(({ uid, url, type }) => ({ uid, url, type }))
  assert.deepEqual(shape('tercet'), shape('lgtm'), 'req-176')
  assert.deepEqual(
    dataSources(readStack(`${base}signals: [metrics, logs, traces]\n`, 'x', 'victoria')).map(s => s.uid),
    dataSources(of('tercet')).map(s => s.uid),
    'req-176',
  )
  assert.deepEqual(of('tercet').s3!.buckets, of('lgtm').s3!.buckets)
  for (const engine of engines) {
    const { releases } = planOf(readStack(`${base}signals: [metrics, logs, traces]\n`, 'x', engine))
    const made = [
      ...releases.flatMap(r =>
        Object.values(r.objects)
          .flat()
          .filter(o => o.kind === 'Service')
          .map(o => o.metadata.name),
      ),
      ...releases.flatMap(r => Object.keys(r.services)),
    ]
    for (const name of ['metrics-store', 'logs-store', 'traces-store'])
      assert.ok(made.includes(name), `${engine}: ${name} (req-083)`)
  }
})

test('Grafana: every form has the same sources, at Services that are there', async () => {
  for (const engine of engines) {
    const { tree, stack } = await make(base, engine, 'grafana')
    const file = parse(tree.get('provisioning/datasources/observability.yaml')!) as {
      datasources: {
        uid: string
        url: string
        isDefault?: boolean
        type: string
        jsonData: Record<string, unknown>
      }[]
    }
    assert.deepEqual(at(grafanaValues(stack), 'datasources')!['datasources.yaml' as never], file, 'req-069')
    const map = dataSourceConfigMap(stack)
    assert.equal(map.metadata.labels!['grafana_datasource'], '1', 'req-161')
    assert.deepEqual(
      parse((map as unknown as { data: Record<string, string> }).data['observability.yaml']!),
      file,
      'req-128 req-162',
    )
    assert.deepEqual(
      parse(at(parse(tree.get('values-configmap.yaml')!), 'data')!['values.yaml' as never]),
      grafanaValues(stack),
      'req-128',
    )
    const [metrics] = file.datasources
    assert.deepEqual(
      [metrics!.type, metrics!.isDefault, metrics!.jsonData['httpMethod']],
      ['prometheus', true, 'POST'],
      'req-025',
    )
    assert.equal(metrics!.jsonData['timeInterval'], engine === 'tercet' ? '15s' : '30s', 'req-025')
    assert.equal(
      file.datasources[1]!.type,
      engine === 'victoria' ? 'victoriametrics-logs-datasource' : 'loki',
      'req-026',
    )
    assert.deepEqual(builtInProblems([map]), [])
  }
  const elsewhere = await make(variants['grafana elsewhere']!, 'tercet', 'grafana')
  assert.match(elsewhere.tree.get('configmap.yaml')!, /http:\/\/metrics-store\.monitoring:8428\/prometheus/, 'req-129')
  assert.match(elsewhere.tree.get('grafanadatasources.yaml')!, /\$\{__value\.raw\}/)
  assert.ok(!elsewhere.tree.get('grafanadatasources.yaml')!.includes('$${'))
  assert.match(elsewhere.tree.get('chart-values.yaml')!, /\$\$\{__value\.raw\}/)
})

test('compose: the specification and docker compose take every variant', async t => {
  const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(
    JSON.parse(
      readFileSync('fixtures/schemas/compose-spec.json', 'utf8').replace(
        'https://json-schema.org/draft-07/schema',
        'http://json-schema.org/draft-07/schema',
      ),
    ) as object,
  )
  for (const engine of engines) {
    for (const [name, text] of Object.entries(variants)) {
      const { tree } = await make(text, engine, 'compose')
      const document = parse(tree.get('compose.yaml')!) as {
        services: Record<
          string,
          {
            image: string
            ports?: string[]
            volumes: string[]
            deploy: unknown
            environment?: Record<string, string>
          }
        >
        volumes: Record<string, unknown>
      }
      assert.ok(validate(document), `${engine}, ${name}: ${JSON.stringify(validate.errors)}`)
      for (const service of Object.values(document.services)) {
        assert.match(service.image, /:[^:/]*\d[^:/]*$/, 'a version')
        for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, 'req-110')
        for (const volume of service.volumes ?? []) {
          const [source] = volume.split(':')
          if (!source!.startsWith('.')) assert.ok(document.volumes[source!] !== undefined, 'req-111')
          else
            assert.ok(
              [...tree.keys()].some(p => p.startsWith(source!.slice(2))),
              `${source!} is not rendered`,
            )
        }
      }
      for (const content of tree.values()) for (const plain of plaintexts) assert.ok(!content.includes(plain))
      if (programPath('docker-compose') === undefined) {
        t.diagnostic('NOT TESTED: docker-compose is not there')
        continue
      }
      const root = writeOut(tree, `compose-${engine}-${name.replaceAll(' ', '-')}`)
      for (const [path, content] of tree)
        if (path.endsWith('.env.example')) writeFileSync(join(root, path.replace('.example', '')), content)
      const run = spawnSync(programPath('docker-compose')!, ['config', '-q'], { cwd: root, encoding: 'utf8' })
      assert.equal(run.status, 0, `${engine}, ${name}: ${run.stderr}`)
    }
  }
  const { tree } = await make(base, 'tercet', 'compose')
  const service = at(parse(tree.get('compose.yaml')!), 'services.victoriametrics') as Record<string, unknown>
  assert.deepEqual(
    [service['container_name'], service['hostname'], service['command']],
    ['victoriametrics', 'victoriametrics', ['up', '-storageDataPath=/data', '-retentionPeriod=30d']],
    'req-080 req-109',
  )
  assert.deepEqual(
    { ...(service['healthcheck'] as object), test: undefined },
    { test: undefined, interval: '10s', timeout: '5s', retries: 5, start_period: '10s' },
    'req-080',
  )
  assert.equal((service['healthcheck'] as { test: string[] }).test[0], 'CMD', 'req-112: no shell')
  assert.ok((service['ports'] as string[]).includes('127.0.0.1:8428:8428'), 'req-110')
  assert.ok(Object.keys(service['networks'] as object).length === 1, 'req-113')
  assert.ok(
    !Object.keys(at(parse(tree.get('compose.yaml')!), 'services') as object).some(name => name.includes('agent')),
    'req-073',
  )
  assert.match(
    tree.get('.env')!,
    /VICTORIAMETRICS_URL=http:\/\/victoriametrics:8428\nMETRICS_PUSH_ENABLED=true\nMETRICS_PUSH_INTERVAL=15s/,
    'req-081',
  )
})

test("what is named and not there is found: the documents' own mistakes", () => {
  const config = (url: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x', namespace: 'monitoring' },
    data: { url },
  })
  const known = {
    services: {
      vlinsert: [9481],
      vlselect: [9471],
      'vmsingle-victoria-metrics-k8s-stack': [8428],
      loki: [3100, 9095],
      mimir: [8080],
    },
    external: ['host:s3.example.net'],
  }
  const wrong = [
    'http://vlinsert:8428',
    'http://vlselect:8481/select/logsql',
    'http://vmsingle-victoria-metrics-k8s-stack:8429',
    'http://mimir-gateway:8080/api/v1/push',
    'http://loki-gateway:3100',
    'https://elsewhere.example.net',
    'http://loki.monitoring',
    'http://loki.monitoring.svc.cluster.local:80',
  ]
  for (const url of wrong)
    assert.equal(findUnresolved([config(url)], known).length, 1, `${url} (req-036 req-049 req-129 req-174)`)
  for (const url of [
    'http://vlinsert:9481/insert',
    'https://s3.example.net/bucket',
    'http://loki.monitoring:3100',
    'http://localhost:1',
    'http://mimir.monitoring.svc:8080/api/v1/push',
  ])
    assert.deepEqual(findUnresolved([config(url)], known), [], url)
  const pod = (spec: object): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: { template: { metadata: { labels: { a: 'b' } }, spec } },
  })
  const names = [
    [{ serviceAccountName: 'sa' }, 'ServiceAccount sa'],
    [{ containers: [{ name: 'c', env: [{ valueFrom: { secretKeyRef: { name: 's' } } }] }] }, 'Secret s'],
    [{ containers: [{ name: 'c', envFrom: [{ configMapRef: { name: 'm' } }] }] }, 'ConfigMap m'],
    [{ volumes: [{ secret: { secretName: 't' } }] }, 'Secret t'],
    [{ volumes: [{ configMap: { name: 'n' } }] }, 'ConfigMap n'],
    [{ volumes: [{ persistentVolumeClaim: { claimName: 'p' } }] }, 'PersistentVolumeClaim p'],
  ] as const
  for (const [spec, what] of names) assert.match(findUnresolved([pod(spec)], known).join(), new RegExp(what))
  const service = (selector: object, targetPort: number | string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: { selector, ports: [{ port: 1, targetPort }] },
  })
  const there = pod({ containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 80 }] }] })
  assert.deepEqual(findUnresolved([there, service({ a: 'b' }, 'http')], known), [])
  assert.match(findUnresolved([there, service({ a: 'c' }, 'http')], known).join(), /finds no pods/)
  assert.match(findUnresolved([there, service({ a: 'b' }, 'https')], known).join(), /no container has the port https/)
})

test('a wrong configuration says where, and what was expected', () => {
  const wrong: [string, RegExp, Engine?][] = [
    ['engin: tercet', /engin.*engine/s],
    ['s3: { endpoint: "http://minio:9000" }', /has no TLS/],
    ['retention: { metrics: 1m }', /1m.*month/s],
    ['scrape: { interval: 5s }', /timeout 10s is longer/],
    ['image: { tag: latest }', /latest/],
    ['age_recipients: [nobody]', /no age recipient/],
    ['signals: [metrics]', /has all three/, 'tercet'],
    ['signals: [metric]', /metric/, 'lgtm'],
    ['persistence: { sise: 1Gi }', /sise/],
    ['development_s3: { enabled: true }', /name the image/],
    ['a: [', /stack.yaml:1/],
  ]
  for (const [text, message, engine] of wrong)
    assert.throws(() => readStack(text, 'stack.yaml', engine), message, `${text} (req-175 req-062 req-160)`)
  assert.throws(() => readStack('', 'x', 'mimir'), /not one of tercet, victoria, lgtm/)
  assert.equal(
    readStack('s3: { endpoint: "http://minio:9000", allow_insecure: true }', 'x').s3!.endpoint,
    'http://minio:9000',
  )
})

test('migration: what goes, what stays, in which order', () => {
  const stack = readStack(base, 'x', 'tercet')
  for (const from of ['kube-prometheus-stack', 'lgtm', 'victoria'] as const) {
    const plan = migrationPlan(stack, from)
    assert.ok(
      plan.indexOf('## Removed') < plan.indexOf('## Added') &&
        plan.indexOf('## Added') < plan.indexOf('## What survives'),
      'req-022',
    )
    assert.match(plan, /prune: true/, 'req-023')
  }
  assert.match(migrationPlan(stack, 'kube-prometheus-stack'), /prometheus-operator-crds/, 'req-024')
  assert.match(
    migrationPlan(readStack(base, 'x', 'victoria'), 'kube-prometheus-stack'),
    /- kube-prometheus-stack: .*\n- mimir: .*\n- tempo: /,
    'req-023',
  )
  assert.throws(() => migrationPlan(readStack(base, 'x', 'lgtm'), 'lgtm'), /nothing to replace/)
  const there = migrationPlan(stack, 'kube-prometheus-stack', { present: ['kube-prometheus-stack', 'redis'] })
  assert.doesNotMatch(there, /- (mimir|tempo):/, 'what is not there is not removed')
  assert.throws(() => migrationPlan(stack, 'lgtm', { present: ['redis'] }), /there is nothing to replace/)
  assert.match(there, /node exporter and kube-state-metrics .*exporters: true/)
  assert.match(there, /kubelet and cAdvisor: the agents scrape/)
  const withExporters = readStack(`${base}exporters: true`, 'x', 'tercet')
  assert.match(migrationPlan(withExporters, 'kube-prometheus-stack'), /releases of their own in this stack/)
  const monitor = (name: string, more: object): KubeObject => ({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'ServiceMonitor',
    metadata: { name, namespace: 'apps', ...more },
  })
  const survivors = survivorsOf(
    [
      monitor('app', {}),
      monitor('kubelet', { annotations: { 'meta.helm.sh/release-name': 'kube-prometheus-stack' } }),
      monitor('other', { labels: { 'helm.toolkit.fluxcd.io/name': 'redis' } }),
    ],
    ['kube-prometheus-stack'],
  )
  assert.deepEqual(
    survivors,
    {
      kept: ['ServiceMonitor apps/app', 'ServiceMonitor apps/other'],
      lost: ['ServiceMonitor apps/kubelet: made by the release kube-prometheus-stack'],
    },
    'req-024',
  )
  const list =
    'resources:\n  - ./namespace.yaml\n' +
    '  # the old one\n  - ./kube-prometheus-stack/ks.yaml\n' +
    '  - ./tempo/ks.yaml\n  - ./grafana/ks.yaml\n'
  assert.equal(
    withoutApplications(list, ['kube-prometheus-stack', 'mimir', 'tempo'], 'replaced'),
    'resources:\n  - ./namespace.yaml\n' +
      '  # the old one\n  # - ./kube-prometheus-stack/ks.yaml # replaced\n' +
      '  # - ./tempo/ks.yaml # replaced\n' +
      '  - ./grafana/ks.yaml\n',
    'req-022 req-067',
  )
})

test('every target of every engine renders, twice the same', async () => {
  for (const engine of engines)
    for (const target of targets)
      for (const [name, text] of Object.entries(variants)) {
        const first = await make(text, engine, target)
        const second = await make(text, engine, target, first.tree)
        assert.deepEqual([...second.tree], [...first.tree], `${engine} ${target} ${name} (req-173)`)
        assert.ok(first.tree.size > 0)
      }
})

/**
 * A tree for Flux:
 * `<root>/<namespace>/<app>/{ks.yaml,app/{kustomization,helmrelease,ocirepository|gitrepository,secret.sops}.yaml}`.
 */
import { schemaComment } from './schema-comments.ts'
import type { Plan, Release, SecretSpec } from './release.ts'
import type { ChartSource, GitRef, Stack } from './stack.ts'
import { documents, yamlText, type FileTree, type KubeObject } from './tree.ts'
import type { Chart } from './versions.ts'

/**
 * Seals a Secret for a path of the tree; undefined where there is nothing to seal, and the Secret comes from
 * elsewhere.
 */
export type SealSecret = (path: string, secret: SecretSpec) => Promise<string | undefined>

/** Objects without a chart: an application of their own. */
export interface ObjectGroup {
  name: string
  namespace: string
  /** Its file's name. */
  file: string
  objects: readonly KubeObject[]
}

const kustomizeVersion = 'kustomize.config.k8s.io/v1beta1'
const noSubstitution = { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' } as const

/** A file of one object, with the line by which editors find its schema. */
function objectText(object: KubeObject, note?: string): string {
  return yamlText(object, [schemaComment(object), note].filter(line => line !== undefined && line !== '').join('\n'))
}

/** The Kustomization of one application; `path` is below the root of the repository. */
function ksOf(
  stack: Stack,
  app: { name: string; namespace: string },
  path: string,
  after: readonly string[],
): KubeObject {
  const { flux } = stack
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: app.name },
    spec: {
      ...(after.length === 0 ? {} : { dependsOn: after.map(other => ({ name: other })) }),
      ...(stack.ageRecipients.length === 0
        ? {}
        : { decryption: { provider: 'sops', secretRef: { name: flux.decryptionSecret } } }),
      interval: flux.interval,
      path: `./${path}`,
      prune: true,
      retryInterval: '2m',
      sourceRef: { kind: 'GitRepository', name: flux.sourceName, namespace: 'flux-system' },
      targetNamespace: app.namespace,
      timeout: '10m',
      wait: true,
    },
  }
}

function ociRepositoryOf(name: string, { url, version }: Pick<Chart, 'url' | 'version'>): KubeObject {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'OCIRepository',
    metadata: { name },
    spec: {
      interval: '15m',
      layerSelector: { mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', operation: 'copy' },
      ref: { tag: version },
      url,
    },
  }
}

function gitRepositoryOf(name: string, source: { url: string; ref: GitRef; path: string }): KubeObject {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'GitRepository',
    metadata: { name },
    spec: { ignore: `/*\n!/${source.path}\n`, interval: '15m', ref: source.ref, url: source.url },
  }
}

/** Where the chart of a release comes from: the file of its source, where it has one, and the reference to it. */
interface ReleaseSource {
  file?: { name: string; text: string }
  reference: Record<string, unknown>
}

function sourceOf(stack: Stack, { name, chart }: Release): ReleaseSource {
  const source: ChartSource = chart === 'tercet' ? stack.chart : { from: 'oci', ...chart }
  switch (source.from) {
    case 'oci':
      return {
        file: { name: 'ocirepository.yaml', text: objectText(ociRepositoryOf(name, source)) },
        reference: { chartRef: { kind: 'OCIRepository', name } },
      }
    case 'git':
      return {
        file: { name: 'gitrepository.yaml', text: objectText(gitRepositoryOf(name, source)) },
        reference: chartFromGit(source.path, { kind: 'GitRepository', name }),
      }
    case 'path':
      return {
        reference: chartFromGit(source.path, {
          kind: 'GitRepository',
          name: stack.flux.sourceName,
          namespace: 'flux-system',
        }),
      }
  }
}

/** A new commit is a new version, whatever its Chart.yaml says. */
function chartFromGit(path: string, sourceRef: Record<string, string>): Record<string, unknown> {
  return { chart: { spec: { chart: `./${path}`, reconcileStrategy: 'Revision', sourceRef } } }
}

function helmReleaseOf(stack: Stack, { name, values }: Release, reference: Record<string, unknown>): KubeObject {
  return {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    // Values hold ${NAME} for the programs, which Flux must leave alone.
    metadata: { name, annotations: { ...noSubstitution } },
    spec: {
      ...reference,
      interval: stack.flux.interval,
      install: { crds: 'CreateReplace', remediation: { retries: -1 } },
      upgrade: {
        crds: 'CreateReplace',
        cleanupOnFail: true,
        strategy: { name: 'RemediateOnFailure' },
        remediation: { remediateLastFailure: true, retries: 2, strategy: 'rollback' },
      },
      values,
    },
  }
}

/** The External Secrets operator makes the Secret from what a store has under the name, a property each key. */
function externalSecretOf(store: NonNullable<Stack['externalSecrets']>, { name, keys }: SecretSpec): KubeObject {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name },
    spec: {
      refreshInterval: '1h',
      secretStoreRef: { kind: store.kind, name: store.store },
      target: { name },
      data: keys.map(key => ({ secretKey: key, remoteRef: { key: `${store.prefix}${name}`, property: key } })),
    },
  }
}

/** Collects the files of a plan. */
class FluxTree {
  readonly tree: FileTree = new Map()
  /** Secrets that are not in the tree. */
  readonly unsealed: SecretSpec[] = []
  readonly #stack: Stack
  readonly #seal: SealSecret
  /** Of each namespace. */
  readonly #applications = new Map<string, string[]>()

  constructor(stack: Stack, seal: SealSecret) {
    this.#stack = stack
    this.#seal = seal
  }

  /** One for each namespace of the applications. */
  addNamespaces(): void {
    for (const [namespace, applications] of this.#applications) {
      const base = namespacePath(this.#stack, namespace)
      this.tree.set(`${base}/namespace.yaml`, yamlText(namespaceOf(this.#stack, namespace)))
      const resources = ['./namespace.yaml', ...applications.map(name => `./${name}/ks.yaml`)]
      const list = { apiVersion: kustomizeVersion, kind: 'Kustomization', namespace: 'flux-system', resources }
      this.tree.set(`${base}/kustomization.yaml`, yamlText(list))
    }
  }

  async addRelease(release: Release): Promise<void> {
    const namespace = release.namespace ?? this.#stack.namespace
    const app = this.#addApplication({ name: release.name, namespace }, release.dependsOn)
    const { file, reference } = sourceOf(this.#stack, release)
    this.tree.set(`${app}/helmrelease.yaml`, objectText(helmReleaseOf(this.#stack, release, reference)))
    if (file !== undefined) this.tree.set(`${app}/${file.name}`, file.text)
    const secrets = await this.#addSecrets(app, release)
    for (const [path, objects] of Object.entries(release.objects)) this.#addObjects(`${app}/${path}`, objects)
    const sources = file === undefined ? [] : [file.name]
    this.#addResources(app, ['helmrelease.yaml', ...sources, ...Object.keys(release.objects), ...secrets])
  }

  addGroup({ name, namespace, file, objects }: ObjectGroup, dependsOn: readonly string[]): void {
    const app = this.#addApplication({ name, namespace }, dependsOn)
    this.#addResources(app, [file])
    this.#addObjects(`${app}/${file}`, objects)
  }

  #addObjects(path: string, objects: readonly KubeObject[]): void {
    const [only] = objects
    this.tree.set(path, only !== undefined && objects.length === 1 ? objectText(only) : documents(objects))
  }

  /** The directory of its objects. */
  #addApplication(application: { name: string; namespace: string }, dependsOn: readonly string[]): string {
    const { name, namespace } = application
    const base = namespacePath(this.#stack, namespace)
    const app = `${base}/${name}/app`
    this.#applications.set(namespace, [...(this.#applications.get(namespace) ?? []), name])
    this.tree.set(`${base}/${name}/ks.yaml`, objectText(ksOf(this.#stack, application, app, dependsOn)))
    return app
  }

  /** The names of the files. */
  async #addSecrets(app: string, { secrets }: Release): Promise<string[]> {
    const files: string[] = []
    const { externalSecrets } = this.#stack
    for (const secret of secrets) {
      const stem = secrets.length === 1 ? (externalSecrets === undefined ? 'secret' : 'externalsecret') : secret.name
      const file = externalSecrets === undefined ? `${stem}.sops.yaml` : `${stem}.yaml`
      const text =
        externalSecrets === undefined
          ? await this.#seal(`${app}/${file}`, secret)
          : objectText(externalSecretOf(externalSecrets, secret))
      if (text === undefined) this.unsealed.push(secret)
      else {
        this.tree.set(`${app}/${file}`, text)
        files.push(file)
      }
    }
    return files
  }

  #addResources(app: string, files: readonly string[]): void {
    const resources = files.map(file => `./${file}`).sort()
    this.tree.set(
      `${app}/kustomization.yaml`,
      yamlText({ apiVersion: kustomizeVersion, kind: 'Kustomization', resources }),
    )
  }
}

/** Where the applications of a namespace are. */
export function namespacePath({ root }: Stack, namespace: string): string {
  return `${root.replace(/\/+$/, '')}/${namespace}`
}

function namespaceOf({ isMeshed }: Stack, name: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      ...(isMeshed ? { annotations: { 'linkerd.io/inject': 'enabled' } } : {}),
      labels: { 'kustomize.toolkit.fluxcd.io/prune': 'disabled' },
    },
  }
}

/** A plan as a tree. Secrets that `seal` has nothing for are named in the returned list. */
export async function renderFlux(
  stack: Stack,
  plan: Plan,
  seal: SealSecret,
  groups: readonly ObjectGroup[] = [],
): Promise<{ tree: FileTree; unsealed: SecretSpec[] }> {
  const flux = new FluxTree(stack, seal)
  for (const release of plan.releases) await flux.addRelease(release)
  const stores = plan.releases
    .map(release => release.name)
    .filter(name => !name.endsWith('-agent') && !name.endsWith('-backup'))
  for (const group of groups) flux.addGroup(group, stores)
  flux.addNamespaces()
  return { tree: flux.tree, unsealed: flux.unsealed }
}

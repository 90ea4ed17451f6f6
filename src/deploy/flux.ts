/**
 * A tree for Flux:
 * `<root>/<namespace>/<app>/{ks.yaml,app/{kustomization,ocirepository,helmrelease,secret.sops}.yaml}`.
 */
import type { Plan, Release } from './release.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Stack } from './stack.ts'
import { defined, documents, yamlText, type FileTree, type KubeObject } from './tree.ts'

/**
 * Seals a Secret for a path of the tree; undefined where there is nothing to seal, and the Secret comes from
 * elsewhere.
 */
export type SealSecret = (path: string, name: string, signal: SignalName) => Promise<string | undefined>

const kustomizeVersion = 'kustomize.config.k8s.io/v1beta1'
const noSubstitution = { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' } as const

/** The Kustomization of one application; `path` is below the root of the repository. */
export function ksOf(stack: Stack, name: string, path: string, dependsOn: readonly string[]): KubeObject {
  const { flux } = stack
  return {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name },
    spec: {
      ...(dependsOn.length === 0 ? {} : { dependsOn: dependsOn.map(other => ({ name: other })) }),
      ...(stack.ageRecipients.length === 0
        ? {}
        : { decryption: { provider: 'sops', secretRef: { name: flux.decryptionSecret } } }),
      interval: flux.interval,
      path: `./${path}`,
      prune: true,
      retryInterval: '2m',
      sourceRef: { kind: 'GitRepository', name: flux.sourceName, namespace: 'flux-system' },
      targetNamespace: stack.namespace,
      timeout: '10m',
      wait: true,
    },
  }
}

function repositoryOf({ name, chart }: Release): KubeObject {
  return {
    apiVersion: 'source.toolkit.fluxcd.io/v1',
    kind: 'OCIRepository',
    metadata: { name },
    spec: {
      interval: '15m',
      layerSelector: { mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', operation: 'copy' },
      ref: { tag: chart.version },
      url: chart.url,
    },
  }
}

function helmReleaseOf(stack: Stack, { name, values }: Release): KubeObject {
  return {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    // Values hold ${NAME} for the programs, which Flux must leave alone.
    metadata: { name, annotations: { ...noSubstitution } },
    spec: {
      chartRef: { kind: 'OCIRepository', name },
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

/** Collects the files of a plan. */
class FluxTree {
  readonly tree: FileTree = new Map()
  /** Secrets that are not in the tree. */
  readonly unsealed: string[] = []
  readonly #stack: Stack
  readonly #seal: SealSecret
  readonly #base: string

  constructor(stack: Stack, seal: SealSecret) {
    this.#stack = stack
    this.#seal = seal
    this.#base = `${stack.root.replace(/\/+$/, '')}/${stack.namespace}`
  }

  addNamespace(applications: readonly string[]): void {
    const { isMeshed, namespace } = this.#stack
    const object = defined({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: namespace,
        annotations: isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined,
        labels: { 'kustomize.toolkit.fluxcd.io/prune': 'disabled' },
      },
    })
    this.tree.set(`${this.#base}/namespace.yaml`, yamlText(object))
    const resources = ['./namespace.yaml', ...applications.map(name => `./${name}/ks.yaml`)]
    this.tree.set(
      `${this.#base}/kustomization.yaml`,
      yamlText({ apiVersion: kustomizeVersion, kind: 'Kustomization', namespace: 'flux-system', resources }),
    )
  }

  async addRelease(release: Release): Promise<void> {
    const app = this.#addApplication(release.name, release.dependsOn)
    this.tree.set(`${app}/helmrelease.yaml`, yamlText(helmReleaseOf(this.#stack, release)))
    this.tree.set(`${app}/ocirepository.yaml`, yamlText(repositoryOf(release)))
    const sealed = await this.#addSecrets(app, release)
    for (const [file, objects] of Object.entries(release.objects))
      this.tree.set(`${app}/${file}`, objects.length === 1 ? yamlText(objects[0]) : documents(objects))
    this.#addResources(app, ['helmrelease.yaml', 'ocirepository.yaml', ...Object.keys(release.objects), ...sealed])
  }

  addObjects(name: string, objects: readonly KubeObject[], dependsOn: readonly string[]): void {
    const app = this.#addApplication(name, dependsOn)
    this.#addResources(app, ['configmap.yaml'])
    this.tree.set(`${app}/configmap.yaml`, documents(objects))
  }

  /** The directory of its objects. */
  #addApplication(name: string, dependsOn: readonly string[]): string {
    const app = `${this.#base}/${name}/app`
    this.tree.set(`${this.#base}/${name}/ks.yaml`, yamlText(ksOf(this.#stack, name, app, dependsOn)))
    return app
  }

  /** The names of the files. */
  async #addSecrets(app: string, { secrets }: Release): Promise<string[]> {
    const files: string[] = []
    for (const { name, signal } of secrets) {
      const file = `${secrets.length === 1 ? 'secret' : name}.sops.yaml`
      const text = await this.#seal(`${app}/${file}`, name, signal)
      if (text === undefined) this.unsealed.push(name)
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

/**
 * A plan as a tree. `more`: objects without a chart, by application. Secrets that `seal` has nothing for are named in
 * the returned list.
 */
export async function renderFlux(
  stack: Stack,
  plan: Plan,
  seal: SealSecret,
  more: Readonly<Record<string, readonly KubeObject[]>> = {},
): Promise<{ tree: FileTree; unsealed: string[] }> {
  const flux = new FluxTree(stack, seal)
  const releases = plan.releases.map(release => release.name)
  flux.addNamespace([...releases, ...Object.keys(more)])
  for (const release of plan.releases) await flux.addRelease(release)
  const stores = releases.filter(name => !name.endsWith('-agent') && !name.endsWith('-backup'))
  for (const [name, objects] of Object.entries(more)) flux.addObjects(name, objects, stores)
  return { tree: flux.tree, unsealed: flux.unsealed }
}

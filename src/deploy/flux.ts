/** A tree for Flux: `<root>/<namespace>/<app>/{ks.yaml,app/{kustomization,ocirepository,helmrelease,secret.sops}.yaml}`. */
import type { Plan, Release } from './release.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Stack } from './stack.ts'
import { defined, documents, yamlText, type FileTree, type KubeObject } from './tree.ts'

/** Seals a Secret for a path of the tree; undefined where there is nothing to seal, and the Secret comes from elsewhere. */
export type SealSecret = (path: string, name: string, signal: SignalName) => Promise<string | undefined>

const noSubstitution = { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' } as const

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

/** A plan as a tree. Secrets that `seal` has nothing for are named in the returned list. */
export async function renderFlux(
  stack: Stack,
  plan: Plan,
  seal: SealSecret,
  more: Readonly<Record<string, readonly KubeObject[]>> = {},
): Promise<{ tree: FileTree; unsealed: string[] }> {
  const tree: FileTree = new Map(),
    unsealed: string[] = [],
    base = `${stack.root.replace(/\/+$/, '')}/${stack.namespace}`
  tree.set(
    `${base}/namespace.yaml`,
    yamlText(
      defined({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: {
          name: stack.namespace,
          annotations: stack.isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined,
          labels: { 'kustomize.toolkit.fluxcd.io/prune': 'disabled' },
        },
      }),
    ),
  )
  const apps = [...plan.releases.map(r => r.name), ...Object.keys(more)]
  tree.set(
    `${base}/kustomization.yaml`,
    yamlText({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: 'flux-system',
      resources: ['./namespace.yaml', ...apps.map(app => `./${app}/ks.yaml`)],
    }),
  )
  for (const release of plan.releases) {
    const app = `${base}/${release.name}/app`,
      resources = ['./helmrelease.yaml', './ocirepository.yaml']
    tree.set(`${base}/${release.name}/ks.yaml`, yamlText(ksOf(stack, release.name, app, release.dependsOn)))
    tree.set(`${app}/helmrelease.yaml`, yamlText(helmReleaseOf(stack, release)))
    tree.set(`${app}/ocirepository.yaml`, yamlText(repositoryOf(release)))
    const sealed: string[] = []
    for (const { name, signal } of release.secrets) {
      const text = await seal(`${app}/${release.secrets.length === 1 ? 'secret' : name}.sops.yaml`, name, signal)
      if (text === undefined) unsealed.push(name)
      else {
        const file = `${release.secrets.length === 1 ? 'secret' : name}.sops.yaml`
        tree.set(`${app}/${file}`, text)
        sealed.push(`./${file}`)
      }
    }
    for (const [file, objects] of Object.entries(release.objects)) {
      tree.set(`${app}/${file}`, objects.length === 1 ? yamlText(objects[0]) : documents(objects))
      resources.push(`./${file}`)
    }
    tree.set(
      `${app}/kustomization.yaml`,
      yamlText({
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        resources: [...resources, ...sealed].sort(),
      }),
    )
  }
  for (const [name, objects] of Object.entries(more)) {
    const app = `${base}/${name}/app`
    tree.set(
      `${base}/${name}/ks.yaml`,
      yamlText(
        ksOf(
          stack,
          name,
          app,
          plan.releases.map(r => r.name).filter(r => !r.endsWith('-agent') && !r.endsWith('-backup')),
        ),
      ),
    )
    tree.set(
      `${app}/kustomization.yaml`,
      yamlText({
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        resources: ['./configmap.yaml'],
      }),
    )
    tree.set(`${app}/configmap.yaml`, documents(objects))
  }
  return { tree, unsealed }
}

/** The pods that workloads make, as far as other objects name them. */
import type { KubeObject } from './tree.ts'

export interface Container {
  name: string
  image?: string
  command?: string[]
  args?: string[]
  env?: { name: string; value?: string; valueFrom?: unknown }[]
  ports?: { name?: string; containerPort: number }[]
  volumeMounts?: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[]
  securityContext?: SecurityContext
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> }
}

export interface SecurityContext {
  runAsUser?: number
  runAsGroup?: number
  runAsNonRoot?: boolean
  fsGroup?: number
  readOnlyRootFilesystem?: boolean
}

export interface Volume {
  name: string
  emptyDir?: unknown
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean }
  configMap?: { name: string }
  secret?: { secretName: string }
  hostPath?: { path: string }
  projected?: unknown
}

export interface Pod {
  /** `Kind/name` of its workload. */
  where: string
  namespace: string | undefined
  labels: Readonly<Record<string, string>>
  containers: readonly Container[]
  volumes: readonly Volume[]
  /** Names of the claims that a StatefulSet makes, which are volumes too. */
  claims: readonly string[]
  replicas: number | undefined
  securityContext: SecurityContext
  hostNetwork: boolean
}

interface PodSpec {
  containers?: Container[]
  initContainers?: Container[]
  volumes?: Volume[] | null
  securityContext?: SecurityContext
  hostNetwork?: boolean
}
interface WorkloadSpec {
  replicas?: number
  template?: { metadata?: { labels?: Record<string, string> }; spec?: PodSpec }
  jobTemplate?: { spec: WorkloadSpec }
  volumeClaimTemplates?: { metadata: { name: string } }[]
}

const workloads = ['StatefulSet', 'DaemonSet', 'Deployment', 'Job', 'CronJob']

/** Undefined for what makes no pods. */
export function podOf({ kind, metadata, ...rest }: KubeObject): Pod | undefined {
  if (!workloads.includes(kind)) return undefined
  const outer = rest['spec'] as WorkloadSpec
  const spec = outer.jobTemplate?.spec ?? outer
  const { template } = spec
  if (template === undefined) return undefined
  const { containers = [], initContainers = [], volumes, securityContext = {}, hostNetwork } = template.spec ?? {}
  return {
    where: `${kind}/${metadata.name}`,
    namespace: metadata.namespace,
    labels: template.metadata?.labels ?? {},
    containers: [...containers, ...initContainers],
    // Templates leave an empty key.
    volumes: volumes ?? [],
    claims: (spec.volumeClaimTemplates ?? []).map(claim => claim.metadata.name),
    replicas: spec.replicas,
    securityContext,
    hostNetwork: hostNetwork === true,
  }
}

/** A mount without a volume, and a volume that nobody mounts. */
export function volumeProblems({ where, containers, volumes, claims }: Pod): string[] {
  const names = new Set([...volumes.map(volume => volume.name), ...claims])
  const mounted = new Set(containers.flatMap(c => (c.volumeMounts ?? []).map(mount => mount.name)))
  const missing = [...mounted].filter(name => !names.has(name)).map(name => `${where}: no volume ${name} to mount`)
  const idle = [...names].filter(name => !mounted.has(name)).map(name => `${where}: nobody mounts the volume ${name}`)
  return [...missing, ...idle]
}

/** What a stack brings into a cluster, with the real charts at hand; and whether all of it is there. */
import assert from 'node:assert/strict'
import { resolve } from '#deploy/references.ts'
import { planOf } from '#deploy/render.ts'
import type { Stack } from '#deploy/stack.ts'
import type { KubeObject } from '#deploy/tree.ts'
import { templateRelease } from './real-charts.ts'
import { madeByOperator } from './vm-operator.ts'

/** What every cluster has, and what the charts' own texts speak of. */
const cluster = {
  services: {},
  external: [
    'ServiceAccount/default',
    'host:s3.example.net',
    'host:metrics.example.net',
    'host:a.example.net',
    'Secret/a-tls',
    'Service/minio:9000',
    // Rules and dashboards that the stack's job fetches, and the pages that its rules name.
    'host:raw.githubusercontent.com',
    'host:runbooks.prometheus-operator.dev',
    // The chart names a headless Service that it does not make: its pod has no name of its own in DNS.
    'Service/tempo-headless',
  ],
}

/** The control plane is not of these pods. */
const isOfControlPlane = (problem: string): boolean =>
  /-kube-(api-server|controller-manager|etcd|scheduler|proxy)|-core-dns|-kubelet/.test(problem)

function inNamespace(objects: readonly KubeObject[], namespace: string): KubeObject[] {
  return objects.map(o => ({ ...o, metadata: { ...o.metadata, namespace: o.metadata.namespace ?? namespace } }))
}

/** What Flux brings into a cluster: releases, what is beside them, their Secrets. */
export function deployed(stack: Stack): KubeObject[] {
  const { releases } = planOf(stack)
  const objects = releases.flatMap(release => {
    const namespace = release.namespace ?? stack.namespace
    const secrets = release.secrets.map(({ name }) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name } }))
    return [
      ...templateRelease(release, namespace),
      ...inNamespace([...Object.values(release.objects).flat(), ...secrets], namespace),
    ]
  })
  return [...objects, ...madeByOperator(objects)]
}

/** The number of references. Throws an assertion where one is not there. */
export function refuseProblems(objects: readonly KubeObject[], where: string): number {
  const { problems, count } = resolve(objects, cluster)
  assert.deepEqual(
    problems.filter(problem => !isOfControlPlane(problem)),
    [],
    where,
  )
  return count
}

/**
 * Every path that a rendered configuration of Mimir, Loki or Tempo names lies on a volume that can be written, and
 * every key is set whose default lies in the working directory or at the root, which is read-only. req-137 req-138.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { objectsOf } from '#deploy/render.ts'
import type { KubeObject } from '#deploy/tree.ts'
import { leavesOf } from './cortex.ts'
import type { Mount } from './pod.ts'
import { renderStack } from './stacks.ts'
import { pathsOf, pathsOffVolumes } from './written-paths.ts'

/** Defaults that are no path on a volume, by the public configuration references of the pinned versions. */
const mustBeSet: Readonly<Record<string, readonly string[]>> = {
  mimir: [
    'activity_tracker.filepath',
    'blocks_storage.tsdb.dir',
    'blocks_storage.bucket_store.sync_dir',
    'compactor.data_dir',
    'ruler.rule_path',
    'ruler_storage.local.directory',
  ],
  loki: [
    'common.path_prefix',
    'compactor.working_directory',
    'ingester.wal.dir',
    'ruler.rule_path',
    'ruler.wal.dir',
    'storage_config.bloom_shipper.working_directory',
  ],
  tempo: ['storage.trace.wal.path', 'metrics_generator.storage.path'],
}
const s3 = "s3: { endpoint: 'http://s3.example.net:9000', region: minio, allow_insecure: true }\n"

interface Checked {
  name: string
  config: Record<string, unknown>
  mounts: Mount[]
}

async function composeConfigs(text: string): Promise<Checked[]> {
  const { tree } = await renderStack(text, 'lgtm', 'compose')
  const { services } = parse(tree.get('compose.yaml')!) as {
    services: Record<string, { volumes: string[]; tmpfs: string[] }>
  }
  return Object.entries(services)
    .filter(([name]) => name in mustBeSet)
    .map(([name, service]) => ({
      name,
      config: parse(tree.get(`config/${name}.yaml`)!) as Record<string, unknown>,
      mounts: [...service.volumes.map(volume => volume.split(':')[1]!), ...service.tmpfs].map(directoryAt),
    }))
}

const directoryAt = (path: string): Mount => ({ path, kind: 'directory', directory: '' })

/** The generic chart's values carry the whole configuration. */
async function mimirOfKubernetes(text: string): Promise<Checked> {
  const { tree } = await renderStack(text, 'lgtm', 'flux')
  const release = objectsOf(tree).find(o => o.kind === 'HelmRelease' && o.metadata.name === 'mimir') as KubeObject & {
    spec: { values: MimirValues }
  }
  const { configMaps, persistence, controllers } = release.spec.values
  const claims = controllers.mimir.statefulset?.volumeClaimTemplates ?? []
  return {
    name: 'mimir',
    config: parse(configMaps.config.data['mimir.yaml']) as Record<string, unknown>,
    mounts: [...claims, ...Object.values(persistence)].flatMap(({ globalMounts }) =>
      globalMounts.map(({ path }) => directoryAt(path)),
    ),
  }
}

interface Mounted {
  globalMounts: { path: string }[]
}
interface MimirValues {
  configMaps: { config: { data: { 'mimir.yaml': string } } }
  persistence: Record<string, Mounted>
  controllers: { mimir: { statefulset?: { volumeClaimTemplates: Mounted[] } } }
}

for (const [name, text] of Object.entries({
  'in S3': s3,
  'on volumes': '',
  'without claims': `${s3}persistence: { enabled: false }\n`,
}))
  test(`${name}: what Mimir, Loki and Tempo write lies on their volumes`, async () => {
    for (const { name: program, config, mounts } of [...(await composeConfigs(text)), await mimirOfKubernetes(text)]) {
      assert.deepEqual(pathsOffVolumes(config, { mounts }), [], program)
      const set = new Set(leavesOf(config).map(([path]) => path))
      const left = mustBeSet[program]!.filter(key => !set.has(key))
      assert.deepEqual(left, [], `${program} leaves these at a default that can't be written`)
    }
  })

test('a path beside the volumes is found, and so is one in the working directory', () => {
  const config = { a: { dir: 'data' }, b: { filepath: './x.log' }, c: { path: '/data/c' }, d: { file: '/data2/d' } }
  assert.equal(pathsOf(config).length, 4)
  assert.deepEqual(
    pathsOffVolumes(config, { mounts: [directoryAt('/data')] }).map(({ key }) => key),
    ['a.dir', 'b.filepath', 'd.file'],
  )
})

/**
 * The real Loki and Tempo, and Cortex in Mimir's place, start with what `deploy render` writes, as it is: files,
 * arguments, variables from Secrets, the pods' user, a root that can't be written. Then they are asked as clients and
 * Grafana ask. On local volumes, and on a real S3 server. Skipped, and said so, where the programs are not here.
 * req-004 req-008 req-027 req-028 req-035 req-045 req-126 req-137 req-138 req-153 req-163.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, before, test, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { isCephInstalled, startCeph, type Ceph } from '../ceph.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { enginePath, needsEngines } from './programs.ts'
import { checkStack, doorsOf, refusals, spanMetricsArrive } from './questions.ts'
import { clusterObjects, composeContainers, kubeContainers, renderStack, RunningStack } from './stacks.ts'
import { pathsOffVolumes } from './written-paths.ts'

const directory = temporaryDirectory()
const engines = ['loki', 'tempo', 'cortex']
const charts = { loki: 'loki', tempo: 'tempo', mimir: 'app-template' }
const s3 = "s3: { endpoint: 'http://s3.example.net:9000', region: minio, allow_insecure: true }\n"
const isRunning = isCephInstalled && engines.every(name => enginePath(name) !== undefined)
let ceph: Ceph | undefined

before(async () => {
  if (isRunning) ceph = await startCeph(`${directory}/ceph`, ['mimir-blocks', 'loki-chunks', 'tempo-traces'])
})
after(async () => {
  await ceph?.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** Where each says what its configuration is, with all defaults. */
const configPaths: Readonly<Record<string, string>> = {
  loki: '/config',
  tempo: '/status/config',
  mimir: '/config',
}

/** Places that are named by default and not used: the parts that would write there are off, as said beside them. */
const unused: Readonly<Record<string, readonly string[]>> = {
  loki: [],
  tempo: [],
  // Cortex' own, and no part of its target `all`.
  mimir: ['parquet_converter.data_dir'],
}

/** Nothing that the engine could write is on the root; it says so itself. */
async function checkWrittenPaths(stack: RunningStack): Promise<void> {
  for (const [name, path] of Object.entries(configPaths)) {
    const { spec } = stack.pod(name)
    const door = await stack.network.door(spec.name, spec.ready.port)
    // Tempo repeats the request in a line before it.
    const text = (await (await fetch(`http://${door}${path}`)).text()).replace(/^GET .*\n/, '')
    const config = parse(text) as Record<string, unknown>
    const off = pathsOffVolumes(config, spec).filter(({ key }) => !unused[name]!.includes(key))
    assert.deepEqual(off, [], `${name} would write to its root`)
  }
}

async function checkEngines(t: TestContext, stack: RunningStack, doors: Record<string, string>): Promise<void> {
  const findings = await checkStack(doors)
  for (const { check, level, found } of findings) t.diagnostic(`${level} ${check}: ${found}`)
  await checkWrittenPaths(stack)
  for (const line of await spanMetricsArrive(doors)) t.diagnostic(line)
  for (const { spec, output } of stack.pods) assert.deepEqual(refusals(output), [], spec.name)
}

for (const [place, text] of Object.entries({ 'local volumes': '', S3: s3 })) {
  test(`compose, ${place}`, needsEngines({ programs: engines, s3: text !== '' }), async t => {
    const volumes = `${directory}/compose-${place.replace(' ', '-')}`
    const { stack, tree } = await renderStack(text, 'lgtm', 'compose')
    const running = await RunningStack.start(composeContainers(tree, volumes), volumes, { s3Port: ceph?.port })
    try {
      await checkEngines(t, running, await doorsOf(stack, running.network))
    } finally {
      await running.stop()
    }
  })

  test(
    `charts, ${place}`,
    needsEngines({ programs: engines, charts: Object.values(charts), s3: text !== '' }),
    async t => {
      const volumes = `${directory}/kube-${place.replace(' ', '-')}`
      const { stack, tree } = await renderStack(text, 'lgtm', 'flux')
      const objects = clusterObjects(tree, charts)
      const running = await RunningStack.start(kubeContainers(objects, volumes), volumes, {
        objects,
        s3Port: ceph?.port,
      })
      try {
        await checkEngines(t, running, await doorsOf(stack, running.network))
      } finally {
        await running.stop()
      }
    },
  )
}

/**
 * `tercet deploy graduate`: from a running Tercet to Mimir, Loki and Tempo on the same buckets. Tercet flushes and
 * stops writing, and the tree for the other engine is rendered.
 */
import { BadDataError } from '#core/errors.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { clientUrls } from '#deploy/release.ts'
import { render } from '#deploy/render.ts'
import { readStack, type Stack, type StackS3, type Target } from '#deploy/stack.ts'
import { openBucket, s3BucketOf } from '#app/buckets.ts'
import type { Config } from '#app/config.ts'
import type { World } from '#app/world.ts'
import { unreachable } from './client.ts'
import type { Output } from './output.ts'
import { ownChart, writeTree } from './render-tree.ts'

export interface GraduateOptions {
  /** Of the running process. */
  config: Config
  world: World
  /** stack.yaml, where there is one. */
  stackPath: string | undefined
  stackText: string
  target: Target
  directory: string
  /** Address of the process that hands its buckets over; undefined: nothing is handed over yet. */
  handOverUrl: string | undefined
}

/**
 * Throws BadDataError where a signal is not in S3, the stack names other buckets, or the process does not hand over.
 */
export async function graduate(options: GraduateOptions, { out, err }: Output): Promise<void> {
  const { config, directory, handOverUrl, stackPath, stackText, target, world } = options
  const names = bucketNamesOf(config)
  if (sharesBucketsByPrefix(config, names))
    err(
      'warning shared-bucket: signals share a bucket below prefixes: ' +
        'set storage_prefix at Mimir and prefix at Tempo; Loki has no prefix, and needs a bucket of its own',
    )
  const stack = stackOf(config, stackText, stackPath ?? 'stack.yaml', names)
  refuseOtherBuckets(stack.s3, names, stackPath ?? 'the stack')
  const { tree, warnings } = await render({
    stack,
    target,
    ownChart: ownChart(),
    seal: () => Promise.resolve(undefined),
    configText: stackText,
  })
  if (handOverUrl !== undefined) await handOver(handOverUrl)
  const blocks = await openBucket(config, world, 'traces')
  for (const [version, count] of await countBlocks(blocks))
    out(
      `${count} blocks of traces are ${version}` +
        (version === 'vParquet4' ? '' : ': a Tempo 3 shows them; a Tempo 2.x does not'),
    )
  const text = stepsOf(stack, directory, target, handOverUrl !== undefined)
  tree.set('GRADUATE.md', text)
  const { written } = writeTree(directory, tree)
  for (const { name, text: sentence } of warnings) err(`warning ${name}: ${sentence}`)
  out(`${tree.size} files in ${directory}, ${written} written\n\n${text.replace(/\n$/, '')}`)
}

/** Throws BadDataError where a signal is in a directory. */
function bucketNamesOf(config: Config): Record<SignalName, string> {
  const [metrics, logs, traces] = signals.map(signal => s3BucketOf(config, signal))
  if (!metrics || !logs || !traces)
    throw new BadDataError(
      'not every signal is in S3: Mimir, Loki and Tempo of several processes need a bucket each that all of ' +
        'them reach. ' +
        'Name bucket.s3.bucket, and let Tercet copy with tercet import',
    )
  return { metrics, logs, traces }
}

function sharesBucketsByPrefix(config: Config, names: Readonly<Record<SignalName, string>>): boolean {
  const hasPrefix = signals.some(
    signal => config.text(`${signal}.bucket.s3.prefix`) !== '' || config.text('bucket.s3.prefix') !== '',
  )
  return hasPrefix && new Set(Object.values(names)).size < signals.length
}

function refuseOtherBuckets(
  s3: StackS3 | undefined,
  names: Readonly<Record<SignalName, string>>,
  stackName: string,
): void {
  for (const signal of signals)
    if (s3 !== undefined && s3.buckets[signal] !== names[signal])
      throw new BadDataError(
        `${stackName} has the bucket ${s3.buckets[signal]} for ${signal}, and the running one writes ${names[signal]}`,
      )
}

/** The stack's own place of the data, or else the one of the running process. */
function stackOf(
  config: Config,
  stackText: string,
  stackPath: string,
  buckets: Readonly<Record<SignalName, string>>,
): Stack {
  const stack = readStack(stackText, stackPath, 'lgtm')
  if (stack.s3 !== undefined) return stack
  const hoursOf = (signal: SignalName): string => {
    const hours = config.durationMs(`${signal}.retention`) / 3_600_000
    return Number.isFinite(hours) && hours > 0 ? `${Math.round(hours)}h` : '87600h'
  }
  return {
    ...stack,
    retention: { metrics: hoursOf('metrics'), logs: hoursOf('logs'), traces: hoursOf('traces') },
    s3: {
      endpoint: config.text('bucket.s3.endpoint'),
      region: config.text('bucket.s3.region'),
      allowInsecure: config.isOn('bucket.s3.allow_insecure'),
      buckets,
      secrets: { metrics: 'metrics-s3-secret', logs: 'logs-s3-secret', traces: 'traces-s3-secret' },
    },
  }
}

function blockVersion(meta: Uint8Array): string {
  const { format, version, replicationFactor } = JSON.parse(Buffer.from(meta).toString()) as {
    format?: string
    version?: string
    replicationFactor?: number
  }
  const name = format ?? version ?? ''
  return name === 'vParquet4' && replicationFactor === 1 ? 'vParquet4 with replicationFactor 1' : name
}

/** Blocks of traces by their form: which Tempo shows them depends on it. */
async function countBlocks(bucket: Bucket): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const tenant of await bucket.listDirectories('')) {
    for (const id of await bucket.listDirectories(`${tenant}/`)) {
      if (!/^[0-9a-f]{8}-/.test(id)) continue
      const version = await bucket.get(`${tenant}/${id}/meta.json`).then(blockVersion, () => '')
      if (version !== '') counts.set(version, (counts.get(version) ?? 0) + 1)
    }
  }
  return counts
}

/** A stop alone leaves what is not in the buckets yet in the logs on their volumes, which Tercet does not read. */
const farewells = [
  'http://metrics-store:8428/ingester/shutdown',
  'http://logs-store:3100/ingester/shutdown?flush=true&delete_ring_tokens=false&terminate=false',
  'http://traces-store:3200/shutdown',
] as const

function stepsOf(stack: Stack, directory: string, target: string, isHandedOver: boolean): string {
  const urls = clientUrls(stack)
  const buckets = stack.s3?.buckets
  const first = isHandedOver
    ? 'Done: everything is in the buckets, and Tercet writes there no more; it answers queries until it is stopped, ' +
      'and refuses what comes in (503), which senders keep and repeat.'
    : "Not done yet: run this again with --hand-over when all is ready. It flushes, and gives the writer's epoch away."
  const steps = [
    first,
    "Stop Tercet's server (scale its StatefulSet to 0, or comment out its ks.yaml). One compactor a bucket at a time.",
    `Apply ${directory} (${target}): Mimir reads s3://${buckets?.metrics ?? ''}, Loki s3://${buckets?.logs ?? ''}, ` +
      `Tempo s3://${buckets?.traces ?? ''}.`,
    `Nothing changes for clients: samples ${urls.metrics.push}, lines ${urls.logs.push}, ` +
      `spans ${urls.traces.push} (gRPC: traces-store:4317). A sender that writes to /api/v1/write is set to ` +
      '/api/v1/push.',
    `Nothing changes in Grafana: the data sources keep uid and URL ` +
      `(${urls.metrics.query}, ${urls.logs.query}, ${urls.traces.query}).`,
    'tercet check stack --metrics=http://metrics-store:8428 --logs=http://logs-store:3100 ' +
      '--traces=http://traces-store:3200',
  ]
  return [
    '# From Tercet to Mimir, Loki and Tempo',
    '',
    ...steps.map((step, i) => `${i + 1}. ${step}`),
    '',
    'Back again: what the three have in memory goes to the buckets first, and they take nothing more:',
    '',
    ...farewells.map(url => `    curl -X POST '${url}'`),
    '',
    'Then stop them, and start Tercet with the configuration that it had. With --take_back=true once, it takes the ' +
      'epoch back, and serves what they wrote. Senders repeat meanwhile what nobody took.',
    "Rules and alertmanager.yml are files of the same syntax: hand them to Mimir's ruler and to an Alertmanager, " +
      "or leave them to a Tercet that has role=query's place. Groups that were set through Loki's ruler API lie " +
      "below rules/ in the logs' bucket, where a ruler of Loki with that bucket reads them.",
    '',
  ].join('\n')
}

/** The process flushes, and gives its buckets away. Throws BadDataError. */
async function handOver(url: string): Promise<void> {
  const base = url.replace(/\/+$/, '')
  let reply: Response
  try {
    reply = await fetch(`${base}/-/hand-over?to=Mimir,+Loki+and+Tempo`, { method: 'POST' })
  } catch (error) {
    throw new BadDataError(`${unreachable(base, error)}; nothing was handed over`)
  }
  if (!reply.ok)
    throw new BadDataError(
      `${base}/-/hand-over answered ${reply.status}: ${await reply.text()}; ` +
        'mend that and run this again: signals that are handed over already stay so',
    )
}

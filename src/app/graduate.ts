/**
 * `tercet deploy graduate`: from a running Tercet to Mimir, Loki and Tempo on the same buckets. It flushes and stops writing, and the tree for the
 * other engine is rendered.
 */
import { readFileSync } from 'node:fs'
import { BadDataError, messageOf } from '#core/errors.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { clientUrls } from '#deploy/release.ts'
import { render } from '#deploy/render.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { readStack, targets, type Stack } from '#deploy/stack.ts'
import { openBucket } from './buckets.ts'
import { loadConfig } from './config.ts'
import { noMoreFlags, takeFlag, type Arguments } from './arguments.ts'
import { ownChart, writeTree } from './deploy.ts'
import { makeLog } from './logger.ts'
import { systemWorld } from './world.ts'

function blockVersion(meta: Uint8Array): string {
  const { format = '', version = '' } = JSON.parse(Buffer.from(meta).toString()) as {
    format?: string
    version?: string
  }
  return format || version
}

/** Blocks of traces that a Tempo 2.x can't read. */
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

function stepsOf(stack: Stack, directory: string, target: string, wasHandedOver: boolean): string {
  const urls = clientUrls(stack)
  return `# From Tercet to Mimir, Loki and Tempo

1. ${wasHandedOver ? 'Done: everything is in the buckets, and Tercet writes there no more; it answers queries until it is stopped, and refuses what comes in (503), which senders keep and repeat.' : "Not done yet: run this again with --hand-over when all is ready. It flushes, and gives the writer's epoch away."}
2. Stop Tercet's server (scale its StatefulSet to 0, or comment out its ks.yaml). One compactor a bucket at a time.
3. Apply ${directory} (${target}): Mimir reads s3://${stack.s3?.buckets.metrics ?? ''}, Loki s3://${stack.s3?.buckets.logs ?? ''}, Tempo s3://${stack.s3?.buckets.traces ?? ''}.
4. Nothing changes for clients: samples ${urls.metrics.push}, lines ${urls.logs.push}, spans ${urls.traces.push} (gRPC: traces-store:4317). Who wrote to /api/v1/write is told of /api/v1/push.
5. Nothing changes in Grafana: the data sources keep uid and URL (${urls.metrics.query}, ${urls.logs.query}, ${urls.traces.query}).
6. tercet check stack --metrics=http://metrics-store:8428 --logs=http://logs-store:3100 --traces=http://traces-store:3200

Back again: stop the three, start Tercet with the configuration that it had. With --take_back=true once, it takes the epoch back, and serves what they wrote.
Rules and alertmanager.yml are files of the same syntax: hand them to Mimir's ruler and to an Alertmanager, or leave them to a Tercet that has role=query's place.
`
}

/** Where the running one's configuration says that the data is. */
function stackOf(
  configText: string,
  path: string,
  bucketNames: Record<SignalName, string>,
  s3: { endpoint: string; region: string; isInsecure: boolean },
  retention: Record<SignalName, string>,
): Stack {
  const stack = readStack(configText, path, 'lgtm')
  if (stack.s3 !== undefined) return stack
  return {
    ...stack,
    retention,
    s3: {
      endpoint: s3.endpoint,
      region: s3.region,
      allowInsecure: s3.isInsecure,
      buckets: bucketNames,
      secrets: { metrics: 'metrics-s3-secret', logs: 'logs-s3-secret', traces: 'traces-s3-secret' },
    },
  }
}

export async function graduateVerb({ flags, words }: Arguments): Promise<number> {
  const isHandingOver = takeFlag(flags, 'hand-over') === 'true',
    url = takeFlag(flags, 'url'),
    directory = takeFlag(flags, 'o') ?? takeFlag(flags, 'output'),
    targetText = takeFlag(flags, 'target') ?? 'flux',
    target = targets.find(t => t === targetText)
  const stackPath = takeFlag(flags, 'config'),
    tercetPath = takeFlag(flags, 'tercet-config')
  noMoreFlags(flags, 'deploy graduate')
  if (words.length > 0) throw new BadDataError(`deploy graduate takes no ${words[0]!}`)
  if (tercetPath === undefined || directory === undefined || target === undefined)
    throw new BadDataError(
      "deploy graduate: name the running one's configuration (--tercet-config=tercet.yaml), where to render (-o DIR), and with --hand-over its --url",
    )
  const config = loadConfig({
    file: { path: tercetPath, text: readFileSync(tercetPath, 'utf8') },
    environment: process.env,
    flags: [],
  })
  const names = Object.fromEntries(
    signals.map(signal => [signal, config.text(`${signal}.bucket.s3.bucket`) || config.text('bucket.s3.bucket')]),
  ) as Record<SignalName, string>
  if (Object.values(names).includes(''))
    throw new BadDataError(
      'not every signal is in S3: Mimir, Loki and Tempo of several processes need a bucket each that all of them reach. Name bucket.s3.bucket, and let Tercet copy with tercet import',
    )
  if (
    new Set(Object.values(names)).size < 3 &&
    signals.some(signal => config.text(`${signal}.bucket.s3.prefix`) !== '' || config.text('bucket.s3.prefix') !== '')
  )
    process.stderr.write(
      'warning shared-bucket: signals share a bucket below prefixes: set storage_prefix at Mimir and prefix at Tempo; Loki has no prefix, and needs a bucket of its own\n',
    )
  const world = systemWorld(makeLog('logfmt', 'error')),
    retention = Object.fromEntries(
      signals.map(signal => {
        const hours = config.durationMs(`${signal}.retention`) / 3_600_000
        return [signal, Number.isFinite(hours) && hours > 0 ? `${Math.round(hours)}h` : '87600h']
      }),
    ) as Record<SignalName, string>
  const stackText = stackPath === undefined ? '' : readFileSync(stackPath, 'utf8')
  const stack = stackOf(
    stackText,
    stackPath ?? 'stack.yaml',
    names,
    {
      endpoint: config.text('bucket.s3.endpoint'),
      region: config.text('bucket.s3.region'),
      isInsecure: config.isOn('bucket.s3.allow_insecure'),
    },
    retention,
  )
  for (const signal of signals)
    if (stack.s3!.buckets[signal] !== names[signal])
      throw new BadDataError(
        `${stackPath ?? 'the stack'} has the bucket ${stack.s3!.buckets[signal]} for ${signal}, and the running one writes ${names[signal]}`,
      )
  const { tree, warnings } = await render({
    stack,
    target,
    ownChart: ownChart(),
    seal: () => Promise.resolve(undefined),
    configText: stackText,
  })
  if (isHandingOver) {
    if (url === undefined)
      throw new BadDataError('--hand-over asks the running one to flush and stop writing: name its --url')
    await handOver(url)
  }
  const versions = await countBlocks(await openBucket(config, world, 'traces'))
  for (const [version, count] of versions)
    process.stdout.write(
      `${count} blocks of traces are ${version}${version === 'vParquet5' ? ': a Tempo 3 reads them; a Tempo 2.x shows them only where it knows the form' : ''}\n`,
    )
  const text = stepsOf(stack, directory, target, isHandingOver)
  tree.set('GRADUATE.md', text)
  const { written } = writeTree(directory, tree)
  for (const { name, text: sentence } of warnings) process.stderr.write(`warning ${name}: ${sentence}\n`)
  process.stdout.write(`${tree.size} files in ${directory}, ${written} written\n\n${text}`)
  return 0
}

async function handOver(url: string): Promise<void> {
  let reply: Response
  try {
    reply = await fetch(`${url}/-/hand-over?to=Mimir,+Loki+and+Tempo`, { method: 'POST' })
  } catch (error) {
    throw new BadDataError(`${url} can't be reached: ${messageOf(error)}; nothing was handed over`)
  }
  if (!reply.ok)
    throw new BadDataError(
      `${url}/-/hand-over answered ${reply.status}: ${await reply.text()}; mend that and run this again: signals that are handed over already stay so`,
    )
}

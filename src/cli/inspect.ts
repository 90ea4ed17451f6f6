/** `tercet inspect`: what is in the buckets. */
import { jsonFlag } from './common-flags.ts'
import { configFlag, readConfig, worldOf } from './configuration.ts'
import { makeVerb } from './verb.ts'

export const inspect = makeVerb({
  name: 'inspect',
  summary:
    'Lists what is in the buckets: blocks of metrics with their times, series, samples and bytes; indexes of logs ' +
    'by day with their streams, chunks and lines; blocks of traces.',
  flags: [configFlag, jsonFlag],
  configuration: 'taken',
  examples: ['tercet inspect --data_dir=./data', 'tercet inspect --json --bucket.s3.bucket=metrics'],
  async run(given) {
    const config = readConfig(given)
    const world = worldOf(config)
    const { openBucket } = await import('#app/buckets.ts')
    const { inspectBuckets } = await import('#ops/inspect.ts')
    const buckets = {
      metrics: await openBucket(config, world, 'metrics'),
      logs: await openBucket(config, world, 'logs'),
      traces: await openBucket(config, world, 'traces'),
    }
    process.stdout.write(await inspectBuckets(buckets, given.isOn('json')))
    return 0
  },
})

/** `tercet check bucket`: the S3 store of the configuration. */
import { terminalOutput } from '#ops/output.ts'
import { jsonFlag } from './common-flags.ts'
import { configFlag, readConfig, worldOf } from './configuration.ts'
import { makeVerb } from './verb.ts'

export const checkBucket = makeVerb({
  name: 'check bucket',
  summary:
    'Tries the S3 store with the keys of the process: what works, what is dangerous, what should be set; exit code 1 ' +
    'where something is bad. With --role=query it only reads, and tells what such a process would find.',
  flags: [configFlag, jsonFlag],
  configuration: 'taken',
  examples: ['tercet check bucket --config=tercet.yaml', 'tercet check bucket --bucket.s3.bucket=metrics --json'],
  async run(given) {
    const config = readConfig(given)
    const { checkBuckets } = await import('#ops/check-buckets.ts')
    return checkBuckets(config, worldOf(config), given.isOn('json'), terminalOutput)
  },
})

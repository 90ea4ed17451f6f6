/** `tercet check`: the configuration and the buckets, without starting anything. */
import { signals, type SignalName } from '#core/signal-name.ts'
import { jsonFlag } from './common-flags.ts'
import { configFlag, readConfig, worldOf } from './configuration.ts'
import { makeVerb } from './verb.ts'

/** Tenants where tenancy is off: the probe writes below them. */
const defaultTenants: Readonly<Record<SignalName, string>> = {
  metrics: 'anonymous',
  logs: 'fake',
  traces: 'single-tenant',
}

export const check = makeVerb({
  name: 'check',
  summary: 'Reads the configuration and tries the buckets; its verbs check files, an S3 store and a live stack.',
  flags: [configFlag, jsonFlag],
  configuration: 'taken',
  examples: ['tercet check --config=tercet.yaml', 'tercet check --data_dir=./data --json'],
  verbs: {
    config: async () => (await import('./check-config.ts')).checkConfig,
    rules: async () => (await import('./check-rules.ts')).checkRules,
    alertmanager: async () => (await import('./check-alertmanager.ts')).checkAlertmanager,
    bucket: async () => (await import('./check-bucket.ts')).checkBucket,
    data: async () => (await import('./check-data.ts')).checkData,
    stack: async () => (await import('./check-stack.ts')).checkStack,
  },
  async run(given) {
    const config = readConfig(given)
    const world = worldOf(config)
    const { explainStore, openBucket } = await import('#app/buckets.ts')
    const { probeBucket } = await import('#bucket/probe.ts')
    const places: Partial<Record<SignalName, string>> = {}
    for (const signal of signals) {
      const bucket = await openBucket(config, world, signal)
      const isReader = config.text('role') === 'query'
      await probeBucket(bucket, `${defaultTenants[signal]}/tercet/`, isReader, world.random, (operation, error) =>
        explainStore(config, signal, operation, error),
      )
      places[signal] = bucket.description
    }
    const { metrics, logs, traces } = places
    process.stdout.write(
      given.isOn('json')
        ? `${JSON.stringify({ ok: true, bucket: metrics, logs, traces })}\n`
        : `The configuration is right, and ${metrics}, ${logs} and ${traces} answer.\n`,
    )
    return 0
  },
})

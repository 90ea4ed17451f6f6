/** `tercet import`: the history of other systems. */
import { makeLog } from '#app/logger.ts'
import { systemWorld } from '#app/world.ts'
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import type { ImportSource } from '#ops/import-plan.ts'
import { momentOf } from '#ops/moment.ts'
import { terminalOutput } from '#ops/output.ts'
import { secretFrom } from '#ops/secret-file.ts'
import { accessFlags, endFlag, headersOf, jsonFlag, startFlag } from './common-flags.ts'
import { configFlag, readConfig } from './configuration.ts'
import { makeVerb, type Given } from './verb.ts'

const signalOf: Readonly<Record<ImportSource, SignalName>> = {
  prometheus: 'metrics',
  thanos: 'metrics',
  mimir: 'metrics',
  loki: 'logs',
  tempo: 'traces',
}

function isBlockSource(name: string): name is ImportSource {
  return Object.hasOwn(signalOf, name)
}

const flags = [
  {
    name: 'from',
    kind: [...Object.keys(signalOf), 'victoriametrics'],
    isRequired: true,
    help: 'The system that the history comes from.',
  },
  {
    name: 'url',
    kind: 'address',
    help: 'A running process, which takes the samples of VictoriaMetrics or looks for new blocks.',
  },
  {
    name: 'tenant',
    kind: 'text',
    help: 'Whose the data becomes: anonymous by default for blocks of Prometheus and Thanos.',
  },
  { name: 'source-endpoint', kind: 'text', placeholder: 'URL', help: 'Of the S3 store that is read; without it AWS.' },
  { name: 'source-region', kind: 'text', fallback: 'us-east-1', help: 'Its region.' },
  { name: 'source-access-key-id-file', kind: 'file', help: 'Holds its key; without it AWS_ACCESS_KEY_ID.' },
  { name: 'source-secret-access-key-file', kind: 'file', help: 'Holds its secret; without it AWS_SECRET_ACCESS_KEY.' },
  {
    ...startFlag('30d'),
    help: 'VictoriaMetrics: where the range begins, as Unix seconds, RFC 3339 or a duration before now.',
  },
  { ...endFlag, help: 'VictoriaMetrics: where it ends.' },
  {
    name: 'match',
    kind: 'text',
    placeholder: 'SELECTOR',
    fallback: '{__name__!=""}',
    help: 'VictoriaMetrics: which series.',
  },
  {
    name: 'state',
    kind: 'text',
    placeholder: 'FILE',
    fallback: '.tercet-import.json',
    help: 'VictoriaMetrics: how far the import came.',
  },
  ...accessFlags.map(flag => ({ ...flag, help: `With --url: ${flag.help}` })),
  configFlag,
  jsonFlag,
] as const

type ImportFlag = (typeof flags)[number]['name']

export const importHistory = makeVerb<ImportFlag>({
  name: 'import',
  summary:
    'Takes the history of another system in. It can be stopped and begun again: what is there already is skipped.',
  flags,
  words: {
    shown: 'SOURCE',
    expected: 'one source: a directory, s3://bucket/prefix, or the URL of VictoriaMetrics',
    least: 1,
    most: 1,
  },
  configuration: 'taken',
  examples: [
    'tercet import --from=prometheus /prometheus --data_dir=./data   # a snapshot, or the directory of a stopped one',
    'tercet import --from=thanos s3://thanos-bucket --bucket.s3.bucket=metrics',
    'tercet import --from=mimir s3://mimir-blocks --bucket.s3.bucket=metrics   # with all tenants',
    'tercet import --from=victoriametrics http://vmsingle:8428 --url=http://127.0.0.1:8428 --start=30d',
  ],
  notes: [
    'Blocks and chunks go to the bucket of the configuration; where that is the source itself, nothing has to ' +
      'be copied at all. ' +
      'The samples of VictoriaMetrics go to the running process at --url, http://127.0.0.1:8428 by default.',
  ],
  async run(given) {
    const from = given.text('from')
    const [place = ''] = given.words
    if (isBlockSource(from)) await importBlocksOf(from, place, given)
    else await importVictoriaAt(place, given)
    return 0
  },
})

async function importBlocksOf(from: ImportSource, place: string, given: Given<ImportFlag>): Promise<void> {
  const { importBlocks, openSource } = await import('#ops/import-blocks.ts')
  const { openBucket } = await import('#app/buckets.ts')
  const config = readConfig(given)
  const signal = signalOf[from]
  const url = given.optional('url')
  const retention = `${signal}.retention` as const
  const source = await openSource(place, {
    endpoint: given.optional('source-endpoint') ?? '',
    region: given.text('source-region'),
    accessKeyId: secretFrom(given.optional('source-access-key-id-file'), 'AWS_ACCESS_KEY_ID'),
    secretAccessKey: secretFrom(given.optional('source-secret-access-key-file'), 'AWS_SECRET_ACCESS_KEY'),
  })
  const tenant = given.optional('tenant') ?? 'anonymous'
  checkTenantName(tenant)
  await importBlocks(
    {
      from,
      source,
      target: await openBucket(config, systemWorld(makeLog('logfmt', 'error')), signal),
      tenant,
      retentionMs: config.durationMs(retention),
      retentionName: `${retention} (${config.text(retention)})`,
      spillDirectory: config.text('data_dir'),
      server: url === undefined ? undefined : { url, headers: headersOf(given) },
      isJson: given.isOn('json'),
    },
    terminalOutput,
  )
}

async function importVictoriaAt(source: string, given: Given<ImportFlag>): Promise<void> {
  if (!/^https?:\/\//.test(source))
    throw new BadDataError('import --from=victoriametrics takes its URL: http://vmsingle:8428')
  const { importVictoria } = await import('#ops/import-victoria.ts')
  const nowMs = systemClock.nowMs()
  await importVictoria(
    {
      source,
      server: { url: given.optional('url') ?? 'http://127.0.0.1:8428', headers: headersOf(given) },
      match: given.text('match'),
      startMs: momentOf(given.text('start'), nowMs),
      endMs: momentOf(given.text('end'), nowMs),
      statePath: given.text('state'),
      isJson: given.isOn('json'),
    },
    terminalOutput,
  )
}

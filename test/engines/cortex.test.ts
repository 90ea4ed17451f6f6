/**
 * Cortex serves the bucket of metrics that Tercet wrote: every answer the same, for each tenant, from a directory and
 * from a real S3 server, without and with a bucket index, while its compactor is off and after it merged the blocks;
 * and Tercet gives the same answers from what the compactor made of them. Skipped, and said so, where Cortex is not
 * here. req-038 req-040 req-142 req-147.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { systemClock, type Clock } from '#core/clock.ts'
import { cephKeys, isCephInstalled, startCeph, type Ceph } from '../ceph.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'
import { postWrite, writeBody, type TestSeries } from '../write-request.ts'
import { makeVolume } from './pod.ts'
import { enginePath, needsEngines } from './programs.ts'
import { composeContainers, renderStack, RunningStack } from './stacks.ts'

const directory = temporaryDirectory()
const s3Text = "s3: { endpoint: 'http://s3.example.net:9000', region: minio, allow_insecure: true }\n"
let ceph: Ceph | undefined

before(async () => {
  if (isCephInstalled && enginePath('cortex') !== undefined)
    ceph = await startCeph(`${directory}/ceph`, ['mimir-blocks'])
})
after(async () => {
  await ceph?.stop()
  rmSync(directory, { recursive: true, force: true })
})

const minuteMs = 60_000
const hourMs = 3_600_000
/** Merging is Cortex' work here: of Tercet's repeated tasks those that come seldom, as it is one, don't come. */
const unmaintained: Clock = {
  ...systemClock,
  after: (delayMs, run) => systemClock.after(delayMs < 10_000 ? delayMs : 24 * hourMs, run),
}
const hoursOfData = 27
/** Ends at a full block range, so that there are days to merge. */
const endMs = Math.floor((Date.now() - 3 * hourMs) / (2 * hourMs)) * 2 * hourMs
const startMs = endMs - hoursOfData * hourMs
const tenants = ['anonymous', 'team-b'] as const
const writtenBlocks = Math.ceil(hoursOfData / 2)
/** Of blocks of two hours: one for each twelve hours, and those of the last twelve, which are not over. */
const mergedMax = 8

/** Counters, gauges and gone series, a sample a minute. */
function seriesOf(tenant: string): TestSeries[] {
  const times = Array.from({ length: (hoursOfData * hourMs) / minuteMs }, (_, i) => startMs + i * minuteMs)
  return ['a', 'b', 'c', 'd'].flatMap((instance, n) => {
    const labels = (name: string): [string, string][] => [
      ['__name__', name],
      ['instance', instance],
      ['tenant_is', tenant],
    ]
    const lived = n === 3 ? times.slice(0, times.length / 3) : times
    return [
      {
        labels: labels('requests_total'),
        samples: lived.map((t, i): [number, number] => [t, (i % 500) * (n + 1)]),
      },
      {
        labels: labels('temperature'),
        samples: lived.map((t, i): [number, number] => [t, i % 97 === 0 ? NaN : Math.sin(i / 50) * 20 + n]),
      },
    ]
  })
}

const queries = [
  'requests_total',
  'sum by (instance) (rate(requests_total[5m]))',
  'max_over_time(temperature[1h])',
  'count(requests_total)',
  'temperature{instance=~"a|d"} > 5',
  'histogram_quantile(0.9, sum by (le) (rate(nothing_bucket[5m])))',
  'absent(requests_total{instance="z"})',
  'topk(2, increase(requests_total[30m]))',
  'quantile by (tenant_is) (0.5, temperature offset 1h)',
]

async function askAll(url: string, tenant: string): Promise<Record<string, unknown>> {
  const answers: Record<string, unknown> = {}
  const range = { start: String(startMs / 1000), end: String(endMs / 1000) }
  const ask = async (path: string, parameters: Record<string, string>): Promise<void> => {
    const reply = await fetch(`${url}/prometheus/api/v1/${path}?${new URLSearchParams(parameters).toString()}`, {
      headers: { 'x-scope-orgid': tenant },
    })
    const text = await reply.text()
    assert.equal(reply.status, 200, `${path} ${JSON.stringify(parameters)}: ${text.slice(0, 300)}`)
    const { data } = JSON.parse(text) as { data: unknown }
    answers[`${path} ${parameters['query'] ?? parameters['match[]'] ?? ''} ${parameters['time'] ?? ''}`] = sorted(data)
  }
  for (const query of queries) {
    await ask('query_range', { query, ...range, step: '600' })
    for (const time of [startMs + hourMs, endMs - 1]) await ask('query', { query, time: String(time / 1000) })
  }
  await ask('labels', range)
  await ask('label/instance/values', range)
  await ask('series', { 'match[]': 'requests_total', ...range })
  return answers
}

/** Answers without their order, which is nobody's promise, and without what says how they were made. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(v => JSON.stringify(sorted(v))).sort()
  if (typeof value !== 'object' || value === null) return value
  const { stats: _stats, ...rest } = value as Record<string, unknown>
  return Object.fromEntries(
    Object.entries(rest)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, v]) => [key, sorted(v)]),
  )
}

interface Place {
  name: string
  text: string
  flags: (volumes: string) => string[]
  /** Blocks of a tenant that no mark of deletion stands beside. */
  blocks: (volumes: string, tenant: string) => Promise<string[]>
}

const isBlock = (name: string): boolean => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name)

const places: readonly Place[] = [
  {
    name: 'a directory',
    text: '',
    flags: volumes => [`metrics.bucket.dir=${volumes}/mimir-data/blocks`],
    blocks: (volumes, tenant) => {
      const path = join(volumes, 'mimir-data/blocks', tenant)
      const isMarked = (id: string): boolean => existsSync(join(path, id, 'deletion-mark.json'))
      return Promise.resolve(readdirSync(path).filter(name => isBlock(name) && !isMarked(name)))
    },
  },
  {
    name: 'S3',
    text: s3Text,
    flags: () => [
      `bucket.s3.endpoint=${ceph!.endpoint}`,
      'bucket.s3.region=minio',
      'bucket.s3.allow_insecure=true',
      `bucket.s3.access_key_id=${cephKeys.accessKeyId}`,
      `bucket.s3.secret_access_key=${cephKeys.secretAccessKey}`,
      'metrics.bucket.s3.bucket=mimir-blocks',
    ],
    blocks: async (_, tenant) => {
      const { Contents = [] } = await ceph!.client.send(
        new ListObjectsV2Command({ Bucket: 'mimir-blocks', Prefix: `${tenant}/` }),
      )
      const keys = Contents.map(({ Key = '' }) => Key.split('/'))
      const marked = new Set(keys.filter(key => key[2] === 'deletion-mark.json').map(key => key[1]))
      const ids = new Set(keys.filter(key => key[2] === 'meta.json').map(key => key[1]!))
      return [...ids].filter(id => isBlock(id) && !marked.has(id))
    },
  },
]

const ways: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'compactor off, no bucket index': {
    'compactor.disabled_tenants': tenants.join(','),
    'blocks_storage.bucket_store.bucket_index.enabled': false,
  },
  'compactor on': {
    'compactor.compaction_interval': '2s',
    'compactor.cleanup_interval': '3s',
    'compactor.deletion_delay': '0s',
    'blocks_storage.bucket_store.sync_interval': '2s',
    'blocks_storage.bucket_store.ignore_deletion_mark_delay': '0s',
    // Asked before the compactor wrote the first index, it would look again only after a minute.
    'blocks_storage.bucket_store.bucket_index.update_on_error_interval': '2s',
  },
  // The index is the compactor's work: this is what it left.
  'compactor off, bucket index': {
    'compactor.disabled_tenants': tenants.join(','),
    'blocks_storage.bucket_store.sync_interval': '2s',
  },
}

for (const place of places)
  test(
    `Cortex on ${place.name} that Tercet wrote`,
    needsEngines({ programs: ['cortex'], s3: place.text !== '' }),
    async t => {
      const volumes = `${directory}/${place.name.replace(' ', '-')}`
      makeVolume(`${volumes}/mimir-data`, 10001)
      const flags = [...place.flags(volumes), 'tenancy=on', 'metrics.retention=inf', 'metrics.out_of_order_window=inf']
      const writer = await runTercet(flags, `${volumes}/writer`, { clock: unmaintained })
      const expected: Record<string, Record<string, unknown>> = {}
      for (const tenant of tenants) {
        const reply = await postWrite(writer.url, writeBody(seriesOf(tenant)), { 'x-scope-orgid': tenant })
        assert.equal(reply.status, 204, await reply.text())
      }
      await fetch(`${writer.url}/-/flush`, { method: 'POST' })
      for (const tenant of tenants) expected[tenant] = await askAll(writer.url, tenant)
      await writer.tercet.close()
      for (const tenant of tenants)
        assert.equal((await place.blocks(volumes, tenant)).length, writtenBlocks, `${tenant}'s blocks`)

      for (const [way, changes] of Object.entries(ways)) {
        spawnSync('chown', ['-R', '10001:10001', `${volumes}/mimir-data`])
        const { tree } = await renderStack(`${place.text}signals: [metrics]\n`, 'lgtm', 'compose')
        const containers = composeContainers(tree, volumes, { mimir: changes })
        const stack = await RunningStack.start(containers, volumes, { s3Port: ceph?.port })
        try {
          const url = `http://${await stack.network.door('mimir', 8428)}`
          for (const tenant of tenants) await servesBlocks(url, tenant)
          if (way === 'compactor on')
            for (const tenant of tenants) {
              const left = await until(
                async () => {
                  const blocks = await place.blocks(volumes, tenant)
                  return blocks.length <= mergedMax ? blocks.length : undefined
                },
                `${tenant}'s blocks are merged`,
                120,
              )
              t.diagnostic(`${way}, ${tenant}: ${left} blocks`)
            }
          for (const tenant of tenants)
            assert.deepEqual(await askUntilServed(url, tenant), expected[tenant], `${way}, ${tenant}`)
          t.diagnostic(`${way}: ${Object.keys(expected['anonymous']!).length} answers a tenant are equal`)
        } finally {
          await stack.stop()
        }
      }
      const reader = await runTercet([...flags, 'role=query'], `${volumes}/reader`)
      try {
        for (const tenant of tenants)
          assert.deepEqual(await askAll(reader.url, tenant), expected[tenant], `Tercet on merged blocks, ${tenant}`)
      } finally {
        await reader.tercet.close()
      }
    },
  )

/** Until the store has loaded what is in the bucket. */
async function servesBlocks(url: string, tenant: string): Promise<void> {
  await until(
    async () => {
      const time = String(startMs / 1000 + 3600)
      const reply = await fetch(`${url}/prometheus/api/v1/query?query=count(requests_total)&time=${time}`, {
        headers: { 'x-scope-orgid': tenant },
      })
      return (await reply.text()).includes('"4"') ? true : undefined
    },
    `${tenant}'s blocks are served`,
    90,
  )
}

/** While blocks are replaced, a query may fail for a moment; an answer that is given is right. */
function askUntilServed(url: string, tenant: string): Promise<Record<string, unknown>> {
  return until(() => askAll(url, tenant), `all questions of ${tenant} are answered`, 60)
}

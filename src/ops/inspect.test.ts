/** What is in buckets: as tables, and as JSON. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { inspectBuckets } from './inspect.ts'

const clock = new VirtualClock(Date.UTC(2026, 10, 28))
const id = '01M7XPRJMKDMK41SCYK1X29CX8'

async function buckets(): Promise<Record<'metrics' | 'logs' | 'traces', MemoryBucket>> {
  const metrics = new MemoryBucket(clock)
  const meta = {
    ulid: id,
    version: 1,
    minTime: Date.UTC(2026, 10, 27),
    maxTime: Date.UTC(2026, 10, 27, 2),
    stats: { numSeries: 12, numSamples: 3456 },
    compaction: { level: 2, sources: [id] },
  }
  await metrics.put(`team/${id}/meta.json`, Buffer.from(JSON.stringify(meta)))
  await metrics.put(`team/${id}/index`, new Uint8Array(1000))
  await metrics.put('team/tercet/wal/1', new Uint8Array(5000))
  return { metrics, logs: new MemoryBucket(clock), traces: new MemoryBucket(clock) }
}

test('where no bucket has anything, it says where the newest data is', async () => {
  const empty = new MemoryBucket(clock)
  const shown = await inspectBuckets({ metrics: empty, logs: empty, traces: empty }, false)
  assert.match(
    shown,
    /^memory: no blocks\n\nmemory: no logs\n\nmemory: no traces\n\n.*POST \/-\/flush cuts blocks of it\.\n$/,
  )
  assert.doesNotMatch(await inspectBuckets(await buckets(), false), /flush/)
})

test('a block is a row, with all its objects and nothing beside it; empty buckets say so', async () => {
  const all = await buckets()
  const metaBytes = (await all.metrics.size(`team/${id}/meta.json`)) + 1000
  assert.equal(
    await inspectBuckets(all, false),
    [
      'TENANT       BLOCK                      FROM                     TO                       ' +
        'LEVEL    SERIES      SAMPLES        BYTES',
      `team         ${id} 2026-11-27T00:00:00.000Z 2026-11-27T02:00:00.000Z ` +
        `    2        12         3456         ${metaBytes}`,
      '',
      'memory: no logs',
      '',
      'memory: no traces',
      '',
    ].join('\n'),
  )
})

test('as JSON', async () => {
  const all = await buckets()
  assert.deepEqual(JSON.parse(await inspectBuckets(all, true)), {
    bucket: 'memory',
    blocks: [
      {
        tenant: 'team',
        block: id,
        from: '2026-11-27T00:00:00.000Z',
        to: '2026-11-27T02:00:00.000Z',
        level: 2,
        series: 12,
        samples: 3456,
        bytes: (await all.metrics.size(`team/${id}/meta.json`)) + 1000,
      },
    ],
    logs: { bucket: 'memory', days: [] },
    traces: { bucket: 'memory', blocks: [] },
  })
})

/** index/stats and index/volume: sizes of the part of each chunk that lies in the time. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Omissions } from '#core/omissions.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { ChunkSource, LogsReader, StreamChunks } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { readReply } from '#net/handler-kit.ts'
import { indexShards, indexStats, indexVolume } from './volume.ts'

const clock = new VirtualClock(100_000)

function chunk(fromMs: number, throughMs: number, kilobytes: number, isInMemory = false): ChunkSource {
  return { fromMs, throughMs, kilobytes, isInMemory, entries: kilobytes * 10, open: () => Promise.resolve(undefined) }
}

function readerOf(streams: StreamChunks[]): LogsReader {
  return {
    omissions: new Omissions(),
    damaged: () => [],
    select: matchers =>
      Promise.resolve(streams.filter(({ labels }) => matchers.every(m => m.matches(labels.get(m.name))))),
    streams: () => Promise.resolve(streams.map(s => s.labels)),
    subscribe: () => () => {},
    watch: () => () => {},
    deletions: () => [],
  }
}

const reader = readerOf([
  { labels: Labels.fromObject({ app: 'a', pod: '1' }), chunks: [chunk(0, 10_000, 10), chunk(10_000, 30_000, 20)] },
  { labels: Labels.fromObject({ app: 'a', pod: '2' }), chunks: [chunk(5000, 5000, 4), chunk(0, 10_000, 50, true)] },
  { labels: Labels.fromObject({ app: 'b' }), chunks: [chunk(0, 10_000, 1)] },
  { labels: Labels.fromObject({ app: 'c' }), chunks: [chunk(0, 10_000, 1, true)] },
])

test('stats count chunks of the index by the share that lies in the time', async () => {
  const { body } = await readReply(
    await indexStats(new URLSearchParams('query={app=~".%2B"}&start=0&end=20'), reader, clock, Infinity),
  )
  const bytes = (10 + 10 + 4 + 1) * 1024
  assert.deepEqual(JSON.parse(body), { streams: 3, chunks: 4, bytes, entries: 100 + 100 + 40 + 10 })
})

test('one process is one shard, with all that the index lists', async () => {
  const ask = async (query: string): Promise<unknown> =>
    JSON.parse((await readReply(await indexShards(new URLSearchParams(query), reader, clock, Infinity))).body)
  const time = 'start=0&end=20&targetBytesPerShard=1MB'
  const bounds = { min: '0', max: '18446744073709551615' }
  assert.deepEqual(await ask(`query={app="b"}&${time}`), {
    shards: [{ bounds, stats: { streams: 1, chunks: 1, bytes: 1024, entries: 10 } }],
  })
  assert.deepEqual(await ask(`query={app="nobody"}&${time}`), { shards: [] })
  await assert.rejects(async () => ask(`query={app="b"}&start=0&end=20&targetBytesPerShard=some`), /bytes like 600MB/)
})

interface Answer {
  data: {
    resultType: string
    result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[]
    stats: { summary: object }
  }
}

async function volume(query: string, isRange = false): Promise<Answer['data']> {
  const { body } = await readReply(
    await indexVolume(new URLSearchParams(query), reader, clock, { isRange, lengthMaxMs: Infinity }),
  )
  return (JSON.parse(body) as Answer).data
}

test('volumes are summed by the labels that a request names, largest first', async () => {
  const time = 'start=0&end=20&query={}'
  const cases: [query: string, rows: string[]][] = [
    [time, ['{"app":"a","pod":"2"} 54', '{"app":"a","pod":"1"} 20', '{"app":"b"} 1', '{"app":"c"} 1']],
    [`start=0&end=20&query={app=~".%2B"}`, ['{"app":"a"} 74', '{"app":"b"} 1', '{"app":"c"} 1']],
    [`${time}&targetLabels=pod`, ['{"pod":"2"} 54', '{"pod":"1"} 20']],
    [`${time}&aggregateBy=labels`, ['{"app":""} 76', '{"pod":""} 74']],
    [`start=0&end=20&query={app="b"}&aggregateBy=series`, ['{"app":"b"} 1']],
    [`${time}&limit=1`, ['{"app":"a","pod":"2"} 54']],
    ['start=50&end=60&query={}', []],
  ]
  for (const [query, rows] of cases) {
    const { result, resultType } = await volume(query)
    assert.equal(resultType, 'vector')
    const shown = result.map(({ metric, value }) => `${JSON.stringify(metric)} ${Number(value?.[1]) / 1024}`)
    assert.deepEqual(shown, rows, query)
  }
  assert.equal((await volume(`${time}&limit=1`)).result[0]?.value?.[0], 20)
})

test('a range is cut into steps, each at its last millisecond, without the empty ones', async () => {
  const { result, resultType } = await volume('start=0&end=30&step=10&query={pod="1"}', true)
  assert.equal(resultType, 'matrix')
  assert.deepEqual(
    result[0]?.values?.map(([time, bytes]) => `${time} ${Number(bytes) / 1024}`),
    ['9.999 9', '19.999 9', '30 10'],
  )
})

test('parameters that can not be understood are refused', async () => {
  const cases: [query: string, isRange: boolean, message: string][] = [
    ['query={}&aggregateBy=odd', false, 'invalid aggregation option'],
    ['query={}&limit=-1', false, 'limit must be a positive value'],
    [
      'query={}&step=-1',
      true,
      'zero or negative query resolution step widths are not accepted. Try a positive integer',
    ],
  ]
  for (const [query, isRange, message] of cases)
    await assert.rejects(volume(query, isRange), { name: 'BadDataError', message })
})

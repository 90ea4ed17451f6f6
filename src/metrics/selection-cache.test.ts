import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '#core/clock.ts'
import { Pace } from '#core/pace.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { Labels } from '#model/labels.ts'
import { BlockReader, BlockSelection } from './block-reader.ts'
import { Selection, SelectionCache } from './selection-cache.ts'

const block = (ulid: string): BlockReader =>
  new BlockReader(
    { ulid, minTime: 0, maxTime: 1, stats: {}, compaction: { level: 1, sources: [ulid] }, version: 1 },
    { read: () => assert.fail('nothing is read'), readRange: () => assert.fail('nothing is read') },
  )
const matchers = [makeMatcher('=', 'job', 'x')]

/** A selection with one chunk a series, [10, 20]. */
function select(reader: BlockReader, names: readonly string[], deleted = new Map()): Promise<Selection> {
  const found = new BlockSelection()
  names.forEach((name, i) => {
    found.addSeries(Labels.fromObject({ __name__: name }), i)
    found.addChunk(10, 20, i)
  })
  return Selection.of([{ reader, found, deleted }], new Pace(systemClock))
}

test('series of several blocks stand once, in order, with the number that each block gives them', async () => {
  const { parts: a } = await select(block('A'), ['up', 'x'])
  const { parts: b } = await select(block('B'), ['b', 'up'])
  const both = await Selection.of([...a, ...b], new Pace(systemClock))
  assert.deepEqual(both.labels.map(String), ['b', 'up', 'x'])
  assert.deepEqual(
    both.parts.map(p => [...p.memberOf]),
    [
      [-1, 0, 1],
      [0, 1, -1],
    ],
  )
  assert.equal(both.numberOf(Labels.fromObject({ __name__: 'up' })), 1)
  assert.equal(both.numberOf(Labels.fromObject({ __name__: 'other' })), -1)
})

test('a series whose chunks of the time were all deleted is not visible', async () => {
  const deleted = new Map([
    [0, [{ fromMs: 10, throughMs: 20 }]],
    [1, [{ fromMs: 11, throughMs: 20 }]],
  ])
  const selection = await select(block('A'), ['a', 'b', 'c'], deleted)
  assert.deepEqual(
    [0, 1, 2].map(series => selection.isVisible(series, 0, 100)),
    [false, true, true],
  )
  assert.equal(selection.isVisible(2, 21, 100), false)
})

test('what is kept is found for the same matchers and blocks, until it is cleared', async () => {
  const cache = new SelectionCache()
  const reader = block('A')
  const selection = await select(reader, ['a'])
  cache.keep(matchers, [reader], selection)
  assert.equal(cache.find(matchers, [reader]), selection)
  assert.equal(cache.find(matchers, [reader, block('B')]), undefined)
  assert.equal(cache.find([makeMatcher('!=', 'job', 'x')], [reader]), undefined)
  cache.clear()
  assert.equal(cache.find(matchers, [reader]), undefined)
})

test('equal queries that miss together keep one selection, and count it once', async () => {
  const cache = new SelectionCache()
  const reader = block('A')
  const names = Array.from({ length: 50_000 }, (_, i) => `m${String(i).padStart(5, '0')}`)
  const selection = await select(reader, names)
  // More than the cache holds, if each counted.
  for (let n = 0; n < 12; n++) cache.keep(matchers, [reader], selection)
  assert.ok(cache.find(matchers, [reader]) === selection)
})

test('the least recently used selections make room', async () => {
  const cache = new SelectionCache()
  const names = Array.from({ length: 60_000 }, (_, i) => `m${String(i).padStart(5, '0')}`)
  const readers = Array.from({ length: 8 }, (_, i) => block(`B${i}`))
  const selection = await select(block('A'), names)
  for (const reader of readers) {
    cache.keep(matchers, [reader], selection)
    cache.find(matchers, readers.slice(0, 1))
  }
  assert.deepEqual(
    readers.map(reader => cache.find(matchers, [reader]) === selection),
    [true, false, false, false, true, true, true, true],
  )
})

/** The series of a target: what a scrape no longer has is named, also after a sweep has made room. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Labels } from '#model/labels.ts'
import { SeriesCache } from './series-cache.ts'

/** Scrapes `count` series whose names begin with `generation`; the numbers that the cache gave them. */
function scrape(cache: SeriesCache, generation: number, count: number): number[] {
  const numbers: number[] = []
  for (let i = 0; i < count; i++) {
    const labels = Labels.from([['__name__', `g${generation}_${i}`]])
    const known = cache.find(generation, i)
    const number = known < 0 ? cache.add(generation, i, labels) : known
    cache.see(number, generation)
    numbers.push(number)
  }
  return numbers
}

test('a target whose series all change: every series of the scrape before has vanished, at any size', () => {
  for (const count of [1, 7, 8, 9, 200, 700]) {
    const cache = new SeriesCache()
    scrape(cache, 2, count)
    for (let generation = 3; generation < 20; generation++) {
      scrape(cache, generation, count)
      assert.equal(cache.vanished(generation - 1, generation).length, count, `${count} series, scrape ${generation}`)
      cache.sweep(generation)
    }
    assert.ok(cache.size < count * 3 + 501, `the cache of ${count} series holds ${cache.size}`)
  }
})

test('a series that relabelling drops is known, and never vanishes', () => {
  const cache = new SeriesCache()
  const dropped = cache.add(1, 1, undefined)
  cache.see(dropped, 2)
  assert.equal(cache.find(1, 1), dropped)
  assert.ok(cache.isDropped(dropped))
  assert.deepEqual(cache.vanished(2, 3), [])
})

test('after a scrape that failed half-way, the series of the last good one have vanished, seen again or not', () => {
  const cache = new SeriesCache()
  const [first, second] = scrape(cache, 2, 2)
  cache.see(first!, 3)
  assert.deepEqual(cache.vanished(2, 0), [first, second])
})

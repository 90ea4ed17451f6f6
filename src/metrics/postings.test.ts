import assert from 'node:assert/strict'
import test from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { Postings } from './postings.ts'
import { SymbolTable } from './symbols.ts'

interface World {
  symbols: SymbolTable
  postings: Postings
  /** The pair of these texts, made when there is none. */
  pair: (name: string, value: string) => number
}

function makeWorld(): World {
  const symbols = new SymbolTable(1)
  const postings = new Postings(symbols)
  const hashes = new Map<string, Uint32Array>()
  const random = seededRandom(1)
  return {
    symbols,
    postings,
    pair(name, value) {
      const text = `${name}\0${value}`
      let hash = hashes.get(text)
      if (hash === undefined) hashes.set(text, (hash = Uint32Array.from({ length: 4 }, () => random.u32())))
      const known = postings.find(hash, 0)
      if (known >= 0) return known
      const bytes = Buffer.from(name + value)
      return postings.make(hash, 0, bytes, 0, name.length, name.length, bytes.length)
    },
  }
}
const marks = (length: number, ...marked: number[]): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (marked.includes(i) ? 1 : 0))

test('a pair is found by its hash, and has its name and value', () => {
  const { symbols, postings, pair } = makeWorld()
  const a = pair('job', 'x')
  const b = pair('job', 'y')
  assert.notEqual(a, b)
  assert.equal(pair('job', 'x'), a)
  assert.equal(symbols.text(postings.nameOf(a)), 'job')
  assert.equal(symbols.text(postings.valueOf(b)), 'y')
  assert.equal(postings.nameOf(a), postings.nameOf(b))
  const name = postings.nameOf(a)
  assert.deepEqual([[...postings.pairsOf(name)], postings.names()], [[], []], 'no series carries one yet')
  postings.add(b, 0)
  assert.deepEqual([[...postings.pairsOf(name)], postings.names()], [[b], [name]])
  postings.add(a, 0)
  assert.deepEqual([...postings.pairsOf(name)], [a, b])
})

test('lists hold every series, from none to many', () => {
  const { postings, pair } = makeWorld()
  const a = pair('job', 'x')
  assert.deepEqual([...postings.list(a)], [])
  for (let series = 0; series < 1000; series++) {
    postings.add(a, series * 3)
    assert.equal(postings.list(a).length, series + 1)
  }
  assert.deepEqual(
    [...postings.list(a)],
    Array.from({ length: 1000 }, (_, i) => i * 3),
  )
})

test('series that go leave their lists; a pair without series is forgotten with its texts', () => {
  const { symbols, postings, pair } = makeWorld()
  const a = pair('job', 'x')
  const b = pair('job', 'y')
  for (const series of [0, 1, 2]) postings.add(a, series)
  postings.add(b, 3)
  postings.remove(marks(4, 0, 2), marks(2, a))
  assert.deepEqual([...postings.list(a)], [1])
  postings.remove(marks(4, 3), marks(2, b))
  assert.equal(postings.pairCount, 1)
  assert.equal(symbols.find(Buffer.from('y'), 0, 1), -1)
  assert.deepEqual([...postings.pairsOf(postings.nameOf(a))], [a])
  postings.remove(marks(4, 1), marks(2, a))
  assert.deepEqual(postings.names(), [])
  assert.equal(symbols.find(Buffer.from('job'), 0, 3), -1)
  assert.equal(pair('job', 'z') < 2, true, 'the number is given again')
})

test('pairs and series come and go: every list is what a map of sets says', () => {
  const { postings, pair } = makeWorld()
  const random = seededRandom(2)
  const seriesOf = new Map<number, Set<number>>()
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 50; i++) {
      const number = pair(`n${below(random, 5)}`, `v${below(random, 30)}`)
      const set = seriesOf.get(number) ?? new Set()
      const series = round * 50 + i
      postings.add(number, series)
      seriesOf.set(number, set.add(series))
    }
    const gone = Uint8Array.from({ length: (round + 1) * 50 }, () => (below(random, 3) === 0 ? 1 : 0))
    const touched = new Uint8Array(postings.capacity)
    for (const [number, set] of seriesOf) {
      for (const series of set) {
        if (gone[series] === 0) continue
        touched[number] = 1
        set.delete(series)
      }
      if (set.size === 0) seriesOf.delete(number)
    }
    postings.remove(gone, touched)
    assert.equal(postings.pairCount, seriesOf.size)
    for (const [number, set] of seriesOf)
      assert.deepEqual([...postings.list(number)].sort(), [...set].sort(), `pair ${number} in round ${round}`)
  }
})

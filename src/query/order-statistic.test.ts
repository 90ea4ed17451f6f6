/** Selection finds what sorting finds, and takes linear time also where pivots are bad. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { nanFirst, neighbours, selectNth } from './order-statistic.ts'

const nanBefore = (a: number, b: number): number =>
  Number.isNaN(a) ? (Number.isNaN(b) ? 0 : -1) : Number.isNaN(b) ? 1 : a - b

test('neighbours are those of the sorted list, for 3,000 random lists', () => {
  const seed = 20_261_130
  const random = seededRandom(seed)
  for (let i = 0; i < 3000; i++) {
    const count = 1 + below(random, 300)
    const kinds = 1 + below(random, 400)
    const list = Array.from({ length: count }, () => {
      const kind = below(random, 20)
      return kind === 0 ? NaN : kind === 1 ? Infinity : kind === 2 ? -Infinity : below(random, kinds) - kinds / 2
    })
    const sorted = list.toSorted(nanBefore)
    const rank = below(random, count)
    const found = neighbours(Float64Array.from(list), count, rank)
    assert.deepEqual(found, { lower: sorted[rank], upper: sorted[Math.min(count - 1, rank + 1)] }, `seed ${seed}, ${i}`)
  }
})

for (const [what, valueOf] of [
  ['ascending', i => i],
  ['descending', i => -i],
  ['equal', () => 1],
  ['two values', i => i & 1],
  ['an organ pipe', (i, n) => Math.min(i, n - i)],
  ['a saw', i => i % 1000],
] as const satisfies readonly (readonly [string, (i: number, n: number) => number])[])
  test(`${what}: the numbers are read a few times each`, () => {
    const count = 100_000
    let reads = 0
    const values = new Proxy(
      Float64Array.from({ length: count }, (_, i) => valueOf(i, count)),
      {
        get: (target, name) => {
          reads++
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      },
    )
    const sorted = Float64Array.from({ length: count }, (_, i) => valueOf(i, count)).sort()
    for (const k of [0, 10, count >>> 1, count - 1]) {
      reads = 0
      assert.equal(selectNth(values, k, 0, count), sorted[k])
      assert.ok(reads < 40 * count, `${reads} reads for place ${k}`)
    }
  })

test('NaN moves to the front', () => {
  const values = [3, NaN, 1, NaN, 2]
  assert.equal(nanFirst(values, 5), 2)
  assert.deepEqual(values.slice(0, 2), [NaN, NaN])
  assert.deepEqual(values.slice(2).sort(), [1, 2, 3])
})

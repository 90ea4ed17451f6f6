import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { addAll, FirstTexts, greatest, least } from './lists.ts'

const many = 300_000

test('lists longer than the stack are added, and their least and greatest numbers found', () => {
  const numbers = Array.from({ length: many }, (_, i) => (i * 7919) % many)
  const all = [-1]
  addAll(all, numbers)
  deepEqual([all.length, least(all), greatest(all)], [many + 1, -1, many - 1])
  deepEqual([least([]), greatest([])], [Infinity, -Infinity])
  equal(least([1, NaN, 0]), NaN)
  equal(greatest(new Set([1, NaN, 2])), NaN)
})

test('the first texts of many, in order, whatever order they come in', () => {
  const cases: [limit: number, texts: string[], sorted: string[], isCut: boolean][] = [
    [2, ['c', 'a', 'b', 'a'], ['a', 'b'], true],
    [3, ['c', 'a', 'b', 'a'], ['a', 'b', 'c'], false],
    [Infinity, ['\uffff', '\u{10000}'], ['\uffff', '\u{10000}'], false],
    [1, [], [], false],
  ]
  for (const [limit, texts, sorted, isCut] of cases) {
    const first = new FirstTexts(limit)
    for (const text of texts) first.add(text)
    deepEqual([first.sorted(), first.isCut], [sorted, isCut])
  }
  const names = Array.from({ length: many }, (_, i) => `user-${(i * 7919) % many}`)
  const first = new FirstTexts(10)
  for (const name of names) first.add(name)
  deepEqual([first.sorted(), first.isCut], [names.toSorted().slice(0, 10), true])
})

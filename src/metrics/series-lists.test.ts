import assert from 'node:assert/strict'
import test from 'node:test'
import { intersectionOf, unionOf } from './series-lists.ts'

const listsOf = (text: string): Uint32Array[] =>
  text.split('|').map(list => Uint32Array.from(list.trim() === '' ? [] : list.trim().split(' ').map(Number)))
const shown = (list: Uint32Array): string => [...list].join(' ')

/** Lists, what they have together, and what the first two have in common. */
const cases: readonly (readonly [lists: string, union: string, intersection: string])[] = [
  ['|', '', ''],
  ['1 2 3|', '1 2 3', ''],
  ['1 3 5|2 3 4', '1 2 3 4 5', '3'],
  ['1 2|1 2', '1 2', '1 2'],
  ['4294967295|0 4294967295', '0 4294967295', '4294967295'],
  ['3|1|2 3', '1 2 3', ''],
]

test('a union has every number once, an intersection what both lists have', () => {
  for (const [text, union, intersection] of cases) {
    const lists = listsOf(text)
    assert.equal(shown(unionOf(lists)), union, text)
    assert.equal(shown(intersectionOf(lists[0]!, lists[1]!)), intersection, text)
  }
})

test('lists of a union may be in any order', () => {
  assert.equal(shown(unionOf(listsOf('3 1 2|5 4'))), '1 2 3 4 5')
})

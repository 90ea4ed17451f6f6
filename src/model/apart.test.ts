/** Equal entries of one request stand at different nanoseconds, and the same ones each time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { moveApart } from './apart.ts'

/** `ms.ns text`, the places of texts that were moved apart. */
function moved(...entries: [ms: number, subNs: number, line: string, pairs?: string[]][]): string[] {
  const list = entries.map(([ms, subNs, line, pairs = []]) => ({ ms, subNs, line, pairs }))
  moveApart(list)
  return list.map(({ ms, subNs, line }) => `${ms}.${subNs} ${line}`)
}

test('equal entries of one time move on by a nanosecond each', () => {
  assert.deepEqual(moved([5, 0, 'a'], [5, 0, 'a'], [5, 0, 'a'], [6, 0, 'a']), ['5.0 a', '5.1 a', '5.2 a', '6.0 a'])
})

test('other texts, fields and times stay where they are', () => {
  assert.deepEqual(moved([5, 0, 'a'], [5, 0, 'b'], [5, 1, 'a'], [5, 0, 'a', ['k', 'v']]), [
    '5.0 a',
    '5.0 b',
    '5.1 a',
    '5.0 a',
  ])
})

test('no entry moves to where an equal one stands', () => {
  assert.deepEqual(moved([5, 0, 'a'], [5, 1, 'a'], [5, 0, 'a'], [5, 7, 'a'], [5, 1, 'a']), [
    '5.0 a',
    '5.1 a',
    '5.2 a',
    '5.7 a',
    '5.8 a',
  ])
})

test('the last nanosecond of a millisecond is not left', () => {
  assert.deepEqual(moved([5, 999_999, 'a'], [5, 999_999, 'a']), ['5.999999 a', '5.999999 a'])
})

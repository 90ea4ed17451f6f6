import assert from 'node:assert/strict'
import test from 'node:test'
import { forEachParallel } from './parallel.ts'

test('every item once, in order, and never more at once than allowed', async () => {
  const started: number[] = []
  let underWay = 0
  let most = 0
  await forEachParallel([1, 2, 3, 4, 5, 6, 7], 3, async item => {
    started.push(item)
    most = Math.max(most, ++underWay)
    await new Promise(setImmediate)
    underWay--
  })
  assert.deepEqual(started, [1, 2, 3, 4, 5, 6, 7])
  assert.equal(most, 3)
})

test('nothing to do resolves at once', () => forEachParallel([], 4, () => assert.fail('there is no item')))

test('the first failure rejects', async () => {
  const work = (item: number): Promise<void> => (item === 2 ? Promise.reject(new Error('item 2')) : Promise.resolve())
  await assert.rejects(forEachParallel([1, 2, 3], 1, work), { message: 'item 2' })
})

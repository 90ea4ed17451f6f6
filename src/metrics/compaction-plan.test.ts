import assert from 'node:assert/strict'
import test from 'node:test'
import { expired, overSize, planCompaction, type PlannedBlock } from './compaction-plan.ts'

/** Blocks as `from-to` in hours, named so; the ranges are 2, 12 and 24 hours. */
const blocksOf = (text: string): PlannedBlock[] =>
  text
    .split(' ')
    .filter(Boolean)
    .map(id => {
      const [startMs = NaN, endMs = NaN] = id.split('-').map(Number)
      return { id, startMs, endMs, level: 1 }
    })

/** Blocks, the time up to which nothing is written any more, and what is merged next. */
const plans: readonly (readonly [blocks: string, sealed: number, plan: string | undefined])[] = [
  ['', 100, undefined],
  ['0-2', 100, undefined],
  ['0-2 2-4 4-6', 12, '0-2 2-4 4-6'],
  // The stretch of twelve hours is not over.
  ['0-2 2-4 4-6', 11, undefined],
  ['10-12 12-14', 100, '10-12 12-14'],
  ['10-12 12-14', 23, undefined],
  ['0-12 12-24', 24, '0-12 12-24'],
  ['12-24 24-36', 48, undefined],
  // The oldest stretch first, whatever the order of the list.
  ['14-16 12-14 2-4 0-2', 100, '0-2 2-4'],
  // Overlapping blocks go before all others, also where the time is not over.
  ['0-2 2-4 20-22 21-23', 4, '20-22 21-23'],
  ['0-4 2-6 5-8 8-10', 0, '0-4 2-6 5-8'],
  ['0-2 0-2', 0, '0-2 0-2'],
  // What is longer than the largest range was not written here.
  ['0-30 1-3', 100, undefined],
]

test('overlapping blocks are merged first, then what lies in one stretch that is over', () => {
  for (const [blocks, sealed, plan] of plans)
    assert.equal(
      planCompaction(blocksOf(blocks), [2, 12, 24], sealed)
        ?.map(b => b.id)
        .join(' '),
      plan,
      `${blocks} sealed at ${sealed}`,
    )
})

test('a block is over when all of it is older', () => {
  const ids = expired(blocksOf('0-2 2-4 4-6'), 4).map(b => b.id)
  assert.deepEqual(ids, ['0-2', '2-4'])
})

test('the oldest blocks go until the rest fits', () => {
  const blocks = blocksOf('4-6 0-2 2-4').map(b => ({ ...b, bytes: 10 }))
  const ids = (bytesMax: number): string[] => overSize(blocks, bytesMax).map(b => b.id)
  assert.deepEqual(ids(30), [])
  assert.deepEqual(ids(29), ['0-2'])
  assert.deepEqual(ids(10), ['0-2', '2-4'])
  assert.deepEqual(ids(0), ['0-2', '2-4', '4-6'])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NotFoundError } from '#core/errors.ts'
import { encodeUtf8 } from '#core/text.ts'
import { BucketError } from './bucket.ts'
import { MemoryBucket } from './memory.ts'
import { newestState, putState, stateAt } from './numbered-states.ts'
import { VirtualClock } from '#core/virtual-clock.ts'

const known = { number: 3, bytes: encodeUtf8('3') }

test('the newest of any number of states is found, with few reads', async () => {
  for (let newer = 0; newer <= 70; newer++) {
    let reads = 0
    const found = await newestState(known, number => {
      reads++
      assert.ok(number > 3)
      if (number > 3 + newer) return Promise.reject(new NotFoundError(`no state ${number}`))
      return Promise.resolve(encodeUtf8(String(number)))
    })
    assert.equal(found.number, 3 + newer)
    assert.equal(Buffer.from(found.bytes).toString(), String(3 + newer))
    assert.ok(reads <= 2 * Math.log2(newer + 2) + 1, `${reads} reads for ${newer}`)
  }
})

test('a state that can not be read is an error, not the end of the states', async () => {
  const away = new BucketError('get', 'test', 'SlowDown', true)
  const isAway = (error: unknown): boolean => error === away
  await assert.rejects(
    newestState(known, () => Promise.reject(away)),
    isAway,
  )
  await assert.rejects(
    stateAt(() => Promise.reject(away), 1),
    isAway,
  )
})

test('a state is written once: the same bytes again are accepted, others are refused', async () => {
  const bucket = new MemoryBucket(new VirtualClock(0))
  assert.equal(await putState(bucket, 'k', encodeUtf8('ours')), true)
  assert.equal(await putState(bucket, 'k', encodeUtf8('ours')), true, 'the reply to the first was lost')
  assert.equal(await putState(bucket, 'k', encodeUtf8('other')), false)
  assert.equal(Buffer.from(await bucket.get('k')).toString(), 'ours')
})

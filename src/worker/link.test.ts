/** Calls between threads: answers, errors of every kind, memory that goes over, an end that is gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import {
  BadDataError,
  BadQueryError,
  CanceledError,
  ConflictError,
  CorruptDataError,
  errorKinds,
  EvaluationError,
  ExecutionError,
  ForbiddenError,
  LimitError,
  NotFoundError,
  PlanStaleError,
  TimeoutError,
  UnauthorizedError,
  UnavailableError,
} from '#core/errors.ts'
import { isPoison } from '#core/poison.ts'
import { portPair } from '../../test/worker-threads.ts'
import { packError, unpackError } from './carried-error.ts'
import { Link } from './link.ts'

type Calls = {
  double: { ask: number; answer: number }
  take: { ask: Uint8Array; answer: Uint8Array }
  fail: { ask: string; answer: never }
}

function linked(): { link: Link<Calls, Record<never, never>>; cut: () => void } {
  const { near, far, cut } = portPair()
  const link = new Link<Calls, Record<never, never>>(near, {})
  void new Link<Record<never, never>, Calls>(far, {
    double: ask => ({ answer: 2 * ask }),
    take: ask => ({ answer: ask, transfer: [ask.buffer as ArrayBuffer] }),
    fail: ask => {
      throw new LimitError(ask, 422)
    },
  })
  return { link, cut }
}

test('a call is answered, several at a time', async () => {
  const { link } = linked()
  assert.deepEqual(await Promise.all([link.call('double', 2), link.call('double', 5)]), [4, 10])
})

test('memory goes over with a call, and comes back with its answer', async () => {
  const { link } = linked()
  const bytes = Uint8Array.of(1, 2, 3)
  const back = await link.call('take', bytes, [bytes.buffer])
  assert.deepEqual([bytes.length, [...back]], [0, [1, 2, 3]])
})

test('an error keeps its kind and what it says of itself', async () => {
  const { link } = linked()
  await assert.rejects(link.call('fail', 'too much'), new LimitError('too much', 422))
})

test('every kind of error crosses, and what is of no kind', () => {
  const errors = [
    new BadDataError('a'),
    new BadQueryError('b', 3, 7),
    new CanceledError('c'),
    new ConflictError('d'),
    new CorruptDataError('e'),
    new EvaluationError('f'),
    new ExecutionError('g'),
    new ForbiddenError('g'),
    new LimitError('h', 413),
    new NotFoundError('i'),
    new TimeoutError('j'),
    new UnauthorizedError('k'),
    new UnavailableError('l', 9),
  ]
  assert.deepEqual(errors.map(({ kind }) => kind).sort(), [...errorKinds].sort())
  for (const error of [...errors, new PlanStaleError('block'), new BucketError('get', 'b', 'NoSuchBucket', false)]) {
    const carried = unpackError(structuredClone(packError(error)))
    assert.ok(carried instanceof error.constructor, error.name)
    assert.equal(carried.message, error.message)
    for (const fact of ['kind', 'name', 'from', 'to', 'status', 'retryAfterSeconds', 'transient', 'code'] as const)
      assert.equal(Reflect.get(carried, fact), Reflect.get(error, fact), `${error.name}: ${fact}`)
  }
  const plain = unpackError(packError(new TypeError('x is not a function')))
  assert.deepEqual([plain.name, plain.message, 'kind' in plain], ['TypeError', 'x is not a function', false])
  // An error of the system is not the fault of the data.
  const full = unpackError(structuredClone(packError(Object.assign(new Error('no space'), { code: 'ENOSPC' }))))
  assert.equal(isPoison(full), false)
  assert.equal(isPoison(plain), true)
  assert.equal(unpackError(packError('text')).message, 'text')
})

test('what can not be cloned is refused where it is sent', async () => {
  const { link } = linked()
  await assert.rejects(link.call('double', (() => 1) as unknown as number), /could not be cloned/)
  assert.equal(await link.call('double', 1), 2)
})

test('when the other side is gone its calls fail, and later ones at once', async () => {
  const { link, cut } = linked()
  cut()
  const waiting = link.call('double', 1)
  link.close(new UnavailableError('gone', 1))
  await assert.rejects(waiting, /gone/)
  await assert.rejects(link.call('double', 1), /gone/)
})

/** Silences over time, and the state as its file has it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError, LimitError, NotFoundError } from '#core/errors.ts'
import { defaultAlertLimits } from '#core/limits.ts'
import { below, seededRandom } from '#core/random.ts'
import { Labels } from '#model/labels.ts'
import { parseMatchers } from './matchers.ts'
import { AlertmanagerState, fingerprintOf, silenceState, type Silence } from './store.ts'

const dayMs = 86_400_000
const nowMs = 1e12
const state = (): AlertmanagerState => new AlertmanagerState(seededRandom(1))
const silence = (more: Partial<Silence> = {}): Omit<Silence, 'updatedMs'> => ({
  id: '',
  matchers: parseMatchers('a="b"'),
  startsMs: nowMs,
  endsMs: nowMs + dayMs,
  createdBy: 'me',
  comment: 'c',
  ...more,
})

test('a fingerprint is that of Prometheus', () => {
  assert.equal(fingerprintOf(Labels.empty), 'cbf29ce484222325')
  assert.notEqual(fingerprintOf(Labels.fromObject({ a: 'bc' })), fingerprintOf(Labels.fromObject({ ab: 'c' })))
})

test('a change keeps the id when it does not rewrite the past; else another silence begins', () => {
  const s = state()
  const id = s.setSilence(silence(), nowMs, defaultAlertLimits)
  assert.equal(s.setSilence(silence({ id, endsMs: nowMs + 2 * dayMs }), nowMs + 10, defaultAlertLimits), id)
  assert.equal(s.silences.get(id)?.startsMs, nowMs)
  const other = s.setSilence(silence({ id, matchers: parseMatchers('a="c"') }), nowMs + 20, defaultAlertLimits)
  assert.notEqual(other, id)
  const old = s.silences.get(id)
  assert.ok(old)
  assert.equal(silenceState(old, nowMs + 20), 'expired')
})

test('refused: no matchers, matchers of everything, ends in the past, unknown ids, ending twice', () => {
  const s = state()
  const refused = (more: Partial<Silence>, kind: typeof BadDataError | typeof NotFoundError = BadDataError): void => {
    assert.throws(() => s.setSilence(silence(more), nowMs, defaultAlertLimits), kind, JSON.stringify(more))
  }
  refused({ matchers: [] })
  refused({ matchers: parseMatchers('a=~".*"') })
  refused({ endsMs: nowMs })
  refused({ startsMs: nowMs - 20, endsMs: nowMs - 10 })
  refused({ id: 'nosuch' }, NotFoundError)
  assert.throws(() => {
    s.expireSilence('nosuch', nowMs)
  }, NotFoundError)
  const id = s.setSilence(silence(), nowMs, defaultAlertLimits)
  s.expireSilence(id, nowMs + 1)
  assert.throws(() => {
    s.expireSilence(id, nowMs + 2)
  }, BadDataError)
})

function filled(): AlertmanagerState {
  const s = state()
  s.setSilence(silence({ matchers: parseMatchers('{a="b", c=~"d.*", e!="f"}') }), nowMs, defaultAlertLimits)
  s.notifications.set('r/webhook/0:{}:{a="b"}', {
    atMs: nowMs,
    firing: ['1'],
    resolved: ['2'],
    expiresMs: nowMs + dayMs,
  })
  return s
}

const pause = (): Promise<void> => Promise.resolve()

test('one silence too many is refused, a change of one that is there is not', () => {
  const s = state()
  const limits = { silencesMax: 2 }
  const id = s.setSilence(silence(), nowMs, limits)
  s.setSilence(silence(), nowMs, limits)
  assert.throws(
    () => s.setSilence(silence(), nowMs, limits),
    (error: unknown) => error instanceof LimitError && error.status === 429 && /limits\.silences/.test(error.message),
  )
  assert.equal(s.setSilence(silence({ id, endsMs: nowMs + 2 * dayMs }), nowMs, limits), id)
  assert.equal(s.silences.size, 2)
})

test('a state that is written is read again; expired silences and entries go when it is their time', async () => {
  const read = state()
  read.decode(await filled().encode(nowMs, pause))
  assert.deepEqual(
    JSON.parse(Buffer.from(await read.encode(nowMs, pause)).toString()),
    JSON.parse(Buffer.from(await filled().encode(nowMs, pause)).toString()),
  )
  assert.ok([...read.silences.values()][0]!.matchers.every(m => m.matches({ a: 'b', c: 'dd' }[m.name] ?? '')))
  await read.encode(nowMs + 2 * dayMs, pause)
  assert.deepEqual([read.silences.size, read.notifications.size], [1, 0])
  await read.encode(nowMs + 7 * dayMs, pause)
  assert.equal(read.silences.size, 0)
})

test('of a truncated or mutated state what can be read is read, and what can not is said', async () => {
  const bytes = await filled().encode(nowMs, pause)
  for (let length = 0; length < bytes.length - 1; length++)
    assert.ok(state().decode(bytes.subarray(0, length)).length > 0, String(length))
  const random = seededRandom(7)
  for (let i = 0; i < 2000; i++) {
    const mutated = Uint8Array.from(bytes)
    mutated[below(random, mutated.length)] = below(random, 256)
    state().decode(mutated)
  }
})

/** What the audit says of actions whose requests are odd. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { silentLog, type LogFields } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { administersProcess } from '#net/access.ts'
import { requestOf } from '#net/handler-kit.ts'
import { allowing, route, type Handler } from '#net/route-table.ts'
import { Audit } from './audit.ts'

function stage(handler: Handler) {
  const seen: LogFields[] = []
  const log = { ...silentLog, info: (_message: string, fields: LogFields = {}) => void seen.push(fields) }
  const audit = new Audit(new VirtualClock(0), log)
  const [watched] = allowing(administersProcess, [route(['POST'], '/-/flush', handler)]).map(one => audit.watched(one))
  return { seen, handler: watched!.handler }
}

test('an action is noted as done whose body was never read, and never comes, or is none', async () => {
  const { seen, handler } = stage(() => Promise.resolve({ status: 204 }))
  const bodies = [new Promise<never>(() => {}), Promise.reject(new BadDataError('unknown encoding'))]
  for (const body of bodies) {
    body.catch(() => undefined)
    const read = () => body
    const request = { ...requestOf({ method: 'POST', path: '/-/flush' }), body: read, rawBody: read, form: read }
    assert.equal((await handler(request)).status, 204)
  }
  const noted = { who: '', action: 'POST /-/flush', from: undefined, tenant: undefined, outcome: 'done', status: 204 }
  assert.deepEqual(seen, [noted, noted])
})

test('what the handler has read is told: parameters, or the body', async () => {
  const details: unknown[] = []
  for (const [query, body, handler] of [
    ['to=x', '', ({ query: own }) => Promise.resolve({ status: own.get('to') === 'x' ? 204 : 400 })],
    ['', 'match[]=up', async request => ({ status: (await request.form()).has('match[]') ? 204 : 400 })],
    ['', '{"a":1}', async request => ({ status: (await request.body()).length > 0 ? 200 : 400 })],
    ['', '{"a":1}', async request => ({ status: (await request.rawBody()).length > 0 ? 200 : 400 })],
  ] as [string, string, Handler][]) {
    const staged = stage(handler)
    await staged.handler(requestOf({ method: 'POST', path: '/-/flush', query, body }))
    details.push(staged.seen[0]?.['outcome'], staged.seen[0]?.['detail'])
  }
  assert.deepEqual(details, ['done', 'to=x', 'done', 'match%5B%5D=up', 'done', '{"a":1}', 'done', '{"a":1}'])
})

test('addresses in what an action was about have no credentials', async () => {
  const { seen, handler } = stage(async request => ({ status: (await request.body()).length > 0 ? 200 : 400 }))
  const body = '{"comment":"see https://me:hunter2@example.net/x?token=hunter2&a=b"}'
  await handler(requestOf({ method: 'POST', path: '/api/v2/silences', body }))
  assert.match(String(seen[0]?.['detail']), /see https:.*@example\.net\/x\?token=/)
  assert.doesNotMatch(JSON.stringify(seen), /hunter2/)
})

test('what one credential tries without the right is noted sixty times a minute, and that there is more', async () => {
  const seen: LogFields[] = []
  const clock = new VirtualClock(0)
  const log = { ...silentLog, info: (_message: string, fields: LogFields = {}) => void seen.push(fields) }
  const audit = new Audit(clock, log)
  const tries = (who: string, count: number): void => {
    for (let i = 0; i < count; i++) audit.noteForbidden({ who, method: 'POST', path: `/x/${i}`, from: undefined })
  }
  tries('reader', 1000)
  tries('other', 2)
  const details = seen.map(({ detail }) => detail)
  assert.deepEqual([details.length, details[58]], [62, undefined])
  assert.equal(details[59], 'more of this credential are not noted for a minute')
  await clock.advance(60_000)
  tries('reader', 2)
  assert.equal(seen.length, 64)
})

test('what the store does not take is told, and stands in the own log', async () => {
  const seen: string[] = []
  const log = {
    ...silentLog,
    info: (text: string) => void seen.push(text),
    error: (text: string) => void seen.push(text),
  }
  const audit = new Audit(new VirtualClock(0), log)
  const problems = [{ message: 'too many streams', count: 1 }]
  const outcomes = [
    () => Promise.resolve({ stored: 1, refused: 0, problems: [], status: 400 as const }),
    () => Promise.resolve({ stored: 0, refused: 1, problems, status: 429 as const }),
    () => Promise.reject(new BadDataError('the disk is full')),
  ]
  for (const append of outcomes) {
    audit.keepIn({ append })
    await audit.note({ who: 'a', action: 'login', outcome: 'done' })
  }
  assert.deepEqual(seen, [
    'audit',
    'audit',
    'a line of the audit was not stored',
    'audit',
    'a line of the audit could not be stored',
  ])
})

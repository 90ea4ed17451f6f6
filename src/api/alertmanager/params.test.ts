/** Parameters and bodies of Alertmanager's API. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { AlertStatus } from '#alert/alertmanager/alertmanager.ts'
import type { ManagedAlert } from '#alert/alertmanager/store.ts'
import { LimitError } from '#core/errors.ts'
import { Labels } from '#model/labels.ts'
import { systemClock } from '#core/clock.ts'
import { requestOf } from '#net/handler-kit.ts'
import { alertFilter, bodyOf, readAlert, readSilence } from './params.ts'

const form = (text: string): URLSearchParams => new URLSearchParams(text)
const tenMs = Date.UTC(2026, 10, 28, 10)

test('a body is JSON, and one that is too large stays too large', async () => {
  assert.deepEqual(await bodyOf(requestOf({ body: '[1]' }), systemClock), [1])
  await assert.rejects(bodyOf(requestOf({ body: 'x' }), systemClock), {
    name: 'BadDataError',
    message: /^the body is not JSON: /,
  })
  const large = { ...requestOf(), body: () => Promise.reject(new LimitError('too large', 413)) }
  const many = requestOf({ body: `[${'0,'.repeat(20_000)}0]` })
  await assert.rejects(bodyOf(many, systemClock), {
    name: 'LimitError',
    status: 400,
    message:
      'the body of 40003 bytes has more than 17634 records, which is the limit for its size; send smaller requests',
  })
  await assert.rejects(
    bodyOf(requestOf({ body: '['.repeat(9999) }), systemClock),
    /nested more than 512 deep at byte 512/,
  )
  await assert.rejects(bodyOf(large, systemClock), { name: 'LimitError', status: 413 })
})

test('an alert has labels; annotations, times and a URL where it is sent with them', () => {
  const zero = '0001-01-01T00:00:00Z'
  const whole = readAlert({
    labels: { b: '2', a: '1', empty: '' },
    annotations: { summary: 's' },
    startsAt: '2026-11-28T10:00:00Z',
    endsAt: zero,
    generatorURL: 'http://x',
  })
  assert.equal(whole.labels.toString(), '{a="1", b="2"}')
  assert.equal(whole.annotations.toString(), '{summary="s"}')
  assert.deepEqual([whole.startsMs, whole.endsMs, whole.generatorUrl], [tenMs, undefined, 'http://x'])
  const least = readAlert({ labels: {}, annotations: null, startsAt: null, endsAt: '', generatorURL: 5 })
  assert.deepEqual(
    [least.annotations.size, least.startsMs, least.endsMs, least.generatorUrl],
    [0, undefined, undefined, ''],
  )
  const wrong: [alert: unknown, message: string][] = [
    [{}, 'labels: an object of texts was expected'],
    [null, 'labels: an object of texts was expected'],
    [5, 'labels: an object of texts was expected'],
    [{ labels: ['a'] }, 'labels: an object of texts was expected'],
    [{ labels: { a: 1 } }, 'labels: "a" is no label with a text'],
    [{ labels: { '': 'x' } }, 'labels: "" is no label with a text'],
    [{ labels: {}, annotations: 'x' }, 'annotations: an object of texts was expected'],
    [{ labels: {}, startsAt: 'x' }, 'startsAt "x" is no time like 2026-11-25T10:00:00Z'],
    [{ labels: {}, endsAt: 5 }, 'endsAt "5" is no time like 2026-11-25T10:00:00Z'],
  ]
  for (const [alert, message] of wrong) assert.throws(() => readAlert(alert), { name: 'BadDataError', message })
})

test('a silence has matchers of four kinds, times, an author and a comment', () => {
  const body = {
    matchers: [
      { name: 'a', value: '1' },
      { name: 'b', value: '2', isEqual: false },
      { name: 'c', value: '3.*', isRegex: true },
      { name: 'd', value: '4.*', isRegex: true, isEqual: false },
    ],
    startsAt: '2026-11-28T10:00:00Z',
    endsAt: '2026-11-28T11:00:00Z',
    createdBy: 'me',
    comment: 'why',
  }
  const silence = readSilence(body)
  assert.deepEqual(
    silence.matchers.map(m => `${m.name}${m.kind}${m.value}`),
    ['a=1', 'b!=2', 'c=~3.*', 'd!~4.*'],
  )
  assert.deepEqual([silence.id, silence.startsMs, silence.endsMs], ['', tenMs, tenMs + 3_600_000])
  assert.equal(readSilence({ ...body, id: 'known' }).id, 'known')
  const wrong: [body: unknown, message: string | RegExp][] = [
    [null, 'matchers in body is required'],
    [{ ...body, matchers: {} }, 'matchers in body is required'],
    [{ ...body, matchers: [null] }, 'a matcher needs a name and a value'],
    [{ ...body, matchers: [{ name: 'a' }] }, 'a matcher needs a name and a value'],
    [{ ...body, matchers: [{ name: '', value: 'x' }] }, 'a matcher needs a name and a value'],
    [
      { ...body, matchers: Array(101).fill({ name: 'a', value: 'b' }) },
      'the silence has 101 matchers, the limit is 100',
    ],
    [{ ...body, comment: 'c'.repeat(40_000) }, /^the silence has 40\d+ characters, the limit is 32768$/],
    [{ ...body, endsAt: undefined }, 'startsAt and endsAt in body are required'],
    [{ ...body, createdBy: undefined }, 'createdBy in body is required'],
    [{ ...body, comment: 5 }, 'comment in body is required'],
  ]
  for (const [value, message] of wrong) assert.throws(() => readSilence(value), { name: 'BadDataError', message })
})

test('alerts are chosen by filters, receivers and states', () => {
  const alert: ManagedAlert = {
    labels: Labels.fromObject({ alertname: 'Down', severity: 'page' }),
    annotations: Labels.empty,
    startsMs: tenMs,
    endsMs: tenMs,
    updatedMs: tenMs,
    generatorUrl: '',
    fingerprint: 'f',
    isTimeout: false,
    characters: 0,
  }
  const active: AlertStatus = { state: 'active', silencedBy: [], inhibitedBy: [], mutedBy: [] }
  const suppressed: AlertStatus = { state: 'suppressed', silencedBy: ['s'], inhibitedBy: ['i'], mutedBy: ['m'] }
  const cases: [query: string, isActiveChosen: boolean, isSuppressedChosen: boolean][] = [
    ['', true, true],
    ['active=false', false, true],
    ['silenced=false', true, false],
    ['inhibited=false', true, false],
    ['muted=false', true, false],
    ['unprocessed=false', true, true],
    ['filter=severity="page"', true, true],
    ['filter=severity="page"&filter=alertname="Up"', false, false],
    ['receiver=te.m', true, true],
    ['receiver=tea', false, false],
  ]
  for (const [query, isActiveChosen, isSuppressedChosen] of cases) {
    const isChosen = alertFilter(form(query))
    assert.equal(isChosen(alert, active, ['mail', 'team']), isActiveChosen, query)
    assert.equal(isChosen(alert, suppressed, ['mail', 'team']), isSuppressedChosen, query)
  }
  assert.equal(alertFilter(form(''))(alert, active, []), false)
  const wrong: [query: string, message: string | RegExp][] = [
    ['active=maybe', 'active "maybe" is not true or false'],
    ['unprocessed=1', 'unprocessed "1" is not true or false'],
    ['receiver=(', /^failed to parse receiver param: /],
    ['filter={', /./],
  ]
  for (const [query, message] of wrong) assert.throws(() => alertFilter(form(query)), { message }, query)
})

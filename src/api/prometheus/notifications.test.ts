/** Notifications: since when something does not work, and a stream that says when it begins and ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { HttpRequest } from '#net/route-table.ts'
import { Notifications } from './notifications.ts'

function fixture(): {
  clock: VirtualClock
  warnings: string[]
  notifications: Notifications
  request: HttpRequest
  abort: () => void
} {
  const clock = new VirtualClock(Date.parse('2026-01-01T00:00:00Z'))
  const warnings: string[] = []
  const controller = new AbortController()
  const request = { signal: controller.signal } as HttpRequest
  return {
    clock,
    warnings,
    notifications: new Notifications(clock, () => warnings),
    request,
    abort: () => {
      controller.abort()
    },
  }
}

test('the list has what does not work now, each since it was first seen', async () => {
  const { clock, warnings, notifications } = fixture()
  const list = async (): Promise<unknown> => JSON.parse(String((await notifications.list()).body))
  assert.deepEqual(await list(), { status: 'success', data: [] })
  warnings.push('the bucket is away\na file is wrong')
  const date = '2026-01-01T00:00:00.000Z'
  const both = ['the bucket is away', 'a file is wrong'].map(text => ({ text, date, active: true }))
  assert.deepEqual(await list(), { status: 'success', data: both })
  await clock.advance(60_000)
  warnings[0] = 'a file is wrong'
  assert.deepEqual(await list(), { status: 'success', data: both.slice(1) })
})

test('the stream says what begins and what ends; of many streams the last are told to go', async () => {
  const { clock, warnings, notifications, request, abort } = fixture()
  warnings.push('one')
  const { status, headers, body, drop } = await notifications.live(request)
  assert.deepEqual([status, headers?.['content-type']], [200, 'text/event-stream'])
  const events = (body as AsyncGenerator<string>)[Symbol.asyncIterator]()
  const next = async (): Promise<string> => String((await events.next()).value).replace(/"date":"[^"]*",/, '')
  assert.equal(await next(), ':\n\n')
  assert.equal(await next(), 'data: {"text":"one","active":true}\n\n')
  warnings[0] = 'two'
  const later = next()
  await clock.advance(1000)
  assert.equal(await later, 'data: {"text":"two","active":true}\n\n')
  assert.equal(await next(), 'data: {"text":"one","active":false}\n\n')
  for (let i = 1; i < 16; i++) assert.equal((await notifications.live(request)).status, 200)
  assert.equal((await notifications.live(request)).status, 204)
  const last = events.next()
  abort()
  assert.equal((await last).done, true)
  assert.equal((await notifications.live(request)).status, 200)
  drop?.()
  assert.equal((await notifications.live(request)).status, 204, 'a stream that is over leaves one place')
})

/** Routes of the Alertmanager, of a tenant that is being deleted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Alertmanagers } from '#alert/alertmanager/alertmanagers.ts'
import { systemClock } from '#core/clock.ts'
import { requestOf } from '#net/handler-kit.ts'
import { alertmanagerRoutes } from './routes.ts'

test('nothing is taken in of a tenant that is being deleted, and nothing of it is opened', async () => {
  const opened: string[] = []
  const of = (tenant: string): Promise<never> => {
    opened.push(tenant)
    return Promise.reject(new Error('opened'))
  }
  for (const tenant of ['a', 'ab']) {
    const routes = alertmanagerRoutes({
      clock: systemClock,
      alertmanagers: { of } as unknown as Alertmanagers,
      tenantOf: () => tenant,
      isDeleted: name => name === 'a',
      version: '1',
      startedMs: 0,
    })
    const posts = routes.filter(
      ({ path, methods }) => /\/api\/v2\/(alerts|silences)$/.test(path) && methods.includes('POST'),
    )
    assert.ok(posts.length >= 2)
    for (const { handler } of posts) {
      const { status, body } = await handler(requestOf({ body: '[]' }))
      if (tenant === 'a') assert.match(`${status} ${String(body)}`, /^403 .*\\?"a\\?" is being deleted/)
      else assert.match(String(body), /opened/)
    }
  }
  assert.deepEqual(new Set(opened), new Set(['ab']))
})

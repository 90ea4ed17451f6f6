/** Who may act here from a browser. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HttpRequest, Route } from './route-table.ts'
import { guardOrigin, isSameOrigin } from './same-origin.ts'

const of =
  (headers: Record<string, string>) =>
  (name: string): string | undefined =>
    headers[name]

test('programs may, pages of this server may, pages of other sites may not', () => {
  assert.equal(isSameOrigin(of({ host: '127.0.0.1:8428' })), true)
  assert.equal(isSameOrigin(of({ host: '127.0.0.1:8428', origin: 'http://127.0.0.1:8428' })), true)
  assert.equal(
    isSameOrigin(
      of({ host: 'inner:8428', 'x-forwarded-host': 'tercet.example.net', origin: 'https://tercet.example.net' }),
    ),
    true,
  )
  for (const origin of ['http://evil.example', 'http://127.0.0.1:8429', 'null', 'nonsense'])
    assert.equal(isSameOrigin(of({ host: '127.0.0.1:8428', origin })), false, origin)
  // A form of a page sends no Origin in some browsers, and says this.
  assert.equal(isSameOrigin(of({ host: 'a', 'sec-fetch-site': 'cross-site' })), false)
  assert.equal(isSameOrigin(of({ host: 'a', 'sec-fetch-site': 'same-origin' })), true)
})

test('guarded routes refuse, the others do not ask', async () => {
  const handler = (): Promise<{ status: number }> => Promise.resolve({ status: 204 }),
    routes = guardOrigin<Route>(
      [
        { methods: ['POST'], path: '/-/flush', handler },
        { methods: ['POST'], path: '/v1/traces', handler },
      ],
      route => route.path.startsWith('/-/'),
    )
  const request = { header: of({ host: 'a', origin: 'http://b' }) } as unknown as HttpRequest
  assert.deepEqual(await Promise.all(routes.map(async route => (await route.handler(request)).status)), [403, 204])
})

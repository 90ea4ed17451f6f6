/** Routes by method and path: fixed parts before open ones, encodings, ends of paths. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { Router } from './router.ts'

const router = new Router<string>()
const routes: [method: string, path: string][] = [
  ['GET', '/'],
  ['GET', '/a'],
  ['POST', '/a'],
  ['GET', '/a/:name/values'],
  ['GET', '/a/fixed/values'],
  ['GET', '/a/:id'],
  ['DELETE', '/a/:id'],
  ['GET', '/a/:first/:second/end'],
  ['GET', '/ui/*'],
  ['GET', '/a/*'],
]
for (const [method, path] of routes) router.add(method, path, `${method} ${path}`)

const cases: [method: string, path: string, value: string | undefined, params?: Record<string, string>][] = [
  ['GET', '/', 'GET /'],
  ['GET', '/a', 'GET /a'],
  ['GET', '/a/', 'GET /a'],
  ['HEAD', '/a', 'GET /a'],
  ['POST', '/a', 'POST /a'],
  ['PUT', '/a', undefined],
  ['GET', '/a/fixed/values', 'GET /a/fixed/values'],
  ['GET', '/a/other/values', 'GET /a/:name/values', { name: 'other' }],
  ['GET', '/a/fixed', 'GET /a/:id', { id: 'fixed' }],
  ['DELETE', '/a/7', 'DELETE /a/:id', { id: '7' }],
  ['GET', '/a/fixed/x/end', 'GET /a/:first/:second/end', { first: 'fixed', second: 'x' }],
  ['GET', '/a/x%2Fy/values', 'GET /a/:name/values', { name: 'x/y' }],
  ['GET', '/%61', 'GET /a'],
  ['GET', '/ui', 'GET /ui/*', { '*': '' }],
  ['GET', '/ui/a/b/c', 'GET /ui/*', { '*': 'a/b/c' }],
  ['GET', '/ui/a%2Fb/', 'GET /ui/*', { '*': 'a/b' }],
  ['GET', '/a/k8s/pod/name/values', 'GET /a/*', { '*': 'k8s/pod/name/values' }],
  ['GET', '/a/x/k8s%2Fpod/values', 'GET /a/*', { '*': 'x/k8s/pod/values' }],
  ['GET', '/A', undefined],
  ['GET', '//a', undefined],
  ['GET', `/a/${'x'.repeat(2001)}`, undefined],
]
for (const [method, path, value, params = {}] of cases)
  test(`${method} ${path.slice(0, 40)}`, () => {
    assert.deepEqual(router.find(method, path), value === undefined ? undefined : { value, params })
  })

test('a path that is no encoded text is bad data, and a route that is there already a bug', () => {
  assert.throws(() => router.find('GET', '/a/%zz'), BadDataError)
  assert.throws(() => {
    router.add('GET', '/a/:other', '')
  }, /already declared/)
})

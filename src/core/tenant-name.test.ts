/** Names that tenants may have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from './errors.ts'
import { checkTenantName, reservedFor } from './tenant-name.ts'

test('what the real systems take is taken', () => {
  const names = ['anonymous', 'fake', 'single-tenant', '1', 'a', 'A.b-c_d!*()', "o'neill", '.hidden', '...', 'x.json']
  const odd = ['__proto__', 'constructor', 'toString', 'index_1', 'index.json', 'indexes', 'tercet', '__own', 'alerts']
  const ids = ['0af76519-16cd-43dd-8448-eb211c80319c', 'x'.repeat(150), '01arz3ndektsv4rrffq69g5fav']
  for (const name of [...names, ...odd, ...ids]) checkTenantName(name)
})

test('what is no name is refused, and why', () => {
  const cases: [name: string, reason: RegExp][] = [
    ['', /empty/],
    ['.', /directory/],
    ['..', /directory/],
    ['x'.repeat(151), /too long: it has 151 characters, the limit is 150/],
    ['a|b', /several tenants/],
    ['a/b', /unsupported character/],
    ['a b', /unsupported character/],
    ['a\n', /unsupported character/],
    ['a\0', /unsupported character/],
    ['ä', /unsupported character/],
    ['a%2e', /unsupported character/],
    ['a\\b', /unsupported character/],
    ['index', /reserved: Loki's indexes/],
    ['Index', /reserved/],
    ['rules', /reserved/],
    ['traces', /reserved/],
    ['debug', /reserved/],
    ['__mimir_cluster', /reserved/],
    ['__markers__', /reserved/],
    ['user-index.json.gz', /reserved/],
    ['loki_cluster_seed.json', /reserved/],
    ['tempo_cluster_seed.json', /reserved/],
    ['01ARZ3NDEKTSV4RRFFQ69G5FAV', /reserved: a block of Prometheus/],
  ]
  for (const [name, reason] of cases)
    assert.throws(
      () => {
        checkTenantName(name)
      },
      (error: unknown) => error instanceof BadDataError && reason.test(error.message),
      name,
    )
  assert.equal(reservedFor('constructor'), undefined)
})

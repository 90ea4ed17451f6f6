/** Whose data a request is about, where nobody says so but the credential. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { everything, type Caller } from '#net/access.ts'
import { Tenancy } from './tenancy.ts'

const callerFor = (tenants: readonly string[] | undefined, named?: string): Caller => ({
  header: name => (name === 'x-scope-orgid' ? named : undefined),
  grant: { ...everything, name: 'x', tenants },
})
const tenancy = new Tenancy(true)
const namedBy = (caller: Caller): string => tenancy.of('logs')(caller)
const readBy = (caller: Caller): readonly string[] => tenancy.scopeOf('logs')(caller).tenants

test('a credential for one tenant need not name it; one for several, or for none, must', () => {
  assert.equal(namedBy(callerFor(['a'])), 'a')
  assert.deepEqual(readBy(callerFor(['a'])), ['a'])
  for (const tenants of [undefined, [], ['a', 'b']]) assert.throws(() => namedBy(callerFor(tenants)), /no org id/)
  assert.throws(() => readBy(callerFor([], 'a')), /may not touch/)
})

test('a claim of a token that is no name of a tenant is none', () => {
  for (const claimed of [
    '../other',
    '..',
    'a/b',
    'a|b',
    'a\nb',
    '',
    'index',
    '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    'x'.repeat(151),
  ]) {
    assert.throws(() => namedBy(callerFor([claimed])), { name: 'BadDataError' }, claimed)
    assert.throws(() => readBy(callerFor([claimed])), { name: 'BadDataError' }, claimed)
    // Files of dashboards lie in a directory of the name.
    assert.deepEqual(tenancy.shownTo('metrics')(callerFor([claimed, 'a'])), ['a'])
  }
})

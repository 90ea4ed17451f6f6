/** Whom a request comes from, behind proxies that are trusted and others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { ClientAddresses } from './client-addresses.ts'

const addresses = new ClientAddresses(['10.0.0.0/8', 'fd00::/8', '192.0.2.7'])

const cases: [name: string, peer: string | undefined, forwarded: string | undefined, from: string | undefined][] = [
  ['nothing is forwarded', '10.0.0.1', undefined, '10.0.0.1'],
  ['a proxy that is not trusted', '198.51.100.1', '203.0.113.9', '198.51.100.1'],
  ['one proxy', '10.0.0.1', '203.0.113.9', '203.0.113.9'],
  ['a socket of both families', '::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
  ['several proxies', '10.0.0.1', '203.0.113.9, 192.0.2.7,10.2.2.2', '203.0.113.9'],
  ['what the client made up', '10.0.0.1', '1.1.1.1, 203.0.113.9', '203.0.113.9'],
  ['what the client made up, of a proxy', '10.0.0.1', '10.9.9.9, 203.0.113.9, 10.2.2.2', '203.0.113.9'],
  ['ports', '10.0.0.1', '203.0.113.9:4711, [fd00::1]:80', '203.0.113.9'],
  ['IPv6', 'fd00::1', '2001:db8::1', '2001:db8::1'],
  ['IPv6 in brackets', 'fd00::1', '[2001:db8::1]', '2001:db8::1'],
  ['all are proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['no address', '10.0.0.1', '203.0.113.9, unknown', '10.0.0.1'],
  ['no address behind a proxy', '10.0.0.1', 'unknown, 10.0.0.2', '10.0.0.2'],
  ['empty', '10.0.0.1', '', '10.0.0.1'],
  ['a connection that is gone', undefined, '203.0.113.9', undefined],
]
for (const [name, peer, forwarded, from] of cases)
  test(`forwarded: ${name}`, () => {
    assert.equal(addresses.of(peer, forwarded), from)
    assert.equal(new ClientAddresses().of(peer, forwarded), peer, 'where no proxy is trusted')
  })

test('a network that is none is refused', () => {
  assert.throws(() => new ClientAddresses(['10.0.0.0/33']), BadDataError)
})

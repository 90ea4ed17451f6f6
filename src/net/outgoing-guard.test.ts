/** Which addresses may be connected to, by default and with lists. Connections are in http-client.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { OutgoingGuard } from './outgoing-guard.ts'

const metadata = '169.254.169.254'

test('refused by default: link-local, metadata, unspecified, multicast, broadcast, and what carries them', () => {
  const guard = new OutgoingGuard()
  for (const address of [
    metadata,
    '169.254.0.1',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    '100.100.100.200',
    '0.0.0.0',
    '::',
    '224.0.0.1',
    'ff02::1',
    '255.255.255.255',
    `::ffff:${metadata}`,
    `::${metadata}`,
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::a9fe:a9fe',
    '64:ff9b:1:a9fe:a9:fe00::',
    '2002:a9fe:a9fe::',
    '2001:0:102:304::5601:5601',
    '::ffff:0.0.0.0',
    'no address',
  ])
    assert.notEqual(guard.refusalOf(address), undefined, address)
  for (const address of ['127.0.0.1', '10.0.0.1', '192.168.1.1', '::1', 'fd00::1', '8.8.8.8', '64:ff9b:1::a00:1'])
    assert.equal(guard.refusalOf(address), undefined, address)
})

test('the reason names the key that changes it', () => {
  const guard = new OutgoingGuard({ deny: ['10.0.0.0/8'] })
  assert.equal(
    guard.refusalOf(metadata),
    '169.254.169.254 is a link-local address, where clouds have their metadata; outgoing.allow allows it',
  )
  assert.match(guard.refusalOf('64:ff9b::a9fe:a9fe') ?? '', /is 169\.254\.169\.254, a link-local address/)
  assert.equal(guard.refusalOf('10.1.2.3'), '10.1.2.3 is refused by outgoing.deny')
})

test('networks of the lists: what is denied is refused though it is allowed', () => {
  const guard = new OutgoingGuard({ allow: ['169.254.20.0/24', 'fe80::/10'], deny: ['169.254.20.7', '10.0.0.0/8'] })
  for (const address of ['169.254.20.10', '::ffff:169.254.20.10', 'fe80::1'])
    assert.equal(guard.refusalOf(address), undefined, address)
  for (const address of [metadata, '169.254.20.7', '10.0.0.1', '::ffff:10.0.0.1', '64:ff9b::a00:1'])
    assert.notEqual(guard.refusalOf(address), undefined, address)
  assert.throws(() => new OutgoingGuard({ allow: ['everything'] }), BadDataError)
})

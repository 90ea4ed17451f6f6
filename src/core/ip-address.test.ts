/** Spellings of addresses, networks, and the IPv4 addresses inside of IPv6 ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from './errors.ts'
import { embeddedIpv4, isInNetwork, parseIpAddress, parseIpNetwork } from './ip-address.ts'

const hex = (text: string): string | undefined => {
  const bytes = parseIpAddress(text)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('hex')
}

test('addresses become bytes', () => {
  const rows: [string, string | undefined][] = [
    ['169.254.169.254', 'a9fea9fe'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['::ffff:10.0.0.1', '00000000000000000000ffff0a000001'],
    ['2001:db8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
  ]
  for (const [text, bytes] of rows) assert.equal(hex(text), bytes, text)
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'a.b',
  ])
    assert.equal(hex(text), undefined, text)
})

test('networks have their addresses, and no others', () => {
  const rows: [network: string, inside: string[], outside: string[]][] = [
    ['169.254.0.0/16', ['169.254.0.0', '169.254.255.255'], ['169.253.255.255', '169.255.0.0', '::ffff:169.254.0.1']],
    ['fe80::/10', ['fe80::', 'febf::1'], ['fec0::', 'fe7f::', '254.128.0.0']],
    ['10.0.0.1', ['10.0.0.1'], ['10.0.0.0', '10.0.0.2']],
    ['0.0.0.0/0', ['1.2.3.4'], ['::1']],
  ]
  for (const [text, inside, outside] of rows) {
    const network = parseIpNetwork(text)
    for (const one of inside) assert.ok(isInNetwork(parseIpAddress(one)!, network), `${one} in ${text}`)
    for (const one of outside) assert.ok(!isInNetwork(parseIpAddress(one)!, network), `${one} not in ${text}`)
  }
  for (const text of ['', 'a', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', '::/129', 'fe80::1%a/64'])
    assert.throws(() => parseIpNetwork(text), BadDataError, text)
})

test('IPv4 addresses inside of IPv6 ones', () => {
  const rows: [address: string, ...inside: string[]][] = [
    ['::ffff:a9fe:a9fe', '169.254.169.254'],
    ['::a9fe:a9fe', '169.254.169.254'],
    ['::ffff:0:a9fe:a9fe', '169.254.169.254'],
    ['64:ff9b::a9fe:a9fe', '169.254.169.254'],
    ['64:ff9b:1::a9fe:a9fe', '169.254.169.254'],
    // The prefix has 48, 56 or 64 bits: the ninth byte is left out.
    ['64:ff9b:1:a9fe:a9:fe00::', '169.254.169.254', '254.169.254.0', '169.254.0.0'],
    ['64:ff9b:1:a9:fe:a9fe::', '169.254.169.254', '254.169.254.0'],
    ['64:ff9b:1:0:a9:fea9:fe00:0', '254.0.0.0', '169.254.169.254'],
    ['2002:a9fe:a9fe::1', '169.254.169.254'],
    ['2001:0:a9fe:a9fe:0:0:5601:5601', '169.254.169.254', '169.254.169.254'],
    ['2001:db8::5efe:169.254.169.254', '169.254.169.254'],
    ['::'],
    ['::1'],
    ['2001:db8::a9fe:a9fe'],
    ['169.254.169.254'],
  ]
  for (const [address, ...inside] of rows) {
    const found = embeddedIpv4(parseIpAddress(address)!).map(four => four.join('.'))
    assert.deepEqual(found.toSorted(), inside.toSorted(), address)
  }
})

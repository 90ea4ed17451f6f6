/** The names that a server answers to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AllowedHosts, hostNameOf, problemOfAllowedHost } from './allowed-hosts.ts'

const hosts = new AllowedHosts(['tercet.example.net', '*.shop.example', 'UPPER.example.'])

/** Hosts as a header has them, one a line; what stands behind them says whether they are answered to. */
const cases = `
  127.0.0.1:8428          yes
  127.8.8.8               yes
  [::1]:8428              yes
  [::ffff:7f00:1]         yes
  192.168.1.7:8428        yes
  203.0.113.9             yes
  localhost               yes
  LOCALHOST:8428          yes
  localhost.:8428         yes
  app.localhost:8428      yes
  tercet:8428             yes
  tercet.monitoring.svc   yes
  tercet.monitoring.svc.cluster.local:8428  yes
  nas.local               yes
  nas.home.arpa           yes
  ip-10-0-0-7.eu-central-1.compute.internal yes
  tercet.example.net:443  yes
  Tercet.Example.Net.     yes
  upper.example           yes
  a.shop.example          yes
  a.b.shop.example        yes
  shop.example            no
  rebind.example:8428     no
  xtercet.example.net     no
  tercet.example.net.evil.example no
  localhost.evil.example  no
  127.0.0.1.evil.example  no
  svc.evil.example        no
  tercet.monitoring       no
  evillocalhost.com       no
  user@localhost.com      no
  user@localhost          no
  [evil.example]          no
  a b                     no
  http://localhost        no
  localhost:port          no
  .                       no
`
test('addresses, names that nobody can register, and those that are named are answered to', () => {
  for (const line of cases.trim().split('\n')) {
    const [, host = '', answer] = /^\s*(.+?)\s+(yes|no)$/.exec(line)!
    assert.equal(hosts.has(host), answer === 'yes', host)
  }
  // Programs alone send none.
  assert.equal(hosts.has(undefined), true)
  assert.equal(hosts.has(''), true)
  assert.equal(new AllowedHosts(['*']).has('rebind.example'), true)
})

test('a name is read out of a Host header', () => {
  assert.deepEqual(
    ['A.b:1', '[::1]:2', 'c.', ':8428', '1.2.3.4'].map(host => hostNameOf(host)),
    ['a.b', '::1', 'c', undefined, '1.2.3.4'],
  )
})

test('an entry of the list is a name, below which a star may stand, and nothing else', () => {
  for (const entry of ['*', 'a', 'a.example', '*.a.example', '10.0.0.1', 'fe80::1'])
    assert.equal(problemOfAllowedHost(entry), undefined, entry)
  for (const entry of ['http://a', 'a:80', 'a.*', '*.*', '*a', 'a/b', ''])
    assert.match(problemOfAllowedHost(entry) ?? '', /is not the name of a host/, entry)
})

/** Ways in of a credentials file: passwords are hashed once, tried a few times, and never by many at a time. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { everything, type Grant } from '#net/access.ts'
import { isRefusal, type Admission } from '#net/auth.ts'
import { FailedLogins } from './failed-logins.ts'
import { hashPassword, isPasswordOf, parsePasswordHash } from './password-hash.ts'
import { bearerTokens, clientCertificates, Passwords } from './schemes.ts'

const named = (name: string): Grant => ({ ...everything, name })
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
const shown = (admission: Admission | undefined): string => {
  if (admission === undefined) return 'not tried'
  return isRefusal(admission) ? `${admission.status} ${admission.reason}` : admission.name
}
const wrong = '401 the user name or the password is wrong'

test('a password is known by its hash, of scrypt and of argon2id', async () => {
  const made = parsePasswordHash(await hashPassword('sécret', new Uint8Array(16).fill(7)))
  assert.deepEqual([await isPasswordOf('sécret', made), await isPasswordOf('secret', made)], [true, false])
  // Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -e
  const argon2id = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  if (Number(process.versions.node.split('.')[0]) < 25) return
  assert.equal(await isPasswordOf('password', parsePasswordHash(argon2id)), true)
  assert.equal(await isPasswordOf('passwort', parsePasswordHash(argon2id)), false)
})

async function passwords(): Promise<{ scheme: Passwords; failed: FailedLogins; clock: VirtualClock }> {
  const clock = new VirtualClock(0)
  // Of the password p:1, at little cost.
  const hash = parsePasswordHash(
    '$scrypt$ln=4,r=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$yYYus+/R6CiMrBdWYoeoaov1j8ZAHRhIqdM4+CDHl00',
  )
  const failed = new FailedLogins(clock)
  const users = new Map([['alice', { grant: named('alice'), hash }]])
  return { scheme: new Passwords(users, clock, seededRandom(1), failed), failed, clock }
}

test('a user gets in with the right password, and is not hashed again for a while', async () => {
  const { scheme, clock } = await passwords()
  const admit = (authorization: string | undefined): ReturnType<Passwords['admit']> => scheme.admit({ authorization })
  assert.equal(shown(await admit(undefined)), 'not tried')
  assert.equal(shown(await admit('Bearer x')), 'not tried')
  assert.equal(shown(await admit(basic('alice'))), wrong)
  assert.equal(shown(await admit(basic('bob:p:1'))), wrong)
  assert.equal(shown(await admit(basic('alice:p:2'))), wrong)
  assert.ok(admit(basic('alice:p:1')) instanceof Promise)
  assert.equal(shown(await admit(basic('alice:p:1'))), 'alice')
  assert.ok(!(admit(basic('alice:p:1')) instanceof Promise))
  for (let i = 0; i < 3; i++) {
    await clock.advance(599_999)
    assert.ok(!(admit(basic('alice:p:1')) instanceof Promise))
  }
  await clock.advance(600_000)
  assert.ok(admit(basic('alice:p:1')) instanceof Promise)
})

test('ten wrong passwords of a user from an address are enough for a minute; others get in meanwhile', async () => {
  const { scheme, failed, clock } = await passwords()
  const admit = async (text: string, remoteAddress: string): Promise<string> =>
    shown(await scheme.admit({ authorization: basic(text), remoteAddress }))
  for (let i = 0; i < 10; i++) assert.equal(await admit(`alice:${i}`, '10.0.0.1'), wrong)
  const refused = '429 too many wrong passwords; try again in 60 s'
  assert.equal(await admit('alice:p:1', '10.0.0.1'), refused)
  assert.equal(await admit('bob:x', '10.0.0.1'), wrong)
  assert.equal(await admit('alice:p:1', '10.0.0.2'), 'alice')
  // That it is remembered of another address would tell whoever goes on trying.
  assert.equal(await admit('alice:p:1', '10.0.0.1'), refused)
  assert.deepEqual([failed.failures, failed.refused], [11, 2])
  await clock.advance(60_000)
  assert.equal(await admit('alice:p:1', '10.0.0.1'), 'alice')
  // Who was right from there is known, whatever others try.
  for (let i = 0; i < 10; i++) assert.equal(await admit(`alice:${i}`, '10.0.0.1'), wrong)
  assert.equal(await admit('alice:x', '10.0.0.1'), refused)
  assert.equal(await admit('alice:p:1', '10.0.0.1'), 'alice')
})

test('one address tries sixty passwords a minute, however many users it names', async () => {
  const failed = new FailedLogins(new VirtualClock(0))
  for (let i = 0; i < 60; i++) {
    assert.equal(failed.waitSeconds('10.0.0.1', `user${i}`), 0)
    failed.note('10.0.0.1', `user${i}`)
  }
  assert.equal(failed.waitSeconds('10.0.0.1', 'another'), 60)
  assert.equal(failed.waitSeconds('10.0.0.2', 'another'), 0)
})

test('of IPv6 a network of 64 bits is one address: whoever has one of it has all', () => {
  const failed = new FailedLogins(new VirtualClock(0))
  const addresses = ['2001:db8:0:1::1', '2001:db8:0:1:5:6:7:8', '2001:db8::1:0:0:0:9', '2001:0db8:0:1:ffff::%eth0']
  for (let i = 0; i < 60; i++) failed.note(addresses[i % addresses.length]!, `user${i}`)
  for (const address of addresses) assert.equal(failed.waitSeconds(address, 'another'), 60, address)
  for (const address of ['2001:db8:0:2::1', '::1', '::ffff:10.0.0.1'])
    assert.equal(failed.waitSeconds(address, 'another'), 0, address)
  for (let i = 0; i < 60; i++) failed.note('::ffff:10.0.0.1', `user${i}`)
  assert.deepEqual([failed.waitSeconds('10.0.0.1', 'x'), failed.waitSeconds('::ffff:10.0.0.2', 'x')], [60, 0])
})

test('passwords that wait for their turn are not tried once ten before them were wrong', async () => {
  const { scheme, failed } = await passwords()
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      scheme.admit({ authorization: basic(`alice:${i}`), remoteAddress: '10.0.0.1' }),
    ),
  )
  const tried = answers.map(shown).filter(text => text === wrong).length
  // Two are hashed at a time.
  assert.ok(tried >= 10 && tried <= 11, String(tried))
  assert.equal(failed.failures, tried)
})

test('who sends many passwords at a time waits, and beyond a hundred is told to come again', async () => {
  const { scheme } = await passwords()
  const answers = await Promise.all(
    Array.from({ length: 110 }, (_, i) =>
      scheme.admit({ authorization: basic(`user${i}:x`), remoteAddress: `10.0.0.${i}` }),
    ),
  )
  const counts = Map.groupBy(answers.map(shown), text => text)
  assert.deepEqual(
    [...counts].map(([text, all]) => [text, all.length]),
    [
      [wrong, 102],
      ['429 too many wrong passwords; try again in 1 s', 8],
    ],
  )
})

test('a bearer token is known by its digest, a certificate by its subject', async () => {
  const digest = createHash('sha256').update('right').digest('hex')
  const tokens = bearerTokens(new Map([[digest, named('agent')]]))
  assert.equal(shown(await tokens.admit({ authorization: 'Bearer tok' })), '401 the bearer token is wrong')
  assert.equal(shown(await tokens.admit({ authorization: 'bearer right' })), 'agent')
  assert.equal(shown(await tokens.admit({ authorization: basic('a:b') })), 'not tried')
  const certificates = clientCertificates(new Map([['CN=node', named('node')]]))
  const of = async (clientSubject: string | undefined): Promise<string> =>
    shown(await certificates.admit({ authorization: undefined, clientSubject }))
  assert.deepEqual([await of(undefined), await of('CN=other'), await of('CN=node')], ['not tried', 'not tried', 'node'])
})

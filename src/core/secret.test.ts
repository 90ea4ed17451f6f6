/** Secrets that are printed by accident, addresses with credentials, and texts of others that say a secret back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { identityOf, KnownSecrets, maskUrl, maskUrls, noSecret, Secret } from './secret.ts'

test('whatever prints a secret hides it', () => {
  const secret = new Secret('hunter2')
  const inside = { deep: [{ secret }], file: new Secret('', '/run/secrets/a'), none: noSecret }
  for (const text of [
    String(secret),
    `${secret.toString()}`,
    // oxlint-disable-next-line restrict-template-expressions
    `a ${secret}`,
    JSON.stringify(inside),
    inspect(inside, { depth: 9, showHidden: true }),
    String(Object.values(secret)),
    JSON.stringify({ ...secret }),
  ])
    assert.doesNotMatch(text, /hunter2/)
  assert.equal(JSON.stringify(inside), '{"deep":[{"secret":"<secret>"}],"file":"<secret>","none":""}')
  assert.equal(secret.reveal(), 'hunter2')
  assert.deepEqual([secret.isSet, inside.file.isSet, noSecret.isSet], [true, true, false])
})

test('settings with other secrets are others', () => {
  const settings = (text: string, file = ''): unknown => ({ a: 1n, client: { password: new Secret(text, file) } })
  assert.equal(identityOf(settings('a')), identityOf(settings('a')))
  assert.notEqual(identityOf(settings('a')), identityOf(settings('b')))
  assert.notEqual(identityOf(settings('a')), identityOf(settings('', 'a')))
  assert.equal(identityOf({ a: 1, memo: 2 }, ['memo']), '{"a":1}')
})

test('addresses lose their users, passwords and parameters that are credentials', () => {
  const rows: [text: string, shown: string][] = [
    ['http://me:pw@host/path', 'http://<secret>@host/path'],
    ['http://token@host', 'http://<secret>@host'],
    ['GET http://me:p@w@host:1/?q=a@b: refused', 'GET http://<secret>@host:1/?q=a@b: refused'],
    ['http://a:b@c/x,https://d:e@f/y', 'http://<secret>@c/x,https://<secret>@f/y'],
    ['//me:pw@host', '//<secret>@host'],
    ['http://h/?token=abc&module=x', 'http://h/?token=<secret>&module=x'],
    ['http://h/?api_key=abc&X-Amz-Signature=f0#x', 'http://h/?api_key=<secret>&X-Amz-Signature=<secret>#x'],
    ['"http://h/?sig=abc"', '"http://h/?sig=<secret>"'],
    ['http://h/a@b?match[]=up', 'http://h/a@b?match[]=up'],
    // Passwords that were not escaped: these are no URLs, and are said back.
    ['"http://me:p/w@host": no URL', '"http://<secret>@host": no URL'],
    ['http://me:p#w?x@host:1/y', 'http://<secret>@host:1/y'],
    ['http://me:/pw@host', 'http://<secret>@host'],
    ['http://a:b/c@d/x, https://e:f@g', 'http://<secret>@d/x, https://<secret>@g'],
    ['http://h:9090/@x http://[::1]:9090/a@b', 'http://h:9090/@x http://[::1]:9090/a@b'],
    ['http://h/?a=1;token=b;c&d=2', 'http://h/?a=1;token=<secret>&d=2'],
    ['mail to a@b.test, level=warn', 'mail to a@b.test, level=warn'],
  ]
  for (const [text, shown] of rows) assert.equal(maskUrls(text), shown)
})

test('a text that is one address as a whole loses a password with blanks, too', () => {
  assert.equal(maskUrl('http://me:p w@host/path'), 'http://<secret>@host/path')
  assert.equal(maskUrl('http://host/a b@c'), 'http://host/a b@c')
  assert.equal(maskUrl('http://me:pw@host'), 'http://<secret>@host')
})

test('secrets that were used are found in what others say', () => {
  const known = new KnownSecrets()
  known.add('hunter2', 'abc', ' hunter2hunter2\n')
  known.addUrl('http://me:p%40ss@host/push?token=qwer')
  known.addUrl('https://hooks.test/services/T0/B0/longsecret?x=1', true)
  assert.equal(known.hide('abc is no hunter2hunter2, hunter2'), 'abc is no <secret>, <secret>')
  assert.equal(known.hide('p@ss, p%40ss, qwer, /push'), '<secret>, <secret>, <secret>, /push')
  assert.equal(known.hide(Buffer.from('me:p@ss').toString('base64')), '<secret>')
  assert.equal(known.hide('no /services/T0/B0/longsecret?x=1 here, longsecret'), 'no <secret> here, <secret>')
  for (let i = 0; i < 1000; i++) known.add(`token-${i}`)
  assert.equal(known.hide('token-999 '), '<secret> ')
})

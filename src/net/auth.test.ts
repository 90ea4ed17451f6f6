/** Credentials: who gets in, and what the others are answered. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Auth } from './auth.ts'

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
const user = new Auth({ username: 'me', password: 'sécret:x', bearerToken: '' })
const token = new Auth({ username: '', password: '', bearerToken: 'tok' })
const both = new Auth({ username: 'me', password: 'p', bearerToken: 'tok' })
const off = new Auth({ username: '', password: '', bearerToken: '' })

test('requests get in with the right credentials alone', () => {
  const missing = 'credentials are missing: send an Authorization header'
  const cases: [auth: Auth, header: string | undefined, refusal: string | undefined][] = [
    [off, undefined, undefined],
    [off, 'anything', undefined],
    [user, basic('me:sécret:x'), undefined],
    [user, `BASIC   ${Buffer.from('me:sécret:x').toString('base64')}  `, undefined],
    [user, basic('me:sécret'), 'the user name or the password is wrong'],
    [user, basic('other:sécret:x'), 'the user name or the password is wrong'],
    [user, 'Basic !!!', 'the user name or the password is wrong'],
    [user, 'Bearer tok', 'authorization by bearer is not set up here'],
    [user, undefined, missing],
    [user, '', missing],
    [user, 'Basic', missing],
    [token, 'Bearer tok', undefined],
    [token, 'bearer tok', undefined],
    [token, 'Bearer tok2', 'the bearer token is wrong'],
    [token, basic(':'), 'authorization by basic is not set up here'],
    [token, 'Digest x', 'authorization by digest is not set up here'],
    [both, 'Bearer tok', undefined],
    [both, basic('me:p'), undefined],
  ]
  for (const [auth, header, refusal] of cases)
    assert.equal(auth.refuses('/api/v1/query', header), refusal, header ?? 'no header')
})

test('probes need no credentials, paths that look like theirs do', () => {
  for (const path of ['/health', '/-/healthy', '/-/ready', '/ready'])
    assert.equal(user.refuses(path, undefined), undefined, path)
  for (const path of ['/health/', '/ready/x', '/metrics', '/-/flush', '/HEALTH'])
    assert.notEqual(user.refuses(path, undefined), undefined, path)
})

test('the challenge names the scheme that is set up', () => {
  assert.equal(off.isOn, false)
  assert.equal(user.isOn, true)
  assert.equal(user.challenge, 'Basic realm="tercet", charset="UTF-8"')
  assert.equal(token.challenge, 'Bearer realm="tercet"')
  assert.equal(both.challenge, 'Basic realm="tercet", charset="UTF-8"')
})

/** Credentials: who gets in, and what the others are answered. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { everything } from './access.ts'
import { Auth, basicChallenge, isRefusal, noAuth, oneToken, type Admission, type Scheme } from './auth.ts'

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
const token = new Auth([oneToken('tok')])
const off = new Auth([])

const shown = (admission: Admission): string =>
  isRefusal(admission) ? `${admission.status} ${admission.reason}` : `granted to ${admission.name}`

test('requests get in with the right credentials alone', async () => {
  const missing = '401 credentials are missing: send an Authorization header'
  const cases: [auth: Auth, header: string | undefined, outcome: string][] = [
    [off, undefined, 'granted to '],
    [off, 'anything', 'granted to '],
    [token, undefined, missing],
    [token, '', missing],
    [token, 'Bearer', missing],
    [token, 'Bearer tok', 'granted to auth.bearer_token_file'],
    [token, 'bearer tok', 'granted to auth.bearer_token_file'],
    [token, 'Bearer tok2', '401 the bearer token is wrong'],
    [token, basic(':'), '401 authorization by basic is not set up here'],
    [token, 'Digest x', '401 authorization by digest is not set up here'],
    [token, 'BEARER   tok  ', 'granted to auth.bearer_token_file'],
  ]
  for (const [auth, authorization, outcome] of cases)
    assert.equal(shown(await auth.admit({ authorization })), outcome, authorization ?? 'no header')
})

test('the first scheme that grants something decides, whether it has to wait or not', async () => {
  const grant = (name: string): Scheme => ({ challenge: undefined, admit: () => ({ ...everything, name }) })
  const silent: Scheme = { challenge: undefined, admit: () => undefined }
  const refuse = (reason: string, status: 401 | 429 | 503 = 401): Scheme => ({
    challenge: undefined,
    admit: () => ({ status, reason }),
  })
  const later = (scheme: Scheme): Scheme => ({ ...scheme, admit: asking => Promise.resolve(scheme.admit(asking)) })
  const cases: [schemes: Scheme[], outcome: string][] = [
    [[silent, grant('a'), grant('b')], 'granted to a'],
    [[refuse('no'), grant('b')], 'granted to b'],
    [[refuse('no'), refuse('never')], '401 no'],
    [[refuse('no'), refuse('wait', 429), refuse('away', 503), refuse('never')], '429 wait'],
    [[refuse('no'), refuse('away', 503), grant('b')], 'granted to b'],
  ]
  for (const [schemes, outcome] of cases)
    for (const slow of [[], [0], [1], [0, 1]]) {
      const auth = new Auth(schemes.map((scheme, i) => (slow.includes(i) ? later(scheme) : scheme)))
      assert.equal(shown(await auth.admit({ authorization: 'X y' })), outcome, `${outcome}, slow: ${slow.join()}`)
    }
})

test('the challenge names the scheme that is set up', () => {
  assert.equal(off.isOn, false)
  assert.equal(noAuth.isOn, false)
  assert.equal(token.isOn, true)
  assert.equal(token.challenge, 'Bearer realm="tercet"')
  const basicFirst = new Auth([{ challenge: basicChallenge, admit: () => undefined }, oneToken('t')])
  assert.equal(basicFirst.challenge, 'Basic realm="tercet", charset="UTF-8"')
})

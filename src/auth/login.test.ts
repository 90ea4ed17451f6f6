/** OpenID Connect against a provider of the test's own: bearer tokens, key rotation, the login of a browser. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { systemFiles } from '#core/files.ts'
import { seededRandom } from '#core/random.ts'
import { noSecret, Secret } from '#core/secret.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { isRefusal, type Admission } from '#net/auth.ts'
import { requestOf } from '#net/handler-kit.ts'
import { HttpClient } from '#net/http-client.ts'
import { OutgoingGuard } from '#net/outgoing-guard.ts'
import type { HttpReply } from '#net/route-table.ts'
import type { Claims } from './claims.ts'
import { IdentityProvider } from './identity-provider.ts'
import { JsonWebTokens } from './json-web-tokens.ts'
import { loginRoutes, pathOfNext, type Logins } from './login.ts'
import type { OidcSettings } from './oidc.ts'
import { Sessions } from './sessions.ts'

const startMs = Date.parse('2026-12-01T12:00:00Z')

interface Key {
  readonly id: string
  readonly pair: Awaited<ReturnType<typeof generateKeyPair>>
}
async function makeKey(id: string): Promise<Key> {
  return { id, pair: await generateKeyPair('ES256', { extractable: true }) }
}

/** What the provider says and knows. */
const provider = {
  url: '',
  keys: [] as Key[],
  isAway: false,
  /** Times that the keys were asked for. */
  asked: 0,
  /** Times that it was asked what it is, and for tokens. */
  discovered: 0,
  exchanged: 0,
  /** What was asked for with the secret of the client. */
  withSecret: new Set<string>(),
  /** By code: what the browser was sent with, and the token that is given for it. */
  codes: new Map<string, { challenge: string; token: string }>(),
  lastForm: new URLSearchParams(),
}

const server = createServer((request, reply) => {
  const json = (value: unknown, status = 200): void => {
    reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  void (async () => {
    if (request.url === '/.well-known/openid-configuration') provider.discovered++
    if (request.url === '/token') provider.exchanged++
    if (request.headers.authorization !== undefined) provider.withSecret.add(request.url ?? '')
    if (provider.isAway) {
      json({}, 503)
    } else if (request.url === '/.well-known/openid-configuration')
      json({
        issuer: provider.url,
        authorization_endpoint: `${provider.url}/authorize`,
        token_endpoint: `${provider.url}/token`,
        jwks_uri: `${provider.url}/keys`,
      })
    else if (request.url === '/keys') {
      provider.asked++
      const keys = await Promise.all(
        provider.keys.map(async ({ id, pair }) => ({ ...(await exportJWK(pair.publicKey)), kid: id, alg: 'ES256' })),
      )
      json({ keys })
    } else {
      let body = ''
      for await (const piece of request) body += String(piece)
      const form = (provider.lastForm = new URLSearchParams(body))
      const found = provider.codes.get(form.get('code') ?? '')
      const challenge = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url')
      if (found === undefined || found.challenge !== challenge) json({ error: 'invalid_grant' }, 400)
      else json({ id_token: found.token, access_token: 'x', token_type: 'Bearer' })
    }
  })()
})

before(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  provider.keys = [await makeKey('first')]
})
after(() => {
  server.close()
})

function tokenOf(
  claims: Claims,
  key = provider.keys[0]!,
  more: { issuer?: string; audience?: string; endS?: number } = {},
) {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: key.id })
    .setIssuer(more.issuer ?? provider.url)
    .setAudience(more.audience ?? 'tercet')
    .setExpirationTime(more.endS ?? startMs / 1000 + 3600)
    .sign(key.pair.privateKey)
}

function stage() {
  const clock = new VirtualClock(startMs)
  const settings: OidcSettings = {
    issuer: provider.url,
    clientId: 'tercet',
    clientSecret: noSecret,
    audience: ['tercet'],
    scopes: ['openid', 'groups'],
    nameClaim: 'email',
    tenantsClaim: '',
    sessionMs: 3_600_000,
    rules: [
      { claim: 'groups', value: 'sre', grant: { verbs: ['admin'], signals: ['logs'], tenants: undefined, labels: [] } },
      {
        claim: 'realm.roles',
        value: 'dev',
        grant: { verbs: ['read'], signals: ['metrics'], tenants: ['a'], labels: [] },
      },
    ],
    client: plainClient,
  }
  const world = { clock, files: systemFiles, env: {}, directory: '/', guard: new OutgoingGuard() }
  const client = new HttpClient(settings.client, world)
  const basicAuth = { username: new Secret('tercet'), password: new Secret('hunter2') }
  const tokenClient = new HttpClient({ ...settings.client, basicAuth }, world)
  const identity = new IdentityProvider({ issuer: settings.issuer, client, tokenClient, clock })
  const key = new Uint8Array(32).fill(5)
  const sessions = new Sessions(key, settings, clock)
  const logins: Logins = { provider: identity, settings, sessions, key }
  return { clock, settings, identity, sessions, logins, tokens: new JsonWebTokens(identity, settings, clock) }
}

const shown = (admission: Admission | undefined): string => {
  if (admission === undefined) return 'not tried'
  return isRefusal(admission)
    ? `${admission.status} ${admission.reason}`
    : `${admission.name} ${admission.verbs.join()}`
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test('a token of the provider grants what the first rule says that fits its claims', async () => {
  const { tokens } = stage()
  const of = async (claims: Claims): Promise<string> => shown(await tokens.admit(bearer(await tokenOf(claims))))
  assert.equal(await of({ email: 'a@x', groups: ['dev', 'sre'] }), 'a@x admin')
  assert.equal(await of({ sub: '17', realm: { roles: ['dev'] } }), '17 read')
  assert.equal(await of({ sub: '17', email: 'boss@x', email_verified: false, groups: 'sre' }), '17 admin')
  assert.equal(await of({ sub: '17', email: 'boss@x', email_verified: 'False', groups: 'sre' }), '17 admin')
  assert.equal(await of({ email: 'a@x', groups: 'other' }), '401 the token is of somebody who is granted nothing here')
  assert.equal(await of({ groups: ['sre'] }), '401 the token is of somebody who is granted nothing here')
  assert.equal(shown(await tokens.admit(bearer('no-token'))), 'not tried')
  assert.equal(shown(await tokens.admit({ authorization: undefined })), 'not tried')
})

test('a token of another issuer, audience or key, without a key, or out of its time is refused', async () => {
  const { tokens, clock } = stage()
  const claims = { email: 'a@x', groups: ['sre'] }
  const other = await makeKey('first')
  const secret = new Uint8Array(32)
  const wrong: [name: string, token: string][] = [
    ['issuer', await tokenOf(claims, undefined, { issuer: 'http://elsewhere' })],
    ['audience', await tokenOf(claims, undefined, { audience: 'another' })],
    ['end', await tokenOf(claims, undefined, { endS: startMs / 1000 - 61 })],
    ['key', await tokenOf(claims, other)],
    ['no key', new UnsecuredJWT(claims).setIssuer(provider.url).setAudience('tercet').encode().replace(/$/, 'AAAA')],
    [
      'a shared key',
      await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer(provider.url)
        .setAudience('tercet')
        .setExpirationTime(startMs / 1000 + 60)
        .sign(secret),
    ],
  ]
  for (const [name, token] of wrong)
    assert.match(shown(await tokens.admit(bearer(token))), /^401 the token is wrong/, name)
  const short = await tokenOf(claims, undefined, { endS: startMs / 1000 + 30 })
  assert.equal(shown(await tokens.admit(bearer(short))), 'a@x admin')
  // What is remembered ends with the token, beside the tolerance for clocks.
  await clock.advance(91_000)
  assert.match(shown(await tokens.admit(bearer(short))), /^401 the token is wrong/)
})

test('keys that change are fetched when a token names one, not for every token that does', async () => {
  const { tokens, clock } = stage()
  const claims = { email: 'a@x', groups: ['sre'] }
  assert.equal(shown(await tokens.admit(bearer(await tokenOf(claims)))), 'a@x admin')
  const second = await makeKey('second')
  const before = provider.asked
  provider.keys = [second]
  const rotated = await tokenOf(claims, second)
  // Too soon after the last time: somebody may make up ids of keys.
  assert.match(shown(await tokens.admit(bearer(rotated))), /^401 the token is wrong/)
  assert.equal(provider.asked, before)
  await clock.advance(10_000)
  assert.equal(shown(await tokens.admit(bearer(rotated))), 'a@x admin')
  assert.equal(provider.asked, before + 1)
  // The keys that are known serve while the provider is away.
  provider.isAway = true
  await clock.advance(3_000_000)
  assert.equal(shown(await tokens.admit(bearer(await tokenOf({ ...claims, n: 1 }, second)))), 'a@x admin')
  const fresh = stage()
  assert.equal(shown(await fresh.tokens.admit(bearer(rotated))), '503 the identity provider answered 503')
  provider.isAway = false
})

interface Browser {
  cookies: Map<string, string>
  get(path: string): Promise<HttpReply>
}

function login() {
  const made = stage()
  const { logins, clock } = made
  const seen: string[] = []
  const routes = loginRoutes({
    clock,
    random: seededRandom(3),
    externalUrl: 'https://tercet.example',
    hasTenancy: true,
    logins: () => logins,
    onLogin: ({ name, isRight }) => seen.push(`${name} ${isRight}`),
  })
  const browser: Browser = {
    cookies: new Map(),
    async get(path) {
      const [own = '', query = ''] = path.split('?')
      const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const found = routes.find(route => route.path === own)!
      const reply = await found.handler(requestOf({ path: own, query, headers: { cookie } }))
      const set = /^(\w+)=([^;]*)/.exec(reply.headers?.['set-cookie'] ?? '')
      if (set !== null) this.cookies.set(set[1]!, set[2]!)
      return reply
    },
  }
  /** The provider's page: somebody says yes there. */
  const agree = async (location: string, claims: Claims): Promise<string> => {
    const asked = new URL(location).searchParams
    const token = await tokenOf({ ...claims, nonce: asked.get('nonce') })
    provider.codes.set('c0de', { challenge: asked.get('code_challenge') ?? '', token })
    return `/auth/callback?${new URLSearchParams({ code: 'c0de', state: asked.get('state') ?? '' }).toString()}`
  }
  return { ...made, browser, agree, seen }
}

test('a browser logs in by code and PKCE, and has a session in a strict cookie until it ends', async () => {
  const { browser, agree, seen, sessions, clock } = login()
  const begun = await browser.get(`/auth/login?next=${encodeURIComponent('/ui/logs?q=x')}`)
  const location = new URL(begun.headers?.['location'] ?? '')
  assert.equal(`${location.origin}${location.pathname}`, `${provider.url}/authorize`)
  const { state, nonce, code_challenge: challenge, ...rest } = Object.fromEntries(location.searchParams)
  assert.ok(state !== undefined && nonce !== undefined && challenge !== undefined)
  assert.deepEqual(rest, {
    response_type: 'code',
    client_id: 'tercet',
    redirect_uri: 'https://tercet.example/auth/callback',
    scope: 'openid groups',
    code_challenge_method: 'S256',
  })
  assert.match(begun.headers?.['set-cookie'] ?? '', /; Path=\/auth; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/)
  const done = await browser.get(await agree(location.href, { email: 'a@x', groups: ['sre'] }))
  assert.equal(done.status, 200)
  assert.match(String(done.body), /content="0;url=\/ui\/logs\?q=x"/)
  assert.match(done.headers?.['set-cookie'] ?? '', /; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict; Secure$/)
  assert.deepEqual(seen, ['a@x true'])
  assert.deepEqual([...provider.withSecret], ['/token'])
  const cookie = `other=1; tercet_session=${browser.cookies.get('tercet_session') ?? ''}`
  const admit = async (text: string): Promise<string> =>
    shown(await sessions.admit({ authorization: undefined, cookie: text }))
  assert.equal(await admit(cookie), 'a@x admin')
  assert.equal(await admit(cookie.replace(/.$/, last => (last === 'A' ? 'B' : 'A'))), 'not tried')
  assert.equal(await admit('tercet_session=e30.e30'), 'not tried')
  assert.equal(await admit(`tercet_session=${browser.cookies.get('tercet_login') ?? ''}`), 'not tried')
  await clock.advance(3_600_000)
  assert.equal(await admit(cookie), 'not tried')
})

test('whoever begins or ends many logins at a time makes few requests of the provider', async () => {
  const { browser } = login()
  const [discovered, exchanged] = [provider.discovered, provider.exchanged]
  provider.isAway = true
  const away = await Promise.all(Array.from({ length: 50 }, () => browser.get('/auth/login')))
  provider.isAway = false
  assert.deepEqual([...new Set(away.map(({ status }) => status))], [503])
  assert.equal(provider.discovered, discovered + 1)
  const begun = await browser.get('/auth/login')
  const state = new URL(begun.headers?.['location'] ?? '').searchParams.get('state') ?? ''
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, i) => browser.get(`/auth/callback?code=${i}&state=${state}`)),
  )
  const counts = Map.groupBy(replies, ({ status }) => status)
  assert.deepEqual([counts.get(401)?.length, counts.get(503)?.length], [20, 30])
  assert.equal(provider.exchanged, exchanged + 20)
  assert.equal((await browser.get(`/auth/callback?code=x&state=${state}`)).status, 401)
})

test('a session is over where the provider, its client, the claims that decide or the duration differ', async () => {
  const { sessions, settings, clock } = stage()
  const cookie = `tercet_session=${sessions.begin({ sub: '1', email: 'a@x', groups: ['sre'], department: 'temps' })}`
  const [sre, dev] = settings.rules
  const lesser = { claim: 'department', value: 'temps', grant: dev!.grant }
  const admitted = async (more: Partial<OidcSettings>): Promise<string> => {
    const others = new Sessions(new Uint8Array(32).fill(5), { ...settings, ...more }, clock)
    return shown(await others.admit({ authorization: undefined, cookie }))
  }
  assert.equal(await admitted({}), 'a@x admin')
  assert.equal(await admitted({ rules: [{ ...sre!, grant: dev!.grant }, dev!] }), 'a@x read')
  assert.equal(await admitted({ rules: [sre!] }), 'a@x admin')
  assert.equal(await admitted({ rules: [lesser, sre!] }), 'not tried')
  assert.equal(await admitted({ tenantsClaim: 'tenants' }), 'not tried')
  assert.equal(await admitted({ nameClaim: 'preferred_username' }), 'not tried')
  assert.equal(await admitted({ issuer: 'https://other.test' }), 'not tried')
  assert.equal(await admitted({ clientId: 'another' }), 'not tried')
  await clock.advance(600_000)
  assert.equal(await admitted({ sessionMs: 600_001 }), 'a@x admin')
  assert.equal(await admitted({ sessionMs: 600_000 }), 'not tried')
})

test('a login that was begun elsewhere, is too old, is refused, or is of nobody here gives no session', async () => {
  const claims = { email: 'a@x', groups: ['sre'] }
  const attempt = async (
    change: (stage: ReturnType<typeof login>, back: string) => Promise<string> | string,
    of: Claims = claims,
  ): Promise<string> => {
    const made = login()
    const begun = await made.browser.get('/auth/login')
    const back = await made.agree(begun.headers?.['location'] ?? '', of)
    const { status, body } = await made.browser.get(await change(made, back))
    assert.equal(made.browser.cookies.has('tercet_session'), false)
    return `${status} ${String(body).trim()}`
  }
  const elsewhere = '400 this login was begun elsewhere: begin again at /auth/login'
  const notBegun = '400 this login was not begun here, or took too long: begin again at /auth/login'
  assert.equal(await attempt((_made, back) => back.replace(/state=[^&]+/, 'state=x')), elsewhere)
  assert.equal(
    await attempt(({ browser }, back) => {
      browser.cookies.delete('tercet_login')
      return back
    }),
    notBegun,
  )
  assert.equal(
    await attempt(async ({ clock }, back) => {
      await clock.advance(600_000)
      return back
    }),
    notBegun,
  )
  const refused = '401 the identity provider refused the login: status 400'
  assert.equal(await attempt((_made, back) => back.replace('c0de', 'other')), refused)
  assert.equal(
    await attempt((_made, back) => `${back}&error=access_denied`),
    '401 the identity provider said: access_denied',
  )
  assert.match(await attempt((_made, back) => back, { email: 'b@x' }), /^403 b@x is known to the provider/)
  const replayed = await attempt(async (_made, back) => {
    const found = provider.codes.get('c0de')!
    provider.codes.set('c0de', { ...found, token: await tokenOf({ ...claims, nonce: 'of another login' }) })
    return back
  })
  assert.equal(replayed, '401 the identity token is of another login')
})

test('a login leads to a page of this process and to no other', () => {
  const cases: [string | null, string][] = [
    [null, '/'],
    ['/ui/logs?q=a&b=c', '/ui/logs?q=a&b=c'],
    ['//evil.example/x', '/'],
    ['/\\evil.example/x', '/'],
    ['https://evil.example', '/'],
    ['javascript:alert(1)', '/'],
    ['/\t/evil.example', '/'],
    ['ui', '/'],
    ['/.//evil.example/x', '/'],
    ['/a/..//evil.example', '/'],
    ['/.//', '/'],
    ['/%2e//evil.example', '/'],
  ]
  for (const [next, path] of cases) assert.equal(pathOfNext(next), path, String(next))
})

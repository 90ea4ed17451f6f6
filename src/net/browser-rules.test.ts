/** What pages may do: names, origins, and who reads the answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BrowserRules, problemOfOrigin } from './browser-rules.ts'

type Headers = Readonly<Record<string, string>>
const of =
  (headers: Headers) =>
  (name: string): string | undefined =>
    headers[name]
const rulesOf = (corsOrigins: string[], externalUrl = ''): BrowserRules =>
  new BrowserRules({ allowedHosts: [], corsOrigins, externalUrl })
const isRefused = (rules: BrowserRules, headers: Headers, isAction = true): boolean =>
  rules.refusesOrigin(of(headers), isAction) !== undefined

test('by a foreign name nothing is read, and no page sends anything; a program may send', () => {
  const seen: string[] = []
  const rules = new BrowserRules({ allowedHosts: [], corsOrigins: [], onForeignHost: name => void seen.push(name) })
  const foreign = { host: 'rebind.example:8428' }
  for (const method of ['GET', 'HEAD', 'OPTIONS'])
    assert.match(rules.refusesHost(method, of(foreign)) ?? '', /does not answer to .*rebind\.example.*allowed_hosts/)
  for (const method of ['POST', 'PUT', 'DELETE']) {
    assert.ok(rules.refusesHost(method, of({ ...foreign, origin: 'http://rebind.example:8428' })))
    assert.equal(rules.refusesHost(method, of(foreign)), undefined, 'a program')
  }
  assert.equal(rules.refusesHost('GET', of({ host: '127.0.0.1:8428' })), undefined)
  assert.deepEqual(seen, ['rebind.example'])
  for (let i = 0; i < 50; i++) rules.refusesHost('GET', of({ host: `${i}.example` }))
  assert.equal(rules.foreignHosts.length, 20)
})

test('programs may act, pages of this server may, pages of other origins may not', () => {
  const rules = rulesOf([])
  const host = '127.0.0.1:8428'
  assert.equal(isRefused(rules, { host }), false)
  assert.equal(isRefused(rules, { host, origin: 'http://127.0.0.1:8428' }), false)
  const proxied = { host: 'inner:8428', 'x-forwarded-host': 'a.example, b.example' }
  assert.equal(isRefused(rules, { ...proxied, origin: 'https://b.example' }), false)
  assert.equal(isRefused(rules, { ...proxied, origin: 'https://c.example' }), true)
  for (const origin of ['http://evil.example', 'http://127.0.0.1:8429', 'null', 'nonsense', '', 'file://'])
    assert.equal(isRefused(rules, { host, origin }), true, origin)
  // Without an Origin a browser may still say where the page is from.
  for (const site of ['cross-site', 'same-site']) assert.equal(isRefused(rules, { host, 'sec-fetch-site': site }), true)
  for (const site of ['same-origin', 'none'])
    assert.equal(isRefused(rules, { host, 'sec-fetch-site': site }), false, site)
  // Behind a proxy that names itself as the host.
  const known = rulesOf([], 'https://tercet.example.net/below')
  assert.equal(isRefused(known, { host: 'inner', origin: 'https://tercet.example.net' }), false)
  assert.equal(isRefused(known, { host: 'inner', origin: 'https://tercet.example.org' }), true)
  assert.equal(known.refusesHost('GET', of({ host: 'tercet.example.net' })), undefined)
})

test('a listed origin may do all; a star lets any page read and send telemetry, and not act', () => {
  const listed = rulesOf(['https://app.example.net', 'https://b.example:443'])
  const any = rulesOf(['*'])
  const from = (origin: string): Headers => ({ host: '127.0.0.1:8428', origin })
  assert.equal(isRefused(listed, from('https://app.example.net')), false)
  assert.equal(isRefused(listed, from('https://b.example')), false)
  for (const origin of ['http://app.example.net', 'https://app.example.net:8443', 'https://x.app.example.net', 'null'])
    assert.equal(isRefused(listed, from(origin), false), true, origin)
  assert.equal(isRefused(any, from('https://evil.example'), false), false)
  assert.equal(isRefused(any, from('https://evil.example'), true), true)
})

test('pages of listed origins alone read answers, and never with cookies', () => {
  const acao = (rules: BrowserRules, origin?: string): string | undefined =>
    rules.headersOf(of(origin === undefined ? {} : { origin }))['access-control-allow-origin']
  assert.deepEqual(
    Object.keys(rulesOf([]).headersOf(of({ origin: 'https://a.example' }))).filter(name => /^access|^vary/.test(name)),
    [],
  )
  const listed = rulesOf(['https://a.example'])
  assert.equal(acao(listed, 'https://a.example'), 'https://a.example')
  assert.equal(acao(listed, 'https://evil.example'), undefined)
  for (const origin of ['https://a.example', 'https://evil.example'])
    assert.equal(listed.headersOf(of({ origin }))['vary'], 'origin', 'a cache keeps them apart')
  assert.equal(acao(rulesOf(['*']), 'https://evil.example'), '*')
  assert.equal(acao(rulesOf(['*', 'https://a.example']), 'https://a.example'), 'https://a.example')
  for (const rules of [listed, rulesOf(['*'])]) {
    const headers = of({ origin: 'https://a.example' })
    const preflight = rules.preflightOf(headers) ?? {}
    assert.match(preflight['access-control-allow-headers'] ?? '', /\bContent-Type\b.*\bX-Scope-OrgID\b/)
    assert.doesNotMatch(preflight['access-control-allow-headers'] ?? '', /X-Forwarded/i)
    assert.match(preflight['access-control-allow-methods'] ?? '', /POST/)
    assert.ok(!('access-control-allow-credentials' in { ...preflight, ...rules.headersOf(headers) }))
  }
  assert.equal(listed.preflightOf(of({ origin: 'https://evil.example' })), undefined)
  assert.equal(listed.preflightOf(of({})), undefined)
})

test('an entry of the list is an origin and nothing else', () => {
  for (const entry of ['*', 'https://a.example', 'http://127.0.0.1:3000', 'chrome-extension://abc', 'http://[::1]:1'])
    assert.equal(problemOfOrigin(entry), undefined, entry)
  for (const entry of [
    'a.example',
    'https://a.example/',
    'https://a.example/x',
    'https://*.example',
    'null',
    'https://',
  ])
    assert.match(problemOfOrigin(entry) ?? '', /is not an origin/, entry)
})

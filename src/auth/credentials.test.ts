/** The credentials file: what it may say, and how what is wrong is refused. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { signals } from '#core/signal-name.ts'
import { parseCredentials, type CredentialRules } from './credentials.ts'

const rules: CredentialRules = {
  hasTenancy: true,
  checkTenant: name => {
    if (name === 'index') throw new BadDataError('index is reserved')
  },
}
const hash = '"$scrypt$ln=4,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"'
const digest = 'ab'.repeat(32)

const read = (text: string, more: Partial<CredentialRules> = {}): ReturnType<typeof parseCredentials> =>
  parseCredentials(text, 'c.yaml', { ...rules, ...more })

test('a credential reads all signals of all tenants, unless it says otherwise', () => {
  const { users, tokens, certificates } = read(`
users:
  - { name: alice, password_hash: ${hash} }
tokens:
  - name: agent
    sha256: ${digest.toUpperCase()}
    verbs: [write, rules]
    signals: [metrics, logs]
    tenants: [a, b]
certificates:
  - name: node
    subject: CN=node,O=Acme
    labels: '{team="a",env!~"prod.*"}'
`)
  const plain = { verbs: ['read'], signals, tenants: undefined, labels: [] }
  assert.deepEqual(users.get('alice')?.grant, { ...plain, name: 'alice' })
  assert.deepEqual(tokens.get(digest), {
    name: 'agent',
    verbs: ['write', 'rules'],
    signals: ['metrics', 'logs'],
    tenants: ['a', 'b'],
    labels: [],
  })
  const labels = [
    { name: 'team', op: '=', value: 'a' },
    { name: 'env', op: '!~', value: 'prod.*' },
  ]
  assert.deepEqual(certificates.get('CN=node,O=Acme'), { ...plain, name: 'node', labels })
})

test('what is wrong is refused with its place, and hashes are not shown', () => {
  const token = (more: string): string => `tokens:\n  - { name: t, sha256: ${digest}${more} }`
  const cases: [text: string, message: RegExp][] = [
    ['', /nobody would get in/],
    ['users: []', /nobody would get in/],
    ['people: []', /people: unknown key; certificates, oidc, tokens, users are known here/],
    [token(', verb: [read]'), /^c.yaml:2:\d+: tokens\[0\].verb: unknown key/],
    [token(', verbs: [reads]'), /verbs\[0\]: "reads" is not known; read, write, rules, admin are/],
    [token(', signals: [events]'), /"events" is not known; metrics, logs, traces are/],
    [token(', tenants: [index]'), /tenants\[0\]: index is reserved/],
    [token(", labels: '{team='"), /labels: a selector such as \{team="a"\} was expected/],
    [token(', labels: \'up{team="a"}\''), /the name of the metric is no label of logs and traces/],
    [token(', labels: \'{team="a"}\', verbs: [read, admin]'), /bound to labels can't have the verb admin/],
    [token(', labels: \'{team="a"}\', verbs: [rules]'), /bound to labels can't have the verb rules/],
    ...[
      'tenants: []',
      'tenants: null',
      'tenants: ',
      'verbs: []',
      'signals: []',
      'labels: ""',
      'labels: ',
      "labels: '{}'",
    ].map((more): [string, RegExp] => [token(`, ${more}`), /^c.yaml:2:.*it names none: name some, or leave it out$/]),
    [`tokens:\n  - { sha256: ${digest} }`, /tokens\[0\]: a credential needs a name/],
    [`tokens:\n  - { name: t, sha256: abc }`, /sha256: 64 hexadecimal digits were expected/],
    [`${token('')}\n  - { name: t, sha256: ${'cd'.repeat(32)} }`, /name: "t" is the name of another credential/],
    [`${token('')}\n  - { name: u, sha256: ${digest} }`, /sha256: "u" has the same sha256 as "t"/],
    [`users:\n  - { name: 'a:b', password_hash: ${hash} }`, /a colon ends the name/],
    ['users:\n  - { name: a, password_hash: secret }', /password_hash: no hash of a password/],
    ['users:\n  - { name: a, password_hash: "$scrypt$ln=30,r=8,p=1$AAAA$AAAA" }', /names no cost of scrypt/],
    ['users:\n  - { name: a, password_hash: "$scrypt$ln=20,r=8,p=1$AAAA$AAAA" }', /memory to verify, the limit is/],
    ['users:\n  - { name: a, password_hash: "$scrypt$ln=4,r=8,p=1$AAAA$AAAA" }', /the hash is cut short/],
    ['certificates:\n  - { name: a }', /subject is missing/],
  ]
  for (const [text, message] of cases)
    assert.throws(
      () => read(text),
      (error: Error) => {
        assert.ok(error instanceof BadDataError)
        assert.match(error.message, message)
        assert.ok(!error.message.includes('secret'), error.message)
        return true
      },
    )
  assert.throws(() => read(token(', tenants: [a]'), { hasTenancy: false }), /needs tenancy: on/)
})

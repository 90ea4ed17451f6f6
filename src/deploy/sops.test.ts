/** Sealed files: what is hidden, what a change of a sealed file does, and what is refused. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { seededRandom } from '#core/random.ts'
import { readSopsConfig, ruleForPath } from './sops-config.ts'
import { secretRule, type SealRule } from './sops-rule.ts'
import { identitiesIn, seal, secretProblems, unseal } from './sops.ts'

const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const rule = secretRule([recipient])
const world = { random: seededRandom(1), nowMs: Date.UTC(2026, 10, 28) }

const secret = `kind: Secret
metadata:
  name: keys
stringData:
  # for the bucket
  ID: "1"
  KEY: two
`
const sealed = await seal(secret, rule, world)
const linesOf = (text: string): string[] => text.split('\n')
/** `name: ENC[…]`, without the indentation. */
const lineOf = (text: string, name: string): string => linesOf(text).find(l => l.trim().startsWith(`${name}:`)) ?? ''

test('data and its comments are hidden, and the rest stays in clear', () => {
  assert.deepEqual(linesOf(sealed).slice(0, 3), ['kind: Secret', 'metadata:', '  name: keys'])
  for (const word of ['two', 'for the bucket']) assert.ok(!sealed.includes(word), word)
  assert.match(sealed, /lastmodified: ("?)2026-11-28T00:00:00Z\1/)
})

test('the clear form comes back, comments and quotes included', async () => {
  assert.equal(await unseal(sealed, [identity]), secret)
})

test('a file that did not change is given back as it is', async () => {
  assert.equal(await seal(secret, rule, world, { text: sealed, identities: [identity] }), sealed)
})

test('a changed value alone gets another ciphertext', async () => {
  const before = { text: sealed, identities: [identity] }
  const changed = await seal(secret.replace('two', 'three'), rule, world, before)
  assert.equal(lineOf(changed, 'ID'), lineOf(sealed, 'ID'))
  assert.notEqual(lineOf(changed, 'KEY'), lineOf(sealed, 'KEY'))
  assert.match(await unseal(changed, [identity]), /KEY: three/)
})

test('a change in clear is seen, and the ciphertexts stay', async () => {
  const before = { text: sealed, identities: [identity] }
  const changed = await seal(secret.replace('name: keys', 'name: others'), rule, world, before)
  assert.match(changed, /name: others/)
  assert.equal(lineOf(changed, 'KEY'), lineOf(sealed, 'KEY'))
})

test('where the earlier file can not be opened, everything is sealed again', async () => {
  const again = await seal(secret, rule, world, { text: sealed, identities: [] })
  assert.notEqual(lineOf(again, 'KEY'), lineOf(sealed, 'KEY'))
  assert.equal(await unseal(again, [identity]), secret)
})

const tampered: readonly (readonly [name: string, change: (text: string) => string, message: RegExp])[] = [
  ['two values that changed places', swapValues, /was changed after it was sealed, moved from another place/],
  ['a value in clear', text => text.replace(lineOf(text, 'KEY'), '  KEY: 5'), /^stringData\.KEY: not encrypted/],
  ['a value that was removed', text => text.replace(`${lineOf(text, 'KEY')}\n`, ''), /^the MAC does not fit/],
  ['a tag that was cut', text => text.replace(/tag:[^,]{4}/, 'tag:'), /the tag has \d+ bytes; 16 were expected/],
]
function swapValues(text: string): string {
  const [id, key] = ['ID', 'KEY'].map(name => lineOf(text, name).replace(/^.*?: /, ''))
  return text.replace(`KEY: ${key}`, `KEY: ${id}`)
}
for (const [name, change, message] of tampered)
  test(`${name}: refused as corrupt`, async () => {
    await assert.rejects(unseal(change(sealed), [identity]), (error: unknown) => {
      assert.ok(error instanceof CorruptDataError)
      assert.match(error.message, message)
      return true
    })
  })

const unsealable: readonly (readonly [text: string, message: RegExp])[] = [
  ['- 1', /^a map was expected$/],
  ['a: [', /^no YAML: /],
  ['a: 1\n---\nb: 2', /several documents/],
  ['data: 1e30', /^data: the number 1e\+30 has more than one way/],
  ['data: 2026-11-28', /^data: 2026-11-28 without quotes is a time to some/],
  ['a: &x 1\ndata: *x', /^data: an alias can't be sealed/],
  ['sops: { age: [] }', /^the file is sealed already$/],
]
for (const [text, message] of unsealable)
  test(`${text.replaceAll('\n', ' / ')} can't be sealed`, async () => {
    await assert.rejects(
      seal(text, rule, world),
      (error: unknown) => error instanceof BadDataError && message.test(error.message),
    )
  })

test('without a recipient nobody could open it', async () => {
  await assert.rejects(seal(secret, secretRule([]), world), /no age recipient/)
  await assert.rejects(seal(secret, secretRule(['age1nonsense']), world), /age1nonsense is no age recipient/)
})

const commits: readonly (readonly [name: string, text: string, problems: readonly string[]])[] = [
  ['a sealed Secret', sealed, []],
  ['no Secret', 'kind: ConfigMap\ndata: { a: b }', []],
  [
    'a Secret in clear',
    secret,
    ['the Secret keys is not sealed: stringData.ID is in clear, stringData.KEY is in clear'],
  ],
  [
    'a sealed file with a value in clear',
    sealed.replace(lineOf(sealed, 'KEY'), '  KEY: x'),
    ['stringData.KEY is in clear'],
  ],
  ['no YAML', 'a: [', []],
]
for (const [name, text, problems] of commits)
  test(`before a commit: ${name}`, async () => {
    assert.deepEqual(await secretProblems(text), problems)
  })

const otherRule = (text: string): SealRule | undefined =>
  ruleForPath(readSopsConfig(`creation_rules: [${text}]`), 'apps/x/secret.sops.yaml')
const configs: readonly (readonly [text: string, expected: Partial<SealRule> | RegExp | undefined])[] = [
  [
    '{ path_regex: apps/, encrypted_regex: ^data$, age: "age1a, age1b" }',
    { encryptedRegex: '^data$', recipients: ['age1a', 'age1b'] },
  ],
  ['{ key_groups: [{ age: [age1a] }, { age: [age1b] }] }', { recipients: ['age1a', 'age1b'] }],
  [
    '{ unencrypted_suffix: _open, age: [age1a], mac_only_encrypted: true }',
    { unencryptedSuffix: '_open', macOnlyEncrypted: true },
  ],
  ['{ path_regex: other/, age: age1a }', undefined],
  ['{ path_regex: apps/ }', /^\.sops\.yaml: creation_rules\[0\] names no age recipient$/],
  [
    '{ age: age1a, encrypted_regex: a, encrypted_suffix: b }',
    /creation_rules\[0\] has encrypted_regex and encrypted_suffix/,
  ],
]
for (const [text, expected] of configs)
  test(`.sops.yaml with ${text}`, () => {
    if (expected instanceof RegExp) assert.throws(() => otherRule(text), { message: expected })
    else if (expected === undefined) assert.equal(otherRule(text), undefined)
    else assert.partialDeepStrictEqual(otherRule(text), expected)
  })

test('identities are the lines of keys', () => {
  assert.deepEqual(identitiesIn('# created\n  AGE-SECRET-KEY-1A\nage1a\nAGE-SECRET-KEY-1B\n'), [
    'AGE-SECRET-KEY-1A',
    'AGE-SECRET-KEY-1B',
  ])
})

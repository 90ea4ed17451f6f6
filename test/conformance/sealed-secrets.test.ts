/**
 * Sealed files: opened by an independent reader and by age itself, tampering shows, what did not change stays
 * (req-016 req-017 req-124 req-138 req-157 req-167 req-173).
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createDecipheriv } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { decryptSops } from 'sops-age'
import { parse } from 'yaml'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { seededRandom } from '#core/random.ts'
import { needs, programPath } from '../peers.ts'
import { readSopsConfig, ruleForPath, sopsConfigText } from '#deploy/sops-config.ts'
import { secretRule, type SealRule } from '#deploy/sops-rule.ts'
import { identitiesIn, seal, secretProblems, unseal } from '#deploy/sops.ts'

const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const other = await generateX25519Identity()
const otherRecipient = await identityToRecipient(other)
const world = { random: seededRandom(1), nowMs: Date.UTC(2026, 10, 28) }
const later = { random: seededRandom(2), nowMs: Date.UTC(2026, 10, 29) }
const secret = `apiVersion: v1
kind: Secret
metadata:
  name: loki-s3-secret
  # A label
  labels: {app: loki}
stringData:
  # not for everybody
  S3_ACCESS_KEY_ID: AKIA-öäü-🔑
  S3_SECRET_ACCESS_KEY: "two
    lines: and # no comment"
  EMPTY: ""
  NOTHING: null
`

test('a sealed Secret opens with another reader, and says in clear what Flux needs', async () => {
  const sealed = await seal(secret, secretRule([recipient, otherRecipient]), world)
  for (const word of ['AKIA', 'two', 'not for everybody']) assert.ok(!sealed.includes(word), word)
  const clear = parse(sealed) as { kind: string; metadata: object; stringData: Record<string, string> }
  assert.equal(clear.kind, 'Secret')
  assert.deepEqual(clear.metadata, { name: 'loki-s3-secret', labels: { app: 'loki' } })
  for (const [name, value] of Object.entries(clear.stringData))
    if (value) assert.match(value, /^ENC\[AES256_GCM,data:.*,type:str\]$/, name)
  for (const key of [identity, other]) {
    const opened = (await decryptSops(sealed, { secretKey: key, fileType: 'yaml' })) as {
      stringData: Record<string, unknown>
    }
    assert.deepEqual(opened.stringData, (parse(secret) as typeof opened).stringData)
    assert.deepEqual(parse(await unseal(sealed, [key])), parse(secret))
  }
  assert.match(await unseal(sealed, [identity]), /# not for everybody/)
  await assert.rejects(unseal(sealed, [await generateX25519Identity()]), BadDataError)
  await assert.rejects(unseal(sealed, []), /SOPS_AGE_KEY/)
})

test('all kinds of values and rules', async () => {
  const text =
    'a: 1\nb: -2.5\nc: true\nd: false\n' +
    'e: text\nf: [1, two, {g: 3}]\nbig: 123456789012345678901\n' +
    'h_unencrypted: open\nnested:\n  pass: p\n' +
    '  user: u\n'
  const rules: SealRule[] = [
    { macOnlyEncrypted: false, recipients: [recipient] },
    { encryptedRegex: '^(pass|f)$', macOnlyEncrypted: false, recipients: [recipient] },
    { unencryptedRegex: '^user$', macOnlyEncrypted: true, recipients: [recipient] },
    { encryptedSuffix: 'ss', macOnlyEncrypted: true, recipients: [recipient] },
  ]
  const hidden = [11, 4, 11, 1]
  for (const [i, rule] of rules.entries()) {
    const sealed = await seal(text, rule, world)
    assert.equal(sealed.match(/ENC\[/g)?.length, hidden[i]! + 1, sealed)
    assert.deepEqual(parse(await unseal(sealed, [identity]), { intAsBigInt: true }), parse(text, { intAsBigInt: true }))
    const opened = (await decryptSops(sealed, { secretKey: identity, fileType: 'yaml' })) as Record<string, unknown>
    assert.deepEqual(
      [opened['a'], opened['b'], opened['c'], opened['d'], opened['e'], opened['nested']],
      [1, -2.5, true, false, 'text', { pass: 'p', user: 'u' }],
    )
  }
  for (const bad of ['a: 1e30', 'a: 2026-11-28', '- 1', 'a: &x 1\nb: *x', 'a: 1\n---\nb: 2', 'a: [', 'sops: 1'])
    await assert.rejects(seal(bad, rules[0]!, world), BadDataError, bad)
  await assert.rejects(seal('a: 1', { macOnlyEncrypted: true, recipients: [] }, world), /nobody could open it/)
  await assert.rejects(seal('a: 1', { macOnlyEncrypted: true, recipients: ['age1nonsense'] }, world), BadDataError)
})

test('age itself opens the data key, and with it a value', needs('age'), async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-sops-'))
  try {
    const sealed = parse(await seal(secret, secretRule([recipient]), world)) as {
      stringData: Record<string, string>
      sops: { age: { enc: string }[] }
    }
    writeFileSync(join(directory, 'key'), `# created by a test\n${identity}\n`)
    writeFileSync(join(directory, 'enc'), sealed.sops.age[0]!.enc)
    const opened = spawnSync(programPath('age')!, ['--decrypt', '-i', join(directory, 'key'), join(directory, 'enc')])
    assert.equal(opened.status, 0, opened.stderr.toString())
    const [, data, iv, tag] = /data:(.*),iv:(.*),tag:(.*),type/.exec(sealed.stringData['S3_ACCESS_KEY_ID']!)!
    const decipher = createDecipheriv('aes-256-gcm', opened.stdout, Buffer.from(iv!, 'base64'))
      .setAAD(Buffer.from('stringData:S3_ACCESS_KEY_ID:'))
      .setAuthTag(Buffer.from(tag!, 'base64'))
    assert.equal(decipher.update(data!, 'base64', 'utf8') + decipher.final('utf8'), 'AKIA-öäü-🔑')
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('tampering is detected, wherever it is', async () => {
  const all: SealRule = { encryptedRegex: '^stringData$', macOnlyEncrypted: false, recipients: [recipient] }
  const sealed = await seal(secret, all, world)
  const changed = [
    sealed.replace('name: loki-s3-secret', 'name: other'),
    sealed.replace(/(S3_ACCESS_KEY_ID: )(.*)\n( +S3_SECRET_ACCESS_KEY: )(.*)/, '$1$4\n$3$2'),
    sealed.replace(/ +S3_ACCESS_KEY_ID: .*\n/, ''),
    sealed.replace(
      /(S3_ACCESS_KEY_ID: ENC\[AES256_GCM,data:)(.)/,
      (_, head: string, letter: string) => `${head}${letter === 'A' ? 'B' : 'A'}`,
    ),
    sealed.replace(/lastmodified: .*/, 'lastmodified: 2020-01-01T00:00:00Z'),
    sealed.replace(/S3_ACCESS_KEY_ID: .*/, 'S3_ACCESS_KEY_ID: plain'),
    sealed.replace(/EMPTY: ""/, 'EMPTY: added'),
  ]
  for (const [i, text] of changed.entries()) {
    assert.notEqual(text, sealed)
    await assert.rejects(unseal(text, [identity]), CorruptDataError, String(i))
    assert.notDeepEqual(await secretProblems(text, [identity]), [], String(i))
  }
  // Only encrypted values are in this MAC: a label may change.
  const open = await seal(secret, secretRule([recipient]), world)
  await unseal(open.replace('app: loki', 'app: other'), [identity])
})

test('what did not change keeps its bytes', async () => {
  const rule = secretRule([recipient])
  const sealed = await seal(secret, rule, world)
  const before = { text: sealed, identities: [identity] }
  assert.equal(await seal(secret, rule, later, before), sealed)
  const line = (text: string, name: string): string =>
    new Map(text.split('\n').map(l => [l.trim().split(':')[0]!, l])).get(name)!
  const rotated = await seal(secret.replace('AKIA', 'NEW'), rule, later, before)
  assert.equal(line(rotated, 'S3_SECRET_ACCESS_KEY'), line(sealed, 'S3_SECRET_ACCESS_KEY'))
  assert.notEqual(line(rotated, 'S3_ACCESS_KEY_ID'), line(sealed, 'S3_ACCESS_KEY_ID'))
  assert.match(await unseal(rotated, [identity]), /NEW-öäü/)
  const labelled = await seal(secret.replace('{app: loki}', '{app: other}'), rule, later, before)
  assert.match(labelled, /app: other/)
  assert.equal(line(labelled, 'S3_ACCESS_KEY_ID'), line(sealed, 'S3_ACCESS_KEY_ID'))
  const moreReaders = await seal(secret, secretRule([recipient, otherRecipient]), later, before)
  assert.notEqual(line(moreReaders, 'S3_ACCESS_KEY_ID'), line(sealed, 'S3_ACCESS_KEY_ID'))
  await unseal(moreReaders, [other])
})

test('check-secrets tells a Secret in clear from a sealed one; .sops.yaml names the rule', async () => {
  const sealed = await seal(secret, secretRule([recipient]), world)
  assert.deepEqual(await secretProblems(sealed), [])
  assert.match(
    (await secretProblems(secret))[0]!,
    /loki-s3-secret is not sealed: stringData.S3_ACCESS_KEY_ID is in clear/,
  )
  assert.equal((await secretProblems(`kind: ConfigMap\ndata: {a: b}\n---\n${secret}`)).length, 1)
  assert.deepEqual(await secretProblems('kind: ConfigMap\ndata: {a: b}\n'), [])
  const rules = readSopsConfig(sopsConfigText([recipient, otherRecipient], 'kubernetes/apps'))
  assert.deepEqual(
    ruleForPath(rules, 'kubernetes/apps/monitoring/loki/app/secret.sops.yaml'),
    secretRule([recipient, otherRecipient]),
  )
  assert.equal(ruleForPath(rules, 'elsewhere/secret.yaml'), undefined)
  assert.throws(() => readSopsConfig('creation_rules: [{path_regex: x}]'), /names no age recipient/)
  assert.deepEqual(identitiesIn(`# a\n${identity}\n`), [identity])
})

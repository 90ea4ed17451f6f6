/** Groups of rules as rulers store them: to bytes and back, and their keys. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import type { StoredGroup } from '#model/rule-group.ts'
import { checkDamage } from '../../../test/damage.ts'
import { decodeRuleGroup, encodeRuleGroup, parseRuleGroupKey, ruleGroupKey } from './rule-group.ts'

const group: StoredGroup = {
  name: 'g',
  namespace: 'space / ü',
  tenant: 'fake',
  intervalMs: 90_500,
  queryOffsetMs: 0,
  limit: 7,
  labels: [['team', 'a']],
  rules: [
    {
      record: '',
      alert: 'Many',
      expr: 'x > 1',
      forMs: 600_000,
      keepFiringForMs: 1,
      labels: [['severity', '']],
      annotations: [['summary', 'ä\n']],
    },
    { record: 'r', alert: '', expr: 'x', forMs: 0, keepFiringForMs: 0, labels: [], annotations: [] },
  ],
}

test('a group comes back as it went', () => {
  assert.deepEqual(decodeRuleGroup(encodeRuleGroup(group)), group)
  const bare = { ...group, queryOffsetMs: undefined, labels: [], rules: [] }
  assert.deepEqual(decodeRuleGroup(encodeRuleGroup(bare)), bare)
})

test('fields lie where the public message definition has them', () => {
  // Name, interval of 60 s, a rule with expression and alert, and a field of a later version.
  const bytes = Buffer.from('0a0167' + '1a02083c' + '22060a01781a0141' + 'a2060178', 'hex')
  const read = decodeRuleGroup(bytes)
  assert.deepEqual([read.name, read.intervalMs, read.rules[0]?.expr, read.rules[0]?.alert], ['g', 60_000, 'x', 'A'])
})

test('damaged bytes are refused, or are another group', () => {
  checkDamage(encodeRuleGroup(group), decodeRuleGroup, { errors: [CorruptDataError] })
  assert.throws(() => decodeRuleGroup(new Uint8Array(0)), CorruptDataError)
})

test('keys name tenant, namespace and group', () => {
  assert.equal(ruleGroupKey('fake', 'space', 'g'), 'fake/c3BhY2U=/Zw==')
  assert.equal(ruleGroupKey('a', '???', '>>>'), 'a/Pz8_/Pj4-')
  for (const [tenant, namespace, name] of [
    ['fake', 'space / ü', 'g'],
    ['a.b', '>>>???', '..'],
  ] as const)
    assert.deepEqual(parseRuleGroupKey(ruleGroupKey(tenant, namespace, name)), { tenant, namespace, name })
  for (const key of [
    '',
    'fake',
    'fake/c3BhY2U=',
    'fake/c3BhY2U=/Zw==/x',
    'fake/c3BhY2U/Zw==',
    '/c3BhY2U=/Zw==',
    'a//b',
  ])
    assert.equal(parseRuleGroupKey(key), undefined, key)
})

/** Relabelling: rules in Prometheus' own notation, labels before and after. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parseSettings } from '../settings/section.ts'
import { readRelabelRules, relabel } from './relabel.ts'

function rulesOf(text: string): ReturnType<typeof readRelabelRules> {
  return readRelabelRules(parseSettings(text, 'rules.yml').list())
}

/** `{a=1, b=2}` as pairs. */
function labelsOf(text: string): Map<string, string> {
  return new Map(
    text
      .split(',')
      .filter(part => part !== '')
      .map(part => part.split('=') as [string, string]),
  )
}

const before = 'a=foo,b=bar,c=baz,__meta_x=1'
const cases: readonly { rule: string; from?: string; after: string | undefined }[] = [
  {
    rule: '- { source_labels: [a], regex: "f(.*)", target_label: d, replacement: "ch${1}-ch${1}" }',
    after: `${before},d=choo-choo`,
  },
  {
    rule: '- { source_labels: [a, b], regex: "foo;bar", target_label: d, replacement: "hit" }',
    after: `${before},d=hit`,
  },
  { rule: '- { source_labels: [a, b], separator: "/", target_label: d }', after: `${before},d=foo/bar` },
  // An expression is anchored on both sides.
  { rule: '- { source_labels: [a], regex: "fo", target_label: d, replacement: "hit" }', after: before },
  { rule: '- { source_labels: [a], regex: "nope", target_label: d, replacement: "x" }', after: before },
  { rule: '- { target_label: a, replacement: "" }', after: 'b=bar,c=baz,__meta_x=1' },
  { rule: '- { source_labels: [a], regex: "foo", action: keep }', after: before },
  { rule: '- { source_labels: [a], regex: "no", action: keep }', after: undefined },
  { rule: '- { source_labels: [a], regex: "f.*", action: drop }', after: undefined },
  { rule: '- { source_labels: [a], regex: "no", action: drop }', after: before },
  { rule: '- { regex: "__meta_(.+)", replacement: "m_${1}", action: labelmap }', after: `${before},m_x=1` },
  { rule: '- { regex: "[ab]", action: labeldrop }', after: 'c=baz,__meta_x=1' },
  { rule: '- { regex: "[ab]", action: labelkeep }', after: 'a=foo,b=bar' },
  { rule: '- { source_labels: [a], target_label: A, action: uppercase }', after: `${before},A=FOO` },
  { rule: '- { source_labels: [a], target_label: d, action: lowercase }', from: 'a=FoO', after: 'a=FoO,d=foo' },
  { rule: '- { source_labels: [a], target_label: b, action: keepequal }', from: 'a=x,b=x', after: 'a=x,b=x' },
  { rule: '- { source_labels: [a], target_label: b, action: keepequal }', after: undefined },
  { rule: '- { source_labels: [a], target_label: b, action: dropequal }', from: 'a=x,b=x', after: undefined },
  { rule: '- { source_labels: [a], target_label: b, action: dropequal }', after: before },
  {
    rule: '- { source_labels: [b], regex: "(bar)", target_label: "${1}_x", replacement: "y" }',
    after: `${before},bar_x=y`,
  },
  // A rule sees what the rules before it made.
  {
    rule: '- { source_labels: [a], target_label: d }\n- { source_labels: [d], regex: foo, action: drop }',
    after: undefined,
  },
]
for (const { rule, from = before, after } of cases)
  test(`${rule.replaceAll('\n', ' ')} over {${from}}`, () => {
    const labels = labelsOf(from)
    const isKept = relabel(labels, rulesOf(rule))
    assert.equal(isKept, after !== undefined)
    if (after !== undefined) assert.deepEqual(Object.fromEntries(labels), Object.fromEntries(labelsOf(after)))
  })

test('hashmod: the same source gives the same number below the modulus', () => {
  const rules = rulesOf('- { source_labels: [a], target_label: shard, modulus: 8, action: hashmod }')
  const shards = new Set<string>()
  for (let i = 0; i < 200; i++) {
    const labels = new Map([['a', `host-${i}`]])
    assert.ok(relabel(labels, rules))
    const shard = labels.get('shard') ?? ''
    assert.match(shard, /^[0-7]$/)
    shards.add(shard)
    const again = new Map([['a', `host-${i}`]])
    relabel(again, rules)
    assert.equal(again.get('shard'), shard)
  }
  assert.equal(shards.size, 8)
})

for (const [rule, problem] of [
  ['- { action: nosuch }', /rules\.yml:1:\d+: .*unknown relabel action "nosuch"/],
  ['- { source_labels: [a], regex: "(", target_label: b }', /rules\.yml:1/],
  ['- { source_labels: [a] }', /rules\.yml:1/],
  ['- { source_labels: [a], target_label: b, action: hashmod }', /modulus/],
  ['- { source_label: [a], target_label: b }', /source_label/],
] as const)
  test(`${rule} is refused with its place`, () => {
    assert.throws(() => rulesOf(rule), problem)
  })

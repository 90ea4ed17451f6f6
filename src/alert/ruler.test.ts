/** Groups that are set through an API: what is stored, shown and evaluated, and what a store that fails leaves. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ForbiddenError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { StoredGroup } from '#model/rule-group.ts'
import { ruleGroupYaml, ruleNamespacesYaml } from './rule-group-yaml.ts'
import { Ruler, type RulerOptions, type StoredGroups } from './ruler.ts'

class KeptGroups implements StoredGroups {
  readonly kept = new Map<string, StoredGroup>()
  isFailing = false

  #keyOf(tenant: string, namespace: string, name: string): string {
    if (this.isFailing) throw new Error('the store is away')
    return `${tenant}/${namespace}/${name}`
  }

  async list(): Promise<StoredGroup[]> {
    if (this.isFailing) throw new Error('the store is away')
    return [...this.kept.values()]
  }
  async put(group: StoredGroup): Promise<void> {
    this.kept.set(this.#keyOf(group.tenant, group.namespace, group.name), group)
  }
  async remove(tenant: string, namespace: string, name: string): Promise<void> {
    this.kept.delete(this.#keyOf(tenant, namespace, name))
  }
}

interface Made {
  ruler: Ruler
  clock: VirtualClock
  /** Calls of `onChange` since the groups were read. */
  changes: () => number
}

/** A ruler that has read its groups. */
async function makeRead(groups: StoredGroups, more: Partial<RulerOptions> = {}): Promise<Made> {
  const made = makeRuler(groups, more)
  await made.ruler.read()
  const before = made.changes()
  return { ...made, changes: () => made.changes() - before }
}

function makeRuler(groups: StoredGroups, more: Partial<RulerOptions> = {}): Made {
  let changes = 0
  const clock = new VirtualClock(0)
  const ruler = new Ruler({
    clock,
    api: 'loki',
    language: 'logql',
    groups,
    log: silentLog,
    groupsMax: () => 3,
    groupCharactersMax: 4000,
    allCharactersMax: 8000,
    isReader: false,
    onChange: () => {
      changes++
    },
    ...more,
  })
  return { ruler, clock, changes: () => changes }
}

const full = `
name: g
interval: 90s
query_offset: 5s
limit: 7
labels: { team: a }
rules:
  - alert: Many
    expr: sum by (app) (rate({app=~".+"} |= "error" [5m])) > 3
    for: 10m
    keep_firing_for: 1m
    labels: { severity: page }
    annotations: { summary: '{{ $labels.app }}: 100 %{x}' }
  - record: app:errors
    expr: sum(count_over_time({app="x"}[1m]))
`
const simple = (name: string, expr = 'count_over_time({a="b"}[1m])'): string =>
  `{ name: ${name}, rules: [{ record: r, expr: '${expr}' }] }`

test('a group comes back as it was set, also in another process', async () => {
  const groups = new KeptGroups()
  const { ruler, changes } = await makeRead(groups)
  await ruler.set('t', 'space', full)
  assert.equal(changes(), 1)
  const yaml = ruleGroupYaml(await ruler.find('t', 'space', 'g'))
  assert.equal(
    yaml,
    `name: g
interval: 1m30s
query_offset: 5s
limit: 7
labels:
    team: a
rules:
    - alert: Many
      expr: sum by (app) (rate({app=~".+"} |= "error" [5m])) > 3
      for: 10m
      keep_firing_for: 1m
      labels:
          severity: page
      annotations:
          summary: "{{ $labels.app }}: 100 %{x}"
    - record: app:errors
      expr: sum(count_over_time({app="x"}[1m]))
`,
  )
  const { ruler: next } = await makeRead(groups)
  assert.equal(ruleGroupYaml(await next.find('t', 'space', 'g')), yaml)
  assert.deepEqual(next.settings(), ruler.settings())
  const [settings] = next.settings()
  assert.deepEqual(settings?.owner, { api: 'loki', tenant: 't' })
  assert.deepEqual(
    [settings?.file, settings?.intervalMs, settings?.queryOffsetMs, settings?.limit, settings?.rules[0]?.forMs],
    ['space', 90_000, 5000, 7, 600_000],
  )
})

test('groups are listed by namespace, each tenant its own', async () => {
  const { ruler } = await makeRead(new KeptGroups())
  for (const [tenant, namespace, name] of [
    ['t', 'b', 'two'],
    ['t', 'b', 'one'],
    ['t', 'a', 'x'],
    ['u', 'a', 'y'],
  ] as const)
    await ruler.set(tenant, namespace, simple(name))
  const names = async (...asked: [string, string?]): Promise<string[]> =>
    [...(await ruler.list(...asked))].map(([space, list]) => `${space}: ${list.map(group => group.name).join(' ')}`)
  assert.deepEqual(await names('t'), ['a: x', 'b: one two'])
  assert.deepEqual(await names('t', 'b'), ['b: one two'])
  assert.deepEqual(await names('u'), ['a: y'])
  assert.deepEqual(await names('nobody'), [])
  assert.match(ruleNamespacesYaml(await ruler.list('u')), /^a:\n {4}- name: y\n/)
})

test('what is refused leaves no trace, and says why', async () => {
  const groups = new KeptGroups()
  const { ruler, changes } = await makeRead(groups)
  const refused: [text: string, message: RegExp][] = [
    ['', /groupname must not be empty/],
    ['[]', /a section/],
    ['name: [', /space:1:/],
    [simple('g', 'sum('), /could not parse expression: /],
    [simple('g', 'up == 0'), /could not parse expression: /],
    ['{ name: g, rules: [{ alert: A, record: b, expr: x }] }', /only one of 'record' and 'alert'/],
    ['{ name: g, nobody: knows, rules: [] }', /unknown key/],
    ['{ name: g, source_tenants: [a], rules: [] }', /not carried out/],
    [`{ name: ${'g'.repeat(181)}, rules: [] }`, /the name of the group has more than 180 bytes/],
    [`{ name: g, rules: [${'{},'.repeat(1001)}] }`, /1001 rules, 1000 are allowed/],
    [`{ name: g, rules: [] } #${'x'.repeat(4000)}`, /4000 are allowed/],
  ]
  for (const [text, message] of refused)
    await assert.rejects(async () => ruler.set('t', 'space', text), message, text.slice(0, 60))
  assert.deepEqual([groups.kept.size, ruler.settings().length, changes()], [0, 0, 0])
})

test('no group of a tenant that is being deleted is set', async () => {
  const groups = new KeptGroups()
  const { ruler, changes } = await makeRead(groups, { isDeleted: tenant => tenant === 'a' })
  const text = 'name: g\nrules:\n  - record: r\n    expr: sum(rate({app="x"}[1m]))\n'
  await assert.rejects(ruler.set('a', 'space', text), ForbiddenError)
  assert.equal(groups.kept.size + changes(), 0)
  await ruler.set('ab', 'space', text)
  assert.equal(groups.kept.size, 1)
})

test('so many groups of a tenant, so many characters of all', async () => {
  const { ruler } = await makeRead(new KeptGroups(), { allCharactersMax: 600 })
  for (const name of ['a', 'b', 'c']) await ruler.set('t', 'space', simple(name))
  await assert.rejects(
    async () => ruler.set('t', 'space', simple('d')),
    /3 groups of rules, limits.rule_groups allows 3/,
  )
  await ruler.set('t', 'space', simple('c', 'rate({a="b"}[1m])'))
  await ruler.set('u', 'space', simple('d'))
  await assert.rejects(
    async () => ruler.set('u', 'space', simple('e', `rate({a="${'x'.repeat(300)}"}[1m])`)),
    /600 are/,
  )
})

test('a tenant that has filled the room for rules leaves others their equal part of it', async () => {
  const { ruler } = await makeRead(new KeptGroups(), { allCharactersMax: 600 })
  const long = (name: string, characters: number): string => simple(name, `rate({a="${'x'.repeat(characters)}"}[1m])`)
  await ruler.set('t', 'space', long('a', 450))
  await ruler.set('u', 'space', long('a', 150))
  await assert.rejects(async () => ruler.set('u', 'space', long('b', 150)), /600 are allowed/)
  await assert.rejects(async () => ruler.set('t', 'space', simple('b')), /600 are allowed/)
})

test('a store that fails changes nothing', async () => {
  const groups = new KeptGroups()
  const { ruler, changes } = await makeRead(groups)
  await ruler.set('t', 'space', simple('a'))
  groups.isFailing = true
  await assert.rejects(async () => ruler.set('t', 'space', simple('b')), /the store is away/)
  await assert.rejects(async () => ruler.remove('t', 'space', 'a'), /the store is away/)
  assert.deepEqual(
    ruler.settings().map(({ name }) => name),
    ['a'],
  )
  groups.isFailing = false
  await ruler.set('t', 'space', simple('b'))
  assert.equal(changes(), 3)
})

test('a group is removed by its name, or with its namespace', async () => {
  const groups = new KeptGroups()
  const { ruler } = await makeRead(groups)
  for (const name of ['a', 'b', 'c']) await ruler.set('t', 'space', simple(name))
  await ruler.remove('t', 'space', 'b')
  assert.deepEqual([...groups.kept.keys()], ['t/space/a', 't/space/c'])
  await ruler.remove('t', 'space')
  assert.deepEqual([groups.kept.size, ruler.settings().length], [0, 0])
  const gone: [tenant: string, namespace: string, name?: string][] = [
    ['t', 'space'],
    ['t', 'space', 'a'],
    ['u', 'space'],
  ]
  for (const one of gone) await assert.rejects(async () => ruler.remove(...one), /group (namespace )?does not exist/)
})

test('a stored group that can not be evaluated is listed, and is a problem', async () => {
  const groups = new KeptGroups()
  const { ruler } = await makeRead(groups)
  await ruler.set('t', 'space', simple('a'))
  await ruler.set('t', 'space', simple('b'))
  const stored = groups.kept.get('t/space/a')!
  groups.kept.set('t/space/a', { ...stored, rules: [{ ...stored.rules[0]!, expr: 'new_function({a="b"}[1m])' }] })
  const { ruler: next } = await makeRead(groups)
  assert.deepEqual(
    next.settings().map(({ name }) => name),
    ['b'],
  )
  assert.match(
    next.warnings.join(),
    /^a stored rule is left out: t, namespace "space", group "a": space:4:13: rules\[0\].expr: could not parse/,
  )
  assert.deepEqual([...(await next.list('t')).values()].flat().length, 2)
})

test('a store that is away at the start: nothing is listed or set, and the groups come when it does', async () => {
  const groups = new KeptGroups()
  const { ruler: before } = await makeRead(groups)
  await before.set('t', 'space', simple('a'))
  groups.isFailing = true
  const { ruler, clock, changes } = makeRuler(groups)
  const isRead = ruler.read()
  await clock.advance(2000)
  await isRead
  const unread = /the groups of rules are not read yet: the store is away/
  assert.match(ruler.warnings.join(), unread)
  for (const work of [
    () => ruler.list('t'),
    () => ruler.find('t', 'space', 'a'),
    () => ruler.set('t', 'space', simple('a')),
    () => ruler.remove('t', 'space', 'a'),
  ])
    await assert.rejects(work, { name: 'UnavailableError', message: unread })
  groups.isFailing = false
  await clock.advance(10_000)
  assert.deepEqual([...(await ruler.list('t')).keys()], ['space'])
  assert.deepEqual([ruler.warnings, ruler.settings().length, changes()], [[], 1, 1])
  ruler.close()
})

test('a store that is away later: what was read stays', async () => {
  const groups = new KeptGroups()
  const { ruler, clock } = await makeRead(groups)
  await ruler.set('t', 'space', simple('a'))
  groups.isFailing = true
  const isRead = ruler.read()
  await clock.advance(2000)
  await isRead
  assert.deepEqual([...(await ruler.list('t')).keys()], ['space'])
  assert.deepEqual([ruler.warnings, ruler.settings().length], [[], 1])
  ruler.close()
})

test('a store that does not answer at the start keeps nobody waiting', async () => {
  const groups = new KeptGroups()
  const never = new Promise<never>(() => {})
  groups.list = () => never
  const { ruler, clock } = makeRuler(groups)
  const isRead = ruler.read()
  await clock.advance(2000)
  await isRead
  assert.match(ruler.warnings.join(), /not read yet: the store has not answered yet/)
  ruler.close()
})

/** Rules and alerts as Prometheus lists them: filters, pages, values. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Labels } from '#model/labels.ts'
import { ask } from '#net/handler-kit.ts'
import type { ScopeOf } from '../tenancy.ts'
import { ruleRoutes, type AlertView, type GroupView, type RuleView } from './rules.ts'

const alert: AlertView = {
  labels: Labels.fromObject({ alertname: 'Down', severity: 'page' }),
  annotations: Labels.fromObject({ summary: 's' }),
  state: 'firing',
  activeMs: Date.UTC(2026, 10, 28, 12),
  keepFiringSinceMs: 0,
  value: 12_345,
}

function rule(name: string, more: Partial<RuleView> = {}): RuleView {
  return {
    type: 'recording',
    name,
    expr: 'sum( up )',
    isPromql: true,
    labels: [],
    annotations: [],
    forSeconds: 0,
    keepFiringForSeconds: 0,
    state: '',
    alerts: [],
    health: 'ok',
    lastError: '',
    lastEvaluationMs: 0,
    evaluationSeconds: 0.5,
    ...more,
  }
}

function group(name: string, rules: RuleView[]): GroupView {
  const times = { intervalSeconds: 60, limit: 0, lastEvaluationMs: 0, evaluationSeconds: 1 }
  return { tenant: 'a', api: undefined, name, file: `${name}.yaml`, rules, ...times }
}

const down = rule('Down', { type: 'alerting', labels: [['severity', 'page']], state: 'firing', alerts: [alert] })
const broken = rule('logs', { expr: 'rate( {a="b"}[1m] )', isPromql: false, health: 'err', lastError: 'no' })
const groups = [group('a', [rule('sum'), down]), group('b', [broken]), group('c', [])]
const unbound: ScopeOf = () => ({ tenants: ['a'], labels: [] })
const routes = ruleRoutes(
  {
    groups: () => groups,
    alertmanagers: () => ({ active: ['http://a'], dropped: ['http://d'] }),
  },
  unbound,
)

interface Answer {
  status: string
  error?: string
  data: { groups: { name: string; rules: Record<string, unknown>[] }[]; groupNextToken?: string }
}

async function get(path: string, query = ''): Promise<Answer> {
  const found = routes.find(r => r.path === path)
  assert.ok(found !== undefined)
  return JSON.parse((await ask(found.handler, { query })).body) as Answer
}

/** `a: sum, Down` for each group. */
async function listed(query: string): Promise<string[]> {
  const { data } = await get('/api/v1/rules', query)
  return data.groups.map(g => `${g.name}: ${g.rules.map(r => String(r['name'])).join(', ')}`)
}

test('every path also stands under /prometheus', () => {
  assert.deepEqual(routes.map(r => r.path).sort(), [
    '/api/v1/alertmanagers',
    '/api/v1/alerts',
    '/api/v1/rules',
    '/prometheus/api/v1/alertmanagers',
    '/prometheus/api/v1/alerts',
    '/prometheus/api/v1/rules',
  ])
})

test('rules are chosen by type, name, group, file and label', async () => {
  const cases: [query: string, groups: string[]][] = [
    ['', ['a: sum, Down', 'b: logs', 'c: ']],
    ['type=alert', ['a: Down']],
    ['type=RECORD', ['a: sum', 'b: logs']],
    ['rule_name[]=sum&rule_name[]=logs', ['a: sum', 'b: logs']],
    ['rule_group[]=b&rule_group[]=c', ['b: logs', 'c: ']],
    ['file[]=a.yaml', ['a: sum, Down']],
    ['match[]={severity="page"}', ['a: Down']],
    ['match[]={severity="none"}', []],
  ]
  for (const [query, expected] of cases) assert.deepEqual(await listed(query), expected, query)
})

test('groups come in pages, each with the token of the next', async () => {
  const first = await get('/api/v1/rules', 'group_limit=2')
  assert.deepEqual(
    first.data.groups.map(g => g.name),
    ['a', 'b'],
  )
  const token = first.data.groupNextToken ?? ''
  const last = await get('/api/v1/rules', `group_limit=2&group_next_token=${token}`)
  assert.deepEqual(
    last.data.groups.map(g => g.name),
    ['c'],
  )
  assert.equal(last.data.groupNextToken, undefined)
})

test('a rule is printed with its query, its times and its alerts', async () => {
  const [a, b] = (await get('/api/v1/rules')).data.groups
  assert.deepEqual(a?.rules, [
    {
      name: 'sum',
      query: 'sum(up)',
      health: 'ok',
      evaluationTime: 0.5,
      lastEvaluation: '0001-01-01T00:00:00Z',
      type: 'recording',
    },
    {
      state: 'firing',
      name: 'Down',
      query: 'sum(up)',
      duration: 0,
      keepFiringFor: 0,
      labels: { severity: 'page' },
      annotations: {},
      alerts: [
        {
          labels: { alertname: 'Down', severity: 'page' },
          annotations: { summary: 's' },
          state: 'firing',
          activeAt: '2026-11-28T12:00:00.000Z',
          value: '1.2345e+04',
        },
      ],
      health: 'ok',
      evaluationTime: 0.5,
      lastEvaluation: '0001-01-01T00:00:00Z',
      type: 'alerting',
    },
  ])
  assert.deepEqual([b?.rules[0]?.['query'], b?.rules[0]?.['lastError']], ['rate( {a="b"}[1m] )', 'no'])
  const without = (await get('/api/v1/rules', 'exclude_alerts=true')).data.groups[0]?.rules[1]
  assert.deepEqual(without?.['alerts'], [])
})

test('alerts and Alertmanagers are listed, values as Go prints them', async () => {
  const values: [value: number, text: string][] = [
    [0, '0e+00'],
    [-1.5e-7, '-1.5e-07'],
    [NaN, 'NaN'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
  ]
  for (const [value, text] of values) {
    const source = {
      groups: () => [group('g', [rule('r', { alerts: [{ ...alert, value, keepFiringSinceMs: 1000 }] })])],
    }
    const own = ruleRoutes({ ...source, alertmanagers: () => ({ active: [], dropped: [] }) }, unbound)
    const found = own.find(r => r.path === '/api/v1/alerts')
    assert.ok(found !== undefined)
    const { data } = JSON.parse((await ask(found.handler)).body) as { data: { alerts: Record<string, unknown>[] } }
    assert.equal(data.alerts[0]?.['value'], text)
    assert.equal(data.alerts[0]?.['keepFiringSince'], '1970-01-01T00:00:01.000Z')
  }
  const { data } = (await get('/api/v1/alertmanagers')) as unknown as { data: unknown }
  assert.deepEqual(data, { activeAlertmanagers: [{ url: 'http://a' }], droppedAlertmanagers: [{ url: 'http://d' }] })
})

test('parameters that can not be understood are refused', async () => {
  const cases: [query: string, error: string | RegExp][] = [
    ['type=odd', 'invalid parameter "type": not supported value "odd"'],
    ['exclude_alerts=maybe', /^invalid parameter "exclude_alerts": .* parsing "maybe": invalid syntax$/],
    ['group_limit=0', 'invalid parameter "group_limit": group_limit needs to be greater than 0'],
    ['group_limit=x', /^invalid parameter "group_limit": group_limit needs to be a valid number: .*"x"/],
    ['group_next_token=odd', /^invalid parameter "group_next_token": group_limit needs to be present/],
    ['group_limit=1&group_next_token=odd', 'invalid group_next_token'],
    ['match[]=(', '1:1: parse error: unexpected "("'],
  ]
  for (const [query, expected] of cases) {
    const { status, error } = await get('/api/v1/rules', query)
    assert.equal(status, 'error')
    if (typeof expected === 'string') assert.equal(error, expected)
    else assert.match(error ?? '', expected)
  }
})

test('a credential that is bound to labels sees the rules and the alerts that have them', async () => {
  const alertOf = (team: string, state: string): AlertView => ({
    ...alert,
    state,
    labels: Labels.fromObject({ alertname: 'X', team }),
  })
  const shared = rule('Shared', {
    type: 'alerting',
    state: 'firing',
    alerts: [alertOf('a', 'pending'), alertOf('hidden', 'firing')],
    lastError: 'of {team="hidden"}',
    health: 'err',
  })
  const source = {
    groups: () => [
      group('mixed', [
        shared,
        rule('own', { labels: [['team', 'a']] }),
        rule('hidden', { labels: [['team', 'b']] }),
        rule('hidden too'),
      ]),
      group('hidden', [rule('hidden', { labels: [['team', 'hidden']], alerts: [alertOf('hidden', 'firing')] })]),
    ],
    alertmanagers: () => ({ active: [], dropped: [] }),
  }
  const own = ruleRoutes(source, () => ({ tenants: ['a'], labels: [{ name: 'team', op: '=', value: 'a' }] }))
  const answer = async (path: string): Promise<string> =>
    (await ask(own.find(r => r.path === path)!.handler)).body.toString()
  const shownRules = await answer('/api/v1/rules')
  assert.ok(!shownRules.includes('hidden'), shownRules)
  const { data } = JSON.parse(shownRules) as Answer
  assert.deepEqual(
    data.groups.map(({ rules }) => rules.map(one => [one['name'], one['state'], one['lastError']])),
    [
      [
        ['Shared', 'pending', 'the evaluation failed'],
        ['own', undefined, undefined],
      ],
    ],
  )
  const shownAlerts = await answer('/api/v1/alerts')
  assert.ok(shownAlerts.includes('"team":"a"') && !shownAlerts.includes('hidden'), shownAlerts)
})

test('pages of groups that several tenants have under one name end', async () => {
  const named = (tenant: string): GroupView => ({ ...group('same', [rule('r')]), tenant })
  const own = ruleRoutes(
    { groups: () => [named('a'), named('b')], alertmanagers: () => ({ active: [], dropped: [] }) },
    unbound,
  )
  const { handler } = own.find(r => r.path === '/api/v1/rules')!
  const first = JSON.parse((await ask(handler, { query: 'group_limit=1' })).body) as Answer
  const token = first.data.groupNextToken ?? ''
  const second = JSON.parse((await ask(handler, { query: `group_limit=1&group_next_token=${token}` })).body) as Answer
  assert.deepEqual([token === '', second.data.groups.length, second.data.groupNextToken], [false, 1, undefined])
})

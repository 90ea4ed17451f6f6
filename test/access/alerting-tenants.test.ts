/** Rules, alerts, silences, inhibition and notifications of two tenants: neither sees, mutes or changes the other's. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { until, untilTrue } from '../until.ts'
import { postWrite, writeBody } from '../write-request.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const verbs = ['read', 'write', 'rules']
const credentials: readonly Credential[] = [
  { name: 'a', verbs, tenants: ['a'] },
  { name: 'b', verbs, tenants: ['b'] },
  { name: 'all', verbs: [...verbs, 'admin'] },
  { name: 'bound', verbs: ['read'], tenants: ['a'], labels: '{team="x"}' },
]

const rulesText = `
groups:
  - name: same
    tenant: a
    interval: 1s
    rules:
      - { alert: Full, expr: 'full == 1', labels: { of: a } }
      - { alert: Other, expr: 'full == 1', labels: { team: x } }
      - { record: copied, expr: full }
  - name: of b
    tenant: b
    interval: 1s
    rules:
      - { alert: Full, expr: 'full == 1', labels: { of: b } }
  - name: of both
    tenant: c
    source_tenants: [a, b]
    interval: 1s
    rules:
      - { record: both, expr: 'sum by (__tenant_id__) (full)' }
  - name: of whom the setting says
    interval: 1s
    rules:
      - { record: ours, expr: vector(7) }
`

/** Received by each path of a receiver: the labels of the alerts of each notification. */
const notified = new Map<string, Record<string, string>[]>()
/** Of those at one path: by which a receiver knows an incident. */
const equalGroups: string[] = []
let hooks: Server
let run: Running
let directory: string
let flags: string[]

before(async () => {
  hooks = createServer((request, reply) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const { alerts, groupKey } = JSON.parse(Buffer.concat(parts).toString()) as {
        alerts: { labels: Record<string, string> }[]
        groupKey: string
      }
      const path = request.url ?? ''
      if (path === '/equal') equalGroups.push(groupKey)
      notified.set(path, [...(notified.get(path) ?? []), ...alerts.map(({ labels }) => labels)])
      reply.end()
    })
  })
  await new Promise<void>(resolve => {
    hooks.listen(0, '127.0.0.1', resolve)
  })
  const url = `http://127.0.0.1:${(hooks.address() as AddressInfo).port}`
  directory = temporaryDirectory()
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const receivers = ['common', 'a', 'b', 'equal'].map(name => ({
    name: `to-${name}`,
    webhook_configs: [{ url: `${url}/${name}` }],
  }))
  const route = (tenant: string) => ({ receiver: `to-${tenant}`, matchers: [`__tenant_id__="${tenant}"`] })
  const equal = { receiver: 'to-equal', matchers: ['alertname="Equal"'], group_by: ['alertname'] }
  const times = { group_wait: '0s', group_interval: '1s', group_by: ['alertname', '__tenant_id__'] }
  flags = [
    'tenancy=on',
    `auth.file=${file('credentials.yaml', await credentialsFile(credentials))}`,
    `rule_files=${file('rules.yml', rulesText)}`,
    'rules.tenant=d',
    `alertmanager_config_file=${file(
      'alertmanager.yml',
      // JSON is YAML.
      JSON.stringify({
        route: { receiver: 'to-common', ...times, routes: [route('a'), route('b'), equal] },
        receivers,
        inhibit_rules: [
          { source_matchers: ['severity="high"'], target_matchers: ['severity="low"'], equal: ['service'] },
        ],
      }),
    )}`,
  ]
  run = await runTercet(flags, directory)
})
after(async () => {
  await run.stop()
  await new Promise(resolve => hooks.close(resolve))
})

interface Asked {
  method?: string
  body?: unknown
  tenant?: string
}

async function ask(name: string, path: string, { method, body, tenant }: Asked = {}): Promise<[number, string]> {
  const reply = await fetch(`${run.url}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      authorization: `Bearer token-of-${name}`,
      'content-type': 'application/json',
      ...(tenant === undefined ? {} : { 'x-scope-orgid': tenant }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return [reply.status, await reply.text()]
}

async function json<T>(name: string, path: string, asked?: Asked): Promise<T> {
  const [status, text] = await ask(name, path, asked)
  assert.equal(status, 200, `${path}: ${text}`)
  return JSON.parse(text) as T
}

interface ShownAlert {
  labels: Record<string, string>
  annotations: Record<string, string>
  receivers: { name: string }[]
  status: { state: string; silencedBy: string[]; inhibitedBy: string[] }
}
const endsAt = new Date(Date.now() + 3_600_000).toISOString()
const alert = (labels: Record<string, string>, of: string) => ({ labels, annotations: { of }, endsAt })

test('alerts that are posted are seen, grouped and notified within their tenant', async () => {
  const same = { alertname: 'Same', service: 's' }
  // A label of the sender does not say whose an alert is.
  const posed = { alertname: 'Posed', __tenant_id__: 'b' }
  assert.equal((await ask('a', '/api/v2/alerts', { body: [alert(same, 'a'), alert(posed, 'a')] }))[0], 200)
  assert.equal((await ask('b', '/api/v2/alerts', { body: [alert(same, 'b')] }))[0], 200)
  for (const name of ['a', 'b']) {
    const alerts = await json<ShownAlert[]>(name, '/api/v2/alerts')
    assert.ok(alerts.length > 0 && alerts.every(({ annotations }) => annotations['of'] !== (name === 'a' ? 'b' : 'a')))
    assert.ok(alerts.every(({ receivers }) => receivers.every(one => one.name === `to-${name}`)))
    const groups = await json<{ alerts: ShownAlert[] }[]>(name, '/alertmanager/api/v2/alerts/groups')
    assert.equal(groups.flatMap(({ alerts: own }) => own).length, alerts.length)
    const receivers = await json<{ name: string }[]>(name, '/api/v2/receivers')
    assert.deepEqual(
      receivers.map(one => one.name),
      ['to-common', `to-${name}`, 'to-equal'],
    )
    const routes = await json<{ receivers: { receiver: string }[] }>(name, '/api/tercet/route?alertname=Same')
    assert.deepEqual(
      routes.receivers.map(one => one.receiver),
      [`to-${name}`],
    )
  }
  const of = (path: string): string[] => (notified.get(path) ?? []).map(({ alertname }) => alertname!).sort()
  await untilTrue(() => of('/a').length === 2 && of('/b').length === 1, 'notifications of both')
  assert.deepEqual([of('/a'), of('/b'), of('/common')], [['Posed', 'Same'], ['Same'], []])
  assert.equal((await ask('all', '/api/v2/alerts'))[0], 401)
  assert.equal((await ask('all', '/api/v2/alerts', { tenant: 'a|b' }))[0], 400)
  assert.equal((await ask('a', '/api/v2/alerts', { tenant: 'b' }))[0], 403)
})

const silence = (comment: string, more: object = {}) => ({
  matchers: [{ name: 'alertname', value: '.+', isRegex: true }],
  startsAt: new Date(Date.now() - 1000).toISOString(),
  endsAt,
  createdBy: 'somebody',
  comment,
  ...more,
})

test('a silence is seen, changed and ended by its tenant alone, mutes its alerts, outlives a restart', async () => {
  const { silenceID: id } = await json<{ silenceID: string }>('b', '/api/v2/silences', { body: silence('of b') })
  for (const path of [`/api/v2/silence/${id}`, `/alertmanager/api/v2/silence/${id}`]) {
    assert.equal((await ask('a', path))[0], 404)
    assert.equal((await ask('a', path, { method: 'DELETE' }))[0], 404)
  }
  assert.equal((await ask('a', '/api/v2/silences', { body: silence('of a', { id }) }))[0], 404)
  assert.deepEqual(await json('a', '/api/v2/silences'), [])
  const states = async (name: string): Promise<string[]> =>
    (await json<ShownAlert[]>(name, '/api/v2/alerts?filter=alertname="Same"')).map(({ status }) => status.state)
  assert.deepEqual([await states('a'), await states('b')], [['active'], ['suppressed']])
  await run.tercet.close()
  run = await runTercet(flags, directory)
  const kept = await json<{ comment: string; status: { state: string } }[]>('b', '/api/v2/silences')
  assert.deepEqual(
    kept.map(({ comment, status }) => [comment, status.state]),
    [['of b', 'active']],
  )
  assert.deepEqual(await json('a', '/api/v2/silences'), [])
  assert.equal((await ask('b', `/api/v2/silence/${id}`, { method: 'DELETE' }))[0], 200)
})

test('an alert is inhibited by those of its own tenant alone', async () => {
  const low = { alertname: 'Low', severity: 'low', service: 'i' }
  const high = { alertname: 'High', severity: 'high', service: 'i' }
  await ask('a', '/api/v2/alerts', { body: [alert(low, 'a')] })
  await ask('b', '/api/v2/alerts', { body: [alert(low, 'b'), alert(high, 'b')] })
  const inhibited = async (name: string): Promise<number[]> =>
    (await json<ShownAlert[]>(name, '/api/v2/alerts?filter=alertname="Low"')).map(
      ({ status }) => status.inhibitedBy.length,
    )
  assert.deepEqual([await inhibited('a'), await inhibited('b')], [[0], [1]])
})

test('equal groups of two tenants are two notifications, about two incidents', async () => {
  const equal = { alertname: 'Equal' }
  for (const tenant of ['c', 'd'])
    assert.equal((await ask('all', '/api/v2/alerts', { tenant, body: [alert(equal, tenant)] }))[0], 200)
  await untilTrue(() => equalGroups.length === 2, 'both notifications')
  assert.equal(new Set(equalGroups).size, 2, equalGroups.join(' '))
  assert.deepEqual(notified.get('/equal'), [equal, equal])
})

interface Rules {
  data: { groups: { name: string; rules: { name: string; alerts?: unknown[] }[] }[] }
}
const rulesOf = async (name: string, tenant?: string): Promise<string[]> =>
  (await json<Rules>(name, '/api/v1/rules', tenant === undefined ? {} : { tenant })).data.groups
    .flatMap(group => group.rules.map(rule => `${group.name}/${rule.name}`))
    .sort()
const found = async (tenant: string, expr: string): Promise<Record<string, string>[]> =>
  (
    await json<{ data: { result: { metric: Record<string, string> }[] } }>(
      'all',
      `/api/v1/query?query=${encodeURIComponent(expr)}`,
      { tenant },
    )
  ).data.result.map(({ metric }) => metric)

test('groups of files are of the tenant that they name: what they read, store, show and notify', async () => {
  const samples = (): [number, number][] => [[Date.now(), 1]]
  const push = async (tenant: string): Promise<void> => {
    const body = writeBody([{ labels: [['__name__', 'full']], samples: samples() }])
    assert.equal((await postWrite(run.url, body, { authorization: `Bearer token-of-${tenant}` })).status, 204)
  }
  assert.deepEqual(await rulesOf('a'), ['same/Full', 'same/Other', 'same/copied'])
  assert.deepEqual(await rulesOf('b'), ['of b/Full'])
  assert.deepEqual(await rulesOf('all', 'd'), ['of whom the setting says/ours'])
  assert.deepEqual((await rulesOf('all', 'a|b')).length, 4)
  assert.deepEqual(await rulesOf('bound'), ['same/Other'])
  await push('a')
  const alerts = (name: string) =>
    json<{ data: { alerts: { labels: Record<string, string> }[] } }>(name, '/api/v1/alerts')
  const firing = async (name: string): Promise<string[]> =>
    (await alerts(name)).data.alerts.map(({ labels }) => `${labels['alertname']} ${labels['of'] ?? labels['team']}`)
  await until(async () => ((await firing('a')).length === 2 ? true : undefined), 'the alerts of a')
  assert.deepEqual(await firing('b'), [])
  assert.deepEqual(await firing('bound'), ['Other x'])
  const isNotified = (): boolean => (notified.get('/a') ?? []).some(({ alertname }) => alertname === 'Full')
  await untilTrue(isNotified, 'the notification of a')
  const shown = await json<ShownAlert[]>('a', '/api/v2/alerts?filter=alertname="Full"')
  assert.deepEqual(
    shown.map(({ labels }) => labels),
    [{ alertname: 'Full', of: 'a' }],
  )
  assert.deepEqual(await json('b', '/api/v2/alerts?filter=alertname="Full"'), [])
  await push('b')
  await untilTrue(async () => (await found('c', 'both')).length === 2, 'what is recorded of both')
  assert.deepEqual((await found('c', 'both')).map(metric => metric['__tenant_id__']).sort(), ['a', 'b'])
  await untilTrue(async () => (await found('d', 'ours')).length === 1, 'what is recorded where the setting says')
  for (const tenant of ['b', 'c', 'd', 'anonymous']) assert.deepEqual(await found(tenant, 'copied'), [], tenant)
  for (const tenant of ['a', 'b', 'anonymous']) assert.deepEqual(await found(tenant, 'both or ours'), [], tenant)
  await untilTrue(() => notified.has('/b'), 'the notification of b')
  assert.ok((notified.get('/b') ?? []).every(({ of }) => of !== 'a') && !notified.has('/common'))
})

test('groups that are set through an API belong to whoever sets them', async () => {
  const group = 'name: g\ninterval: 1s\nrules: [{ record: set, expr: vector(1) }]'
  const set = async (name: string, path: string): Promise<number> => {
    const headers = { authorization: `Bearer token-of-${name}` }
    return (await fetch(`${run.url}${path}`, { method: 'POST', headers, body: group })).status
  }
  assert.equal(await set('a', '/prometheus/config/v1/rules/n'), 202)
  assert.equal((await ask('b', '/prometheus/config/v1/rules/n/g'))[0], 404)
  assert.equal((await ask('b', '/prometheus/config/v1/rules/n/g', { method: 'DELETE' }))[0], 404)
  assert.ok((await rulesOf('a')).includes('g/set') && !(await rulesOf('b')).includes('g/set'))
  await untilTrue(async () => (await found('a', 'set')).length === 1, 'what is recorded')
  assert.deepEqual(await found('b', 'set'), [])
})

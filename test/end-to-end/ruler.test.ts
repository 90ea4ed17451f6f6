/**
 * Groups of rules through the APIs of Loki's and Mimir's rulers: set, listed, evaluated, kept over restarts in the
 * bucket, where a Loki looks for them, and removed.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { decodeRuleGroup, encodeRuleGroup } from '#wire/ruler/rule-group.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { BucketError } from '#bucket/bucket.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import type { SignalName } from '#core/signal-name.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'

const lokiGroup = `
name: errors
interval: 10s
rules:
  - alert: ManyErrors
    expr: sum by (app) (count_over_time({app="web"} |= "error" [5m])) > 1
    labels: { severity: page }
    annotations: { summary: '{{ $value }} in {{ $labels.app }}' }
  - record: web:errors
    expr: sum(count_over_time({app="web"} |= "error" [5m]))
`
const mimirGroup = '{ name: pairs, interval: 10s, rules: [{ record: nothing:here, expr: absent(nothing) }] }'

interface Told {
  status: number
  type: string
  body: string
}

async function ask(run: Running, method: string, path: string, body?: string, tenant?: string): Promise<Told> {
  const headers: Record<string, string> = { 'content-type': 'application/yaml' }
  if (tenant !== undefined) headers['x-scope-orgid'] = tenant
  const reply = await fetch(`${run.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
  return { status: reply.status, type: reply.headers.get('content-type') ?? '', body: await reply.text() }
}

async function pushErrors(run: Running, nowMs: number, tenant = ''): Promise<void> {
  const values = [0, 1, 2].map(i => [`${nowMs - 1000 - i}000000`, 'an error'])
  const reply = await fetch(`${run.url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(tenant === '' ? {} : { 'x-scope-orgid': tenant }) },
    body: JSON.stringify({ streams: [{ stream: { app: 'web' }, values }] }),
  })
  assert.equal(reply.status, 204)
}

interface ShownGroup {
  name: string
  file: string
  rules: { name: string; state?: string; health: string; alerts?: { annotations: Record<string, string> }[] }[]
}

async function shown(run: Running, tenant?: string): Promise<ShownGroup[]> {
  const { body } = await ask(run, 'GET', '/prometheus/api/v1/rules', undefined, tenant)
  return (JSON.parse(body) as { data: { groups: ShownGroup[] } }).data.groups
}

async function latest(run: Running, query: string, timeMs: number, tenant?: string): Promise<string[]> {
  const path = `/api/v1/query?query=${encodeURIComponent(query)}&time=${timeMs / 1000}`
  const { body } = await ask(run, 'GET', path, undefined, tenant)
  const { data } = JSON.parse(body) as { data: { result: { value: [number, string] }[] } }
  return data.result.map(one => one.value[1])
}

/** Lets so many seconds pass, with what timers begin. */
async function pass(clock: VirtualClock, seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    clock.advance(1000)
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  }
}

/** Waits, in steps of the virtual clock, for what evaluations bring about. */
async function until(clock: VirtualClock, holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await pass(clock, 1)
    if (await holds()) return
  }
  assert.fail('it did not come about within a minute')
}

test("Loki's ruler API: a group is set, shown, evaluated, kept over a restart, and removed", async t => {
  const clock = new VirtualClock(Date.parse('2026-11-30T12:00:00Z'))
  const directory = temporaryDirectory()
  let run = await runTercet([], directory, { clock })
  t.after(async () => {
    await run.tercet.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const rules = '/loki/api/v1/rules'
  const none = { status: 404, type: 'text/plain; charset=utf-8', body: 'no rule groups found\n' }
  assert.deepEqual(await ask(run, 'GET', rules), none)
  assert.deepEqual(await ask(run, 'POST', `${rules}/team%2Fweb`, lokiGroup), {
    status: 202,
    type: 'application/json; charset=utf-8',
    body: '{"status":"success","data":null,"errorType":"","error":""}',
  })

  const listed = await ask(run, 'GET', rules)
  assert.deepEqual([listed.status, listed.type], [200, 'application/yaml'])
  const asSet: unknown = parse(lokiGroup)
  assert.deepEqual(parse(listed.body), { 'team/web': [asSet] })
  for (const path of [`${rules}/team%2Fweb`, '/api/prom/rules', '/select/logsql/loki/api/v1/rules'])
    assert.deepEqual(parse((await ask(run, 'GET', path)).body), { 'team/web': [asSet] }, path)
  assert.deepEqual(parse((await ask(run, 'GET', `${rules}/team%2Fweb/errors`)).body), asSet)
  assert.deepEqual(await ask(run, 'GET', `${rules}/other`), none)
  assert.deepEqual((await ask(run, 'GET', `${rules}/team%2Fweb/other`)).status, 404)

  await pushErrors(run, clock.nowMs())
  await until(clock, async () => (await latest(run, 'web:errors', clock.nowMs())).length > 0)
  assert.deepEqual(await latest(run, 'web:errors', clock.nowMs()), ['3'])
  const [group] = await shown(run)
  assert.deepEqual(
    [group?.name, group?.file, group?.rules.map(rule => rule.health)],
    ['errors', 'team/web', ['ok', 'ok']],
  )
  assert.deepEqual(
    group?.rules[0]?.alerts?.map(alert => alert.annotations),
    [{ summary: '3 in web' }],
  )

  // Where a Loki looks for it: base64 of the namespace, and of the name.
  const stored = join(directory, 'data/bucket/logs/rules/fake/dGVhbS93ZWI=/ZXJyb3Jz')
  assert.deepEqual(decodeRuleGroup(readFileSync(stored)).rules.length, 2)

  await run.tercet.close()
  // Another ruler has put a group there that is not understood.
  const foreign = { ...decodeRuleGroup(readFileSync(stored)), name: 'new' }
  foreign.rules[0]!.expr = 'of_another_time({app="web"}[5m])'
  writeFileSync(join(stored, '..', 'bmV3'), encodeRuleGroup(foreign))
  run = await runTercet([], directory, { clock })
  assert.deepEqual((parse((await ask(run, 'GET', rules)).body) as Record<string, unknown[]>)['team/web']?.[0], asSet)
  const { body: readiness } = await ask(run, 'GET', '/-/ready')
  assert.match(readiness, /warning: a stored rule is left out: fake, namespace "team\/web", group "new": /)
  assert.deepEqual(
    (await shown(run)).map(one => one.name),
    ['errors'],
  )

  assert.equal((await ask(run, 'DELETE', `${rules}/team%2Fweb/errors`)).status, 202)
  assert.equal((await ask(run, 'DELETE', `${rules}/team%2Fweb/errors`)).status, 404)
  assert.equal((await ask(run, 'DELETE', `/api/prom/rules/team%2Fweb`)).status, 202)
  assert.deepEqual(await ask(run, 'GET', rules), none)
  await until(clock, async () => (await shown(run)).length === 0)
  assert.ok(!existsSync(stored))
})

test("Mimir's ruler API takes PromQL, Loki's LogQL, and a refusal leaves no trace", async t => {
  const run = await runTercet()
  t.after(() => run.stop())
  const mimir = '/prometheus/config/v1/rules'
  assert.equal((await ask(run, 'POST', `${mimir}/space`, mimirGroup)).status, 202)
  assert.deepEqual(parse((await ask(run, 'GET', '/config/v1/rules/space/pairs')).body), parse(mimirGroup))
  assert.equal((await ask(run, 'GET', '/loki/api/v1/rules')).status, 404)
  const refused: [path: string, body: string, message: RegExp][] = [
    [`${mimir}/space`, lokiGroup, /could not parse expression/],
    ['/loki/api/v1/rules/space', mimirGroup, /could not parse expression/],
    ['/loki/api/v1/rules/space', '{ name: x, rules: [{ alert: A, expr: ""}] }', /'expr' must be set/],
    ['/api/prom/rules/space', 'name: [', /space:1:/],
    ['/api/prom/rules/space', 'x'.repeat(600_000), /524288 are allowed/],
  ]
  for (const [path, body, message] of refused) {
    const told = await ask(run, 'POST', path, body)
    assert.match(String(told.status), /^4(?:00|13)$/)
    assert.match(told.body, message)
  }
  assert.deepEqual(
    (await shown(run)).map(one => one.name),
    ['pairs'],
  )
  assert.equal((await ask(run, 'PUT', '/loki/api/v1/rules/space', lokiGroup)).status, 405)
})

test("a tenant's rules are about its data, and nobody else's to see or change", async t => {
  const clock = new VirtualClock(Date.parse('2026-11-30T12:00:00Z'))
  const run = await runTercet(['tenancy=on'], undefined, { clock })
  t.after(() => run.stop())
  const rules = '/loki/api/v1/rules'
  assert.equal((await ask(run, 'POST', `${rules}/web`, lokiGroup)).status, 401)
  assert.equal((await ask(run, 'POST', `${rules}/web`, lokiGroup, 'a')).status, 202)
  await pushErrors(run, clock.nowMs(), 'a')
  await until(clock, async () => (await latest(run, 'web:errors', clock.nowMs(), 'a')).length > 0)
  assert.deepEqual(await latest(run, 'web:errors', clock.nowMs(), 'b'), [])
  assert.equal((await ask(run, 'GET', rules, undefined, 'b')).status, 404)
  assert.equal((await ask(run, 'DELETE', `${rules}/web`, undefined, 'b')).status, 404)
  assert.deepEqual(await shown(run, 'b'), [])
  assert.deepEqual(
    (await shown(run, 'a')).map(one => one.name),
    ['errors'],
  )
})

/** Buckets in memory; `refuse` says which lists and reads fail, and how. */
function refusingBuckets(clock: VirtualClock, refuse: (operation: string, key: string) => BucketError | undefined) {
  const buckets = new Map<SignalName, MemoryBucket>()
  return (signal: SignalName): MemoryBucket => {
    const known = buckets.get(signal)
    if (known !== undefined) return known
    const bucket = new MemoryBucket(clock)
    const { get, list } = bucket
    const unless = <T>(operation: string, key: string, work: () => Promise<T>): Promise<T> => {
      const error = refuse(operation, key)
      return error === undefined ? work() : Promise.reject(error)
    }
    Object.assign(bucket, {
      get: (key: string) => unless('get', key, () => get.call(bucket, key)),
      list: (prefix: string) => unless('list', prefix, () => list.call(bucket, prefix)),
    })
    buckets.set(signal, bucket)
    return bucket
  }
}

async function unreadRulers(run: Running): Promise<string[]> {
  const { body } = await ask(run, 'GET', '/metrics')
  return [...body.matchAll(/^tercet_ruler_unread\{api="(\w+)"\} 1$/gm)].map(([, api]) => api!)
}

test('files are read again while the bucket is away: stored groups stay as they were, and are evaluated', async t => {
  const clock = new VirtualClock(Date.parse('2026-11-30T12:00:00Z'))
  const directory = temporaryDirectory()
  let isAway = false
  const bucketOf = refusingBuckets(clock, operation =>
    isAway ? new BucketError(operation, 'memory', 'ECONNREFUSED', true) : undefined,
  )
  const run = await runTercet([], directory, { clock, bucketOf })
  t.after(async () => {
    isAway = false
    await run.tercet.close()
    rmSync(directory, { recursive: true, force: true })
  })
  assert.equal((await ask(run, 'POST', '/loki/api/v1/rules/web', lokiGroup)).status, 202)
  isAway = true
  const reloaded = ask(run, 'POST', '/-/reload')
  await until(clock, async () => (await Promise.race([reloaded, pass(clock, 1)])) !== undefined)
  assert.deepEqual([(await reloaded).status, (await reloaded).body], [200, ''])
  const listed = await ask(run, 'GET', '/loki/api/v1/rules')
  assert.deepEqual(parse(listed.body), { web: [parse(lokiGroup)] })
  await pushErrors(run, clock.nowMs())
  await until(clock, async () => (await latest(run, 'web:errors', clock.nowMs())).length > 0)
  assert.deepEqual(await unreadRulers(run), [], 'they were read once')
})

test('a key that may not list stored groups: the process serves, and says whose groups it does not know', async t => {
  const clock = new VirtualClock(Date.parse('2026-11-30T12:00:00Z'))
  const directory = temporaryDirectory()
  let isDenied = true
  const bucketOf = refusingBuckets(clock, (operation, key) =>
    isDenied && operation === 'list' && key.startsWith('rules/')
      ? new BucketError(operation, 'memory', 'AccessDenied', false)
      : undefined,
  )
  let hasStarted = false
  const started = runTercet([], directory, { clock, bucketOf }).finally(() => {
    hasStarted = true
  })
  // The start waits a while for the groups.
  while (!hasStarted) await clock.advance(100)
  const running = await started
  t.after(async () => {
    await running.tercet.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const unread = /the groups of rules are not read yet: .*AccessDenied/
  const refused = await ask(running, 'GET', '/loki/api/v1/rules')
  assert.equal(refused.status, 503)
  assert.match(refused.body, unread)
  assert.equal((await ask(running, 'POST', '/loki/api/v1/rules/web', lokiGroup)).status, 503)
  assert.match((await ask(running, 'GET', '/-/ready')).body, unread)
  assert.deepEqual(await unreadRulers(running), ['loki'])
  assert.equal((await ask(running, 'GET', '/api/v1/query?query=1')).status, 200)
  isDenied = false
  await until(clock, async () => (await unreadRulers(running)).length === 0)
  assert.equal((await ask(running, 'POST', '/loki/api/v1/rules/web', lokiGroup)).status, 202)
})

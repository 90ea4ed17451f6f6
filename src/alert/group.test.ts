/** Groups over the virtual clock: their place in the interval, order, staleness markers, sending, reloads, restarts. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { sleep } from '#core/clock.ts'
import { UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { Labels } from '#model/labels.ts'
import { KeptSamples } from '../../test/kept-samples.ts'
import type { Alert } from './alert.ts'
import { RuleGroup, type GroupWorld } from './group.ts'
import { RuleManager } from './rule-manager.ts'
import { readRulesFile, type GroupSettings } from './rules-file.ts'
import type { RuleSample } from './rules.ts'

const startMs = 1_000_000_000
const groups = (rules: string, more = ''): GroupSettings[] =>
  readRulesFile(`groups: [{ name: g, interval: 1m, ${more} rules: [${rules}] }]`, 'r.yml')
const [record, alerting] = ['{ record: r, expr: x }', '{ alert: A, expr: x, for: 2m }']

/** A clock that may be set. */
class SetClock extends VirtualClock {
  aheadMs = 0
  override nowMs(): number {
    return super.nowMs() + this.aheadMs
  }
}

/** Answers each expression with series `{a="…"}`; an expression `fail` fails. */
class Fixture {
  readonly clock = new SetClock(startMs)
  readonly store = new KeptSamples()
  readonly asked: string[] = []
  readonly sent: string[] = []
  found: readonly string[] = ['1']
  stored: Awaited<ReturnType<NonNullable<GroupWorld['storedSince']>>> = []
  readonly world: GroupWorld = {
    clock: this.clock,
    log: silentLog,
    appender: this.store,
    tenant: '',
    notify: alerts => this.sent.push(...alerts.map(a => this.#show(a))),
    storedSince: () => Promise.resolve(this.stored),
    intervalMs: 30_000,
    queryOffsetMs: 0,
    query: ({ expr }, atMs) => {
      this.asked.push(`${expr} @${atMs - startMs}`)
      if (expr === 'fail') return Promise.reject(new Error('no answer'))
      return Promise.resolve(
        this.found.map((a): RuleSample => ({ labels: Labels.fromObject({ a }), value: 1, histogram: undefined })),
      )
    },
    templateQuery: () => () => Promise.resolve([]),
    externalLabels: [],
    externalUrl: 'http://t/',
  }

  #show({ labels, endsMs, generatorUrl }: Alert): string {
    const state = endsMs > this.clock.nowMs() ? 'firing' : 'resolved'
    return `${state} ${labels.get('a')} ${generatorUrl}`
  }
  group(settings: readonly GroupSettings[]): RuleGroup {
    assert.ok(settings[0])
    return new RuleGroup(settings[0], this.world)
  }
}

test('a group is evaluated once an interval, always at the same place in it', async () => {
  const f = new Fixture()
  const group = f.group(groups(record))
  group.start()
  await f.clock.advance(5 * 60_000)
  const times = f.asked.map(text => Number(text.split('@')[1]))
  assert.equal(times.length, 5)
  assert.deepEqual(new Set(times.slice(1).map((time, i) => time - times[i]!)), new Set([60_000]))
  assert.equal(group.missed, 0)
  await group.stop(false)
  await f.clock.advance(60_000)
  assert.equal(f.asked.length, 5)
})

test('a clock that is hours ahead for a while: alerts fire, are sent again and end as they would', async () => {
  const f = new Fixture()
  const group = f.group(groups(alerting))
  group.start()
  const minutes = async (count: number): Promise<string[]> => {
    f.sent.length = f.asked.length = 0
    const nowMs = f.clock.nowMs()
    await f.clock.advance(count * 60_000)
    for (const text of f.asked) {
      const atMs = startMs + Number(text.split('@')[1])
      assert.ok(atMs >= nowMs - 1 && atMs <= f.clock.nowMs(), `${text} is of now`)
    }
    return [...new Set(f.sent.map(text => text.split(' ').slice(0, 2).join(' ')))]
  }
  assert.deepEqual(await minutes(5), ['firing 1'])
  f.clock.aheadMs = 3 * 3_600_000
  f.found = ['1', '2']
  assert.deepEqual(await minutes(2), ['firing 1'])
  f.clock.aheadMs = 0
  assert.deepEqual(await minutes(3), ['firing 1', 'firing 2'])
  f.found = []
  assert.deepEqual(await minutes(2), ['resolved 1', 'resolved 2'])
  await group.stop(false)
})

test('what was evaluated when the tenant was deleted is neither stored nor sent, then all begins anew', async () => {
  const f = new Fixture()
  let deletedMs: number | undefined
  let answer = (): void => {}
  let isHeld = false
  const world: GroupWorld = {
    ...f.world,
    deletedMs: () => deletedMs,
    query: async (...all) => {
      if (isHeld) await new Promise<void>(resolve => (answer = resolve))
      return f.world.query(...all)
    },
  }
  const make = (): RuleGroup => new RuleGroup(groups(`${record}, { alert: A, expr: x }`)[0]!, world)
  for (const isGone of [true, false]) {
    isHeld = false
    const group = make()
    await group.evaluate(f.clock.nowMs())
    assert.ok(f.store.take().length > 0 && f.sent.length > 0)
    f.sent.length = 0
    f.found = ['2']
    isHeld = true
    await f.clock.advance(60_000)
    const evaluated = group.evaluate(f.clock.nowMs())
    await f.clock.advance(0)
    deletedMs = f.clock.nowMs()
    isHeld = false
    answer()
    await evaluated
    if (isGone) await group.stop(true)
    assert.deepEqual([f.store.take(), f.sent], [[], []])
    if (isGone) continue
    await f.clock.advance(60_000)
    await group.evaluate(f.clock.nowMs())
    // No staleness markers of series from before.
    const stored = f.store.take()
    assert.ok(stored.length > 0)
    assert.deepEqual(
      stored.filter(sample => sample.includes('stale')),
      [],
    )
  }
})

test('a group without an interval uses the global one', () => {
  const f = new Fixture()
  assert.equal(f.group(readRulesFile('groups: [{ name: g, rules: [] }]', 'r.yml')).intervalMs, 30_000)
})

test('rules run in their order; a rule that fails does not stop the others', async () => {
  const f = new Fixture()
  const group = f.group(groups(`{ record: b, expr: one }, { record: a, expr: fail }, { record: c, expr: two }`))
  await group.evaluate(startMs)
  assert.deepEqual(f.asked, ['one @0', 'fail @0', 'two @0'])
  assert.deepEqual(
    group.rules.map(r => [r.state.health, r.state.lastError]),
    [
      ['ok', ''],
      ['err', 'no answer'],
      ['ok', ''],
    ],
  )
  assert.equal(group.failures, 1)
})

/** What rules of a group ask and store, where the log takes 3 s for each of its writes. */
async function underSlowLog(rules: string): Promise<{ order: string[]; tookMs: number; group: RuleGroup }> {
  const f = new Fixture()
  f.world.storedSince = undefined
  const order: string[] = []
  const { query } = f.world
  f.world.query = (rule, atMs, ...more) => {
    order.push(`? ${rule.expr}`)
    return query(rule, atMs, ...more)
  }
  f.world.appender = {
    append: async (tenant, batch) => {
      const stored = f.store.append(tenant, batch)
      const [first] = f.store.take()
      await sleep(f.clock, 3000 - (f.clock.nowMs() % 3000))
      order.push(`= ${first?.split('{')[0]}`)
      return stored
    },
  }
  const group = f.group(groups(rules))
  const beganMs = f.clock.nowMs()
  let tookMs = NaN
  const evaluated = group.evaluate(startMs).then(() => (tookMs = f.clock.nowMs() - beganMs))
  for (let i = 0; i < 100 && Number.isNaN(tookMs); i++) await f.clock.advance(1000)
  await evaluated
  return { order, tookMs, group }
}

test('rules of a group wait for the log together', async () => {
  const numbers = Array.from({ length: 30 }, (_, n) => n)
  const { order, tookMs, group } = await underSlowLog(
    numbers.map(n => `{ record: r${n}, expr: x${n} }`).join() + ', { alert: A, expr: x }',
  )
  assert.ok(tookMs <= 3000, `${tookMs} ms`)
  assert.equal(order.length, 62)
  assert.deepEqual(new Set(group.rules.map(({ state }) => state.health)), new Set(['ok']))
})

test('a rule that may read what an earlier one stores waits until it is stored', async () => {
  const after = async (second: string, first = '{ record: a, expr: x }'): Promise<boolean> => {
    const { order } = await underSlowLog(`${first}, ${second}`)
    return order[1]!.startsWith('=')
  }
  assert.equal(await after('{ record: b, expr: y }'), false)
  assert.equal(await after('{ record: b, expr: "rate(a[5m]) / y" }'), true)
  assert.equal(await after(`{ record: b, expr: '{__name__="a"}' }`), true)
  assert.equal(await after(`{ record: b, expr: '{__name__="c"}' }`), false)
  assert.equal(await after(`{ record: b, expr: '{__name__=~"a|b"}' }`), true)
  assert.equal(await after(`{ record: b, expr: '{job="a"}' }`), true)
  assert.equal(await after(`{ record: b, expr: 'info(y)' }`), true)
  assert.equal(await after(`{ alert: B, expr: y, annotations: { s: '{{ query "a" }}' } }`), true)
  assert.equal(await after(`{ record: b, expr: ALERTS }`, '{ alert: A, expr: x }'), true)
  assert.equal(await after(`{ record: b, expr: A }`, '{ alert: A, expr: x }'), false)
})

test('a group that goes ends its series together', async () => {
  const f = new Fixture()
  const group = f.group(groups('{ record: a, expr: x }, { record: b, expr: x }, { record: c, expr: x }'))
  await group.evaluate(startMs)
  f.store.take()
  let waiting = 0
  f.world.appender = {
    append: async (tenant, batch) => {
      waiting++
      await sleep(f.clock, 3000)
      return f.store.append(tenant, batch)
    },
  }
  const gone = group.stop(true)
  await f.clock.advance(0)
  assert.equal(waiting, 3)
  await f.clock.advance(3000)
  await gone
})

test('with an offset, queries and samples lie that much before the evaluation', async () => {
  const f = new Fixture()
  await f.group(groups(record, 'query_offset: 10s,')).evaluate(startMs)
  assert.deepEqual(f.asked, ['x @-10000'])
  assert.deepEqual(f.store.take(), [`r{a="1"} 1 @${startMs - 10_000}`])
})

test('a series that ends gets a staleness marker, once', async () => {
  const f = new Fixture()
  const group = f.group(groups(record))
  await group.evaluate(startMs)
  f.store.take()
  f.found = ['2']
  await group.evaluate(startMs + 60_000)
  assert.deepEqual(f.store.take(), [`r{a="1"} stale @${startMs + 60_000}`, `r{a="2"} 1 @${startMs + 60_000}`])
  await group.evaluate(startMs + 120_000)
  assert.deepEqual(f.store.take(), [`r{a="2"} 1 @${startMs + 120_000}`])
})

test('when storing fails the rule fails', async () => {
  const f = new Fixture()
  f.store.failure = new Error('full')
  const group = f.group(groups(record))
  await group.evaluate(startMs)
  assert.equal(group.rules[0]?.state.lastError, 'full')
})

test('alerts are sent when they fire, with the address of their graph, and when they are resolved', async () => {
  const f = new Fixture()
  const group = f.group(groups('{ alert: A, expr: "x + 1", for: 1m }'))
  for (const [i, found] of [['1'], ['1'], []].entries()) {
    f.found = found
    await f.clock.advance(60_000)
    await group.evaluate(startMs + (i + 1) * 60_000)
  }
  const url = 'http://t/graph?g0.expr=x+%2B+1&g0.tab=1'
  assert.deepEqual(f.sent, [`firing 1 ${url}`, `resolved 1 ${url}`])
})

test('the states of alerts are series; a state that changes ends the series of the one before', async () => {
  const f = new Fixture()
  f.world.storedSince = undefined
  const group = f.group(groups('{ alert: A, expr: x, for: 1m }'))
  await group.evaluate(startMs)
  await group.evaluate(startMs + 60_000)
  assert.deepEqual(
    f.store.take(s => s.startsWith('ALERTS{')),
    [
      `ALERTS{a="1", alertname="A", alertstate="firing"} 1 @${startMs + 60_000}`,
      `ALERTS{a="1", alertname="A", alertstate="pending"} 1 @${startMs}`,
      `ALERTS{a="1", alertname="A", alertstate="pending"} stale @${startMs + 60_000}`,
    ],
  )
})

test('after a restart an alert keeps the time that it waited', async () => {
  const f = new Fixture()
  const since = { labels: Labels.fromObject({ a: '1', alertname: 'A' }), activeMs: startMs - 1_500_000 }
  f.stored = [{ ...since, lastMs: startMs - 60_000 }]
  const group = f.group(groups('{ alert: A, expr: x, for: 20m }'))
  await group.evaluate(startMs)
  await group.evaluate(startMs + 60_000)
  assert.deepEqual([f.sent, f.store.take()], [[], []], 'until the stored alerts are read, nothing is sent or stored')
  await group.evaluate(startMs + 120_000)
  assert.equal(f.sent.length, 1)
  assert.equal([...group.rules[0]!.active.values()][0]?.activeMs, since.activeMs)
  assert.equal(f.store.take().length, 2)
})

test('where the state of before can not be read, it is asked for again', async () => {
  const f = new Fixture()
  let asked = 0
  f.world.storedSince = () => {
    if (++asked < 3) return Promise.reject(new Error('the bucket is away'))
    const labels = Labels.fromObject({ a: '1', alertname: 'A' })
    return Promise.resolve([{ labels, activeMs: startMs - 1_500_000, lastMs: startMs - 60_000 }])
  }
  const group = f.group(groups('{ alert: A, expr: x, for: 20m }'))
  for (let i = 0; i < 6; i++) await group.evaluate(startMs + i * 60_000)
  assert.deepEqual([asked, f.sent.length], [3, 1])
})

test('while nothing can be stored alerts are sent, rules say why, and what ended is marked later', async () => {
  const f = new Fixture()
  f.world.storedSince = undefined
  const group = f.group(groups(`${record}, { alert: A, expr: x }`))
  await group.evaluate(startMs)
  f.store.take()
  f.store.failure = new UnavailableError('the log is full', 5)
  f.found = ['2']
  await f.clock.advance(60_000)
  await group.evaluate(startMs + 60_000)
  assert.deepEqual(
    group.rules.map(r => [r.state.health, r.state.lastError]),
    [
      ['err', 'the log is full'],
      ['err', 'the log is full'],
    ],
  )
  assert.deepEqual(
    f.sent.map(text => text.split(' ', 2).join(' ')),
    ['firing 1', 'resolved 1', 'firing 2'],
  )
  f.store.failure = undefined
  await group.evaluate(startMs + 120_000)
  const end = startMs + 120_000
  assert.deepEqual(
    f.store.take(s => s.startsWith('r{')),
    [`r{a="1"} stale @${end}`, `r{a="2"} 1 @${end}`],
  )
  assert.deepEqual(
    group.rules.map(r => r.state.health),
    ['ok', 'ok'],
  )
})

test('samples that the store refuses are the error of their rule', async () => {
  const f = new Fixture()
  f.store.refusal = 'too old sample'
  const group = f.group(groups(record))
  await group.evaluate(startMs)
  assert.deepEqual(
    [group.rules[0]?.state.health, group.rules[0]?.state.lastError],
    ['err', '1 of 1 samples were refused; the first: too old sample'],
  )
})

test('a reload keeps the alerts of equal rules, and ends the series of removed ones', async () => {
  const f = new Fixture()
  const manager = new RuleManager()
  await manager.apply(groups(`${record}, ${alerting}`), () => f.world)
  const [before] = manager.groups
  await before!.evaluate(startMs)
  f.store.take()
  await manager.apply(groups(`${record}, ${alerting}`), () => f.world)
  assert.equal(manager.groups[0], before, 'an equal group goes on')
  await manager.apply(groups(`${alerting}, { record: new, expr: x }`), () => f.world)
  const [after] = manager.groups
  assert.notEqual(after, before)
  assert.equal([...after!.rules[0]!.active.values()][0]?.activeMs, startMs)
  assert.deepEqual(f.store.take(), [`r{a="1"} stale @${startMs + 1}`])
  await manager.stop()
})

test('a group that goes to another tenant ends in the old one, and begins there', async () => {
  const f = new Fixture()
  const manager = new RuleManager()
  await manager.apply(groups(`${record}, ${alerting}`), () => ({ ...f.world, tenant: 'a' }))
  await manager.groups[0]!.evaluate(startMs)
  f.store.take()
  await manager.apply(groups(`${record}, ${alerting}`), () => ({ ...f.world, tenant: 'b' }))
  assert.deepEqual(
    [manager.groups.length, manager.groups[0]!.tenant, manager.groups[0]!.rules[1]!.active.size],
    [1, 'b', 0],
  )
  assert.ok(f.store.take().includes(`r{a="1"} stale @${startMs + 1}`))
  await manager.stop()
})

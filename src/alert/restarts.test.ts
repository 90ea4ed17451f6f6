/**
 * Alerts over restarts at any point, on the virtual clock, against a small model of what Prometheus' documentation
 * says of `for`, `keep_firing_for`, the outage tolerance (1 h) and the grace period (10 m): targets that come and go,
 * processes that end and begin, evaluations that fail, a store that refuses.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { silentLog } from '#core/log.ts'
import { below, seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { Labels } from '#model/labels.ts'
import { KeptSamples } from '../../test/kept-samples.ts'
import { RuleGroup, type GroupWorld } from './group.ts'
import { readRulesFile } from './rules-file.ts'

const minuteMs = 60_000
const startMs = 1_800_000_000_000
const targets = ['a', 'b', 'c']

/** The process, which can be begun anew, and what survives it: the store, the targets. */
class World {
  readonly clock = new VirtualClock(startMs)
  readonly store = new KeptSamples()
  /** ALERTS_FOR_STATE by target: time and value of each sample; NaN for a staleness marker. */
  readonly stored = new Map<string, [timeMs: number, value: number][]>()
  readonly up = new Set<string>()
  isFailing = false
  fired: string[] = []
  readonly settings: ReturnType<typeof readRulesFile>
  group: RuleGroup

  constructor(forMinutes: number, keepMinutes: number) {
    const keep = keepMinutes === 0 ? '' : `, keep_firing_for: ${keepMinutes}m`
    this.settings = readRulesFile(
      `groups: [{ name: g, interval: 1m, rules: [{ alert: A, expr: x, for: ${forMinutes}m${keep} }] }]`,
      'r.yml',
    )
    this.group = this.#begin()
  }

  #begin(): RuleGroup {
    const world: GroupWorld = {
      clock: this.clock,
      log: silentLog,
      appender: this.store,
      tenant: '',
      notify: alerts => {
        const nowMs = this.clock.nowMs()
        for (const { labels, startsMs, endsMs } of alerts)
          if (startsMs === nowMs && endsMs > nowMs) this.fired.push(`${labels.get('t')} @${nowMs}`)
      },
      storedSince: (_name, atMs, withinMs) =>
        Promise.resolve(
          targets.flatMap(t => {
            const last = this.stored.get(t)?.findLast(([timeMs]) => timeMs >= atMs - withinMs && timeMs <= atMs)
            if (last === undefined || Number.isNaN(last[1])) return []
            return [{ labels: Labels.fromObject({ alertname: 'A', t }), activeMs: last[1] * 1000, lastMs: last[0] }]
          }),
        ),
      intervalMs: minuteMs,
      queryOffsetMs: 0,
      query: () =>
        this.isFailing
          ? Promise.reject(new Error('no answer'))
          : Promise.resolve(
              [...this.up].map(t => ({ labels: Labels.fromObject({ t }), value: 1, histogram: undefined })),
            ),
      templateQuery: () => () => Promise.resolve([]),
      externalLabels: [],
      externalUrl: 'http://t/',
    }
    return new RuleGroup(this.settings[0]!, world)
  }

  restart(): void {
    this.group = this.#begin()
  }

  async evaluate(): Promise<void> {
    await this.group.evaluate(this.clock.nowMs())
    for (const text of this.store.take(s => s.startsWith('ALERTS_FOR_STATE'))) {
      const [, t = '', value, time] = /t="(\w)"} (\S+) @(\d+)/.exec(text) ?? []
      const samples = this.stored.get(t) ?? []
      this.stored.set(t, samples)
      samples.push([Number(time), value === 'stale' ? NaN : Number(value)])
    }
  }

  shown(): Record<string, string> {
    const all: Record<string, string> = {}
    for (const { labels, state, activeMs } of this.group.rules[0]!.active.values())
      if (state !== 'inactive') all[labels.get('t')] = `${state} since ${(activeMs - startMs) / 1000} s`
    return all
  }
}

/** One alert, in minutes since the start. */
interface Modelled {
  phase: 'none' | 'waiting' | 'burning'
  since: number
  lostAt: number | undefined
  /** What a reader of the store finds: `[minute, since]`, or `[minute, none]` where it ended. */
  log: [minute: number, since: number | undefined][]
  isLogged: boolean
}

class Model {
  readonly alerts = new Map<string, Modelled>()
  evaluations = 0
  fired: string[] = []
  readonly #for: number
  readonly #keep: number

  constructor(forMinutes: number, keepMinutes: number) {
    this.#for = forMinutes
    this.#keep = keepMinutes
    for (const t of targets)
      this.alerts.set(t, { phase: 'none', since: 0, lostAt: undefined, log: [], isLogged: false })
  }

  restart(): void {
    this.evaluations = 0
    for (const alert of this.alerts.values())
      Object.assign(alert, { phase: 'none', lostAt: undefined, isLogged: false })
  }

  evaluate(minute: number, up: ReadonlySet<string>, isFailing: boolean, isStoring: boolean): void {
    this.evaluations++
    for (const [t, alert] of this.alerts)
      if (!isFailing) {
        this.#step(t, alert, minute, up.has(t))
        if (this.evaluations > 2 && isStoring) this.#write(alert, minute)
      }
    if (this.evaluations === 2 && this.#for >= 10)
      for (const alert of this.alerts.values()) if (alert.phase !== 'none') this.#recall(alert, minute)
  }

  #step(t: string, alert: Modelled, minute: number, isUp: boolean): void {
    if (isUp) {
      if (alert.phase === 'none') Object.assign(alert, { phase: 'waiting', since: minute })
      alert.lostAt = undefined
      if (alert.phase === 'waiting' && minute - alert.since >= this.#for) {
        alert.phase = 'burning'
        this.fired.push(`${t} @${startMs + minute * minuteMs}`)
      }
      return
    }
    if (alert.phase === 'burning' && this.#keep > 0) {
      alert.lostAt ??= minute
      if (minute - alert.lostAt < this.#keep) return
    }
    Object.assign(alert, { phase: 'none', lostAt: undefined })
  }

  #write(alert: Modelled, minute: number): void {
    if (alert.phase !== 'none') alert.log.push([minute, alert.since])
    else if (alert.isLogged) alert.log.push([minute, undefined])
    alert.isLogged = alert.phase !== 'none'
  }

  #recall(alert: Modelled, minute: number): void {
    const [seen, since] = alert.log.at(-1) ?? [-Infinity, undefined]
    if (since === undefined || seen < minute - 60) return
    const left = this.#for - (seen - since)
    if (left <= 0) alert.since = since
    else if (left < 10) alert.since = minute + 10 - this.#for
    else alert.since = since + (minute - seen)
  }

  shown(): Record<string, string> {
    const all: Record<string, string> = {}
    for (const [t, { phase, since }] of this.alerts)
      if (phase !== 'none') all[t] = `${phase === 'waiting' ? 'pending' : 'firing'} since ${since * 60} s`
    return all
  }
}

/** `for` and `keep_firing_for`, in minutes. */
const kinds = [
  [0, 0],
  [0, 5],
  [2, 0],
  [5, 3],
  [10, 0],
  [15, 0],
  [15, 7],
  [45, 0],
  [90, 20],
] as const

for (const [forMinutes, keepMinutes] of kinds)
  test(`restarts, outages and failures: for ${forMinutes}m, keep_firing_for ${keepMinutes}m`, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom(seed * 1000 + forMinutes * 10 + keepMinutes)
      const world = new World(forMinutes, keepMinutes)
      const model = new Model(forMinutes, keepMinutes)
      let minute = 0
      for (let round = 0; round < 300; round++) {
        const isStoring = below(random, 12) > 0
        world.isFailing = below(random, 15) === 0
        world.store.failure = isStoring ? undefined : new Error('the log is full')
        for (const t of targets)
          if (below(random, 12) === 0) {
            if (world.up.has(t)) world.up.delete(t)
            else world.up.add(t)
          }
        await world.evaluate()
        model.evaluate(minute, world.up, world.isFailing, isStoring)
        const place = `seed ${seed}, minute ${minute}`
        assert.deepEqual(world.shown(), model.shown(), place)
        assert.deepEqual(world.fired.sort(), model.fired.sort(), place)
        let step = 1
        if (below(random, 25) === 0) {
          world.restart()
          model.restart()
          step += [0, 0, 3, below(random, 20), below(random, 100)][below(random, 5)]!
        }
        minute += step
        await world.clock.advance(step * minuteMs)
      }
    }
  })

test('a rule on a target that is dead at the start fires when its time has passed, not later', async () => {
  for (const forMinutes of [0, 1, 5, 10, 20]) {
    const world = new World(forMinutes, 0)
    world.up.add('a')
    for (let minute = 0; minute <= forMinutes; minute++) {
      assert.deepEqual(world.fired, [])
      await world.evaluate()
      assert.match(world.shown()['a'] ?? '', /since 0 s$/)
      await world.clock.advance(minuteMs)
    }
    assert.deepEqual(world.fired, [`a @${startMs + forMinutes * minuteMs}`])
  }
})

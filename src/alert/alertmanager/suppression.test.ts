/** Inhibitions and silences of many alerts: what is found with indexes is what is found by looking at everything. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultAlertLimits } from '#core/limits.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { Labels } from '#model/labels.ts'
import { Inhibition } from './inhibition.ts'
import { matchesAll, parseMatchers } from './matchers.ts'
import { Silencing } from './silencing.ts'
import { AlertmanagerState, fingerprintOf, type ManagedAlert, type Silence } from './store.ts'

const nowMs = 1e12
const pause = (): Promise<void> => Promise.resolve()

function alertOf(labels: Record<string, string>, endsMs = nowMs + 1000): ManagedAlert {
  const own = Labels.fromObject(labels)
  const none = { annotations: Labels.empty, startsMs: nowMs - 1000, updatedMs: nowMs, generatorUrl: '', characters: 0 }
  return { labels: own, endsMs, isTimeout: false, fingerprint: fingerprintOf(own), ...none }
}

const randomAlert = (random: Random): ManagedAlert =>
  alertOf(
    { n: `${below(random, 40)}`, team: `${below(random, 3)}`, severity: below(random, 2) === 0 ? 'page' : 'info' },
    nowMs + (below(random, 3) === 0 ? -1 : 1000),
  )

const rules = [
  { source: parseMatchers('severity="page"'), target: parseMatchers('severity="info"'), equal: ['team'] },
  { source: parseMatchers('n=~"1.*"'), target: parseMatchers('team="1"'), equal: [] },
  { source: parseMatchers('n=~"2.*"'), target: parseMatchers('n=~".*2"'), equal: ['severity', 'absent'] },
]

/** Whether a rule inhibits an alert, by its definition. */
function isInhibited(rule: (typeof rules)[number], alert: ManagedAlert, all: readonly ManagedAlert[]): boolean {
  const is = (matchers: (typeof rule)['source'], { labels }: ManagedAlert): boolean =>
    matchesAll(matchers, name => labels.get(name))
  return (
    is(rule.target, alert) &&
    all.some(
      other =>
        other.endsMs > nowMs &&
        is(rule.source, other) &&
        rule.equal.every(name => other.labels.get(name) === alert.labels.get(name)) &&
        !(is(rule.source, alert) && is(rule.target, other)),
    )
  )
}

test('alerts inhibit others as each rule says, while they come, end, come again and go', () => {
  const random = seededRandom(11)
  const inhibition = new Inhibition(rules, [])
  const alerts = new Map<string, ManagedAlert>()
  let inhibited = 0
  for (let i = 0; i < 3000; i++) {
    const alert = randomAlert(random)
    const known = alerts.get(alert.fingerprint)
    if (known !== undefined && below(random, 4) === 0) {
      alerts.delete(alert.fingerprint)
      inhibition.remove(known)
    } else {
      alerts.set(alert.fingerprint, alert)
      inhibition.add(alert)
    }
    const asked = randomAlert(random)
    const found = inhibition.inhibiting(asked, nowMs)
    const expected = rules.filter(rule => isInhibited(rule, asked, [...alerts.values()]))
    assert.equal(found.length, expected.length, `step ${i}: ${asked.labels.toString()}`)
    for (const fingerprint of found) assert.ok((alerts.get(fingerprint)?.endsMs ?? 0) > nowMs)
    inhibited += found.length
  }
  assert.ok(inhibited > 500, `${inhibited} were inhibited`)
})

const silenceOf = (matchers: string, more: Partial<Silence> = {}): Omit<Silence, 'updatedMs'> => ({
  id: '',
  matchers: parseMatchers(matchers),
  startsMs: nowMs,
  endsMs: nowMs + 1000,
  createdBy: 'me',
  comment: 'c',
  ...more,
})

test('a silence suppresses what its matchers match, from its start up to its end', async () => {
  const state = new AlertmanagerState(seededRandom(1))
  const silencing = new Silencing(state.silences)
  const id = state.setSilence(
    silenceOf('a="b"', { startsMs: nowMs + 10, endsMs: nowMs + 20 }),
    nowMs,
    defaultAlertLimits,
  )
  const at = (ms: number, a = 'b'): Promise<string[]> => silencing.silencing(alertOf({ a }), nowMs + ms, pause)
  assert.deepEqual([await at(9), await at(10), await at(19), await at(20), await at(15, 'c')], [[], [id], [id], [], []])
})

test('an alert is compared with each silence once, and with those that come later', async () => {
  const state = new AlertmanagerState(seededRandom(1))
  const silencing = new Silencing(state.silences)
  let compared = 0
  const set = (wanted: Omit<Silence, 'updatedMs'>): string => {
    for (const matcher of wanted.matchers) {
      const { matches } = matcher
      matcher.matches = text => {
        compared++
        return matches.call(matcher, text)
      }
    }
    const id = state.setSilence(wanted, nowMs, defaultAlertLimits)
    silencing.changed()
    return id
  }
  for (let i = 0; i < 200; i++) set(silenceOf(`a="${i}"`))
  const alert = alertOf({ a: '7' })
  compared = 0
  const [first = ''] = await silencing.silencing(alert, nowMs, pause)
  assert.equal(compared, 200)
  assert.deepEqual(await silencing.silencing(alert, nowMs, pause), [first])
  assert.equal(compared, 200)
  const second = set(silenceOf('a="7"'))
  compared = 0
  assert.deepEqual(await silencing.silencing(alert, nowMs, pause), [first, second])
  assert.equal(compared, 1)
  state.expireSilence(first, nowMs)
  silencing.changed()
  assert.deepEqual(await silencing.silencing(alert, nowMs, pause), [second])
  silencing.forget(alert)
  compared = 0
  await silencing.silencing(alert, nowMs, pause)
  assert.ok(compared >= 200)
})

test('silences that come and go while an alert is compared count as they are in the end', async () => {
  const state = new AlertmanagerState(seededRandom(1))
  const silencing = new Silencing(state.silences)
  const add = (matchers: string): string => {
    const id = state.setSilence(silenceOf(matchers), nowMs, { silencesMax: 1e9 })
    silencing.changed()
    return id
  }
  for (let i = 0; i < 100; i++) add(`a="${i}"`)
  let pauses = 0
  const found = await silencing.silencing(alertOf({ a: '7' }), nowMs, () => {
    pauses++
    if (pauses === 1) {
      const ids = [...state.silences.keys()]
      for (const id of ids) state.silences.delete(id)
      // So many that the list of before is left.
      for (let i = 0; i < 2000; i++) add(`a="x${i}"`)
      state.silences.clear()
      add('a="7"')
    }
    return Promise.resolve()
  })
  assert.deepEqual(found, [[...state.silences.keys()][0]])
  assert.ok(pauses >= 1)
})

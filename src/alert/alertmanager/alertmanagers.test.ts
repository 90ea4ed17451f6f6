/** Alertmanagers of many tenants: what they may have together, where each keeps its state, and when one is closed. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultAlertLimits, type AlertLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { Labels } from '#model/labels.ts'
import { HttpClient } from '#net/http-client.ts'
import { OutgoingGuard } from '#net/outgoing-guard.ts'
import type { Alertmanager, Received } from './alertmanager.ts'
import { Alertmanagers } from './alertmanagers.ts'
import { readAlertmanagerConfig } from './config.ts'
import { parseMatchers } from './matchers.ts'
import { SharedRoom } from './shared-room.ts'
import { Templates } from './template-data.ts'

const startMs = Date.parse('2026-03-02T00:00:00Z')
const hourMs = 3_600_000

class World {
  readonly clock = new VirtualClock(startMs)
  readonly files = new MemoryFiles()
  /** In the bucket, by tenant. */
  readonly copies = new Map<string, Uint8Array>()

  open(limits: Partial<AlertLimits> = {}, tenantsMax = 100): Alertmanagers {
    const { clock, files } = this
    const config = readAlertmanagerConfig('route: { receiver: r }\nreceivers: [{ name: r }]', 'am.yml')
    return new Alertmanagers(config, new Templates([]), {
      clock,
      random: seededRandom(1),
      log: silentLog,
      files,
      placeOf: tenant => ({
        statePath: `/tenants/${tenant}/state.json`,
        backup: {
          read: () => Promise.resolve(this.copies.get(tenant)),
          write: bytes => Promise.resolve(void this.copies.set(tenant, bytes)),
          remove: () => Promise.resolve(void this.copies.delete(tenant)),
        },
      }),
      externalUrl: 'http://am',
      client: () => new HttpClient(plainClient, { clock, files, env: {}, guard: new OutgoingGuard(), directory: '/' }),
      readSecret: () => Promise.resolve(''),
      mail: () => Promise.resolve(),
      hasTenancy: true,
      limits: { ...defaultAlertLimits, ...limits },
      tenantsMax,
    })
  }
}

const send = (manager: Alertmanager, names: readonly string[]): Promise<Received> =>
  manager.receive(
    names.map(n => ({
      labels: Labels.fromObject({ n }),
      annotations: Labels.empty,
      startsMs: startMs,
      endsMs: startMs + hourMs,
      generatorUrl: '',
    })),
  )
const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => String(from + i))
const silence = (manager: Alertmanager, n: number): Promise<string> =>
  manager.setSilence({
    id: '',
    matchers: parseMatchers(`n="${n}"`),
    startsMs: startMs,
    endsMs: startMs + hourMs,
    createdBy: 'me',
    comment: '',
  })

test('room that is shared: an equal part of it is always there, and at most twice of it is held', () => {
  const room = new SharedRoom(100)
  const [first, second] = [room.share(), room.share()]
  first.hold(100)
  assert.deepEqual([first.isRoomFor(1), second.isRoomFor(50), second.isRoomFor(51)], [false, true, false])
  second.hold(50)
  assert.deepEqual([room.held, second.isRoomFor(1)], [150, false])
  first.leave()
  assert.deepEqual([room.held, second.isRoomFor(50), second.isRoomFor(51)], [50, true, false])
})

test('a tenant with many alerts and silences keeps no other from its own', async () => {
  const world = new World()
  const managers = world.open({ alertsMax: 10, silencesMax: 2 })
  const tenants = numbers(11)
  for (const tenant of tenants.slice(0, 10)) {
    const manager = await managers.of(tenant)
    assert.deepEqual(await send(manager, numbers(10)), { refused: 0, problems: [], passes: false })
    for (const n of [1, 2]) await silence(manager, n)
    assert.equal((await send(manager, ['more'])).refused, 1)
    await assert.rejects(silence(manager, 3), { name: 'LimitError', status: 429 })
  }
  const last = await managers.of(tenants[10]!)
  const { refused, problems } = await send(last, numbers(10))
  assert.equal(refused, 1)
  assert.match(problems[0]!, /^there are 109 alerts of all tenants, the limit is 100, .* raise limits\.alerts$/)
  await silence(last, 1)
  await assert.rejects(silence(last, 2), { name: 'LimitError', status: 429 })
  await managers.stop()
})

test('one that has nothing to keep is closed; it is opened again with what it has noted', async () => {
  const world = new World()
  const managers = world.open({}, 3)
  await managers.start('first')
  const id = await silence(await managers.of('kept'), 1)
  await managers.of('idle')
  await world.clock.advance(30_000)
  await assert.rejects(managers.of('more'), { name: 'LimitError', message: /3 tenants, .* raise limits\.tenants/ })
  await world.clock.advance(60_000)
  // What is idle for a minute makes room.
  await send(await managers.of('more'), ['1'])
  assert.equal(managers.all.length, 3)
  await world.clock.advance(6 * 24 * hourMs)
  assert.equal(managers.all.length, 1, 'the silence was kept for five days after its end')
  await world.clock.advance(1000)
  const again = await managers.of('kept')
  assert.deepEqual([...again.silences.keys()], [id])
  await managers.stop()
})

test('a deleted tenant is forgotten on disk and in the bucket, open or not; the others are not', async () => {
  const world = new World()
  const managers = world.open()
  await managers.start('first')
  for (const tenant of ['first', 'open', 'closed', 'other']) await silence(await managers.of(tenant), 1)
  await send(await managers.of('open'), ['1'])
  await managers.stop()
  await world.files.writeAtomic('/tenants/closed/state.json.damaged-1', new Uint8Array(3))
  const again = world.open()
  await again.start('first')
  await send(await again.of('open'), ['1'])
  await world.clock.advance(90_000)
  for (const tenant of ['first', 'open', 'closed', 'never']) await again.forget(tenant)
  assert.deepEqual([...world.copies.keys()], ['other'])
  assert.deepEqual(await world.files.list('/tenants/closed'), [])
  for (const tenant of ['first', 'open', 'closed']) {
    const manager = await again.of(tenant)
    assert.deepEqual([manager.silences.size, manager.isIdle], [0, true], tenant)
  }
  assert.equal((await again.of('other')).silences.size, 1)
  await again.stop()
})

test('what arrives at an Alertmanager that was just forgotten is refused, and brings nothing back', async () => {
  const world = new World()
  const managers = world.open()
  await managers.start('first')
  const before = await managers.of('a')
  await silence(before, 1)
  await managers.forget('a')
  await assert.rejects(silence(before, 2), { name: 'UnavailableError' })
  await assert.rejects(send(before, ['1']), { name: 'UnavailableError' })
  assert.deepEqual(await world.files.list('/tenants/a'), [])
  const after = await managers.of('a')
  assert.deepEqual([after.silences.size, after.isIdle], [0, true])
  await managers.stop()
})

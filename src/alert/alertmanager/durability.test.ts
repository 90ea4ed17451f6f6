/** Silences and the log of notifications on disks that are full or damaged, and with a bucket that is away. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { UnavailableError } from '#core/errors.ts'
import { defaultAlertLimits, type AlertLimits } from '#core/limits.ts'
import { silentLog, type Log } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import { below, seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { Labels } from '#model/labels.ts'
import { HttpClient } from '#net/http-client.ts'
import { OutgoingGuard } from '#net/outgoing-guard.ts'
import { Alertmanager, type AlertmanagerWorld } from './alertmanager.ts'
import { roomsOf } from './alertmanagers.ts'
import { readAlertmanagerConfig } from './config.ts'
import { parseMatchers } from './matchers.ts'
import { Templates } from './template-data.ts'

const startMs = Date.parse('2026-03-02T00:00:00Z')
const dayMs = 86_400_000
const configText =
  'route: { receiver: r, group_wait: 10s, group_interval: 1m, repeat_interval: 4h }\n' +
  "receivers: [{ name: r, email_configs: [{ to: r, from: 'am@x', smarthost: 'h:25', text: 't', html: '' }] }]"

/** What survives the end of an Alertmanager, and the Alertmanagers that start with it. */
class World {
  readonly clock = new VirtualClock(startMs)
  readonly files = new MemoryFiles()
  readonly errors: string[] = []
  mails = 0
  isDiskFull = false
  /** The bucket. */
  isAway = false
  copy: Uint8Array | undefined
  #hold: Promise<void> | undefined
  #seed = 0

  constructor() {
    this.files.onOperation = operation => {
      if (operation === 'write' && this.isDiskFull) throw new Error('ENOSPC: no space left on device')
    }
  }

  /** Writes wait until the returned function is called. */
  hold(): () => void {
    let release = (): void => {}
    this.#hold = new Promise(resolve => {
      release = () => {
        this.#hold = undefined
        resolve()
      }
    })
    return release
  }

  limits: Partial<AlertLimits> = {}

  async open(): Promise<Alertmanager> {
    const log: Log = { ...silentLog, error: text => void this.errors.push(text) }
    const { files } = this
    const held = Object.create(files) as MemoryFiles
    held.writeAtomic = async (path, bytes) => {
      await this.#hold
      await files.writeAtomic(path, bytes)
    }
    held.read = path => files.read(path)
    const { clock } = this
    const world: AlertmanagerWorld = {
      clock,
      random: seededRandom(++this.#seed),
      log,
      files: held,
      statePath: '/am/state.json',
      backup: {
        read: () => (this.isAway ? Promise.reject(new Error('away')) : Promise.resolve(this.copy)),
        write: bytes => {
          if (this.isAway) return Promise.reject(new Error('away'))
          this.copy = bytes
          return Promise.resolve()
        },
        remove: () => {
          this.copy = undefined
          return Promise.resolve()
        },
      },
      externalUrl: 'http://am',
      client: () => new HttpClient(plainClient, { clock, files, env: {}, guard: new OutgoingGuard(), directory: '/' }),
      readSecret: () => Promise.resolve(''),
      limits: { ...defaultAlertLimits, ...this.limits },
      tenant: undefined,
      rooms: roomsOf(defaultAlertLimits),
      mail: () => {
        this.mails++
        return Promise.resolve()
      },
    }
    const manager = new Alertmanager(readAlertmanagerConfig(configText, 'am.yml'), new Templates([]), world)
    await manager.open()
    return manager
  }
}

const silence = (a: string): Parameters<Alertmanager['setSilence']>[0] => ({
  id: '',
  matchers: parseMatchers(`a="${a}"`),
  startsMs: startMs,
  endsMs: startMs + dayMs,
  createdBy: 'me',
  comment: `of ${a}`,
})
const isSilenced = async (manager: Alertmanager, a: string): Promise<boolean> => {
  const own = { annotations: Labels.empty, startsMs: undefined, endsMs: startMs + dayMs, generatorUrl: '' }
  await manager.receive([{ ...own, labels: Labels.fromObject({ a }) }])
  const alert = manager.alerts().find(one => one.labels.get('a') === a)
  assert.ok(alert)
  return (await manager.statusOf(alert)).silencedBy.length > 0
}

test('a silence that can not be written leaves no trace, nor does its end or a change of it', async () => {
  const world = new World()
  const manager = await world.open()
  const kept = await manager.setSilence(silence('kept'))
  world.isDiskFull = true
  await assert.rejects(manager.setSilence(silence('lost')), UnavailableError)
  await assert.rejects(manager.expireSilence(kept), UnavailableError)
  await assert.rejects(manager.setSilence({ ...silence('kept'), id: kept, comment: 'changed' }), UnavailableError)
  const check = async (one: Alertmanager): Promise<void> => {
    assert.deepEqual([await isSilenced(one, 'kept'), await isSilenced(one, 'lost')], [true, false])
    assert.deepEqual(
      [...one.silences.values()].map(s => s.comment),
      ['of kept'],
    )
  }
  await check(manager)
  // A restart finds the same.
  const again = await world.open()
  await check(again)
  world.isDiskFull = false
  await again.setSilence(silence('later'))
  assert.equal(await isSilenced(again, 'later'), true)
  await Promise.all([manager.stop(), again.stop()])
})

test('a state that a newer program wrote refuses the start; a copy of one is never replaced', async () => {
  const world = new World()
  const newer = Buffer.from('{"version":2,"silences":[],"notifications":[]}')
  await world.files.writeAtomic('/am/state.json', newer)
  await assert.rejects(world.open(), NewerFormatError)
  assert.deepEqual(await world.files.list('/am'), ['state.json'], 'nothing was set aside')
  await world.files.remove('/am/state.json')
  world.copy = newer
  const manager = await world.open()
  await manager.setSilence(silence('a'))
  await world.clock.advance(dayMs)
  assert.equal(world.copy, newer)
  await manager.stop()
})

test('a silence is seen when it is in the file, not before', async () => {
  const world = new World()
  const manager = await world.open()
  const release = world.hold()
  const [one, two] = [manager.setSilence(silence('x')), manager.setSilence(silence('y'))]
  await world.clock.advance(0)
  assert.deepEqual([manager.silences.size, await isSilenced(manager, 'x')], [0, false])
  release()
  assert.notEqual(await one, await two)
  assert.deepEqual([await isSilenced(manager, 'x'), await isSilenced(manager, 'y')], [true, true])
  await manager.stop()
})

test('a notification that can not be noted is sent once in this process, and alerts go on', async () => {
  const world = new World()
  const manager = await world.open()
  world.isDiskFull = true
  await isSilenced(manager, 'x')
  await world.clock.advance(10 * 60_000)
  assert.equal(world.mails, 1)
  await manager.stop()
})

test('damage costs the entries that it hit; the file is set aside, and the process starts', async () => {
  const random = seededRandom(9)
  for (let round = 0; round < 100; round++) {
    const world = new World()
    world.isAway = true
    let manager = await world.open()
    const names = Array.from({ length: 8 }, (_, i) => `n${i}`)
    for (const name of names) await manager.setSilence(silence(name))
    await manager.stop()
    const bytes = Uint8Array.from(await world.files.read('/am/state.json'))
    const at = below(random, bytes.length)
    const isCut = round % 2 === 0
    if (!isCut) bytes[at] = 1 + below(random, 254)
    await world.files.writeAtomic('/am/state.json', isCut ? bytes.subarray(0, at) : bytes)
    const lines = Buffer.from(bytes).toString('latin1').split('\n')
    let end = 0
    const whole = names.filter((_, i) => {
      const from = i === 0 ? lines[0]!.length + 1 : end
      end = from + (lines[i + 1]?.length ?? 0) + 1
      return isCut ? end <= at : at < from || at >= end
    })
    world.errors.length = 0
    manager = await world.open()
    const place = `seed 9, round ${round}, byte ${at}`
    for (const name of whole) assert.equal(await isSilenced(manager, name), true, `${place}: ${name}`)
    const aside = (await world.files.list('/am')).filter(name => name.includes('.damaged-'))
    if (world.errors.length > 0) assert.equal(aside.length, 1, place)
    if (isCut) assert.equal(world.errors.length, 1, place)
    await manager.stop()
    world.errors.length = 0
    await (await world.open()).stop()
    assert.deepEqual(world.errors, [], `${place}: it is read once`)
  }
})

test('without its disk an Alertmanager takes up the copy, also when the bucket comes later', async () => {
  const world = new World()
  const first = await world.open()
  await first.setSilence(silence('x'))
  await first.stop()
  assert.ok(world.copy)
  await world.files.remove('/am/state.json')
  world.isAway = true
  const second = await world.open()
  assert.equal(await isSilenced(second, 'x'), false)
  await second.setSilence(silence('y'))
  await world.clock.advance(5 * 60_000)
  world.isAway = false
  await world.clock.advance(5 * 60_000)
  assert.deepEqual([await isSilenced(second, 'x'), await isSilenced(second, 'y')], [true, true])
  await second.stop()
  await world.files.remove('/am/state.json')
  const third = await world.open()
  assert.deepEqual([await isSilenced(third, 'x'), await isSilenced(third, 'y')], [true, true])
  await third.stop()
})

test('an alert beyond a limit is refused with the limit; known alerts change and end as before', async () => {
  const world = new World()
  world.limits = { alertsMax: 200, labelCharactersMax: 100, alertCharactersMax: 1000, allAlertsCharactersMax: 20_000 }
  const manager = await world.open()
  const alert = (n: number, text = '', endsMs = startMs + dayMs): Parameters<Alertmanager['receive']>[0][number] => ({
    labels: Labels.fromObject({ n: `${n}` }),
    annotations: Labels.fromObject({ text }),
    startsMs: startMs,
    endsMs,
    generatorUrl: '',
  })
  const list = (count: number, text?: string, endsMs?: number) =>
    Array.from({ length: count }, (_, n) => alert(n, text, endsMs))
  const received = await manager.receive(list(300))
  assert.deepEqual([received.refused, received.passes, received.problems.length], [100, true, 50])
  assert.match(
    received.problems[0]!,
    /^there are 200 alerts, which is the limit: \{n="200"\} is not taken; .*limits\.alerts$/,
  )
  assert.equal(manager.alerts().length, 200)
  // Texts that grow have room as long as all of them do.
  const longer = await manager.receive(list(200, 'x'.repeat(200)))
  assert.ok(longer.refused > 50 && longer.refused < 150 && longer.passes, JSON.stringify(longer))
  assert.match(longer.problems[0]!, /^all alerts would have \d+ characters, the limit is 20000: /)
  const ended = await manager.receive(list(200, '', startMs))
  assert.deepEqual([ended.refused, manager.alerts().length], [0, 0])
  const long = await manager.receive([
    alert(1, 'x'.repeat(2000)),
    { ...alert(1), labels: Labels.fromObject({ n: 'x'.repeat(200) }) },
  ])
  assert.deepEqual([long.refused, long.passes], [2, false])
  assert.match(long.problems[0]!, /^alert \{n="1"\} has 2006 characters, the limit is 1000$/)
  assert.match(long.problems[1]!, /^the labels of an alert have 201 characters, the limit is 100$/)
  await manager.stop()
})

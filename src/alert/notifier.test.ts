/** Sending of alerts: labels, batches, several receivers, a full queue; foreign Alertmanagers over a socket. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import { systemClock } from '#core/clock.ts'
import { UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { readRelabelRules, type RelabelRule } from '#lang/relabel/relabel.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { parseSettings } from '#lang/settings/section.ts'
import { Labels } from '#model/labels.ts'
import { HttpClient } from '#net/http-client.ts'
import { OutgoingGuard } from '#net/outgoing-guard.ts'
import type { Alert } from './alert.ts'
import { Notifier, remoteReceiver, type AlertReceiver } from './notifier.ts'

const alertOf = (labels: Record<string, string>): Alert => ({
  labels: Labels.fromObject(labels),
  annotations: Labels.fromObject({ summary: 's' }),
  startsMs: 1000,
  endsMs: 2000,
  generatorUrl: 'http://g',
})
const rules = (yaml: string): RelabelRule[] => readRelabelRules(parseSettings(yaml, 'r.yml').list())

/** Keeps the labels of what it is sent, a batch an element; fails while `isDown`. */
class KeptAlerts implements AlertReceiver {
  static #made = 0
  readonly url = `kept ${KeptAlerts.#made++}`
  readonly relabelRules: readonly RelabelRule[]
  readonly batches: string[][] = []
  isDown = false
  constructor(relabelRules: readonly RelabelRule[] = []) {
    this.relabelRules = relabelRules
  }
  /** Seconds for which it asks to be left alone. */
  isBusyFor = 0
  /** What it is sent waits for this. */
  hold: Promise<void> | undefined

  async send(alerts: readonly Alert[]): Promise<void> {
    await this.hold
    if (this.isBusyFor > 0) throw new UnavailableError('busy', this.isBusyFor)
    if (this.isDown) throw new Error('down')
    this.batches.push(alerts.map(a => a.labels.toString()))
  }
}

test("an alert's own labels win over external ones; relabelling changes and drops, for all and for one", async () => {
  const notifier = new Notifier(silentLog, new VirtualClock(0))
  const [all, own] = [
    new KeptAlerts(),
    new KeptAlerts(rules('[{ source_labels: [severity], regex: info, action: drop }]')),
  ]
  notifier.receivers = [all, own]
  notifier.externalLabels = [
    ['cluster', 'c1'],
    ['severity', 'none'],
  ]
  notifier.relabelRules = rules('[{ source_labels: [alertname], regex: Dropped, action: drop }]')
  notifier.notify(
    [alertOf({ alertname: 'A', severity: 'info' }), alertOf({ alertname: 'Dropped' }), alertOf({ alertname: 'B' })],
    'a',
  )
  await notifier.stop()
  const [a, b] = ['{alertname="A", cluster="c1", severity="info"}', '{alertname="B", cluster="c1", severity="none"}']
  assert.deepEqual([all.batches, own.batches], [[[a, b]], [[b]]])
  assert.equal(notifier.sent, 2)
})

test('alerts go out in batches of 256; more than 10,000 waiting ones lose the oldest', async () => {
  const notifier = new Notifier(silentLog, new VirtualClock(0))
  const kept = new KeptAlerts()
  notifier.receivers = [kept]
  notifier.notify(
    Array.from({ length: 10_100 }, (_, i) => alertOf({ i: String(i) })),
    'a',
  )
  await notifier.stop()
  assert.deepEqual([kept.batches[0]?.length, kept.batches.length], [256, 40])
  assert.deepEqual([kept.batches[0]?.[0], notifier.dropped, notifier.sent], ['{i="100"}', 100, 10_000])
})

test('one receiver that takes a batch is enough; without any the batch counts as dropped', async () => {
  const notifier = new Notifier(silentLog, new VirtualClock(0))
  const [up, down] = [new KeptAlerts(), new KeptAlerts()]
  down.isDown = true
  notifier.receivers = [up, down]
  notifier.notify([alertOf({ a: '1' })], 'a')
  await notifier.stop()
  assert.deepEqual([notifier.sent, notifier.errors, notifier.dropped], [1, 1, 0])
  up.isDown = true
  notifier.notify([alertOf({ a: '2' })], 'a')
  await notifier.stop()
  assert.deepEqual([notifier.sent, notifier.errors, notifier.dropped], [1, 3, 1])
})

test('a receiver that is slow, or busy, keeps no other waiting, and gets what it takes later in order', async () => {
  const clock = new VirtualClock(0)
  const notifier = new Notifier(silentLog, clock)
  const [fast, slow, busy] = [new KeptAlerts(), new KeptAlerts(), new KeptAlerts()]
  let release = (): void => {}
  slow.hold = new Promise(resolve => {
    release = resolve
  })
  busy.isBusyFor = 30
  notifier.receivers = [fast, slow, busy]
  notifier.notify([alertOf({ n: '0' })], 'a')
  await clock.advance(0)
  for (let i = 1; i < 4; i++) {
    notifier.notify([alertOf({ n: String(i) })], 'a')
    await clock.advance(5000)
  }
  busy.isBusyFor = 0
  assert.deepEqual(fast.batches, [['{n="0"}'], ['{n="1"}'], ['{n="2"}'], ['{n="3"}']])
  assert.deepEqual([slow.batches, busy.batches], [[], []])
  await clock.advance(14_999)
  assert.deepEqual(busy.batches, [], 'not before its pause is over')
  await clock.advance(1)
  // What it refused is sent again by its rule.
  assert.deepEqual(busy.batches, [['{n="1"}', '{n="2"}', '{n="3"}']])
  // Found again at the same address, it goes on with what waits.
  notifier.receivers = [fast, slow, busy]
  release()
  await clock.advance(0)
  assert.deepEqual(slow.batches, [['{n="0"}'], ['{n="1"}', '{n="2"}', '{n="3"}']])
  await notifier.stop()
  assert.deepEqual([notifier.sent, notifier.dropped, notifier.errors], [4, 0, 1])
})

test('tenants share no queue and no batch; rules of relabelling see whose an alert is', async () => {
  const clock = new VirtualClock(0)
  const notifier = new Notifier(silentLog, clock, true)
  const sent: string[] = []
  const busy = new Set(['a'])
  notifier.receivers = [
    {
      url: 'http://one',
      relabelRules: rules('[{ source_labels: [__tenant_id__], target_label: org }]'),
      send: async (alerts, tenant) => {
        if (busy.has(tenant)) throw new UnavailableError('busy', 30)
        sent.push(`${tenant}: ${alerts.map(({ labels }) => labels.toString()).join(' ')}`)
      },
    },
  ]
  notifier.notify([alertOf({ n: '0' })], 'a')
  await clock.advance(0)
  notifier.notify(
    Array.from({ length: 10_001 }, (_, i) => alertOf({ i: String(i) })),
    'a',
  )
  notifier.notify([alertOf({ n: '1', __tenant_id__: 'read' })], 'b')
  await clock.advance(0)
  assert.deepEqual([sent, notifier.dropped], [['b: {__tenant_id__="read", n="1", org="b"}'], 2])
  busy.clear()
  await clock.advance(30_000)
  assert.deepEqual([sent.length, notifier.sent], [41, 10_001])
  assert.ok(sent.slice(1).every(batch => batch.startsWith('a: ') && !batch.includes('__tenant_id__')))
  await notifier.stop()
})

test('a foreign Alertmanager gets API v2; an answer other than 2xx is an error', async () => {
  const bodies: unknown[] = []
  const tenants: unknown[] = []
  let status = 200
  const server = createServer((request, reply) => {
    const parts: Buffer[] = []
    request
      .on('data', (part: Buffer) => parts.push(part))
      .on('end', () => {
        tenants.push(request.headers['x-scope-orgid'])
        bodies.push(JSON.parse(Buffer.concat(parts).toString()))
        reply.writeHead(status, { 'retry-after': '7' }).end('so it is')
      })
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v2/alerts`
  const client = new HttpClient(plainClient, {
    clock: systemClock,
    files: new MemoryFiles(),
    env: {},
    guard: new OutgoingGuard(),
    directory: '/',
  })
  const receiver = remoteReceiver(url, client, 5000, [], { clock: systemClock, hasTenancy: false })
  await receiver.send([alertOf({ alertname: 'A' })], 'a')
  status = 500
  await assert.rejects(receiver.send([alertOf({})], 'a'), { message: /answered 500: so it is/, retryAfterSeconds: 7 })
  assert.deepEqual(bodies[0], [
    {
      labels: { alertname: 'A' },
      annotations: { summary: 's' },
      startsAt: '1970-01-01T00:00:01.000Z',
      endsAt: '1970-01-01T00:00:02.000Z',
      generatorURL: 'http://g',
    },
  ])
  status = 200
  await remoteReceiver(url, client, 5000, [], { clock: systemClock, hasTenancy: true }).send([alertOf({})], 'b')
  assert.deepEqual(tenants, [undefined, undefined, 'b'])
  await client.close()
  await new Promise(resolve => {
    server.close(resolve)
  })
})

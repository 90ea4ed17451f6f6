/** Live tails over a socket: what waits for a client that does not read, and what it hears when it reads again. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { MemoryBudget } from '#core/memory-budget.ts'
import { Omissions } from '#core/omissions.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { LogsReader, TailListener } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { everything } from '#net/access.ts'
import type { ServerSocket } from '#net/web-socket.ts'
import { QueryGate } from '#query/gate.ts'
import { LogqlEngine } from '#query/logql/engine.ts'
import { tailRoutes, type TailOptions } from './tail.ts'

const one = { heads: 1, caches: 1, bodies: 1, queries: 1, answers: 1, tails: 1, other: 1 }
const bytesMax = 1_000_000

interface Frame {
  streams: { stream: Record<string, string>; values: [string, string][] }[]
  dropped_entries?: { labels: Record<string, string>; timestamp: string }[]
}

/** A store whose lines the test hands to whoever follows, and a client that reads when the test says so. */
class Setting {
  readonly clock = new VirtualClock(1_700_000_000_000)
  readonly memory = new MemoryBudget(1e9, one)
  readonly listeners = new Set<TailListener>()
  readonly tails = { running: 0, max: 2, omissions: 0 }
  readonly closed: string[] = []

  get options(): TailOptions {
    const reader: LogsReader = {
      omissions: new Omissions(),
      damaged: () => [],
      select: () => Promise.resolve([]),
      streams: () => Promise.resolve([]),
      subscribe: (_matchers, listener) => {
        this.listeners.add(listener)
        return () => this.listeners.delete(listener)
      },
      watch: () => () => {},
      deletions: () => [],
    }
    const limits = { ...defaultLimits, queryTimeoutMs: 1e9 }
    return {
      clock: this.clock,
      engine: new LogqlEngine(this.clock, limits, { seriesMax: 10, stepsMax: 10 }),
      store: { reader: () => reader, ready: true },
      scopeOf: () => ({ tenants: ['fake'], labels: [] }),
      gate: new QueryGate(this.clock, limits),
      tails: this.tails,
      bytesMax,
      memory: this.memory.account('tails'),
    }
  }

  /** The refusal, or what closes the connection; `frames` get what is sent, `waiting` says what the client left. */
  open(query: string, frames: Frame[], waiting: () => number): { status: number } | (() => void) {
    const [route] = tailRoutes(this.options)
    const decision = route!.open({
      path: route!.path,
      query: new URLSearchParams({ query, limit: '1' }),
      header: () => undefined,
      grant: everything,
    })
    if (typeof decision !== 'function') return decision
    const onClose: (() => void)[] = []
    const socket: ServerSocket = {
      get waitingBytes() {
        return waiting()
      },
      send: text => {
        assert.ok(text.length < 600_000, `a frame of ${text.length}`)
        frames.push(JSON.parse(text) as Frame)
      },
      ping: () => {},
      close: (_code, reason) => {
        this.closed.push(reason)
      },
      onClose: run => onClose.push(run),
    }
    decision(socket)
    return () => {
      for (const run of onClose) run()
    }
  }

  line(text: string): void {
    const labels = Labels.fromObject({ app: 'a' })
    for (const listener of this.listeners)
      listener.onLine({ labels, ms: this.clock.nowMs(), subNs: 0, line: text, pairs: [] })
  }
}

test('lines wait for a client that does not read up to a number of bytes; the others it hears of', async () => {
  const setting = new Setting()
  const frames: Frame[] = []
  let waiting = Infinity
  const close = setting.open('{app="a"}', frames, () => waiting)
  assert.ok(typeof close === 'function')
  await setting.clock.advance(100)
  const text = 'x'.repeat(20_000)
  for (let i = 0; i < 2000; i++) setting.line(`${i} ${text}`)
  const held = setting.memory.heldBytes
  assert.ok(held > 0.9 * bytesMax && held <= bytesMax, String(held))
  await setting.clock.advance(1000)
  assert.equal(frames.length, 0)
  waiting = 0
  await setting.clock.advance(1000)
  const sent = frames.flatMap(({ streams }) => streams.flatMap(({ values }) => values))
  const dropped = frames.flatMap(({ dropped_entries = [] }) => dropped_entries)
  assert.equal(sent.length, 24)
  assert.ok(sent[0]![1].startsWith('0 ') && sent[23]![1].startsWith('23 '))
  assert.equal(dropped.length, 1000)
  assert.deepEqual(dropped[0], { labels: { app: 'a' }, timestamp: sent[0]![0] })
  assert.deepEqual([setting.memory.heldBytes, setting.tails.omissions], [0, 1976])
  // What the store dropped before it was matched is told, too, also when nothing else comes.
  for (const listener of setting.listeners) listener.onDropped(Labels.fromObject({ app: 'b' }), 5)
  await setting.clock.advance(1000)
  assert.deepEqual(frames.at(-1), { streams: [], dropped_entries: [{ labels: { app: 'b' }, timestamp: '5000000' }] })
  setting.line(text)
  assert.ok(setting.memory.heldBytes > 0)
  close()
  assert.deepEqual([setting.memory.heldBytes, setting.listeners.size, setting.tails.running], [0, 0, 0])
})

test('there are so many tails and no more; one whose query fails is closed with the reason', async () => {
  const setting = new Setting()
  const close = setting.open('{app="a"}', [], () => 0)
  setting.open('{app="a"}', [], () => 0)
  const refused = setting.open('{app="a"}', [], () => 0)
  assert.ok(typeof refused !== 'function')
  assert.equal(refused.status, 429)
  assert.ok(typeof close === 'function')
  close()
  assert.ok(typeof setting.open('{app="a"}', [], () => 0) === 'function')
  for (const listener of setting.listeners) listener.onError(new Error('too much'))
  assert.deepEqual(setting.closed, ['too much', 'too much'])
})

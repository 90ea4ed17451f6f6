/** Live tails: what followers hear, when, and what they do not hear of lines that come too fast. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryBudget } from '#core/memory-budget.ts'
import { exactly } from '#core/steady-clock.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { Matcher } from '#lang/regex/matcher.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { BatchAppender } from './batch-appender.ts'
import type { TailListener } from './select.ts'
import { Tail, type TailOptions } from './tail.ts'
import { Tenant } from './tenant.ts'

const nowMs = 1_700_000_000_000
const one = { heads: 1, caches: 1, bodies: 1, queries: 1, answers: 1, tails: 1, other: 1 }
const admission = {
  maxAgeMs: 3_600_000,
  futureMs: 60_000,
  outOfOrderMs: 600_000,
  lineBytesMax: 100_000,
  labelsPerStreamMax: 5,
  labelNameBytesMax: 100,
  labelValueBytesMax: 100,
  metadataPairsMax: 5,
  metadataBytesMax: 1000,
}

/** A tenant whose pushes go to a tail; the payload of each is overwritten behind it, as the log does. */
class Pushes {
  readonly tail: Tail
  readonly #tenant: Tenant
  readonly #appender = new BatchAppender(admission)

  constructor(options: Partial<TailOptions> = {}, name = 'fake') {
    this.tail = new Tail({ clock: new VirtualClock(nowMs), queueBytesMax: 1e6, memory: undefined, ...options })
    this.#tenant = new Tenant(name, () => 2000)
  }

  /** Lines as `app text`; returns the bytes of the record. */
  push(...entries: readonly string[]): number {
    const builder = new LogBatchBuilder()
    for (const entry of entries) {
      const [app = '', ...text] = entry.split(' ')
      builder.add(Labels.fromObject({ app }), nowMs, 0, text.join(' '))
    }
    const { name } = this.#tenant
    this.#appender.admit(this.#tenant, builder.build(), 1, exactly(nowMs))
    const payload = this.#appender.record.finish(name)
    const { lines } = this.#appender
    this.tail.offer(name, payload, lines, lines.show(payload, nowMs))
    payload.fill(0)
    return payload.length
  }
}

/** What a follower hears, as texts. */
class Heard implements TailListener {
  readonly lines: string[] = []
  readonly dropped: string[] = []
  readonly errors: unknown[] = []
  onLine({ labels, line }: { labels: Labels; line: string }): void {
    if (line === 'throw') throw new Error('broken')
    this.lines.push(`${labels.get('app')} ${line}`)
  }
  onDropped(labels: Labels): void {
    this.dropped.push(labels.get('app'))
  }
  onError(error: unknown): void {
    this.errors.push(error)
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate)
}

test('a follower hears each new line of its streams once, in order, and after the push', async () => {
  const pushes = new Pushes()
  const all = new Heard()
  const some = new Heard()
  pushes.tail.follow('fake', [], all)
  const stop = pushes.tail.follow('fake', [Matcher.equal('app', 'b')], some)
  const other = new Heard()
  pushes.tail.follow('other', [], other)
  let wakes = 0
  const unwatch = pushes.tail.watch('fake', () => wakes++)
  pushes.push('a 1', 'b 2', 'a 3', 'a 3')
  pushes.push('b 2', 'b 4')
  // Nothing is matched while a push goes on.
  assert.deepEqual([all.lines, wakes], [[], 2])
  await settle()
  assert.deepEqual([...all.lines].sort(), ['a 1', 'a 3', 'b 2', 'b 4'])
  assert.deepEqual([some.lines, other.lines], [['b 2', 'b 4'], []])
  unwatch()
  stop()
  pushes.push('b 5')
  await settle()
  assert.deepEqual([some.lines.length, all.lines.length, wakes], [2, 5, 2])
})

test('what waits for a follower is bounded in bytes; of what is dropped it hears the streams', async () => {
  const memory = new MemoryBudget(1e6, { ...one, tails: 0.05 })
  const account = memory.account('tails')
  const pushes = new Pushes({ queueBytesMax: 30_000, memory: account })
  const heard = [new Heard(), new Heard()]
  pushes.tail.follow('fake', [Matcher.equal('app', 'a')], heard[0]!)
  const stop = pushes.tail.follow('fake', [], heard[1]!)
  const text = 'x'.repeat(9900)
  // Three fit into a queue of 30,000 bytes, and five into the 50,000 of both.
  for (let i = 0; i < 10; i++) pushes.push(`${i % 2 === 0 ? 'a' : 'b'} ${i}${text}`)
  assert.ok(account.heldBytes <= 50_000 && account.heldBytes > 40_000, String(account.heldBytes))
  await settle()
  assert.deepEqual(
    heard.map(({ lines }) => lines.length),
    [2, 2],
  )
  assert.deepEqual(
    heard.map(({ dropped }) => [...new Set(dropped)].sort()),
    [['a'], ['a', 'b']],
  )
  assert.equal(account.heldBytes, 0)
  pushes.push(`a ${text}`)
  stop()
  await settle()
  assert.equal(account.heldBytes, 0)
  assert.deepEqual([heard[0]!.lines.length, heard[1]!.lines.length], [3, 2])
})

test('of more streams than are noted a follower hears without their names', async () => {
  const pushes = new Pushes({ queueBytesMax: 10 })
  const heard = new Heard()
  pushes.tail.follow('fake', [Matcher.equal('app', 'last')], heard)
  pushes.push(...Array.from({ length: 999 }, (_, i) => `a${i} line`), 'last line')
  await settle()
  assert.deepEqual(heard.dropped, ['last'])
  pushes.push(...Array.from({ length: 1000 }, (_, i) => `a${i} again`), 'last again')
  await settle()
  assert.deepEqual(heard.dropped, ['last', ''])
})

test('a follower that is slow keeps neither pushes nor other followers', async () => {
  const clock = new VirtualClock(nowMs)
  const pushes = new Pushes({ clock })
  const quick = new Heard()
  let slowLines = 0
  pushes.tail.follow('fake', [], {
    // Each line takes a second of its own.
    onLine: () => {
      slowLines++
      clock.advance(1000).catch(() => {})
    },
    onDropped: () => {},
    onError: () => {},
  })
  pushes.tail.follow('fake', [], quick)
  for (let i = 0; i < 100; i++) pushes.push(`a ${i}`)
  assert.deepEqual([slowLines, quick.lines], [0, []])
  while (quick.lines.length < 100) await new Promise(setImmediate)
})

test('a follower whose work fails hears of it once, and of nothing more', async () => {
  const memory = new MemoryBudget(1e6, one)
  const pushes = new Pushes({ memory: memory.account('tails') })
  const heard = new Heard()
  pushes.tail.follow('fake', [], heard)
  pushes.push('a fine', 'a throw', 'a more')
  pushes.push('a more still')
  await settle()
  pushes.push('a later')
  await settle()
  assert.deepEqual([heard.lines, heard.errors.map(String)], [['a fine'], ['Error: broken']])
  assert.equal(memory.heldBytes, 0)
})

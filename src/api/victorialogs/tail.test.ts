/** Live tails of LogsQL: a reader gets each line once, however slow it is, or an end that it can't miss. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { MemoryBudget } from '#core/memory-budget.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { nsOfMs } from '#lang/logsql/times.ts'
import type { LogsEngine } from '#logs/engine.ts'
import type { LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { QueryGate } from '#query/gate.ts'
import { LogsqlEngine } from '#query/logsql/engine.ts'
import { driving, openLogs } from '../../../test/signal-worlds.ts'
import { checkTailed, LogsqlTail, type TailingOptions } from './tail.ts'

const startMs = 1_700_000_000_000
const one = { heads: 1, caches: 1, bodies: 1, queries: 1, answers: 1, tails: 1, other: 1 }

/** A store, and one reader of its tail who takes a piece when the test says so. */
class Setting {
  readonly clock = new VirtualClock(startMs)
  readonly memory = new MemoryBudget(1e9, one)
  readonly gate: QueryGate
  readonly away = new AbortController()
  readonly tails = { running: 0, max: 2, omissions: 0 }
  readonly #store: LogsEngine
  readonly reader: LogsReader
  readonly #pieces: AsyncGenerator<string>
  #next: Promise<IteratorResult<string>> | undefined

  static async open(query: string, options: Partial<TailingOptions> = {}): Promise<Setting> {
    const clock = new VirtualClock(startMs)
    return new Setting(clock, await openLogs(clock), query, options)
  }

  private constructor(clock: VirtualClock, store: LogsEngine, query: string, options: Partial<TailingOptions>) {
    this.clock = clock
    this.gate = new QueryGate(clock, { queryConcurrencyMax: 1, queryQueueMax: 0, queryTimeoutMs: 1e9 })
    this.#store = store
    this.reader = store.reader('fake')
    const engine = new LogsqlEngine(clock, { ...defaultLimits, queryTimeoutMs: 1e9 })
    const { gate, tails } = this
    const tailing = { gate, tails, tailBytesMax: 1e6, memory: this.memory.account('tails'), ...options }
    const parsed = parseLogsql(query, nsOfMs(clock.nowMs()))
    const of = { clock, engine, query: parsed, reader: this.reader, signal: this.away.signal, onLacking: () => {} }
    this.#pieces = new LogsqlTail(of, tailing).pieces()
  }

  /** Lines of the stream {app="a"}, or of others, at times before now. */
  async push(texts: readonly string[], agoMs: (i: number) => number = () => 0, app = 'a'): Promise<void> {
    const builder = new LogBatchBuilder()
    const labels = Labels.fromObject({ app })
    const nowMs = this.clock.nowMs()
    for (const [i, text] of texts.entries()) builder.add(labels, nowMs - agoMs(i), 0, text)
    await driving(this.clock, this.#store.append('fake', builder.build()))
  }

  /** Cuts what is in memory, so that it is read from the bucket. */
  async cut(): Promise<void> {
    await driving(this.clock, this.#store.flush())
  }

  /** What the reader gets when it takes all that comes within some seconds. */
  async take(seconds = 3): Promise<string[]> {
    const texts: string[] = []
    for (let waited = 0; waited < seconds * 10;) {
      this.#next ??= this.#pieces.next()
      const came = await Promise.race([this.#next, this.clock.advance(100).then(() => undefined)])
      if (came === undefined) {
        waited++
        continue
      }
      this.#next = undefined
      if (came.done === true) break
      texts.push(...came.value.split('\n').filter(line => line !== ''))
    }
    return texts.map(text => (JSON.parse(text) as { _msg: string })._msg)
  }

  async close(): Promise<void> {
    this.away.abort()
    await this.clock.advance(2000)
    this.#next?.catch(() => {})
    await this.#pieces.return(undefined).catch(() => {})
    await driving(this.clock, this.#store.close())
    assert.deepEqual([this.tails.running, this.memory.heldBytes], [0, 0])
  }
}

const numbered = (count: number, name: string, length = 0): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${i} ${'x'.repeat(length)}`)

test('a tail has each new line once, late ones too, and lines that print the same as often as they are', async () => {
  const setting = await Setting.open('*')
  await setting.push(['before'], () => 4000)
  await setting.push(['long before'], () => 60_000)
  assert.deepEqual(await setting.take(), ['before'])
  await setting.push(['now', 'then'], i => i * 3000)
  assert.deepEqual((await setting.take()).sort(), ['now', 'then'])
  await setting.push(['late'], () => 4000)
  assert.deepEqual(await setting.take(10), ['late'])
  await setting.close()
  const merged = await Setting.open('* | fields _time, _msg')
  await merged.take()
  const atMs = merged.clock.nowMs()
  const ago = (): number => merged.clock.nowMs() - atMs
  await merged.push(['same'], ago, 'a')
  assert.deepEqual(await merged.take(1), ['same'])
  await merged.push(['same'], ago, 'b')
  assert.deepEqual(await merged.take(), ['same'])
  await merged.close()
})

/** At least so many lines: what is read back from chunks comes when these are unpacked, however long that takes. */
async function takeAll(setting: Setting, count: number): Promise<string[]> {
  const taken = await setting.take(10)
  for (let more = 0; taken.length < count && more < 1000; more++) taken.push(...(await setting.take(1)))
  return taken
}

test('a reader that takes nothing for a while gets all lines in the end, out of a buffer of its size', async () => {
  const setting = await Setting.open('*', { tailBytesMax: 100_000 })
  await setting.take()
  const all: string[] = []
  for (let minute = 0; minute < 20; minute++) {
    const texts = numbered(30, `minute ${minute}`, 3000)
    all.push(...texts)
    await setting.push(texts, i => i * 10)
    await setting.clock.advance(60_000)
    assert.ok(setting.memory.heldBytes <= 100_000, String(setting.memory.heldBytes))
    if (minute === 10) await setting.cut()
  }
  assert.deepEqual((await takeAll(setting, all.length)).sort(), all.sort())
  // Many lines of one millisecond go out by parts.
  const burst = numbered(500, 'burst', 3000)
  await setting.push(burst)
  assert.deepEqual((await takeAll(setting, burst.length)).sort(), burst.sort())
  assert.equal(setting.tails.omissions, 0)
  await setting.close()
})

test('more lines of the last seconds than can be known as sent come when these are over', async () => {
  const setting = await Setting.open('*', { seenMax: 500 })
  await setting.take()
  const texts = numbered(600, 'many')
  await setting.push(texts, i => i % 1000)
  assert.deepEqual(await setting.take(1), [])
  assert.deepEqual((await setting.take(10)).sort(), texts.sort())
  await setting.push(['soon'])
  assert.deepEqual(await setting.take(1), ['soon'])
  await setting.close()
})

test('what finds no turn or no memory is looked for until it is there', async () => {
  const setting = await Setting.open('*')
  await setting.take()
  let end: () => void = () => {}
  const blocked = setting.gate.run(undefined, Infinity, () => new Promise<void>(resolve => (end = resolve)))
  await setting.push(['one'])
  assert.deepEqual(await setting.take(30), [])
  end()
  await blocked
  assert.deepEqual(await setting.take(), ['one'])
  const account = setting.memory.account('tails')
  account.take(1e9)
  await setting.push(numbered(5, 'two'))
  assert.deepEqual(await setting.take(30), [])
  account.give(1e9)
  assert.deepEqual((await setting.take()).sort(), numbered(5, 'two'))
  await setting.close()
})

test('a tail ends where it would lack something: damage, or too many lines of one millisecond', async () => {
  const damaged = await Setting.open('*')
  await damaged.take()
  damaged.reader.omissions.add('block', 'is damaged')
  await assert.rejects(damaged.take(), /the results are incomplete: block block: is damaged/)
  assert.equal(damaged.tails.omissions, 1)
  await damaged.close()
  const crowded = await Setting.open('*', { tailBytesMax: 20_000, seenMax: 500 })
  await crowded.take()
  await crowded.push(numbered(600, 'same moment'))
  await assert.rejects(crowded.take(10), /can't tell more than 500 lines/)
  assert.equal(crowded.tails.omissions, 1)
  await crowded.close()
  const timeless = await Setting.open('* | fields _msg')
  await timeless.push(['text'])
  await assert.rejects(timeless.take(), /must have the field _time/)
  await timeless.close()
})

test('pipes that need all rows are refused', () => {
  const check = (text: string): void => {
    checkTailed(parseLogsql(text, nsOfMs(startMs)), new URLSearchParams())
  }
  for (const pipe of ['stats count()', 'sort by (_time)', 'limit 5', 'uniq by (app)'])
    assert.throws(() => {
      check(`* | ${pipe}`)
    }, /can't be used in a tail/)
  check('error | fields _time, _msg | filter app:a')
})

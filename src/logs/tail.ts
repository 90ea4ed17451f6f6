/**
 * Lines handed to those who follow them, as they are accepted. A push leaves a copy of its record in the queue of each
 * follower and goes on; lines are matched later, with a turn for others in between. A queue is bounded in bytes: what
 * finds it full is dropped, and its follower hears of it.
 */
import type { Clock } from '#core/clock.ts'
import type { MemoryAccount, MemoryHold } from '#core/memory-budget.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { Labels } from '#model/labels.ts'
import type { AdmittedLines } from './admitted-lines.ts'
import type { TailListener } from './select.ts'
import { LineCursor } from './wal-record.ts'

export interface TailOptions {
  clock: Clock
  /** Bytes of records that wait for one follower. */
  queueBytesMax: number
  /** What the queues draw on; undefined: nobody counts. */
  memory: MemoryAccount | undefined
}

/** Lines that became visible together. */
interface Batch {
  readonly payload: Uint8Array
  readonly lines: AdmittedLines
  /** Numbers of lines in the record that were there before, ascending. */
  readonly repeated: readonly number[]
}

/** Streams of which something was dropped that are noted until the follower hears of it; the others have no name. */
const droppedStreamsMax = 1000
const someStream = Labels.fromObject({})

class Follower {
  readonly tenant: string
  readonly #options: TailOptions
  readonly #matchers: readonly Matcher[]
  readonly #listener: TailListener
  readonly #hold: MemoryHold | undefined
  readonly #pause: () => Promise<void>
  readonly #queue: Batch[] = []
  readonly #dropped: { labels: Labels; ms: number }[] = []
  /** When lines of a stream were dropped that is not noted. */
  #unnamedMs: number | undefined
  #queuedBytes = 0
  #isMatching = false
  #isEnded = false

  constructor(tenant: string, matchers: readonly Matcher[], listener: TailListener, options: TailOptions) {
    this.tenant = tenant
    this.#matchers = matchers
    this.#listener = listener
    this.#options = options
    this.#hold = options.memory?.hold()
    this.#pause = yieldEvery(options.clock)
  }

  offer(batch: Batch, nowMs: number): void {
    if (this.#isEnded) return
    if (this.#fits(batch.payload.length)) {
      this.#queue.push(batch)
      this.#queuedBytes += batch.payload.length
    } else this.#drop(batch.lines, nowMs)
    if (this.#isMatching) return
    this.#isMatching = true
    // Not within the push that brought the lines.
    void this.#options.clock.yield().then(() => this.#matchAll())
  }

  #drop(lines: AdmittedLines, ms: number): void {
    for (const { labels } of lines.streams()) {
      if (this.#dropped.length >= droppedStreamsMax) {
        this.#unnamedMs = ms
        return
      }
      this.#dropped.push({ labels, ms })
    }
  }

  #fits(bytes: number): boolean {
    if (this.#queuedBytes + bytes > this.#options.queueBytesMax) return false
    try {
      this.#hold?.take(bytes)
      return true
    } catch {
      return false
    }
  }

  async #matchAll(): Promise<void> {
    try {
      for (let batch = this.#queue.shift(); batch !== undefined && !this.#isEnded; batch = this.#queue.shift()) {
        await this.#match(batch)
        this.#queuedBytes -= batch.payload.length
        this.#hold?.give(batch.payload.length)
        this.#report()
      }
      this.#report()
    } catch (error) {
      this.end()
      this.#listener.onError(error)
    }
    this.#isMatching = false
  }

  /** What was dropped since it was reported last. */
  #report(): void {
    for (const { labels, ms } of this.#dropped.splice(0))
      if (!this.#isEnded && this.#selects(labels)) this.#listener.onDropped(labels, ms)
    const unnamedMs = this.#unnamedMs
    this.#unnamedMs = undefined
    // It may have been none of the follower's: better one notice too many.
    if (!this.#isEnded && unnamedMs !== undefined) this.#listener.onDropped(someStream, unnamedMs)
  }

  #selects(labels: Labels): boolean {
    return this.#matchers.every(m => m.matches(labels.get(m.name)))
  }

  async #match({ payload, lines, repeated }: Batch): Promise<void> {
    const cursor = new LineCursor(payload)
    let stream = -1
    let labels: Labels | undefined
    let nextRepeated = 0
    for (let number = 0; cursor.next(); number++) {
      // The clock is not asked for every line.
      if ((number & 15) === 0) await this.#pause()
      if (this.#isEnded) return
      if (cursor.stream !== stream) {
        stream = cursor.stream
        const found = lines.streamOf(stream)?.labels
        labels = found !== undefined && this.#selects(found) ? found : undefined
      }
      const isRepeated = repeated[nextRepeated] === number
      if (isRepeated) nextRepeated++
      if (isRepeated || labels === undefined) continue
      const { ms, subNs, from, to } = cursor
      const line = Buffer.from(payload.buffer, payload.byteOffset + from, to - from).toString('utf8')
      this.#listener.onLine({ labels, ms, subNs, line, pairs: lines.pairsOf(number) })
    }
  }

  end(): void {
    this.#isEnded = true
    this.#queue.length = 0
    this.#dropped.length = 0
    this.#hold?.close()
  }
}

export class Tail {
  readonly #options: TailOptions
  readonly #followers = new Set<Follower>()
  readonly #watchers = new Set<{ tenant: string; onNew: () => void }>()

  constructor(options: TailOptions) {
    this.#options = options
  }

  get isFollowed(): boolean {
    return this.#followers.size > 0
  }

  /** Calls the listener for every line of matching streams until the returned function is called. */
  follow(tenant: string, matchers: readonly Matcher[], listener: TailListener): () => void {
    const follower = new Follower(tenant, matchers, listener, this.#options)
    this.#followers.add(follower)
    return () => {
      follower.end()
      this.#followers.delete(follower)
    }
  }

  /** Calls `onNew` whenever the tenant has new lines, until the returned function is called. */
  watch(tenant: string, onNew: () => void): () => void {
    const watcher = { tenant, onNew }
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  /**
   * Lines of a record became visible. The payload is copied where somebody follows; `repeated` are the numbers of lines
   * that were there before.
   */
  offer(tenant: string, payload: Uint8Array, lines: AdmittedLines, repeated: readonly number[]): void {
    for (const watcher of this.#watchers) if (watcher.tenant === tenant) watcher.onNew()
    const followers = [...this.#followers].filter(follower => follower.tenant === tenant)
    if (followers.length === 0) return
    const batch = { payload: payload.slice(), lines, repeated }
    const nowMs = this.#options.clock.nowMs()
    for (const follower of followers) follower.offer(batch, nowMs)
  }
}

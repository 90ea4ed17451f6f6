/**
 * What was sent and what became of it, known from replies alone: the model that answers are compared with. It shares
 * nothing with the engines.
 */
import type { Answer, Item, Part } from './signal.ts'

/**
 * `pending`: no reply yet. `unknown`: the process died before it replied, or lost what it was allowed to lose; the item
 * may be there. `refused`: it must not be there.
 */
export type TryState = 'pending' | 'acknowledged' | 'refused' | 'unknown'

/** One sending of an item. */
export interface Try {
  item: Item
  state: TryState
  /** By which process, on which machine, and when the reply came. */
  process: number
  machine: string
  repliedMs: number
  /**
   * Refused for a reason that passes, while the process could not keep anything: when it dies before it kept anything
   * else, the item may come back.
   */
  mayReturn: boolean
}

interface Entry {
  key: string
  group: number
  timeMs: number
  tries: Try[]
  /** A deletion of it was acknowledged, or may have happened. */
  deleted: 'no' | 'maybe' | 'yes'
  /** True time at which a flush had put it into the bucket; Infinity: none did. */
  inBucketMs: number
}

/** Whose answer it is that is checked. */
export interface Viewer {
  /** Must this process show what that sending acknowledged? */
  owes(sent: Try, inBucketMs: number): boolean
  /** It learns of deletions later than the writer that did them. */
  mayShowDeleted: boolean
  /** Items from before may be gone. */
  retainedFromMs: number
  /** Answers may lack damaged blocks, when they say so. */
  mayOmit: boolean
  /** So many items were reported as lost. */
  lossesTold: number
}

export class Model {
  readonly #entries = new Map<string, Entry>()

  /** Notes that the items are being sent. */
  send(items: readonly Item[], process: number, machine: string): Try[] {
    return items.map(item => {
      const entry = this.#entry(item)
      const sent: Try = { item, state: 'pending', process, machine, repliedMs: Infinity, mayReturn: false }
      entry.tries.push(sent)
      return sent
    })
  }

  #entry({ key, group, timeMs }: Item): Entry {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { key, group, timeMs, tries: [], deleted: 'no', inBucketMs: Infinity }
      this.#entries.set(key, entry)
    }
    return entry
  }

  /** Items that a sender would send again: it knows of no reply that has them. */
  unacknowledged(groups: ReadonlySet<number>): Item[] {
    return [...this.#entries.values()]
      .filter(
        ({ group, tries }) => !groups.has(group) && tries.every(t => t.state === 'refused' || t.state === 'unknown'),
      )
      .map(({ tries }) => tries[0]!.item)
      .filter(({ flaw }) => flaw === undefined)
  }

  /** Is it in memory already, as far as replies say? */
  mayBeKept(key: string): boolean {
    return this.#entries.get(key)?.tries.some(t => t.state === 'acknowledged' || t.state === 'unknown') === true
  }

  /** Items that have been kept. */
  acknowledged(groups: ReadonlySet<number>): Item[] {
    return [...this.#entries.values()]
      .filter(({ group, tries }) => !groups.has(group) && tries.some(t => t.state === 'acknowledged'))
      .map(({ tries }) => tries.find(t => t.state === 'acknowledged')!.item)
  }

  /** The process died: who waits for its reply gets none. */
  lose(process: number): void {
    for (const { tries } of this.#entries.values())
      for (const sent of tries)
        if (sent.process === process && (sent.state === 'pending' || sent.mayReturn)) sent.state = 'unknown'
  }

  /** The process kept something: with that, all that it refused before is void. */
  refuseForGood(process: number): void {
    for (const { tries } of this.#entries.values())
      for (const sent of tries) if (sent.process === process) sent.mayReturn = false
  }

  /** What the machine may have lost: replies since that time. */
  forget(machine: string, sinceMs: number): void {
    for (const { tries } of this.#entries.values())
      for (const sent of tries)
        if (sent.state === 'acknowledged' && sent.machine === machine && sent.repliedMs >= sinceMs)
          sent.state = 'unknown'
  }

  /** `reaches`: was what that sending brought in the deleter's reach? What comes back later was in nobody's. */
  delete(group: number, { fromMs, throughMs }: Omit<Part, 'group'>, reaches: (sent: Try) => boolean): void {
    for (const entry of this.#entries.values())
      if (entry.group === group && entry.timeMs <= throughMs && entry.deleted !== 'yes')
        entry.deleted =
          entry.timeMs >= fromMs && entry.tries.every(t => t.state !== 'pending' && !t.mayReturn && reaches(t))
            ? 'yes'
            : 'maybe'
  }

  /** A flush put what these sendings brought into the bucket. */
  reachedBucket(nowMs: number, covers: (sent: Try) => boolean): void {
    for (const entry of this.#entries.values())
      if (entry.inBucketMs === Infinity && entry.tries.some(t => t.state === 'acknowledged' && covers(t)))
        entry.inBucketMs = nowMs
  }

  /** What is wrong with the answer; undefined: nothing. */
  check(answer: Answer, part: Part, viewer: Viewer, isExact: boolean): string | undefined {
    const seen = new Map<string, number>()
    for (const { key, value } of answer.found) {
      if (seen.has(key)) return `${key} is there twice`
      seen.set(key, value)
      const problem = this.#problemOf(key, value, viewer)
      if (problem !== undefined) return problem
      const { timeMs, group } = this.#entries.get(key)!
      if (isExact && (timeMs < part.fromMs || timeMs > part.throughMs)) return `${key} is outside of the time`
      if (part.group !== undefined && group !== part.group) return `${key} is of another group`
    }
    return this.#missing(seen, answer, part, viewer)
  }

  #problemOf(key: string, value: number, { mayShowDeleted }: Viewer): string | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return `${key} was never sent`
    if (entry.deleted === 'yes' && !mayShowDeleted) return `${key} was deleted`
    const kept = entry.tries.filter(t => t.state !== 'refused')
    if (kept.length === 0) return `${key} was refused (${entry.tries.length} times)`
    if (!kept.some(t => t.item.value === value))
      return `${key} is ${value}, sent were ${kept.map(t => t.item.value).join(', ')}`
    return undefined
  }

  #missing(seen: ReadonlyMap<string, number>, answer: Answer, part: Part, viewer: Viewer): string | undefined {
    const missing: Entry[] = []
    for (const entry of this.#entries.values()) {
      const { key, timeMs, group, deleted, inBucketMs } = entry
      if (seen.has(key) || deleted !== 'no' || timeMs < viewer.retainedFromMs) continue
      if (timeMs < part.fromMs || timeMs > part.throughMs) continue
      if (part.group !== undefined && group !== part.group) continue
      if (entry.tries.some(t => t.state === 'acknowledged' && viewer.owes(t, inBucketMs))) missing.push(entry)
    }
    if (missing.length === 0) return undefined
    if (viewer.mayOmit && answer.omissions.length > 0) return undefined
    if (missing.length > viewer.lossesTold)
      return `acknowledged ${missing.map(e => e.key).join(', ')} missing (${seen.size} found)`
    for (const { tries } of missing) for (const sent of tries) if (sent.state === 'acknowledged') sent.state = 'unknown'
    return undefined
  }
}

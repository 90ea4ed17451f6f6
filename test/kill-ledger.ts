/** What was acknowledged, kept outside of the processes that are killed; and the findings against it. */
import { itemsOfBatch, type Batch, type Flow } from './kill-flows.ts'

export class Ledger {
  readonly flow: Flow
  readonly acknowledged = new Set<number>()
  /** Made so far. */
  batches = 0
  /** Batches without an answer so far: their items may be there. */
  readonly pending = new Set<Batch>()
  /** Of batches that were answered the first time: bad items that must not be there. */
  readonly #refused = new Set<number>()
  /** Item numbers at which the cycles began. */
  readonly #cycles: number[] = []
  readonly #found = new Set<string>()
  missing = 0
  doubled = 0
  wrong = 0

  constructor(flow: Flow) {
    this.flow = flow
  }

  beginCycle(next: number): void {
    this.#cycles.push(next)
  }

  settle(batch: Batch, outcome: 'kept' | 'partly'): void {
    this.pending.delete(batch)
    for (let i = 0; i < itemsOfBatch; i++) this.acknowledged.add(batch.first + i)
    if (outcome === 'partly' && batch.attempts === 1) this.#refused.add(-1 - batch.first)
  }

  /** In words, each finding once: what is missing, there twice, or there and never acknowledged. */
  compare(found: readonly number[], from: number, through: number): string[] {
    const there = new Set<number>()
    const findings: string[] = []
    const note = (kind: 'missing' | 'doubled' | 'wrong', n: number, text: string): void => {
      const key = `${kind} ${n}`
      if (this.#found.has(key)) return
      this.#found.add(key)
      this[kind]++
      findings.push(`${this.flow.name}: item ${n} of cycle ${this.#cycleOf(n)} ${text}`)
    }
    for (const n of found) {
      if (there.has(n)) note('doubled', n, 'is there twice')
      there.add(n)
    }
    for (const n of this.acknowledged)
      if (n >= from && n <= through && !there.has(n)) note('missing', n, 'was acknowledged and is missing')
    const perhaps = new Set<number>()
    for (const { first } of this.pending) for (let i = 0; i < itemsOfBatch; i++) perhaps.add(first + i)
    for (const n of there) {
      if (n < 0 ? this.#refused.has(n) : !this.acknowledged.has(n) && !perhaps.has(n))
        note('wrong', n, n < 0 ? 'was refused and is there' : 'is there and was never sent')
    }
    return findings
  }

  #cycleOf(n: number): number {
    const item = n < 0 ? -1 - n : n
    let cycle = 0
    while (cycle + 1 < this.#cycles.length && this.#cycles[cycle + 1]! <= item) cycle++
    return cycle
  }
}

/** What rules stored: samples of a recording rule that were seen, and since when an alert is active. */
export class RuleLedger {
  readonly seen = new Map<number, number>()
  missing = 0
  doubled = 0
  moved = 0
  /** Looks at which the samples could not be read. */
  unread = 0
  readonly #found = new Set<string>()

  note(timeMs: number, value: number): void {
    this.seen.set(timeMs, value)
  }

  compare(recorded: readonly (readonly [timeMs: number, value: number])[]): string[] {
    const findings: string[] = []
    const there = new Map<number, number>()
    for (const [timeMs, value] of recorded) {
      if (there.has(timeMs)) findings.push(this.#once('doubled', `the recorded sample at ${timeMs} is there twice`))
      there.set(timeMs, value)
    }
    for (const [timeMs, value] of this.seen)
      if (there.get(timeMs) !== value)
        findings.push(
          this.#once(
            'missing',
            `the recorded sample at ${timeMs} was ${value} and is ${there.get(timeMs) ?? 'missing'}`,
          ),
        )
    return findings.filter(text => text !== '')
  }

  /** An alert waits on where it was: its start moves by the time without evaluations at most. Values are seconds. */
  compareActive(samples: readonly (readonly [timeMs: number, value: number])[]): string[] {
    const findings: string[] = []
    for (let i = 1; i < samples.length; i++) {
      const [beforeMs, before] = samples[i - 1]!
      const [atMs, value] = samples[i]!
      if (value - before > (atMs - beforeMs) / 1000 + 1)
        findings.push(this.#once('moved', `activeAt moved from ${before} to ${value} between ${beforeMs} and ${atMs}`))
    }
    return findings.filter(text => text !== '')
  }

  #once(kind: 'missing' | 'doubled' | 'moved', text: string): string {
    if (this.#found.has(text)) return ''
    this.#found.add(text)
    this[kind]++
    return text
  }
}

/**
 * The script of a run: a list of steps, drawn from the seed and concrete in every number, so that a run can be repeated
 * with steps left out.
 */
import { below, seededRandom, type Random } from '#core/random.ts'
import { bucketFaults, type BucketFault } from './faulty-bucket.ts'
import type { DiskOperation } from './faulty-disk.ts'
import type { CrashEffect } from './life.ts'
import type { Flaw } from './signal.ts'

/** Two writers, each with its own machine, and a process that only reads. */
export type ProcessName = 'a' | 'b' | 'reader'

export interface ItemPlan {
  id: number
  group: number
  /** How long before the sender's now. */
  agoMs: number
  value: number
  flaw?: Flaw
}

export type Step =
  /** Batches that are sent at once; how long the script waits for replies. */
  | { do: 'append'; on: ProcessName; batches: ItemPlan[][]; waitMs: number }
  /** Sends again what was refused, or not answered. */
  | { do: 'resend'; on: ProcessName }
  /** Sends items again that were acknowledged; with another value where `plus` is not 0. */
  | { do: 'repeat'; on: ProcessName; plus: number }
  | { do: 'wait'; ms: number }
  | { do: 'flush'; on: ProcessName; isAwaited: boolean }
  | { do: 'maintain'; on: ProcessName }
  | { do: 'check'; on: ProcessName; group?: number; agoMs?: number }
  | { do: 'delete'; on: ProcessName; group: number }
  | { do: 'kill'; on: ProcessName; inOperations: number; effect: CrashEffect; isPower: boolean }
  | { do: 'start'; on: ProcessName; wipe: boolean; isGraceful: boolean }
  | { do: 'hand-over'; on: ProcessName }
  | { do: 'bucket'; fault: BucketFault; oneIn: number; forMs: number }
  | { do: 'disk-full'; on: ProcessName; forMs: number }
  | { do: 'disk-broken'; on: ProcessName; operation: DiskOperation; times: number }
  | { do: 'flip'; target: 'local-log' | 'bucket-log' | 'block'; on: ProcessName; at: number; bit: number }
  | { do: 'lose'; at: number }
  | { do: 'wall'; on: ProcessName; byMs: number }

export interface Script {
  seed: number
  durability: 'local' | 'bucket'
  syncAlways: boolean
  /** For so long an answer of the bucket about its writer is good. */
  leaseMs: number
  retentionMs: number
  steps: Step[]
}

const hourMs = 3_600_000

/** What a script is about: a few kinds of trouble each, so that they meet often. */
const topics = ['crash', 'power', 'bucket', 'outage', 'disk', 'damage', 'two', 'reader', 'delete', 'time'] as const
type Topic = (typeof topics)[number]

class Generator {
  readonly #random: Random
  readonly #topics = new Set<Topic>()
  readonly script: Script
  #nextId = 0
  #nextGroup = 4

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    // The first numbers of neighbouring seeds are alike.
    for (let i = 0; i < 8; i++) this.#random.u32()
    for (let i = 1 + this.#below(3); i > 0; i--) this.#topics.add(topics[this.#below(topics.length)]!)
    this.script = {
      seed,
      durability: this.#chance(2) ? 'local' : 'bucket',
      syncAlways: this.#chance(3),
      leaseMs: this.#chance(2) ? 0 : 5000,
      retentionMs: this.#has('time') && this.#chance(2) ? 6 * hourMs : Infinity,
      steps: [],
    }
  }

  #below(limit: number): number {
    return below(this.#random, limit)
  }
  #chance(oneIn: number): boolean {
    return this.#below(oneIn) === 0
  }
  #has(topic: Topic): boolean {
    return this.#topics.has(topic)
  }
  #pick<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)]!
  }
  #add(step: Step): void {
    this.script.steps.push(step)
  }

  generate(): Script {
    if (this.#has('outage') && this.#chance(2)) this.#away()
    this.#start('a')
    if (this.#has('reader')) this.#start('reader')
    for (let i = 8 + this.#below(14); i > 0; i--) {
      this.#ordinary()
      if (this.#chance(2)) this.#troubled()
    }
    return this.script
  }

  #writer(): ProcessName {
    return this.#has('two') && this.#chance(3) ? 'b' : 'a'
  }

  // --- What goes on everywhere ---

  #ordinary(): void {
    const on = this.#writer()
    switch (this.#below(12)) {
      case 0:
        return this.#add({ do: 'flush', on, isAwaited: this.#chance(2) })
      case 1:
        return this.#add({ do: 'maintain', on })
      case 2:
        return this.#add({ do: 'resend', on })
      case 3:
        return this.#add({ do: 'repeat', on, plus: this.#below(2) })
      case 4:
        return this.#add({ do: 'wait', ms: this.#pick([100, 2000, 30_000, 70_000, 400_000]) })
      case 5:
        return this.#check(on)
      default:
        return this.#append(on)
    }
  }

  #check(on: ProcessName): void {
    const part = this.#pick([{}, {}, { group: this.#below(this.#nextGroup) }, { agoMs: this.#below(hourMs) }])
    this.#add({ do: 'check', on, ...part })
  }

  #append(on: ProcessName): void {
    const batches: ItemPlan[][] = []
    for (let i = this.#pick([1, 1, 1, 2, 4]); i > 0; i--) {
      const items: ItemPlan[] = []
      for (let k = 1 + this.#below(4); k > 0; k--) items.push(this.#item())
      batches.push(items)
    }
    this.#add({ do: 'append', on, batches, waitMs: this.#pick([0, 5, 300, 2000, 30_000]) })
  }

  #item(): ItemPlan {
    const isNew = this.#chance(6)
    const group = isNew ? this.#nextGroup++ : this.#below(this.#nextGroup)
    const agoMs = this.#chance(4) ? this.#below(50 * 60_000) : this.#below(1000)
    const item: ItemPlan = { id: this.#nextId++, group, agoMs, value: 1 + this.#below(999) }
    if (this.#chance(8)) item.flaw = this.#pick(['too-new', 'too-old', 'malformed'] as const)
    return item
  }

  // --- Trouble ---

  #troubled(): void {
    const topic = this.#pick([...this.#topics])
    const on = this.#writer()
    switch (topic) {
      case 'crash':
      case 'power':
        return this.#crash(on, topic === 'power')
      case 'bucket':
        return this.#add({
          do: 'bucket',
          fault: this.#pick(bucketFaults.slice(0, 6)),
          oneIn: this.#pick([2, 4, 10]),
          forMs: this.#pick([500, 10_000, 60_000]),
        })
      case 'outage':
        return this.#away()
      case 'disk':
        return this.#disk(on)
      case 'damage':
        return this.#damage(on)
      case 'two':
        return this.#takeOver()
      case 'reader':
        return this.#reader()
      case 'delete':
        return this.#add({ do: 'delete', on, group: this.#below(this.#nextGroup) })
      case 'time':
        return this.#time(on)
    }
  }

  #start(on: ProcessName, isGraceful = false): void {
    this.#add({ do: 'start', on, wipe: this.script.durability === 'bucket' && this.#chance(2), isGraceful })
  }

  #crash(on: ProcessName, isPower: boolean): void {
    const effect = this.#pick(['before', 'torn', 'after'] as const)
    this.#add({ do: 'kill', on, inOperations: this.#pick([0, 1 + this.#below(8), this.#below(60)]), effect, isPower })
    for (let i = this.#below(3); i > 0; i--) this.#ordinary()
    this.#start(on)
  }

  #away(): void {
    this.#add({
      do: 'bucket',
      fault: this.#pick(['away', 'silent'] as const),
      oneIn: 1,
      forMs: this.#pick([3000, 20_000, 120_000, 2 * hourMs]),
    })
  }

  #disk(on: ProcessName): void {
    if (this.#chance(2)) return this.#add({ do: 'disk-full', on, forMs: this.#pick([50, 5000, 60_000]) })
    const operation = this.#pick(['append', 'append', 'cut', 'sync', 'write'] as const)
    this.#add({ do: 'disk-broken', on, operation, times: this.#pick([1, 2, 5]) })
  }

  #damage(on: ProcessName): void {
    const at = this.#below(1_000_000) / 1_000_000
    if (this.#chance(4)) return this.#add({ do: 'lose', at })
    const target = this.#pick(['local-log', 'bucket-log', 'block'] as const)
    this.#add({ do: 'flip', target, on, at, bit: this.#below(8) })
    if (this.#chance(2)) this.#start(on)
  }

  #takeOver(): void {
    if (this.#chance(4)) this.#add({ do: 'hand-over', on: this.#writer() })
    this.#start(this.#pick(['a', 'b'] as const), this.#chance(3))
    for (let i = this.#below(3); i > 0; i--) this.#append(this.#pick(['a', 'b'] as const))
    this.#check(this.#pick(['a', 'b'] as const))
  }

  #reader(): void {
    if (this.#chance(3)) this.#start('reader')
    else this.#check('reader')
  }

  #time(on: ProcessName): void {
    if (this.#chance(2)) this.#add({ do: 'wall', on, byMs: this.#pick([-2 * hourMs, -60_000, 60_000, 3 * hourMs]) })
    else this.#add({ do: 'wait', ms: this.#pick([600_000, hourMs, 3 * hourMs]) })
  }
}

export function scriptOf(seed: number): Script {
  return new Generator(seed).generate()
}

/** A script as text: a line a step. */
export function textOf({ steps, ...head }: Script): string {
  return [JSON.stringify(head), ...steps.map((step, i) => `${String(i).padStart(3)} ${JSON.stringify(step)}`)].join(
    '\n',
  )
}

/** The script of such a text. JSON has no Infinity. */
export function parseScript(text: string): Script {
  const [head = '', ...lines] = text.split('\n').filter(line => line.trim() !== '')
  const { retentionMs, ...rest } = JSON.parse(head) as Omit<Script, 'steps' | 'retentionMs'> & {
    retentionMs: number | null
  }
  return { ...rest, retentionMs: retentionMs ?? Infinity, steps: lines.map(line => JSON.parse(line.slice(4)) as Step) }
}

/** Runs a script over one signal, and says what went wrong at which step. */
import { messageOf, UnavailableError } from '#core/errors.ts'
import { silentLog, type Log } from '#core/log.ts'
import { seededRandom } from '#core/random.ts'
import { checkLogs } from '../../src/ops/data-check-logs.ts'
import { checkMetrics } from '../../src/ops/data-check-metrics.ts'
import { checkTraces } from '../../src/ops/data-check-traces.ts'
import type { DataFinding } from '../../src/ops/data-check.ts'
import { BucketError, isAway } from '#bucket/bucket.ts'
import { decodeHeader, scanFrames, splitSegments, unpackSegment } from '#store/wal-segment.ts'
import { ProcessBucket } from './faulty-bucket.ts'
import { ProcessFiles } from './faulty-disk.ts'
import { Life } from './life.ts'
import { Model, type Try } from './model.ts'
import type { ItemPlan, ProcessName, Script, Step } from './script.ts'
import type { Item, Part, SimulatedEngine, SimulatedSignal } from './signal.ts'
import { World, worldStartMs, type Machine, type Outcome } from './world.ts'

export interface RunResult {
  /** What went wrong; undefined: nothing. */
  failure: string | undefined
  /** The step of the failure; the number of steps: after the last one. */
  step: number
  digest: number
  stats: { appends: number; acknowledged: number; checks: number; replays: number }
}

interface Process {
  number: number
  name: ProcessName
  machine: Machine
  life: Life
  bucket: ProcessBucket
  engine: SimulatedEngine
  startedMs: number
  /** When it was seen ready first. */
  readyMs: number
  opened: Outcome<void> | undefined
  /** Its start fell into a time when the bucket had troubles. */
  handedOver: boolean
}

/** A process when an append begins. */
interface Situation {
  notReady: string | undefined
  ready: boolean
  atMs: number
  newest: number
}

class Failure extends Error {}

/** Items of one append. */
const batchItemsMax = 6
/** Longer than any pause between attempts, and than all that one operation may wait for. */
const patienceMs = 120_000
const everything: Part = { fromMs: worldStartMs - 400 * 86_400_000, throughMs: worldStartMs + 400 * 86_400_000 }
const dataChecks = { metrics: checkMetrics, logs: checkLogs, traces: checkTraces }

class Run {
  readonly #signal: SimulatedSignal
  readonly #script: Script
  readonly #world: World
  readonly #log: Log
  readonly #model = new Model()
  readonly #processes = new Map<ProcessName, Process>()
  readonly #sends = new Map<Process, Set<Promise<void>>>()
  /** Groups that a deletion was for: nothing is sent to them any more. */
  readonly #deletedGroups = new Set<number>()
  #nextProcess = 0
  #failure: string | undefined
  #lossesTold = 0
  #isLogDamaged = false
  #isBucketLogDamaged = false
  #isBlockDamaged = false
  #lastDiskFaultMs = 0
  #newestWallMs = worldStartMs
  /** True time at which the newest writer was ready. */
  readonly stats = { appends: 0, acknowledged: 0, checks: 0, replays: 0 }

  constructor(signal: SimulatedSignal, script: Script, onEvent: ((text: string) => void) | undefined) {
    this.#signal = signal
    this.#script = script
    this.#world = new World(script.seed)
    // Half of the runs are over a store whose requests cost.
    if (script.seed % 4 < 2) this.#world.bucket.gapBytes = 1024 * 1024
    this.#world.onEvent = onEvent
    this.#log = onEvent === undefined ? silentLog : loudLog(onEvent)
  }

  async run(): Promise<RunResult> {
    const { steps } = this.#script
    let at = 0
    try {
      for (; at < steps.length; at++) {
        this.#world.note(`--- step ${at} ${JSON.stringify(steps[at])}`)
        await this.#do(steps[at]!)
        this.#newestWall()
        if (this.#failure !== undefined) break
      }
      if (this.#failure === undefined) await this.#end()
    } catch (error) {
      this.#failure ??= error instanceof Failure ? error.message : `unexpected: ${stackOf(error)}`
    }
    for (const process of this.#processes.values()) process.life.die()
    return { failure: this.#failure, step: at, digest: this.#world.digest, stats: this.stats }
  }

  #newestWall(): void {
    for (const machine of this.#world.machines.values())
      this.#newestWallMs = Math.max(this.#newestWallMs, this.#world.nowMs + machine.wallOffsetMs)
  }

  async #do(step: Step): Promise<void> {
    const world = this.#world
    switch (step.do) {
      case 'append':
        return this.#append(
          step.on,
          step.batches.map(plans => this.#itemsOf(step.on, plans)),
          step.waitMs,
        )
      case 'resend':
        return this.#append(step.on, [this.#model.unacknowledged(this.#deletedGroups).slice(-6)], 3000)
      case 'repeat':
        return this.#repeat(step.on, step.plus)
      case 'wait':
        return world.advance(step.ms)
      case 'flush':
        return this.#flush(step.on, step.isAwaited)
      case 'maintain':
        return this.#maintain(step.on)
      case 'check':
        return this.#check(step.on, step.group, step.agoMs)
      case 'delete':
        return this.#delete(step.on, step.group)
      case 'kill':
        return this.#kill(step)
      case 'start':
        return this.#start(step.on, step.wipe, step.isGraceful)
      case 'hand-over':
        return this.#handOver(step.on)
      case 'bucket':
        return world.bucket.trouble(step.fault, step.oneIn, step.forMs)
      case 'disk-full': {
        const { disk } = world.machine(step.on)
        disk.fullUntilMs = world.nowMs + step.forMs
        this.#lastDiskFaultMs = Math.max(this.#lastDiskFaultMs, disk.fullUntilMs)
        return
      }
      case 'disk-broken':
        world.machine(step.on).disk.broken.set(step.operation, step.times)
        this.#lastDiskFaultMs = Infinity
        return
      case 'flip':
        return this.#flip(step)
      case 'lose':
        return this.#lose(step.at)
      case 'wall':
        world.machine(step.on).wallOffsetMs += step.byMs
    }
  }

  /** The process, where it runs. */
  #alive(name: ProcessName): Process | undefined {
    const process = this.#processes.get(name)
    return process === undefined || process.life.isDead ? undefined : process
  }

  #itemsOf(on: ProcessName, plans: readonly ItemPlan[]): Item[] {
    const { wallOffsetMs } = this.#world.machine(on)
    const nowMs = Math.floor(this.#world.nowMs + wallOffsetMs)
    const flawMs = { 'too-new': 3 * 86_400_000, 'too-old': -40 * 86_400_000, malformed: 0 }
    return plans
      .filter(({ group }) => !this.#deletedGroups.has(group))
      .map(({ id, group, agoMs, value, flaw }) => {
        const timeMs = nowMs - agoMs + (flaw === undefined ? 0 : flawMs[flaw])
        const item = { key: this.#signal.keyOf(id, group, timeMs), id, group, timeMs, value }
        return flaw === undefined ? item : { ...item, flaw }
      })
  }

  // --- Append ---

  async #append(on: ProcessName, batches: readonly Item[][], waitMs: number): Promise<void> {
    const process = this.#alive(on)
    if (process === undefined || on === 'reader') return
    const sends = batches.filter(items => items.length > 0).map(items => this.#send(process, items))
    if (waitMs > 0) await this.#world.drive(Promise.all(sends), process.life, waitMs)
    else await this.#world.advance(0)
  }

  #send(process: Process, items: readonly Item[]): Promise<void> {
    const tries = this.#model.send(items, process.number, process.machine.name)
    const before = this.#situation(process)
    // What was kept before may be acknowledged again: nothing has to be written for it.
    const isNews = items.some(({ key }) => !this.#model.mayBeKept(key))
    this.stats.appends++
    const work = process.engine
      .append(items)
      .then(
        outcome => {
          // A reply that did not leave the process any more.
          if (process.life.isDead) return
          this.#acknowledged(process, tries, outcome)
          this.#mayAcknowledge(process, before, isNews && outcome.stored > 0)
        },
        (error: unknown) => {
          if (!process.life.isDead) this.#refused(process, tries, error, before)
        },
      )
      .catch((error: unknown) => {
        this.#failure ??= error instanceof Failure ? error.message : `unexpected: ${stackOf(error)}`
      })
    const sends = this.#sends.get(process)!
    sends.add(work)
    void work.then(() => sends.delete(work))
    return work
  }

  #situation(process: Process): Situation {
    const { notReady, ready } = process.engine.frame
    return { notReady, ready, atMs: this.#world.nowMs, newest: this.#nextProcess }
  }

  #acknowledged(
    process: Process,
    tries: readonly Try[],
    {
      stored,
      refused,
      refusedAt,
      passes,
    }: { stored: number; refused: number; refusedAt?: { at: number }[]; passes?: boolean },
  ): void {
    const flawed = tries.filter(({ item }) => item.flaw !== undefined).length
    const named = refusedAt?.length === refused ? new Set(refusedAt.map(({ at }) => at)) : undefined
    tries.forEach((sent, i) => {
      const isFlawed = sent.item.flaw !== undefined
      sent.repliedMs = this.#world.nowMs
      if (named !== undefined) sent.state = named.has(i) ? 'refused' : 'acknowledged'
      else if (refused === 0) sent.state = 'acknowledged'
      else if (stored === 0) sent.state = 'refused'
      else if (refused === flawed) sent.state = isFlawed ? 'refused' : 'acknowledged'
      else sent.state = 'unknown'
      if (sent.state === 'acknowledged') this.stats.acknowledged++
    })
    if (stored > 0) this.#model.refuseForGood(process.number)
    if (stored + refused < tries.length && passes !== true)
      throw new Failure(`of ${tries.length} items ${stored} were stored and ${refused} refused`)
  }

  /** Nothing is acknowledged by a process that says that it can't, or that was replaced. */
  #mayAcknowledge(process: Process, before: Situation, isNews: boolean): void {
    if (!isNews) return
    const { notReady } = process.engine.frame
    if (notReady !== undefined && notReady === before.notReady)
      throw new Failure(`process ${process.name} acknowledged an append although it says: ${notReady}`)
    const successor = this.#successorOf(process)
    if (successor === undefined || successor.readyMs > before.atMs) return
    // With the log on its own disk it does not learn of its successor while the bucket does not answer.
    const isLocal = this.#script.durability === 'local'
    if (isLocal && this.#world.bucket.quietSinceMs > successor.readyMs - patienceMs) return
    throw new Failure(`process ${process.name} acknowledged an append after process ${successor.name} had taken over`)
  }

  /** A writer that was ready, and that started when this one had long been so. */
  #successorOf(process: Process): Process | undefined {
    return [...this.#processes.values()].find(
      ({ name, readyMs, startedMs }) => name !== 'reader' && readyMs < Infinity && startedMs >= process.readyMs,
    )
  }

  /** Of two that waited for the bucket together, nobody knows which came later. */
  #isOwner(process: Process): boolean {
    return ![...this.#processes.values()].some(
      other =>
        other !== process && other.name !== 'reader' && other.readyMs < Infinity && other.readyMs > process.startedMs,
    )
  }

  #refused(process: Process, tries: readonly Try[], error: unknown, before: Situation): void {
    const isReplaced = this.#nextProcess > process.number + 1 || process.handedOver
    for (const sent of tries) {
      sent.state = isReplaced ? 'unknown' : 'refused'
      sent.mayReturn = isUnavailable(error)
      sent.repliedMs = this.#world.nowMs
    }
    if (isUnavailable(error)) {
      if (!isReplaced) this.#mayRefuse(process, before, error)
      return
    }
    // A batch of which nothing is good may be refused as a whole.
    if (tries.every(({ item }) => item.flaw !== undefined)) return
    throw new Failure(`an append failed: ${stackOf(error)}`)
  }

  /** A process that says that it is ready takes in what it is sent, unless disk or bucket fail meanwhile. */
  #mayRefuse(process: Process, before: Situation, error: unknown): void {
    const { notReady } = process.engine.frame
    if (notReady !== undefined || before.notReady !== undefined) return
    if (Math.max(this.#world.bucket.quietSinceMs, this.#lastDiskFaultMs) > before.atMs - patienceMs) return
    throw new Failure(`process ${process.name} says that it is ready, and refused an append: ${messageOf(error)}`)
  }

  async #repeat(on: ProcessName, plus: number): Promise<void> {
    const items = this.#model.acknowledged(this.#deletedGroups).slice(-3)
    // Only samples have one value by series and time: other items would be others.
    if (plus !== 0 && this.#signal.name !== 'metrics') return
    await this.#append(on, [items.map(item => ({ ...item, value: item.value + plus }))], 3000)
  }

  // --- Work ---

  async #flush(on: ProcessName, isAwaited: boolean): Promise<void> {
    const process = this.#alive(on)
    if (process === undefined || on === 'reader') return
    const startedMs = this.#world.nowMs
    const reason = process.engine.frame.notReady
    const isFenced = reason !== undefined && /another writer/.test(reason)
    const covered = this.#coveredBy(process)
    const work = process.engine.frame.flush().then(() => {
      if (isFenced) throw new Failure(`a flush of process ${on} succeeded, which was replaced`)
      this.#model.reachedBucket(this.#world.nowMs, sent => sent.repliedMs <= startedMs && covered(sent))
    })
    const outcome = await this.#world.drive(work, process.life, isAwaited ? patienceMs : 1)
    if (outcome.kind === 'failed' && outcome.error instanceof Failure) throw outcome.error
    if (outcome.kind === 'failed' && !isUnavailable(outcome.error) && this.#isQuiet(process))
      throw new Failure(`a flush failed: ${stackOf(outcome.error)}`)
    if (isFenced && isAwaited && outcome.kind === 'late')
      throw new Failure(`a flush of process ${on}, which was replaced, hangs`)
    if (outcome.kind === 'late' && isAwaited && this.#isQuiet(process))
      throw new Failure(`a flush of process ${on} hangs`)
    work.catch(() => {})
  }

  /** Whose acknowledged items a flush of the process puts into the bucket. */
  #coveredBy(process: Process): (sent: Try) => boolean {
    const isLocal = this.#script.durability === 'local'
    const { number, machine, readyMs } = process
    if (process.bucket.sawStale) return sent => sent.process === number
    return sent => sent.process === number || (isLocal ? sent.machine === machine.name : sent.repliedMs <= readyMs)
  }

  async #maintain(on: ProcessName): Promise<void> {
    const process = this.#alive(on)
    if (process === undefined || on === 'reader') return
    await this.#world.drive(process.engine.frame.maintain(), process.life, patienceMs)
  }

  async #delete(on: ProcessName, group: number): Promise<void> {
    const process = this.#alive(on)
    if (process?.engine.delete === undefined || this.#deletedGroups.has(group)) return
    await this.#settle(process)
    if (process.life.isDead) return
    this.#deletedGroups.add(group)
    const throughMs = this.#newestWallMs + 86_400_000
    const outcome = await this.#world.drive(process.engine.delete(group, throughMs), process.life, patienceMs)
    const isOwner = this.#isOwner(process)
    // With `durability: local` another disk may have more of it.
    const { durability, retentionMs } = this.#script
    this.#model.delete(
      group,
      // What is out of the retention by a wall clock that is ahead may come back with the clock.
      { fromMs: this.#newestWallMs - retentionMs, throughMs },
      sent => outcome.kind === 'ok' && isOwner && (durability === 'bucket' || sent.machine === process.machine.name),
    )
  }

  /** Until all senders have their reply. */
  async #settle(process: Process): Promise<void> {
    await this.#world.drive(Promise.all(this.#sends.get(process)!), process.life, patienceMs)
  }

  async #handOver(on: ProcessName): Promise<void> {
    const process = this.#alive(on)
    if (process === undefined || on === 'reader') return
    process.handedOver = true
    const startedMs = this.#world.nowMs
    const covered = this.#coveredBy(process)
    const outcome = await this.#world.drive(process.engine.frame.handOver('another'), process.life, patienceMs)
    if (outcome.kind === 'ok' && process.readyMs < Infinity)
      this.#model.reachedBucket(this.#world.nowMs, sent => sent.repliedMs <= startedMs && covered(sent))
  }

  // --- Processes ---

  #kill({ on, inOperations, effect, isPower }: Extract<Step, { do: 'kill' }>): void {
    const process = this.#alive(on)
    if (process === undefined) return
    const { life, machine } = process
    const died = life.onDeath
    life.crashEffect = effect
    life.onDeath = () => {
      died()
      if (isPower) this.#failPower(machine)
    }
    if (inOperations === 0) life.die()
    else life.operationsLeft = inOperations
  }

  #isPowerLost = false

  #failPower(machine: Machine): void {
    this.#isPowerLost = true
    this.#world.note(`power failure of ${machine.name}`)
    machine.disk.failPower()
    const { durability, syncAlways } = this.#script
    // Written every second, to a disk that does it: where it failed, nobody knows.
    const sinceMs = this.#lastDiskFaultMs > 0 ? 0 : this.#world.nowMs - 1500
    if (durability === 'local' && (!syncAlways || this.#lastDiskFaultMs > 0)) this.#model.forget(machine.name, sinceMs)
  }

  async #start(on: ProcessName, wipe: boolean, isGraceful: boolean): Promise<void> {
    const old = this.#alive(on)
    if (old !== undefined) {
      if (isGraceful) await this.#world.drive(old.engine.frame.close(), old.life, patienceMs)
      old.life.die()
    }
    if (wipe && on !== 'reader') this.#world.machine(on).disk.files.clear()
    const process = this.#make(on)
    const outcome = await this.#world.drive(this.#open(process), process.life, 20_000)
    if (outcome.kind === 'failed') {
      process.life.die()
      if (this.#isQuiet(process)) throw new Failure(`process ${on} could not start: ${stackOf(outcome.error)}`)
    }
  }

  #make(on: ProcessName): Process {
    const world = this.#world
    const { durability, syncAlways, leaseMs, retentionMs, seed } = this.#script
    const machine = world.machine(on)
    const number = this.#nextProcess++
    const life = new Life()
    const files = new ProcessFiles(world, machine.disk, life)
    const bucket = new ProcessBucket(world, world.bucket, life, files)
    const engine = this.#signal.open({
      clock: world.clockOf(machine, life),
      files,
      bucket,
      random: seededRandom(seed * 1000 + number),
      log: this.#log,
      durability,
      syncAlways,
      leaseMs,
      // A steady load and a lone push, at the intervals of a cheap and of a dear log.
      commitIntervalMs: seed % 2 === 0 ? 200 : 3000,
      retentionMs,
      readOnly: on === 'reader',
    })
    const process: Process = {
      number,
      name: on,
      machine,
      life,
      bucket,
      engine,
      startedMs: world.nowMs,
      readyMs: Infinity,
      opened: undefined,
      handedOver: false,
    }
    life.onDeath = () => {
      this.#died(process)
    }
    this.#processes.set(on, process)
    this.#sends.set(process, new Set())
    return process
  }

  #died(process: Process): void {
    this.#world.note(`process ${process.name} died`)
    this.#model.lose(process.number)
  }

  async #open(process: Process): Promise<void> {
    await process.engine.frame.open()
    const { frame } = process.engine
    // Ready and joined: what the bucket has is known.
    while (!frame.ready || frame.status().warning !== undefined) await this.#world.sleep(200)
    process.readyMs = this.#world.nowMs
    this.#tellLosses(process)
  }

  #tellLosses(process: Process): void {
    const { replaySkipped, replayMissing, replayedRecords } = process.engine.frame.stats()
    if (replayedRecords > 0) this.stats.replays++
    if (!this.#isLogDamaged && replaySkipped + replayMissing > 0 && this.#isUndisturbed)
      this.#failure ??= `${replaySkipped} records and ${replayMissing} items of an undamaged log could not be read back`
    if (this.#isLogDamaged) this.#lossesTold += replaySkipped * batchItemsMax + replayMissing
    // An object of the log is packed as a whole.
    if (this.#isBucketLogDamaged && replaySkipped > 0) this.#lossesTold = Infinity
  }

  /** Neither disk nor bucket tore anything. */
  get #isUndisturbed(): boolean {
    return this.#lastDiskFaultMs === 0 && !this.#script.steps.some(step => step.do === 'kill' || step.do === 'bucket')
  }

  /** Nothing fails, and has not for a while. */
  #isQuiet({ startedMs }: Process): boolean {
    const quietMs = Math.max(this.#world.bucket.quietSinceMs, this.#lastDiskFaultMs)
    return quietMs < Math.max(startedMs, this.#world.nowMs - patienceMs)
  }

  // --- Damage ---

  #flip({ target, on, at, bit }: Extract<Step, { do: 'flip' }>): void {
    const { disk } = this.#world.machine(on)
    if (target === 'local-log') {
      const names = [...disk.files.keys()]
        .filter(path => path.endsWith('.wal') && disk.files.get(path)!.length > 60)
        .sort()
      const file = disk.files.get(names[Math.floor(at * names.length)]!)
      if (file === undefined) return
      this.#isLogDamaged = true
      const where = 60 + Math.floor(((at * 7919) % 1) * (file.length - 60))
      file.bytes[where] = file.bytes[where]! ^ (1 << bit)
      // The last record of a log, when its head is damaged, can't be told from a write that was cut off.
      this.#lossesTold += batchItemsMax
      this.#world.note(`flipped a bit of ${names[Math.floor(at * names.length)]} at ${where}`)
      return
    }
    const { objects } = this.#world.bucket
    const keys = [...objects.keys()].filter(key => (target === 'block' ? isBlock(key) : key.endsWith('.wal'))).sort()
    const key = keys[Math.floor(at * keys.length)]
    if (key === undefined) return
    const { bytes } = objects.get(key)!
    const where = Math.floor(((at * 7919) % 1) * bytes.length)
    bytes[where] = bytes[where]! ^ (1 << bit)
    if (target === 'block') this.#isBlockDamaged = true
    else this.#isLogDamaged = this.#isBucketLogDamaged = true
    this.#world.note(`flipped a bit of ${key} at ${where}`)
  }

  #lose(at: number): void {
    // A block whose meta.json, or a day whose index is gone, was deleted as far as anybody knows.
    const keys = [...this.#world.bucket.objects.keys()]
      .filter(key => isBlock(key) && !/meta|tombstones|^index/.test(key))
      .sort()
    const key = keys[Math.floor(at * keys.length)]
    if (key === undefined) return
    this.#world.bucket.delete(key)
    this.#isBlockDamaged = true
    this.#world.note(`lost ${key}`)
  }

  // --- Checks ---

  async #check(on: ProcessName, group?: number, agoMs?: number): Promise<void> {
    const process = this.#alive(on)
    if (process === undefined) return
    const nowMs = this.#world.nowMs + process.machine.wallOffsetMs
    const part = { ...everything, ...(agoMs === undefined ? {} : { fromMs: Math.floor(nowMs) - agoMs }) }
    await this.#verify(process, group === undefined ? part : { ...part, group })
  }

  async #verify(process: Process, part: Part, isLast = false): Promise<void> {
    const { engine, life, number, machine, name } = process
    this.#newestWall()
    const isReady = engine.frame.ready
    const askedMs = this.#world.nowMs
    if (name === 'reader' && isReady) {
      const refreshed = await this.#world.drive(engine.frame.refresh(), life, patienceMs)
      if (refreshed.kind !== 'ok') return
    }
    const work = new Promise<Awaited<ReturnType<SimulatedEngine['query']>>>((resolve, reject) => {
      // A reader that can't be had throws at once.
      Promise.resolve()
        .then(() => engine.query(part))
        .then(resolve, reject)
    })
    const outcome = await this.#world.drive(work, life, patienceMs)
    if (outcome.kind === 'late' && this.#isQuiet(process)) throw new Failure(`a query of process ${name} hangs`)
    if (outcome.kind === 'failed') {
      if (isLast || !isUnavailable(outcome.error)) throw new Failure(`a query failed: ${stackOf(outcome.error)}`)
      return
    }
    if (outcome.kind !== 'ok') return
    this.stats.checks++
    const isLocal = this.#script.durability === 'local'
    const isOwner = this.#isOwner(process)
    // While the bucket was never reached, answers say so.
    const isJoined = !outcome.value.omissions.some(text => /away since the start|replaced while it started/.test(text))
    const knowsBucket = isJoined && !process.bucket.sawStale
    const { retentionMs } = this.#script
    const problem = this.#model.check(
      outcome.value,
      part,
      {
        owes: (sent, inBucketMs) => {
          if (name === 'reader') return knowsBucket && inBucketMs < askedMs
          if (sent.repliedMs > askedMs) return false
          if (sent.process === number) return true
          if (!knowsBucket) return false
          if (inBucketMs <= process.startedMs) return true
          if (isLast || !isLocal) return isOwner && (isLast || sent.repliedMs <= process.readyMs)
          return sent.machine === machine.name && sent.process < number
        },
        mayShowDeleted: !isOwner,
        retainedFromMs: this.#newestWallMs - retentionMs,
        mayOmit: this.#isBlockDamaged,
        lossesTold: this.#lossesTold,
      },
      this.#signal.name !== 'traces',
    )
    if (problem !== undefined) throw new Failure(`process ${name} (number ${number}): ${problem}`)
  }

  // --- The end: all is well again, and everything is in the bucket ---

  async #end(): Promise<void> {
    const world = this.#world
    world.note('--- the end')
    for (const process of this.#processes.values()) if (!process.life.isDead) await this.#settle(process)
    world.bucket.heal()
    for (const { disk } of world.machines.values()) {
      disk.fullUntilMs = 0
      disk.broken.clear()
    }
    for (const name of ['a', 'b', 'reader'] as const) {
      const process = this.#alive(name)
      if (process === undefined) continue
      await this.#verify(process, everything)
      process.life.die()
    }
    // What was under way has arrived.
    await world.advance(patienceMs)
    this.#lastDiskFaultMs = Math.min(this.#lastDiskFaultMs, world.nowMs - patienceMs)
    for (const name of ['a', 'b'] as const) if (world.machines.has(name)) await this.#drain(name)
    await this.#checkPrefix()
    const last = await this.#ready('a', true)
    await this.#verify(last, everything, true)
    last.life.die()
    const reader = await this.#ready('reader', true)
    await this.#verify(reader, everything, true)
    reader.life.die()
    await this.#checkData()
  }

  /** Starts a process that must become ready. */
  async #ready(name: ProcessName, wipe: boolean): Promise<Process> {
    if (wipe) this.#world.machine(name).disk.files.clear()
    const process = this.#make(name)
    const outcome = await this.#world.drive(this.#open(process), process.life, patienceMs)
    if (outcome.kind !== 'ok')
      throw new Failure(
        `at the end process ${name} does not start: ` +
          (outcome.kind === 'failed' ? stackOf(outcome.error) : (process.engine.frame.notReady ?? '')),
      )
    return process
  }

  /** What is on the machine's disk goes into the bucket. */
  async #drain(name: ProcessName): Promise<void> {
    const process = await this.#ready(name, false)
    await this.#verify(process, everything)
    for (const work of [() => process.engine.frame.flush(), () => process.engine.frame.close()]) {
      const outcome = await this.#world.drive(work(), process.life, patienceMs)
      if (outcome.kind !== 'ok')
        throw new Failure(`at the end: ${outcome.kind} ${outcome.kind === 'failed' ? stackOf(outcome.error) : ''}`)
    }
    process.life.die()
  }

  /** What is left of the log in the bucket is what is released, and links that hold nothing. */
  async #checkPrefix(): Promise<void> {
    if (this.#isLogDamaged) return
    const prefix = `${this.#signal.tenant}/tercet/wal/`
    const { objects } = this.#world.bucket
    const ledger = objects.get(`${prefix}released.json`)?.bytes ?? Buffer.from('{}')
    const released = JSON.parse(Buffer.from(ledger).toString()) as Record<string, number>
    for (const [key, { bytes }] of objects)
      if (key.startsWith(prefix) && key.endsWith('.wal') && (await holdsRecords(bytes, released)))
        throw new Failure(`at the end the log still has ${key}`)
  }

  /** A chunk of two days, of which a crash let one index be written: what it holds of the other day was cut again. */
  #isHalfIndexed(reason: string): boolean {
    if (this.#signal.name !== 'logs') return false
    // A power failure took the log of chunks that no index listed yet.
    return reason.endsWith('lacks it') || (this.#isPowerLost && reason.startsWith('no index lists'))
  }

  /** As `tercet check data` does it. */
  async #checkData(): Promise<void> {
    const { steps, retentionMs } = this.#script
    // Chunks that a deletion or the retention took out of their index are removed hours later.
    const isShrinking = this.#signal.name === 'logs' && (retentionMs < Infinity || steps.some(s => s.do === 'delete'))
    if (this.#isBlockDamaged || isShrinking) return
    const world = this.#world
    const machine = world.machine('check')
    const life = new Life()
    const files = new ProcessFiles(world, machine.disk, life)
    const findings: DataFinding[] = []
    const work = dataChecks[this.#signal.name]({
      bucket: new ProcessBucket(world, world.bucket, life, files),
      files,
      random: seededRandom(1),
      nowMs: world.nowMs,
      pause: () => Promise.resolve(),
      isRepair: false,
      isBase64: false,
      workDirectory: 'check',
      onFinding: finding => findings.push(finding),
    })
    const outcome = await world.drive(work, life, patienceMs)
    if (outcome.kind === 'failed') throw new Failure(`the data could not be checked: ${stackOf(outcome.error)}`)
    const wrong = findings.filter(
      ({ kind, reason }) => kind !== 'note' && kind !== 'orphan' && !this.#isHalfIndexed(reason),
    )
    if (wrong.length > 0) throw new Failure(`the bucket is damaged: ${JSON.stringify(wrong[0])}`)
  }
}

/** `released`: by writer the newest generation that is released. */
async function holdsRecords(bytes: Uint8Array, released: Readonly<Record<string, number>>): Promise<boolean> {
  let records = 0
  for (const part of splitSegments(bytes)) {
    const { bytes: segment } = await unpackSegment(part, 1e9)
    const { writer, generation, firstRecord } = decodeHeader(segment)
    if (generation <= (released[writer] ?? -1)) continue
    scanFrames(segment, firstRecord, { record: () => records++, skipped: () => records++ })
  }
  return records > 0
}

/** Objects that hold what was acknowledged, or lead to it. */
function isBlock(key: string): boolean {
  return !key.includes('/tercet/')
}

function isUnavailable(error: unknown): boolean {
  return error instanceof UnavailableError || error instanceof BucketError || isAway(error)
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function loudLog(onEvent: (text: string) => void): Log {
  const say = (level: string) => (message: string, fields?: object) => {
    onEvent(`log ${level}: ${message} ${JSON.stringify(fields ?? {})}`)
  }
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
}

export function runScript(
  signal: SimulatedSignal,
  script: Script,
  onEvent?: (text: string) => void,
): Promise<RunResult> {
  return new Run(signal, script, onEvent).run()
}

import assert from 'node:assert/strict'
import test from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { silentLog, type LogFields } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { SignalFrame, type Holdings, type SignalOptions, type UploadStats } from './signal-frame.ts'
import type { BlockSummary } from './signal.ts'
import type { RecordVisitor } from './wal.ts'

/** A signal that keeps its records in memory and writes down what the frame asks of it. */
class Notes extends SignalFrame {
  readonly asked: string[] = []
  readonly records: string[] = []
  failure: Error | undefined

  constructor(options: SignalOptions) {
    super('logs', options, 10_000)
  }

  async append(text: string): Promise<void> {
    this.admit()
    this.wal.append(1, Buffer.from(text), [])
    await this.wal.commit()
  }
  get headBytes(): number {
    return this.records.length
  }
  protected cutLargest(bytes: number): Promise<void> {
    this.asked.push(`cut ${bytes}`)
    return Promise.resolve()
  }
  from(fromMs: number): number {
    return this.retainedFrom('t')(fromMs)
  }

  protected tenantHoldings(): [] {
    return []
  }
  protected forgetTenant(): void {}
  protected dropStaged(): Promise<void> {
    return Promise.resolve()
  }
  protected override dropTenant(tenant: string): Promise<void> {
    return this.#note(`drop ${tenant}`)
  }
  protected removeTenant(): Promise<boolean> {
    return Promise.resolve(true)
  }
  protected endGeneration(): Promise<void> {
    return this.#note('end generation')
  }
  protected isInLog(): boolean {
    return false
  }

  #note(what: string): Promise<void> {
    this.asked.push(what)
    return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure)
  }
  refresh(): Promise<void> {
    return this.#note('refresh')
  }
  protected override loadLocal(): Promise<void> {
    return this.#note('load local')
  }
  protected override loadRemote(): Promise<void> {
    return this.#note('load remote')
  }
  protected visitor(): RecordVisitor {
    return ({ payload }) => {
      this.records.push(Buffer.from(payload).toString())
      return { scopes: [], missing: 0 }
    }
  }
  protected replayed(): Promise<void> {
    return this.#note('replayed')
  }
  protected takeBack(): void {
    this.asked.push('take back')
  }
  protected work(): Promise<void> {
    return this.#note('work')
  }
  protected cutAll(): Promise<void> {
    return this.#note('cut')
  }
  protected override uploaded(): Promise<void> {
    return this.#note('uploaded')
  }
  protected override stop(): Promise<void> {
    return this.#note('stop')
  }
  protected uploadTrouble(): undefined {}
  protected uploadCounts(): UploadStats {
    return { uploads: 1, failures: 2, waiting: 3, compactions: 4 }
  }
  protected holdings(): Holdings {
    return { waitingBytes: 5, blocks: 6, blockBytes: 7 }
  }
  blockList(): BlockSummary[] {
    return []
  }
}

function makeOptions(): SignalOptions & { clock: VirtualClock; bucket: MemoryBucket; files: MemoryFiles } {
  const clock = new VirtualClock(1_000_000)
  const files = new MemoryFiles()
  return {
    clock,
    files,
    bucket: new MemoryBucket(clock, files),
    random: seededRandom(1),
    log: silentLog,
    directory: 'data',
    defaultTenant: 'fake',
    durability: 'local',
    syncAlways: false,
    retentionMs: 1000,
    freeBytesMin: 0,
    readOnly: false,
    refreshMs: 60_000,
  }
}

test('a signal looks at the bucket, then reads back its log, then takes records in until it is closed', async () => {
  const options = makeOptions()
  const first = new Notes(options)
  await assert.rejects(first.append('early'), /^UnavailableError: the process is starting/)
  await first.open()
  assert.equal(first.ready, true)
  await first.append('one')
  await first.close()
  assert.equal(first.ready, false)
  await assert.rejects(first.append('late'), /^UnavailableError: the process is shutting down/)
  // What another writer took out of the log meanwhile is in blocks: they are looked for once more.
  const opening = ['load local', 'refresh', 'load remote', 'replayed', 'replayed', 'refresh']
  assert.deepEqual(first.asked, [...opening, 'stop'])
  const second = new Notes(options)
  await second.open()
  assert.deepEqual(second.records, ['one'])
  assert.equal(second.stats().replayedRecords, 1)
  await second.close()
})

test('a signal that only reads claims nothing, reads no log and writes nothing', async () => {
  const options = { ...makeOptions(), readOnly: true }
  const signal = new Notes(options)
  await signal.open()
  await assert.rejects(signal.append('x'), /^UnavailableError: this process serves queries only/)
  await signal.flush()
  await signal.handOver('Loki')
  await options.clock.advance(130_000)
  await signal.close()
  assert.deepEqual(signal.asked, ['refresh', 'load remote', 'refresh', 'refresh'])
  assert.equal(options.bucket.objects.size, 0)
})

test('a bucket that was away and turns out to be of a newer program gets nothing, and the reason is said', async () => {
  const world = makeOptions()
  let answers: Error = new BucketError('get', 'memory', 'SlowDown', true)
  let joined = 0
  const signal = new Notes({
    ...world,
    prepareBucket: () => Promise.reject(answers),
    onJoined: () => {
      joined++
    },
  })
  await signal.open()
  await signal.append('kept on the disk')
  answers = new NewerFormatError('formats.json: written by a newer one')
  await world.clock.advance(20_000)
  assert.match(signal.warning ?? '', /written by a newer one/)
  assert.equal(world.bucket.objects.size, 0)
  assert.equal(joined, 0)
  await signal.close()
  assert.equal(world.bucket.objects.size, 0)
  const again = new Notes({ ...world, prepareBucket: () => Promise.reject(answers) })
  await assert.rejects(again.open(), NewerFormatError)
  await again.close()
  assert.equal(world.bucket.objects.size, 0)
  const own = new Notes({
    ...world,
    onJoined: () => {
      joined++
    },
  })
  await own.open()
  assert.deepEqual([own.records, joined], [['kept on the disk'], 1])
  await own.close()
})

test('rounds of maintenance and of refreshing go on by the clock, also after one that failed', async () => {
  const options = makeOptions()
  const logged: string[] = []
  const note = (message: string, fields?: LogFields): void => {
    logged.push(`${message}: ${String(fields?.['signal'])}, ${String(fields?.['error'])}`)
  }
  options.log = { ...silentLog, warn: note, error: note }
  const signal = new Notes(options)
  await signal.open()
  signal.failure = new Error('not now')
  await options.clock.advance(60_000)
  signal.failure = undefined
  await options.clock.advance(10_000)
  assert.equal(signal.asked.filter(what => what === 'work').length, 7)
  assert.equal(signal.asked.filter(what => what === 'refresh').length, 3)
  assert.ok(logged.includes('maintenance failed: logs, not now'))
  assert.ok(logged.includes('the list of blocks could not be refreshed: logs, not now'))
  await signal.close()
  const before = signal.asked.length
  await options.clock.advance(600_000)
  assert.equal(signal.asked.length, before, 'nothing goes on after the end')
})

test('a writer that was replaced hands nothing over, and its successor stays', async () => {
  const options = makeOptions()
  const first = new Notes(options)
  await first.open()
  const second = new Notes({ ...options, files: new MemoryFiles(), random: seededRandom(2) })
  await second.open()
  await assert.rejects(first.handOver('Mimir'), /^UnavailableError: another writer \(epoch 2\) took over the bucket/)
  await second.append('one')
  await second.handOver('Mimir')
  await assert.rejects(second.append('two'), /^UnavailableError: handed over to Mimir/)
  await first.close()
  await second.close()
})

for (const leaseMs of [0, 5000])
  for (const links of ['there', 'gone'])
    test(`bucket, lease ${leaseMs}, links ${links}: a replaced writer acknowledges nothing`, async () => {
      const options: SignalOptions & { clock: VirtualClock; bucket: MemoryBucket } = {
        ...makeOptions(),
        durability: 'bucket',
        leaseMs,
      }
      const { clock, bucket } = options
      const isDone = async (work: Promise<unknown>): Promise<string> => {
        let outcome = 'waits'
        work.then(
          () => (outcome = 'kept'),
          (error: unknown) => (outcome = String(error)),
        )
        for (let i = 0; i < 10_000 && outcome === 'waits'; i++) await clock.advance(100)
        return outcome
      }
      const first = new Notes(options)
      await first.open()
      const startedMs = clock.monotonicMs()
      const second = new Notes({ ...options, files: new MemoryFiles(), random: seededRandom(2) })
      assert.equal(await isDone(second.open()), 'kept')
      assert.ok(clock.monotonicMs() - startedMs >= leaseMs, 'the first may still count on its last answer')
      // The second has flushed: its link in the chain is removed with the rest.
      if (links === 'gone')
        for (const key of bucket.objects.keys()) if (key.endsWith('.wal')) bucket.objects.delete(key)
      assert.match(await isDone(first.append('late')), /^UnavailableError/)
      await first.close()
      await second.close()
    })

test('a flush cuts everything and waits for the bucket', async () => {
  const signal = new Notes(makeOptions())
  await signal.open()
  await signal.flush()
  assert.deepEqual(signal.asked.slice(-2), ['cut', 'uploaded'])
  await signal.close()
})

test("a query's time begins at the retention; what is asked for later is asked for as it is", async () => {
  const options = makeOptions()
  const signal = new Notes(options)
  assert.equal(signal.from(0), 999_000)
  assert.equal(signal.from(999_500), 999_500)
  assert.equal(new Notes({ ...options, retentionMs: Infinity }).from(-5), -5)
})

test('the backlog is what the log and finished blocks hold; the problem is why nothing can be written', async () => {
  const options = makeOptions()
  const signal = new Notes(options)
  await signal.open()
  const empty = signal.status()
  const fine = { problem: undefined, warning: undefined, isAway: false }
  assert.deepEqual(empty, { backlogBytes: 5, blocks: 6, blockBytes: 7, ...fine })
  await signal.append('x'.repeat(1000))
  assert.ok(signal.status().backlogBytes > 1000)
  options.files.free = -1
  await signal.maintain()
  assert.match(signal.status().problem ?? '', /^the disk of data has -1 bytes free, 0 are kept free/)
  await assert.rejects(signal.append('x'), /^UnavailableError: the disk of data/)
  await signal.close()
})

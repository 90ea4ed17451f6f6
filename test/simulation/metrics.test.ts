/**
 * The whole metrics engine over a faulty disk and bucket under the virtual clock: crashes at any operation, 503s,
 * lost replies, torn writes. After every life each acknowledged sample is there once, and nothing that was not sent.
 * A seed replays its run: SEED=17 node --test test/simulation/metrics.test.ts; SEEDS sets how many.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { defaultLimits } from '#core/limits.ts'
import { sleep } from '#core/clock.ts'
import { silentLog } from '#core/log.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { MetricsEngine } from '#metrics/engine.ts'
import { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { FaultyBucket, FaultyFiles, Life } from './faulty-world.ts'

const hourMs = 3_600_000
const lives = 4
const stepsPerLife = 30

interface Model {
  sent: Map<string, number>
  acknowledged: Map<string, number>
}

async function simulate(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const durability = below(random, 2) === 0 ? ('local' as const) : ('bucket' as const)
  let clock = new VirtualClock(1_700_006_400_000)
  const files = new MemoryFiles()
  const bucket = new MemoryBucket(clock, files)
  const model: Model = { sent: new Map(), acknowledged: new Map() }
  for (let n = 0; n <= lives; n++) {
    const isLast = n === lives
    const life = new Life(random, isLast ? Infinity : 20 + below(random, 600))
    // A new clock that goes on where the old one stopped: the timers of the dead process are gone.
    clock = new VirtualClock(clock.nowMs() + 1000)
    const faulty = new FaultyBucket(bucket, life, isLast ? 0 : [0, 30, 6][below(random, 3)]!)
    if (durability === 'bucket' && below(random, 2) === 0) files.entries.clear()
    const engine = new MetricsEngine({
      clock,
      files: new FaultyFiles(files, life),
      bucket: faulty,
      random,
      log: silentLog,
      limits: defaultLimits,
      directory: 'data',
      defaultTenant: 'anonymous',
      durability,
      syncAlways: false,
      blockMs: 2 * hourMs,
      outOfOrderMs: hourMs,
      retentionMs: Infinity,
      retentionBytesMax: Infinity,
      freeBytesMin: 0,
      readOnly: false,
      refreshMs: 300_000,
      hashSeed: { a: 1, b: 2, c: 3, d: 4 },
    })
    const started = await drive(clock, life, opened(engine, clock))
    if (started === 'failed') continue
    if (started === 'ok') {
      await verify(engine, model, faulty, clock, life, `seed ${seed}, life ${n}, at the start`)
      if (isLast) {
        await drive(clock, life, engine.flush())
        await verify(engine, model, faulty, clock, life, `seed ${seed}, after the last flush`)
        await drive(clock, life, engine.close())
        return
      }
      await live(engine, clock, life, random, model)
      if (!life.crashed) await verify(engine, model, faulty, clock, life, `seed ${seed}, life ${n}, at the end`)
    }
    // However far it came, this process is gone now.
    life.crashed = true
  }
}

/** Opens it, and waits until it has seen the bucket: before that its answers say that something is missing. */
async function opened(engine: MetricsEngine, clock: VirtualClock): Promise<void> {
  await engine.open()
  while (!engine.ready || engine.status().warning !== undefined) await sleep(clock, 100)
}

/** Moves time until the work has ended, the process has died, or nothing more happens. */
async function drive(clock: VirtualClock, life: Life, work: Promise<unknown>): Promise<'ok' | 'failed' | 'dead'> {
  let state: 'ok' | 'failed' | undefined
  work.then(
    () => {
      state = 'ok'
    },
    () => {
      state = 'failed'
    },
  )
  for (let i = 0; i < 400 && state === undefined && !life.crashed; i++) await clock.advance(i < 20 ? 20 : 1000)
  return state ?? 'dead'
}

async function live(
  engine: MetricsEngine,
  clock: VirtualClock,
  life: Life,
  random: Random,
  model: Model,
): Promise<void> {
  for (let step = 0; step < stepsPerLife && !life.crashed; step++) {
    const builder = new BatchBuilder()
    const batch: [key: string, value: number][] = []
    for (let i = below(random, 6); i >= 0; i--) {
      const series = below(random, 5)
      const timeMs = clock.nowMs() - (below(random, 4) === 0 ? below(random, hourMs - 10_000) : 0)
      const key = `${series} ${timeMs}`
      if (model.sent.has(key)) continue
      const value = below(random, 1000)
      model.sent.set(key, value)
      batch.push([key, value])
      builder.add(Labels.fromObject({ __name__: 'sim', series: String(series) }), timeMs, value)
    }
    const refused = new Set<string>()
    const result = engine.append('anonymous', builder.batch).then(r => {
      if (r.refused > 0) for (const [key] of batch) refused.add(key)
    })
    if ((await drive(clock, life, result)) === 'ok')
      for (const [key, value] of batch) if (!refused.has(key)) model.acknowledged.set(key, value)
    const what = below(random, 12)
    if (what === 0) await drive(clock, life, engine.flush())
    else if (what === 1) await drive(clock, life, engine.maintain())
    else await clock.advance(below(random, 3) === 0 ? below(random, hourMs) : below(random, 60_000))
  }
}

async function verify(
  engine: MetricsEngine,
  model: Model,
  bucket: FaultyBucket,
  clock: VirtualClock,
  life: Life,
  where: string,
): Promise<void> {
  const faults = bucket.faultOneIn
  bucket.faultOneIn = 0
  const found = new Map<string, number>()
  const read = (async (): Promise<void> => {
    const set = await engine.reader('anonymous').select([makeMatcher('=', '__name__', 'sim')], -Infinity, Infinity)
    await set.load(0, set.labels.length)
    const columns = new SampleColumns()
    for (let i = 0; i < set.labels.length; i++) {
      columns.clear()
      set.read(i, columns)
      for (let k = 0; k < columns.count; k++) {
        const key = `${set.labels[i]!.get('series')} ${columns.timesMs[k]!}`
        assert.ok(!found.has(key), `${where}: ${key} stands twice`)
        found.set(key, columns.values[k]!)
      }
    }
  })()
  let problem: unknown
  const state = await drive(
    clock,
    life,
    read.catch((error: unknown) => {
      problem = error
    }),
  )
  bucket.faultOneIn = faults
  if (problem !== undefined) throw problem
  if (state === 'dead') return
  for (const [key, value] of model.acknowledged)
    assert.equal(found.get(key), value, `${where}: acknowledged ${key} = ${value}, found ${found.get(key)}`)
  for (const [key, value] of found)
    assert.equal(value, model.sent.get(key), `${where}: ${key} = ${value} was never sent`)
}

const one = process.env['SEED']
const seeds =
  one === undefined ? Array.from({ length: Number(process.env['SEEDS'] ?? 200) }, (_, i) => i + 1) : [Number(one)]

test(`${seeds.length} seeds`, { timeout: 280_000 }, async () => {
  const failed: string[] = []
  for (const seed of seeds) {
    try {
      await simulate(seed)
    } catch (error) {
      failed.push(`SEED=${seed}: ${error instanceof Error ? error.message.slice(0, 300) : String(error)}`)
      if (failed.length >= 5) break
    }
  }
  assert.equal(failed.length, 0, failed.join('\n'))
})

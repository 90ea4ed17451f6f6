/** Metrics, as the simulation sees them: an item is a sample. */
import { defaultLimits } from '#core/limits.ts'
import { planningAgain } from '#core/omissions.ts'
import { yieldEvery } from '#core/yield.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { LocalBuilding, type BlockBuilding } from '#metrics/block-building.ts'
import { MetricsEngine } from '#metrics/engine.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { distantMetricsBuilding, inTurns } from '../distant-building.ts'
import { metricsView } from '../distant-views.ts'
import { alternating } from './alternating.ts'
import { frameOptions, type Answer, type Item, type Part, type SimulatedSignal } from './signal.ts'

const hourMs = 3_600_000
const tenant = 'anonymous'
const keyOf = (_id: number, group: number, timeMs: number): string => `${group} ${timeMs}`

export const metrics: SimulatedSignal = {
  name: 'metrics',
  tenant,
  keyOf,
  open(settings) {
    const { clock, files, bucket, retentionMs } = settings
    const local = new LocalBuilding({ files, bucket, pause: yieldEvery(clock) })
    const engine = new MetricsEngine({
      ...frameOptions(settings, tenant),
      limits: defaultLimits,
      blockMs: 2 * hourMs,
      outOfOrderMs: hourMs,
      retentionBytesMax: Infinity,
      hashSeed: { a: 1, b: 2, c: 3, d: 4 },
      building: inTurns<BlockBuilding>(local, distantMetricsBuilding(local)),
    })
    const store = alternating<Store>(engine, () => metricsView(engine.door(), { clock, files, bucket, retentionMs }))
    return {
      frame: engine,
      append: items => engine.append(tenant, batchOf(items)),
      query: part => {
        const asked = store()
        return planningAgain(() => read(asked, part))
      },
      async delete(group, throughMs) {
        await engine.deleteSeries(tenant, [makeMatcher('=', 'group', String(group))], -Infinity, throughMs)
        // What can't be cleaned now stays hidden, and is cleaned by the next merge.
        if (group % 2 === 1) await engine.cleanTombstones().catch(() => undefined)
      },
    }
  },
}

function batchOf(items: readonly Item[]) {
  const builder = new BatchBuilder()
  for (const { group, timeMs, value, flaw } of items) {
    const labels = { __name__: 'simulated', group: String(group) }
    const malformed = flaw === 'malformed' ? { long: 'x'.repeat(5000) } : {}
    builder.add(Labels.fromObject({ ...labels, ...malformed }), timeMs, value)
  }
  return builder.batch
}

interface Store {
  reader(tenant: string): MetricsReader
}

async function read(store: Store, { group, fromMs, throughMs }: Part): Promise<Answer> {
  const matcher = group === undefined ? ['__name__', 'simulated'] : ['group', String(group)]
  const reader = store.reader(tenant)
  const set = await reader.select([makeMatcher('=', matcher[0]!, matcher[1]!)], fromMs, throughMs)
  await set.load(0, set.labels.length)
  const found: Answer['found'] = []
  const columns = new SampleColumns()
  for (let i = 0; i < set.labels.length; i++) {
    columns.clear()
    set.read(i, columns)
    for (let k = 0; k < columns.count; k++)
      found.push({
        key: keyOf(0, Number(set.labels[i]!.get('group')), columns.timesMs[k]!),
        value: columns.values[k]!,
      })
  }
  set.release()
  return { found, omissions: reader.omissions.texts() }
}

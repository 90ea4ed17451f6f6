/** Logs, as the simulation sees them: an item is a line. */
import { planningAgain } from '#core/omissions.ts'
import { yieldEvery } from '#core/yield.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
import { LocalBuilding, type BlockBuilding, type HidingTest } from '#logs/block-building.ts'
import { LogsEngine } from '#logs/engine.ts'
import type { LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder, type LogBatch } from '#model/log-batch.ts'
import { Budget } from '../../src/query/budget.ts'
import { runLogQuery } from '../../src/query/logql/log-query.ts'
import { HiddenLines } from '../../src/query/logql/scan.ts'
import { distantLogsBuilding, inTurns } from '../distant-building.ts'
import { logsView } from '../distant-views.ts'
import { alternating } from './alternating.ts'
import { frameOptions, type Answer, type EngineSettings, type Item, type Part, type SimulatedSignal } from './signal.ts'

const hourMs = 3_600_000
const tenant = 'fake'
const keyOf = (id: number, group: number, timeMs: number): string => `${group} ${timeMs} ${id}`

export const logs: SimulatedSignal = {
  name: 'logs',
  tenant,
  keyOf,
  open(settings) {
    const { clock, files, bucket, retentionMs } = settings
    const hides: HidingTest = notices => new HiddenLines(notices, () => clock.nowMs())
    const local = new LocalBuilding({ files, bucket, isBase64: false, hides, pause: yieldEvery(clock) })
    const engine = new LogsEngine({
      ...frameOptions(settings, tenant),
      isBase64: false,
      deletionDelayMs: hourMs,
      hides,
      building: inTurns<BlockBuilding>(local, distantLogsBuilding(local)),
      streamsMax: 1000,
      rateBytes: Infinity,
      admission: {
        maxAgeMs: 24 * hourMs,
        futureMs: 600_000,
        outOfOrderMs: Infinity,
        lineBytesMax: 1000,
        labelsPerStreamMax: 15,
        labelNameBytesMax: 1024,
        labelValueBytesMax: 2048,
        metadataPairsMax: 128,
        metadataBytesMax: 65_536,
      },
    })
    const store = alternating<Store>(engine, () => logsView(engine.door(), { clock, files, bucket, retentionMs }))
    return {
      frame: engine,
      append: async items => {
        const { batch, order } = batchOf(items)
        const outcome = await engine.append(tenant, batch)
        return { ...outcome, refusedAt: outcome.refusedAt?.map(entry => ({ ...entry, at: order[entry.at]! })) ?? [] }
      },
      query: part => {
        const asked = store()
        return planningAgain(() => read(asked, settings, part))
      },
      delete: (group, throughMs) => engine.requestDeletion(tenant, `{group="${group}"}`, 0, throughMs),
    }
  },
}

function batchOf(items: readonly Item[]): { batch: LogBatch; order: number[] } {
  const builder = new LogBatchBuilder()
  for (const { id, group, timeMs, value, flaw } of items) {
    const line = `${id} ${value}${flaw === 'malformed' ? 'x'.repeat(2000) : ''}`
    builder.add(Labels.fromObject({ group: String(group) }), timeMs, 0, line, ['trace', String(id)])
  }
  const batch = builder.build()
  batch.namesRefused = true
  return { batch, order: builder.order() }
}

interface Store {
  reader(tenant: string): LogsReader
}

async function read(store: Store, { clock }: EngineSettings, part: Part): Promise<Answer> {
  const { group, fromMs, throughMs } = part
  const reader = store.reader(tenant)
  const { lines } = await runLogQuery(
    parseLogQuery(group === undefined ? '{group=~".+"}' : `{group="${group}"}`),
    {
      bounds: { fromMs, fromSubNs: 0, toMs: throughMs + 1, toSubNs: 0 },
      limit: 100_000,
      isBackward: false,
      intervalNs: 0,
    },
    reader,
    new Budget(clock, 1e9, 1e9),
    () => clock.nowMs(),
  )
  const found = lines.map(({ ms, line, stream }) => {
    const [id, value] = line.split(' ').map(Number)
    const at = stream.indexOf('group')
    return { key: keyOf(id!, Number(stream[at + 1]), ms), value: value! }
  })
  return { found, omissions: reader.omissions.texts() }
}

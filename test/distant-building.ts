/** Work in the background as another thread does it: every question, answer and error is cloned on its way. */
import type { BlockBuilding as LogsBuilding } from '#logs/block-building.ts'
import type { BlockBuilding as MetricsBuilding } from '#metrics/block-building.ts'
import type { BlockBuilding as TracesBuilding } from '#traces/block-building.ts'
import { CarriedIdleTraces, packTraces, takeTraces, type CarriedTraces } from '#traces/carried-traces.ts'
import type { IdleTraces } from '#traces/segment.ts'
import { packError, unpackError } from '#worker/carried-error.ts'
import { decodeOtlpFrames, decodeSpan } from '#wire/otlp/traces.ts'

/** What `answer` gives for a clone of the question, cloned; memory of `transfer` is gone on the asking side. */
async function over<Ask, Answer>(
  ask: Ask,
  answer: (ask: Ask) => Promise<Answer>,
  transfer: ArrayBuffer[] = [],
): Promise<Answer> {
  const asked = structuredClone(ask, { transfer })
  try {
    return structuredClone(await answer(asked))
  } catch (error) {
    throw unpackError(structuredClone(packError(error)))
  }
}

export function distantMetricsBuilding(building: MetricsBuilding): MetricsBuilding {
  return {
    writeRange: (directory, columns, transfer) =>
      over({ directory, columns }, ask => building.writeRange(ask.directory, ask.columns, []), transfer),
    merge: (directory, tenant, blocks) =>
      over({ directory, tenant, blocks }, ask => building.merge(ask.directory, ask.tenant, ask.blocks)),
    verify: (tenant, block) => over({ tenant, block }, ask => building.verify(ask.tenant, ask.block)),
  }
}

export function distantLogsBuilding(building: LogsBuilding): LogsBuilding {
  return {
    rewrite: plan => over(plan, ask => building.rewrite(ask)),
    chunks: question => over(question, ask => building.chunks(ask)),
    order: chunk => over(chunk, ask => building.order(ask)),
    erase: plan => over(plan, ask => building.erase(ask)),
    verify: (tenant, chunk) => over({ tenant, chunk }, ask => building.verify(ask.tenant, ask.chunk)),
  }
}

export function distantTracesBuilding(building: TracesBuilding): TracesBuilding {
  return {
    first: async (plan, segments, leftOut) =>
      over({ plan, leftOut, carried: await Promise.all(segments.map(packed)) }, ask => {
        const idle = ask.carried.map(carried => new CarriedIdleTraces(carried, decodeOtlpFrames, decodeSpan))
        return building.first(ask.plan, idle, ask.leftOut)
      }),
    merge: (plan, inputs) => over({ plan, inputs }, ask => building.merge(ask.plan, ask.inputs)),
    verify: block => over(block, ask => building.verify(ask)),
  }
}

const packed = (idle: IdleTraces): Promise<CarriedTraces> =>
  packTraces(takeTraces(Array.from({ length: idle.count }, (_, i) => idle.liveAt(i))), () => Promise.resolve())

/** Every second piece of work is done by the other one. */
export function inTurns<Building extends object>(own: Building, other: Building): Building {
  let asked = 0
  return new Proxy(own, {
    get: (_, name) => {
      const side = asked++ % 2 === 0 ? own : other
      const method: unknown = Reflect.get(side, name)
      return typeof method === 'function' ? (method.bind(side) as unknown) : method
    },
  })
}

/** What a worker answers of work in the background: blocks, chunks and indexes are built, merged and verified. */
import type { Clock } from '#core/clock.ts'
import type { Files } from '#core/files.ts'
import { yieldEvery } from '#core/yield.ts'
import { LocalBuilding as LogsBuilding } from '#logs/block-building.ts'
import { memoryOfStreams } from '#logs/carried-streams.ts'
import { LocalBuilding as MetricsBuilding } from '#metrics/block-building.ts'
import { HiddenLines } from '#query/logql/scan.ts'
import { LocalBuilding as TracesBuilding } from '#traces/block-building.ts'
import type { BuiltBlock } from '#traces/block-writer.ts'
import { CarriedIdleTraces } from '#traces/carried-traces.ts'
import { decodeOtlpFrames, decodeSpan } from '#wire/otlp/traces.ts'
import type { BuildingCalls } from './calls.ts'
import type { Answer, Handlers } from './link.ts'
import { openBucket, served, tracesBucket, type MainLink } from './main-buckets.ts'
import type { WorkerSettings } from './settings.ts'

export interface BuildingWorld {
  clock: Clock
  files: Files
}

type Handled<Prefix extends string> = Handlers<{
  [Name in keyof BuildingCalls as Name extends `${Prefix}${string}` ? Name : never]: BuildingCalls[Name]
}>

/** `finished` does the work of each call, so that its memory is watched. */
export function buildingHandlers(
  link: () => MainLink,
  settings: WorkerSettings,
  world: BuildingWorld,
  finished: <T>(work: () => Promise<T> | T) => Promise<T>,
): Handlers<BuildingCalls> {
  const handlers: Handlers<BuildingCalls> = {
    ...metricsHandlers(link, settings, world),
    ...logsHandlers(link, settings, world),
    ...tracesHandlers(link, settings, world),
  }
  const watched = Object.entries(handlers).map(([name, handler]) => [
    name,
    // Each gets what it is asked, and answers that.
    (ask: never) => finished(() => (handler as (ask: never) => Promise<Answer<unknown>>)(ask)),
  ])
  return Object.fromEntries(watched) as Handlers<BuildingCalls>
}

function metricsHandlers(
  link: () => MainLink,
  settings: WorkerSettings,
  { clock, files }: BuildingWorld,
): Handled<'metrics'> {
  const building = (): MetricsBuilding => {
    const bucket = openBucket(link(), 'metrics', served(settings.metrics).bucket)
    return new MetricsBuilding({ files, bucket, pause: yieldEvery(clock) })
  }
  return {
    metricsWrite: async ({ directory, columns }) => ({ answer: await building().writeRange(directory, columns) }),
    metricsMerge: async ({ directory, tenant, blocks }) => ({
      answer: await building().merge(directory, tenant, blocks),
    }),
    metricsVerify: async ({ tenant, block }) => ({ answer: await building().verify(tenant, block) }),
  }
}

function logsHandlers(
  link: () => MainLink,
  settings: WorkerSettings,
  { clock, files }: BuildingWorld,
): Handled<'logs'> {
  const building = (): LogsBuilding => {
    const { bucket, isBase64 } = served(settings.logs)
    return new LogsBuilding({
      files,
      bucket: openBucket(link(), 'logs', bucket),
      isBase64,
      hides: notices => new HiddenLines(notices, () => clock.nowMs()),
      pause: yieldEvery(clock),
    })
  }
  return {
    logsRewrite: async plan => {
      const answer = await building().rewrite(plan)
      const packed = answer.kind === 'written' ? answer.index?.packed : undefined
      return { answer, transfer: packed === undefined ? [] : own([packed]) }
    },
    logsChunks: async question => {
      const answer = await building().chunks(question)
      return { answer, transfer: answer.kind === 'listed' ? memoryOfStreams(answer.streams) : [] }
    },
    logsOrder: async chunk => ({ answer: await building().order(chunk) }),
    logsErase: async plan => ({ answer: await building().erase(plan) }),
    logsVerify: async ({ tenant, chunk }) => ({ answer: await building().verify(tenant, chunk) }),
  }
}

function tracesHandlers(link: () => MainLink, settings: WorkerSettings, { clock }: BuildingWorld): Handled<'traces'> {
  const building = (): TracesBuilding =>
    new TracesBuilding({ bucket: tracesBucket(link(), served(settings.traces).bucket), pause: yieldEvery(clock) })
  return {
    tracesFirst: async ({ plan, segments, leftOut }) => {
      const idle = segments.map(carried => new CarriedIdleTraces(carried, decodeOtlpFrames, decodeSpan))
      const block = await building().first(plan, idle, leftOut)
      return { answer: block, transfer: block === undefined ? [] : memoryOf(block) }
    },
    tracesMerge: async ({ plan, inputs }) => {
      const merged = await building().merge(plan, inputs)
      return { answer: merged, transfer: 'block' in merged ? memoryOf(merged.block) : [] }
    },
    tracesVerify: async block => {
      await building().verify(block)
      return { answer: undefined }
    },
  }
}

/** Memory of a block that may go over with it. */
function memoryOf({ data, blooms, index }: BuiltBlock): ArrayBuffer[] {
  return own([data, ...blooms, index])
}

/** The memory of those that are alone in it. */
function own(arrays: readonly Uint8Array[]): ArrayBuffer[] {
  return arrays.flatMap(({ buffer, byteLength }) =>
    buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [],
  )
}

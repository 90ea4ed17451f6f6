/** What the main thread answers its workers: reads of buckets, and the doors of signals. */
import type { Bucket } from '#bucket/bucket.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { LogsDoor } from '#logs/door.ts'
import type { MetricsDoor } from '#metrics/door.ts'
import type { TracesDoor } from '#traces/door.ts'
import type { MainCalls } from './calls.ts'
import type { Answer, Handlers } from './link.ts'
import type { ThreadReports } from './pool.ts'

/** The signals of the process, as far as workers ask them. */
export interface MainSources {
  bucket: (signal: SignalName) => Bucket
  metrics: () => MetricsDoor
  logs: () => LogsDoor
  traces: () => TracesDoor
}

export function mainHandlers({
  bucket,
  metrics,
  logs,
  traces,
}: MainSources): Handlers<Omit<MainCalls, keyof ThreadReports>> {
  return {
    bucketGet: async ({ signal, key }) => handedOver(await bucket(signal).get(key)),
    bucketRange: async ({ signal, key, offset, length }) =>
      handedOver(await bucket(signal).getRange(key, offset, length)),
    bucketSize: async ({ signal, key }) => ({ answer: await bucket(signal).size(key) }),
    bucketList: async ({ signal, key }) => ({ answer: await bucket(signal).list(key) }),
    bucketDirectories: async ({ signal, key }) => ({ answer: await bucket(signal).listDirectories(key) }),
    bucketEvict: async ({ signal, key }) => {
      await bucket(signal).evict?.(key)
      return { answer: undefined }
    },
    metricsPlan: async ask => {
      const { plan, transfer } = await metrics().plan(ask)
      return { answer: plan, transfer }
    },
    metricsChanges: ask => ({ answer: metrics().changes(ask) }),
    metricsTexts: async ask => ({ answer: await metrics().texts(ask) }),
    metricsMetas: ({ tenant, ids }) => ({ answer: metrics().metas(tenant, ids) }),
    metricsFacts: async tenant => ({ answer: await metrics().facts(tenant) }),
    metricsDamage: note => {
      metrics().noteDamage(note)
      return { answer: undefined }
    },
    metricsLookAgain: async ({ tenant, block }) => ({ answer: await metrics().lookAgain(tenant, block) }),
    logsPlan: async ask => ({ answer: await logs().plan(ask) }),
    logsDamage: block => {
      logs().noteDamage(block)
      return { answer: undefined }
    },
    tracesPlan: async ask => ({ answer: await traces().plan(ask) }),
    tracesFind: async ask => ({ answer: await traces().find(ask) }),
    tracesReadable: block => {
      traces().noteReadable(block)
      return { answer: undefined }
    },
    tracesDamage: note => {
      traces().noteDamage(note)
      return { answer: undefined }
    },
    tracesReplaced: async block => ({ answer: await traces().isReplaced(block) }),
  }
}

/** Bytes that may go over as they are: nobody else has their memory. */
function handedOver(bytes: Uint8Array): Answer<Uint8Array> {
  const { buffer } = bytes
  const isOwn = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength
  return { answer: bytes, transfer: isOwn ? [buffer] : [] }
}

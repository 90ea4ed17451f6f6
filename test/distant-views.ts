/** Signals as another thread sees them: every question and answer is cloned on its way, as between real threads. */
import type { Bucket } from '#bucket/bucket.ts'
import type { Clock } from '#core/clock.ts'
import type { Files } from '#core/files.ts'
import type { LogsDoor } from '#logs/door.ts'
import { LogsView } from '#logs/view.ts'
import type { MetricsDoor } from '#metrics/door.ts'
import { MetricsView } from '#metrics/view.ts'
import type { TracesDoor } from '#traces/door.ts'
import type { BlockLayout } from '#traces/schema.ts'
import { TracesView } from '#traces/view.ts'
import { decodeOtlpFrames, decodeSpan } from '#wire/otlp/traces.ts'

/** Where the other thread finds what is not in memory. */
export interface ViewWorld {
  clock: Clock
  files: Files
  bucket: Bucket
  /** Infinity unless given. */
  retentionMs?: number
}

const cacheBytes = 16 * 1024 * 1024

/** What `answer` gives for a clone of the question, cloned; memory of `transfer` is gone on the answering side. */
async function over<Ask, Answer>(
  ask: Ask,
  answer: (ask: Ask) => Promise<{ value: Answer; transfer?: ArrayBuffer[] }> | { value: Answer },
): Promise<Answer> {
  const answered = await answer(structuredClone(ask))
  const transfer = 'transfer' in answered ? answered.transfer : undefined
  return structuredClone(answered.value, transfer === undefined ? {} : { transfer })
}

export function metricsView(door: MetricsDoor, { retentionMs = Infinity, ...world }: ViewWorld): MetricsView {
  return new MetricsView({
    ...world,
    retentionMs,
    door: {
      plan: asked =>
        over(asked, async ask => {
          const { plan, transfer } = await door.plan(ask)
          return { value: plan, transfer }
        }),
      changes: asked => over(asked, ask => ({ value: door.changes(ask) })),
      texts: asked => over(asked, async ask => ({ value: await door.texts(ask) })),
      metas: (tenant, ids) => over(ids, list => ({ value: door.metas(tenant, list) })),
      noteDamage: note =>
        over(note, one => {
          door.noteDamage(one)
          return { value: undefined }
        }),
      facts: tenant => over(tenant, async name => ({ value: await door.facts(name) })),
      lookAgain: (tenant, block) => over(block, async one => ({ value: await door.lookAgain(tenant, one) })),
    },
  })
}

export function logsView(door: LogsDoor, { retentionMs = Infinity, ...world }: ViewWorld): LogsView {
  return new LogsView({
    ...world,
    retentionMs,
    isBase64: false,
    cacheBytes,
    door: {
      plan: asked => over(asked, async ask => ({ value: await door.plan(ask) })),
      noteDamage: block =>
        over(block, one => {
          door.noteDamage(one)
          return { value: undefined }
        }),
    },
  })
}

export function tracesView(
  door: TracesDoor,
  layout: BlockLayout,
  { retentionMs = Infinity, clock, bucket }: ViewWorld,
): TracesView {
  return new TracesView({
    clock,
    bucket,
    retentionMs,
    layout,
    cacheBytes,
    decodeFrames: decodeOtlpFrames,
    decodeSpan,
    door: {
      plan: asked => over(asked, async ask => ({ value: await door.plan(ask) })),
      find: asked => over(asked, async ask => ({ value: await door.find(ask) })),
      noteReadable: block =>
        over(block, one => {
          door.noteReadable(one)
          return { value: undefined }
        }),
      noteDamage: note =>
        over(note, one => {
          door.noteDamage(one)
          return { value: undefined }
        }),
      isReplaced: block => over(block, async one => ({ value: await door.isReplaced(one) })),
    },
  })
}

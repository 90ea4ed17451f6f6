/**
 * Bodies that another thread decodes: those that unfold to more than `decodedHereBytesMax`, where there is one. What
 * comes back is what the protocol's own decoder makes, and frozen.
 */
import { assert } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'
import { decodedHereBytesMax } from '#core/limits.ts'
import { yieldEvery } from '#core/yield.ts'
import { logsOf, samplesOf } from '#model/carried-batch.ts'
import type { LogBatch } from '#model/log-batch.ts'
import type { WriteBatch } from '#model/write-batch.ts'
import type { SpansPart } from '#traces/append.ts'
import { unfoldedBytes, type BodyDecoder, type BodyKind } from '#wire/decode-body.ts'
import { spansOf } from '#wire/otlp/carried-spans.ts'
import type { TranslatedPoints } from '#wire/otlp/to-prometheus.ts'

/** Where long bodies go. */
export interface Decoding {
  /** Undefined: every body is decoded where it came in. */
  readonly decoder?: BodyDecoder | undefined
}

/** The decoder for a body that is long; undefined for one that is decoded here. */
export function decoderFor({ decoder }: Decoding, kind: BodyKind, body: Uint8Array): BodyDecoder | undefined {
  if (decoder === undefined || unfoldedBytes(kind, body) <= decodedHereBytesMax) return undefined
  return decoder
}

/** Lines of a long body, and what could not be read of it. */
export async function decodeLargeLogs(
  decoder: BodyDecoder,
  kind: BodyKind,
  body: Uint8Array,
  clock: Clock,
): Promise<{ batch: LogBatch; problems: readonly string[]; notes: ReadonlySet<string> }> {
  const decoded = await decoder.decode(kind, body)
  assert(decoded.signal === 'logs', 'a body of logs holds lines')
  const { batch, problems, notes } = decoded
  return { batch: await logsOf(batch, yieldEvery(clock)), problems, notes }
}

/** Samples of a long body; `points` are those of OTLP. */
export async function decodeLargeSamples(
  decoder: BodyDecoder,
  kind: BodyKind,
  body: Uint8Array,
): Promise<{ batch: WriteBatch; points: TranslatedPoints | undefined }> {
  const decoded = await decoder.decode(kind, body)
  assert(decoded.signal === 'metrics', 'a body of metrics holds samples')
  return { batch: samplesOf(decoded.batch), points: decoded.points }
}

/** Spans of a long body, in parts of some milliseconds. */
export async function decodeLargeTraces(
  decoder: BodyDecoder,
  kind: BodyKind,
  body: Uint8Array,
): Promise<{ parts: readonly SpansPart[] }> {
  const decoded = await decoder.decode(kind, body)
  assert(decoded.signal === 'traces', 'a body of traces holds spans')
  return { parts: decoded.parts.map(part => ({ message: part.message, outlines: () => spansOf(part) })) }
}

/** What the outage bench sends: batches of all signals for a stretch of virtual time, made of a few templates. */
import { below, seededRandom, type Random } from '#core/random.ts'
import { encodeUtf8 } from '#core/text.ts'
import { Labels } from '#model/labels.ts'
import { LogBatch } from '#model/log-batch.ts'
import type { Attribute, ResourceSpans, Span } from '#model/trace.ts'
import { BatchBuilder, type WriteBatch } from '#model/write-batch.ts'
import { encodeOtlpTraces } from '#wire/otlp/traces.ts'

const words = ['request done', 'cache miss', 'query finished', 'connection reset by peer', 'job started', 'retrying']
const hex = (random: Random, length: number): string =>
  Array.from({ length }, () => below(random, 16).toString(16)).join('')

/** `series` series; a step has one sample of each, or of those whose numbers are [from, to). */
export class SampleLoad {
  readonly #builder = new BatchBuilder()
  readonly series: number

  constructor(series: number) {
    this.series = series
    for (let i = 0; i < series; i++)
      this.#builder.addSeries(
        Labels.fromObject({
          __name__: `outage_requests_total_${i % 10}`,
          code: ['200', '404', '500'][i % 3]!,
          instance: `10.0.${i >> 8}.${i & 255}:9100`,
          job: `pods-${i % 5}`,
        }),
      )
  }

  batch(timeMs: number, step: number, from = 0, to = this.series): WriteBatch {
    const { batch } = this.#builder
    batch.sampleCount = 0
    for (let i = from; i < to; i++) batch.addSample(i, timeMs, i + step * (1 + (i % 17)))
    return batch
  }
}

const streamCount = 24

/**
 * Lines of a few services; `bytes` of them a step. They come again after `textBytes`: where that is little, compression
 * finds them.
 */
export class LineLoad {
  readonly #text: Uint8Array
  readonly #ends: number[] = []
  readonly #streams = Array.from({ length: streamCount }, (_, i) =>
    Labels.fromObject({ app: `app-${i % 8}`, pod: `pod-${i}` }),
  )
  readonly #bytes: number
  #next = 0

  constructor(bytes: number, textBytes = bytes * 3) {
    this.#bytes = bytes
    const random = seededRandom(7)
    let text = ''
    while (text.length < textBytes) {
      text +=
        `level=${['info', 'info', 'warn', 'error'][below(random, 4)]!} caller=main.go:${below(random, 400)} ` +
        `msg="${words[below(random, words.length)]!}" path=/api/orders/${below(random, 10_000)} ` +
        `status=${[200, 200, 404, 500][below(random, 4)]!} user=${below(random, 50_000)} req=${hex(random, 16)}`
      this.#ends.push(text.length)
    }
    this.#text = encodeUtf8(text)
  }

  /** The lines of a step, spread over its milliseconds; their number is the batch's count. */
  batch(timeMs: number, stepMs: number): LogBatch {
    const batch = new LogBatch()
    batch.clear(this.#text)
    for (const stream of this.#streams) {
      batch.beginStream(stream)
      for (let left = this.#bytes / streamCount; left > 0;) {
        const i = this.#next++ % this.#ends.length
        const from = i === 0 ? 0 : this.#ends[i - 1]!
        const to = this.#ends[i]!
        const offset = Math.floor((1 - left / (this.#bytes / streamCount)) * stepMs)
        batch.addLine(timeMs + offset, batch.count % 1_000_000, from, to)
        left -= to - from
      }
    }
    return batch
  }
}

interface Template {
  message: Uint8Array
  spans: number
  /** Where each trace id stands, and which of the message's traces it is of. */
  ids: { at: number; trace: number }[]
  /** Where times stand, and how far behind the start of the step they lie. */
  times: { at: number; afterNs: bigint }[]
}

const originNs = 0x1234_5678_9abc_0000n
const none = new Uint8Array(0)
const messagesOfStep = 8

function placesOf(message: Uint8Array, piece: Uint8Array): number[] {
  const places: number[] = []
  const buffer = Buffer.from(message.buffer, message.byteOffset, message.length)
  for (let at = buffer.indexOf(piece); at >= 0; at = buffer.indexOf(piece, at + 1)) places.push(at)
  return places
}

function timeBytes(ns: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(ns)
  return bytes
}

/** OTLP messages with new trace ids and times each time; about `bytes` a step. */
export class SpanLoad {
  readonly #templates: Template[] = []
  readonly #random = seededRandom(11)
  #next = 0

  constructor(bytes: number, stepMs: number) {
    for (let i = 0; i < 3; i++) this.#templates.push(this.#template(bytes / messagesOfStep, stepMs))
  }

  #span(traceId: Uint8Array, startNs: bigint, endNs: bigint): Span {
    const random = this.#random
    const text = (key: string, value: string): Attribute => ({ key, value: { kind: 'string', value } })
    const status = [200, 200, 200, 404, 500][below(random, 5)]!
    return {
      traceId,
      spanId: Uint8Array.from({ length: 8 }, () => 1 + below(random, 255)),
      parentSpanId: none,
      traceState: '',
      flags: 1,
      name: ['GET /api/v1/users', 'POST /api/v1/orders', 'SELECT', 'charge'][below(random, 4)]!,
      kind: 1 + below(random, 5),
      startNs,
      endNs,
      attributes: [
        text('http.method', below(random, 2) === 0 ? 'GET' : 'POST'),
        { key: 'http.status_code', value: { kind: 'int', value: BigInt(status) } },
        text('http.url', `http://cart.local/x?id=${below(random, 1000)}`),
        text('user.id', `u${below(random, 5000)}`),
      ],
      droppedAttributes: 0,
      events: [],
      droppedEvents: 0,
      links: [],
      droppedLinks: 0,
      statusCode: status === 500 ? 2 : 0,
      statusMessage: '',
    }
  }

  #template(bytes: number, stepMs: number): Template {
    const random = this.#random
    const traces: Uint8Array[] = []
    const offsets: bigint[] = []
    const resources: ResourceSpans[] = []
    let spans = 0
    for (let size = 0; size < bytes;) {
      const id = Uint8Array.from({ length: 16 }, () => 1 + below(random, 255))
      traces.push(id)
      const own = Array.from({ length: 4 + below(random, 8) }, () => {
        // Each time once, so that it is found in the message.
        const afterNs = BigInt(below(random, stepMs)) * 1_000_000n + BigInt(offsets.length)
        offsets.push(afterNs, afterNs + 1_000_000n * BigInt(1 + below(random, 400)))
        return this.#span(id, originNs + offsets.at(-2)!, originNs + offsets.at(-1)!)
      })
      spans += own.length
      size += own.length * 190
      const scope = { scope: { name: 'otel', version: '1.0', attributes: [], dropped: 0 }, schemaUrl: '', spans: own }
      const service: Attribute = {
        key: 'service.name',
        value: { kind: 'string', value: `service-${below(random, 6)}` },
      }
      resources.push({ resource: { attributes: [service], dropped: 0 }, schemaUrl: '', scopes: [scope] })
    }
    const message = Uint8Array.from(encodeOtlpTraces({ resources }))
    return {
      message,
      spans,
      ids: traces.flatMap((id, trace) => placesOf(message, id).map(at => ({ at, trace }))),
      times: [...new Set(offsets)].flatMap(afterNs =>
        placesOf(message, timeBytes(originNs + afterNs)).map(at => ({ at, afterNs })),
      ),
    }
  }

  *messages(timeMs: number): Generator<{ message: Uint8Array; spans: number }> {
    const startNs = BigInt(timeMs) * 1_000_000n
    for (let i = 0; i < messagesOfStep; i++) {
      const { message, spans, ids, times } = this.#templates[this.#next % this.#templates.length]!
      const copy = Buffer.from(message)
      for (const { at, trace } of ids) {
        copy.writeUInt32BE(this.#next, at)
        copy.writeUInt32BE(trace, at + 4)
      }
      for (const { at, afterNs } of times) copy.writeBigUInt64LE(startNs + afterNs, at)
      this.#next++
      yield { message: new Uint8Array(copy.buffer, copy.byteOffset, copy.length), spans }
    }
  }
}

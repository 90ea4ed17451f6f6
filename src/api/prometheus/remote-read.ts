/** POST /api/v1/read: samples in one message, or streamed as XOR chunks. */
import { ExecutionError, LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import type { MetricsReader } from '#metrics/select.ts'
import type { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { samplesMaxOf } from '#query/budget.ts'
import {
  decodeReadRequest,
  chunksOf,
  encodeChunkedFrame,
  encodeReadResponse,
  encodeTimeSeries,
  type ReadChunk,
  type ReadRequest,
} from '#wire/remote-read/messages.ts'
import { begun } from '../begun.ts'

const streamed = 1
const frameBytesMax = 1024 * 1024

export async function remoteRead(request: HttpRequest, reader: MetricsReader, limits: Limits): Promise<HttpReply> {
  const read = decodeReadRequest(await request.rawBody(), limits.formBytesMax)
  const first = read.accepted.find(type => type === 0 || type === streamed)
  if (first === streamed) {
    return {
      status: 200,
      headers: { 'content-type': 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse' },
      body: await begun(stream(read, reader)),
    }
  }
  const results: Uint8Array[][] = []
  const samplesMax = samplesMaxOf(request.signal, limits.querySamplesMax)
  let total = 0
  for (const query of read.queries) {
    const series: Uint8Array[] = []
    await eachSeries(query, reader, (labels, columns) => {
      total += columns.count
      if (total > samplesMax) throw new LimitError(`exceeded sample limit (${samplesMax})`, 400)
      series.push(encodeTimeSeries(labels, columns))
    })
    results.push(series)
  }
  return {
    status: 200,
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
    },
    body: encodeReadResponse(results),
  }
}

async function eachSeries(
  query: ReadRequest['queries'][number],
  reader: MetricsReader,
  visit: (labels: Labels, columns: SampleColumns) => void,
): Promise<void> {
  const set = await reader.select(
    query.matchers.map(m => makeMatcher(m.kind, m.name, m.value)),
    query.startMs,
    query.endMs,
  )
  const columns = new SampleColumns()
  for (let from = 0; from < set.labels.length; from += 256) {
    const to = Math.min(from + 256, set.labels.length)
    await set.load(from, to)
    for (let i = from; i < to; i++) {
      columns.clear()
      set.read(i, columns)
      if (columns.count > 0) visit(set.labels[i]!, columns)
    }
    set.release()
  }
}

async function* stream(read: ReadRequest, reader: MetricsReader): AsyncGenerator<Uint8Array, void> {
  for (let q = 0; q < read.queries.length; q++) {
    const frames: Uint8Array[] = []
    const query = read.queries[q]!
    await eachSeries(query, reader, (labels, columns) => {
      let chunks: ReadChunk[] = []
      let bytes = 0
      for (const chunk of chunksOf(columns)) {
        chunks.push(chunk)
        bytes += chunk.bytes.length
        if (bytes < frameBytesMax) continue
        frames.push(encodeChunkedFrame(labels, chunks, q))
        chunks = []
        bytes = 0
      }
      if (chunks.length > 0) frames.push(encodeChunkedFrame(labels, chunks, q))
    })
    yield* frames
  }
  // The frames have no place for a warning: a stream that lacks something must not end as a whole one does.
  const lacking = reader.omissions.text()
  if (lacking !== undefined) throw new ExecutionError(lacking)
}

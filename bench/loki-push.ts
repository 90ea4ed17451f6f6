/** A batch of lines as the body of Loki's push: protobuf, in snappy's block form. */
import { ByteWriter } from '#codec/byte-writer.ts'
import { encodeSnappy } from '#codec/snappy.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Labels } from '#model/labels.ts'
import type { LogBatch } from '#model/log-batch.ts'

const tag = { streams: 0x0a, labels: 0x0a, entries: 0x12, timestamp: 0x0a, line: 0x12, seconds: 0x08, nanos: 0x10 }

function field(out: ByteWriter, number: number, bytes: Uint8Array): void {
  out.writeU8(number)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}

function* pairsOf({ pairs }: Labels): Generator<string> {
  for (let i = 0; i < pairs.length; i += 2) yield `${pairs[i]}=${JSON.stringify(pairs[i + 1])}`
}

export function lokiPush(batch: LogBatch): Uint8Array {
  const [out, stream, entry, time] = [20, 18, 10, 5].map(log2 => new ByteWriter(2 ** log2))
  for (const [number, labels] of batch.streams.entries()) {
    stream!.reset()
    field(stream!, tag.labels, encodeUtf8(`{${[...pairsOf(labels)].join(', ')}}`))
    for (let i = batch.startOf[number]!; i < batch.startOf[number + 1]!; i++) {
      const ms = batch.timesMs[i]!
      time!.reset()
      time!.writeU8(tag.seconds)
      time!.writeUvarint(Math.floor(ms / 1000))
      time!.writeU8(tag.nanos)
      time!.writeUvarint((ms % 1000) * 1e6 + batch.subNs[i]!)
      entry!.reset()
      field(entry!, tag.timestamp, time!.bytes())
      field(entry!, tag.line, batch.bytes.subarray(batch.lineFrom[i]!, batch.lineTo[i]!))
      field(stream!, tag.entries, entry!.bytes())
    }
    field(out!, tag.streams, stream!.bytes())
  }
  return encodeSnappy(out!.bytes())
}

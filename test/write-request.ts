/** Remote-write bodies by hand, for tests. */
import { ByteWriter } from '#codec/byte-writer.ts'
import { encodeSnappy } from '#codec/snappy.ts'

export interface TestSeries {
  labels: [string, string][]
  samples: [timeMs: number, value: number][]
}

function message(out: ByteWriter, tag: number, bytes: Uint8Array): void {
  out.writeUvarint(tag)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}

function text(out: ByteWriter, tag: number, value: string | Uint8Array): void {
  message(out, tag, typeof value === 'string' ? Buffer.from(value) : value)
}

export function seriesMessage(
  labels: readonly (readonly [string, string | Uint8Array])[],
  samples: readonly (readonly [number, number])[],
  labelsLast = false,
): Uint8Array {
  const out = new ByteWriter()
  const writeLabels = (): void => {
    for (const [name, value] of labels) {
      const label = new ByteWriter()
      text(label, 0x0a, name)
      text(label, 0x12, value)
      message(out, 0x0a, label.bytes())
    }
  }
  if (!labelsLast) writeLabels()
  for (const [timeMs, value] of samples) {
    const sample = new ByteWriter()
    sample.writeU8(0x09)
    sample.writeF64LittleEndian(value)
    sample.writeU8(0x10)
    sample.writeProtoInt64(timeMs)
    message(out, 0x12, sample.bytes())
  }
  if (labelsLast) writeLabels()
  return out.copy()
}

export function writeRequest(series: readonly Uint8Array[]): Uint8Array {
  const out = new ByteWriter()
  for (const one of series) message(out, 0x0a, one)
  return out.copy()
}

/** A whole body, compressed. */
export function writeBody(series: readonly TestSeries[]): Uint8Array {
  return encodeSnappy(writeRequest(series.map(s => seriesMessage(s.labels, s.samples))))
}

export function postWrite(url: string, body: Uint8Array, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/api/v1/write`, {
    method: 'POST',
    body: Buffer.from(body),
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy', ...headers },
  })
}

/** Remote write 2.0: io.prometheus.write.v2.Request into a batch. Source: the public remote-write specification 2.0. */
import { ByteReader } from '#codec/byte-reader.ts'
import { readInt64, skipField } from '#codec/protobuf.ts'
import { BadDataError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { compareBytes, decodeUtf8Marking } from '#core/text.ts'
import { Labels } from '#model/labels.ts'
import { KeyWriter, metricTypes, type WriteBatch } from '#model/write-batch.ts'
import { readHistogram } from './histogram.ts'

/** Fills `batch`; its keys lie in `keys`. Throws CorruptDataError or BadDataError. */
export function decodeWriteRequestV2(bytes: Uint8Array, batch: WriteBatch, keys: KeyWriter): void {
  batch.clear()
  keys.reset()
  const symbols: Uint8Array[] = []
  const input = new ByteReader(bytes)
  const series: { from: number; to: number }[] = []
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x22) symbols.push(input.readBytes(input.readLength()))
    else if (tag === 0x2a) {
      const length = input.readLength()
      series.push({ from: input.at, to: input.at + length })
      input.skip(length)
    } else skipField(input, tag)
  }
  if (symbols.length > 0 && symbols[0]!.length !== 0)
    throw new BadDataError('remote write 2.0: the first symbol must be the empty string')
  const symbol = (ref: number): Uint8Array => {
    const found = symbols[ref]
    if (found === undefined)
      throw new BadDataError(`remote write 2.0: symbol ${ref} is out of range, there are ${symbols.length}`)
    return found
  }
  for (const { from, to } of series) readSeriesOrRefuse(new ByteReader(bytes, from, to), batch, keys, symbol)
  batch.bytes = keys.bytes
}

/** A series whose labels can't be read costs itself. */
function readSeriesOrRefuse(
  input: ByteReader,
  batch: WriteBatch,
  keys: KeyWriter,
  symbol: (ref: number) => Uint8Array,
): void {
  const { at } = keys
  try {
    readSeries(input, batch, keys, symbol)
  } catch (error) {
    if (!(error instanceof BadDataError)) throw error
    keys.at = at
    batch.refusePart(batch.addSeries(at, at), error.message)
  }
}

function readSeries(input: ByteReader, batch: WriteBatch, keys: KeyWriter, symbol: (ref: number) => Uint8Array): void {
  const refs: number[] = []
  const rest: { tag: number; from: number; to: number }[] = []
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      const end = input.readLength() + input.at
      while (input.at < end) refs.push(input.readUvarint())
    } else if (tag === 0x08) refs.push(input.readUvarint())
    else if (tag === 0x12 || tag === 0x1a || tag === 0x22 || tag === 0x2a) {
      const length = input.readLength()
      rest.push({ tag, from: input.at, to: input.at + length })
      input.skip(length)
    } else skipField(input, tag)
  }
  if (refs.length % 2 !== 0) throw new BadDataError(`remote write 2.0: ${refs.length} label references are not pairs`)
  const from = keys.at
  let metric = ''
  const pairs: [Uint8Array, Uint8Array][] = []
  for (let i = 0; i < refs.length; i += 2) {
    pairs.push([symbol(refs[i]!), symbol(refs[i + 1]!)])
    if (Buffer.from(pairs.at(-1)![0]).toString('latin1') === metricName) metric = textOf(pairs.at(-1)![1])
  }
  pairs.sort((a, b) => compareBytes(a[0], 0, a[0].length, b[0], 0, b[0].length))
  for (const [name, value] of pairs) keys.writeLabelBytes(name, value)
  const series = batch.addSeries(from, keys.at)
  for (const part of rest) {
    const inner = new ByteReader(input.bytes, part.from, part.to)
    if (part.tag === 0x12) readSample(inner, series, batch)
    else if (part.tag === 0x1a) readHistogram(inner, series, batch)
    else if (part.tag === 0x22) readExemplar(inner, series, batch, symbol)
    else readMetadata(inner, metric, series, batch, symbol)
  }
}

const textOf = (bytes: Uint8Array): string => decodeUtf8Marking(bytes, 0, bytes.length)

function readSample(input: ByteReader, series: number, batch: WriteBatch): void {
  let hi = 0
  let lo = 0
  let timeMs = 0
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x09) {
      input.need(8)
      lo = input.view.getUint32(input.at, true)
      hi = input.view.getUint32(input.at + 4, true)
      input.at += 8
    } else if (tag === 0x10) timeMs = readInt64(input)
    else skipField(input, tag)
  }
  batch.addSampleWords(series, timeMs, hi, lo)
}

function readExemplar(input: ByteReader, series: number, batch: WriteBatch, symbol: (ref: number) => Uint8Array): void {
  const refs: number[] = []
  let value = 0
  let timeMs = 0
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      const end = input.readLength() + input.at
      while (input.at < end) refs.push(input.readUvarint())
    } else if (tag === 0x11) {
      input.need(8)
      value = input.view.getFloat64(input.at, true)
      input.at += 8
    } else if (tag === 0x18) timeMs = readInt64(input)
    else skipField(input, tag)
  }
  const text = (ref: number): string => textOf(symbol(ref))
  const entries: [string, string][] = []
  for (let i = 0; i + 1 < refs.length; i += 2) entries.push([text(refs[i]!), text(refs[i + 1]!)])
  if (entries.flat().every(part => part.isWellFormed()))
    batch.exemplars.push({ series, labels: Labels.from(entries), value, timeMs })
  else batch.refusePart(series, 'a label of an exemplar is not UTF-8')
}

function readMetadata(
  input: ByteReader,
  metric: string,
  series: number,
  batch: WriteBatch,
  symbol: (ref: number) => Uint8Array,
): void {
  let type = 0
  let help = 0
  let unit = 0
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x08) type = input.readUvarint()
    else if (tag === 0x18) help = input.readUvarint()
    else if (tag === 0x20) unit = input.readUvarint()
    else skipField(input, tag)
  }
  if (metric === '' || (type === 0 && help === 0 && unit === 0)) return
  const metadata = {
    metric,
    type: metricTypes[type] ?? 'unknown',
    help: textOf(symbol(help)),
    unit: textOf(symbol(unit)),
  }
  if ([metric, metadata.help, metadata.unit].every(part => part.isWellFormed())) batch.metadata.push(metadata)
  else batch.refusePart(series, 'a text of its metadata is not UTF-8')
}

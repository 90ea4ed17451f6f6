/** Remote write 2.0: io.prometheus.write.v2.Request into a batch. Source: the public remote-write specification 2.0. */
import { ByteReader } from '#codec/byte-reader.ts'
import { readInt64, skipField } from '#codec/protobuf.ts'
import { checkElements, elementsMax, ExpandedBytes } from '#core/body-limits.ts'
import { BadDataError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { compareBytes, decodeUtf8Marking, encodeUtf8 } from '#core/text.ts'
import { Labels } from '#model/labels.ts'
import { KeyWriter, metricTypes, type WriteBatch } from '#model/write-batch.ts'
import { readHistogram } from './histogram.ts'
import { checkObjects } from './v1.ts'

/** The texts that labels refer to. Each may be referred to often: what they take when written out is bounded. */
class Symbols {
  readonly #list: Uint8Array[] = []
  readonly #expanded: ExpandedBytes
  readonly #bytes: number

  constructor(bytes: number) {
    this.#bytes = bytes
    this.#expanded = new ExpandedBytes(bytes)
  }

  /** Throws LimitError (400). */
  add(symbol: Uint8Array): void {
    this.#list.push(symbol)
    checkElements('parts', this.#list.length, this.#bytes)
  }

  /** Throws BadDataError where the first is not the empty one. */
  check(): void {
    if (this.#list.length > 0 && this.#list[0]!.length !== 0)
      throw new BadDataError('remote write 2.0: the first symbol must be the empty string')
  }

  /** To be written out. Throws BadDataError, and LimitError (400). */
  get(ref: number): Uint8Array {
    const found = this.#list[ref]
    if (found === undefined)
      throw new BadDataError(`remote write 2.0: symbol ${ref} is out of range, there are ${this.#list.length}`)
    // And its place in a list.
    this.#expanded.add(found.length + 2)
    return found
  }

  text(ref: number): string {
    const bytes = this.get(ref)
    return decodeUtf8Marking(bytes, 0, bytes.length)
  }
}

/**
 * Fills `batch`; its keys lie in `keys`. Throws CorruptDataError or BadDataError, and LimitError (400) for more than a
 * body of its size may hold.
 */
export function decodeWriteRequestV2(bytes: Uint8Array, batch: WriteBatch, keys: KeyWriter): void {
  batch.clear()
  batch.bytes = bytes
  batch.rowsMax = elementsMax('rows', bytes.length)
  keys.reset()
  const symbols = new Symbols(bytes.length)
  // Symbols may stand behind the series that refer to them.
  const input = new ByteReader(bytes)
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x22) symbols.add(input.readBytes(input.readLength()))
    else skipField(input, tag)
  }
  symbols.check()
  input.at = 0
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag !== 0x2a) {
      skipField(input, tag)
      continue
    }
    const end = input.readLength() + input.at
    readSeriesOrRefuse(new ByteReader(bytes, input.at, end), batch, keys, symbols)
    input.at = end
  }
  batch.bytes = keys.bytes
}

/** Twice the labels of a series: more than any limit of them lets in. */
const refsMax = 20_000

/** Throws BadDataError. */
function addRef(refs: number[], ref: number): void {
  if (refs.length === refsMax)
    throw new BadDataError(`remote write 2.0: a series has more than ${refsMax / 2} labels, which is the limit`)
  refs.push(ref)
}

/** A series whose labels can't be read costs itself. */
function readSeriesOrRefuse(input: ByteReader, batch: WriteBatch, keys: KeyWriter, symbols: Symbols): void {
  const { at } = keys
  try {
    readSeries(input, batch, keys, symbols)
  } catch (error) {
    if (!(error instanceof BadDataError)) throw error
    keys.at = at
    batch.refusePart(batch.addSeries(at, at), error.message)
  }
}

function readSeries(input: ByteReader, batch: WriteBatch, keys: KeyWriter, symbols: Symbols): void {
  const refs: number[] = []
  const start = input.at
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      const end = input.readLength() + input.at
      while (input.at < end) addRef(refs, input.readUvarint())
    } else if (tag === 0x08) addRef(refs, input.readUvarint())
    else skipField(input, tag)
  }
  if (refs.length % 2 !== 0) throw new BadDataError(`remote write 2.0: ${refs.length} label references are not pairs`)
  const from = keys.at
  let metric = ''
  const pairs: [Uint8Array, Uint8Array][] = []
  for (let i = 0; i < refs.length; i += 2) {
    const name = symbols.get(refs[i]!)
    pairs.push([name, symbols.get(refs[i + 1]!)])
    if (isMetricName(name)) metric = symbols.text(refs[i + 1]!)
  }
  pairs.sort((a, b) => compareBytes(a[0], 0, a[0].length, b[0], 0, b[0].length))
  for (const [name, value] of pairs) keys.writeLabelBytes(name, value)
  const series = batch.addSeries(from, keys.at)
  // Labels are a field among the others, in any place.
  input.at = start
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag !== 0x12 && tag !== 0x1a && tag !== 0x22 && tag !== 0x2a) {
      skipField(input, tag)
      continue
    }
    const end = input.readLength() + input.at
    const inner = new ByteReader(input.bytes, input.at, end)
    input.at = end
    if (tag === 0x12) {
      readSample(inner, series, batch)
      continue
    }
    checkObjects(batch, input.bytes.length)
    if (tag === 0x1a) readHistogram(inner, series, batch)
    else if (tag === 0x22) readExemplar(inner, series, batch, symbols)
    else readMetadata(inner, metric, series, batch, symbols)
  }
}

const metricNameBytes = encodeUtf8(metricName)
const isMetricName = (name: Uint8Array): boolean =>
  name.length === metricNameBytes.length && compareBytes(name, 0, name.length, metricNameBytes, 0, name.length) === 0

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

function readExemplar(input: ByteReader, series: number, batch: WriteBatch, symbols: Symbols): void {
  const refs: number[] = []
  let value = 0
  let timeMs = 0
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      const end = input.readLength() + input.at
      while (input.at < end) addRef(refs, input.readUvarint())
    } else if (tag === 0x11) {
      input.need(8)
      value = input.view.getFloat64(input.at, true)
      input.at += 8
    } else if (tag === 0x18) timeMs = readInt64(input)
    else skipField(input, tag)
  }
  const entries: [string, string][] = []
  for (let i = 0; i + 1 < refs.length; i += 2) entries.push([symbols.text(refs[i]!), symbols.text(refs[i + 1]!)])
  if (entries.flat().every(part => part.isWellFormed()))
    batch.exemplars.push({ series, labels: Labels.from(entries), value, timeMs })
  else batch.refusePart(series, 'a label of an exemplar is not UTF-8')
}

function readMetadata(input: ByteReader, metric: string, series: number, batch: WriteBatch, symbols: Symbols): void {
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
    help: symbols.text(help),
    unit: symbols.text(unit),
  }
  if ([metric, metadata.help, metadata.unit].every(part => part.isWellFormed())) batch.metadata.push(metadata)
  else batch.refusePart(series, 'a text of its metadata is not UTF-8')
}

/** One column of a row group on its way into a file: entries are added one by one, then encoded as a column chunk. */
import { crc32 } from 'node:zlib'
import { grown } from '#core/grown.ts'
import { ByteDictionary } from '../byte-dictionary.ts'
import { ByteWriter } from '../byte-writer.ts'
import { encodeSnappy } from '../snappy.ts'
import type { ColumnData } from './column-data.ts'
import { bitWidthOf, encodeDelta32, encodeDelta64, encodeHybrid } from './encodings.ts'
import { codecNumbers, encodingNumbers } from './pages.ts'
import { physicalTypes, type Column } from './schema.ts'
import { Texts } from './texts.ts'
import { encodeStruct, type ThriftField } from './thrift.ts'

/** Used again from column to column: what is in them is copied before the next one. */
const scratch = {
  chunk: new ByteWriter(1 << 20),
  plain: new ByteWriter(1 << 16),
  levels: new ByteWriter(1 << 14),
  values: new ByteWriter(1 << 18),
}

const noInts = new Int32Array(0)
const noBytes = new Uint8Array(0)
/** Entries of a page; a page ends where a row does. */
const pageEntries = 8192
const pageBytes = 64 * 1024

/** Where a data page lies in its chunk, in bytes, and the row with which it begins. */
export interface EncodedPage {
  at: number
  size: number
  firstRow: number
}
/** A column chunk: its bytes, and where its pages begin within them. */
export interface EncodedChunk {
  bytes: Uint8Array
  dictionarySize: number
  entries: number
  rawSize: number
  pages: EncodedPage[]
  encodings: number[]
}

/**
 * Entries of one column: levels, and a value where the definition level is the highest. Rows begin at repetition level
 * 0.
 */
export class ColumnBuilder {
  readonly column: Column
  count = 0
  valueCount = 0
  #rep = new Uint8Array(64)
  #def = new Uint8Array(64)
  #ints = new Int32Array(0)
  #longs = new BigInt64Array(0)
  #doubles = new Float64Array(0)
  /** Byte strings: the dictionary's, or the values'. */
  readonly #store = new ByteDictionary()
  /** Numbers of texts that came as such. */
  readonly #byText = new Map<string, number>()
  readonly #physical: number
  readonly #isDictionary: boolean

  constructor(column: Column) {
    this.column = column
    this.#physical = physicalTypes[column.leaf.type]
    this.#isDictionary = column.leaf.encoding === 'dictionary'
  }

  /** About how many bytes it holds. */
  get heldBytes(): number {
    return (
      this.count * 2 +
      this.#store.bytes.at +
      this.valueCount * (this.#physical === 2 || this.#physical === 5 ? 8 : this.#physical === 0 ? 1 : 4)
    )
  }

  /** An entry without a value. */
  addNull(rep: number, def: number): void {
    const i = this.count
    if (i === this.#rep.length) this.#growLevels(i * 2)
    this.#rep[i] = rep
    this.#def[i] = def
    this.count = i + 1
  }

  /** The entries [from, to) of another column, none of which has a value in this one: their levels. */
  addNullsOf(other: ColumnBuilder, from: number, to: number): void {
    const { count } = this
    const end = count + to - from
    if (end > this.#rep.length) this.#growLevels(Math.max(end, count * 2))
    const rep = this.#rep
    const def = this.#def
    const otherRep = other.#rep
    const otherDef = other.#def
    for (let i = from, at = count; i < to; i++, at++) {
      rep[at] = otherRep[i]!
      def[at] = otherDef[i]!
    }
    this.count = end
  }

  #addLevels(rep: number): number {
    this.addNull(rep, this.column.maxDef)
    return this.valueCount++
  }

  addInt(rep: number, value: number): void {
    const k = this.#addLevels(rep)
    if (k >= this.#ints.length) this.#ints = grown(this.#ints, new Int32Array(Math.max(64, k * 2)))
    this.#ints[k] = value
  }

  addBool(rep: number, value: boolean): void {
    this.addInt(rep, value ? 1 : 0)
  }

  addLong(rep: number, value: bigint): void {
    const k = this.#addLevels(rep)
    if (k >= this.#longs.length) this.#longs = grown(this.#longs, new BigInt64Array(Math.max(64, k * 2)))
    this.#longs[k] = value
  }

  addDouble(rep: number, value: number): void {
    const k = this.#addLevels(rep)
    if (k >= this.#doubles.length) this.#doubles = grown(this.#doubles, new Float64Array(Math.max(64, k * 2)))
    this.#doubles[k] = value
  }

  addText(rep: number, text: string): void {
    if (this.#isDictionary) {
      this.addInt(rep, this.entryOf(text))
      return
    }
    this.#addLevels(rep)
    this.#appendString(text === '' ? noBytes : Buffer.from(text, 'utf8'))
  }

  /** Not for columns with a dictionary. */
  addBytes(rep: number, bytes: Uint8Array): void {
    this.#addLevels(rep)
    this.#appendString(bytes)
  }

  /** A text that lies in bytes. */
  addTextBytes(rep: number, bytes: Uint8Array, from: number, to: number): void {
    if (this.#isDictionary) {
      this.addInt(rep, this.#store.entryOf(bytes, from, to))
      return
    }
    this.#addLevels(rep)
    this.#store.append(bytes, from, to)
  }

  /** The number of a text in the dictionary. */
  entryOf(text: string): number {
    const known = this.#byText.get(text)
    if (known !== undefined) return known
    const bytes = Buffer.from(text, 'utf8')
    const number = this.#store.entryOf(bytes, 0, bytes.length)
    this.#byText.set(text, number)
    return number
  }

  entryOfBytes(bytes: Uint8Array, from: number, to: number): number {
    return this.#store.entryOf(bytes, from, to)
  }

  #appendString(bytes: Uint8Array): void {
    this.#store.append(bytes)
  }

  #growLevels(size: number): void {
    this.#rep = grown(this.#rep, new Uint8Array(size))
    this.#def = grown(this.#def, new Uint8Array(size))
  }

  /** Makes room for so many more entries and values. */
  reserve(entries: number, values: number): void {
    if (this.count + entries > this.#rep.length) this.#growLevels(Math.max(this.count + entries, this.count * 2))
    if (this.#physical === 6 && !this.#isDictionary) return
    const k = this.valueCount + values
    const room = Math.max(k, this.valueCount * 2)
    switch (this.#physical) {
      case 2:
        if (k > this.#longs.length) this.#longs = grown(this.#longs, new BigInt64Array(room))
        return
      case 5:
        if (k > this.#doubles.length) this.#doubles = grown(this.#doubles, new Float64Array(room))
        return
      default:
        if (k > this.#ints.length) this.#ints = grown(this.#ints, new Int32Array(room))
    }
  }

  /**
   * Takes over the entries [from, to) of a decoded column, whose values are those from `valueFrom` to `valueTo`.
   * `numbers`: kept from call to call for one column, so that a text of its dictionary is looked up once; filled with
   * -1 at first.
   */
  copy(
    data: ColumnData,
    from: number,
    to: number,
    valueFrom: number,
    valueTo: number,
    numbers: Int32Array | undefined,
  ): void {
    this.reserve(to - from, valueTo - valueFrom)
    const { rep, def } = data
    const reps = this.#rep
    const defs = this.#def
    let at = this.count
    if (rep !== undefined && def !== undefined)
      for (let i = from; i < to; i++, at++) {
        reps[at] = rep[i]!
        defs[at] = def[i]!
      }
    else
      for (let i = from; i < to; i++, at++) {
        reps[at] = 0
        defs[at] = def === undefined ? 0 : def[i]!
      }
    this.count = at
    if (valueFrom === valueTo) return
    let k = this.valueCount
    if (data.texts !== undefined) {
      if (!this.#isDictionary) {
        for (let v = valueFrom; v < valueTo; v++)
          this.#appendString(data.texts.bytesOf(data.indices === undefined ? v : data.indices[v]!))
        this.valueCount += valueTo - valueFrom
        return
      }
      const ints = this.#ints
      for (let v = valueFrom; v < valueTo; v++) {
        const old = data.indices === undefined ? v : data.indices[v]!
        let fresh = numbers === undefined ? -1 : numbers[old]!
        if (fresh < 0) {
          fresh = this.entryOf(data.texts.text(old))
          if (numbers !== undefined) numbers[old] = fresh
        }
        ints[k++] = fresh
      }
    } else if (data.longs !== undefined) {
      const into = this.#longs
      const source = data.longs
      for (let v = valueFrom; v < valueTo; v++) into[k++] = source[v]!
    } else if (data.doubles !== undefined) {
      const into = this.#doubles
      const source = data.doubles
      for (let v = valueFrom; v < valueTo; v++) into[k++] = source[v]!
    } else {
      const into = this.#ints
      const source = data.ints ?? data.bools ?? noInts
      for (let v = valueFrom; v < valueTo; v++) into[k++] = source[v]!
    }
    this.valueCount = k
  }

  /** What was added so far, as a column that is read. Later entries do not show in it. */
  data(): ColumnData {
    const { column, count, valueCount } = this
    const base = {
      column,
      count,
      valueCount,
      rep: column.maxRep === 0 ? undefined : this.#rep.subarray(0, count),
      def: column.maxDef === 0 ? undefined : this.#def.subarray(0, count),
    }
    switch (this.#physical) {
      case 0:
        return { ...base, bools: Uint8Array.from(this.#ints.subarray(0, valueCount)) }
      case 1:
        return { ...base, ints: this.#ints.subarray(0, valueCount) }
      case 2:
        return { ...base, longs: this.#longs.subarray(0, valueCount) }
      case 5:
        return { ...base, doubles: this.#doubles.subarray(0, valueCount) }
      default: {
        const texts = new Texts(this.#store.bytes.bytes(), this.#store.offsets.subarray(0, this.#store.count + 1))
        return this.#isDictionary ? { ...base, texts, indices: this.#ints.subarray(0, valueCount) } : { ...base, texts }
      }
    }
  }

  /** Neither has a value, and both would be encoded alike. */
  isSameNulls(other: ColumnBuilder): boolean {
    const { leaf, maxRep, maxDef } = this.column
    const { leaf: otherLeaf, maxRep: otherRep, maxDef: otherDef } = other.column
    if (
      this.valueCount > 0 ||
      other.valueCount > 0 ||
      this.count !== other.count ||
      maxRep !== otherRep ||
      maxDef !== otherDef ||
      leaf.type !== otherLeaf.type ||
      leaf.encoding !== otherLeaf.encoding ||
      leaf.isSnappy !== otherLeaf.isSnappy ||
      this.#store.count !== other.#store.count
    )
      return false
    return (
      Buffer.compare(this.#rep.subarray(0, this.count), other.#rep.subarray(0, this.count)) === 0 &&
      Buffer.compare(this.#def.subarray(0, this.count), other.#def.subarray(0, this.count)) === 0
    )
  }

  /** Empty again; its room stays. */
  reset(): void {
    this.count = 0
    this.valueCount = 0
    this.#store.reset()
    this.#byText.clear()
  }

  /** The column chunk. Its bytes are good until the next column is encoded. */
  encode(): EncodedChunk {
    const out = scratch.chunk
    out.reset()
    let dictionarySize = 0
    let rawSize = 0
    if (this.#isDictionary) {
      const { plain } = scratch
      plain.reset()
      for (let i = 0; i < this.#store.count; i++) {
        const from = this.#store.offsets[i]!
        const to = this.#store.offsets[i + 1]!
        plain.reserve(4)
        plain.view.setUint32(plain.at, to - from, true)
        plain.at += 4
        plain.writeBytes(this.#store.bytes.buffer.subarray(from, to))
      }
      rawSize += this.#page(out, plain.bytes(), 0, undefined, [
        [
          7,
          'struct',
          [
            [1, 'i32', this.#store.count],
            [2, 'i32', encodingNumbers.plain],
          ],
        ],
      ])
      dictionarySize = out.at
    }
    const pages: EncodedPage[] = []
    let from = 0
    let k = 0
    let row = 0
    while (from < this.count || pages.length === 0) {
      const { to, valueTo, rows } = this.#pageEnd(from, k)
      const at = out.at
      rawSize += this.#dataPage(out, from, to, k, valueTo, rows)
      pages.push({ at, size: out.at - at, firstRow: row })
      row += rows
      from = to
      k = valueTo
      if (this.count === 0) break
    }
    const encodings = this.#isDictionary
      ? [encodingNumbers.plain, encodingNumbers.rle, encodingNumbers.dictionary]
      : [encodingNumbers.rle, this.#encoding()]
    return { bytes: out.bytes(), dictionarySize, entries: this.count, rawSize, pages, encodings }
  }

  /** Where a page that begins at `from` ends: at a row's end, when it has enough. */
  #pageEnd(from: number, k: number): { to: number; valueTo: number; rows: number } {
    const { maxRep, maxDef } = this.column
    const width = this.#physical === 0 ? 1 / 8 : this.#physical === 2 || this.#physical === 5 ? 8 : 4
    let to = from
    let valueTo = k
    let rows = 0
    let size = 0
    const rep = this.#rep
    const def = this.#def
    const { count } = this
    const { offsets } = this.#store
    const isSized = this.#physical === 6 && !this.#isDictionary
    for (; to < count; to++) {
      if (maxRep === 0 || rep[to] === 0) {
        if (to > from && (to - from >= pageEntries || size >= pageBytes)) break
        rows++
      }
      if (maxDef === 0 || def[to] === maxDef) {
        size += isSized ? 4 + offsets[valueTo + 1]! - offsets[valueTo]! : width
        valueTo++
      }
    }
    return { to, valueTo, rows }
  }

  #encoding(): number {
    const { encoding } = this.column.leaf
    return encoding === 'dictionary'
      ? encodingNumbers.dictionary
      : encoding === 'delta'
        ? encodingNumbers.delta
        : encoding === 'delta-length'
          ? encodingNumbers.deltaLength
          : encodingNumbers.plain
  }

  #dataPage(out: ByteWriter, from: number, to: number, k: number, valueTo: number, rows: number): number {
    const { maxRep, maxDef } = this.column
    const { levels, values } = scratch
    levels.reset()
    values.reset()
    if (maxRep > 0) encodeHybrid(levels, this.#rep, from, to, bitWidthOf(maxRep))
    const repBytes = levels.at
    if (maxDef > 0) encodeHybrid(levels, this.#def, from, to, bitWidthOf(maxDef))
    this.#values(values, k, valueTo)
    return this.#page(out, values.bytes(), 3, levels.bytes(), [
      [
        8,
        'struct',
        [
          [1, 'i32', to - from],
          [2, 'i32', to - from - (valueTo - k)],
          [3, 'i32', rows],
          [4, 'i32', this.#encoding()],
          [5, 'i32', levels.at - repBytes],
          [6, 'i32', repBytes],
          [7, 'bool', this.column.leaf.isSnappy],
        ],
      ],
    ])
  }

  #values(out: ByteWriter, from: number, to: number): void {
    switch (this.column.leaf.encoding) {
      case 'dictionary': {
        const width = bitWidthOf(Math.max(0, this.#store.count - 1))
        out.writeU8(width)
        // A dictionary of one entry needs no bits for it, but its runs are written all the same.
        if (width === 0) {
          if (to > from) out.writeUvarint((to - from) * 2)
        } else encodeHybrid(out, this.#ints, from, to, width)
        return
      }
      case 'delta':
        if (this.#physical === 1) encodeDelta32(out, this.#ints, from, to)
        else encodeDelta64(out, this.#longs, from, to)
        return
      case 'delta-length': {
        const lengths = new Int32Array(to - from)
        for (let i = from; i < to; i++) lengths[i - from] = this.#store.offsets[i + 1]! - this.#store.offsets[i]!
        encodeDelta32(out, lengths, 0, lengths.length)
        out.writeBytes(this.#store.bytes.buffer.subarray(this.#store.offsets[from], this.#store.offsets[to]))
        return
      }
      default:
        this.#plain(out, from, to)
    }
  }

  #plain(out: ByteWriter, from: number, to: number): void {
    switch (this.#physical) {
      case 0: {
        for (let i = from; i < to; i += 8) {
          let byte = 0
          for (let bit = 0; bit < 8 && i + bit < to; bit++) byte |= (this.#ints[i + bit]! & 1) << bit
          out.writeU8(byte)
        }
        return
      }
      case 1:
        out.writeBytes(new Uint8Array(this.#ints.buffer, from * 4, (to - from) * 4))
        return
      case 2:
        out.writeBytes(new Uint8Array(this.#longs.buffer, from * 8, (to - from) * 8))
        return
      default:
        out.writeBytes(new Uint8Array(this.#doubles.buffer, from * 8, (to - from) * 8))
    }
  }

  /** Returns the size before compression, with the header. */
  #page(
    out: ByteWriter,
    values: Uint8Array,
    kind: number,
    levels: Uint8Array | undefined,
    extra: readonly ThriftField[],
  ): number {
    // Snappy of nothing is one byte, and readers expect it.
    const packed = this.column.leaf.isSnappy ? encodeSnappy(values) : values
    const levelBytes = levels?.length ?? 0
    const [tail] = extra
    const isDictionary = kind === 0
    const header = encodeStruct([
      [1, 'i32', isDictionary ? 2 : 3],
      [2, 'i32', values.length + levelBytes],
      [3, 'i32', packed.length + levelBytes],
      [4, 'i32', crc32(packed, levels === undefined ? 0 : crc32(levels)) | 0],
      tail!,
    ])
    out.writeBytes(header)
    if (levels !== undefined) out.writeBytes(levels)
    out.writeBytes(packed)
    return header.length + values.length + levelBytes
  }

  get codec(): number {
    return this.column.leaf.isSnappy ? codecNumbers.snappy : codecNumbers.none
  }
}

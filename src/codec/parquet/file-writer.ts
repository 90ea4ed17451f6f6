/**
 * Writes a Parquet file: row groups of column chunks, offset indexes, the footer. Source: the public format
 * description (parquet-format).
 */
import { ByteWriter } from '../byte-writer.ts'
import type { ColumnBuilder, EncodedChunk } from './column-builder.ts'
import { columnsOf, physicalTypes, schemaElements, type Column, type SchemaGroup } from './schema.ts'
import { encodeStruct, writeStruct, type ThriftField } from './thrift.ts'

interface WrittenChunk {
  builder: ColumnBuilder
  encoded: EncodedChunk
  at: number
  indexAt: number
  indexSize: number
}

/** Collects row groups; `finish` adds indexes and footer. */
export class ParquetWriter {
  readonly #root: SchemaGroup
  readonly columns: readonly Column[]
  readonly #out = new ByteWriter(1 << 14)
  readonly #groups: { rows: number; chunks: WrittenChunk[] }[] = []
  #rows = 0
  readonly #createdBy: string

  constructor(root: SchemaGroup, createdBy: string) {
    this.#root = root
    this.#createdBy = createdBy
    this.columns = columnsOf(root)
    this.#out.writeBytes(Buffer.from('PAR1'))
  }

  get size(): number {
    return this.#out.at
  }
  get rowGroups(): number {
    return this.#groups.length
  }

  /** Builders in the order of the columns. */
  addGroup(builders: readonly ColumnBuilder[], rows: number): void {
    // Columns without a value are many, and most of them are equal.
    const empty: WrittenChunk[] = []
    const chunks = builders.map((builder): WrittenChunk => {
      const at = this.#out.at
      const same = builder.valueCount > 0 ? undefined : empty.find(chunk => chunk.builder.isSameNulls(builder))
      if (same !== undefined) {
        const { length } = same.encoded.bytes
        this.#out.reserve(length)
        this.#out.buffer.copyWithin(at, same.at, same.at + length)
        this.#out.at += length
        return { ...same, builder, at }
      }
      const encoded = builder.encode()
      this.#out.writeBytes(encoded.bytes)
      const chunk = { builder, encoded, at, indexAt: 0, indexSize: 0 }
      if (builder.valueCount === 0) empty.push(chunk)
      return chunk
    })
    this.#groups.push({ rows, chunks })
    this.#rows += rows
  }

  /** The file, and the length of its footer without the last eight bytes. Nothing may be added any more. */
  finish(): { bytes: Uint8Array; footerSize: number } {
    const out = this.#out
    for (const { chunks } of this.#groups) {
      for (const chunk of chunks) {
        chunk.indexAt = out.at
        writeStruct(out, [
          [
            1,
            'list-struct',
            chunk.encoded.pages.map((page): ThriftField[] => [
              [1, 'i64', chunk.at + page.at],
              [2, 'i32', page.size],
              [3, 'i64', page.firstRow],
            ]),
          ],
        ])
        chunk.indexSize = out.at - chunk.indexAt
      }
    }
    const footer = encodeStruct([
      [1, 'i32', 2],
      [2, 'list-struct', schemaElements(this.#root)],
      [3, 'i64', this.#rows],
      [
        4,
        'list-struct',
        this.#groups.map(({ rows, chunks }): ThriftField[] => [
          [1, 'list-struct', chunks.map(chunkMeta)],
          [2, 'i64', chunks.reduce((sum, c) => sum + c.encoded.rawSize, 0)],
          [3, 'i64', rows],
          [5, 'i64', chunks[0]!.at],
          [6, 'i64', chunks.reduce((sum, c) => sum + c.encoded.bytes.length, 0)],
        ]),
      ],
      [6, 'binary', Buffer.from(this.#createdBy)],
    ])
    out.writeBytes(footer)
    out.reserve(8)
    out.view.setUint32(out.at, footer.length, true)
    out.at += 4
    out.writeBytes(Buffer.from('PAR1'))
    return { bytes: out.bytes(), footerSize: footer.length }
  }
}

function chunkMeta({ builder, encoded, at, indexAt, indexSize }: WrittenChunk): ThriftField[] {
  const { column } = builder
  return [
    [2, 'i64', at],
    [
      3,
      'struct',
      [
        [1, 'i32', physicalTypes[column.leaf.type]],
        [2, 'list-i32', encoded.encodings],
        [3, 'list-binary', column.path.split('.').map(part => Buffer.from(part))],
        [4, 'i32', builder.codec],
        [5, 'i64', encoded.entries],
        [6, 'i64', encoded.rawSize],
        [7, 'i64', encoded.bytes.length],
        [9, 'i64', at + encoded.dictionarySize],
        ...(encoded.dictionarySize > 0 ? [[11, 'i64', at] as ThriftField] : []),
      ],
    ],
    [4, 'i64', indexAt],
    [5, 'i32', indexSize],
  ]
}

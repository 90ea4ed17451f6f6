/**
 * Records of the log back into the heads, at a start. Lines that the bucket has already come back too: queries drop
 * them.
 */
import { assert } from '#core/assert.ts'
import { CorruptDataError } from '#core/errors.ts'
import type { WalRecord } from '#store/wal.ts'
import type { StreamHead } from './head.ts'
import type { Tenant } from './tenant.ts'
import { readLinesRecord, recordKind } from './wal-record.ts'

export class Replay {
  readonly #tenantOf: (name: string) => Tenant
  readonly #nowMs: () => number
  /** By tenant: what the log's numbers stand for, in the generation that is being read. */
  readonly #streamsOf = new Map<string, Map<number, StreamHead>>()
  #generation = -1

  constructor(tenantOf: (name: string) => Tenant, nowMs: () => number) {
    this.#tenantOf = tenantOf
    this.#nowMs = nowMs
  }

  /** Stores the lines, and returns the scopes of the record. Throws CorruptDataError. */
  read(record: WalRecord): Iterable<string> {
    if (record.kind !== recordKind.lines) throw new CorruptDataError(`WAL record of kind ${record.kind} is not known`)
    if (record.generation !== this.#generation) {
      this.#generation = record.generation
      this.#streamsOf.clear()
    }
    const nowMs = this.#nowMs()
    let tenant!: Tenant
    let known!: Map<number, StreamHead>
    let stream: StreamHead | undefined
    readLinesRecord(record.payload, {
      tenant: name => {
        tenant = this.#tenantOf(name)
        const there = this.#streamsOf.get(name)
        if (there === undefined) this.#streamsOf.set(name, (known = new Map()))
        else known = there
      },
      define: (number, labels) => {
        known.set(number, tenant.head.stream(labels, nowMs, true))
      },
      stream: number => {
        stream = known.get(number)
        if (stream === undefined)
          throw new CorruptDataError(`WAL record ${record.number} uses stream ${number} before it is defined`)
      },
      line: (ms, subNs, bytes, from, to, pairs) => {
        // Lines stand behind their stream.
        assert(stream !== undefined, 'a line has a stream')
        stream.append(nowMs, ms, subNs, bytes, from, to, pairs)
        if (stream.open?.isFull === true) stream.cut(tenant.name)
      },
    })
    return [String(record.generation)]
  }
}

/**
 * Records of the log back into the heads, at a start. Lines that the bucket has already come back too: queries drop
 * them.
 */
import { requireKnownKind } from '#store/record-kind.ts'
import type { WalRecord } from '#store/wal.ts'
import type { StreamHead } from './head.ts'
import type { Tenant } from './tenant.ts'
import { readLinesRecord, recordKind, tenantOfRecord } from './wal-record.ts'

export class Replay {
  readonly #tenantOf: (name: string) => Tenant
  readonly #nowMs: () => number
  /** By tenant: what the log's numbers stand for, in the generation that is being read. */
  readonly #streamsOf = new Map<string, Map<number, StreamHead>>()
  #generation = ''
  /** Generations of the log that were read, as the scopes that release them. */
  readonly scopes = new Set<string>()

  readonly #isDeleted: (tenant: string, writer: string) => boolean

  /** `isDeleted`: nothing that this writer left of the tenant is read. */
  constructor(
    tenantOf: (name: string) => Tenant,
    nowMs: () => number,
    isDeleted: (tenant: string, writer: string) => boolean = () => false,
  ) {
    this.#isDeleted = isDeleted
    this.#tenantOf = tenantOf
    this.#nowMs = nowMs
  }

  /** Stores the lines. Throws CorruptDataError, and NewerFormatError for a record of a newer kind. */
  read(record: WalRecord): { scopes: Iterable<string>; missing: number } {
    requireKnownKind(record, recordKind)
    const scope = scopeOf(record.writer, record.generation)
    if (scope !== this.#generation) {
      this.#generation = scope
      this.scopes.add(scope)
      this.#streamsOf.clear()
    }
    if (this.#isDeleted(tenantOfRecord(record.payload), record.writer)) return { scopes: [scope], missing: 0 }
    const nowMs = this.#nowMs()
    let tenant!: Tenant
    let known!: Map<number, StreamHead>
    let stream: StreamHead | undefined
    let missing = 0
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
      },
      line: (ms, subNs, bytes, from, to, pairs) => {
        if (stream === undefined) {
          missing++
          return
        }
        stream.append(nowMs, ms, subNs, bytes, from, to, pairs)
        if (stream.open?.isFull === true) stream.cut(tenant.name)
      },
    })
    return { scopes: [scope], missing }
  }
}

/** The scope of everything that a generation of a writer's log holds. */
export function scopeOf(writer: string, generation: number): string {
  return `${writer}/${generation}`
}

export function generationOf(scope: string): number {
  return Number(scope.slice(scope.indexOf('/') + 1))
}

export function writerOf(scope: string): string {
  return scope.slice(0, scope.indexOf('/'))
}

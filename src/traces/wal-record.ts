/**
 * What the log of traces holds. Every generation becomes one block a tenant; writer, generation and the number of the
 * generation's last record give the block's id, so that a replay can find out whether the block is in the bucket
 * already, and that it has all of what the replay found.
 *
 *   spans       uvarint length, tenant · an OTLP message
 *   carried     str scope of the generation that had them too · uvarint number of its last record · uvarint carried
 *               records of that generation that follow · str tenant · an OTLP message
 */
import { createHash } from 'node:crypto'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { CorruptDataError } from '#core/errors.ts'
import { readText, writeText } from '#store/wal-text.ts'

export const recordKind = { spans: 2, carried: 5 } as const

function tenantAndMessage(out: ByteWriter, tenant: string, message: Uint8Array): Uint8Array {
  writeText(out, tenant)
  out.writeBytes(message)
  return out.bytes()
}

export function encodeSpans(tenant: string, message: Uint8Array): Uint8Array {
  return tenantAndMessage(new ByteWriter(message.length + 64), tenant, message)
}

/** A generation of a writer's log, and the number of its last record. */
export interface EndedGeneration {
  scope: string
  lastRecord: number
}

/** `from`: the generation that had the spans before; `following`: carried records of it that come after this one. */
export function encodeCarried(
  from: EndedGeneration,
  following: number,
  tenant: string,
  message: Uint8Array,
): Uint8Array {
  const out = new ByteWriter(message.length + 96)
  writeText(out, from.scope)
  out.writeUvarint(from.lastRecord)
  out.writeUvarint(following)
  return tenantAndMessage(out, tenant, message)
}

export interface TraceRecord {
  /** Where the spans were carried from; undefined: they came from a sender. `isLast`: nothing follows of it. */
  carried: { from: EndedGeneration; isLast: boolean } | undefined
  tenant: string
  message: Uint8Array
}

function readOrigin(input: ByteReader): { from: EndedGeneration; isLast: boolean } {
  const from = { scope: readText(input), lastRecord: input.readUvarint() }
  return { from, isLast: input.readUvarint() === 0 }
}

/** Throws CorruptDataError. */
export function readRecord(kind: number, payload: Uint8Array): TraceRecord {
  if (kind !== recordKind.spans && kind !== recordKind.carried)
    throw new CorruptDataError(`WAL record of kind ${kind} is not known`)
  const input = new ByteReader(payload)
  const carried = kind === recordKind.carried ? readOrigin(input) : undefined
  const tenant = readText(input)
  return { carried, tenant, message: payload.slice(input.at) }
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

/**
 * What a block has of its generation: all traces; or the idle ones alone, the others having been carried into the next
 * generation.
 */
export type BlockContent = 'idle' | 'all'

/**
 * The id of the block that a generation becomes for a tenant: a UUID of version 4 in form. A start that finds one in
 * the bucket knows what it has.
 */
export function blockIdOf({ scope, lastRecord }: EndedGeneration, tenant: string, content: BlockContent): string {
  const hash = createHash('sha256').update(`${scope}\n${lastRecord}\n${content}\n`).update(tenant).digest()
  return uuidOf(hash)
}

/** Sixteen of the bytes as a UUID of version 4. */
export function uuidOf(bytes: Uint8Array): string {
  const own = Buffer.from(bytes)
  own[6] = (own[6]! & 0x0f) | 0x40
  own[8] = (own[8]! & 0x3f) | 0x80
  const hex = own.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

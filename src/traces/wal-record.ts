/**
 * What the log of traces holds. Every generation becomes one block a tenant; writer, generation and the number of the
 * generation's last record give the block's id, so that a replay can find out whether the block is in the bucket
 * already, and that it has all of what the replay found.
 *
 *   spans       uvarint length, tenant · an OTLP message
 *   carried     str scope of the generation that had them too · str tenant · an OTLP message
 */
import { createHash } from 'node:crypto'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { CorruptDataError } from '#core/errors.ts'
import { readText, writeText } from '#store/wal-text.ts'

export const recordKind = { spans: 2, carried: 4 } as const

function tenantAndMessage(out: ByteWriter, tenant: string, message: Uint8Array): Uint8Array {
  writeText(out, tenant)
  out.writeBytes(message)
  return out.bytes()
}

export function encodeSpans(tenant: string, message: Uint8Array): Uint8Array {
  return tenantAndMessage(new ByteWriter(message.length + 64), tenant, message)
}

/** `scope`: of the generation that had the spans before. */
export function encodeCarried(scope: string, tenant: string, message: Uint8Array): Uint8Array {
  const out = new ByteWriter(message.length + 96)
  writeText(out, scope)
  return tenantAndMessage(out, tenant, message)
}

export interface TraceRecord {
  /** The scope of the generation that the spans were carried from; undefined: they came from a sender. */
  carriedFrom: string | undefined
  tenant: string
  message: Uint8Array
}

/** Throws CorruptDataError. */
export function readRecord(kind: number, payload: Uint8Array): TraceRecord {
  if (kind !== recordKind.spans && kind !== recordKind.carried)
    throw new CorruptDataError(`WAL record of kind ${kind} is not known`)
  const input = new ByteReader(payload)
  const carriedFrom = kind === recordKind.carried ? readText(input) : undefined
  const tenant = readText(input)
  return { carriedFrom, tenant, message: payload.slice(input.at) }
}

/** The scope of everything that a generation of a writer's log holds. */
export function scopeOf(writer: string, generation: number): string {
  return `${writer}/${generation}`
}

export function writerOf(scope: string): string {
  return scope.slice(0, scope.indexOf('/'))
}

/**
 * The id of the block that a generation becomes for a tenant: a UUID of version 4 in form. `lastRecord`: number of the
 * last record of the generation that is in the block.
 */
export function blockIdOf(scope: string, lastRecord: number, tenant: string): string {
  const hash = createHash('sha256').update(`${scope}\n${lastRecord}\n`).update(tenant).digest()
  hash[6] = (hash[6]! & 0x0f) | 0x40
  hash[8] = (hash[8]! & 0x3f) | 0x80
  const hex = hash.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

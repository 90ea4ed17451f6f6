/**
 * What the log of traces holds. Every generation becomes one block a tenant; the generation's id gives the blocks' ids,
 * so that a replay can find out whether a block is in the bucket already.
 *
 *   generation  16 bytes: its id; the first record of a generation
 *   spans       uvarint length, tenant · an OTLP message
 *   carried     uvarint generation that had them too · uvarint length, tenant · an OTLP message
 */
import { createHash } from 'node:crypto'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { CorruptDataError } from '#core/errors.ts'
import { readText, writeText } from '#store/wal-text.ts'

export const recordKind = { generation: 1, spans: 2, carried: 3 } as const

function tenantAndMessage(out: ByteWriter, tenant: string, message: Uint8Array): Uint8Array {
  writeText(out, tenant)
  out.writeBytes(message)
  return out.bytes()
}

export function encodeSpans(tenant: string, message: Uint8Array): Uint8Array {
  return tenantAndMessage(new ByteWriter(message.length + 64), tenant, message)
}

export function encodeCarried(generation: number, tenant: string, message: Uint8Array): Uint8Array {
  const out = new ByteWriter(message.length + 64)
  out.writeUvarint(generation)
  return tenantAndMessage(out, tenant, message)
}

export type TraceRecord =
  | { kind: 'generation'; id: Uint8Array }
  | { kind: 'spans'; tenant: string; message: Uint8Array }
  | { kind: 'carried'; generation: number; tenant: string; message: Uint8Array }

/** Throws CorruptDataError. */
export function readRecord(kind: number, payload: Uint8Array): TraceRecord {
  if (kind === recordKind.generation) {
    if (payload.length !== 16) throw new CorruptDataError(`WAL record: a generation's id of ${payload.length} bytes`)
    return { kind: 'generation', id: payload.slice() }
  }
  if (kind !== recordKind.spans && kind !== recordKind.carried)
    throw new CorruptDataError(`WAL record of kind ${kind} is not known`)
  const input = new ByteReader(payload)
  const generation = kind === recordKind.carried ? input.readUvarint() : 0
  const tenant = readText(input)
  const message = payload.slice(input.at)
  return kind === recordKind.carried
    ? { kind: 'carried', generation, tenant, message }
    : { kind: 'spans', tenant, message }
}

/** The id of the block that a generation becomes for a tenant: a UUID of version 4 in form. */
export function blockIdOf(generationId: Uint8Array, tenant: string): string {
  const hash = createHash('sha256').update(generationId).update(tenant).digest()
  hash[6] = (hash[6]! & 0x0f) | 0x40
  hash[8] = (hash[8]! & 0x3f) | 0x80
  const hex = hash.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

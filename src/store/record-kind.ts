/** Which kinds of log records a signal knows. Kinds only grow: a higher one comes from a newer program. */
import { CorruptDataError } from '#core/errors.ts'
import { greatest } from '#core/lists.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import type { WalRecord } from './wal-replay.ts'

/** Throws NewerFormatError for a kind above all known ones, CorruptDataError for another that is not known. */
export function requireKnownKind({ kind, writer, number }: WalRecord, known: Readonly<Record<string, number>>): void {
  const kinds = Object.values(known)
  if (kinds.includes(kind)) return
  if (kind < greatest(kinds)) throw new CorruptDataError(`WAL record of kind ${kind} is not known`)
  throw new NewerFormatError(
    `the write-ahead log was written by a newer Tercet: record ${number} of writer ${writer} is of kind ${kind}, and ` +
      `this one knows ${kinds.join(' and ')}. Start the version that wrote there, or a newer one; docs/upgrading.md ` +
      'says how to go back',
  )
}

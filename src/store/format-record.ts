/**
 * The record of what wrote the data: which program, and which versions of its own formats the data may have. One lies
 * in each data directory, and one in each signal's bucket. A record only ever says more than is true: a version that
 * somebody wrote once stays in it until the record is removed.
 *
 *   { "record": 1, "program": "0.1.0", "formats": { "log-segment": { "version": 3, "neededBy": "writers" }, ... } }
 *
 * A program that does not know a format refuses the data, unless the record says that nobody needs it.
 */
import { CorruptDataError, messageOf } from '#core/errors.ts'
import { NewerFormatError, ownFormat, ownFormats, readableVersions } from '#core/own-formats.ts'
import type { FormatPlace, NeededBy, OwnFormat } from '#core/own-formats.ts'

export const formatRecordName = 'formats.json'

const recordVersion = 1
const needs: readonly NeededBy[] = ['all', 'writers', 'nobody']

export interface RecordedFormat {
  version: number
  neededBy: NeededBy
}

export interface FormatRecord {
  /** The version of the program that wrote the record. */
  program: string
  formats: Map<string, RecordedFormat>
}

export interface FormatReader {
  /** The version of this program. */
  program: string
  /** Answers queries and writes nothing. */
  isReader: boolean
}

export function encodeFormatRecord({ program, formats }: FormatRecord): Uint8Array {
  const sorted = Object.fromEntries(Array.from(formats).sort(([a], [b]) => (a < b ? -1 : 1)))
  return Buffer.from(`${JSON.stringify({ record: recordVersion, program, formats: sorted }, undefined, 2)}\n`)
}

/** Throws CorruptDataError; NewerFormatError for a record of a form that is not known. `place` is where it lies. */
export function decodeFormatRecord(bytes: Uint8Array, place: string): FormatRecord {
  let found: unknown
  try {
    found = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw new CorruptDataError(`${place}: ${messageOf(error)}`, { cause: error })
  }
  const { record, program, formats } = (found ?? {}) as Partial<Record<'record' | 'program' | 'formats', unknown>>
  if (typeof record === 'number' && record > recordVersion)
    throw new NewerFormatError(
      `${place} was written by ${programText(program)}, and has a form that this version does not know. ` +
        advice(program),
    )
  if (typeof program !== 'string' || typeof formats !== 'object' || formats === null)
    throw new CorruptDataError(`${place}: a program and formats were expected`)
  return { program, formats: new Map(Object.entries(formats).map(([name, one]) => [name, decodeFormat(one, place)])) }
}

function decodeFormat(found: unknown, place: string): RecordedFormat {
  const { version, neededBy } = (found ?? {}) as Partial<Record<keyof RecordedFormat, unknown>>
  const need = needs.find(known => known === neededBy)
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || need === undefined)
    throw new CorruptDataError(`${place}: a version and who needs it were expected`)
  return { version, neededBy: need }
}

/** Throws NewerFormatError for what this program can't read; `place` is where the record lies. */
export function refuseUnreadable(record: FormatRecord, { program, isReader }: FormatReader, place: string): void {
  for (const [name, { version, neededBy }] of record.formats) {
    const known = ownFormat(name)
    const need = known?.neededBy ?? neededBy
    if (need === 'nobody' || (isReader && need === 'writers')) continue
    if (known !== undefined && version >= known.oldest && version <= known.newest) continue
    const own = known === undefined ? 'does not know them' : `reads ${readableVersions(known)}`
    const isOld = known !== undefined && version < known.oldest
    throw new NewerFormatError(
      `${place}: ${programText(record.program)} wrote ${known?.what ?? name} of version ${version}, and this is ` +
        `Tercet ${program}, which ${own}. Nothing was changed. ${isOld ? adviceForOld : advice(record.program)}`,
    )
  }
}

const adviceForOld = 'Start a version between the two there first; docs/upgrading.md says which'

function programText(program: unknown): string {
  return typeof program === 'string' ? `Tercet ${program}` : 'a newer Tercet'
}

function advice(program: unknown): string {
  const wanted = typeof program === 'string' ? `Tercet ${program} or a newer one` : 'the version that wrote there'
  return `Start ${wanted} there; docs/upgrading.md says how to go back`
}

/** The record that this program leaves at a place, where `found` lay before. */
export function nextFormatRecord(found: FormatRecord | undefined, place: FormatPlace, program: string): FormatRecord {
  const formats = new Map(found?.formats)
  for (const [name, format] of Object.entries<OwnFormat>(ownFormats)) {
    if (!format.places.includes(place)) continue
    const version = Math.max(format.written, formats.get(name)?.version ?? 0)
    formats.set(name, { version, neededBy: format.neededBy })
  }
  return { program, formats }
}

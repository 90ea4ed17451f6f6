/**
 * Every format of this program's own that outlives a process: what is written, and what can be read. Formats of other
 * programs (blocks of Prometheus, Loki and Tempo, groups of their rulers, Mimir's deletion marks) say their version
 * themselves, and are not listed here.
 *
 * A new version: raise `written` and `newest` here, keep the reader of the old one, and tell in docs/upgrading.md.
 */
import { BadDataError } from './errors.ts'
import type { SignalName } from './signal-name.ts'

/** Where a format is kept: a data directory, of a process that stores or of an agent; or the bucket of a signal. */
export type FormatPlace = 'server' | 'agent' | SignalName

/**
 * Who has to understand it. `all`: whoever answers queries, too. `writers`: who takes the data over to write there.
 * `nobody`: it can be made again, and a version that is not known is passed over.
 */
export type NeededBy = 'all' | 'writers' | 'nobody'

export interface OwnFormat {
  /** For messages, in the plural. */
  readonly what: string
  readonly written: number
  readonly oldest: number
  readonly newest: number
  readonly neededBy: NeededBy
  readonly places: readonly FormatPlace[]
}

const signals = ['metrics', 'logs', 'traces'] as const

export const ownFormats = {
  /** store/wal-segment.ts; its joined form, too. */
  'log-segment': {
    what: 'segments of the write-ahead log',
    written: 3,
    oldest: 2,
    newest: 3,
    neededBy: 'writers',
    places: ['server', ...signals],
  },
  /** The payloads of the log's frames: metrics/wal-record.ts. */
  'metrics-records': {
    what: 'log records of metrics',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['server', 'metrics'],
  },
  /** logs/wal-record.ts. */
  'logs-records': {
    what: 'log records of lines',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['server', 'logs'],
  },
  /** traces/wal-record.ts. */
  'traces-records': {
    what: 'log records of spans',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['server', 'traces'],
  },
  /** store/wal-ledger.ts. */
  'log-ledger': {
    what: 'ledgers of the write-ahead log',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['server', ...signals],
  },
  /** store/fencing.ts. */
  epoch: { what: 'epochs', written: 1, oldest: 1, newest: 1, neededBy: 'writers', places: ['server', ...signals] },
  /** The member `tercet` of meta.json: which records of the log a block has (metrics/block-meta.ts). */
  'log-coverage': {
    what: "notes of the log's coverage in meta.json",
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['server', 'metrics'],
  },
  /** logs/table.ts. */
  'log-table': {
    what: 'tables of filters and columns of logs',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'nobody',
    places: ['logs'],
  },
  /** logs/token-filter.ts. */
  'token-filter': {
    what: 'token filters',
    written: 3,
    oldest: 2,
    newest: 3,
    neededBy: 'nobody',
    places: ['server', 'logs'],
  },
  /** logs/deletion.ts. */
  deletions: {
    what: 'lists of requests for deletion',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'all',
    places: ['server', 'logs'],
  },
  /** store/tenant-deletions.ts. */
  'tenant-deletions': {
    what: 'lists of tenants that are deleted',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['server', ...signals],
  },
  /** logs/retired.ts. */
  retired: {
    what: 'notes of retired objects',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['logs'],
  },
  /** traces/joined-filters.ts. */
  'joined-filters': {
    what: 'joined filters of traces',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'nobody',
    places: ['traces'],
  },
  /** traces/staging.ts. */
  'staged-blocks': {
    what: 'lists of staged blocks',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['server'],
  },
  /** alert/alertmanager/store.ts; its copy lies in the bucket of metrics. */
  'alertmanager-state': {
    what: 'states of the Alertmanager',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['server', 'metrics'],
  },
  /** forward/disk-queue.ts, with the head of its messages (forward/remote.ts). 0 had no mark. */
  'agent-queue': {
    what: "queues of an agent's messages",
    written: 1,
    oldest: 0,
    newest: 1,
    neededBy: 'writers',
    places: ['agent'],
  },
  /** forward/finished.ts. */
  'queue-position': {
    what: "positions in an agent's queues",
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['agent'],
  },
  /** forward/log-tailer.ts. */
  'log-places': {
    what: 'places in log files of pods',
    written: 1,
    oldest: 1,
    newest: 1,
    neededBy: 'writers',
    places: ['agent'],
  },
} as const satisfies Record<string, OwnFormat>

export type OwnFormatName = keyof typeof ownFormats

/** The format by a name that somebody wrote; undefined: this program does not have it. */
export function ownFormat(name: string): OwnFormat | undefined {
  return Object.hasOwn(ownFormats, name) ? ownFormats[name as OwnFormatName] : undefined
}

/** `version 1`, `versions 2 to 3`. */
export function readableVersions({ oldest, newest }: OwnFormat): string {
  return oldest === newest ? `version ${newest}` : `versions ${oldest} to ${newest}`
}

/** A newer program wrote it: it is whole, and nothing of it may be skipped as damage. */
export class NewerFormatError extends BadDataError {
  override name = 'NewerFormatError'
}

/**
 * Throws NewerFormatError for a version that is newer than what this program reads. `place` is the file or the object
 * that has it.
 */
export function refuseNewer(name: OwnFormatName, version: number, place: string): void {
  const format: OwnFormat = ownFormats[name]
  if (version <= format.newest) return
  throw new NewerFormatError(
    `${place} was written by a newer Tercet: ${format.what} of version ${version}, and this one reads ` +
      `${readableVersions(format)}. Start the version that wrote there, or a newer one; ` +
      'docs/upgrading.md says how to go back',
  )
}

/** The version that a state in JSON says of itself: 1 where it says none. */
export function versionOfState(state: unknown): number {
  const version = typeof state === 'object' && state !== null && 'version' in state ? state.version : 1
  return typeof version === 'number' && Number.isSafeInteger(version) ? version : 1
}

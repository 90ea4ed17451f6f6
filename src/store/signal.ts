/** What the process needs of each signal, whatever it stores: app/ drives the three through this interface alone. */
import type { SignalName } from '#core/signal-name.ts'
import type { TenantDeletion } from './tenant-deletions.ts'
import type { TenantCounts } from './tenant-usage.ts'

/** One block, or the unit that comes closest to one, for people to look at. */
export interface BlockSummary {
  tenant: string
  id: string
  startMs: number
  endMs: number
  bytes: number
  level: number
  count: number
  /** Of `count`: samples, index, traces. */
  unit: string
}

export interface SignalStatus {
  /** Accepted bytes that are not in the bucket yet: log and finished blocks. */
  backlogBytes: number
  blocks: number
  blockBytes: number
  /** Why nothing can be written; undefined: it can. */
  problem: string | undefined
  /** What does not work although everything is accepted: the bucket is away, or does not take blocks. */
  warning: string | undefined
  /** The bucket did not do the last thing that it was asked for. */
  isAway: boolean
}

/** Numbers that grow from the start of the process, and gauges of now. */
export interface SignalStats {
  walCommits: number
  walBytes: number
  walSegments: number
  /** Records that the log could not keep: their senders were told. */
  walLost: number
  uploads: number
  uploadFailures: number
  /** Finished blocks, or batches of chunks, that wait for the bucket. */
  uploadsWaiting: number
  compactions: number
  /** How often heads were cut early since memory was short. */
  earlyCuts: number
  /** Steps of the wall clock by a minute or more, against the monotonic one. */
  clockJumps: number
  /** How long the start took to replay the log, and how many records that were. */
  replaySeconds: number
  replayedRecords: number
  /** Of the log at the start: records, or damaged stretches, that were passed over, and their bytes. */
  replaySkipped: number
  replaySkippedBytes: number
  /** Samples, lines or spans of readable records whose series or stream was lost. */
  replayMissing: number
}

/** What a signal has of one tenant now, and what came of it since the start. */
export interface TenantRow extends TenantCounts {
  readonly tenant: string
  /** Series, streams or live traces in memory. */
  readonly active: number
  /** Of logs: indexes; what their chunks take is not known without reading them. */
  readonly blocks: number
  readonly blockBytes: number
}

export interface TenantRows {
  /** All tenants. */
  readonly rows: TenantRow[]
  /** Counters of those that are not counted by name. */
  readonly others: TenantRow
  /** Tenants whose counters are shown by themselves; those of others are one sum. */
  readonly labelled: ReadonlySet<string>
}

/** Where the deletion of a tenant stands. */
export interface TenantDeletionState extends TenantDeletion {
  /** Why the last round could not go on; undefined: it could. */
  readonly trouble: string | undefined
}

export interface Signal {
  readonly name: SignalName
  /** True from the end of `open` to the beginning of `close`. */
  readonly ready: boolean
  /** Why it can't take in or answer everything now; undefined: it can. */
  readonly notReady: string | undefined
  /** Claims the prefix, reads back the log, and starts the background rounds. */
  open(): Promise<void>
  /**
   * Cuts every head into blocks and resolves when the bucket has them; UnavailableError when another writer took over.
   */
  flush(): Promise<void>
  /** Looks into the bucket for blocks that appeared or vanished. */
  refresh(): Promise<void>
  /** One round of background work: disk, fence, log, cuts, compaction, retention. Rounds never overlap. */
  maintain(): Promise<void>
  /** Flushes, takes in nothing more, and leaves the prefix to another system. */
  handOver(successor: string): Promise<void>
  /** The process stops soon: a bucket that answers nothing is not waited for long. What comes in is still accepted. */
  drain(): void
  /**
   * Deletes all that there is of a tenant. Resolves when it is noted for good: from then on nothing of the tenant is
   * answered or taken in until rounds have removed everything. Throws UnavailableError.
   */
  deleteTenant(tenant: string): Promise<void>
  tenantRows(): TenantRows
  /** The last deletion of a tenant; undefined: none is known. */
  tenantDeletion(tenant: string): TenantDeletionState | undefined
  /** Tenants whose deletion is under way. */
  tenantsBeingDeleted(): readonly string[]
  /** Finishes what was accepted and stops. */
  close(): Promise<void>
  /** Bytes of what came in and is not in a block yet. */
  readonly headBytes: number
  /** Memory is short: heads begin to give back so many bytes. Returns at once. */
  spillEarly(bytes: number): void
  status(): SignalStatus
  stats(): SignalStats
  blockList(): BlockSummary[]
}

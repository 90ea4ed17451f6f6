/** The metrics that all three signals have, from what the Signal interface says of itself. */
import type { Bucket } from '#bucket/bucket.ts'
import { bucketOperations, requestOutcomes } from '#bucket/store-requests.ts'
import type { Registry } from '#core/counter.ts'
import type { Signal, SignalStats, SignalStatus } from '#store/signal.ts'

type Row<T> = readonly [name: string, type: 'counter' | 'gauge', field: keyof T, help: string]

const statsRows: readonly Row<SignalStats>[] = [
  ['tercet_wal_commits_total', 'counter', 'walCommits', 'Groups of records committed.'],
  ['tercet_wal_bytes_total', 'counter', 'walBytes', 'Bytes committed.'],
  ['tercet_wal_segments', 'gauge', 'walSegments', 'Segments that are kept.'],
  [
    'tercet_wal_lost_records_total',
    'counter',
    'walLost',
    'Records that were refused because the log could not keep them.',
  ],
  ['tercet_wal_replay_skipped', 'gauge', 'replaySkipped', 'Damaged records that the last start passed over.'],
  ['tercet_wal_replay_skipped_bytes', 'gauge', 'replaySkippedBytes', 'Bytes of these records.'],
  [
    'tercet_wal_replay_missing',
    'gauge',
    'replayMissing',
    'Samples, lines or spans whose definition was lost with these.',
  ],
  ['tercet_wal_replay_seconds', 'gauge', 'replaySeconds', 'Time that the last start took to replay the log.'],
  ['tercet_early_cuts_total', 'counter', 'earlyCuts', 'Times that heads were cut early since memory was short.'],
  ['tercet_clock_jumps_total', 'counter', 'clockJumps', 'Steps of the wall clock by a minute or more.'],
  ['tercet_upload_failures_total', 'counter', 'uploadFailures', 'Uploads that failed and were tried again.'],
  ['tercet_upload_blocks_waiting', 'gauge', 'uploadsWaiting', 'Finished blocks that wait for the bucket.'],
]

type StatusNumbers = Pick<SignalStatus, 'backlogBytes' | 'blocks' | 'blockBytes'>

const statusRows: readonly Row<StatusNumbers>[] = [
  ['tercet_backlog_bytes', 'gauge', 'backlogBytes', 'Accepted, and not in the bucket yet.'],
]

/** Of signals that keep blocks; logs keep chunks and indexes, which have metrics of their own. */
const blockStatsRows: readonly Row<SignalStats>[] = [
  ['tercet_uploads_total', 'counter', 'uploads', 'Blocks uploaded.'],
  ['tercet_compactions_total', 'counter', 'compactions', 'Blocks written by merging others.'],
]
const blockStatusRows: readonly Row<StatusNumbers>[] = [
  ['tercet_blocks', 'gauge', 'blocks', 'Blocks that are served.'],
  ['tercet_blocks_bytes', 'gauge', 'blockBytes', 'Bytes of these blocks.'],
]

function register<T>(
  registry: Registry,
  signal: Signal,
  rows: readonly Row<T>[],
  read: () => { [K in keyof T]: number },
) {
  for (const [name, type, field, help] of rows)
    registry.read(name, help, type, () => read()[field], { signal: signal.name })
}

/** Registers what every signal has, with the label `signal`. */
export function registerSignal(registry: Registry, signal: Signal): void {
  register(registry, signal, statsRows, () => signal.stats())
  register(registry, signal, statusRows, () => signal.status())
  const labels = { signal: signal.name }
  const is = (name: string, help: string, read: () => boolean): void => {
    registry.read(name, help, 'gauge', () => (read() ? 1 : 0), labels)
  }
  is('tercet_signal_problem', 'Is anything in the way of writing?', () => signal.status().problem !== undefined)
  is(
    'tercet_signal_warning',
    'Does anything not work although all is accepted?',
    () => signal.status().warning !== undefined,
  )
  is('tercet_bucket_away', 'Did the bucket not do what it was last asked for?', () => signal.status().isAway)
}

/** Registers what was asked of a bucket over a network. */
export function registerRequests(registry: Registry, { name: signal }: Signal, { requests }: Bucket): void {
  if (requests === undefined) return
  for (const operation of bucketOperations) {
    const seconds = 'Time that requests to the bucket took.'
    const ofOperation = { signal, operation }
    registry.read(
      'tercet_bucket_request_seconds_total',
      seconds,
      'counter',
      () => requests.seconds(operation),
      ofOperation,
    )
    for (const outcome of requestOutcomes)
      registry.read(
        'tercet_bucket_requests_total',
        'Requests to the bucket, each attempt, by how they ended.',
        'counter',
        () => requests.count(operation, outcome),
        { ...ofOperation, outcome },
      )
  }
}

/** Registers what a signal knows of damage, and what that does to answers. */
export function registerDamage(
  registry: Registry,
  { name: signal }: Signal,
  damaged: () => readonly unknown[],
  incompleteAnswers: () => number,
): void {
  const labels = { signal }
  const blocks = 'Blocks that are damaged as a whole or in part.'
  registry.read('tercet_blocks_damaged', blocks, 'gauge', () => damaged().length, labels)
  const answers = 'Answers that lacked something and said so.'
  registry.read('tercet_incomplete_answers_total', answers, 'counter', incompleteAnswers, labels)
}

/** Registers what a signal has that keeps blocks. */
export function registerBlocks(registry: Registry, signal: Signal): void {
  register(registry, signal, blockStatsRows, () => signal.stats())
  register(registry, signal, blockStatusRows, () => signal.status())
}

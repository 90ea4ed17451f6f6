/**
 * The records of what wrote the data (store/format-record.ts): one in the data directory, one in each signal's bucket.
 * They are looked at before anything is changed, and written when the start has succeeded.
 */
import { defaultTenants } from '#api/tenancy.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { CorruptDataError, messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import type { FormatPlace } from '#core/own-formats.ts'
import type { SignalName } from '#core/signal-name.ts'
import {
  decodeFormatRecord,
  encodeFormatRecord,
  formatRecordName,
  nextFormatRecord,
  refuseUnreadable,
  type FormatRecord,
} from '#store/format-record.ts'
import { version } from './version.ts'

export interface FormatRecordsOptions {
  dataDirectory: string
  role: string
  /** This program's; by default what package.json says. */
  program?: string
}

/** So long a start waits for a bucket to take its record. */
const putMs = 5000

const signals = ['metrics', 'logs', 'traces'] as const

export class FormatRecords {
  readonly #files: Files
  readonly #log: Log
  readonly #directory: string
  readonly #program: string
  readonly #isReader: boolean
  readonly #isAgent: boolean
  readonly #checked = new Set<SignalName>()
  /** Buckets of which this process is the writer. */
  readonly #joined = new Map<SignalName, Bucket>()
  #isStarted = false

  constructor({ files, log }: { files: Files; log: Log }, options: FormatRecordsOptions) {
    this.#files = files
    this.#log = log
    this.#directory = options.dataDirectory
    this.#program = options.program ?? version
    this.#isReader = options.role === 'query'
    this.#isAgent = options.role === 'agent'
  }

  // --- Before anything is changed ---

  /** Throws NewerFormatError where a newer program wrote the directory. A process that only reads has nothing there. */
  async checkDirectory(): Promise<void> {
    if (this.#isReader) return
    await this.#check(this.#path, () => this.#files.read(this.#path))
    await (this.#isAgent ? this.#checkQueues() : this.#checkSegments())
  }

  async #checkSegments(): Promise<void> {
    const { refuseNewerSegments } = await import('#store/wal-segments.ts')
    for (const signal of signals) await refuseNewerSegments(this.#files, `${this.#directory}/${signal}/wal`)
  }

  async #checkQueues(): Promise<void> {
    const { refuseNewerQueue } = await import('#forward/disk-queue.ts')
    const queues = `${this.#directory}/agent`
    for (const name of await this.#files.listDirectories(queues))
      await refuseNewerQueue(this.#files, `${queues}/${name}`)
  }

  /** Throws NewerFormatError where a newer program wrote the bucket, and what the bucket throws. Asks once. */
  async checkBucket(signal: SignalName, bucket: Bucket): Promise<void> {
    if (this.#checked.has(signal)) return
    const key = keyOf(signal)
    await this.#check(`${bucket.description}/${key}`, () => bucket.get(key))
    this.#checked.add(signal)
  }

  async #check(place: string, read: () => Promise<Uint8Array>): Promise<void> {
    const found = await this.#read(place, read)
    if (found !== undefined) refuseUnreadable(found, { program: this.#program, isReader: this.#isReader }, place)
  }

  /** Undefined where there is none: the data was written by a version that left no record. */
  async #read(place: string, read: () => Promise<Uint8Array>): Promise<FormatRecord | undefined> {
    try {
      return decodeFormatRecord(await read(), place)
    } catch (error) {
      if (error instanceof NotFoundError) return undefined
      if (!(error instanceof CorruptDataError)) throw error
      // Segments of the log, and states, say their version themselves.
      this.#log.warn('the record of what wrote the data is damaged, and is written again', { reason: error.message })
      return undefined
    }
  }

  // --- After the start ---

  /** The signal's bucket is there, and this process is its writer. */
  noteJoined(signal: SignalName, bucket: Bucket): void {
    this.#joined.set(signal, bucket)
    if (this.#isStarted) void this.#writeToBucket(signal, bucket)
  }

  /** Every part has started: records say from now on that this program writes. */
  async noteStarted(): Promise<void> {
    this.#isStarted = true
    if (this.#isReader) return
    const path = this.#path
    await Promise.all([
      this.#write(
        path,
        this.#isAgent ? 'agent' : 'server',
        () => this.#files.read(path),
        bytes => this.#files.writeAtomic(path, bytes, true),
      ),
      ...Array.from(this.#joined, ([signal, bucket]) => this.#writeToBucket(signal, bucket)),
    ])
  }

  #writeToBucket(signal: SignalName, bucket: Bucket): Promise<void> {
    const key = keyOf(signal)
    return this.#write(
      `${bucket.description}/${key}`,
      signal,
      () => bucket.get(key),
      bytes => bucket.put(key, bytes, { withinMs: putMs }),
    )
  }

  /** What can't be written keeps nobody from working: segments of the log say their version themselves. */
  async #write(
    place: string,
    kind: FormatPlace,
    read: () => Promise<Uint8Array>,
    write: (bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    try {
      const found = await this.#read(place, read)
      const next = encodeFormatRecord(nextFormatRecord(found, kind, this.#program))
      if (found === undefined || Buffer.compare(encodeFormatRecord(found), next) !== 0) await write(next)
    } catch (error) {
      this.#log.warn('the record of what writes the data could not be written', { place, reason: messageOf(error) })
    }
  }

  get #path(): string {
    return `${this.#directory}/${formatRecordName}`
  }
}

function keyOf(signal: SignalName): string {
  return `${defaultTenants[signal]}/tercet/${formatRecordName}`
}

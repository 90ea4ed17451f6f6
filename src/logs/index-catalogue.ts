/**
 * Which index files the bucket has, by day and tenant. A file is fetched when its day is first asked for, and kept
 * while it is used.
 */
import { gunzipSync } from 'node:zlib'
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf, NotFoundError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { Labels } from '#model/labels.ts'
import { decodeIndex, LogIndex, tenantLabel, type IndexedStream } from './index-file.ts'

export const dayMs = 86_400_000
const indexBytesMax = 1024 * 1024 * 1024
const idleMs = 600_000

/** One object below `index/`. Without a tenant it holds several. */
export interface IndexFile {
  key: string
  day: number
  tenant: string | undefined
  bytes: number
}

interface Held {
  file: IndexFile
  loading: Promise<ReadonlyMap<string, LogIndex>> | undefined
  lastUsedMs: number
}

/** What an object's key says of it; undefined for what is no index of chunks. */
export function parseIndexKey(key: string, bytes = 0): IndexFile | undefined {
  const match = /^index\/index_(\d+)\/(?:([^/]+)\/)?(\d+-[^/]*)\.tsdb(\.gz)?$/.exec(key)
  return match === null ? undefined : { key, day: Number(match[1]), tenant: match[2], bytes }
}

export class IndexCatalogue {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #log: Log
  #files = new Map<string, Held>()
  /** Replaced files that are still in the bucket for others' sake. */
  readonly #replaced = new Set<string>()
  readonly quarantined = new Map<string, string>()

  constructor(bucket: Bucket, clock: Clock, log: Log) {
    this.#bucket = bucket
    this.#clock = clock
    this.#log = log
  }

  all(): IndexFile[] {
    return [...this.#files.values()].map(held => held.file)
  }
  get count(): number {
    return this.#files.size
  }

  /** Looks into the bucket for files that appeared or vanished. */
  async refresh(): Promise<void> {
    const found = new Map<string, Held>()
    const listed = new Map((await this.#bucket.list('index/')).map(object => [object.key, object.bytes]))
    for (const key of this.#replaced) if (!listed.has(key)) this.#replaced.delete(key)
    for (const [key, bytes] of listed) {
      const file = this.#replaced.has(key) ? undefined : parseIndexKey(key, bytes)
      if (file !== undefined) found.set(key, this.#files.get(key) ?? { file, loading: undefined, lastUsedMs: 0 })
    }
    this.#files = found
  }

  /** A file that was just written, with what is in it. */
  add(file: IndexFile & { tenant: string }, index: LogIndex): void {
    this.#files.set(file.key, {
      file,
      loading: Promise.resolve(new Map([[file.tenant, index]])),
      lastUsedMs: this.#clock.nowMs(),
    })
  }

  /** Another file stands in its place. */
  replace(key: string): void {
    this.#files.delete(key)
    this.#replaced.add(key)
  }

  filesOf(tenant: string, day: number): IndexFile[] {
    return [...this.#files.values()].map(h => h.file).filter(f => f.tenant === tenant && f.day === day)
  }

  /** Days for which a tenant has files of its own. */
  daysOf(tenant: string): number[] {
    return [...new Set([...this.#files.values()].filter(h => h.file.tenant === tenant).map(h => h.file.day))].sort(
      (a, b) => a - b,
    )
  }

  tenants(): string[] {
    return [...new Set([...this.#files.values()].map(h => h.file.tenant).filter(t => t !== undefined))]
  }

  /** Everything that is listed for a tenant in the days of the time: one index per file. */
  async indexes(tenant: string, fromMs: number, throughMs: number): Promise<LogIndex[]> {
    const firstDay = Math.floor(fromMs / dayMs)
    const lastDay = Math.floor(throughMs / dayMs)
    const wanted = [...this.#files.values()].filter(
      ({ file }) =>
        file.day >= firstDay && file.day <= lastDay && (file.tenant === undefined || file.tenant === tenant),
    )
    const indexes = await Promise.all(wanted.map(async held => (await this.#load(held)).get(tenant)))
    return indexes
      .filter(index => index !== undefined)
      .filter(index => index.fromMs <= throughMs && index.throughMs >= fromMs)
  }

  async index(key: string, tenant: string): Promise<LogIndex | undefined> {
    const held = this.#files.get(key)
    return held === undefined ? undefined : (await this.#load(held)).get(tenant)
  }

  async #load(held: Held): Promise<ReadonlyMap<string, LogIndex>> {
    held.lastUsedMs = this.#clock.nowMs()
    const { file } = held
    held.loading ??= this.#bucket
      .get(file.key)
      .then(bytes =>
        splitTenants(
          file,
          decodeIndex(file.key.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: indexBytesMax }) : bytes),
        ),
      )
    try {
      return await held.loading
    } catch (error) {
      held.loading = undefined
      // Another compactor replaced it since the list was made.
      if (error instanceof NotFoundError) {
        this.#files.delete(file.key)
        return new Map()
      }
      if (
        error instanceof CorruptDataError ||
        (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_'))
      ) {
        this.quarantined.set(file.key, messageOf(error))
        this.#log.error("an index of log chunks can't be used", { key: file.key, error: messageOf(error) })
        this.#files.delete(file.key)
        return new Map()
      }
      throw error
    }
  }

  /** Lets go of what was not used lately. */
  forgetIdle(): void {
    const oldest = this.#clock.nowMs() - idleMs
    for (const held of this.#files.values()) if (held.lastUsedMs < oldest) held.loading = undefined
  }
}

function splitTenants(file: IndexFile, index: LogIndex): ReadonlyMap<string, LogIndex> {
  if (file.tenant !== undefined) return new Map([[file.tenant, index]])
  const byTenant = new Map<string, IndexedStream[]>()
  for (const stream of index.streams) {
    const tenant = stream.labels.get(tenantLabel)
    const own = { ...stream, labels: new Labels(stream.labels.drop(new Set([tenantLabel])).pairs) }
    const list = byTenant.get(tenant)
    if (list === undefined) byTenant.set(tenant, [own])
    else list.push(own)
  }
  return new Map(
    [...byTenant].map(([tenant, streams]) => [tenant, new LogIndex(streams, index.fromMs, index.throughMs)]),
  )
}

/**
 * The segments of a log: written to the disk or the bucket, shipped, joined, and removed generation by generation.
 *
 * Names: what a process writes to its disk, and ships, is `<writer>-<sequence>.wal`; two processes never share one.
 * What it writes straight to the bucket is `<sequence>.wal`, one chain for all writers, each link created only where
 * there is none: whoever writes the next link keeps a replaced writer from it. `<first>-<last>.wal` are links joined.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { backoffMs } from '#core/backoff.ts'
import { sleep, type Clock } from '#core/clock.ts'
import { ConflictError, CorruptDataError, messageOf, NotFoundError, UnavailableError } from '#core/errors.ts'
import type { AppendFile, Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { ReleaseLedger } from './wal-ledger.ts'
import type { Group } from './wal-line.ts'
import type { ReplayedSegment, SegmentSource } from './wal-replay.ts'
import { decodeHeader, encodeHeader, headerBytes, joinSegments, packSegment } from './wal-segment.ts'

export interface WalSegmentsOptions {
  clock: Clock
  files: Files
  log: Log
  bucket: Bucket
  /** Where the segments of the bucket lie: a key prefix that ends in `/`. */
  bucketPrefix: string
  /** The local directory. */
  directory: string
  /** This process, a ULID. */
  writer: string
  /** Forces every group to the disk before it counts as kept. */
  syncAlways: boolean
  /** Throws UnavailableError when another writer has the prefix. */
  confirmPrefix: () => Promise<void>
  /**
   * The same after a link was put, or, `isDoubtful`, where a foreign one is; throws UnavailableError also when the
   * bucket does not say whose the prefix is.
   */
  confirmKept: (isDoubtful: boolean) => Promise<void>
  /** May segments of the disk be copied to the bucket? Without it they may always. Asked before each. */
  mayShip?: () => boolean
}

/** A local segment is sealed and shipped when it is this large or old. */
const segmentBytesMax = 32 * 1024 * 1024
const segmentAgeMs = 60_000
const syncEveryMs = 1000
const retryPause = { leastMs: 100, mostMs: 3000 }
/** So long the bucket is asked for one link before the records in line are refused. */
const giveUpMs = 15_000
/** So long one attempt may take at least. */
const leastTryMs = 1000
/** So many small links are joined to one object. */
const joinedLinks = 64
const joinedBytesMax = 8 * 1024 * 1024
/** What is larger is put once: joined, its bytes would be put again for few requests less at a start. */
const smallLinkBytes = 64 * 1024

interface Segment {
  name: string
  writer: string
  generation: number
  /** Number of its last record; -1 while it has none. */
  lastRecord: number
  bytes: number
  /** Scope -> number of its last record in this segment. */
  scopes: Map<string, number>
  sealed: boolean
  isLocal: boolean
  isShipped: boolean
}

/** A link that may still be joined with its neighbours. */
interface SmallLink {
  sequence: number
  segment: Segment
  packed: Uint8Array
}

const chainName = /^(\d{10})(?:-(\d{10}))?\.wal$/
const ownName = /^([0-9A-Z]{26})-(\d{10})\.wal$/
const linkName = (sequence: number): string => `${String(sequence).padStart(10, '0')}.wal`

/**
 * Throws NewerFormatError where a segment on the disk has a whole header of a newer version. Changes nothing; reads the
 * headers alone.
 */
export async function refuseNewerSegments(files: Files, directory: string): Promise<void> {
  const names = (await files.list(directory)).filter(name => chainName.test(name) || ownName.test(name))
  for (const name of names) {
    const path = `${directory}/${name}`
    try {
      decodeHeader(await files.readRange(path, 0, headerBytes), path)
    } catch (error) {
      // What is damaged, the replay passes over.
      if (!(error instanceof CorruptDataError)) throw error
    }
  }
}

export class WalSegments {
  readonly #options: WalSegmentsOptions
  readonly #ledger: ReleaseLedger
  #segments: Segment[] = []
  /** Objects and files of released generations that could not be removed yet. */
  #unremoved: Segment[] = []
  #file: AppendFile | undefined
  #open: (Segment & { losses: number }) | undefined
  #openedMs = 0
  #isUnsynced = false
  #syncTimer: { cancel(): void } | undefined
  #nextSequence = 0
  #nextLink = 0
  #smallLinks: SmallLink[] = []
  #shipping: Promise<void> | undefined
  #joining: Promise<void> | undefined
  #isClosed = false
  readonly #released = new Map<string, Map<string, number>>()
  /** Since when the bucket has not taken a link, and why. */
  #trouble: { sinceMs: number; reason: string } | undefined

  constructor(options: WalSegmentsOptions) {
    this.#options = options
    this.#ledger = new ReleaseLedger(options)
  }

  get count(): number {
    return this.#segments.length
  }
  get unshippedBytes(): number {
    let sum = 0
    for (const segment of this.#segments) if (!segment.isShipped) sum += segment.bytes
    return sum
  }
  /** Why the last attempt to copy a segment of the disk to the bucket failed. */
  get shipTrouble(): string | undefined {
    return this.#shipTrouble
  }
  #shipTrouble: string | undefined
  get trouble(): { sinceMs: number; reason: string } | undefined {
    return this.#trouble
  }

  // --- What is there at the start ---

  isReleased(writer: string, generation: number): boolean {
    return this.#ledger.covers(writer, generation)
  }

  /** Has any writer released anything by now? What it then removes may still be listed. */
  async anyIsReleased(): Promise<boolean> {
    await this.#ledger.loadRemote()
    return !this.#ledger.isEmpty
  }

  /** Segments of the disk, in the order of their writing. */
  async localSources(): Promise<SegmentSource[]> {
    const { files, directory } = this.#options
    await this.#ledger.loadLocal()
    const names = (await files.list(directory)).filter(name => chainName.test(name) || ownName.test(name)).sort()
    for (const name of names) await this.#force(name)
    return names.map(name => ({ name, isPutWhole: false, read: () => files.read(`${directory}/${name}`) }))
  }

  /** A process that was killed may have left records unforced, which it acknowledged. */
  async #force(name: string): Promise<void> {
    const { files, directory } = this.#options
    try {
      const file = await files.openAppend(`${directory}/${name}`)
      await file.sync().finally(() => file.close())
    } catch (error) {
      this.#warn('a segment could not be forced to the disk', name, error)
    }
  }

  /**
   * Segments of the bucket that are not on the disk, in the order of their writing. A listing may be stale: links
   * behind the last one that it has are looked for one by one.
   */
  async remoteSources(local: readonly SegmentSource[]): Promise<SegmentSource[]> {
    const { bucket, bucketPrefix, writer } = this.#options
    // What is not listed any more, the ledger knows.
    const listed = (await bucket.list(bucketPrefix)).map(o => o.key.slice(bucketPrefix.length))
    await this.#ledger.loadRemote()
    this.#nextLink = Math.max(this.#nextLink, this.#ledger.links)
    // What this process wrote before the bucket was there is in memory, as what is on the disk.
    const own = this.#segments.filter(segment => segment.writer === writer)
    const there = new Set([...local, ...own].map(({ name }) => name))
    const names = listed.filter(name => ownName.test(name)).sort()
    const links = listed.filter(name => chainName.test(name)).sort()
    for (const name of links) {
      const [, from = '', to = from] = chainName.exec(name) ?? []
      this.#nextLink = Math.max(this.#nextLink, Number(to) + 1)
    }
    for (const segment of this.#segments) if (listed.includes(segment.name)) segment.isShipped = true
    await this.#removeReleased(local, listed)
    const sources: SegmentSource[] = [...names, ...links]
      .filter(name => !there.has(name))
      .map(name => ({ name, isPutWhole: chainName.test(name), read: () => bucket.get(bucketPrefix + name) }))
    return [...sources, ...(await this.linksBehind())]
  }

  /** What was on the disk and is released by now may have been shipped before. */
  async #removeReleased(local: readonly SegmentSource[], listed: readonly string[]): Promise<void> {
    const { writer } = this.#options
    const scopes = new Map<string, number>()
    for (const { name } of local)
      if (listed.includes(name) && !this.#segments.some(segment => segment.name === name))
        await this.#remove([
          {
            name,
            writer,
            generation: -1,
            lastRecord: -1,
            bytes: 0,
            scopes,
            sealed: true,
            isLocal: false,
            isShipped: true,
          },
        ])
  }

  /** Links behind the last one that is known. */
  async linksBehind(): Promise<SegmentSource[]> {
    const { bucket, bucketPrefix } = this.#options
    const found: SegmentSource[] = []
    for (;;) {
      const name = linkName(this.#nextLink)
      try {
        const bytes = await bucket.get(bucketPrefix + name)
        found.push({ name, isPutWhole: true, read: () => Promise.resolve(bytes) })
        this.#nextLink++
      } catch (error) {
        if (error instanceof NotFoundError) return found
        throw error
      }
    }
  }

  /**
   * Writes an empty link behind the last one, so that a replaced writer can't add to the chain. False when there is one
   * by now: read it with `remoteSources` first.
   */
  async closeChain(generation: number): Promise<boolean> {
    const { bucket, bucketPrefix, writer } = this.#options
    const header = encodeHeader({ writer, losses: 0, generation, firstRecord: 0 })
    const name = linkName(this.#nextLink)
    try {
      await bucket.put(bucketPrefix + name, header, { ifAbsent: true })
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      const there = await bucket.get(bucketPrefix + name)
      if (Buffer.compare(there, header) !== 0) return false
    }
    this.#nextLink++
    this.#add({ name, writer, generation, lastRecord: -1, bytes: header.length, isLocal: false, isShipped: true })
    return true
  }

  #add(known: Omit<Segment, 'scopes' | 'sealed'>): Segment {
    const segment = { ...known, scopes: new Map<string, number>(), sealed: true }
    this.#segments.push(segment)
    return segment
  }

  /** What a replay has read is held until it is released. */
  adopt(replayed: readonly ReplayedSegment[], isLocal: boolean): void {
    for (const { source, writer, generation, lastRecord, bytes, scopes } of replayed) {
      const known = this.#segments.find(s => s.name === source.name)
      const segment =
        known ??
        this.#add({ name: source.name, writer, generation, lastRecord, bytes: 0, isLocal, isShipped: !isLocal })
      segment.bytes += bytes
      segment.lastRecord = Math.max(segment.lastRecord, lastRecord)
      const [, owner, sequence] = ownName.exec(source.name) ?? []
      if (owner === this.#options.writer) this.#nextSequence = Math.max(this.#nextSequence, Number(sequence) + 1)
      for (const [scope, number] of scopes) segment.scopes.set(scope, number)
    }
  }

  /** By writer whose segments are there: the number of the last record that was read or written. */
  lastRecords(): Map<string, number> {
    const last = new Map<string, number>()
    for (const { writer, lastRecord } of this.#segments)
      if (lastRecord >= 0) last.set(writer, Math.max(last.get(writer) ?? -1, lastRecord))
    return last
  }

  // --- Writing ---

  /** Resolves when the disk has the group; nothing of it stays when that fails. Throws UnavailableError. */
  async writeLocal(group: Group): Promise<void> {
    const { syncAlways, clock, confirmPrefix } = this.#options
    const { segment, file } = await this.#openFor(group)
    try {
      await file.append(group.bytes.subarray(0, group.length))
      if (syncAlways) await file.sync()
      else this.#syncSoon()
      await confirmPrefix()
    } catch (error) {
      await this.#takeBack(file, segment)
      if (error instanceof UnavailableError) throw error
      throw new UnavailableError(`the write-ahead log could not be written: ${messageOf(error)}`, 10, { cause: error })
    }
    segment.bytes += group.length
    noteGroup(segment, group)
    if (segment.bytes >= segmentBytesMax || clock.monotonicMs() - this.#openedMs >= segmentAgeMs)
      await this.seal().catch((error: unknown) => this.#warn('a segment could not be closed', segment.name, error))
  }

  async #openFor(group: Group): Promise<{ segment: Segment; file: AppendFile }> {
    const open = this.#open
    if (
      this.#file !== undefined &&
      open !== undefined &&
      open.generation === group.generation &&
      open.losses === group.losses
    )
      return { segment: open, file: this.#file }
    await this.seal().catch((error: unknown) => this.#warn('a segment could not be closed', open?.name ?? '', error))
    return this.#openNew(group)
  }

  async #openNew(group: Group): Promise<{ segment: Segment; file: AppendFile }> {
    const { files, directory, writer, clock } = this.#options
    const { generation, losses, firstRecord } = group
    const name = `${writer}-${linkName(this.#nextSequence++)}`
    const path = `${directory}/${name}`
    let file: AppendFile | undefined
    try {
      file = await files.openAppend(path)
      await file.append(encodeHeader({ writer, losses, generation, firstRecord }))
    } catch (error) {
      await file?.close().catch(() => {})
      await files.remove(path).catch(() => {})
      throw new UnavailableError(`the write-ahead log could not be opened: ${messageOf(error)}`, 10, { cause: error })
    }
    const segment = {
      name,
      writer,
      generation,
      losses,
      lastRecord: -1,
      bytes: headerBytes,
      isLocal: true,
      isShipped: false,
      scopes: new Map<string, number>(),
      sealed: false,
    }
    this.#file = file
    this.#open = segment
    this.#openedMs = clock.monotonicMs()
    this.#segments.push(segment)
    return { segment, file }
  }

  /** The file ends where its last kept group did. Nothing more is added to it. */
  async #takeBack(file: AppendFile, segment: Segment): Promise<void> {
    await file
      .cutTo(segment.bytes)
      .catch((error: unknown) =>
        this.#warn('what was refused could not be taken out of a segment', segment.name, error),
      )
    await this.seal().catch((error: unknown) => this.#warn('a segment could not be closed', segment.name, error))
  }

  #syncSoon(): void {
    this.#isUnsynced = true
    this.#syncTimer ??= this.#options.clock.after(syncEveryMs, () => {
      this.#syncTimer = undefined
      if (!this.#isUnsynced || this.#file === undefined) return
      this.#isUnsynced = false
      this.#file.sync().catch((error: unknown) => this.#warn('sync failed', this.#open?.name ?? '', error))
    })
  }

  /** Ends the open segment; it is shipped behind the caller's back. */
  async seal(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    if (this.#open !== undefined) this.#open.sealed = true
    this.#open = undefined
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    void this.ship()
  }

  /** Resolves when the bucket has the group. Throws UnavailableError when it does not take it. */
  async writeBucket(group: Group): Promise<void> {
    const { writer } = this.#options
    const { generation, losses, firstRecord, length } = group
    const header = encodeHeader({ writer, losses, generation, firstRecord })
    const bytes = new Uint8Array(header.length + length)
    bytes.set(header)
    bytes.set(group.bytes.subarray(0, length), header.length)
    const packed = await packSegment(bytes)
    const sequence = await this.#putLink(packed)
    const segment = this.#add({
      name: linkName(sequence),
      writer,
      generation,
      lastRecord: -1,
      bytes: packed.length,
      isLocal: false,
      isShipped: true,
    })
    noteGroup(segment, group)
    this.#noteSmall(sequence, segment, packed)
  }

  /** The number of the link that the bytes became. */
  async #putLink(packed: Uint8Array): Promise<number> {
    const { clock, bucket, bucketPrefix } = this.#options
    const startedMs = clock.monotonicMs()
    for (let attempt = 0; ; attempt++) {
      // The number is taken when the link is there: a chain without gaps can be followed without a listing.
      const sequence = this.#nextLink
      const key = bucketPrefix + linkName(sequence)
      try {
        const withinMs = Math.max(leastTryMs, startedMs + giveUpMs - clock.monotonicMs())
        await bucket.put(key, packed, { ifAbsent: true, withinMs })
      } catch (error) {
        // Ours, when an earlier attempt got through and its reply was lost. Only an epoch says that it is another's.
        const isOurs = error instanceof ConflictError ? await this.#isThere(key, packed) : undefined
        if (isOurs !== true) {
          if (isOurs === false) {
            await this.#confirmKept(startedMs, true)
            this.#nextLink++
          }
          await this.#afterFailure(error, startedMs, attempt)
          continue
        }
      }
      this.#nextLink++
      await this.#confirmKept(startedMs, false)
      this.#trouble = undefined
      return sequence
    }
  }

  /**
   * A foreign link may be a successor's; and a successor may have removed its own link, and all before it, just before
   * ours was put there.
   */
  async #confirmKept(startedMs: number, isForeign: boolean): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#options.confirmKept(isForeign)
      } catch (error) {
        await this.#afterFailure(error, startedMs, attempt)
      }
    }
  }

  /** Does the link hold these bytes? Undefined when the bucket does not say. */
  async #isThere(key: string, packed: Uint8Array): Promise<boolean | undefined> {
    const late = sleep(this.#options.clock, giveUpMs).then(() => undefined)
    try {
      const bytes = await Promise.race([this.#options.bucket.get(key), late])
      return bytes === undefined ? undefined : Buffer.compare(bytes, packed) === 0
    } catch (error) {
      return error instanceof NotFoundError ? false : undefined
    }
  }

  /** Waits before the next attempt, or throws UnavailableError when there is none. */
  async #afterFailure(error: unknown, startedMs: number, attempt: number): Promise<void> {
    const { clock, log } = this.#options
    const reason = messageOf(error)
    const nowMs = clock.monotonicMs()
    const wasInTrouble = this.#trouble !== undefined && this.#trouble.sinceMs < startedMs
    this.#trouble = { sinceMs: this.#trouble?.sinceMs ?? nowMs, reason }
    if (this.#isClosed || wasInTrouble || nowMs - startedMs >= giveUpMs)
      throw new UnavailableError(`the bucket does not take the write-ahead log: ${reason}`, 5, { cause: error })
    log.warn('write-ahead log: the bucket did not take a segment, trying again', { error: reason })
    await sleep(clock, backoffMs(attempt, retryPause))
  }

  // --- Shipping and joining ---

  /** Seals the open segment when it is due, ships, joins, and removes what could not be removed before. */
  async tick(isIdle: boolean): Promise<void> {
    await this.#watchFile()
    const open = this.#open
    if (
      isIdle &&
      open !== undefined &&
      this.#options.clock.monotonicMs() - this.#openedMs >= segmentAgeMs &&
      open.bytes > headerBytes
    )
      await this.seal()
    void this.ship()
    const unremoved = this.#unremoved
    this.#unremoved = []
    await this.#remove(unremoved)
  }

  /** Somebody may have deleted the log: what is appended to a file without a name is gone with the process. */
  async #watchFile(): Promise<void> {
    const open = this.#open
    if (open === undefined) return
    try {
      await this.#options.files.size(`${this.#options.directory}/${open.name}`)
    } catch (error) {
      if (!(error instanceof NotFoundError) || this.#open !== open) return
      this.#noteDeleted(open)
      await this.seal()
    }
  }

  #noteDeleted(segment: Segment): void {
    const { name: file } = segment
    segment.isLocal = false
    this.#deleted++
    this.#options.log.error('write-ahead log: a segment was deleted on the disk', { segment: file })
  }
  #deleted = 0

  /** Segments that somebody deleted on the disk before the bucket had them, since this was asked last. */
  takeDeleted(): number {
    const deleted = this.#deleted
    this.#deleted = 0
    return deleted
  }

  /** Copies sealed segments to the bucket, in order. */
  ship(): Promise<void> {
    this.#shipping ??= this.#shipAll().finally(() => {
      this.#shipping = undefined
    })
    return this.#shipping
  }

  async #shipAll(): Promise<void> {
    const { bucket, bucketPrefix, confirmPrefix, mayShip = () => true } = this.#options
    for (;;) {
      const segment = this.#segments.find(s => s.sealed && s.isLocal && !s.isShipped)
      if (segment === undefined) {
        // What could not be shipped may be in blocks by now.
        this.#shipTrouble = undefined
        return
      }
      if (!mayShip()) return
      try {
        await confirmPrefix()
        const bytes = await this.#readOwn(segment)
        if (bytes === undefined) continue
        const packed = await packSegment(bytes)
        await bucket.put(bucketPrefix + segment.name, packed)
        segment.isShipped = true
        this.#shipTrouble = undefined
        if (!this.#segments.includes(segment)) await this.#remove([segment])
      } catch (error) {
        this.#shipTrouble = messageOf(error)
        this.#warn('a segment could not be shipped, it stays on disk', segment.name, error)
        return
      }
    }
  }

  /** Undefined: it was deleted on the disk. */
  async #readOwn(segment: Segment): Promise<Uint8Array | undefined> {
    const { files, directory } = this.#options
    try {
      return await files.read(`${directory}/${segment.name}`)
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
      // One that was released meanwhile is not wanted any more.
      if (this.#segments.includes(segment)) this.#noteDeleted(segment)
      segment.isLocal = false
      return undefined
    }
  }

  #noteSmall(sequence: number, segment: Segment, packed: Uint8Array): void {
    const links = this.#smallLinks
    const last = links.at(-1)
    const isNeighbour = last?.sequence === sequence - 1 && last.segment.generation === segment.generation
    if (packed.length > smallLinkBytes || !isNeighbour) this.#smallLinks = []
    if (packed.length > smallLinkBytes) return
    this.#smallLinks.push({ sequence, segment, packed })
    const held = this.#smallLinks.reduce((sum, link) => sum + link.packed.length, 0)
    if (this.#smallLinks.length < joinedLinks && held < joinedBytesMax) return
    const ready = this.#smallLinks
    this.#smallLinks = []
    if (ready.length > 1)
      this.#joining = (this.#joining ?? Promise.resolve())
        .then(() => this.#join(ready))
        .catch((error: unknown) => this.#warn('small segments could not be joined', ready[0]!.segment.name, error))
  }

  /** Puts small links as one object in their place: a start reads few large objects faster than many small ones. */
  async #join(links: readonly SmallLink[]): Promise<void> {
    const { bucket, bucketPrefix, writer } = this.#options
    const gone = new Set(links.map(link => link.segment))
    if (!links.every(link => this.#segments.includes(link.segment))) return
    const first = links[0]!
    const name = linkName(first.sequence).replace('.wal', `-${linkName(links.at(-1)!.sequence)}`)
    const bytes = joinSegments(links.map(link => link.packed))
    await bucket.put(bucketPrefix + name, bytes)
    const joined: Segment = {
      name,
      writer,
      generation: first.segment.generation,
      lastRecord: -1,
      bytes: bytes.length,
      scopes: new Map<string, number>(),
      sealed: true,
      isLocal: false,
      isShipped: true,
    }
    for (const { segment } of links) {
      joined.lastRecord = Math.max(joined.lastRecord, segment.lastRecord)
      for (const [scope, number] of segment.scopes) joined.scopes.set(scope, number)
    }
    // Released meanwhile: the joined object goes as well.
    const isReleased = !links.every(link => this.#segments.includes(link.segment))
    const at = this.#segments.indexOf(first.segment)
    if (isReleased) return this.#remove([joined])
    this.#segments.splice(at, 0, joined)
    this.#segments = this.#segments.filter(segment => !gone.has(segment))
    await this.#remove([...gone])
  }

  // --- Releasing ---

  /** A block covers the writer's records of the scope up to this number, and is visible. */
  release(scope: string, writer: string, throughRecord: number): void {
    const ofScope = this.#released.get(scope) ?? new Map<string, number>()
    ofScope.set(writer, Math.max(ofScope.get(writer) ?? -1, throughRecord))
    this.#released.set(scope, ofScope)
  }

  /** Removes generations, oldest first, of which nothing is needed. `isBusy`: more records of it may come. */
  async collect(isBusy: (writer: string, generation: number) => boolean): Promise<void> {
    for (;;) {
      const oldest = this.#segments[0]
      if (oldest === undefined || isBusy(oldest.writer, oldest.generation)) return
      const gone = this.#segments.filter(s => s.writer === oldest.writer && s.generation === oldest.generation)
      if (!gone.every(segment => this.#isCovered(segment))) return
      // The open file may be among them.
      if (this.#open !== undefined && gone.includes(this.#open)) await this.seal()
      if (oldest.generation >= 0 && !(await this.#ledger.add(oldest.writer, oldest.generation, this.#nextLink))) return
      this.#segments = this.#segments.filter(segment => !gone.includes(segment))
      for (const scope of new Set(gone.flatMap(segment => [...segment.scopes.keys()])))
        if (!this.#segments.some(segment => segment.scopes.has(scope))) this.#released.delete(scope)
      await this.#remove(gone)
    }
  }

  #isCovered(segment: Segment): boolean {
    return this.#heldBy(segment).next().done === true
  }

  /** The segment's scopes that are not released. */
  *#heldBy({ writer, scopes }: Segment): Generator<string> {
    for (const [scope, number] of scopes) if ((this.#released.get(scope)?.get(writer) ?? -1) < number) yield scope
  }

  /** Would a replay meet records of the scope, released ones among them? */
  has(scope: string): boolean {
    return this.#segments.some(segment => segment.scopes.has(scope))
  }

  scopes(): Set<string> {
    return new Set(this.#segments.flatMap(({ scopes }) => [...scopes.keys()]))
  }

  heldScopes(): Set<string> {
    return new Set(this.#segments.flatMap(segment => [...this.#heldBy(segment)]))
  }

  async #remove(segments: readonly Segment[]): Promise<void> {
    const { files, directory, bucket, bucketPrefix } = this.#options
    for (const segment of segments) {
      try {
        if (segment.isLocal) await files.remove(`${directory}/${segment.name}`)
        segment.isLocal = false
        if (segment.isShipped) await bucket.delete(bucketPrefix + segment.name)
      } catch (error) {
        this.#unremoved.push(segment)
        this.#warn('a segment that is not needed any more could not be removed, trying again', segment.name, error)
      }
    }
  }

  #warn(what: string, segment: string, error: unknown): void {
    this.#options.log.warn(`write-ahead log: ${what}`, { segment, error: messageOf(error) })
  }

  /** No attempt is made again from now on. */
  stopTrying(): void {
    this.#isClosed = true
  }

  async close(): Promise<void> {
    this.#syncTimer?.cancel()
    await this.seal().catch((error: unknown) => this.#warn('a segment could not be closed', '', error))
    await this.#shipping
    await this.#joining
  }
}

function noteGroup(segment: Segment, group: Group): void {
  segment.lastRecord = group.lastRecord
  for (const [scope, number] of group.scopes) segment.scopes.set(scope, number)
}

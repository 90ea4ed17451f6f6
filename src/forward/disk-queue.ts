/**
 * A queue of messages on the disk: what was put in is there after a crash, and is taken out in order. Segments are
 * whole files; the oldest goes first when there are too many.
 */
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import { messageOf } from '#core/errors.ts'
import type { AppendFile, Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'

/** A message that was taken; `segment` and `end` name it for `finish`. */
export interface QueueMessage {
  payload: Uint8Array
  segment: number
  end: number
}

/** `bytesMax`: of all segments; `segmentBytes` (default 16 MiB): at which a new segment begins. */
export interface DiskQueueOptions {
  files: Files
  log: Log
  directory: string
  bytesMax: number
  segmentBytes?: number
}

const frameBytes = 8
const readBytes = 64 * 1024

/** Messages are put by anyone, taken by one caller at a time, and finished in any order. */
export class DiskQueue {
  readonly #options: DiskQueueOptions
  readonly #segmentBytes: number
  /** Sizes of the segments, oldest first; the last one is written to. */
  readonly #segments = new Map<number, number>()
  readonly #out = new ByteWriter(16 * 1024)
  #file: AppendFile | undefined
  #write = 0
  #readSegment = 0
  #readAt = 0
  /** Bytes of the read segment from `chunkAt` on. */
  #chunk: Uint8Array = new Uint8Array(0)
  #chunkAt = 0
  /** Messages that were taken and are not done, by their end, in order. */
  readonly #open: { segment: number; end: number; isDone: boolean }[] = []
  #done = { segment: 0, at: 0 }
  #appending: Promise<void> = Promise.resolve()
  #waiters: (() => void)[] = []
  /** Rises with every message, and when the queue closes. */
  #changes = 0
  #isClosed = false
  dropped = 0

  constructor(options: DiskQueueOptions) {
    this.#options = options
    this.#segmentBytes = options.segmentBytes ?? 16 * 1024 * 1024
  }

  get bytes(): number {
    let sum = 0
    for (const [segment, size] of this.#segments) sum += segment < this.#done.segment ? 0 : size
    return Math.max(0, sum - this.#done.at)
  }

  #path(segment: number): string {
    return `${this.#options.directory}/${String(segment).padStart(10, '0')}.queue`
  }
  get #positionPath(): string {
    return `${this.#options.directory}/position.json`
  }

  async open(): Promise<void> {
    const { files, directory } = this.#options
    const found = (await files.list(directory))
      .filter(name => name.endsWith('.queue'))
      .map(name => Number.parseInt(name, 10))
      .sort((a, b) => a - b)
    for (const segment of found) this.#segments.set(segment, await files.size(this.#path(segment)))
    const first = found[0] ?? 1
    this.#done = { segment: first, at: 0 }
    try {
      const position = JSON.parse(Buffer.from(await files.read(this.#positionPath)).toString('utf8')) as {
        segment: number
        at: number
      }
      if (this.#segments.has(position.segment)) this.#done = position
    } catch {
      // None yet: from the beginning.
    }
    this.#readSegment = this.#done.segment
    this.#readAt = this.#done.at
    // What the last run wrote may be torn at its end: begin a new file.
    this.#write = (found.at(-1) ?? 0) + 1
    this.#segments.set(this.#write, 0)
    if (found.length === 0) {
      this.#readSegment = this.#write
      this.#done = { segment: this.#write, at: 0 }
    }
  }

  /** Resolves when the message is in the file. */
  put(payload: Uint8Array): Promise<void> {
    const run = this.#appending.then(() => this.#append(payload))
    this.#appending = run.catch(() => {
      // The caller of this put gets the error.
    })
    return run
  }

  async #append(payload: Uint8Array): Promise<void> {
    const out = this.#out
    out.reset()
    out.writeU32(payload.length)
    out.writeU32(crc32c(payload))
    out.writeBytes(payload)
    if ((this.#segments.get(this.#write) ?? 0) >= this.#segmentBytes) {
      await this.#file?.close()
      this.#file = undefined
      this.#segments.set(++this.#write, 0)
    }
    this.#file ??= await this.#options.files.openAppend(this.#path(this.#write))
    try {
      await this.#file.append(out.bytes())
    } catch (error) {
      // Its end is not known now: the next message begins a new file.
      await this.#file.close().catch(() => {
        // The segment is given up anyway.
      })
      this.#file = undefined
      this.#segments.set(++this.#write, 0)
      throw error
    }
    this.#segments.set(this.#write, (this.#segments.get(this.#write) ?? 0) + out.at)
    await this.#limit()
    this.#wake()
  }

  /** The oldest segments go when the queue is larger than it may be. */
  async #limit(): Promise<void> {
    const { bytesMax, files, log } = this.#options
    let total = [...this.#segments.values()].reduce((a, b) => a + b, 0)
    for (const [segment, size] of this.#segments) {
      if (total <= bytesMax || segment === this.#write) return
      log.error('the queue is full: the oldest of what waits is dropped', {
        directory: this.#options.directory,
        bytes: size,
        limit: bytesMax,
      })
      this.dropped += size
      total -= size
      this.#segments.delete(segment)
      await files.remove(this.#path(segment))
      if (this.#readSegment <= segment) this.#seek(this.#nextSegment(segment))
      if (this.#done.segment <= segment) this.#done = { segment: this.#nextSegment(segment), at: 0 }
    }
  }

  #nextSegment(after: number): number {
    for (const segment of this.#segments.keys()) if (segment > after) return segment
    return this.#write
  }
  #seek(segment: number): void {
    this.#readSegment = segment
    this.#readAt = 0
    this.#chunk = new Uint8Array(0)
    this.#chunkAt = 0
  }

  /** The next message; undefined when the queue is closed. One caller at a time. */
  async take(): Promise<QueueMessage | undefined> {
    for (;;) {
      if (this.#isClosed) return undefined
      const changes = this.#changes
      const message = await this.#read()
      if (message !== undefined) {
        this.#open.push({ segment: message.segment, end: message.end, isDone: false })
        return message
      }
      // What came after the look would wake nobody: look again.
      if (changes !== this.#changes) continue
      await new Promise<void>(resolve => {
        this.#waiters.push(resolve)
      })
    }
  }

  #wake(): void {
    this.#changes++
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  async #read(): Promise<QueueMessage | undefined> {
    for (;;) {
      const segment = this.#readSegment
      const size = this.#segments.get(segment) ?? 0
      if (this.#readAt + frameBytes > size) {
        if (segment >= this.#write) return undefined
        this.#seek(this.#nextSegment(segment))
        continue
      }
      try {
        const head = await this.#bytesAt(segment, this.#readAt, frameBytes, size)
        const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
        const length = view.getUint32(0)
        const sum = view.getUint32(4)
        if (this.#readAt + frameBytes + length > size) throw new Error('a message is cut off')
        const payload = await this.#bytesAt(segment, this.#readAt + frameBytes, length, size)
        if (crc32c(payload) !== sum) throw new Error('a message has a wrong checksum')
        if (this.#readSegment !== segment) continue
        this.#readAt += frameBytes + length
        return { payload: Uint8Array.from(payload), segment, end: this.#readAt }
      } catch (error) {
        // A torn end, after a crash: what follows is in the next file.
        this.#options.log.warn("the rest of a queue's file can't be read", {
          file: this.#path(segment),
          at: this.#readAt,
          error: messageOf(error),
        })
        if (this.#readSegment !== segment) continue
        if (segment >= this.#write) return undefined
        this.#seek(this.#nextSegment(segment))
      }
    }
  }

  async #bytesAt(segment: number, at: number, length: number, size: number): Promise<Uint8Array> {
    if (at < this.#chunkAt || at + length > this.#chunkAt + this.#chunk.length) {
      this.#chunk = await this.#options.files.readRange(
        this.#path(segment),
        at,
        Math.min(size - at, Math.max(length, readBytes)),
      )
      this.#chunkAt = at
    }
    return this.#chunk.subarray(at - this.#chunkAt, at - this.#chunkAt + length)
  }

  /** The message was delivered, or given up. */
  async finish({ segment, end }: QueueMessage): Promise<void> {
    const own = this.#open.find(o => o.segment === segment && o.end === end)
    if (own !== undefined) own.isDone = true
    let moved = false
    while (this.#open[0]?.isDone === true) {
      const first = this.#open.shift()!
      this.#done = { segment: first.segment, at: first.end }
      moved = true
    }
    if (!moved) return
    for (const old of this.#segments.keys())
      if (old < this.#done.segment) {
        this.#segments.delete(old)
        await this.#options.files.remove(this.#path(old))
      }
  }

  /** Where to go on after a restart; messages behind it may come twice. */
  savePosition(): Promise<void> {
    return this.#options.files.writeAtomic(this.#positionPath, Buffer.from(JSON.stringify(this.#done)))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake()
    await this.#appending
    await this.#file?.close()
    await this.savePosition()
  }
}

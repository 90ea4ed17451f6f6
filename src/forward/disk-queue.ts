/**
 * A queue of messages on the disk: what was put in is there after a crash, and is taken out in order. Segments are
 * whole files; the oldest goes first when there are too many.
 *
 * A record is `54 51 30 31 · u32 length · u32 crc32c of length and payload · payload`. Where records are damaged the
 * next one is found by its mark and its checksum, so that damage costs only what it hit. What was finished is noted in
 * `finished.log`, a record of segment and end a message, until `position.json` has it.
 */
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { AppendFile, Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { ownFormats, refuseNewer } from '#core/own-formats.ts'
import { Finished } from './finished.ts'

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

/** `TQ`, and the version in two digits. */
const mark = Buffer.from(`TQ${String(ownFormats['agent-queue'].written).padStart(2, '0')}`, 'latin1')
const headBytes = 12
/** Records of earlier versions: length and checksum of the payload. */
const oldHeadBytes = 8
const readBytes = 64 * 1024

/** Throws NewerFormatError where a queue's file begins with the mark of a newer version. Changes nothing. */
export async function refuseNewerQueue(files: Files, directory: string): Promise<void> {
  for (const name of await files.list(directory)) {
    if (!name.endsWith('.queue')) continue
    const path = `${directory}/${name}`
    const head = Buffer.from(await files.readRange(path, 0, mark.length)).toString('latin1')
    refuseNewer('agent-queue', Number(/^TQ(\d\d)$/.exec(head)?.[1] ?? 0), path)
  }
}

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
  /** Bytes of a segment from `chunkAt` on. */
  #chunk: Uint8Array = new Uint8Array(0)
  #chunkSegment = 0
  #chunkAt = 0
  readonly #finished: Finished
  #appending: Promise<void> = Promise.resolve()
  #waiters: (() => void)[] = []
  /** Rises with every message, and when the queue closes. */
  #changes = 0
  #isEnded = false
  #isClosed = false
  /** Bytes of messages that were not sent, because the queue was full. */
  dropped = 0
  /** Bytes that were passed over because they are no whole message. */
  damaged = 0

  constructor(options: DiskQueueOptions) {
    this.#options = options
    this.#segmentBytes = options.segmentBytes ?? 16 * 1024 * 1024
    this.#finished = new Finished(options.files, options.directory)
  }

  get bytes(): number {
    const { segment: done, at } = this.#finished.position
    let sum = 0
    for (const [segment, size] of this.#segments) sum += segment < done ? 0 : size
    return Math.max(0, sum - at)
  }

  #path(segment: number): string {
    return `${this.#options.directory}/${String(segment).padStart(10, '0')}.queue`
  }

  /** Throws NewerFormatError for files that a newer program wrote. */
  async open(): Promise<void> {
    const { files, directory } = this.#options
    await refuseNewerQueue(files, directory)
    const found = (await files.list(directory))
      .filter(name => name.endsWith('.queue'))
      .map(name => Number.parseInt(name, 10))
      .sort((a, b) => a - b)
    for (const segment of found) this.#segments.set(segment, await files.size(this.#path(segment)))
    // What the last run wrote may be torn at its end: begin a new file.
    this.#write = (found.at(-1) ?? 0) + 1
    this.#segments.set(this.#write, 0)
    await this.#finished.open({ segment: found[0] ?? this.#write, at: 0 }, segment => this.#segments.has(segment))
    this.#readSegment = this.#finished.position.segment
    this.#readAt = this.#finished.position.at
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
    out.writeBytes(mark)
    out.writeU32(payload.length)
    out.writeU32(checksumOf(payload))
    out.writeBytes(payload)
    if ((this.#segments.get(this.#write) ?? 0) >= this.#segmentBytes) await this.#nextFile()
    try {
      this.#file ??= await this.#options.files.openAppend(this.#path(this.#write))
      await this.#file.append(out.bytes())
    } catch (error) {
      // The file's end is not known now: the next message begins a new one.
      await this.#nextFile().catch(() => {
        // The message is refused with the first error.
      })
      throw error
    }
    this.#keepForReader(out)
    this.#segments.set(this.#write, (this.#segments.get(this.#write) ?? 0) + out.at)
    await this.#limit()
    this.#wake()
  }

  /** Whoever has taken all before it takes what was just written without reading the file. */
  #keepForReader(out: ByteWriter): void {
    const at = this.#segments.get(this.#write) ?? 0
    if (this.#readSegment !== this.#write || this.#readAt !== at) return
    this.#chunk = out.copy()
    this.#chunkSegment = this.#write
    this.#chunkAt = at
  }

  /** Ends the file that is written to. One that no message is in leaves no trace, however often the disk refuses. */
  async #nextFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    const last = this.#write
    this.#segments.set(++this.#write, 0)
    if (this.#segments.get(last) === 0 && this.#readSegment !== last) this.#segments.delete(last)
    try {
      await file?.close()
    } finally {
      if (!this.#segments.has(last)) await this.#options.files.remove(this.#path(last))
    }
  }

  /** The oldest segments go when the queue is larger than it may be. */
  async #limit(): Promise<void> {
    const { bytesMax, files, log } = this.#options
    let total = 0
    for (const size of this.#segments.values()) total += size
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
      if (this.#readSegment <= segment) this.#seek(this.#nextSegment(segment))
      this.#finished.forget({ segment: this.#nextSegment(segment), at: 0 })
      await files.remove(this.#path(segment))
    }
  }

  #nextSegment(after: number): number {
    for (const segment of this.#segments.keys()) if (segment > after) return segment
    return this.#write
  }
  #seek(segment: number): void {
    this.#readSegment = segment
    this.#readAt = 0
  }

  /** The next message; undefined when the queue has ended. One caller at a time. Throws what the disk throws. */
  async take(): Promise<QueueMessage | undefined> {
    for (;;) {
      if (this.#isEnded) return undefined
      const changes = this.#changes
      const message = await this.#read()
      if (message !== undefined) {
        if (this.#finished.take(message)) continue
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
      const at = this.#readAt
      if (at >= size) {
        if (segment >= this.#write) return undefined
        this.#seek(this.#nextSegment(segment))
        continue
      }
      let found: { payload: Uint8Array; end: number } | undefined
      try {
        found = (await this.#recordAt(segment, at, size)) ?? (await this.#afterDamage(segment, at, size))
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error
        this.#noteDamage(segment, at, size - at)
      }
      // Dropped meanwhile, because the queue was full.
      if (this.#readSegment !== segment) continue
      if (found === undefined) {
        this.#readAt = size
        continue
      }
      this.#readAt = found.end
      return { payload: Uint8Array.from(found.payload), segment, end: found.end }
    }
  }

  /** The record that begins at a place, in the form of today or of earlier versions. */
  async #recordAt(
    segment: number,
    at: number,
    size: number,
  ): Promise<{ payload: Uint8Array; end: number } | undefined> {
    const isMarked = equal(await this.#bytesAt(segment, at, mark.length, size), mark)
    const head = isMarked ? headBytes : oldHeadBytes
    const view = await this.#bytesAt(segment, at, head, size)
    if (view.length < head) return undefined
    const length = readU32(view, head - 8)
    // Zeros are no message.
    if (length > size - at - head || (!isMarked && length === 0)) return undefined
    const payload = await this.#bytesAt(segment, at + head, length, size)
    if (payload.length < length) return undefined
    const sum = readU32(view, head - 4)
    return sum === (isMarked ? checksumOf(payload) : crc32c(payload)) ? { payload, end: at + head + length } : undefined
  }

  /** The first whole record behind damage. Throws what the disk throws. */
  async #afterDamage(
    segment: number,
    from: number,
    size: number,
  ): Promise<{ payload: Uint8Array; end: number } | undefined> {
    for (let at = from + 1; at < size;) {
      const part = Buffer.from(await this.#bytesAt(segment, at, Math.min(readBytes, size - at), size))
      const next = part.indexOf(mark)
      if (next < 0) {
        if (part.length < mark.length) break
        at += part.length - mark.length + 1
        continue
      }
      at += next
      const found = await this.#recordAt(segment, at, size)
      if (found !== undefined) {
        this.#noteDamage(segment, from, at - from)
        return found
      }
      at++
    }
    this.#noteDamage(segment, from, size - from)
    return undefined
  }

  /** A torn end, after a crash, or bytes that the disk changed. */
  #noteDamage(segment: number, at: number, bytes: number): void {
    if (this.#readSegment !== segment) return
    this.damaged += bytes
    this.#options.log.warn("bytes of a queue's file are no whole message, and are passed over", {
      file: this.#path(segment),
      at,
      bytes,
    })
  }

  /** Fewer bytes than asked for where the file ends before its size. */
  async #bytesAt(segment: number, at: number, length: number, size: number): Promise<Uint8Array> {
    const isThere = segment === this.#chunkSegment && at >= this.#chunkAt
    if (!isThere || at + length > this.#chunkAt + this.#chunk.length) {
      const wanted = Math.min(size - at, Math.max(length, readBytes))
      this.#chunk = await this.#options.files.readRange(this.#path(segment), at, wanted)
      this.#chunkSegment = segment
      this.#chunkAt = at
    }
    return this.#chunk.subarray(at - this.#chunkAt, at - this.#chunkAt + length)
  }

  /** The message was delivered, or given up: it does not come again, also after a crash. */
  async finish(message: QueueMessage): Promise<void> {
    const moved = await this.#finished.finish(message)
    if (!moved) return
    const { segment: done } = this.#finished.position
    for (const old of this.#segments.keys())
      if (old < done) {
        this.#segments.delete(old)
        await this.#options.files.remove(this.#path(old))
      }
  }

  /** Writes down in one file what is finished. */
  savePosition(): Promise<void> {
    return this.#finished.save()
  }

  /** Whoever takes gets nothing more. */
  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  async close(): Promise<void> {
    this.end()
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#appending
    try {
      await this.#file?.close()
      await this.#finished.save()
    } catch (error) {
      this.#options.log.warn('the place in a queue could not be written down: messages may be sent again', {
        directory: this.#options.directory,
        error: messageOf(error),
      })
    }
    await this.#finished.close()
  }
}

const lengthBytes = new Uint8Array(4)
const lengthView = new DataView(lengthBytes.buffer)

function checksumOf(payload: Uint8Array): number {
  lengthView.setUint32(0, payload.length)
  return crc32c(payload, 0, payload.length, crc32c(lengthBytes))
}

function readU32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

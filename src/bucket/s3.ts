/**
 * An S3-compatible bucket through the AWS SDK, loaded only when S3 is configured. No optional checksum trailers, any
 * region.
 */
import { open, readFile, stat } from 'node:fs/promises'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { backoffMs } from '#core/backoff.ts'
import { sleep, type Clock } from '#core/clock.ts'
import { ConflictError, NotFoundError } from '#core/errors.ts'
import { maskUrl } from '#core/secret.ts'
import { BucketError, type Bucket, type ObjectInfo, type PutOptions } from './bucket.ts'
import { codeOf } from './failure-code.ts'
import {
  deadlineMs,
  StoreRequests,
  type Attempt,
  type BucketOperation,
  type RequestCounts,
  type RequestOutcome,
} from './store-requests.ts'

/** The bucket, its store, and how to connect. */
export interface S3Options {
  /** Empty: AWS itself. */
  endpoint: string
  region: string
  bucket: string
  /** Undefined: the SDK's chain (environment, web identity, instance roles). */
  credentials: S3Credentials | undefined
  pathStyle: boolean
  clock: Clock
}

/** Keys, read when they are needed. */
export interface S3Credentials {
  /** They may change while the process runs: they are read again every so often. */
  isChanging: boolean
  read(): Promise<{ accessKeyId: string; secretAccessKey: string }>
}

/** The SDK asks for new ones five minutes before the end: after one minute. */
const credentialsMs = 360_000
const partBytes = 16 * 1024 * 1024
const attemptsMax = 4
const retryPause = { leastMs: 100, mostMs: 1600 }
/** For reads, and as many for writes. */
const connectionsMax = 32
/** No attempt begins later than this after the first one did, unless the object is large. */
const tryingMs = 30_000
/** Refusals that pass: the SDK sets its clock by the answer, or fetches new keys. */
const passing = new Set(['SlowDown', 'RequestTimeout', 'RequestTimeTooSkewed'])

/** Why a conditional put was taken back. */
class VersionLostError extends Error {
  override name = 'VersionLostError'
}

/** A bucket; nothing is asked of the store yet. */
export async function openS3(options: S3Options): Promise<S3Bucket> {
  return new S3Bucket(options)
}

/** One request: its name for messages, what it counts as, and what is sent or expected. */
interface Request {
  name: string
  key: string
  counted: BucketOperation
  /** What is sent, in bytes. */
  bytes?: number
  /** Milliseconds that the caller has, further attempts included. */
  withinMs?: number | undefined
}

/** Objects in an S3 store. What may succeed later is tried four times; every attempt has a deadline. */
export class S3Bucket implements Bucket {
  readonly description: string
  /** At 30 ms a request, and some 30 MB a second on one connection. */
  readonly gapBytes = 1024 * 1024
  readonly #client: S3Client
  readonly #bucket: string
  readonly #clock: Clock
  readonly #requests: StoreRequests
  /** The store was seen to refuse by If-None-Match. */
  #isConditionKept = false

  constructor(options: S3Options) {
    const { credentials } = options
    this.#bucket = options.bucket
    this.#clock = options.clock
    this.#requests = new StoreRequests(options.clock, connectionsMax)
    const place = maskUrl(options.endpoint)
    this.description = `s3://${options.bucket}${place === '' ? '' : ` at ${place}`}`
    this.#client = new S3Client({
      region: options.region,
      forcePathStyle: options.pathStyle,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      maxAttempts: 1,
      ...(options.endpoint === '' ? {} : { endpoint: options.endpoint }),
      ...(credentials === undefined
        ? {}
        : {
            credentials: async () => ({
              ...(await credentials.read()),
              ...(credentials.isChanging ? { expiration: new Date(options.clock.nowMs() + credentialsMs) } : {}),
            }),
          }),
      requestHandler: new NodeHttpHandler({
        // Beside it every attempt has a deadline of our own (store-requests.ts): the SDK's end no body that stops.
        connectionTimeout: 5000,
        httpAgent: new HttpAgent({ keepAlive: true, maxSockets: connectionsMax * 2 }),
        httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: connectionsMax * 2 }),
      }),
    })
  }

  get requests(): RequestCounts {
    return this.#requests.counts
  }

  windDown(graceMs: number): void {
    this.#requests.windDown(graceMs)
  }

  /** Repeats what may succeed later; names what failed. */
  async #try<T>(request: Request, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { name, key, counted: operation, bytes = 0, withinMs } = request
    const startedMs = this.#clock.monotonicMs()
    const mostMs = withinMs ?? tryingMs + deadlineMs(bytes)
    for (let attempt = 1; ; attempt++) {
      const leftMs = startedMs + mostMs - this.#clock.monotonicMs()
      try {
        return await this.#requests.run({ operation, bytes, withinMs: leftMs, outcomeOf }, work)
      } catch (error) {
        const { code, status } = codeOf(error)
        if (code === 'NoSuchBucket') throw new BucketError(name, this.description, code, false, { cause: error })
        if (isMissing(code, status))
          throw new NotFoundError(`no object ${key} in ${this.description}`, { cause: error })
        if (isConflict(code, status)) throw new ConflictError(`${key} is there already`, { cause: error })
        const transient = isTransient(code, status)
        const pauseMs = backoffMs(attempt, retryPause)
        const isLate = this.#clock.monotonicMs() + pauseMs - startedMs >= Math.min(mostMs, tryingMs)
        if (!transient || attempt >= attemptsMax || isLate || this.#requests.isOver)
          throw new BucketError(name, this.description, code, transient, { cause: error })
        await sleep(this.#clock, pauseMs)
      }
    }
  }

  #ask<T>(counted: BucketOperation, key: string, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    return this.#try({ name: counted, key, counted }, work)
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
    const isConditional = options.ifAbsent === true
    const request: Request = { name: 'put', key, counted: 'put', bytes: bytes.length, withinMs: options.withinMs }
    try {
      const { VersionId: version } = await this.#try(request, ({ signal }) =>
        this.#client.send(
          new PutObjectCommand({
            Bucket: this.#bucket,
            Key: key,
            Body: bytes,
            ...(isConditional ? { IfNoneMatch: '*' } : {}),
          }),
          { abortSignal: signal },
        ),
      )
      if (isConditional && version !== undefined && !this.#isConditionKept) await this.#keepOldest(key, version)
    } catch (error) {
      if (error instanceof ConflictError && isConditional)
        this.#isConditionKept ||= !(error.cause instanceof VersionLostError)
      throw error
    }
  }

  /**
   * Ceph takes no notice of If-None-Match in versioned buckets: a version that has one before it lost, and goes.
   * Versions are in one order for everybody, so of several writers exactly one wins.
   */
  async #keepOldest(key: string, version: string): Promise<void> {
    const { Versions = [], DeleteMarkers = [] } = await this.#ask('list', key, ({ signal }) =>
      this.#client.send(new ListObjectVersionsCommand({ Bucket: this.#bucket, Prefix: key }), { abortSignal: signal }),
    )
    const own = Versions.filter(v => v.Key === key)
    const at = own.findIndex(v => v.VersionId === version)
    const older = own[at + 1]
    if (at < 0 || older === undefined) return
    // Deleted in between: then it was not there.
    const oldMs = older.LastModified?.getTime() ?? 0
    const ourMs = own[at]!.LastModified?.getTime() ?? 0
    if (
      DeleteMarkers.some(
        m =>
          m.Key === key &&
          (m.LastModified?.getTime() ?? 0) >= oldMs &&
          (m.LastModified?.getTime() ?? 0) <= ourMs &&
          m.VersionId !== version,
      )
    )
      return
    await this.#ask('delete', key, ({ signal }) =>
      this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key, VersionId: version }), {
        abortSignal: signal,
      }),
    )
    throw new ConflictError(`${key} is there already`, { cause: new VersionLostError(version) })
  }

  async putFile(key: string, path: string): Promise<void> {
    const { size } = await stat(path)
    if (size <= partBytes) {
      // Bytes, not a stream: the SDK complains on standard error about streams whose request fails.
      const bytes = await readFile(path)
      await this.#try({ name: 'put', key, counted: 'put', bytes: size }, ({ signal }) =>
        this.#client.send(new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: bytes, ContentLength: size }), {
          abortSignal: signal,
        }),
      )
      return
    }
    await this.#putParts(key, path, size)
  }

  async #putParts(key: string, path: string, size: number): Promise<void> {
    const target = { Bucket: this.#bucket, Key: key }
    const { UploadId } = await this.#try({ name: 'create multipart upload', key, counted: 'put' }, ({ signal }) =>
      this.#client.send(new CreateMultipartUploadCommand(target), { abortSignal: signal }),
    )
    const file = await open(path, 'r')
    try {
      const parts: { PartNumber: number; ETag: string | undefined }[] = []
      for (let offset = 0; offset < size; offset += partBytes) {
        const bytes = Buffer.alloc(Math.min(partBytes, size - offset))
        await file.read(bytes, 0, bytes.length, offset)
        const PartNumber = parts.length + 1
        const { ETag } = await this.#try(
          { name: 'upload part', key, counted: 'put', bytes: bytes.length },
          ({ signal }) =>
            this.#client.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body: bytes }), {
              abortSignal: signal,
            }),
        )
        parts.push({ PartNumber, ETag })
      }
      // The store puts the parts together before it answers.
      await this.#try({ name: 'complete multipart upload', key, counted: 'put', bytes: size }, ({ signal }) =>
        this.#client.send(
          new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }),
          { abortSignal: signal },
        ),
      )
    } catch (error) {
      await this.#try({ name: 'abort multipart upload', key, counted: 'delete', withinMs: 5000 }, ({ signal }) =>
        this.#client.send(new AbortMultipartUploadCommand({ ...target, UploadId }), { abortSignal: signal }),
      ).catch(() => {})
      throw error
    } finally {
      await file.close()
    }
  }

  get(key: string): Promise<Uint8Array> {
    return this.#ask('get', key, async attempt => {
      const command = new GetObjectCommand({ Bucket: this.#bucket, Key: key })
      return readBody(await this.#client.send(command, { abortSignal: attempt.signal }), attempt)
    })
  }

  getRange(key: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    if (length <= 0) return Promise.resolve(new Uint8Array(0))
    const Range = `bytes=${offset}-${offset + length - 1}`
    return this.#ask('get', key, async attempt => {
      try {
        const command = new GetObjectCommand({ Bucket: this.#bucket, Key: key, Range })
        return await readBody(await this.#client.send(command, { abortSignal: attempt.signal }), attempt, room)
      } catch (error) {
        // A range that begins at or behind the end is empty.
        if (codeOf(error).status === 416) return new Uint8Array(0)
        throw error
      }
    })
  }

  async size(key: string): Promise<number> {
    try {
      const head = await this.#ask('head', key, ({ signal }) =>
        this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal: signal }),
      )
      return head.ContentLength ?? 0
    } catch (error) {
      // An answer to HEAD has no code: is it the object that is not there, or the bucket?
      if (error instanceof NotFoundError) await this.getRange(key, 0, 1)
      throw error
    }
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    const found: ObjectInfo[] = []
    let token: string | undefined
    do {
      const page = await this.#ask('list', prefix, ({ signal }) =>
        this.#client.send(
          new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, ContinuationToken: token }),
          { abortSignal: signal },
        ),
      )
      for (const object of page.Contents ?? [])
        found.push({ key: object.Key ?? '', bytes: object.Size ?? 0, modifiedMs: object.LastModified?.getTime() ?? 0 })
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
    return found
  }

  async listDirectories(prefix: string): Promise<string[]> {
    const names: string[] = []
    let token: string | undefined
    do {
      const page = await this.#ask('list', prefix, ({ signal }) =>
        this.#client.send(
          new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, Delimiter: '/', ContinuationToken: token }),
          { abortSignal: signal },
        ),
      )
      for (const entry of page.CommonPrefixes ?? []) names.push((entry.Prefix ?? '').slice(prefix.length, -1))
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
    return names
  }

  async delete(key: string): Promise<void> {
    await this.#ask('delete', key, ({ signal }) =>
      this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal: signal }),
    ).catch((error: unknown) => {
      if (!(error instanceof NotFoundError)) throw error
    })
  }
}

const isMissing = (code: string, status: number | undefined): boolean =>
  status === 404 || code === 'NoSuchKey' || code === 'NotFound'

const isConflict = (code: string, status: number | undefined): boolean =>
  status === 412 || code === 'PreconditionFailed'

/** May it succeed later? 409: somebody else is writing the same key at this moment, and one of both will win. */
function isTransient(code: string, status: number | undefined): boolean {
  return status === undefined || status >= 500 || status === 429 || status === 409 || passing.has(code)
}

function outcomeOf(error: unknown): RequestOutcome {
  const { code, status } = codeOf(error)
  if (code === 'NoSuchBucket') return 'refused'
  if (isMissing(code, status) || isConflict(code, status)) return 'ok'
  return isTransient(code, status) ? 'failed' : 'refused'
}

/** The store closed the connection in the middle of an object. */
class CutBodyError extends Error {
  override name = 'CutBodyError'
}

/** The whole answer, in `room` where that is large enough. Each piece of it has its own time. */
async function readBody(
  { Body, ContentLength: length }: GetObjectCommandOutput,
  attempt: Attempt,
  room?: Uint8Array,
): Promise<Uint8Array> {
  if (Body === undefined || length === undefined)
    return Body === undefined ? new Uint8Array(0) : Body.transformToByteArray()
  attempt.noteProgress(length)
  const bytes = room !== undefined && room.length >= length ? room : new Uint8Array(length)
  let filled = 0
  for await (const piece of Body as AsyncIterable<Uint8Array>) {
    attempt.signal.throwIfAborted()
    if (filled + piece.length > length) throw new CutBodyError(`more than ${length} bytes came`)
    bytes.set(piece, filled)
    filled += piece.length
    attempt.noteProgress(length)
  }
  if (filled < length) throw new CutBodyError(`${filled} of ${length} bytes came`)
  return bytes.subarray(0, length)
}

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
import { BucketError, type Bucket, type ObjectInfo } from './bucket.ts'

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
const socketsMax = 32

/** Why a conditional put was taken back. */
class VersionLostError extends Error {
  override name = 'VersionLostError'
}

/** A bucket; nothing is asked of the store yet. */
export async function openS3(options: S3Options): Promise<S3Bucket> {
  return new S3Bucket(options)
}

/** Objects in an S3 store. What may succeed later is tried four times. */
export class S3Bucket implements Bucket {
  readonly description: string
  readonly #client: S3Client
  readonly #bucket: string
  readonly #clock: Clock
  /** The store was seen to refuse by If-None-Match. */
  #isConditionKept = false

  constructor(options: S3Options) {
    const { credentials } = options
    this.#bucket = options.bucket
    this.#clock = options.clock
    this.description = `s3://${options.bucket}${options.endpoint === '' ? '' : ` at ${options.endpoint}`}`
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
        connectionTimeout: 5000,
        requestTimeout: 60_000,
        httpAgent: new HttpAgent({ keepAlive: true, maxSockets: socketsMax }),
        httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: socketsMax }),
      }),
    })
  }

  /** Repeats what may succeed later; names what failed. */
  async #try<T>(operation: string, key: string, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const { code, status } = codeOf(error)
        if (code === 'NoSuchBucket') throw new BucketError(operation, this.description, code, false, { cause: error })
        if (status === 404 || code === 'NoSuchKey' || code === 'NotFound')
          throw new NotFoundError(`no object ${key} in ${this.description}`, { cause: error })
        if (status === 412 || code === 'PreconditionFailed')
          throw new ConflictError(`${key} is there already`, { cause: error })
        // 409: somebody else is writing the same key at this moment, and one of both will win.
        const transient =
          status === undefined ||
          status >= 500 ||
          status === 429 ||
          status === 409 ||
          code === 'SlowDown' ||
          code === 'RequestTimeout'
        if (!transient || attempt >= attemptsMax)
          throw new BucketError(operation, this.description, code, transient, { cause: error })
        await sleep(this.#clock, backoffMs(attempt, retryPause))
      }
    }
  }

  async put(key: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void> {
    const isConditional = options?.ifAbsent === true
    try {
      const { VersionId: version } = await this.#try('put', key, () =>
        this.#client.send(
          new PutObjectCommand({
            Bucket: this.#bucket,
            Key: key,
            Body: bytes,
            ...(isConditional ? { IfNoneMatch: '*' } : {}),
          }),
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
    const { Versions = [], DeleteMarkers = [] } = await this.#try('list versions', key, () =>
      this.#client.send(new ListObjectVersionsCommand({ Bucket: this.#bucket, Prefix: key })),
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
    await this.#try('delete', key, () =>
      this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key, VersionId: version })),
    )
    throw new ConflictError(`${key} is there already`, { cause: new VersionLostError(version) })
  }

  async putFile(key: string, path: string): Promise<void> {
    const { size } = await stat(path)
    if (size <= partBytes) {
      // Bytes, not a stream: the SDK complains on standard error about streams whose request fails.
      const bytes = await readFile(path)
      await this.#try('put', key, () =>
        this.#client.send(new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: bytes, ContentLength: size })),
      )
      return
    }
    await this.#putParts(key, path, size)
  }

  async #putParts(key: string, path: string, size: number): Promise<void> {
    const target = { Bucket: this.#bucket, Key: key }
    const { UploadId } = await this.#try('create multipart upload', key, () =>
      this.#client.send(new CreateMultipartUploadCommand(target)),
    )
    const file = await open(path, 'r')
    try {
      const parts: { PartNumber: number; ETag: string | undefined }[] = []
      for (let offset = 0; offset < size; offset += partBytes) {
        const bytes = Buffer.alloc(Math.min(partBytes, size - offset))
        await file.read(bytes, 0, bytes.length, offset)
        const PartNumber = parts.length + 1
        const { ETag } = await this.#try('upload part', key, () =>
          this.#client.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body: bytes })),
        )
        parts.push({ PartNumber, ETag })
      }
      await this.#try('complete multipart upload', key, () =>
        this.#client.send(
          new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }),
        ),
      )
    } catch (error) {
      await this.#client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => {})
      throw error
    } finally {
      await file.close()
    }
  }

  get(key: string): Promise<Uint8Array> {
    return this.#try('get', key, async () => {
      const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }))
      return Body === undefined ? new Uint8Array(0) : Body.transformToByteArray()
    })
  }

  getRange(key: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#try('get', key, async () => {
      try {
        const { Body } = await this.#client.send(
          new GetObjectCommand({ Bucket: this.#bucket, Key: key, Range: `bytes=${offset}-${offset + length - 1}` }),
        )
        return Body === undefined ? new Uint8Array(0) : await Body.transformToByteArray()
      } catch (error) {
        // A range that begins at or behind the end is empty.
        if (codeOf(error).status === 416) return new Uint8Array(0)
        throw error
      }
    })
  }

  async size(key: string): Promise<number> {
    return (
      (await this.#try('head', key, () => this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: key }))))
        .ContentLength ?? 0
    )
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    const found: ObjectInfo[] = []
    let token: string | undefined
    do {
      const page = await this.#try('list', prefix, () =>
        this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, ContinuationToken: token })),
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
      const page = await this.#try('list', prefix, () =>
        this.#client.send(
          new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, Delimiter: '/', ContinuationToken: token }),
        ),
      )
      for (const entry of page.CommonPrefixes ?? []) names.push((entry.Prefix ?? '').slice(prefix.length, -1))
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
    return names
  }

  async delete(key: string): Promise<void> {
    await this.#try('delete', key, () =>
      this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key })),
    ).catch((error: unknown) => {
      if (!(error instanceof NotFoundError)) throw error
    })
  }
}

/** The store's error code and HTTP status, as far as there are any; or the network's. */
export function codeOf(error: unknown): { code: string; status: number | undefined } {
  if (!(error instanceof Error)) return { code: 'unknown', status: undefined }
  const metadata = '$metadata' in error ? (error.$metadata as { httpStatusCode?: number }) : undefined
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return { code, status: metadata?.httpStatusCode }
}

/**
 * What an administrator does with buckets, apart from what runs: makes them as they should be, and finds out how a
 * store behaves.
 */
import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type LifecycleRule,
} from '@aws-sdk/client-s3'
import type { Clock } from '#core/clock.ts'
import { least } from '#core/lists.ts'
import type { Random } from '#core/random.ts'
import { codeOf } from './s3.ts'

/** The store, and with which credentials it is asked. */
export interface S3AdminOptions {
  endpoint: string
  region: string
  credentials: { accessKeyId: string; secretAccessKey: string } | undefined
  pathStyle: boolean
  clock: Clock
}

/** How a bucket should be. */
export interface BucketWishes {
  isVersioned: boolean
  /** Days that overwritten and deleted versions stay, so that deleting frees space in the end. */
  noncurrentDays: number
  abortMultipartDays: number
}

/** `bad`: data may be lost or the process won't run; `note`: worth knowing. */
export interface Finding {
  check: string
  level: 'good' | 'note' | 'bad'
  found: string
  advice: string
}

/** The name of our rule in a bucket's lifecycle; foreign rules stay. */
const ruleId = 'tercet-hygiene'

const statusOf = (error: unknown): number | undefined => codeOf(error).status
const reasonOf = (error: unknown): string => {
  const { code } = codeOf(error)
  const hasMessage = error instanceof Error && error.message !== '' && error.message !== code
  return hasMessage ? `${code}: ${error.message}` : code
}

/** So long an answer, or the next piece of one, may take. */
const silenceMs = 15_000

type Report = (check: string, level: Finding['level'], found: string, advice?: string) => void

/** Makes buckets and examines a store; one connection to one endpoint. */
export class S3Admin {
  readonly #options: S3AdminOptions
  readonly #client: S3Client
  /** The store's clock less ours, as the last answer's Date said. */
  #skewMs: number | undefined

  constructor(options: S3AdminOptions) {
    this.#options = options
    this.#client = this.#connect({})
    const { clock } = options
    this.#client.middlewareStack.add(
      next => async args => {
        const result = await next(args)
        const date = (result.response as { headers?: Record<string, string> }).headers?.['date']
        if (date !== undefined) this.#skewMs = Date.parse(date) - clock.nowMs()
        return result
      },
      { step: 'deserialize', priority: 'low' },
    )
  }

  #connect(change: Partial<S3AdminOptions>): S3Client {
    const { endpoint, region, credentials, pathStyle } = { ...this.#options, ...change }
    return new S3Client({
      region,
      forcePathStyle: pathStyle,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      maxAttempts: 2,
      followRegionRedirects: false,
      requestHandler: {
        connectionTimeout: 5000,
        requestTimeout: silenceMs,
        throwOnRequestTimeout: true,
        socketTimeout: silenceMs,
      },
      ...(endpoint === '' ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    })
  }

  close(): void {
    this.#client.destroy()
  }

  /** Makes a bucket as it should be, and changes one that is there to it. Says what it did; nothing the second time. */
  async ensureBucket(name: string, wishes: BucketWishes): Promise<string[]> {
    const done: string[] = []
    if (!(await this.#isThere(name))) {
      const { region, endpoint } = this.#options
      // AWS wants the region said twice everywhere but in us-east-1; others may not know it at all.
      const constraint =
        endpoint === '' && region !== 'us-east-1'
          ? { CreateBucketConfiguration: { LocationConstraint: region as 'eu-west-1' } }
          : {}
      try {
        await this.#client.send(new CreateBucketCommand({ Bucket: name, ...constraint }))
        done.push('created, without object lock')
      } catch (error) {
        if (codeOf(error).code !== 'BucketAlreadyOwnedByYou') throw error
      }
    }
    const { Status: versioning } = await this.#client.send(new GetBucketVersioningCommand({ Bucket: name }))
    if (wishes.isVersioned && versioning !== 'Enabled') {
      await this.#client.send(
        new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration: { Status: 'Enabled' } }),
      )
      done.push('versioning turned on')
    }
    const rules = await this.#lifecycle(name)
    const own: LifecycleRule = {
      ID: ruleId,
      Status: 'Enabled',
      Filter: { Prefix: '' },
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: wishes.abortMultipartDays },
      ...(wishes.isVersioned ? { NoncurrentVersionExpiration: { NoncurrentDays: wishes.noncurrentDays } } : {}),
    }
    const current = rules.find(rule => rule.ID === ruleId)
    if (
      current?.Status !== 'Enabled' ||
      current.AbortIncompleteMultipartUpload?.DaysAfterInitiation !== wishes.abortMultipartDays ||
      current.NoncurrentVersionExpiration?.NoncurrentDays !== own.NoncurrentVersionExpiration?.NoncurrentDays
    ) {
      await this.#client.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket: name,
          LifecycleConfiguration: { Rules: [...rules.filter(rule => rule.ID !== ruleId), own] },
        }),
      )
      const oldVersions = wishes.isVersioned ? `, old versions after ${wishes.noncurrentDays} d` : ''
      done.push(`lifecycle set: unfinished uploads go after ${wishes.abortMultipartDays} d${oldVersions}`)
    }
    if (await this.#isLocked(name))
      throw new Error(
        `the bucket ${name} has object lock: what is compacted or too old could never be deleted. Make another ` +
          'one without',
      )
    return done
  }

  async #isThere(name: string): Promise<boolean> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: name }))
      return true
    } catch (error) {
      if (statusOf(error) === 404) return false
      throw error
    }
  }

  async #lifecycle(name: string): Promise<LifecycleRule[]> {
    try {
      return (await this.#client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: name }))).Rules ?? []
    } catch (error) {
      if (codeOf(error).code === 'NoSuchLifecycleConfiguration' || statusOf(error) === 404) return []
      throw error
    }
  }

  async #isLocked(name: string): Promise<boolean> {
    try {
      return (
        (await this.#client.send(new GetObjectLockConfigurationCommand({ Bucket: name }))).ObjectLockConfiguration
          ?.ObjectLockEnabled === 'Enabled'
      )
    } catch (error) {
      // Not configured, or not known to the store at all.
      if ([400, 404, 405, 409, 501].includes(statusOf(error) ?? 0)) return false
      throw error
    }
  }

  /** How the store behaves with this bucket. Writes below `prefix` and takes it all away again. */
  async examine(
    bucket: string,
    { prefix, retentionDays, random }: { prefix: string; retentionDays: number; random: Random },
  ): Promise<Finding[]> {
    const findings: Finding[] = []
    const at = `${prefix}doctor-${random.u32().toString(16)}/`
    const report = (check: string, level: Finding['level'], found: string, advice = ''): void => {
      findings.push({ check, level, found, advice })
    }
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: bucket }))
      report('reach', 'good', `the bucket ${bucket} answers`)
    } catch (error) {
      report('reach', 'bad', reachProblem(error, bucket), reachAdvice(error, this.#options.region))
      if (this.#skewMs !== undefined) findings.push(this.#clockFinding())
      return findings
    }
    findings.push(this.#clockFinding())
    // Each in its own try: what one can't do should not hide what the next one finds.
    const checks: [string, () => Promise<void>][] = [
      ['read and write', () => this.#readAndWrite(bucket, at, report)],
      ['conditional put', () => this.#conditionalPut(bucket, at, report)],
      ['list', () => this.#listing(bucket, at, report)],
      ['multipart', () => this.#multipart(bucket, at, report)],
      ['checksum', () => this.#checksum(bucket, at, report)],
      ['path style', () => this.#pathStyle(bucket, report)],
      ['region', () => this.#region(bucket, report)],
      ['latency', () => this.#latency(bucket, at, report)],
      ['versioning', () => this.#versioning(bucket, retentionDays, report)],
      ['object lock', () => this.#objectLock(bucket, report)],
      ['rights', () => this.#rights(report)],
    ]
    for (const [check, run] of checks) {
      try {
        await run()
      } catch (error) {
        report(
          check,
          ['read and write', 'conditional put', 'list', 'multipart'].includes(check) ? 'bad' : 'note',
          reasonOf(error),
          statusOf(error) === 403 ? 'the credentials may not do this' : '',
        )
      }
    }
    await this.#removeAll(bucket, at)
    return findings
  }

  #clockFinding(): Finding {
    const skew = Math.round((this.#skewMs ?? 0) / 1000)
    const far = Math.abs(skew)
    return {
      check: 'clock',
      level: far > 300 ? 'bad' : far > 30 ? 'note' : 'good',
      found: `the store's clock is ${far} s ${skew < 0 ? 'behind' : 'ahead of'} this machine's`,
      advice: far > 30 ? 'set the clocks by NTP: signatures more than 15 minutes off are refused' : '',
    }
  }

  async #put(bucket: string, key: string, body: Uint8Array, more: object = {}): Promise<string> {
    return (await this.#client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ...more }))).ETag ?? ''
  }

  async #readAndWrite(bucket: string, at: string, report: Report): Promise<void> {
    const body = Buffer.from('tercet doctor')
    const key = `${at}read`
    const etag = await this.#put(bucket, key, body)
    const got =
      (await (
        await this.#client.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: 'bytes=7-100' }))
      ).Body?.transformToByteArray()) ?? new Uint8Array()
    if (Buffer.compare(got, body.subarray(7)) === 0) report('read and write', 'good', 'put, get and ranges work')
    else
      report(
        'read and write',
        'bad',
        `a range came back with ${got.length} bytes; ${body.length - 7} were expected`,
        'a proxy in between may change answers',
      )
    const isMd5 = etag.replaceAll('"', '') === createHash('md5').update(body).digest('hex')
    report(
      'etag',
      isMd5 ? 'good' : 'note',
      isMd5 ? 'ETags are MD5 sums' : 'ETags are no MD5 sums',
      isMd5 ? '' : 'usual with encryption by the store; nothing here relies on it',
    )
    await this.#client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${at}was-never-there` }))
  }

  async #conditionalPut(bucket: string, at: string, report: Report): Promise<void> {
    const key = `${at}conditional`
    await this.#put(bucket, key, Buffer.from('1'), { IfNoneMatch: '*' })
    try {
      await this.#put(bucket, key, Buffer.from('2'), { IfNoneMatch: '*' })
      const { Versions = [] } = await this.#client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: key }))
      if (Versions.filter(v => v.Key === key && v.VersionId !== 'null').length >= 2)
        report(
          'conditional put',
          'note',
          'If-None-Match is not kept in this versioned bucket',
          'Tercet compares versions instead, which takes the right to list and delete versions',
        )
      else
        report(
          'conditional put',
          'bad',
          'an object was overwritten in spite of If-None-Match',
          'two writers on one bucket could not be told apart: be sure that there is one, or take another store',
        )
    } catch (error) {
      if (statusOf(error) === 412)
        report('conditional put', 'good', 'If-None-Match holds: a second writer is fenced off')
      else throw error
    }
  }

  async #listing(bucket: string, at: string, report: Report): Promise<void> {
    // Bytewise: Loki's chunks have colons, and a slash sorts between a dot and a digit.
    const names = ['a-1', 'a.1', 'a/1', 'a0', 'aB:c=d', 'a_b', 'ab', 'aé']
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    for (const name of names) await this.#put(bucket, `${at}list/${name}`, Buffer.from('x'))
    const list = async (): Promise<string[]> =>
      (
        (await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: `${at}list/` }))).Contents ?? []
      ).map(o => (o.Key ?? '').slice(`${at}list/`.length))
    const found = await list()
    if (found.join() === sorted.join()) report('list', 'good', 'what was written is listed at once, in bytewise order')
    else if (found.length < names.length)
      report(
        'list',
        'bad',
        `${names.length - found.length} of ${names.length} objects just written are not listed`,
        'an eventually consistent store: blocks may seem to be missing for a while',
      )
    else
      report(
        'list',
        'note',
        `names come back in another order, or changed: ${found.join(' ')}`,
        'they are sorted here; other readers may mind',
      )
    const first = await this.#client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: `${at}list/`, MaxKeys: 3 }),
    )
    if (first.IsTruncated !== true || first.Contents?.length !== 3)
      report('pages', 'note', 'lists are not cut at max-keys', '')
    await this.#client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${at}list/ab` }))
    if ((await list()).includes('ab'))
      report(
        'list after delete',
        'note',
        'a deleted object is still listed',
        'readers may ask for what is gone; they skip it',
      )
  }

  async #multipart(bucket: string, at: string, report: Report): Promise<void> {
    const key = `${at}multipart`
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }))
    const bytes = 5 * 1024 * 1024
    try {
      const parts: { ETag: string | undefined; PartNumber: number }[] = []
      for (const [i, body] of [Buffer.alloc(bytes, 1), Buffer.from('end')].entries())
        parts.push({
          PartNumber: i + 1,
          ETag: (
            await this.#client.send(
              new UploadPartCommand({ Bucket: bucket, Key: key, UploadId, PartNumber: i + 1, Body: body }),
            )
          ).ETag,
        })
      await this.#client.send(
        new CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId, MultipartUpload: { Parts: parts } }),
      )
      report('multipart', 'good', 'uploads in parts work')
    } catch (error) {
      await this.#client
        .send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId }))
        .catch(() => undefined)
      throw error
    }
  }

  async #checksum(bucket: string, at: string, report: Report): Promise<void> {
    try {
      await this.#put(bucket, `${at}checksum`, Buffer.from('x'), { ChecksumAlgorithm: 'CRC32' })
      report('checksum', 'good', 'checksums of newer SDKs are understood')
    } catch (error) {
      report(
        'checksum',
        'note',
        `checksums of newer SDKs are refused (${codeOf(error).code})`,
        'Tercet sends none; for others set AWS_REQUEST_CHECKSUM_CALCULATION=when_required',
      )
    }
  }

  async #pathStyle(bucket: string, report: Report): Promise<void> {
    const style = this.#options.pathStyle ? 'endpoint/bucket/key' : 'bucket.endpoint/key'
    const other = this.#connect({ pathStyle: !this.#options.pathStyle })
    try {
      await other.send(new HeadBucketCommand({ Bucket: bucket }))
      report('path style', 'good', `${style} works, and so does the other form`)
    } catch {
      report(
        'path style',
        'good',
        `${style} works; the other form does not`,
        this.#options.pathStyle
          ? 'for Loki, Tempo and Mimir: s3forcepathstyle: true, forcepathstyle: true, bucket_lookup_type: path'
          : 'for Loki, Tempo and Mimir: leave path style off',
      )
    } finally {
      other.destroy()
    }
  }

  async #region(bucket: string, report: Report): Promise<void> {
    const { region } = this.#options
    const other = this.#connect({ region: region === 'us-east-1' ? 'minio' : 'us-east-1' })
    try {
      await other.send(new HeadBucketCommand({ Bucket: bucket }))
      report('region', 'good', `${region} is accepted, and so are others`)
    } catch {
      report('region', 'good', `${region} is the region; others are refused`)
    } finally {
      other.destroy()
    }
  }

  async #latency(bucket: string, at: string, report: Report): Promise<void> {
    const { clock } = this.#options
    const body = Buffer.alloc(1024 * 1024, 7)
    const worst = { put: 0, get: 0 }
    for (let i = 0; i < 5; i++) {
      const key = `${at}latency-${i}`
      const start = clock.monotonicMs()
      await this.#put(bucket, key, body)
      const middle = clock.monotonicMs()
      await (await this.#client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))).Body?.transformToByteArray()
      worst.put = Math.max(worst.put, middle - start)
      worst.get = Math.max(worst.get, clock.monotonicMs() - middle)
    }
    const isSlow = worst.put > 500 || worst.get > 200
    report(
      'latency',
      isSlow ? 'note' : 'good',
      `1 MiB: put ${worst.put.toFixed(0)} ms, get ${worst.get.toFixed(0)} ms at worst of five`,
      isSlow ? 'put \u2264 500 ms and get \u2264 200 ms are expected: cold queries will be slow' : '',
    )
  }

  async #versioning(bucket: string, retentionDays: number, report: Report): Promise<void> {
    const { Status: versioning } = await this.#client.send(new GetBucketVersioningCommand({ Bucket: bucket }))
    const rules = (await this.#lifecycle(bucket)).filter(rule => rule.Status === 'Enabled')
    const isVersioned = versioning === 'Enabled'
    const hasNoncurrent = rules.some(rule => rule.NoncurrentVersionExpiration !== undefined)
    report(
      'versioning',
      isVersioned && !hasNoncurrent ? 'bad' : 'good',
      isVersioned ? `on${hasNoncurrent ? ', and old versions expire' : ', and old versions stay for ever'}` : 'off',
      isVersioned && !hasNoncurrent
        ? 'deleting frees nothing: tercet deploy bootstrap-s3 sets NoncurrentVersionExpiration'
        : '',
    )
    const early = rules.filter(rule => rule.Expiration?.Days !== undefined && rule.Expiration.Days <= retentionDays)
    if (early.length > 0)
      report(
        'lifecycle',
        'bad',
        `objects expire after ${least(early.map(rule => rule.Expiration?.Days ?? 0))} d ` +
          `(rule ${early.map(rule => rule.ID ?? '?').join(', ')}), and are to be kept ` +
          (Number.isFinite(retentionDays) ? `${retentionDays} d` : 'for ever'),
        'indexes would name what is gone; let the retention here delete, and have the lifecycle come later or ' +
          'not at all',
      )
    else if (rules.some(rule => rule.Expiration?.Date !== undefined))
      report('lifecycle', 'bad', 'objects expire on a date', 'take that rule away')
    else
      report(
        'lifecycle',
        rules.some(rule => rule.AbortIncompleteMultipartUpload !== undefined) ? 'good' : 'note',
        rules.length === 0 ? 'no rules' : `${rules.length} rules, none of which deletes what is kept`,
        rules.some(rule => rule.AbortIncompleteMultipartUpload !== undefined)
          ? ''
          : 'unfinished uploads stay for ever: tercet deploy bootstrap-s3 sets a rule',
      )
  }

  async #objectLock(bucket: string, report: Report): Promise<void> {
    const isLocked = await this.#isLocked(bucket)
    report(
      'object lock',
      isLocked ? 'bad' : 'good',
      isLocked ? 'on' : 'off',
      isLocked ? 'what is compacted or too old could never be deleted' : '',
    )
  }

  async #rights(report: Report): Promise<void> {
    try {
      const { Buckets = [] } = await this.#client.send(new ListBucketsCommand({}))
      report(
        'rights',
        'note',
        `these credentials may list all buckets (${Buckets.length})`,
        'get, put, delete and list on the one bucket are enough',
      )
    } catch {
      report('rights', 'good', 'these credentials see no other buckets')
    }
  }

  async #removeAll(bucket: string, at: string): Promise<void> {
    const { Contents = [] } = await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: at }))
    for (const { Key } of Contents)
      if (Key !== undefined) await this.#client.send(new DeleteObjectCommand({ Bucket: bucket, Key }))
  }
}

function reachProblem(error: unknown, bucket: string): string {
  const status = statusOf(error)
  return status === 404
    ? `there is no bucket ${bucket}`
    : status === 403
      ? `the store refuses these credentials (${codeOf(error).code})`
      : status === 301 || status === 400
        ? `the store wants another region (${codeOf(error).code})`
        : reasonOf(error)
}

function reachAdvice(error: unknown, region: string): string {
  const status = statusOf(error)
  if (status === 404) return 'tercet deploy bootstrap-s3 makes it, with credentials of an administrator'
  if (status === 403) return "the key may be wrong, may not see this bucket, or this machine's clock may be off"
  if (status === 301 || status === 400) return `bucket.s3.region is ${region}; ask the store for the bucket's own`
  return 'is bucket.s3.endpoint right, and reachable from here?'
}

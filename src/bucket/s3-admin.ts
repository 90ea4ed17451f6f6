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
  S3Client,
  UploadPartCommand,
  type LifecycleRule,
} from '@aws-sdk/client-s3'
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { least } from '#core/lists.ts'
import type { Random } from '#core/random.ts'
import { codeOf } from './failure-code.ts'
import { isDenied, problemOf, RefusedRights, type Problem } from './store-problem.ts'
import { TrialObjects } from './trial-objects.ts'

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

/** So long an answer, or the next piece of one, may take. */
const silenceMs = 15_000

/** What an examination needs to know of the process that the keys are for. */
export interface Examination {
  /** The process writes nothing: neither does the examination. */
  isReader: boolean
  /** Ends in `/`; what is tried is written below. */
  prefix: string
  retentionDays: number
  random: Random
}

/** Its name, how bad it is when it can't be done, and what does it. */
type Check = readonly [name: string, level: Finding['level'], run: () => Promise<void>]

const removeAdvice = 'remove it with the keys of an administrator'

type Report = (check: string, level: Finding['level'], found: string, advice?: string) => void

/** Makes buckets and examines a store; one connection to one endpoint. */
export class S3Admin {
  readonly #options: S3AdminOptions
  readonly #client: S3Client
  readonly #refused = new RefusedRights()
  /** The store's clock less ours, as the last answer's Date said. */
  #skewMs: number | undefined

  constructor(options: S3AdminOptions) {
    this.#options = options
    this.#client = this.#connect({})
    this.#refused.watch(this.#client)
    this.#client.middlewareStack.add(
      next => async args => {
        try {
          const result = await next(args)
          this.#noteDate(result.response)
          return result
        } catch (error) {
          if (error instanceof Error && '$response' in error) this.#noteDate(error.$response)
          throw error
        }
      },
      { step: 'deserialize', priority: 'high' },
    )
  }

  #noteDate(response: unknown): void {
    const date = (response as { headers?: Record<string, string> } | undefined)?.headers?.['date']
    if (date !== undefined) this.#skewMs = Date.parse(date) - this.#options.clock.nowMs()
  }

  /** What a refusal means, and what to do. */
  explain(error: unknown, bucket: string): Problem {
    const { endpoint, region } = this.#options
    return problemOf(error, { endpoint, region, bucket, skewMs: this.#skewMs, right: this.#refused.of(error) })
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
    try {
      return await this.#ensureBucket(name, wishes)
    } catch (error) {
      if (error instanceof BadDataError) throw error
      const { found, advice } = this.explain(error, name)
      throw new BadDataError(`the bucket ${name}: ${found}; ${advice}`, { cause: error })
    }
  }

  async #ensureBucket(name: string, wishes: BucketWishes): Promise<string[]> {
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
      throw new BadDataError(
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
      // The answer to HEAD does not say why; this one does.
      if (statusOf(error) !== undefined) await this.#client.send(new GetBucketVersioningCommand({ Bucket: name }))
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

  /**
   * How the store behaves with this bucket, and which rights the key lacks. Writes below `prefix`, and takes it all
   * away again; writes nothing where it could not delete.
   */
  async examine(bucket: string, options: Examination): Promise<Finding[]> {
    const findings: Finding[] = []
    const report: Report = (check, level, found, advice = '') => {
      findings.push({ check, level, found, advice })
    }
    const reached = await this.#reach(bucket, report)
    if (this.#skewMs !== undefined) findings.push(this.#clockFinding())
    if (reached === 'no') return findings
    if (options.isReader) await this.#examineReading(bucket, report)
    else await this.#examineWriting(bucket, options, report, reached === 'refused')
    return findings
  }

  /** `refused`: the store knows the keys, and other rights may be there. */
  async #reach(bucket: string, report: Report): Promise<'yes' | 'refused' | 'no'> {
    try {
      // Not HEAD: its answer does not say why it refuses.
      await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }))
      report('reach', 'good', `the bucket ${bucket} answers`)
      return 'yes'
    } catch (error) {
      const { found, advice } = this.explain(error, bucket)
      report('reach', 'bad', found, advice)
      return isDenied(error) ? 'refused' : 'no'
    }
  }

  async #examineReading(bucket: string, report: Report): Promise<void> {
    await this.#run(bucket, report, [
      ['read', 'bad', () => this.#readOnly(bucket, report)],
      ['path style', 'note', () => this.#pathStyle(bucket, report)],
      ['region', 'note', () => this.#region(bucket, report)],
      ['rights', 'note', () => this.#rights(report)],
    ])
  }

  async #examineWriting(
    bucket: string,
    { prefix, random, retentionDays }: Examination,
    report: Report,
    isListRefused: boolean,
  ): Promise<void> {
    const trial = new TrialObjects(this.#client, bucket, `${prefix}doctor-${random.u32().toString(16)}/`)
    const isWritable = await this.#deleting(bucket, trial, report)
    const writing: Check[] = [
      ['read and write', 'bad', () => this.#readAndWrite(bucket, trial, report)],
      ['conditional put', 'bad', () => this.#conditionalPut(bucket, trial, report)],
      ['list', 'bad', () => this.#listing(bucket, trial, report)],
      ['multipart', 'bad', () => this.#multipart(bucket, trial, report)],
      ['checksum', 'note', () => this.#checksum(trial, report)],
      ['latency', 'note', () => this.#latency(bucket, trial, report)],
    ]
    try {
      await this.#run(bucket, report, [
        ...(isWritable ? writing : []),
        ['path style', 'note', () => this.#pathStyle(bucket, report)],
        ['region', 'note', () => this.#region(bucket, report)],
        ['versioning', 'note', () => this.#versioning(bucket, retentionDays, report)],
        ['object lock', 'note', () => this.#objectLock(bucket, report)],
        ['rights', 'note', () => this.#rights(report)],
      ])
      if (isListRefused && !isWritable)
        report(
          'rights',
          'bad',
          `these credentials may neither list nor delete in ${bucket}`,
          "the key may be another component's, or the bucket somebody else's",
        )
    } finally {
      for (const { key, error } of await trial.removeAll())
        report('left behind', 'bad', `${key} could not be removed: ${this.explain(error, bucket).found}`, removeAdvice)
    }
  }

  /** Each in its own try: what one can't do should not hide what the next one finds. */
  async #run(bucket: string, report: Report, checks: readonly Check[]): Promise<void> {
    for (const [check, level, run] of checks) {
      try {
        await run()
      } catch (error) {
        const { found, advice } = this.explain(error, bucket)
        // Nothing that runs needs to see how a bucket is set.
        if (level === 'note' && this.#refused.of(error) !== undefined)
          report(check, 'note', `not seen: ${found}`, "an administrator's key shows it; the process does not need it")
        else report(check, level, found, advice)
      }
    }
  }

  /** Deleting goes first: where it is refused nothing is written, since nothing could be removed. */
  async #deleting(bucket: string, trial: TrialObjects, report: Report): Promise<boolean> {
    try {
      await trial.delete('was-never-there')
      report('delete', 'good', 'objects can be deleted')
      return true
    } catch (error) {
      const { found, advice } = this.explain(error, bucket)
      report('delete', 'bad', found, `${advice}; nothing was written to try the rest, as it could not be removed`)
      return false
    }
  }

  async #readOnly(bucket: string, report: Report): Promise<void> {
    const { Contents = [] } = await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 10 }))
    const Key = Contents.find(object => (object.Size ?? 0) > 0)?.Key
    try {
      const command = new GetObjectCommand({ Bucket: bucket, Key: Key ?? 'was-never-there', Range: 'bytes=0-0' })
      await (await this.#client.send(command)).Body?.transformToByteArray()
    } catch (error) {
      if (Key !== undefined || statusOf(error) !== 404) throw error
    }
    report('read', 'good', 'lists and gets work; nothing is written with role: query, and nothing was')
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

  async #readAndWrite(bucket: string, trial: TrialObjects, report: Report): Promise<void> {
    const body = Buffer.from('tercet doctor')
    const { etag } = await trial.put('read', body)
    const got =
      (await (
        await this.#client.send(
          new GetObjectCommand({ Bucket: bucket, Key: trial.keyOf('read'), Range: 'bytes=7-100' }),
        )
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
  }

  async #conditionalPut(bucket: string, trial: TrialObjects, report: Report): Promise<void> {
    const { version } = await trial.put('conditional', Buffer.from('1'), { IfNoneMatch: '*' })
    // Every writer looks at the versions once, until it sees the condition kept.
    if (version !== undefined) await this.#versionsOf(bucket, trial.keyOf('conditional'))
    let second: string | undefined
    try {
      second = (await trial.put('conditional', Buffer.from('2'), { IfNoneMatch: '*' })).version
    } catch (error) {
      if (statusOf(error) !== 412) throw error
      return report('conditional put', 'good', 'If-None-Match holds: a second writer is fenced off')
    }
    const versions = second === undefined ? [] : await this.#versionsOf(bucket, trial.keyOf('conditional'))
    if (second === undefined || versions.length < 2)
      return report(
        'conditional put',
        'bad',
        'an object was overwritten in spite of If-None-Match',
        'two writers on one bucket could not be told apart: be sure that there is one, or take another store',
      )
    await trial.deleteVersion('conditional', second)
    report(
      'conditional put',
      'note',
      'If-None-Match is not kept in this versioned bucket',
      'Tercet compares versions instead: the key may list and delete versions, as that takes',
    )
  }

  async #versionsOf(bucket: string, key: string): Promise<string[]> {
    const { Versions = [] } = await this.#client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: key }))
    return Versions.filter(version => version.Key === key && version.VersionId !== 'null').map(v => v.VersionId ?? '')
  }

  async #listing(bucket: string, trial: TrialObjects, report: Report): Promise<void> {
    // Bytewise: Loki's chunks have colons, and a slash sorts between a dot and a digit.
    const names = ['a-1', 'a.1', 'a/1', 'a0', 'aB:c=d', 'a_b', 'ab', 'aé']
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const at = trial.keyOf('list/')
    for (const name of names) await trial.put(`list/${name}`, Buffer.from('x'))
    const list = async (): Promise<string[]> =>
      ((await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: at }))).Contents ?? []).map(o =>
        (o.Key ?? '').slice(at.length),
      )
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
    const first = await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: at, MaxKeys: 3 }))
    if (first.IsTruncated !== true || first.Contents?.length !== 3)
      report('pages', 'note', 'lists are not cut at max-keys', '')
    await trial.delete('list/ab')
    if ((await list()).includes('ab'))
      report(
        'list after delete',
        'note',
        'a deleted object is still listed',
        'readers may ask for what is gone; they skip it',
      )
  }

  async #multipart(bucket: string, trial: TrialObjects, report: Report): Promise<void> {
    await this.#upload(bucket, trial, 'multipart', [Buffer.alloc(5 * 1024 * 1024, 1), Buffer.from('end')])
    const denial = await this.#abort(bucket, trial, 'aborted')
    if (denial === undefined) return report('multipart', 'good', 'uploads in parts work, and can be given up')
    const { found, advice } = this.explain(denial, bucket)
    report('multipart', 'bad', `uploads in parts work, and can't be given up: ${found}`, advice)
  }

  /** In parts. `isToComplete`: decides behind the last part; where it is false nothing of the upload is there. */
  async #upload(
    bucket: string,
    trial: TrialObjects,
    name: string,
    bodies: readonly Uint8Array[],
    isToComplete: (uploadId: string) => Promise<boolean> = () => Promise.resolve(true),
  ): Promise<void> {
    const target = { Bucket: bucket, Key: trial.keyOf(name) }
    const { UploadId = '' } = await this.#client.send(new CreateMultipartUploadCommand(target))
    try {
      const parts: { ETag: string | undefined; PartNumber: number }[] = []
      for (const [i, Body] of bodies.entries()) {
        const part = { ...target, UploadId, PartNumber: i + 1 }
        parts.push({
          PartNumber: i + 1,
          ETag: (await this.#client.send(new UploadPartCommand({ ...part, Body }))).ETag,
        })
      }
      if (!(await isToComplete(UploadId))) return
      const whole = { ...target, UploadId, MultipartUpload: { Parts: parts } }
      await trial.writing(name, () => this.#client.send(new CompleteMultipartUploadCommand(whole)))
    } catch (error) {
      await this.#client.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => undefined)
      throw error
    }
  }

  /** The refusal, if there is one; the upload then becomes an object, which can be deleted. */
  async #abort(bucket: string, trial: TrialObjects, name: string): Promise<unknown> {
    let denial: unknown
    await this.#upload(bucket, trial, name, [Buffer.from('part')], async UploadId => {
      try {
        const target = { Bucket: bucket, Key: trial.keyOf(name), UploadId }
        await this.#client.send(new AbortMultipartUploadCommand(target))
      } catch (error) {
        denial = error
      }
      return denial !== undefined
    })
    return denial
  }

  async #checksum(trial: TrialObjects, report: Report): Promise<void> {
    try {
      await trial.put('checksum', Buffer.from('x'), { ChecksumAlgorithm: 'CRC32' })
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

  async #latency(bucket: string, trial: TrialObjects, report: Report): Promise<void> {
    const { clock } = this.#options
    const body = Buffer.alloc(1024 * 1024, 7)
    const worst = { put: 0, get: 0 }
    for (let i = 0; i < 5; i++) {
      const name = `latency-${i}`
      const start = clock.monotonicMs()
      await trial.put(name, body)
      const middle = clock.monotonicMs()
      await (
        await this.#client.send(new GetObjectCommand({ Bucket: bucket, Key: trial.keyOf(name) }))
      ).Body?.transformToByteArray()
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
    let others = 0
    try {
      others = (await this.#client.send(new ListBucketsCommand({}))).Buckets?.length ?? 0
    } catch {
      // Refused, as it should be.
    }
    if (others === 0) return report('rights', 'good', 'these credentials see no other buckets')
    report(
      'rights',
      'note',
      `these credentials may list all buckets (${others})`,
      'get, put, delete and list on the one bucket are enough: tercet deploy bootstrap-s3 --policies=DIR',
    )
  }
}

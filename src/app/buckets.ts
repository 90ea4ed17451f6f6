/** The bucket of a signal, as the configuration says: S3 with its cache, or a directory. */
import { defaultTenants } from '#api/tenancy.ts'
import { BucketError, PrefixedBucket, type Bucket } from '#bucket/bucket.ts'
import { CachedBucket } from '#bucket/cache.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import type { ProbeOperation } from '#bucket/probe.ts'
import { ReadOnlyBucket, ReadOnlyDirectory } from '#bucket/read-only.ts'
import { RootedBucket } from '#bucket/rooted.ts'
import type { S3Credentials } from '#bucket/s3.ts'
import { isDenied, problemOf } from '#bucket/store-problem.ts'
import { isUlid } from '#codec/ulid.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { maskUrl, type Secret } from '#core/secret.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Config } from './config.ts'
import type { World } from './world.ts'

type OwnOption =
  | 'endpoint'
  | 'region'
  | 'access_key_id'
  | 'access_key_id_file'
  | 'secret_access_key'
  | 'secret_access_key_file'

/** A signal's own setting, or else the one for all three. */
function ownText(config: Config, signal: SignalName, name: OwnOption): string {
  return config.text(`${signal}.bucket.s3.${name}`) || config.text(`bucket.s3.${name}`)
}

/** Where the signal's S3 store is, and how it is addressed. */
export function s3Settings(
  config: Config,
  signal: SignalName,
): { endpoint: string; region: string; pathStyle: boolean } {
  const endpoint = ownText(config, signal, 'endpoint')
  const pathStyle = config.text('bucket.s3.path_style')
  return {
    endpoint,
    region: ownText(config, signal, 'region'),
    pathStyle: pathStyle === 'auto' ? endpoint !== '' : pathStyle === 'true',
  }
}

const rightOf: Readonly<Record<ProbeOperation, string>> = {
  list: 's3:ListBucket',
  put: 's3:PutObject',
  get: 's3:GetObject',
  'ranged get': 's3:GetObject',
  'conditional put': 's3:PutObject',
  delete: 's3:DeleteObject',
}

/** What a signal's store refused at the start, in words, and what to do. */
export function explainStore(config: Config, signal: SignalName, operation: ProbeOperation, error: unknown): string {
  if (!(error instanceof BucketError) || error.cause === undefined) return messageOf(error)
  const { endpoint, region } = s3Settings(config, signal)
  const bucket = s3BucketOf(config, signal)
  const right = isDenied(error.cause) ? rightOf[operation] : undefined
  const { found, advice } = problemOf(error.cause, { endpoint: maskUrl(endpoint) || 'AWS', region, bucket, right })
  return `${found}; ${advice} (tercet check bucket says more)`
}

/** A signal's own text goes before a file for all three. */
function secretOf(config: Config, signal: SignalName, name: 'access_key_id' | 'secret_access_key'): Secret {
  const own = config.secret(`${signal}.bucket.s3.${name}`, `${signal}.bucket.s3.${name}_file`)
  return own.isSet ? own : config.secret(`bucket.s3.${name}`, `bucket.s3.${name}_file`)
}

/**
 * The signal's keys; undefined: the SDK finds them by its own chain. Files are read again each time that keys are
 * needed.
 */
export function s3Credentials(
  config: Config,
  { files }: Pick<World, 'files'>,
  signal: SignalName,
): S3Credentials | undefined {
  const id = secretOf(config, signal, 'access_key_id')
  const secret = secretOf(config, signal, 'secret_access_key')
  if (!id.isSet) return undefined
  const read = async (one: Secret): Promise<string> =>
    one.file === ''
      ? one.reveal()
      : Buffer.from(await files.read(one.file))
          .toString('utf8')
          .trim()
  return {
    isChanging: id.file !== '' || secret.file !== '',
    read: async () => ({ accessKeyId: await read(id), secretAccessKey: await read(secret) }),
  }
}

/** Objects that are read again and again, and never change. */
const cacheable: Readonly<Record<SignalName, RegExp>> = {
  metrics: /\/chunks\/\d+$|\/index$/,
  logs: /^[^/]+\/[0-9a-f]+[/:][0-9a-f]+:[0-9a-f]+:[0-9a-f]+(\.tercet-tokens)?$|\.tsdb\.gz$/,
  traces: /\/bloom-\d+$/,
}

/** The S3 bucket of a signal; empty where it is in a directory. */
export function s3BucketOf(config: Config, signal: SignalName): string {
  if (config.text(`${signal}.bucket.dir`) !== '') return ''
  return config.text(`${signal}.bucket.s3.bucket`) || config.text('bucket.s3.bucket')
}

/** Below which prefix of the bucket the signal keeps its objects; without slashes at the ends. */
export function prefixOf(config: Config, signal: SignalName): string {
  const shared = config.text('bucket.s3.prefix').replace(/\/+$/, '')
  // Tempo takes every first-level prefix for a tenant: traces don't share theirs with the other signals.
  const isSharedWithTraces = signal === 'traces' && config.text('traces.bucket.s3.bucket') === ''
  const prefix = config.text(`${signal}.bucket.s3.prefix`) || (isSharedWithTraces ? `${shared}/traces` : shared)
  return prefix.replace(/^\/+|\/+$/g, '')
}

/** A key that can't be read at the start is a mistake, and no store that is away. Throws BadDataError. */
async function refuseUnreadable(config: Config, { files }: World, signal: SignalName): Promise<void> {
  for (const name of ['access_key_id', 'secret_access_key'] as const) {
    const { file } = secretOf(config, signal, name)
    if (file === '') continue
    await files.read(file).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      throw new BadDataError(
        `bucket.s3.${name}_file (${signal}): ${reason}. ${userText()} has to be able to read it: give it the file ` +
          '(chown), or let others read it (chmod 0644)',
      )
    })
  }
}

function userText(): string {
  const id = process.getuid?.()
  return id === undefined ? 'This program' : `The user ${id}, as whom this program runs,`
}

/** A bucket that others write: blocks of metrics may lie at its root. */
function asForeign(bucket: Bucket, signal: SignalName): Bucket {
  return signal === 'metrics' ? new RootedBucket(bucket, { tenant: defaultTenants.metrics, isBlock: isUlid }) : bucket
}

/**
 * For how long the signal's data is kept. A process that only reads shows what the bucket has, unless it is told
 * otherwise: who writes there decides what goes.
 */
export function retentionMsOf(config: Config, signal: SignalName): number {
  const name = `${signal}.retention` as const
  return config.text('role') === 'query' && !config.isSet(name) ? Infinity : config.durationMs(name)
}

/**
 * Opens nothing of the network yet. Throws BadDataError for an endpoint without TLS that was not allowed, and for a
 * file of keys that can't be read.
 */
export async function openBucket(config: Config, world: World, signal: SignalName): Promise<Bucket> {
  if (world.bucketOf !== undefined) return world.bucketOf(signal)
  const s3Name = s3BucketOf(config, signal)
  const ownDirectory = config.text(`${signal}.bucket.dir`)
  const dataDirectory = config.text('data_dir')
  const isReader = config.text('role') === 'query'
  if (s3Name === '') {
    const shared = config.text('bucket.dir')
    const path = ownDirectory || `${shared === '' ? `${dataDirectory}/bucket` : shared}/${signal}`
    return isReader ? asForeign(new ReadOnlyDirectory(path), signal) : new DirectoryBucket(path)
  }
  const { endpoint, ...s3 } = s3Settings(config, signal)
  if (endpoint.startsWith('http://') && !config.isOn('bucket.s3.allow_insecure'))
    throw new BadDataError(
      `bucket.s3.endpoint ${maskUrl(endpoint)} has no TLS; use https://, or allow it with ` +
        'bucket.s3.allow_insecure: true',
    )
  await refuseUnreadable(config, world, signal)
  const { openS3 } = await import('#bucket/s3.ts')
  const bucket = await openS3({
    endpoint,
    ...s3,
    bucket: s3Name,
    credentials: s3Credentials(config, world, signal),
    clock: world.clock,
  })
  const prefix = prefixOf(config, signal)
  const below = prefix === '' ? '' : `${prefix}/`
  const own = prefix === '' ? bucket : new PrefixedBucket(bucket, below)
  const whole = isReader ? asForeign(new ReadOnlyBucket(bucket, below), signal) : own
  return withCache(config, world, signal, whole)
}

/** The bucket of a store that is asked over a network, with its local copies. */
export async function withCache(
  config: Config,
  { files, log }: Pick<World, 'files' | 'log'>,
  signal: SignalName,
  bucket: Bucket,
): Promise<Bucket> {
  const bytesMax = config.bytes('bucket.cache_size')
  if (bytesMax === 0) return bucket
  return CachedBucket.open(bucket, {
    files,
    log,
    directory: `${config.text('data_dir')}/cache/${signal}`,
    bytesMax,
    isCacheable: key => cacheable[signal].test(key),
  })
}

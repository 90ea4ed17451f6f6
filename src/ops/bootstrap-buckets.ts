/**
 * `tercet deploy bootstrap-s3`: makes the buckets of a stack, with an administrator's credentials, which nothing that
 * runs ever gets.
 */
import { S3Admin } from '#bucket/s3-admin.ts'
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import type { Stack } from '#deploy/stack.ts'
import type { Output } from './output.ts'

export interface BootstrapOptions {
  stack: Stack
  accessKeyId: string
  secretAccessKey: string
  /** Days that overwritten and deleted objects are kept. */
  noncurrentDays: number
  isVersioned: boolean
  isJson: boolean
}

/** Throws BadDataError where the stack has no store, or keys are missing. */
export async function bootstrapBuckets(options: BootstrapOptions, { out }: Output): Promise<void> {
  const { stack, accessKeyId, isJson, isVersioned, noncurrentDays, secretAccessKey } = options
  const { s3 } = stack
  if (s3 === undefined) throw new BadDataError('the configuration has no s3: name endpoint, region and buckets')
  if (!Number.isInteger(noncurrentDays) || noncurrentDays < 1)
    throw new BadDataError('--noncurrent-days is a whole number of days, 1 at least')
  if (accessKeyId === '')
    throw new BadDataError(
      "name the administrator's keys: --access-key-id-file and --secret-access-key-file, " +
        'or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    )
  const admin = new S3Admin({
    endpoint: s3.endpoint,
    region: s3.region,
    credentials: { accessKeyId, secretAccessKey },
    pathStyle: s3.endpoint !== '',
    clock: systemClock,
  })
  const done: Record<string, string[]> = {}
  try {
    for (const name of new Set(stack.signals.map(signal => s3.buckets[signal]))) {
      const changes = await admin.ensureBucket(name, { isVersioned, noncurrentDays, abortMultipartDays: 1 })
      done[name] = changes
      if (!isJson) out(`${name}: ${changes.join('; ') || 'is as it should be'}`)
    }
  } finally {
    admin.close()
  }
  if (isJson) out(JSON.stringify(done))
}

/**
 * `tercet deploy bootstrap-s3`: makes the buckets of a stack, with an administrator's credentials, which nothing that
 * runs ever gets, and writes the policies of what runs.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { S3Admin } from '#bucket/s3-admin.ts'
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { makePolicies, readPrincipals, type Component } from '#deploy/bucket-policies.ts'
import type { Stack, StackS3 } from '#deploy/stack.ts'
import type { Output } from './output.ts'

export interface BootstrapOptions {
  stack: Stack
  accessKeyId: string
  secretAccessKey: string
  /** Days that overwritten and deleted objects are kept. */
  noncurrentDays: number
  isVersioned: boolean
  /** Where policies are written; undefined: none are. */
  policiesDirectory: string | undefined
  /** `metrics=arn:…`: whom the policies of buckets let in. */
  principals: readonly string[]
  isJson: boolean
}

/** Throws BadDataError where the stack has no store, keys are missing, or the store refuses. */
export async function bootstrapBuckets(options: BootstrapOptions, { out }: Output): Promise<void> {
  const { accessKeyId, isJson, noncurrentDays, policiesDirectory, stack } = options
  const { s3 } = stack
  if (s3 === undefined) throw new BadDataError('the configuration has no s3: name endpoint, region and buckets')
  if (!Number.isInteger(noncurrentDays) || noncurrentDays < 1)
    throw new BadDataError('--noncurrent-days is a whole number of days, 1 at least')
  if (accessKeyId === '')
    throw new BadDataError(
      "name the administrator's keys: --access-key-id-file and --secret-access-key-file, " +
        'or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    )
  const principals = readPrincipals(options.principals)
  if (policiesDirectory === undefined && principals.size > 0)
    throw new BadDataError('--principal is for the policies that --policies=DIR writes')
  const done = await makeBuckets(options, s3, isJson ? () => {} : out)
  if (policiesDirectory !== undefined) {
    const unnamed = writePolicies(options, s3, policiesDirectory, principals)
    if (!isJson) out(policiesLine(policiesDirectory, unnamed))
  }
  if (isJson) out(JSON.stringify(done))
}

async function makeBuckets(
  { accessKeyId, isVersioned, noncurrentDays, secretAccessKey, stack }: BootstrapOptions,
  s3: StackS3,
  out: Output['out'],
): Promise<Record<string, string[]>> {
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
      out(`${name}: ${changes.join('; ') || 'is as it should be'}`)
    }
  } finally {
    admin.close()
  }
  return done
}

/** Whose principal is still to be named. */
function writePolicies(
  { isVersioned, stack }: BootstrapOptions,
  { buckets, region }: StackS3,
  directory: string,
  principals: ReadonlyMap<Component, readonly string[]>,
): readonly Component[] {
  const { files, unnamed } = makePolicies({ signals: stack.signals, buckets, isVersioned, region, principals })
  for (const [path, text] of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  return unnamed
}

function policiesLine(directory: string, unnamed: readonly Component[]): string {
  const where = `policies: ${join(directory, 'bucket')} has one a bucket, ${join(directory, 'user')} one a user`
  if (unnamed.length === 0) return where
  return `${where}; those of buckets have placeholders: --principal=${unnamed[0]}=ARN (${unnamed.join(', ')})`
}

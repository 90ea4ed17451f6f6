/** `tercet deploy bootstrap-s3` and `tercet check bucket`. */
import { readFileSync } from 'node:fs'
import { S3Admin, type Finding } from '#bucket/s3-admin.ts'
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { systemRandom } from '#core/random.ts'
import { signals } from '#core/signal-name.ts'
import { s3Credentials, s3Settings } from './buckets.ts'
import type { Config } from './config.ts'
import { noMoreFlags, takeFlag, type Arguments } from './arguments.ts'
import { readStackFile } from './deploy.ts'
import type { World } from './world.ts'

const day = 86_400_000

/** With an administrator's credentials, which nothing that runs ever gets. */
export async function bootstrapVerb({ flags, words, json }: Arguments): Promise<number> {
  const part = (name: string, variable: string): string => {
    const file = takeFlag(flags, `${name}-file`),
      text = file === undefined ? (process.env[variable] ?? '') : readFileSync(file, 'utf8').trim()
    return text
  }
  const accessKeyId = part('access-key-id', 'AWS_ACCESS_KEY_ID'),
    secretAccessKey = part('secret-access-key', 'AWS_SECRET_ACCESS_KEY')
  const noncurrentDays = Number(takeFlag(flags, 'noncurrent-days') ?? '7'),
    isVersioned = (takeFlag(flags, 'versioning') ?? 'on') === 'on'
  const { stack } = readStackFile(flags)
  noMoreFlags(flags, 'deploy bootstrap-s3')
  if (words.length > 0) throw new BadDataError(`deploy bootstrap-s3 takes no ${words[0]!}`)
  if (stack.s3 === undefined) throw new BadDataError('the configuration has no s3: name endpoint, region and buckets')
  if (!Number.isInteger(noncurrentDays) || noncurrentDays < 1)
    throw new BadDataError('--noncurrent-days is a whole number of days, 1 at least')
  if (accessKeyId === '')
    throw new BadDataError(
      "name the administrator's keys: --access-key-id-file and --secret-access-key-file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )
  const admin = new S3Admin({
    endpoint: stack.s3.endpoint,
    region: stack.s3.region,
    credentials: { accessKeyId, secretAccessKey },
    pathStyle: stack.s3.endpoint !== '',
    clock: systemClock,
  })
  const done: Record<string, string[]> = {}
  try {
    for (const name of new Set(stack.signals.map(signal => stack.s3!.buckets[signal]))) {
      done[name] = await admin.ensureBucket(name, { isVersioned, noncurrentDays, abortMultipartDays: 1 })
      if (!json) process.stdout.write(`${name}: ${done[name].join('; ') || 'is as it should be'}\n`)
    }
  } finally {
    admin.close()
  }
  if (json) process.stdout.write(`${JSON.stringify(done)}\n`)
  return 0
}

/** Every bucket of a configuration, once. Exit code 1 where something is bad. */
export async function checkBuckets(config: Config, world: World, json: boolean): Promise<number> {
  const findings: (Finding & { bucket: string })[] = [],
    seen = new Set<string>()
  for (const signal of signals) {
    const bucket = config.text(`${signal}.bucket.s3.bucket`) || config.text('bucket.s3.bucket'),
      { endpoint, region, pathStyle } = s3Settings(config, signal)
    if (bucket === '') {
      findings.push({
        bucket: signal,
        check: 'kind',
        level: 'note',
        found: 'a directory on this machine',
        advice: 'durable as its disk is; name bucket.s3.bucket for a store',
      })
      continue
    }
    if (seen.has(`${endpoint} ${bucket}`)) continue
    seen.add(`${endpoint} ${bucket}`)
    const credentials = await s3Credentials(config, world, signal)?.read(),
      admin = new S3Admin({ endpoint, region, credentials, pathStyle, clock: systemClock })
    if (endpoint.startsWith('http://'))
      findings.push({
        bucket,
        check: 'tls',
        level: 'note',
        found: 'the endpoint has no TLS',
        advice: 'keys and data can be read on the way',
      })
    // The first level of a bucket of traces belongs to tenants.
    const prefix =
      `${config.text(`${signal}.bucket.s3.prefix`) || config.text('bucket.s3.prefix')}/${{ metrics: 'anonymous', logs: 'fake', traces: 'single-tenant' }[signal]}/tercet/`.replace(
        /^\/+/,
        '',
      )
    try {
      for (const finding of await admin.examine(bucket, {
        prefix,
        retentionDays: config.durationMs(`${signal}.retention`) / day,
        random: systemRandom,
      }))
        findings.push({ bucket, ...finding })
    } finally {
      admin.close()
    }
  }
  const isBad = findings.some(f => f.level === 'bad')
  if (json) process.stdout.write(`${JSON.stringify({ ok: !isBad, findings })}\n`)
  else
    for (const { bucket, check, level, found, advice } of findings)
      process.stdout.write(
        `${{ good: 'ok  ', note: 'note', bad: 'BAD ' }[level]} ${bucket.padEnd(14)} ${check.padEnd(18)} ${found}${advice === '' ? '' : `\n     ${' '.repeat(34)}${advice}`}\n`,
      )
  return isBad ? 1 : 0
}

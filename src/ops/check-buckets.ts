/** `tercet check bucket`: how an S3 store behaves, and what should be set there. */
import { S3Admin, type Finding } from '#bucket/s3-admin.ts'
import { systemClock } from '#core/clock.ts'
import { addAll } from '#core/lists.ts'
import { systemRandom } from '#core/random.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { defaultTenants } from '#api/tenancy.ts'
import { prefixOf, s3BucketOf, s3Credentials, s3Settings } from '#app/buckets.ts'
import type { Config } from '#app/config.ts'
import type { World } from '#app/world.ts'
import { findInBuckets } from './existing-buckets.ts'
import type { Output } from './output.ts'

type BucketFinding = Finding & { bucket: string }

const dayMs = 86_400_000

/**
 * Every bucket of a configuration, once; with `role: query` what it takes to read, and what is there.
 * 1 where something is bad.
 */
export async function checkBuckets(config: Config, world: World, isJson: boolean, output: Output): Promise<number> {
  const isReader = config.text('role') === 'query'
  const findings: BucketFinding[] = []
  const seen = new Set<string>()
  for (const signal of signals) {
    const bucket = s3BucketOf(config, signal)
    const keys = await s3Credentials(config, world, signal)?.read()
    const { endpoint } = s3Settings(config, signal)
    const place = [endpoint, bucket, keys?.accessKeyId].join(' ')
    if (bucket === '' && isReader) continue
    if (bucket === '')
      findings.push({
        bucket: signal,
        check: 'kind',
        level: 'note',
        found: 'a directory on this machine',
        advice: 'durable as its disk is; name bucket.s3.bucket for a store',
      })
    else if (!seen.has(place)) addAll(findings, await examine(config, world, signal, bucket))
    seen.add(place)
  }
  if (isReader) addAll(findings, await findInBuckets(config, world))
  return report(findings, isJson, output)
}

function report(findings: readonly BucketFinding[], isJson: boolean, { out }: Output): number {
  const isBad = findings.some(finding => finding.level === 'bad')
  if (isJson) out(JSON.stringify({ ok: !isBad, findings }))
  else for (const finding of findings) out(lineOf(finding))
  return isBad ? 1 : 0
}

async function examine(config: Config, world: World, signal: SignalName, bucket: string): Promise<BucketFinding[]> {
  const { endpoint, region, pathStyle } = s3Settings(config, signal)
  const credentials = await s3Credentials(config, world, signal)?.read()
  const findings: Finding[] = []
  if (endpoint.startsWith('http://'))
    findings.push({
      check: 'tls',
      level: 'note',
      found: 'the endpoint has no TLS',
      advice: 'keys and data can be read on the way',
    })
  // The first level of a bucket of traces belongs to tenants.
  const prefix = `${prefixOf(config, signal)}/${defaultTenants[signal]}/tercet/`.replace(/^\//, '')
  const retentionDays = config.durationMs(`${signal}.retention`) / dayMs
  const isReader = config.text('role') === 'query'
  const admin = new S3Admin({ endpoint, region, credentials, pathStyle, clock: systemClock })
  try {
    addAll(findings, await admin.examine(bucket, { isReader, prefix, retentionDays, random: systemRandom }))
  } finally {
    admin.close()
  }
  return findings.map(finding => ({ bucket, ...finding }))
}

const shownLevels: Readonly<Record<Finding['level'], string>> = { good: 'ok  ', note: 'note', bad: 'BAD ' }

function lineOf({ bucket, check, level, found, advice }: BucketFinding): string {
  const below = advice === '' ? '' : `\n${' '.repeat(39)}${advice}`
  return `${shownLevels[level]} ${bucket.padEnd(14)} ${check.padEnd(18)} ${found}${below}`
}

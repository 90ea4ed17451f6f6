/** `tercet import` of blocks and chunks: copied as they are, since the formats are the same. */
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { PrefixedBucket, type Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import { systemClock } from '#core/clock.ts'
import { BadDataError, NotFoundError } from '#core/errors.ts'
import { marked } from '#store/upload-mark.ts'
import { planCopy, type CopyStep, type ImportSource } from './import-plan.ts'
import { request, type Server } from './client.ts'
import type { Output } from './output.ts'
import { Progress } from './progress.ts'

/** How the source's S3 store is reached. */
export interface SourceAccess {
  endpoint: string
  region: string
  /** Empty: the SDK's own chain. */
  accessKeyId: string
  secretAccessKey: string
}

/** `place`: a directory, or `s3://bucket/prefix`. Throws BadDataError where there is no such directory. */
export async function openSource(place: string, access: SourceAccess): Promise<Bucket> {
  const [, name, path = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(place) ?? []
  if (name === undefined) {
    if (existsSync(place)) return new DirectoryBucket(place)
    throw new BadDataError(`${place}: no such directory; s3://bucket/prefix or a directory were expected`)
  }
  const { openS3 } = await import('#bucket/s3.ts')
  const { accessKeyId, endpoint, region, secretAccessKey } = access
  const keys = { accessKeyId, secretAccessKey }
  const bucket = await openS3({
    endpoint,
    region,
    bucket: name,
    credentials: accessKeyId === '' ? undefined : { isChanging: false, read: () => Promise.resolve(keys) },
    pathStyle: endpoint !== '',
    clock: systemClock,
  })
  const prefix = path.replace(/\/+$/, '')
  return prefix === '' ? bucket : new PrefixedBucket(bucket, `${prefix}/`)
}

export interface BlockImport {
  from: ImportSource
  source: Bucket
  target: Bucket
  /** Tenant of Prometheus' and Thanos' blocks. */
  tenant: string
  retentionMs: number
  /** For messages: `metrics.retention (30d)`. */
  retentionName: string
  /** A directory for objects that are too large for the memory. */
  spillDirectory: string
  /** A running process that is asked to look for new blocks. */
  server: Server | undefined
  isJson: boolean
}

/** Objects that are there with the same size are not copied again. */
export async function importBlocks(task: BlockImport, { out, err }: Output): Promise<void> {
  const { from, isJson, source, target, tenant, server } = task
  const isTargetDirectory = target instanceof DirectoryBucket
  const { steps, skipped } = await planCopy(from, source, { tenant, isTargetDirectory })
  for (const reason of skipped) err(`skipped ${reason}`)
  const oldestMs = systemClock.nowMs() - task.retentionMs
  const tooOld = steps.filter(step => step.newestMs !== undefined && step.newestMs < oldestMs).length
  if (tooOld > 0)
    err(`warning too-old: ${tooOld} blocks are older than ${task.retentionName} and will be deleted by it`)
  const { copied, present, bytes } = await copyAll(steps, task)
  if (server !== undefined) await askToRefresh(server)
  const hint = server === undefined ? '; a running process finds them within the hour, or at once with --url' : ''
  if (isJson) out(JSON.stringify({ copied, present, bytes, skipped }))
  else out(`${copied} objects copied, ${present} were there, ${(bytes / 1e6).toFixed(1)} MB in all${hint}`)
}

async function copyAll(
  steps: readonly CopyStep[],
  { from, isJson, source, spillDirectory, target }: BlockImport,
): Promise<{ copied: number; present: number; bytes: number }> {
  const progress = new Progress(`${from} → ${target.description}`, process.stderr.isTTY && !isJson)
  const allBytes = steps.reduce((sum, step) => sum + step.bytes, 0)
  const spillPath = `${spillDirectory}/import-${process.pid}.part`
  let bytes = 0
  let copied = 0
  const copyOne = async (step: CopyStep): Promise<void> => {
    if (!(await isThere(target, step))) {
      await copy(source, target, step, spillPath)
      copied++
    }
    bytes += step.bytes
    progress.show(bytes, allBytes, `${copied} objects`)
  }
  for (const { block, steps: own } of inBlocks(steps)) {
    const copyEach = async (): Promise<void> => {
      for (const step of own) await copyOne(step)
    }
    if (block === undefined || (await isThere(target, own.at(-1)!))) await copyEach()
    else await marked(target, block, copyEach)
  }
  return { copied, present: steps.length - copied, bytes: allBytes }
}

/** Steps of one block together; those of no block one by one. */
function inBlocks(steps: readonly CopyStep[]): { block: string | undefined; steps: CopyStep[] }[] {
  const groups: { block: string | undefined; steps: CopyStep[] }[] = []
  for (const step of steps) {
    const last = groups.at(-1)
    if (last !== undefined && step.block !== undefined && last.block === step.block) last.steps.push(step)
    else groups.push({ block: step.block, steps: [step] })
  }
  return groups
}

async function isThere(target: Bucket, { to, bytes }: CopyStep): Promise<boolean> {
  try {
    return (await target.size(to)) === bytes
  } catch (error) {
    if (error instanceof NotFoundError) return false
    throw error
  }
}

const pieceBytes = 32 * 1024 * 1024

/** A chunk file of a block is half a GB: a large object goes over the disk, piece by piece. */
async function copy(source: Bucket, target: Bucket, { from, to, bytes }: CopyStep, spillPath: string): Promise<void> {
  if (bytes <= pieceBytes) {
    await target.put(to, await source.get(from))
    return
  }
  mkdirSync(dirname(spillPath), { recursive: true })
  try {
    writeFileSync(spillPath, '')
    for (let at = 0; at < bytes; at += pieceBytes)
      appendFileSync(spillPath, await source.getRange(from, at, Math.min(pieceBytes, bytes - at)))
    await target.putFile(to, spillPath)
  } finally {
    rmSync(spillPath, { force: true })
  }
}

async function askToRefresh(server: Server): Promise<void> {
  const reply = await request(server, '/-/refresh', { method: 'POST' })
  if (!reply.ok) throw new BadDataError(`${server.url}/-/refresh answered ${reply.status}`)
}

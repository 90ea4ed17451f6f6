/** `tercet import`: history of others. Blocks and chunks are copied as they are, since the formats are the same; VictoriaMetrics is asked for its samples. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DirectoryBucket } from '#bucket/directory.ts'
import { PrefixedBucket, type Bucket } from '#bucket/bucket.ts'
import { systemClock } from '#core/clock.ts'
import { BadDataError, messageOf, NotFoundError } from '#core/errors.ts'
import { planCopy, type CopyStep, type ImportSource } from './import-plan.ts'
import type { SignalName } from '#core/signal-name.ts'
import { openBucket } from './buckets.ts'
import { loadConfig } from './config.ts'
import { noMoreFlags, takeFlag, type Arguments } from './arguments.ts'
import { makeLog } from './logger.ts'
import { momentOf } from './rules-replay.ts'
import { systemWorld } from './world.ts'

export const importHelp = `tercet import: takes the history of others in. It can be stopped and begun again: what is there already is skipped.

  tercet import --from=prometheus /prometheus --data_dir=./data                 blocks of a Prometheus (a snapshot, or a stopped one's directory)
  tercet import --from=thanos s3://thanos-bucket --bucket.s3.bucket=metrics …   the same out of a bucket
  tercet import --from=mimir|loki|tempo s3://mimir-blocks …                     with all tenants; in place nothing has to be copied at all
  tercet import --from=victoriametrics http://vmsingle:8428 --url=http://127.0.0.1:8428 --start=30d --end=0s

Where to: the configuration of the process (--config, --key=value), and for VictoriaMetrics the running process at --url.
Options: --tenant=anonymous (blocks of Prometheus and Thanos), --source-endpoint, --source-region, --source-access-key-id-file,
--source-secret-access-key-file (else AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), --match='{job="x"}' and --state=FILE (VictoriaMetrics), --url (a running process is told to look).
`

const sources: Readonly<Record<ImportSource, SignalName>> = {
  prometheus: 'metrics',
  thanos: 'metrics',
  mimir: 'metrics',
  loki: 'logs',
  tempo: 'traces',
}

/** A line that is written over where somebody looks on, and now and then where nobody does. */
class Progress {
  readonly #isShown: boolean
  readonly #what: string
  #lastMs = 0

  constructor(what: string, isShown: boolean) {
    this.#what = what
    this.#isShown = isShown
  }

  show(done: number, all: number, extra = ''): void {
    const nowMs = systemClock.monotonicMs()
    if (!this.#isShown || (nowMs - this.#lastMs < 100 && done < all)) return
    this.#lastMs = nowMs
    const share = all === 0 ? 1 : done / all,
      width = 30,
      filled = Math.round(share * width)
    process.stderr.write(
      `\r${this.#what} [${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${(share * 100).toFixed(0).padStart(3)} % ${extra}\x1b[K${done >= all ? '\n' : ''}`,
    )
  }
}

async function openSource(place: string, flags: string[]): Promise<Bucket> {
  const endpoint = takeFlag(flags, 'source-endpoint') ?? '',
    region = takeFlag(flags, 'source-region') ?? 'us-east-1',
    idFile = takeFlag(flags, 'source-access-key-id-file'),
    secretFile = takeFlag(flags, 'source-secret-access-key-file')
  const match = /^s3:\/\/([^/]+)\/?(.*)$/.exec(place)
  if (match === null) {
    if (!existsSync(place))
      throw new BadDataError(`${place}: no such directory; s3://bucket/prefix or a directory were expected`)
    return new DirectoryBucket(place)
  }
  const { openS3 } = await import('#bucket/s3.ts'),
    accessKeyId = idFile === undefined ? (process.env['AWS_ACCESS_KEY_ID'] ?? '') : readFileSync(idFile, 'utf8').trim(),
    secretAccessKey =
      secretFile === undefined ? (process.env['AWS_SECRET_ACCESS_KEY'] ?? '') : readFileSync(secretFile, 'utf8').trim()
  const bucket = await openS3({
    endpoint,
    region,
    bucket: match[1]!,
    credentials:
      accessKeyId === ''
        ? undefined
        : { isChanging: false, read: () => Promise.resolve({ accessKeyId, secretAccessKey }) },
    pathStyle: endpoint !== '',
    clock: systemClock,
  })
  const prefix = match[2]!.replace(/\/+$/, '')
  return prefix === '' ? bucket : new PrefixedBucket(bucket, `${prefix}/`)
}

async function isThere(target: Bucket, { to, bytes }: CopyStep): Promise<boolean> {
  try {
    return (await target.size(to)) === bytes
  } catch (error) {
    if (error instanceof NotFoundError) return false
    throw error
  }
}

async function importBlocks(from: ImportSource, args: Arguments): Promise<number> {
  const { flags, words, json } = args,
    [place] = words
  if (place === undefined || words.length > 1)
    throw new BadDataError(`import --from=${from} takes one source: a directory, or s3://bucket/prefix`)
  const tenant = takeFlag(flags, 'tenant') ?? 'anonymous',
    url = takeFlag(flags, 'url'),
    source = await openSource(place, flags),
    signal = sources[from],
    configPath = takeFlag(flags, 'config')
  const config = loadConfig({
    ...(configPath === undefined ? {} : { file: { path: configPath, text: readFileSync(configPath, 'utf8') } }),
    environment: process.env,
    flags,
  })
  // Copies don't go through the cache.
  const world = systemWorld(makeLog('logfmt', 'error')),
    target = await openBucket(config, world, signal)
  const { steps, skipped } = await planCopy(from, source, {
    tenant,
    isTargetDirectory: target instanceof DirectoryBucket,
  })
  for (const reason of skipped) process.stderr.write(`skipped ${reason}\n`)
  const retentionMs = config.durationMs(`${signal}.retention`),
    oldest = steps.filter(s => s.newestMs !== undefined && s.newestMs < systemClock.nowMs() - retentionMs)
  if (oldest.length > 0)
    process.stderr.write(
      `warning too-old: ${oldest.length} blocks are older than ${signal}.retention (${config.text(`${signal}.retention`)}) and will be deleted by it\n`,
    )
  const progress = new Progress(`${from} → ${target.description}`, process.stderr.isTTY && !json),
    allBytes = steps.reduce((sum, s) => sum + s.bytes, 0)
  // A chunk file of a block is half a GB: what is large goes over the disk, piece by piece.
  const aside = `${config.text('data_dir')}/import-${process.pid}.part`
  let bytes = 0,
    copied = 0,
    present = 0
  for (const step of steps) {
    if (await isThere(target, step)) present++
    else {
      await copy(source, target, step, aside)
      copied++
    }
    bytes += step.bytes
    progress.show(bytes, allBytes, `${copied} objects`)
  }
  if (url !== undefined) await tell(url)
  process.stdout.write(
    json
      ? `${JSON.stringify({ copied, present, bytes: allBytes, skipped })}\n`
      : `${copied} objects copied, ${present} were there, ${(allBytes / 1e6).toFixed(1)} MB in all${url === undefined ? '; a running process finds them within the hour, or at once with --url' : ''}\n`,
  )
  return 0
}

const pieceBytes = 32 * 1024 * 1024

async function copy(source: Bucket, target: Bucket, { from, to, bytes }: CopyStep, aside: string): Promise<void> {
  if (bytes <= pieceBytes) {
    await target.put(to, await source.get(from))
    return
  }
  mkdirSync(dirname(aside), { recursive: true })
  try {
    writeFileSync(aside, '')
    for (let at = 0; at < bytes; at += pieceBytes)
      appendFileSync(aside, await source.getRange(from, at, Math.min(pieceBytes, bytes - at)))
    await target.putFile(to, aside)
  } finally {
    rmSync(aside, { force: true })
  }
}

async function tell(url: string): Promise<void> {
  const reply = await fetch(`${url}/-/refresh`, { method: 'POST' })
  if (!reply.ok) throw new BadDataError(`${url}/-/refresh answered ${reply.status}`)
}

interface State {
  source: string
  match: string
  doneUntilMs: number
  samples: number
}

const windowMs = 86_400_000
const postBytes = 4 * 1024 * 1024

/** Samples of VictoriaMetrics, a day at a time, the oldest first: JSON lines as it exports them, which Tercet imports. */
async function importVictoria(args: Arguments): Promise<number> {
  const { flags, words, json } = args,
    [source] = words,
    nowMs = systemClock.nowMs()
  const url = takeFlag(flags, 'url') ?? 'http://127.0.0.1:8428',
    match = takeFlag(flags, 'match') ?? '{__name__!=""}',
    statePath = takeFlag(flags, 'state') ?? '.tercet-import.json'
  const startMs = momentOf(takeFlag(flags, 'start') ?? '30d', nowMs),
    endMs = momentOf(takeFlag(flags, 'end') ?? '0s', nowMs),
    tenant = takeFlag(flags, 'tenant')
  noMoreFlags(flags, 'import --from=victoriametrics')
  if (source === undefined || words.length > 1 || !/^https?:\/\//.test(source))
    throw new BadDataError('import --from=victoriametrics takes its URL: http://vmsingle:8428')
  if (startMs >= endMs) throw new BadDataError('--start is not before --end')
  const before = existsSync(statePath) ? (JSON.parse(readFileSync(statePath, 'utf8')) as State) : undefined
  const state: State =
    before !== undefined && before.source === source && before.match === match
      ? before
      : { source, match, doneUntilMs: startMs, samples: 0 }
  const progress = new Progress(`${source} → ${url}`, process.stderr.isTTY && !json),
    from = Math.max(startMs, state.doneUntilMs)
  for (let at = from; at < endMs; at = Math.min(at + windowMs, endMs)) {
    progress.show(at - startMs, endMs - startMs, `${state.samples} samples`)
    const until = Math.min(at + windowMs, endMs)
    // Both ends are inside there.
    state.samples += await copyWindow(source, url, match, at, until === endMs ? until : until - 1, tenant)
    state.doneUntilMs = until
    writeFileSync(statePath, JSON.stringify(state))
  }
  progress.show(1, 1, `${state.samples} samples`)
  process.stdout.write(
    json
      ? `${JSON.stringify({ samples: state.samples })}\n`
      : `${state.samples} samples from ${source}${from > startMs ? ', the first part of them in an earlier run' : ''}\n`,
  )
  return 0
}

async function copyWindow(
  source: string,
  url: string,
  match: string,
  fromMs: number,
  toMs: number,
  tenant: string | undefined,
): Promise<number> {
  const parameters = new URLSearchParams({
    'match[]': match,
    start: String(fromMs / 1000),
    end: String(toMs / 1000),
    max_rows_per_line: '10000',
    reduce_mem_usage: '1',
  })
  let reply: Response
  try {
    reply = await fetch(`${source}/api/v1/export?${parameters.toString()}`)
  } catch (error) {
    throw new BadDataError(`${source} can't be reached: ${messageOf(error)}; begun again, the import goes on here`)
  }
  if (!reply.ok || reply.body === null)
    throw new BadDataError(`${source}/api/v1/export answered ${reply.status}: ${(await reply.text()).slice(0, 300)}`)
  let samples = 0,
    waiting: string[] = [],
    waitingBytes = 0,
    rest = ''
  const send = async (): Promise<void> => {
    if (waiting.length === 0) return
    const answer = await fetch(`${url}/api/v1/import`, {
      method: 'POST',
      body: waiting.join('\n'),
      ...(tenant === undefined ? {} : { headers: { 'x-scope-orgid': tenant } }),
    })
    if (!answer.ok)
      throw new BadDataError(
        `${url} refused samples: ${(await answer.text()).trim().slice(0, 300)}. Old ones are taken with --metrics.out_of_order_window=inf, and kept with a long --metrics.retention`,
      )
    waiting = []
    waitingBytes = 0
  }
  const line = async (text: string): Promise<void> => {
    if (text === '') return
    samples += (JSON.parse(text) as { values: unknown[] }).values.length
    waiting.push(text)
    waitingBytes += text.length
    if (waitingBytes >= postBytes) await send()
  }
  const decoder = new TextDecoder()
  for await (const chunk of reply.body) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
    rest = lines.pop()!
    for (const text of lines) await line(text)
  }
  await line(rest)
  await send()
  return samples
}

export async function runImport(args: Arguments): Promise<number> {
  const from = takeFlag(args.flags, 'from')
  if (from === 'victoriametrics') return importVictoria(args)
  if (from === undefined || !(from in sources))
    throw new BadDataError(`import: --from is one of ${Object.keys(sources).join(', ')}, victoriametrics`)
  return importBlocks(from as ImportSource, args)
}

/** `tercet check data`: verifies the data of all signals in their buckets, and the log on disk and in the bucket. */
import { DirectoryBucket } from '#bucket/directory.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { DirectoryLock } from '#core/directory-lock.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { yieldEvery } from '#core/yield.ts'
import { decodeHeader, scanFrames, splitSegments, unpackSegment } from '#store/wal-segment.ts'
import { openBucket } from '#app/buckets.ts'
import type { Config } from '#app/config.ts'
import { FormatRecords } from '#app/format-records.ts'
import { defaultTenants } from '#api/tenancy.ts'
import type { World } from '#app/world.ts'
import { damageOf, type DataCheck, type DataFinding } from './data-check.ts'
import { checkLogs } from './data-check-logs.ts'
import { checkMetrics } from './data-check-metrics.ts'
import { checkTraces } from './data-check-traces.ts'
import type { Output } from './output.ts'

const checks: Readonly<Record<SignalName, (check: DataCheck) => Promise<void>>> = {
  metrics: checkMetrics,
  logs: checkLogs,
  traces: checkTraces,
}
const segmentBytesMax = 1024 * 1024 * 1024

/** 0: nothing is wrong; 1: something is, repaired or not; 2: the data could not be checked. */
export async function checkData(
  config: Config,
  world: World,
  { isRepair, isJson }: { isRepair: boolean; isJson: boolean },
  { out, err }: Output,
): Promise<number> {
  const dataDirectory = config.text('data_dir')
  let lock: DirectoryLock | undefined
  try {
    lock = isRepair ? await world.lockDirectory(dataDirectory) : undefined
  } catch (error) {
    err(`a process that writes is to be stopped before its data is repaired: ${messageOf(error)}`)
    return 2
  }
  const findings: DataFinding[] = []
  const onFinding = (finding: DataFinding): void => {
    findings.push(finding)
    out(isJson ? JSON.stringify(finding) : lineOf(finding))
  }
  const { files, random, clock } = world
  try {
    const formats = new FormatRecords(world, { dataDirectory, role: config.text('role') })
    await formats.checkDirectory()
    for (const signal of signals) {
      const bucket = await openBucket(config, world, signal)
      // What a newer program wrote is no damage.
      await formats.checkBucket(signal, bucket)
      const workDirectory = `${dataDirectory}/check/${signal}`
      const isBase64 = bucket instanceof DirectoryBucket
      const nowMs = clock.nowMs()
      const pause = yieldEvery(clock)
      const check = { bucket, files, random, nowMs, pause, isRepair, isBase64, workDirectory, onFinding }
      await checks[signal](check)
      await checkLog(check, signal, `${dataDirectory}/${signal}/wal`)
    }
  } catch (error) {
    err(`the data could not be checked: ${messageOf(error)}`)
    return 2
  } finally {
    await files.removeDirectory(`${dataDirectory}/check`)
    lock?.release()
  }
  const problems = findings.filter(({ kind }) => kind !== 'note')
  const open = problems.filter(({ done }) => done === undefined)
  if (!isJson) out(summaryOf(problems.length, open.length, isRepair))
  return problems.length === 0 ? 0 : 1
}

/** Segments of the write-ahead log: what can't be read of one is skipped at the start, so nothing has to be done. */
async function checkLog(check: DataCheck, signal: SignalName, directory: string): Promise<void> {
  const { bucket, files, onFinding } = check
  const local = (await files.list(directory).catch(ignoreMissing)).filter(name => name.endsWith('.wal')).sort()
  for (const name of local) {
    const path = `${directory}/${name}`
    const isLast = name === local.at(-1)
    const problem = await problemOf(() => files.read(path))
    // A process that was killed leaves a torn end.
    if (problem !== undefined) onFinding({ signal, kind: isLast ? 'note' : 'damaged', key: path, reason: problem })
  }
  for (const key of await shippedSegments(bucket, signal)) {
    const problem = await problemOf(() => bucket.get(key))
    if (problem !== undefined) onFinding({ signal, kind: 'damaged', key, reason: problem })
  }
}

function ignoreMissing(error: unknown): string[] {
  if (error instanceof NotFoundError) return []
  throw error
}

async function shippedSegments(bucket: Bucket, signal: SignalName): Promise<string[]> {
  const objects = await bucket.list(`${defaultTenants[signal]}/tercet/wal/`)
  return objects.map(object => object.key).filter(key => key.endsWith('.wal'))
}

async function problemOf(read: () => Promise<Uint8Array>): Promise<string | undefined> {
  const problems: string[] = []
  const damage = await damageOf(async () => {
    for (const part of splitSegments(await read())) {
      const { bytes, isDamaged } = await unpackSegment(part, segmentBytesMax)
      if (isDamaged) problems.push('the compressed form is damaged')
      // Nothing was written into it yet.
      if (bytes.length === 0) continue
      const { firstRecord } = decodeHeader(bytes)
      let records = 0
      scanFrames(bytes, firstRecord, {
        record: () => {
          records++
        },
        skipped: ({ at, bytes: lost, reason }) => {
          problems.push(`${reason} at ${at}, ${lost} bytes; ${records} records before it are whole`)
        },
      })
    }
  })
  return damage?.message ?? problems[0]
}

function lineOf({ signal, kind, key, reason, done }: DataFinding): string {
  return `${kind.padEnd(8)} ${signal.padEnd(8)} ${key}: ${reason}${done === undefined ? '' : ` (${done})`}`
}

function summaryOf(problems: number, open: number, isRepair: boolean): string {
  if (problems === 0) return 'The data is whole.'
  if (!isRepair) return `${problems} problems; --repair makes again what can be, and moves the rest aside.`
  return `${problems} problems, ${problems - open} of them repaired or moved aside.`
}

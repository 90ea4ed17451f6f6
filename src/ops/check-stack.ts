/**
 * `tercet check stack`: the requirements on a running stack, as questions that any of the three engines can be asked.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { systemRandom } from '#core/random.ts'
import type { SignalName } from '#core/signal-name.ts'
import { readExposition, sumOf } from './exposition.ts'
import type { Output } from './output.ts'
import { StackCheck, type Finding, type FindingLevel, type Marker } from './stack-check.ts'
import { checkLogs } from './stack-logs.ts'
import { checkMetrics } from './stack-metrics.ts'
import { checkTraces } from './stack-traces.ts'

export interface StackCheckOptions {
  /** Without a slash at the end; undefined: the signal is not checked. */
  places: Readonly<Record<SignalName, string | undefined>>
  /** Where spans are sent to, where that is not found by itself. */
  otlp: string | undefined
  /** A duration. */
  expectedRetention: string | undefined
  /** How long data that was sent may take to be found. */
  patienceMs: number
  /** Is written at the end. */
  markerPath: string | undefined
  /** An earlier run's marker: nothing is sent, and its data is looked for. */
  afterPath: string | undefined
  headers: Readonly<Record<string, string>>
  isJson: boolean
}

/** 1 where something fails. Throws BadDataError where nothing can be asked. */
export async function checkStackAt(options: StackCheckOptions, output: Output): Promise<number> {
  const { afterPath, expectedRetention, headers, markerPath, otlp, patienceMs, places } = options
  const { metrics, logs, traces } = places
  if (metrics === undefined && logs === undefined && traces === undefined)
    throw new BadDataError('check stack takes a URL: tercet check stack http://127.0.0.1:8428')
  const marker = afterPath === undefined ? makeMarker() : readMarker(afterPath)
  const run = { marker, isAfter: afterPath !== undefined }
  const check = new StackCheck(headers, patienceMs)
  if (metrics !== undefined) await checkMetrics(check, metrics, { ...run, expectedRetention })
  if (logs !== undefined) await checkLogs(check, logs, run)
  if (traces !== undefined) await checkTraces(check, traces, { ...run, otlp })
  const isAlive = !check.findings.some(finding => finding.level === 'fails' && finding.check.endsWith('health'))
  for (const base of new Set([metrics, logs, traces])) if (base !== undefined && isAlive) await checkUpload(check, base)
  if (markerPath !== undefined) writeFileSync(markerPath, JSON.stringify(marker))
  const ok = check.findings.every(finding => finding.level !== 'fails')
  if (options.isJson) output.out(JSON.stringify({ ok, findings: check.findings }))
  else {
    output.out(tableOf(check.findings))
    if (markerPath !== undefined) output.out(`After a restart: tercet check stack --after=${markerPath} …`)
  }
  return ok ? 0 : 1
}

function makeMarker(): Marker {
  return {
    id: Buffer.from(systemRandom.bytes(6)).toString('hex'),
    timeMs: systemClock.nowMs(),
    value: systemRandom.u32() % 1000,
    traceId: Buffer.from(systemRandom.bytes(16)).toString('hex'),
  }
}

function readMarker(path: string): Marker {
  if (!existsSync(path)) throw new BadDataError(`${path} is not there; a first run with --marker=${path} writes it`)
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Marker
  } catch (error) {
    throw new BadDataError(`${path} is not what --marker writes: it is no JSON`, { cause: error })
  }
}

/** Flushes what can be flushed, and reads what the process says of its bucket. */
async function checkUpload(check: StackCheck, base: string): Promise<void> {
  const name = 'bucket: what was taken is in it'
  const flushed = await check.ask(`${base}/-/flush`, { method: 'POST' })
  if (flushed.status !== 204) {
    const reason = 'this engine does not say from outside; list its bucket'
    check.report({ rows: '#39 #51', check: name }, 'unseen', reason)
    return
  }
  const numbers = readExposition((await check.ask(`${base}/metrics`)).text)
  const failures = sumOf(numbers, 'tercet_upload_failures_total')
  const waiting = sumOf(numbers, 'tercet_backlog_bytes')
  check.report(
    { rows: '#39 #51 #143 #148', check: name },
    'ok',
    `flushed in ${Math.round(flushed.ms)} ms; ${waiting} bytes wait, ${failures} uploads failed since the start`,
    flushed.ms,
  )
}

const shownLevels: Readonly<Record<FindingLevel, string>> = { ok: 'ok    ', fails: 'FAILS ', unseen: 'unseen' }

function tableOf(findings: readonly Finding[]): string {
  const lines = findings.map(({ check, level, found, ms }) => {
    const time = ms === 0 ? '' : `${Math.round(ms)} ms`
    return `${shownLevels[level]} ${check.padEnd(38)} ${time.padStart(8)}  ${found}`
  })
  const count = (level: FindingLevel): number => findings.filter(finding => finding.level === level).length
  const sums = `${count('ok')} hold, ${count('fails')} fail, ${count('unseen')} can't be seen from outside`
  return [...lines, sums].join('\n')
}

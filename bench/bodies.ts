/**
 * What bodies of empty elements cost: each list of each protocol, 32 MB as it comes and 120 MB unfolded, in a process
 * of its own with a heap of 512 MiB. Prints the answer, the memory at the peak above that of the body, and the time.
 *
 *     node bench/bodies.ts [part of a name]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { systemClock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { logProtocols } from '#ingest/log-protocols.ts'
import { metricsProtocols } from '#ingest/metrics-protocols.ts'
import { traceProtocols } from '#ingest/trace-protocols.ts'
import { everything } from '#net/access.ts'
import { readReply, requestOf } from '#net/handler-kit.ts'
import { acceptedBodies, worstBodies, type WorstBody } from '../test/worst-bodies.ts'

const heapMiB = 512
const sizes = [32 << 20, 120_000_000]
const signals = ['logs', 'metrics', 'traces'] as const
const megabyte = 1e6

interface Case {
  readonly signal: (typeof signals)[number]
  readonly worst: WorstBody
}

const cases: Case[] = signals.flatMap(signal =>
  [...worstBodies[signal], ...acceptedBodies[signal]].map(worst => ({ signal, worst })),
)

/** Decodes the body in `path`, and prints what it cost. */
async function decode({ signal, worst }: Case, path: string): Promise<void> {
  const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })
  const limits = { decodedBytesMax: 128 << 20 }
  const clock = systemClock
  const tenantOf = (): string => 'tenant'
  const stored = { stored: 0, refused: 0, problems: [] }
  const served = {
    logs: () =>
      logProtocols({
        appender: { append: async () => ({ ...stored, status: 400 as const }) },
        tenantOf,
        clock,
        kernel,
        limits,
        log: silentLog,
      }),
    metrics: () =>
      metricsProtocols({
        appender: { append: async () => ({ ...stored, histograms: 0, exemplars: 0 }) },
        tenantOf,
        clock,
        kernel,
        limits,
      }),
    traces: () =>
      traceProtocols({ appender: { append: async () => stored, appendParts: async () => stored }, tenantOf, clock }),
  }[signal]()
  const body = readFileSync(path)
  const peakBytes = (): number => process.resourceUsage().maxRSS * 1024
  const beforeBytes = process.memoryUsage().rss
  const startedMs = clock.monotonicMs()
  let answer: string
  try {
    if (worst.service === undefined) {
      const { handler } = served.routes.find(r => r.path === worst.path && r.methods.includes('POST'))!
      const request = requestOf({ method: 'POST', path: worst.path!, headers: worst.headers, body })
      const reply = await readReply(await handler(request))
      answer = `${reply.status} ${reply.body}`
    } else {
      const { handler } = served.grpc.find(m => m.service === worst.service)!
      const caller = { header: () => undefined, grant: everything }
      answer = `ok, ${(await handler(body, caller, new AbortController().signal)).length} bytes`
    }
  } catch (error) {
    answer = `error: ${messageOf(error)}`
  }
  const tookMs = clock.monotonicMs() - startedMs
  const cost = peakBytes() - beforeBytes
  process.stdout.write(JSON.stringify({ answer: answer.replaceAll(/\s+/g, ' ').slice(0, 60), tookMs, cost }))
}

function measure(directory: string, index: number, bytes: number): boolean {
  const { worst } = cases[index]!
  const path = join(directory, 'body')
  writeFileSync(path, worst.body(bytes))
  const run = spawnSync(process.execPath, [
    `--max-old-space-size=${heapMiB}`,
    import.meta.filename,
    '--case',
    String(index),
    path,
  ])
  const size = `${Math.round(bytes / megabyte)} MB`.padStart(7)
  if (run.status !== 0) {
    console.log(`${worst.name.padEnd(44)} ${size}  ended by ${run.signal ?? run.status}`)
    return false
  }
  const { answer, tookMs, cost } = JSON.parse(run.stdout.toString()) as { answer: string; tookMs: number; cost: number }
  const times = (Math.max(0, cost) / bytes).toFixed(1)
  console.log(
    `${worst.name.padEnd(44)} ${size} ${times.padStart(5)}x ${Math.round(cost / megabyte)} MB ` +
      `${Math.round(tookMs)} ms  ${answer}`,
  )
  return cost <= 16 * bytes
}

const [, , flag, ...rest] = process.argv
if (flag === '--case') await decode(cases[Number(rest[0])]!, rest[1]!)
else {
  const directory = mkdtempSync(join(tmpdir(), 'bodies-'))
  let failures = 0
  for (const [i, { worst }] of cases.entries())
    if (flag === undefined || worst.name.includes(flag))
      for (const bytes of sizes) if (!measure(directory, i, bytes)) failures++
  rmSync(directory, { recursive: true })
  console.log(`${failures} ended their process, or took more than 16 times their bytes`)
  process.exitCode = failures === 0 ? 0 : 1
}

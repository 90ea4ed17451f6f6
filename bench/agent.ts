/**
 * An agent inside the limits of the documents (rows 100 and 131): 200 targets of 500 series each, scraped every 15 s
 * and forwarded by remote write, in a control group of 100m CPU and 128 MiB. req-100
 *
 *   node bench/agent.ts [--targets=200] [--series=500] [--interval=15] [--minutes=10] [--cpu=0.1] [--memory=128]
 *     [--rss=128] [--hits=0] [--cold] [--free] [--program=src/app/main.ts]      flags of node go on to the agent
 *
 * The last lines are bars; one that is not met makes the exit code 1: every scrape at its time (from `--warm=1` minutes
 * on: until then the first scrapes, whose series are all new, take what a tenth of a processor can do), every sample
 * received once, resident memory below `--rss` MiB, the group's memory at its limit `--hits` times at most. `--cold`:
 * the program's files are in nobody's page cache, as in a pod's first start on a node. `--free`: without a group.
 */
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { costOf } from './process-cost.ts'
import { Cgroup } from './cgroup.ts'
import { startExporters } from './exporters.ts'
import { programUnderTest } from './program.ts'
import type { Row } from './row.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const mebibyte = 1024 ** 2
const targets = option('targets', 200)
const series = option('series', 500)
const interval = option('interval', 15)
const minutes = option('minutes', 10)
const isCold = process.argv.includes('--cold')
const isFree = process.argv.includes('--free')

const exporters = await startExporters({ targets, series, intervalMs: interval * 1000 })
const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-agent-'))
writeFileSync(`${directory}/prometheus.yml`, exporters.prometheusYaml({ cluster: 'bench' }))
const group = isFree
  ? undefined
  : Cgroup.make(`tercet-agent-${process.pid}`, {
      cores: option('cpu', 0.1),
      memoryBytes: option('memory', 128) * mebibyte,
    })

/** A program whose pages are in no cache: the first process that reads them pays for them. */
function coldProgram(): string {
  const copy = join(directory, 'node')
  copyFileSync(process.execPath, copy)
  for (const args of [
    [`of=${copy}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'],
    [`if=${copy}`, 'iflag=nocache', 'count=0'],
  ])
    spawnSync('dd', args)
  return copy
}

const main = programUnderTest()
const program = isCold ? coldProgram() : process.execPath
const args = [
  ...process.execArgv,
  main,
  'up',
  '--role=agent',
  '--listen.http=127.0.0.1:0',
  '--listen.otlp_http=off',
  `--scrape_config_file=${directory}/prometheus.yml`,
  `--data_dir=${directory}/data`,
]
const [command, all] = group === undefined ? [program, args] : group.command(program, args)
const startedMs = performance.now()
const child = spawn(command, all, {
  stdio: ['ignore', 'pipe', 'inherit'],
  // Compiled code is kept here: none is there at the start.
  env: { ...process.env, TMPDIR: directory },
})
let end: string | undefined
const exited = new Promise<void>(resolve =>
  child.once('exit', (code, signal) => {
    end = signal ?? `exit code ${code}`
    resolve()
  }),
)
const readySeconds = await new Promise<number>((resolve, reject) => {
  child.stdout.on('data', (text: Buffer) => {
    if (text.includes('is ready')) resolve((performance.now() - startedMs) / 1000)
  })
  child.once('exit', code => reject(new Error(`the agent ended with ${code}`)))
})
/** MiB; 0 when the process has ended. */
const resident = (kind: 'rssBytes' | 'peakBytes' | 'anonymousBytes'): number =>
  end !== undefined ? 0 : costOf(child.pid!)[kind] / mebibyte
const shown = (bytes: number): string => (bytes / mebibyte).toFixed(0)
const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

function report(minute: number): void {
  const all = group?.counters()
  const inGroup =
    all === undefined
      ? ''
      : `; group ${shown(all.usageBytes)} (anonymous ${shown(all.anonymousBytes)}, files ${shown(all.fileBytes)}), ` +
        `at the limit ${all.limitHits}×, CPU ${all.cpuSeconds.toFixed(1)} s, throttled ${all.throttledPeriods}×`
  const [rss, anonymous, peak] = (['rssBytes', 'anonymousBytes', 'peakBytes'] as const).map(kind =>
    resident(kind).toFixed(0),
  )
  console.log(
    `${String(minute).padStart(3)} min: RSS ${rss} MiB (${anonymous} anonymous), peak ${peak}${inGroup}; ` +
      `${exporters.scrapes} scrapes`,
  )
}

/** Of the resident memory, looked at every second. */
let peakMiB = 0
const watching = setInterval(() => (peakMiB = Math.max(peakMiB, resident('rssBytes'))), 1000)
const problems: string[] = []
const bar = (what: string, value: number, most: number, unit = ''): void => {
  const isMet = value <= most
  if (!isMet) problems.push(what)
  console.log(`${isMet ? 'met   ' : 'MISSED'} ${what}: ${value}${unit}, at most ${most}${unit}`)
}

/** The rows of the table that are of an agent. */
function printRows(wrongSamples: number): void {
  const shape = `agent, ${targets} × ${series} series`
  const row = (what: string, unit: string, value: number): Row => ({
    section: 'process',
    work: `${shape}: ${what}`,
    unit,
    values: { tercet: [value] },
  })
  const counters = group?.counters()
  const rows = [
    row('peak RSS', 'MiB', peakMiB),
    row('samples lost or sent twice', '', wrongSamples),
    ...(counters === undefined
      ? []
      : [
          row('times at the limit of memory', '', counters.limitHits),
          row('CPU-s a minute', 's', counters.cpuSeconds / minutes),
        ]),
  ]
  for (const each of rows) console.log(JSON.stringify(each))
}

try {
  console.log(`ready after ${readySeconds.toFixed(1)} s`)
  for (let minute = 0; minute <= minutes && end === undefined; minute++) {
    await sleep(minute > 0 ? 60_000 : 3000)
    report(minute)
    if (minute === option('warm', 1)) console.log(`scrapes missed while it started: ${exporters.takeMissed()}`)
  }
  const { missed, lost, duplicates } = await exporters.settle()
  if (process.argv.includes('--json')) printRows(lost + duplicates)
  bar(`processes that ended by themselves (${end ?? 'none'})`, end === undefined ? 0 : 1, 0)
  bar('scrapes that did not come once it had started', missed, 0)
  bar('samples lost', lost, 0)
  bar('samples sent twice', duplicates, 0)
  bar('resident memory', Math.round(peakMiB), option('rss', 128), ' MiB')
  if (group !== undefined) {
    const { limitHits, oomKills } = group.counters()
    bar('times at the limit of memory', limitHits, option('hits', 0))
    bar('processes killed for memory', oomKills, 0)
  }
} finally {
  clearInterval(watching)
  child.kill('SIGTERM')
  await exited
  group?.remove()
  await exporters.close()
  rmSync(directory, { recursive: true, force: true })
}
if (problems.length > 0) process.exitCode = 1

/**
 * Inputs that once ended a process, against one with little memory:
 *
 *   node bench/overload.ts [--memory=3GiB] [--scale=1] [--only=TEXT|TEXT] [--workers=auto] [--cgroup=DIRECTORY]
 *
 * Beside each input somebody asks for /health and writes a line every 50 ms, from a thread of its own. A row an input:
 * how it was answered, the wait for /health and for the writes, the peak of the resident memory, and whether the
 * process lived. `--cgroup` names the directory of a cgroup (version 1 or 2): the process starts in that cgroup, with
 * its limit set. Without it only the option `memory_limit` limits the memory. `--scale` makes the inputs smaller.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { listeningUrl } from '../test/listening-url.ts'
import { fillSeries, inputs, type Outcomes } from './overload-inputs.ts'
import type { Probed } from './overload-probe.ts'

const option = (name: string, fallback: string): string =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback
const memory = option('memory', '3GiB')
const scale = Number(option('scale', '1'))
const only = option('only', '')
const cgroup = option('cgroup', '')

const mebibyte = 1024 ** 2
const memoryBytes = Number.parseFloat(memory) * (memory.endsWith('GiB') ? 1024 : 1) * mebibyte

interface Started {
  url: string
  pid: number
  /** The code or the signal that the process ended with; undefined: it lives. */
  end: () => string | undefined
  stop: () => Promise<void>
}

function limitCgroup(): void {
  const isOld = existsSync(join(cgroup, 'memory.limit_in_bytes'))
  writeFileSync(join(cgroup, isOld ? 'memory.limit_in_bytes' : 'memory.max'), String(memoryBytes))
}

async function start(directory: string): Promise<Started> {
  const flags = [`--data_dir=${directory}`, '--listen.http=127.0.0.1:0', '--listen.otlp_http=off', '--log.level=error']
  flags.push('--listen.otlp_grpc=off', '--self_scrape=false', '--write_timeout=10s', '--limits.tails=20')
  flags.push(`--workers=${option('workers', 'auto')}`)
  if (cgroup === '') flags.push(`--memory_limit=${memory}`)
  else limitCgroup()
  const enter = cgroup === '' ? '' : `echo $$ > ${join(cgroup, 'cgroup.procs')}; `
  const command = `${enter}exec "${process.execPath}" src/app/main.ts up ${flags.join(' ')}`
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] })
  let end: string | undefined
  const ended = new Promise<void>(resolve => {
    child.once('exit', (code, signal) => {
      end = signal ?? String(code)
      resolve()
    })
  })
  const url = await listeningUrl(child)
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await ended
    clearTimeout(late)
  }
  return { url, pid: child.pid!, end: () => end, stop }
}

/** The probe beside a process; `take` gives what it saw since it was asked last. */
function probe({ url, pid }: Started): { take: () => Promise<Probed>; stop: () => Promise<unknown> } {
  const worker = new Worker(new URL('overload-probe.ts', import.meta.url), { workerData: { url, pid } })
  return {
    take: () =>
      new Promise(resolve => {
        worker.once('message', resolve)
        worker.postMessage('take')
      }),
    stop: () => worker.terminate(),
  }
}

function percentile(list: readonly number[], q: number): string {
  const sorted = list.toSorted((a, b) => a - b)
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN).toFixed(0)
}

function shown(outcomes: Outcomes): string {
  return [...outcomes].map(([what, count]) => `${count}× ${what}`).join(', ')
}

console.log(`${memory}${cgroup === '' ? '' : ' (cgroup)'}, inputs × ${scale}; times in ms, memory in MiB`)
console.log('input | answers | /health p50 p99.9 max | writes p99 max, refused | peak | process | s')
for (const input of inputs.filter(({ name }) => only.split('|').some(part => name.includes(part)))) {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-overload-'))
  const started = await start(directory)
  if (input.name.includes('all series')) await fillSeries(started.url, scale)
  const watching = probe(started)
  await new Promise(resolve => setTimeout(resolve, 1000))
  await watching.take()
  const sinceMs = performance.now()
  const outcomes = await input.run(started.url, scale)
  const seconds = (performance.now() - sinceMs) / 1000
  await new Promise(resolve => setTimeout(resolve, 500))
  const { health, writes, refusedWrites, lost, peakBytes } = await watching.take()
  await watching.stop()
  const bad = refusedWrites + lost
  const end = started.end()
  const fate = end === undefined ? 'lives' : `ENDED ${end}`
  console.log(
    [
      input.name,
      shown(outcomes),
      `${percentile(health, 0.5)} ${percentile(health, 0.999)} ${percentile(health, 1)}`,
      `${percentile(writes, 0.99)} ${percentile(writes, 1)}, ${bad} of ${writes.length + bad}`,
      (peakBytes / mebibyte).toFixed(0),
      fate,
      seconds.toFixed(0),
    ].join(' | '),
  )
  if (end === undefined) await started.stop()
  rmSync(directory, { recursive: true, force: true })
}

/** What a process has cost until now, as Linux counts it. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

export interface Cost {
  /** User and system time of all threads, those that ended too; steps of 10 ms. */
  cpuSeconds: number
  /** Of the threads that live, to the nanosecond. */
  threadSeconds: number
  peakBytes: number
  rssBytes: number
  /** Resident bytes that no file backs. */
  anonymousBytes: number
}

const clockTicks = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100
const ticksApartMax = 2

function threadSecondsOf(pid: number): number {
  let nanoseconds = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    } catch {
      // The thread ended meanwhile.
    }
  }
  return nanoseconds / 1e9
}

export function costOf(pid: number): Cost {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const bytesOf = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / clockTicks,
    threadSeconds: threadSecondsOf(pid),
    peakBytes: bytesOf('VmHWM'),
    rssBytes: bytesOf('VmRSS'),
    anonymousBytes: bytesOf('RssAnon'),
  }
}

/** CPU seconds between two moments: exact while no thread ended between them, else in ticks. */
export function cpuBetween(from: Cost, to: Cost): number {
  const ticks = to.cpuSeconds - from.cpuSeconds
  const threads = to.threadSeconds - from.threadSeconds
  return Math.abs(ticks - threads) * clockTicks <= ticksApartMax ? threads : ticks
}

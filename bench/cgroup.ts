/**
 * A control group with limits of CPU and memory, and what it counted. Needs Linux, and a writable hierarchy (v1 or v2).
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'

const root = '/sys/fs/cgroup'

/** What the kernel counted since the group was made. */
export interface CgroupCounters {
  /** How often an allocation met the limit: pages had to be given back first. */
  limitHits: number
  oomKills: number
  usageBytes: number
  peakBytes: number
  /** Memory that nobody but the processes has, and pages of files. */
  anonymousBytes: number
  fileBytes: number
  throttledPeriods: number
  throttledSeconds: number
  cpuSeconds: number
}

export interface CgroupLimits {
  cores: number
  memoryBytes: number
}

function read(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

/** The number behind `name` in a file of names and numbers, or the file's only number. */
function numberIn(path: string, name?: string): number {
  const text = read(path)
  if (name === undefined) return Number(text)
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0)
}

/** Why no group can be made here; undefined: it can. */
export function cgroupProblem(): string | undefined {
  try {
    Cgroup.make(`tercet-try-${process.pid}`, { cores: 1, memoryBytes: 1 << 26 }).remove()
    return undefined
  } catch (error) {
    return `no control group can be made below ${root}: ${String(error)}`
  }
}

export class Cgroup {
  /** Of memory and of CPU; one directory in the second version. */
  readonly #memory: string
  readonly #cpu: string
  readonly #accounts: string
  readonly #isSecond: boolean

  private constructor(name: string) {
    this.#isSecond = existsSync(`${root}/cgroup.controllers`)
    const directoryOf = (controller: string): string =>
      this.#isSecond ? `${root}/${name}` : `${root}/${controller}/${name}`
    this.#memory = directoryOf('memory')
    this.#cpu = directoryOf('cpu')
    this.#accounts = directoryOf('cpuacct')
    for (const directory of this.#directories()) mkdirSync(directory)
  }

  /** Throws where the system does not allow it. */
  static make(name: string, limits: CgroupLimits): Cgroup {
    const group = new Cgroup(name)
    try {
      group.#limit(limits)
    } catch (error) {
      group.remove()
      throw error
    }
    return group
  }

  #directories(): string[] {
    return [...new Set([this.#memory, this.#cpu, this.#accounts])]
  }

  #limit({ cores, memoryBytes }: CgroupLimits): void {
    const periodUs = 100_000
    const quotaUs = Math.round(cores * periodUs)
    if (this.#isSecond) {
      writeFileSync(`${this.#memory}/memory.max`, String(memoryBytes))
      writeFileSync(`${this.#cpu}/cpu.max`, `${quotaUs} ${periodUs}`)
      return
    }
    writeFileSync(`${this.#memory}/memory.limit_in_bytes`, String(memoryBytes))
    writeFileSync(`${this.#cpu}/cpu.cfs_period_us`, String(periodUs))
    writeFileSync(`${this.#cpu}/cpu.cfs_quota_us`, String(quotaUs))
  }

  /** A command that puts itself into the group before it becomes the program. */
  command(program: string, args: readonly string[]): [string, string[]] {
    const enter = this.#directories().map(directory => `echo $$ > ${directory}/cgroup.procs`)
    return ['/bin/sh', ['-c', `${enter.join(' && ')} && exec "$@"`, 'sh', program, ...args]]
  }

  counters(): CgroupCounters {
    return this.#isSecond ? this.#second() : this.#first()
  }

  #first(): CgroupCounters {
    const memory = this.#memory
    return {
      limitHits: numberIn(`${memory}/memory.failcnt`),
      oomKills: numberIn(`${memory}/memory.oom_control`, 'oom_kill'),
      usageBytes: numberIn(`${memory}/memory.usage_in_bytes`),
      peakBytes: numberIn(`${memory}/memory.max_usage_in_bytes`),
      anonymousBytes: numberIn(`${memory}/memory.stat`, 'rss'),
      fileBytes: numberIn(`${memory}/memory.stat`, 'cache'),
      throttledPeriods: numberIn(`${this.#cpu}/cpu.stat`, 'nr_throttled'),
      throttledSeconds: numberIn(`${this.#cpu}/cpu.stat`, 'throttled_time') / 1e9,
      cpuSeconds: numberIn(`${this.#accounts}/cpuacct.usage`) / 1e9,
    }
  }

  #second(): CgroupCounters {
    const memory = this.#memory
    return {
      limitHits: numberIn(`${memory}/memory.events`, 'max'),
      oomKills: numberIn(`${memory}/memory.events`, 'oom_kill'),
      usageBytes: numberIn(`${memory}/memory.current`),
      peakBytes: numberIn(`${memory}/memory.peak`),
      anonymousBytes: numberIn(`${memory}/memory.stat`, 'anon'),
      fileBytes: numberIn(`${memory}/memory.stat`, 'file'),
      throttledPeriods: numberIn(`${this.#cpu}/cpu.stat`, 'nr_throttled'),
      throttledSeconds: numberIn(`${this.#cpu}/cpu.stat`, 'throttled_usec') / 1e6,
      cpuSeconds: numberIn(`${this.#cpu}/cpu.stat`, 'usage_usec') / 1e6,
    }
  }

  /** No process may be in it any more. */
  remove(): void {
    for (const directory of this.#directories()) if (existsSync(directory)) rmdirSync(directory)
  }
}

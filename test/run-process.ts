/**
 * Tercet as a process of its own, for tests that kill it. Buckets lie beside the data directory, so that it can be
 * lost alone.
 */
import { spawn, type ChildProcess } from 'node:child_process'

export interface Started {
  child: ChildProcess
  url: string
}

export interface ProcessOptions {
  /** Behind the usual ones: later flags win. */
  flags?: readonly string[]
  /** Where the buckets are is among the flags, or in a file that they name. */
  isInBuckets?: boolean
  /** Called at once; what the process says on standard error is piped then. */
  onSpawn?: (child: ChildProcess) => void
}

/** Resolves when it serves. */
export function startProcess(directory: string, durability: string, options: ProcessOptions = {}): Promise<Started> {
  const flags = [
    ...(options.isInBuckets === true
      ? []
      : ['metrics', 'logs', 'traces'].map(signal => `--${signal}.bucket.dir=${directory}/${signal}`)),
    '--listen.otlp_grpc=off',
    '--self_scrape=false',
    '--self_trace=false',
    '--disk_free_min=0',
    `--durability=${durability}`,
    '--log.level=error',
    ...(options.flags ?? []),
  ]
  return start(directory, flags, options.onSpawn === undefined ? 'inherit' : 'pipe', options.onSpawn)
}

/** An agent; what it has to say of its remotes is not shown. */
export function startAgentProcess(directory: string, flags: readonly string[]): Promise<Started> {
  return start(directory, ['--role=agent', ...flags], 'ignore')
}

function start(
  directory: string,
  flags: readonly string[],
  stderr: 'inherit' | 'ignore' | 'pipe' = 'inherit',
  onSpawn?: (child: ChildProcess) => void,
): Promise<Started> {
  const own = [`--data_dir=${directory}/data`, '--listen.http=127.0.0.1:0', '--listen.otlp_http=off']
  const child = spawn(process.execPath, ['src/app/main.ts', 'up', ...own, ...flags], {
    stdio: ['ignore', 'pipe', stderr],
  })
  onSpawn?.(child)
  return new Promise((resolve, reject) => {
    let out = ''
    child.stdout!.on('data', (chunk: Buffer) => {
      out += chunk.toString()
      const url = /http +(http:\/\/\S+)/.exec(out)?.[1]
      if (url !== undefined) resolve({ child, url })
    })
    child.once('exit', code => {
      reject(new Error(`the process ended with ${code}`))
    })
  })
}

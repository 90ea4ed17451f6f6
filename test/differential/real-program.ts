/** Starts a real server's program on ports of the system's choice. */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { enginePath } from '../engines/programs.ts'
import { freePort } from '../free-port.ts'

export interface ProgramRun {
  url: string
  /** What the program wrote until now. */
  output(): string
  stop(): Promise<void>
}

export interface ProgramOptions {
  /** Name in ENGINES_DIRECTORY or on PATH. */
  name: string
  directory: string
  /** Arguments for as many free ports as `ports` says; the first is that of HTTP. */
  args: (ports: readonly number[]) => readonly string[]
  ports?: number
  env?: (ports: readonly number[]) => Readonly<Record<string, string>>
  /** Answers 200 when it is ready. */
  readyPath: string
}

const readyWithinMs = 120_000

/** Undefined: the program is not here. */
export async function startProgram(options: ProgramOptions): Promise<ProgramRun | undefined> {
  const program = enginePath(options.name)
  if (program === undefined) return undefined
  mkdirSync(options.directory, { recursive: true })
  const ports: number[] = []
  for (let i = 0; i < (options.ports ?? 1); i++) ports.push(await freePort())
  const child = spawn(program, options.args(ports), {
    cwd: options.directory,
    env: { ...process.env, ...options.env?.(ports) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000)
    })
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => {
      resolve()
    })
  })
  const run: ProgramRun = {
    url: `http://127.0.0.1:${ports[0]}`,
    output: () => output,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    },
  }
  const until = Date.now() + readyWithinMs
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${options.name} ended: ${output.slice(-2000)}`)
    if (await isReady(run.url + options.readyPath)) return run
    if (Date.now() > until) {
      await run.stop()
      throw new Error(`${options.name} does not get ready: ${output.slice(-2000)}`)
    }
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok
  } catch {
    return false
  }
}

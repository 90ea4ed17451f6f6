/** The command line as a process of its own. */
import { spawn } from 'node:child_process'

export interface CliResult {
  code: number
  out: string
  err: string
}

export function runCommand(
  args: readonly string[],
  { env = {}, cwd = process.cwd() }: { env?: Readonly<Record<string, string>>; cwd?: string } = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [`${process.cwd()}/src/app/main.ts`, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const result = { code: 0, out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    result.out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    result.err += chunk.toString()
  })
  return new Promise(resolve => {
    child.once('close', code => {
      resolve({ ...result, code: code ?? -1 })
    })
  })
}

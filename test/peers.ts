/**
 * Foreign programs that tests compare with. One that is not installed is reported loudly, and its tests are skipped.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export function programPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map(directory => join(directory, name))
    .find(existsSync)
}

/** Answers differ from version to version: these and later ones are compared with. */
const versions: Readonly<Record<string, readonly [number, number]>> = {
  prometheus: [3, 5],
  promtool: [3, 5],
  'prometheus-alertmanager': [0, 33],
  amtool: [0, 33],
}

function isOld(name: string): boolean {
  const wanted = versions[name]
  if (wanted === undefined) return false
  const [, major = '0', minor = '0'] =
    /version (\d+)\.(\d+)/.exec(spawnSync(programPath(name)!, ['--version'], { encoding: 'utf8' }).stdout) ?? []
  return Number(major) < wanted[0] || (Number(major) === wanted[0] && Number(minor) < wanted[1])
}

/** `skip` of a test that needs programs. */
export function needs(...names: string[]): { skip: string | false } {
  const missing = names.filter(name => programPath(name) === undefined || isOld(name))
  return {
    skip:
      missing.length === 0
        ? false
        : `NOT TESTED: ${missing.join(', ')} not there, or too old (tools/fetch-peers.sh build/peers)`,
  }
}

export class Peer {
  readonly #child: ChildProcess
  output = ''

  constructor(program: string, args: readonly string[], directory: string) {
    this.#child = spawn(programPath(program)!, args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString()
      })
  }

  /** Until the address answers. */
  async ready(url: string): Promise<void> {
    for (let i = 0; i < 400; i++) {
      if (this.#child.exitCode !== null) throw new Error(`the program ended: ${this.output.slice(-2000)}`)
      try {
        if ((await fetch(url)).ok) return
      } catch {
        /* not yet */
      }
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error(`nothing answers at ${url}: ${this.output.slice(-2000)}`)
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = new Promise(resolve => this.#child.once('exit', resolve))
    this.#child.kill('SIGTERM')
    await ended
  }
}

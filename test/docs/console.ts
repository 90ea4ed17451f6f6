/** Blocks of commands with what they print, run as a reader would: in an empty directory, in the order of the page. */
import { spawn, spawnSync, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { compileCacheDirectory } from '../../src/app/version.ts'
import { until } from '../until.ts'
import { freePort } from '../free-port.ts'

export interface Command {
  text: string
  /** The lines that the page shows below it. */
  expected: string[]
}

/** A command begins with `$ ` and goes on until the shell has all of it. */
export function commandsOf(text: string): Command[] {
  const commands: Command[] = []
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!
    if (!line.startsWith('$ ')) {
      commands.at(-1)?.expected.push(line)
      continue
    }
    let command = line.slice(2)
    while (!isComplete(command) && at + 1 < lines.length) command += `\n${lines[++at]!}`
    commands.push({ text: command, expected: [] })
  }
  return commands
}

function isComplete(command: string): boolean {
  if (command.endsWith('\\')) return false
  const { status, stderr } = spawnSync('bash', ['-n', '-c', command], { encoding: 'utf8' })
  return status === 0 && stderr === ''
}

/** Numbers, times and ids of one run are not those of another. */
function plain(line: string): string {
  return line
    .replaceAll(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, 'U')
    .replaceAll(/\b[0-9a-f]{16,}\b/g, 'H')
    .replaceAll(/\d+(\.\d+)?(e[+-]?\d+)?/g, '0')
    .replaceAll(/\b(0(ms|s|m|h))+\b/g, 'D')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

/** Why the lines are not those of the page; undefined where they are. A line of `…` stands for any lines. */
export function difference(expected: readonly string[], printed: string): string | undefined {
  const lines = printed.split('\n').filter(line => !line.startsWith('Warning: amtool version'))
  const pattern = trimmed(expected)
    .map(line => (line.trim() === '…' ? '(?:.*\\n)*?' : `${plain(line).split('…').map(escaped).join('.*')}\\n`))
    .join('')
  const text = trimmed(lines)
    .map(line => `${plain(line)}\n`)
    .join('')
  return new RegExp(`^${pattern}$`).test(text) ? undefined : `expected\n${expected.join('\n')}\nprinted\n${printed}`
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

function trimmed(lines: readonly string[]): readonly string[] {
  const first = lines.findIndex(line => line.trim() !== '')
  const last = lines.findLastIndex(line => line.trim() !== '')
  return first < 0 ? [] : lines.slice(first, last + 1)
}

/** Ports that the documents name; in a test another program may have them. */
const documentedPorts = [8428, 4317, 4318, 9100] as const
const root = process.cwd()
/** `node_modules/tercet` of a directory where a packed tarball was installed, to try the pages with that. */
const installed = process.env['DOCS_PACKAGE']
const program = installed === undefined ? `${root}/src/app/main.ts` : `${installed}/bin/tercet.cjs`
/** Each module is stripped of its types and compiled once, not once a command. */
const compiled = process.env['NODE_COMPILE_CACHE'] ?? compileCacheDirectory
const mark = 'command-has-ended'
/** Programs of others, which are not on every machine. */
const peers = ['promtool', 'amtool'] as const

export class Sandbox {
  readonly directory = mkdtempSync(join(tmpdir(), 'tercet-docs-'))
  readonly #ports = new Map<number, number>()
  #shell: ChildProcessWithoutNullStreams | undefined
  #server: ChildProcess | undefined
  /** Commands that could not run, and why. */
  readonly missing: string[] = []
  ran = 0

  async open(): Promise<void> {
    for (const port of documentedPorts) this.#ports.set(port, await freePort())
    mkdirSync(join(this.directory, 'bin'))
    writeFileSync(join(this.directory, 'package.json'), '{ "type": "module" }\n')
    this.#linkLibrary()
    const shim = [
      '#!/bin/sh',
      `case "$1" in query|top|tail) set -- "$@" --url=${this.#here('http://127.0.0.1:8428')} ;; esac`,
      `exec '${process.execPath}' '${program}' "$@"`,
    ]
    writeFileSync(join(this.directory, 'bin/tercet'), `${shim.join('\n')}\n`, { mode: 0o755 })
  }

  /** The package as it is when it is built: here its modules are the sources. */
  #linkLibrary(): void {
    const directory = join(this.directory, 'node_modules/tercet')
    mkdirSync(dirname(directory), { recursive: true })
    if (installed !== undefined) {
      symlinkSync(installed, directory)
      return
    }
    mkdirSync(directory)
    writeFileSync(
      join(directory, 'package.json'),
      '{ "type": "module", "exports": { ".": "./a.js", "./testing": "./b.js" } }',
    )
    writeFileSync(join(directory, 'a.js'), `export * from '${root}/src/library/tercet-library.ts'\n`)
    writeFileSync(join(directory, 'b.js'), `export * from '${root}/src/testing/tercet-testing.ts'\n`)
  }

  /** The text with the ports of this sandbox. */
  #here(text: string): string {
    return text.replaceAll(/(127\.0\.0\.1|localhost):(\d+)/g, (whole, host: string, port: string) => {
      const own = this.#ports.get(Number(port))
      return own === undefined ? whole : `${host}:${own}`
    })
  }

  #asDocumented(text: string): string {
    let shown = text
    for (const [port, own] of this.#ports) shown = shown.replaceAll(`:${own}`, `:${port}`)
    return shown
  }

  get environment(): NodeJS.ProcessEnv {
    const clean = Object.entries(process.env).filter(([name]) => !/^(npm_|node_|tercet_|otel_)/i.test(name))
    const path = [join(this.directory, 'bin'), dirname(process.execPath), process.env['PATH']].join(delimiter)
    return { ...Object.fromEntries(clean), PATH: path, NO_COLOR: '1', NODE_COMPILE_CACHE: compiled }
  }

  /** What is not as the page says; undefined where all is. */
  async run({ text, expected }: Command): Promise<string | undefined> {
    const peer = peers.find(name => text.startsWith(name))
    if (peer !== undefined && spawnSync('which', [peer]).status !== 0) {
      this.missing.push(`${peer} is not on the PATH`)
      return undefined
    }
    this.ran++
    if (/^tercet up\b/.test(text)) return difference(expected, await this.#serve(text))
    const asks = /127\.0\.0\.1:(8428|431[78])|^tercet (query|top|tail)\b/.test(text)
    if (asks && this.#server === undefined) await this.#serve('tercet up')
    const isQuestion = /^(tercet (query|check stack)|promtool|amtool)/.test(text)
    const endMs = performance.now() + (isQuestion ? 45_000 : 0)
    for (;;) {
      const printed = this.#asDocumented(await this.#inShell(this.#here(text)))
      const problem = difference(expected, printed)
      if (problem === undefined || performance.now() > endMs) return problem
      await new Promise(resolve => setTimeout(resolve, 500))
    }
  }

  async #serve(text: string): Promise<string> {
    await this.#stopServer()
    const [http, grpc, otlp] = documentedPorts.map(port => `127.0.0.1:${this.#ports.get(port)}`)
    const child = spawn('bash', ['-c', `exec ${this.#here(text)}`], {
      cwd: this.directory,
      env: {
        ...this.environment,
        TERCET_LISTEN_HTTP: http,
        TERCET_LISTEN_OTLP_GRPC: grpc,
        TERCET_LISTEN_OTLP_HTTP: otlp,
        TERCET_DISK_FREE_MIN: '0',
        TERCET_WORKERS: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#server = child
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    await until(() => {
      if (child.exitCode !== null) throw new Error(err)
      return out.includes('Grafana data sources') ? true : undefined
    }, `${text} serves`)
    return this.#asDocumented(out)
  }

  async #stopServer(): Promise<void> {
    const child = this.#server
    this.#server = undefined
    if (child === undefined || child.exitCode !== null) return
    child.kill('SIGTERM')
    await new Promise(resolve => child.once('exit', resolve))
  }

  /** One shell for the page: variables and directories stay. */
  async #inShell(command: string): Promise<string> {
    this.#shell ??= spawn('bash', ['--norc'], { cwd: this.directory, env: this.environment })
    const shell = this.#shell
    let printed = ''
    const onData = (chunk: Buffer): void => {
      printed += chunk.toString()
    }
    shell.stdout.on('data', onData)
    shell.stdin.write(`{ ${command}\n} 2>&1 < /dev/null\necho; echo ${mark}\n`)
    await until(() => (printed.endsWith(`\n${mark}\n`) ? true : undefined), command, 90)
    shell.stdout.off('data', onData)
    return printed.slice(0, -mark.length - 2)
  }

  async close(): Promise<void> {
    this.#shell?.kill()
    await this.#stopServer()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

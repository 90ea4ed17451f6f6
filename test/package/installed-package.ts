/** The package as somebody else has it: packed in this checkout, installed in an empty directory, no network asked. */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { until } from '../until.ts'

export interface InstalledPackage {
  /** Where it was installed. */
  directory: string
  /** `node_modules/tercet` there. */
  root: string
  remove(): void
}

/** Without what npm sets for the command that runs these tests; our own Node is the first. */
export const cleanEnvironment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|node_|tercet_)/i.test(name))),
  PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
}

function runNpm(args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, env: cleanEnvironment, encoding: 'utf8' })
  assert.equal(status, 0, `npm ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

/** Builds, packs and installs: some seconds. */
export function installPackage(): InstalledPackage {
  const temporary = mkdtempSync(join(tmpdir(), 'tercet-package-'))
  const directory = join(temporary, 'somewhere else')
  mkdirSync(directory)
  runNpm(['pack', '--silent', '--pack-destination', temporary], process.cwd())
  const [tarball = ''] = globSync(join(temporary, '*.tgz'))
  // An empty cache: nothing but the tarball can be had.
  const cache = `--cache=${join(temporary, 'cache')}`
  runNpm(['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', cache, tarball], directory)
  return {
    directory,
    root: join(directory, 'node_modules/tercet'),
    remove: () => {
      rmSync(temporary, { recursive: true, force: true })
    },
  }
}

/** Paths below a directory, in order. */
export function filesBelow(directory: string): string[] {
  return globSync('**/*', { cwd: directory, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

export function bytesOf(directory: string): number {
  return filesBelow(directory).reduce((sum, file) => sum + statSync(join(directory, file)).size, 0)
}

export interface Ended {
  code: number | null
  out: string
  err: string
}

/** The command of the package, under any Node. */
export function runInstalled(
  { directory, root }: InstalledPackage,
  args: readonly string[],
  node: string = process.execPath,
): Ended {
  const { status, stdout, stderr } = spawnSync(node, [join(root, 'bin/tercet.cjs'), ...args], {
    cwd: directory,
    env: cleanEnvironment,
    encoding: 'utf8',
  })
  return { code: status, out: stdout, err: stderr }
}

export interface Served {
  url: string
  child: ChildProcess
  /** What was written to standard error until now. */
  errors(): string
  /** The exit code. */
  stop(): Promise<number | null>
}

/** `tercet up` of the command that npm links, as npx starts it, on a free port. */
export async function serveInstalled(
  { directory }: InstalledPackage,
  node: string,
  flags: readonly string[],
): Promise<Served> {
  const child = spawn(
    node,
    [
      join(directory, 'node_modules/.bin/tercet'),
      'up',
      '--listen.http=127.0.0.1:0',
      '--listen.otlp_http=off',
      '--listen.otlp_grpc=off',
      '--self_trace=false',
      '--disk_free_min=0',
      '--log.level=error',
      ...flags,
    ],
    { cwd: directory, env: cleanEnvironment, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  const url = await until(() => {
    if (child.exitCode !== null) throw new Error(err)
    return out.includes('is ready') ? /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0] : undefined
  }, 'the installed program serves')
  return {
    url,
    child,
    errors: () => err,
    stop: () => {
      child.kill('SIGTERM')
      return ended
    },
  }
}

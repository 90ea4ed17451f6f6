/**
 * Looks at every package of package-lock.json: each is pinned by a SHA-512, comes from the registry that npm is set to
 * and from nowhere else, runs no script, and has a licence that the program may be built with. Then asks the registry
 * for advisories about them, where it answers such questions.
 *
 *   node tools/lock-audit.ts      exit code 1 where something is wrong
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

interface LockedPackage {
  version?: string
  resolved?: string
  integrity?: string
  license?: string
  link?: boolean
  dev?: boolean
  hasInstallScript?: boolean
}

export interface Lock {
  packages: Readonly<Record<string, LockedPackage>>
}

/** Their scripts are never run (`npm ci --ignore-scripts` installs the same), and do nothing that is needed. */
const scriptsKnown: ReadonlySet<string> = new Set(['node_modules/protobufjs'])

/** Licences of what is installed; another one is read by a person first, and added here. */
const licences: ReadonlySet<string> = new Set(
  (
    'MIT MIT-0 ISC Apache-2.0 BSD-2-Clause BSD-3-Clause 0BSD BlueOak-1.0.0 CC0-1.0 CC-BY-4.0 Unlicense ' +
    'Python-2.0 MPL-2.0 WTFPL Zlib'
  ).split(' '),
)

/** Of packages for tests whose entry in the lock names none, or by no name of SPDX: read in their own files. */
const licencesRead: Readonly<Record<string, string>> = {
  'ansi-color': 'BSD-3-Clause',
  argparse: 'Python-2.0',
  bufrw: 'MIT',
  error: 'MIT',
  hexer: 'MIT',
  process: 'MIT',
  'string-template': 'MIT',
  thriftrw: 'MIT',
}

/** What is wrong with a lock file, a line each. */
export function problemsOfLock({ packages }: Lock): string[] {
  return Object.entries(packages).flatMap(([path, entry]) =>
    !path.includes('node_modules/') || entry.link === true ? [] : problemsOf(path, entry),
  )
}

function problemsOf(path: string, { resolved, integrity, license: named, hasInstallScript }: LockedPackage): string[] {
  const license = licencesRead[path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)] ?? named
  const problems: string[] = []
  if (integrity?.startsWith('sha512-') !== true) problems.push(`${path}: is not pinned by a SHA-512`)
  if (resolved !== undefined) problems.push(`${path}: names where it comes from: ${resolved}`)
  if (hasInstallScript === true && !scriptsKnown.has(path)) problems.push(`${path}: runs a script when it is installed`)
  if (license === undefined) problems.push(`${path}: names no licence`)
  else if (!isAllowed(license)) problems.push(`${path}: its licence ${license} has not been looked at`)
  return problems
}

/** `(MIT OR Apache-2.0)`: one of them is enough; of `MIT AND ISC` all are needed. */
function isAllowed(license: string): boolean {
  return license
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some(choice => choice.split(' AND ').every(one => licences.has(one.trim())))
}

/** Advisories of the registry, a line each; undefined where it does not answer. */
function advisories(): string[] | undefined {
  const { stdout } = spawnSync('npm', ['audit', '--json'], { encoding: 'utf8', timeout: 120_000 })
  try {
    const { vulnerabilities } = JSON.parse(stdout) as {
      vulnerabilities?: Record<string, { severity: string; range: string }>
    }
    if (vulnerabilities === undefined) return undefined
    return Object.entries(vulnerabilities).map(([name, { severity, range }]) => `${name} ${range}: ${severity}`)
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock
  const problems = problemsOfLock(lock)
  const found = advisories()
  for (const line of [...problems, ...(found ?? [])]) process.stdout.write(`${line}\n`)
  const count = Object.keys(lock.packages).length
  process.stdout.write(
    found === undefined
      ? `NOT TESTED: the registry answers no questions about advisories; ${count} packages were looked at otherwise\n`
      : `${count} packages, ${problems.length} problems, ${found.length} advisories\n`,
  )
  process.exitCode = problems.length + (found?.length ?? 0) > 0 ? 1 : 0
}

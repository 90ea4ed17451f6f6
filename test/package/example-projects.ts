/** Projects that use the package, beside its installation: examples, and tests of other runners. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { cleanEnvironment, type Ended, type InstalledPackage } from './installed-package.ts'

interface Manifest {
  dependencies?: Record<string, string>
}

/** Lets the project find a package that the checkout, or another directory, has. */
function link({ directory }: InstalledPackage, name: string, from: string): void {
  const place = join(directory, 'node_modules', name)
  if (existsSync(place)) return
  mkdirSync(dirname(place), { recursive: true })
  symlinkSync(resolve(from, name), place)
}

/** Names of the packages in a node_modules. */
function packagesIn(modules: string): string[] {
  return readdirSync(modules)
    .filter(name => !name.startsWith('.'))
    .flatMap(name =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map(below => `${name}/${below}`) : [name],
    )
}

function run(directory: string, args: readonly string[], options = ''): Ended {
  const env: NodeJS.ProcessEnv = { ...cleanEnvironment, NODE_OPTIONS: options, NO_COLOR: '1', CI: '1' }
  // Node's runner must not take this test for its parent.
  delete env['NODE_TEST_CONTEXT']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: directory, env, encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}

/** Copies a folder of examples/, and runs its tests as `npm test` there does. */
export function testExample(installed: InstalledPackage, name: string): Ended {
  const directory = join(installed.directory, name)
  cpSync(join('examples', name), directory, { recursive: true })
  const { dependencies = {} } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest
  for (const dependency of Object.keys(dependencies)) link(installed, dependency, 'node_modules')
  return run(directory, ['--test'])
}

/** Where .ci/run puts runners that are no part of a checkout. */
export const otherRunners = 'build/runners/node_modules'

export interface Runner {
  name: string
  /** The first line of a test file. */
  begins: string
  /** Of the command, behind `node`. */
  args: readonly string[]
  options: string
}

export const runners: readonly Runner[] = [
  { name: 'node', begins: "import { test } from 'node:test'", args: ['--test'], options: '' },
  {
    name: 'vitest',
    begins: "import { test } from 'vitest'",
    args: [join('node_modules', 'vitest', 'vitest.mjs'), 'run'],
    options: '',
  },
  {
    name: 'jest',
    begins: '',
    args: [join('node_modules', 'jest', 'bin', 'jest.js'), '--testMatch', '**/*.test.mjs'],
    options: '--experimental-vm-modules',
  },
]

const body = `
import { startTercet } from 'tercet'
import { expectTelemetry } from 'tercet/testing'

async function expectUp(value) {
  const tercet = await startTercet({ http: false, time: { startAt: '2026-01-01T00:00:00Z' } })
  try {
    await tercet.addMetrics([{ name: 'up', value: 1 }])
    await expectTelemetry(tercet).metric('up').toBe(value)
  } finally {
    await tercet.close()
  }
}

test('it holds', () => expectUp(1))
test('it does not', () => expectUp(2))
`

/** Two tests, of which the second one fails, under a runner. */
export function testUnder(installed: InstalledPackage, { name, begins, args, options }: Runner): Ended {
  const directory = join(installed.directory, `under-${name}`)
  mkdirSync(join(directory, 'node_modules'), { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{ "type": "module", "private": true }')
  writeFileSync(join(directory, 'up.test.mjs'), `${begins}\n${body}`)
  const own = { ...installed, directory }
  link(own, 'tercet', join(installed.directory, 'node_modules'))
  if (name !== 'node') for (const one of packagesIn(otherRunners)) link(own, one, otherRunners)
  return run(directory, args, options)
}

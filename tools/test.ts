/** npm test: layout, types, lint, then every test file with the runner of node. */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'

const bin = (name: string): string => join('node_modules', '.bin', name)

function step(what: string, command: string, args: readonly string[]): void {
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  if (status === 0) {
    console.log(`ok: ${what}`)
    return
  }
  console.error(`failed: ${what}`)
  process.exit(status ?? 1)
}

step('format', bin('oxfmt'), ['--check', 'src', 'test', 'tools', 'bench', 'ui', 'kernel'])
step('layout', process.execPath, ['tools/tidy.ts'])
step('types', bin('tsc'), ['--noEmit'])
step('types of the browser program', bin('tsc'), ['--noEmit', '-p', 'ui'])
step('lint', bin('oxlint'), ['--deny-warnings', 'src', 'test', 'tools', 'bench', 'ui/src'])
step('the web interface is built', process.execPath, ['tools/build-ui.ts', '--if-possible'])
const wanted = process.argv.slice(2)
const files = (wanted.length > 0 ? wanted : globSync('{src,test,ui/src}/**/*.test.ts')).sort()
// The table after the tests has every file of src with the share of its lines that ran, and the lines that did not.
const coverage = [
  '--experimental-test-coverage',
  '--test-coverage-include=src/**',
  '--test-coverage-exclude=**/*.test.ts',
  '--test-coverage-lines=85',
]
const runner = ['--test', '--test-timeout=300000', '--test-concurrency=2', ...(wanted.length > 0 ? [] : coverage)]
const { status } = spawnSync(process.execPath, [...runner, ...files], { stdio: 'inherit' })
process.exit(status ?? 1)

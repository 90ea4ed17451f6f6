/** npm test: layout, types, lint, then every test file with the runner of node, and the lines that ran. */
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, matchesGlob } from 'node:path'

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

step('format', bin('oxfmt'), ['--check', 'src', 'test', 'tools', 'bench', 'ui', 'kernel', 'bin'])
step('layout', process.execPath, ['tools/tidy.ts'])
step('types', bin('tsc'), ['--noEmit'])
step('types of the browser program', bin('tsc'), ['--noEmit', '-p', 'ui'])
step('lint', bin('oxlint'), ['--deny-warnings', 'src', 'test', 'tools', 'bench', 'bin', 'ui/src'])
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
/**
 * Lines are counted for the tests that lie beside the files of src: counting takes twice the time. Those of whole
 * processes and engines, and long loops over lines that others run too, go without.
 */
const uncounted = [
  'test/**',
  'src/ingest/{large-bodies,body-limits}.test.ts',
  'src/query/largest-queries.test.ts',
  'src/codec/codecs.test.ts',
  'src/gate/compare.test.ts',
  'src/library/instances.test.ts',
]
const isCounted = (file: string): boolean => !uncounted.some(glob => matchesGlob(file, glob))
// Many tests wait for another process: with three at a time two processors have work. The timeout ends what hangs, on
// machines that are ten times slower, too; no test has one of its own.
const runner = ['--test', '--test-timeout=900000', '--test-concurrency=3']
// Each module is stripped of its types and compiled once, not once for every file.
const compiled = mkdtempSync(join(tmpdir(), 'tercet-compiled-tests-'))
const env = { ...process.env, NODE_COMPILE_CACHE: compiled }
/** What took long and what failed is said at the end, behind the table of lines. */
const summaries: string[] = []

function run(options: readonly string[], some: readonly string[]): number {
  if (some.length === 0) return 0
  const summary = join(compiled, 'summary')
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./tools/test-summary.ts',
    `--test-reporter-destination=${summary}`,
  ]
  const all = [...runner, ...reporters, ...options, ...some]
  const { status } = spawnSync(process.execPath, all, { stdio: 'inherit', env })
  summaries.push(readFileSync(summary, 'utf8'))
  return status ?? 1
}

const statuses =
  wanted.length > 0
    ? [run([], files)]
    : [
        run(
          [],
          files.filter(file => !isCounted(file)),
        ),
        run(coverage, files.filter(isCounted)),
      ]
rmSync(compiled, { recursive: true, force: true })
process.stderr.write(summaries.join(''))
process.exit(Math.max(...statuses))

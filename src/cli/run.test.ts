/** Words that stand in the place of a verb: what everybody tries first, and what other programs call it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['src/app/main.ts', ...args], { encoding: 'utf8' })
}

for (const flag of ['--version', '-v', '-V'])
  test(`tercet ${flag} prints the version`, () => {
    const { status, stdout, stderr } = run(flag)
    assert.deepEqual([status, stderr], [0, ''])
    assert.match(stdout, /^tercet \d+\.\d+\.\d+ \(node v\d/)
  })

const hints: readonly (readonly [line: string, hint: string])[] = [
  ['serve', 'unknown command "serve"; here it is tercet up, and tercet --help lists all'],
  ['logs {}', 'unknown command "logs"; here it is tercet query --logs, and tercet --help lists all'],
  ['upp', 'unknown command "upp"; the nearest is up, and tercet --help lists all'],
  ['xyzzy', 'unknown command "xyzzy"; tercet --help lists all'],
  ['rules reply', 'rules knows replay, not "reply"; the nearest is replay; tercet rules --help says more'],
  ['rules xyzzy', 'rules knows replay, not "xyzzy"; tercet rules --help says more'],
  [
    'record npm test --watch',
    'record does not know --watch: the command and its flags stand behind --: tercet record -- COMMAND…',
  ],
]
for (const [line, hint] of hints)
  test(`tercet ${line} says what was meant`, () => {
    const { status, stdout, stderr } = run(...line.split(' '))
    assert.deepEqual([status, stdout, stderr], [2, '', `tercet: ${hint}\n`])
  })

/** Templates that would run for long or print much: each ends by its own limit, all together by that of their query. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { CanceledError } from '#core/errors.ts'
import { templateLimits } from '#core/limits.ts'
import { TemplateAllowance } from './allowance.ts'
import { builtins } from './builtins.ts'
import { TemplateRunner } from './execute.ts'
import { sprintf } from './go-format.ts'
import { variadic, typed } from './signature.ts'
import { GoInt, type GoFunction, type GoValue } from './values.ts'
import { parseTemplate } from './parse.ts'

const functions: ReadonlyMap<string, GoFunction> = new Map<string, GoFunction>([
  ['list', variadic([], 'interface {}', (...values) => values)],
  ['big', typed([], () => 'x'.repeat(templateLimits.charactersMax))],
  ['int', typed([], () => new GoInt(9999))],
])
const has = (name: string): boolean => functions.has(name) || builtins.has(name)

function run(source: string, allowance = new TemplateAllowance(), data: GoValue = null): string {
  return new TemplateRunner('t', source, parseTemplate('t', source, has), functions, { allowance }).run(data)
}

for (const [what, source, problem] of [
  ['loops in loops', '{{range int}}{{range int}}{{end}}{{end}}', /more than 100000 steps/],
  ['loops over much', '{{range int}}{{range int}}{{range int}}x{{end}}{{end}}{{end}}', /more than 100000 steps/],
  [
    'templates that call themselves twice',
    '{{define "a"}}{{template "a"}}{{template "a"}}{{end}}{{template "a"}}',
    /depth/,
  ],
  [
    'values that double',
    '{{$x := "ab"}}{{range int}}{{$x = printf "%s%s" $x $x}}{{end}}{{$x}}',
    /error calling printf: the result has more than 1048576 characters/,
  ],
  [
    'lists that hold themselves twice',
    '{{$x := list "ab"}}{{range int}}{{$x = list $x $x}}{{end}}{{$x}}',
    /levels|steps/,
  ],
  [
    'lists that double, printed',
    `{{$x := list "ab"}}${'{{$x = list $x $x}}'.repeat(40)}{{$x}}`,
    /prints more than 1048576/,
  ],
  ['much printed', '{{range int}}{{big}}{{end}}', /output has more than 1048576 characters/],
  ['much escaped', '{{big | html | html | html}}{{big | printf "%q" | js | js}}', /result has more than 1048576/],
] as const)
  test(`${what}: the run ends with a failure of its own`, () => {
    const allowance = new TemplateAllowance()
    assert.throws(() => run(source, allowance), { name: 'ExecutionFailure', message: problem })
    assert.ok(allowance.steps <= templateLimits.stepsMax + 10_000 + templateLimits.charactersMax)
  })

test('what fails leaves the next run its whole share', () => {
  const allowance = new TemplateAllowance()
  assert.throws(() => run('{{range int}}{{range int}}{{end}}{{end}}', allowance), { name: 'ExecutionFailure' })
  assert.equal(run('{{range int}}x{{end}}', allowance), 'x'.repeat(9999))
})

test('the clock is looked at every thousand steps, also in an empty loop', () => {
  let looks = 0
  const allowance = new TemplateAllowance(() => {
    looks++
  })
  run('{{range int}}{{end}}', allowance)
  assert.ok(looks >= Math.floor(allowance.steps / 20_000), `${looks} looks in ${allowance.steps} steps`)
  assert.ok(allowance.steps >= 9999)
})

test('a query that is over ends a template in the middle', () => {
  const stopped = new TemplateAllowance(() => {
    throw new CanceledError('query was canceled in expression evaluation')
  })
  assert.throws(() => run('{{range int}}x{{end}}', stopped), { name: 'CanceledError' })
})

test('all runs of a query together are bounded', () => {
  const allStepsMax = 1_000_000
  const allowance = new TemplateAllowance(() => {}, allStepsMax)
  const source = '{{range int}}{{range int}}{{end}}{{end}}'
  let runs = 0
  assert.throws(
    () => {
      for (; runs < 5000; runs++) assert.throws(() => run(source, allowance), { name: 'ExecutionFailure' })
    },
    (error: Error) => /LimitError|more than 1000000 steps/.test(`${error.name} ${String(error.message)}`),
  )
  assert.ok(runs <= 1 + allStepsMax / templateLimits.stepsMax)
})

test('fields that are too wide print what Go prints', () => {
  assert.equal(sprintf('a %400000000d b', [new GoInt(1)]), 'a %!(NOVERB)%!(EXTRA int=1)')
  assert.equal(sprintf('%.400000000f', [1]), '%!(NOVERB)%!(EXTRA float64=1)')
  assert.equal(sprintf('%*d', [new GoInt(400_000_000), new GoInt(7)]), '%!(BADWIDTH)7')
  assert.equal(sprintf('%.*f', [new GoInt(400_000_000), 0.5]), '%!(BADPREC)0.500000')
  assert.equal(sprintf('%5d|%-5d|%05d', [new GoInt(1), new GoInt(2), new GoInt(-3)]), '    1|2    |-0003')
  assert.throws(() => sprintf('%1000000d%1000000d', [new GoInt(1), new GoInt(2)]), /more than 1048576 characters/)
})

test('texts of templates that nest too deeply are refused, not run', () => {
  const deep = (n: number): string => '{{if 1}}'.repeat(n) + '{{end}}'.repeat(n)
  assert.equal(run(deep(templateLimits.depthMax - 1)), '')
  assert.throws(() => run(deep(20_000)), { name: 'TemplateError', message: /nest deeper than 100 levels/ })
  assert.throws(() => run(`{{${'('.repeat(20_000)}1${')'.repeat(20_000)}}}`), { name: 'TemplateError' })
  assert.throws(() => run(`{{if 1}}${'{{else if 1}}'.repeat(20_000)}{{end}}`), { name: 'TemplateError' })
  // The deepest text that is taken, by templates that call each other as often as they may.
  const half = templateLimits.depthMax - 3
  const body = `${'{{if 1}}'.repeat(half)}{{template "a"}}${'{{end}}'.repeat(half)}`
  const recursive = `{{define "a"}}${body}{{end}}{{template "a"}}`
  assert.throws(() => run(recursive), { name: 'ExecutionFailure', message: /blocks nest deeper than 500 levels/ })
})

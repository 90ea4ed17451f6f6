/** Sizes of expressions: what would compile to a large program is refused before anything is compiled. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { regexLimits } from '#core/limits.ts'
import { compileAnchored, compileRe2 } from './regex.ts'
import { sizeProblem } from './size.ts'

for (const [what, source, problem] of [
  ['branches', Array.from({ length: 60_000 }, (_, i) => `${i}.`).join('|'), /characters|instructions/],
  ['repetition in repetition', '((a{1,30}b){1,30}c){1,30}', /instructions|repeat/],
  ['repetition side by side', '(ab[cd]){1000}'.repeat(10), /position \d+ its program has more than 20000 instructions/],
  ['parentheses', `${'('.repeat(900)}a${')'.repeat(900)}`, /nest deeper than the limit of 250 levels at position 251/],
  ['classes of Unicode', '\\pL'.repeat(1000), /instructions/],
  ['a long text with an operator', `a.${'b'.repeat(70_000)}`, /70002 characters, more than the limit of 65536/],
] as const)
  test(`${what}: refused with the limit and the place`, () => {
    assert.match(sizeProblem(source) ?? '', problem)
    assert.throws(() => compileRe2(source), { name: 'BadRegexError', message: problem })
    assert.throws(() => compileAnchored(source), { name: 'BadRegexError' })
  })

test('the estimate is at least the program that is compiled, for expressions of all forms', () => {
  const { instructionsMax } = regexLimits
  // Each is repeated until the estimate refuses it: the program of the last that is taken is not larger than the limit.
  for (const unit of [
    'ab',
    '[a-z]x',
    '(a|b)',
    'a*',
    'x{3}',
    '(?:ab|c)?',
    'a{2,5}',
    '\\d+',
    '(?i)k',
    '\\Qa.b\\E',
    'é',
    '[^\\]]',
  ]) {
    let low = 1
    let high = instructionsMax + 1
    while (low + 1 < high) {
      const middle = (low + high) >>> 1
      if (sizeProblem(unit.repeat(middle)) === undefined) low = middle
      else high = middle
    }
    assert.ok(low * unit.length > 1000, `${unit}: ${low} times are taken`)
    const { prog } = (compileRe2(unit.repeat(low)) as unknown as { re2Input: { prog: { inst: unknown[] } } }).re2Input
    assert.ok(prog.inst.length <= instructionsMax + low + 8, `${unit}: ${prog.inst.length} instructions`)
  }
})

test('lists of plain texts may be long: a set tests them', () => {
  const names = Array.from({ length: 60_000 }, (_, i) => `pod-${i}.example`)
  for (const source of [names.join('|'), names.map(name => name.replaceAll('.', '\\.')).join('|')]) {
    if (!source.includes('\\')) continue
    const compiled = compileAnchored(source)
    assert.equal(compiled.alternatives, undefined)
    assert.ok(compiled.test('pod-59999.example'))
    assert.ok(!compiled.test('pod-59999xexample'))
    assert.ok(!compiled.test('pod-60000.example'))
  }
  assert.deepEqual(compileAnchored('a\\.b\\|c|d\\-e').alternatives, ['a.b|c', 'd-e'])
  assert.deepEqual(compileAnchored('x\\.(a|b)\\)').alternatives, ['x.a)', 'x.b)'])
})

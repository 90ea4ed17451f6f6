/** What the command line draws. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { colored, harmless, levelsFrom, shortNumber, sparkRow } from './terminal.ts'

test('a line of values is drawn with its bounds; holes stay holes', () => {
  assert.equal(
    sparkRow({ name: 'up', values: [0, 1, 2, 3, 4, 5, 6, 7, undefined, 7] }, 70),
    '▁▂▃▄▅▆▇█ █  7 (0 to 7)  up',
  )
  assert.equal(
    sparkRow({ name: 'flat', values: Array.from({ length: 10 }, () => 5) }, 70),
    '▄▄▄▄▄▄▄▄▄▄  5 (5 to 5)  flat',
  )
  assert.match(sparkRow({ name: 'none', values: [undefined, NaN] }, 70), /no values {2}none$/)
  assert.equal(
    [...sparkRow({ name: 'x', values: Array.from({ length: 5000 }, (_, i) => i) }, 200)].filter(c =>
      '▁▂▃▄▅▆▇█'.includes(c),
    ).length,
    60,
  )
})

test('numbers, colours, levels, and lines that would move the cursor', () => {
  assert.deepEqual([0, 12.3456, 1234567, -2500, 0.00001, Infinity].map(shortNumber), [
    '0',
    '12.35',
    '1.235M',
    '-2.5k',
    '1.0e-5',
    'Infinity',
  ])
  assert.deepEqual(
    [colored('x', 'error', true), colored('x', 'error', false), colored('x', 'unknown', true)],
    ['\x1b[31mx\x1b[0m', 'x', 'x'],
  )
  assert.deepEqual(levelsFrom('warn'), ['warn', 'error', 'critical', 'fatal', 'warning'])
  assert.equal(levelsFrom('loud'), undefined)
  assert.equal(harmless('a\x1b[2Jb\u202ec\ttab'), 'a␛[2Jb�c\ttab')
})

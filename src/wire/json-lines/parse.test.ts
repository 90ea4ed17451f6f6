/** JSON lines of series, in and out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { checkDamage } from '../../../test/damage.ts'
import { formatJsonLine, parseJsonLine } from './parse.ts'

test('a line is a series, and comes back', () => {
  const line =
    '{"metric":{"__name__":"up","job":"a"},"values":[1,null,"Infinity","-Infinity"],"timestamps":[1,2,3,4]}\n'
  const { labels, timesMs, values } = parseJsonLine(line)
  assert.deepEqual(
    [labels, timesMs, values],
    [{ __name__: 'up', job: 'a' }, [1, 2, 3, 4], [1, NaN, Infinity, -Infinity]],
  )
  assert.equal(formatJsonLine(labels, timesMs, values, 4), line)
})

test('what is not a text becomes one; times are rounded', () => {
  const line = '{"metric":{"a":1,"b":[2],"c":{"toString":3}},"values":["+Inf"],"timestamps":[1.5]}'
  assert.deepEqual(parseJsonLine(line), {
    labels: { a: '1', b: '[2]', c: '{"toString":3}' },
    timesMs: [2],
    values: [Infinity],
  })
})

test('NaN and infinities, bare or quoted, in any case; texts keep such words', () => {
  const words = ['NaN', 'nan', 'Inf', '+Inf', '-Inf', 'Infinity', '-Infinity', '"NaN"', '"+Inf"', '"-inf"', 'null']
  const line = `{"metric":{"a":"is NaN, \\"Inf\\" too"},"values":[${words}],"timestamps":[${words.map((_, i) => i)}]}`
  const { labels, values } = parseJsonLine(line)
  assert.deepEqual(values, [
    NaN,
    NaN,
    Infinity,
    Infinity,
    -Infinity,
    Infinity,
    -Infinity,
    NaN,
    Infinity,
    -Infinity,
    NaN,
  ])
  assert.equal(labels['a'], 'is NaN, "Inf" too')
})

test('numbers keep their text in labels, and may be written in any way as values and times', () => {
  const line = '{"metric":{"id":9007199254740993,"v":1.50},"values":[1.50,1e3],"timestamps":[1.0e3,2000.0]}'
  assert.deepEqual(parseJsonLine(line), {
    labels: { id: '9007199254740993', v: '1.50' },
    values: [1.5, 1000],
    timesMs: [1000, 2000],
  })
})

test('what is wrong with a line', () => {
  const cases: [line: string, problem: RegExp][] = [
    ['{', /not a JSON object/],
    ['null', /"metric", "values" and "timestamps" are needed/],
    ['{"metric":{},"values":1,"timestamps":[]}', /"metric", "values" and "timestamps" are needed/],
    ['{"metric":{},"values":[1],"timestamps":[]}', /1 values and 0 timestamps/],
    ['{"metric":{},"values":[1],"timestamps":["x"]}', /"x" is not a timestamp/],
    ['{"metric":{},"values":[{}],"timestamps":[1]}', /\{\} is not a value/],
  ]
  for (const [line, message] of cases) assert.throws(() => parseJsonLine(line), { name: 'BadDataError', message })
})

test('damaged lines', () => {
  const line = '{"metric":{"__name__":"up","job":"a"},"values":[1,null,"Infinity"],"timestamps":[1,2,3]}'
  checkDamage(Buffer.from(line), bytes => parseJsonLine(Buffer.from(bytes).toString()), {
    errors: [BadDataError],
    refusesCuts: 'always',
  })
})

/** InfluxDB's line protocol. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { checkDamage } from '../../../test/damage.ts'
import { parseInfluxLine, type InfluxPoint } from './parse.ts'

const show = ({ measurement, tags, fields, time }: InfluxPoint): string =>
  [measurement, ...tags.map(t => t.join('=')), '|', ...fields.map(f => f.join('=')), '|', time ?? ''].join(' ').trim()

const lines: [line: string, shown: string][] = [
  ['cpu value=1', 'cpu | value=1 |'],
  [
    'cpu,host=a,zone=b user=1.5,system=2i,up=true,down=F 1700000000',
    'cpu host=a zone=b | user=1.5 system=2 up=1 down=0 | 1700000000',
  ],
  ['c\\,p\\ u,ho\\=st=a\\ b v\\ x=-1e3 -5', 'c,p u ho=st=a b | v x=-1000 | -5'],
  ['cpu text="a, b=\\" c",v=3u', 'cpu | v=3 |'],
  ['cpu  v=+.5   7 ', 'cpu | v=0.5 | 7'],
  ['cpu v=1 1795883460000000009', 'cpu | v=1 | 1795883460000000009'],
]

test('lines: tags, fields, escapes, texts that are left out', () => {
  for (const [line, shown] of lines) assert.equal(show(parseInfluxLine(line)), shown, line)
})

test('what is wrong with a line', () => {
  const cases: [line: string, problem: RegExp][] = [
    ['', /a measurement was expected/],
    ['cpu', /fields were expected/],
    ['cpu,host v=1', /tag "host" has no value/],
    ['cpu v', /field "v" has no value/],
    ['cpu v=x', /field "v": "x" is not a value/],
    ['cpu v="x', /a quoted field is not ended/],
    ['cpu v=1 soon', /"soon" is not a timestamp/],
  ]
  for (const [line, message] of cases) assert.throws(() => parseInfluxLine(line), { name: 'BadDataError', message })
})

test('damaged lines', () => {
  for (const [line] of lines)
    checkDamage(Buffer.from(line), bytes => parseInfluxLine(Buffer.from(bytes).toString()), { errors: [BadDataError] })
})

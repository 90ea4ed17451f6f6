import { deepEqual, equal, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { doubleOf, isRawNumber, numberText, parseJson, rawNumber, wholeOf } from './json.ts'

const kept = [
  '9007199254740993',
  '-9007199254740993',
  '1234567890123456789',
  '18446744073709551616',
  '1.50',
  '10.0',
  '0.10',
  '1e400',
  '-1E-400',
  '1e5',
  '1.5e+3',
  '0.0000001',
  '-0',
  '0.1234567890123456789',
  '123456789.123456789',
  '1795883460000000009',
  '3.141592653589793238',
  '100',
  '0',
  '-1.25',
]

test('every number comes out as it was written, wherever it stands', () => {
  for (const number of kept)
    for (const [before, after] of [
      ['', ''],
      [' ', ' '],
      ['[', ']'],
      ['[ 1,\n\t', ' ]'],
      ['{"a":', '}'],
      ['{"a":[{"b":"x"},{"b": ', '}]}'],
    ] as const) {
      const text = `${before}${number}${after}`
      equal(JSON.stringify(parseJson(text)).replaceAll(/\s/g, ''), text.replaceAll(/\s/g, ''), text)
    }
})

test('texts that look like numbers stay texts, and numbers that lose nothing stay numbers', () => {
  const value = parseJson('{"a":"1.50, 12345678901234567890","b":[1,2.5,-3],"c":{"rawJSON":"7"}}')
  deepEqual(value, { a: '1.50, 12345678901234567890', b: [1, 2.5, -3], c: { rawJSON: '7' } })
  equal(isRawNumber((value as { c: unknown }).c), false)
  throws(() => parseJson('{"a":01.50}'), SyntaxError)
})

test('numbers as texts, doubles and whole numbers', () => {
  equal(numberText(parseJson('1.50')), '1.50')
  equal(numberText(12), '12')
  equal(numberText('12'), undefined)
  equal(doubleOf(parseJson('1.50')), 1.5)
  equal(doubleOf(parseJson('9007199254740993')), 9007199254740992)
  equal(doubleOf('1'), NaN)
  equal(JSON.stringify(rawNumber(-9223372036854775808n)), '-9223372036854775808')
  const wholes: [string, bigint | undefined][] = [
    ['9007199254740993', 9007199254740993n],
    ['-12.9', -12n],
    ['1.7958834600000000091e18', 1795883460000000009n],
    ['5e-3', 0n],
    ['0e999', 0n],
    ['1e400', undefined],
    ['', undefined],
    ['0x10', undefined],
    ['NaN', undefined],
  ]
  for (const [text, whole] of wholes) equal(wholeOf(text), whole, text)
})

test('half a pair of surrogates becomes U+FFFD, as bytes of UTF-8 can hold it', () => {
  const cases: [json: string, expected: string][] = [
    ['"\\ud800"', '\ufffd'],
    ['"a\\uDC00b"', 'a\ufffdb'],
    ['"\\ud83d\\ude00"', '😀'],
    ['"\\uD83D\\uDE00\\uD83D"', '😀\ufffd'],
    ['"\\ud83d\\u0041"', '\ufffdA'],
    ['"\\\\ud800"', '\\ud800'],
    ['"\\\\\\ud800"', '\\\ufffd'],
    ['"\\ud83d\\ud83d\\ude00"', '\ufffd😀'],
    ['"\\u0000"', '\0'],
  ]
  for (const [json, expected] of cases) equal(parseJson(json), expected, json)
  equal(JSON.stringify(parseJson('{"\\ud800":[1.50]}')), '{"\ufffd":[1.50]}')
})

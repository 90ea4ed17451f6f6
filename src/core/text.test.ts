/** Texts, durations and times of the ground floor: known answers, and seeded round trips. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { formatDuration, parseDurationMs } from './duration.ts'
import { formatNs, parseNs } from './nanoseconds.ts'
import { closeOf, nearestOf } from './nearest.ts'
import { below, seededRandom } from './random.ts'
import { compareText, decodeUtf8, decodeUtf8Marking, decodeUtf8Replacing, encodeUtf8, quote } from './text.ts'

for (const [text, ms] of [
  ['0', 0],
  ['0s', 0],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1y2w3d4h5m6s7ms', 31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_400_000 + 300_000 + 6000 + 7],
  ['', undefined],
  ['5', undefined],
  ['-5m', undefined],
  ['1.5h', undefined],
  ['30m1h', undefined],
  ['5m5m', undefined],
  ['5 m', undefined],
  ['293y', undefined],
] as const)
  test(`the duration ${JSON.stringify(text)} is ${ms ?? 'none'}`, () => {
    assert.equal(parseDurationMs(text), ms)
  })

for (const [ms, text] of [
  [0, '0s'],
  [90_000, '1m30s'],
  [604_800_000, '1w'],
  [604_800_001, '7d1ms'],
  [31_536_000_000, '1y'],
  [-1500, '-1s500ms'],
] as const)
  test(`${ms} ms are printed as ${text}`, () => {
    assert.equal(formatDuration(ms), text)
  })

test('a duration that was printed reads as the same', () => {
  const random = seededRandom(1)
  for (let i = 0; i < 1000; i++) {
    const ms = below(random, 2_000_000_000) * (1 + below(random, 100))
    assert.equal(parseDurationMs(formatDuration(ms)), ms)
  }
})

for (const [text, ms, subNs] of [
  ['1700000000123456789', 1_700_000_000_123, 456_789],
  ['0', 0, 0],
  ['999999', 0, 999_999],
  ['1000000', 1, 0],
  ['-1', -1, 999_999],
  ['-1000000', -1, 0],
] as const)
  test(`${text} ns are ${ms} ms and ${subNs} ns, both ways`, () => {
    assert.deepEqual(parseNs(text), { ms, subNs })
    assert.equal(formatNs(ms, subNs), text)
  })

for (const text of ['', '1.5', 'x', '99999999999999999999', '0x1', ' 1'])
  test(`${JSON.stringify(text)} is no time in nanoseconds`, () => {
    assert.equal(parseNs(text), undefined)
  })

test('texts sort by their UTF-8 bytes, surrogates too', () => {
  const texts = ['', 'a', 'ab', 'b', 'é', '\u{e000}', '\u{ffff}', '\u{10000}', '\u{1f600}', 'a\0', 'a\u{1f600}']
  const byBytes = [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  assert.deepEqual([...texts].sort(compareText), byBytes)
})

test('bytes become a text only where they are UTF-8', () => {
  for (const text of ['', 'plain', 'a text of more than twenty-four bytes', 'é', '\u{1f600}', '\ufeffx']) {
    const bytes = encodeUtf8(`<${text}>`)
    assert.equal(decodeUtf8(bytes, 1, bytes.length - 1), text)
  }
  for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0x61, 0xc0, 0xaf]])
    assert.equal(decodeUtf8(Uint8Array.from(bytes), 0, bytes.length), undefined)
})

for (const [text, quoted] of [
  ['plain', '"plain"'],
  ['a"b\\c', '"a\\"b\\\\c"'],
  ['\n\r\t\x07\b\f\v', '"\\n\\r\\t\\a\\b\\f\\v"'],
  ['\x01\x7f', '"\\x01\\x7f"'],
  ['é\u{1f600}', '"é\u{1f600}"'],
  ['\udc80', '"\\x80"'],
] as const)
  test(`${JSON.stringify(text)} is quoted as ${quoted}`, () => {
    assert.equal(quote(text), quoted)
  })

test('the nearest known word is the one with the fewest edits, the first of several', () => {
  assert.equal(nearestOf('metrics.retenton', ['logs.retention', 'metrics.retention']), 'metrics.retention')
  assert.equal(nearestOf('ab', ['ax', 'xb']), 'ax')
  assert.equal(nearestOf('anything', []), undefined)
})

test('a word that has less than half of its letters in common with any known one is near to none', () => {
  assert.equal(closeOf('retention', ['data_dir', 'logs.retention']), 'logs.retention')
  assert.equal(closeOf('port', ['role', 'data_dir']), undefined)
  assert.equal(closeOf('serve', ['up', 'demo', 'query']), undefined)
  assert.equal(closeOf('anything', []), undefined)
})

test('bytes that are no UTF-8 are replaced, or marked so that they stay apart', () => {
  const cases: [hex: string, replaced: string, marked: string][] = [
    ['4dfc6c6c', 'M\ufffdll', 'M\udcfcll'],
    ['ff', '\ufffd', '\udcff'],
    ['fe', '\ufffd', '\udcfe'],
    ['c3a9', '\u00e9', '\u00e9'],
    ['c3', '\ufffd', '\udcc3'],
    ['61c3a9ff62e282', 'a\u00e9\ufffdb\ufffd', 'a\u00e9\udcffb\udce2\udc82'],
    ['eda080', '\ufffd\ufffd\ufffd', '\udced\udca0\udc80'],
    ['f09f9880f5', '\ud83d\ude00\ufffd', '\ud83d\ude00\udcf5'],
    ['', '', ''],
  ]
  for (const [hex, replaced, marked] of cases) {
    const bytes = Buffer.from(`7878${hex}7878`, 'hex')
    assert.equal(decodeUtf8Replacing(bytes, 2, bytes.length - 2), replaced, hex)
    assert.equal(decodeUtf8Marking(bytes, 2, bytes.length - 2), marked, hex)
    assert.equal(marked.isWellFormed(), replaced === marked, hex)
  }
})

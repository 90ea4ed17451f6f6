/** The Journal Export Format. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkDamage } from '../../../test/damage.ts'
import { parseJournal } from './parse.ts'

/** A field as bytes: its name, its length, its value. */
function binary(name: string, value: string): Buffer {
  const length = Buffer.alloc(8)
  length.writeUInt32LE(Buffer.byteLength(value))
  return Buffer.concat([Buffer.from(`${name}\n`), length, Buffer.from(`${value}\n`)])
}

const export2 = Buffer.concat([
  Buffer.from('__CURSOR=s=1\nMESSAGE=hello\n\n\n'),
  binary('MESSAGE', 'two\nlines'),
  Buffer.from('_PID=1\n'),
])

test('entries: fields of one line, fields with a length, the last one without an end', () => {
  assert.deepEqual(
    parseJournal(export2).entries.map(fields => Object.fromEntries(fields)),
    [
      { __CURSOR: 's=1', MESSAGE: 'hello' },
      { MESSAGE: 'two\nlines', _PID: '1' },
    ],
  )
  assert.deepEqual(parseJournal(new Uint8Array(0)), { entries: [], problem: undefined })
})

test('a length that is cut off, or beyond the bytes, ends the reading; the entries before it are whole', () => {
  const cases: [rest: Buffer, problem: RegExp][] = [
    [Buffer.from('MESSAGE\nabc'), /the length of a field is cut off/],
    [binary('MESSAGE', 'abc').subarray(0, 17), /a field of 3 bytes is cut off/],
    [Buffer.from('MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff', 'latin1'), /a field of \d+ bytes is cut off/],
  ]
  for (const [rest, message] of cases) {
    const { entries, problem } = parseJournal(Buffer.concat([Buffer.from('MESSAGE=whole\n\n'), rest]))
    assert.deepEqual(
      entries.map(fields => fields.get('MESSAGE')),
      ['whole'],
    )
    assert.match(problem ?? '', message)
  }
})

test('damaged exports', () => {
  checkDamage(export2, parseJournal, { errors: [] })
})

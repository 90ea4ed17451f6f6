/** The record of what wrote the data: what is refused, what is passed over, and that it never says less than before. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { NewerFormatError, ownFormats, type OwnFormat } from '#core/own-formats.ts'
import {
  decodeFormatRecord,
  encodeFormatRecord,
  nextFormatRecord,
  refuseUnreadable,
  type FormatRecord,
  type RecordedFormat,
} from './format-record.ts'

const writer = { program: '0.1.0', isReader: false }
const reader = { program: '0.1.0', isReader: true }
const recordOf = (formats: Record<string, RecordedFormat>): FormatRecord => ({
  program: '0.9.0',
  formats: new Map(Object.entries(formats)),
})

test('every format writes what it reads', () => {
  for (const [name, format] of Object.entries<OwnFormat>(ownFormats)) {
    assert.ok(format.oldest <= format.written && format.written <= format.newest, name)
    assert.ok(format.places.length > 0, name)
  }
})

test('a record comes back as it was written', () => {
  const record = nextFormatRecord(undefined, 'logs', '0.1.0')
  assert.deepEqual(record.formats.get('log-segment'), { version: 3, neededBy: 'writers' })
  assert.equal(record.formats.has('agent-queue'), false)
  const again = decodeFormatRecord(encodeFormatRecord(record), 'p')
  assert.equal(again.program, '0.1.0')
  assert.deepEqual([...again.formats].sort(), [...record.formats].sort())
  refuseUnreadable(again, writer, 'p')
})

test('a newer version is refused in one sentence that says what was found, what is read, and what to do', () => {
  const record = recordOf({ 'log-segment': { version: 4, neededBy: 'writers' } })
  assert.throws(
    () => {
      refuseUnreadable(record, writer, '/data/formats.json')
    },
    (error: unknown) => {
      assert.ok(error instanceof NewerFormatError)
      assert.equal(
        error.message,
        '/data/formats.json: Tercet 0.9.0 wrote segments of the write-ahead log of version 4, and this is ' +
          'Tercet 0.1.0, which reads versions 2 to 3. Nothing was changed. Start Tercet 0.9.0 or a newer one there; ' +
          'docs/upgrading.md says how to go back',
      )
      return true
    },
  )
})

test('older versions that are read are no reason; those that are not read any more are', () => {
  refuseUnreadable(recordOf({ 'log-segment': { version: 2, neededBy: 'writers' } }), writer, 'p')
  assert.throws(() => {
    refuseUnreadable(recordOf({ 'log-segment': { version: 1, neededBy: 'writers' } }), writer, 'p')
  }, /Start a version between the two there first/)
})

test('who only answers queries takes no notice of what only writers need', () => {
  refuseUnreadable(recordOf({ 'log-segment': { version: 4, neededBy: 'writers' } }), reader, 'p')
  refuseUnreadable(recordOf({ unheard: { version: 1, neededBy: 'writers' } }), reader, 'p')
  for (const name of ['deletions', 'unheard'])
    assert.throws(() => {
      refuseUnreadable(recordOf({ [name]: { version: 9, neededBy: 'all' } }), reader, 'p')
    }, NewerFormatError)
})

test('a format that is not known is refused, unless nobody needs it', () => {
  assert.throws(() => {
    refuseUnreadable(recordOf({ unheard: { version: 1, neededBy: 'writers' } }), writer, 'p')
  }, /wrote unheard of version 1, and this is Tercet 0\.1\.0, which does not know them/)
  refuseUnreadable(recordOf({ unheard: { version: 1, neededBy: 'nobody' } }), writer, 'p')
  refuseUnreadable(recordOf({ 'token-filter': { version: 9, neededBy: 'nobody' } }), writer, 'p')
})

test('what was written once stays in the record', () => {
  const found = recordOf({
    'log-segment': { version: 2, neededBy: 'writers' },
    'token-filter': { version: 9, neededBy: 'nobody' },
    unheard: { version: 5, neededBy: 'nobody' },
  })
  const { program, formats } = nextFormatRecord(found, 'logs', '0.1.0')
  assert.equal(program, '0.1.0')
  assert.deepEqual(
    ['log-segment', 'token-filter', 'unheard'].map(name => formats.get(name)?.version),
    [3, 9, 5],
  )
})

test('a damaged record is damaged, and one of a newer form is refused', () => {
  const bytes = encodeFormatRecord(nextFormatRecord(undefined, 'server', '0.1.0'))
  for (let length = 0; length < bytes.length - 2; length++)
    assert.throws(() => decodeFormatRecord(bytes.subarray(0, length), 'p'), CorruptDataError)
  for (const text of ['null', '[]', '{"program":1}', '{"program":"x","formats":{"a":1}}'])
    assert.throws(() => decodeFormatRecord(Buffer.from(text), 'p'), CorruptDataError, text)
  assert.throws(() => decodeFormatRecord(Buffer.from('{"record":2,"program":"3.0.0"}'), 'p'), /Start Tercet 3\.0\.0/)
})

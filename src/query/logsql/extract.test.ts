/** Texts that are taken apart: JSON that is nested without end costs its deepest fields, and not the query. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parseLogsql } from '#lang/logsql/parser.ts'
import type { PipeOf } from './change.ts'
import { makeUnpack } from './extract.ts'

test('JSON that is nested too deep gives the fields beside it', () => {
  const [pipe] = parseLogsql('* | unpack_json', 0n).pipes
  const unpack = makeUnpack(pipe as PipeOf<'unpack'>, 0)
  const depth = 30_000
  const objects = `{"a":"1","o":${'{"b":'.repeat(depth)}1${'}'.repeat(depth)},"z":"2"}`
  const lists = `{"a":"1","l":${'['.repeat(depth)}${']'.repeat(depth)},"z":"2"}`
  for (const text of [objects, lists]) {
    const row = unpack(new Map([['_msg', text]]))!
    assert.equal(row.get('a'), '1')
    assert.equal(row.get('z'), '2')
  }
})

/** Lines of one time: one that is there already is left out, however many there are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeUtf8 } from '#core/text.ts'
import { OpenChunk } from './open-chunk.ts'

function append(chunk: OpenChunk, ms: number, text: string, pairs: readonly string[] = []): boolean {
  const line = encodeUtf8(text)
  return chunk.append(ms, 0, line, 0, line.length, pairs)
}

test('of many lines of one time each is there once, by its text and its metadata', () => {
  const chunk = new OpenChunk(0)
  const texts = Array.from({ length: 300 }, (_, i) => `line ${i}`)
  for (const text of texts) assert.ok(append(chunk, 1, text), text)
  for (const text of texts) assert.ok(!append(chunk, 1, text), text)
  for (const text of texts) assert.ok(append(chunk, 1, text, ['level', 'warn']), text)
  for (const text of texts) assert.ok(!append(chunk, 1, text, ['level', 'warn']), text)
  for (const text of texts) assert.ok(append(chunk, 2, text), text)
  assert.ok(!append(chunk, 2, 'line 7'))
  assert.equal(chunk.entries, 900)
})

test('lines of one time cost little more than lines of many', () => {
  const took = (timeOf: (i: number) => number): number => {
    const chunk = new OpenChunk(0)
    const startMs = performance.now()
    for (let i = 0; i < 20_000; i++) append(chunk, timeOf(i), `line ${i}`)
    return performance.now() - startMs
  }
  took(i => i)
  const [many, one] = [took(i => i), took(() => 1)]
  assert.ok(one < 20 * many + 100, `${one} ms against ${many} ms`)
})

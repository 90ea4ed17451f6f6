/** Times as varints, against bigint arithmetic. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatNs, parseNs } from '#core/nanoseconds.ts'
import { below, seededRandom } from '#core/random.ts'
import { ByteWriter } from './byte-writer.ts'
import { TimeCursor, writeTime } from './log-time.ts'

test('every time goes there and back, and is what zig-zag says', () => {
  const random = seededRandom(5)
  const cases: [number, number][] = [
    [0, 0],
    [0, 1],
    [1, 0],
    [-1, 999_999],
    [-5000, 3],
    [1_795_218_070_041, 652_721],
    [9_223_372_036_854, 775_807],
    [2 ** 40, 1],
  ]
  for (let i = 0; i < 20_000; i++)
    cases.push([below(random, 4_000_000_000) * 1000 + below(random, 1000) - 100_000_000_000, below(random, 1_000_000)])
  const cursor = new TimeCursor()
  for (const [ms, subNs] of cases) {
    const ns = BigInt(ms) * 1_000_000n + BigInt(subNs)
    let z = ns >= 0n ? ns * 2n : -ns * 2n - 1n
    const expected: number[] = []
    while (z >= 128n) {
      expected.push(Number(z & 127n) | 128)
      z >>= 7n
    }
    expected.push(Number(z))
    const out = new ByteWriter(16)
    writeTime(out, ms, subNs)
    assert.deepEqual([...out.bytes()], expected)
    cursor.read(out.bytes(), 0, out.at)
    assert.deepEqual([cursor.ms, cursor.subNs], [ms, subNs])
    assert.equal(formatNs(ms, subNs), String(ns))
    assert.deepEqual(parseNs(String(ns)), { ms, subNs })
  }
})

/** Lines of a block, by the kernel and by the loop that takes blocks which are too large for it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { BlockLines } from '#logs/block-lines.ts'
import { checkDamage } from '../../test/damage.ts'
import { kernelBytesMax } from './block-lines.ts'
import { ByteWriter } from './byte-writer.ts'
import { writeTime } from './log-time.ts'

interface Entry {
  ms: number
  subNs: number
  length: number
  pairs: number
}

function blockOf(entries: readonly Entry[], hasPairs: boolean): Uint8Array {
  const out = new ByteWriter(1024)
  for (const { ms, subNs, length, pairs } of entries) {
    writeTime(out, ms, subNs)
    out.writeUvarint(length)
    out.writeBytes(new Uint8Array(length).fill(7))
    if (!hasPairs) continue
    out.writeUvarint(pairs)
    out.writeBytes(new Uint8Array(pairs).fill(1))
  }
  return out.copy()
}

const random = seededRandom(21)
const times = [0, 1, 999, -1, -1000, 1_700_000_000_000, 4_000_000_000_000, -6_213_559_680_000, 8_000_000_000_000]
const entries = Array.from({ length: 400 }, (_, i): Entry => ({
  ms: i % 3 === 0 ? times[below(random, times.length)]! : 1_700_000_000_000 + i * 1003,
  subNs: i % 2 === 0 ? 0 : below(random, 1_000_000),
  length: [0, 1, 127, 128, 20_000][below(random, 5)]!,
  pairs: below(random, 300),
}))

for (const hasPairs of [true, false])
  test(`lines and times are found${hasPairs ? '' : ', without metadata'}, by the kernel and without it`, () => {
    const block = blockOf(entries, hasPairs)
    assert.ok(block.length < kernelBytesMax)
    // What comes behind the last entry is not looked at.
    const large = new Uint8Array(kernelBytesMax + 1)
    large.set(block)
    for (const lines of [block, large].map(bytes => new BlockLines(bytes, entries.length, hasPairs))) {
      let end = 0
      entries.forEach(({ ms, subNs, length, pairs }, i) => {
        assert.deepEqual([lines.timesMs[i], lines.subNs[i]], [ms, subNs], String(i))
        assert.ok(lines.lineFrom[i]! > end)
        assert.equal(lines.lineTo[i]! - lines.lineFrom[i]!, length)
        assert.equal(lines.pairsTo[i]! - lines.pairsFrom[i]!, hasPairs ? pairs : 0)
        end = lines.pairsTo[i]!
      })
      assert.equal(end, block.length)
    }
  })

test('a damaged block is read or refused, nothing else', () => {
  const some = entries.slice(0, 6).map(entry => ({ ...entry, length: entry.length % 200 }))
  const read = (bytes: Uint8Array): void => {
    new BlockLines(bytes, some.length, true)
  }
  checkDamage(blockOf(some, true), read, { errors: [CorruptDataError], refusesCuts: 'always' })
})

test('more entries than a block has bytes are refused before anything is made of them', () => {
  assert.throws(() => new BlockLines(new Uint8Array(10), 11, true), CorruptDataError)
})

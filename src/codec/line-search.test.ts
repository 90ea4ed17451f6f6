/** Lines with a text: as a search of each line finds them, wherever a text lies and whatever stands around it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom, type Random } from '#core/random.ts'
import { findLines, needleBytesMax, searchedBytesMax, type SearchedLines } from './line-search.ts'

const letters = 'aAbBzZ@[`{ éÉ'

function text(random: Random, length: number): string {
  return Array.from({ length }, () => letters[below(random, letters.length)]!).join('')
}

/** Lines with some bytes between them, as blocks have times and metadata there. */
function blockOf(lines: readonly string[], between: string): SearchedLines {
  const lineFrom = new Uint32Array(lines.length)
  const lineTo = new Uint32Array(lines.length)
  let at = 0
  lines.forEach((line, i) => {
    at += Buffer.byteLength(between)
    lineFrom[i] = at
    at += Buffer.byteLength(line)
    lineTo[i] = at
  })
  return { bytes: Buffer.from(lines.map(line => between + line).join('') + between), lineFrom, lineTo }
}

const small = (line: string): string => line.replaceAll(/[A-Z]/g, letter => letter.toLowerCase())

test('lines that contain a text, in any case where that is asked for', () => {
  const random = seededRandom(21)
  for (let round = 0; round < 3000; round++) {
    const lines = Array.from({ length: 1 + below(random, 12) }, () => text(random, below(random, 70)))
    const source = lines[below(random, lines.length)]!
    const from = below(random, source.length + 1)
    const length = 1 + below(random, below(random, 4) === 0 ? 40 : 4)
    const needle = below(random, 3) === 0 ? text(random, length) : source.slice(from, from + length)
    const isFolded = below(random, 2) === 0
    const wanted = isFolded ? small(needle) : needle
    const first = below(random, lines.length + 1)
    const end = first + below(random, lines.length - first + 1)
    // What stands between lines has the text, too.
    const block = blockOf(lines, wanted.slice(0, 5))
    const found = findLines(block, first, end, Buffer.from(wanted), isFolded)
    if (wanted === '') assert.equal(found, undefined)
    else
      assert.deepEqual(
        [...found!],
        lines.flatMap((line, i) =>
          i >= first && i < end && (isFolded ? small(line) : line).includes(wanted) ? [i] : [],
        ),
        JSON.stringify({ lines, wanted, isFolded, first, end }),
      )
  }
})

test('texts and lines that are too long are left to the caller', () => {
  const block = blockOf(['x'.repeat(5000), 'y'], '')
  const longest = Buffer.alloc(needleBytesMax, 'x')
  assert.deepEqual([...findLines(block, 0, 2, longest, false)!], [0])
  assert.equal(findLines(block, 0, 2, Buffer.alloc(needleBytesMax + 1, 'x'), false), undefined)
  const large = blockOf(['x'.repeat(searchedBytesMax), 'y'], '')
  assert.equal(findLines(large, 0, 2, Buffer.from('y'), false), undefined)
  assert.deepEqual([...findLines(large, 1, 2, Buffer.from('y'), false)!], [1])
})

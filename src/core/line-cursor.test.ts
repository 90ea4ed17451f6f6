/** Lines where they lie, and pieces of whole lines. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Pace } from './pace.ts'
import { VirtualClock } from './virtual-clock.ts'
import { endOfEmptyLines, endOfLines, LineCursor, unitsOfLine } from './line-cursor.ts'

test('lines come without blanks around them; blank ones do not come', () => {
  const cases: [text: string, lines: string[]][] = [
    ['', []],
    ['\n \n\t\r\n', []],
    ['a', ['a']],
    ['a\r\n\n  b c \t\r\nd', ['a', 'b c', 'd']],
    ['ä\n\ufffd', ['ä', '\ufffd']],
  ]
  for (const [text, lines] of cases) {
    const cursor = new LineCursor(Buffer.from(text))
    const seen: string[] = []
    while (cursor.next()) {
      assert.equal(Buffer.from(cursor.bytes()).toString(), cursor.text())
      seen.push(cursor.text())
    }
    assert.deepEqual(seen, lines, JSON.stringify(text))
  }
})

test('pieces end behind lines, and hold all bytes once', () => {
  const body = Buffer.from(`${'x'.repeat(999)}\n`.repeat(40) + 'y'.repeat(50_000) + '\nz')
  const pieces: string[] = []
  for (let from = 0; from < body.length;) {
    const end = endOfLines(body, from)
    assert.ok(end > from)
    pieces.push(body.toString('utf8', from, end))
    from = end
  }
  assert.equal(pieces.join(''), body.toString())
  assert.ok(pieces.length > 3)
  assert.ok(pieces.slice(0, -1).every(piece => piece.endsWith('\n')))
})

test('empty lines are passed over, a mebibyte at a time', () => {
  assert.equal(endOfEmptyLines(Buffer.from('a\n\n\nb'), 1), 4)
  assert.equal(endOfEmptyLines(Buffer.from('a\n\n'), 1), 3)
  assert.equal(endOfEmptyLines(Buffer.from('ab'), 1), 1)
  assert.equal(endOfEmptyLines(Buffer.alloc(3 << 20, 10), 5), (1 << 20) + 5)
})

test('the clock is looked at behind 256 short lines, or 64 KiB of long ones', () => {
  const looksAt = (lines: number, bytes: number): number => {
    const pace = new Pace(new VirtualClock(0))
    return Array.from({ length: lines }, () => pace.worked(unitsOfLine(bytes))).filter(isDue => isDue).length
  }
  assert.equal(looksAt(255, 10), 0)
  assert.equal(looksAt(1024, 10), 4)
  assert.equal(looksAt(10, 1 << 20), 10)
  assert.equal(looksAt(10, 32 * 1024), 5)
})

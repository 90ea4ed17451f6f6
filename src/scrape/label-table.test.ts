/** Labels that many series have: held once, forgotten with the last one, moved when much was forgotten. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { KeyWriter } from '#model/write-batch.ts'
import { LabelTable } from './label-table.ts'

function textOf(table: LabelTable, label: number): string {
  const keys = new KeyWriter()
  table.write(label, keys)
  return Buffer.from(keys.bytes.subarray(0, keys.at)).toString()
}

test('labels are what they were, and are forgotten when no series has them, in any order', () => {
  const random = seededRandom(7)
  const table = new LabelTable()
  const held: { label: number; text: string }[] = []
  for (let step = 0; step < 20_000; step++) {
    // Many at first, few in the end.
    if (held.length === 0 || below(random, 20_000) > step) {
      const text = `label-${below(random, 3000)}-${'x'.repeat(below(random, 90))}`
      const bytes = Buffer.from(`..${text}..`)
      held.push({ label: table.hold(bytes, 2, bytes.length - 2), text })
    } else table.release(held.splice(below(random, held.length), 1)[0]!.label)
    if (step % 500 === 0) {
      for (const { label, text } of held) assert.equal(textOf(table, label), text, `seed 7, step ${step}`)
      assert.equal(table.size, new Set(held.map(({ text }) => text)).size)
      assert.equal(new Set(held.map(({ label }) => label)).size, table.size)
    }
  }
})

test('what is forgotten is given back', () => {
  const table = new LabelTable()
  for (let round = 0; round < 50; round++) {
    const labels = Array.from({ length: 2000 }, (_, i) => {
      const bytes = Buffer.from(`round ${round} label ${i} ${'y'.repeat(50)}`)
      return table.hold(bytes, 0, bytes.length)
    })
    for (const label of labels) table.release(label)
  }
  assert.equal(table.size, 0)
  assert.ok(table.heldBytes < 1_000_000, `${table.heldBytes} bytes`)
})

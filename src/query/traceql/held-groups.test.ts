/** A request that wants many traces of a block decodes each of its row groups once, and gets the same traces. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { decodeOtlpTraces, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { driving, openTraces } from '../../../test/signal-worlds.ts'
import { readTraces } from './script-spans.ts'
import { HeldGroups } from '#traces/select.ts'

const startMs = 1_700_006_400_000
const count = 200

function idOf(number: number): Uint8Array {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(12, number)
  return bytes
}

test('traces of a block, in ascending order and in any other', async () => {
  const clock = new VirtualClock(startMs + 60_000)
  const engine = await openTraces(clock)
  const lines = Array.from({ length: count }, (_, i) => [
    `trace ${i + 1}`,
    `span ${2 * i + 1} "a" 10s 1s service=s`,
    `span ${2 * i + 2} < ${2 * i + 1} "b${i}" 11s 2s service=s`,
  ])
  const message = encodeOtlpTraces(readTraces(lines.flat()))
  await driving(clock, engine.append('fake', decodeOtlpTraces(message, true), message))
  await driving(clock, engine.flush())
  const ascending = Array.from({ length: count }, (_, i) => i + 1)
  const groups = (await engine.reader('fake').select(-Infinity, Infinity)).filter(rows => !rows.isInMemory)
  assert.ok(groups.length > 0)
  for (const order of [ascending, ascending.toReversed(), [5, 5, 1, 200, 7]]) {
    const reader = engine.reader('fake')
    const held = new HeldGroups()
    for (const id of order) {
      const alone = await driving(clock, reader.find(idOf(id), -Infinity, Infinity))
      const together = await driving(clock, reader.find(idOf(id), -Infinity, Infinity, held))
      assert.ok(alone !== undefined)
      assert.deepEqual(together, alone, `trace ${id}`)
    }
    assert.ok(held.decoded <= groups.length, `${held.decoded} row groups were decoded, ${groups.length} are there`)
  }
})

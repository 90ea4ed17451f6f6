/** Numbers that are read from the bytes of a line are those of its text, or are left to it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { toDurationSeconds, toFloat } from './conversions.ts'
import { StoredNumber } from './stored-numbers.ts'

function readerOf(conversion: '' | 'duration'): (text: string) => number | undefined {
  let found: number | undefined
  const number = new StoredNumber({ label: 'x', conversion, filters: [] }, value => {
    found = value
    return true
  })
  return text => {
    found = undefined
    const bytes = Buffer.from(`1${text}2`)
    number.take(bytes, 1, bytes.length - 1)
    return found
  }
}

const random = seededRandom(31)
const digits = (most: number): string => Array.from({ length: below(random, most) }, () => below(random, 10)).join('')
const shapes = [
  (): string => digits(8),
  (): string => `${digits(12)}.${digits(8)}`,
  (): string => `${digits(18)}`,
  (): string => `-${digits(4)}`,
  (): string => `${digits(3)}e${digits(2)}`,
  (): string => `${digits(3)}.${digits(2)}.${digits(2)}`,
  (): string => `0x${digits(3)}`,
  (): string => `1_${digits(3)}`,
]
const units = ['ns', 'us', 'ms', 's', 'm', 'h', '', 'x', 'mss', '\u00b5s', 's1s', ' s']

test('floats', () => {
  const read = readerOf('')
  let plain = 0
  for (let i = 0; i < 20_000; i++) {
    const text = shapes[below(random, shapes.length)]!()
    const found = read(text)
    if (found === undefined) continue
    plain++
    assert.ok(Object.is(found, toFloat(text)), `${text}: ${found}`)
  }
  assert.ok(plain > 5000, String(plain))
})

test('durations', () => {
  const read = readerOf('duration')
  let plain = 0
  for (let i = 0; i < 40_000; i++) {
    const text = shapes[below(random, shapes.length)]!() + units[below(random, units.length)]!
    const found = read(text)
    if (found === undefined) continue
    plain++
    assert.ok(Object.is(found, toDurationSeconds(text)), `${text}: ${found}`)
  }
  assert.ok(plain > 3000, String(plain))
})

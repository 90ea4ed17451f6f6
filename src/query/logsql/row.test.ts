/** Rows of stored entries: their times, and some of their fields, are what the whole row shows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '#codec/byte-writer.ts'
import { writeTime } from '#codec/log-time.ts'
import { below, seededRandom } from '#core/random.ts'
import { BlockLines } from '#logs/block-lines.ts'
import { Labels } from '#model/labels.ts'
import { Bucketing } from './buckets.ts'
import { LazyRow, streamNames, timeText } from './row.ts'

test('times have as many digits as they need', () => {
  for (const [ms, subNs, text] of [
    [0, 0, '1970-01-01T00:00:00Z'],
    [-1, 0, '1969-12-31T23:59:59.999Z'],
    [-1000, 1, '1969-12-31T23:59:59.000000001Z'],
    [1_700_000_000_120, 0, '2023-11-14T22:13:20.12Z'],
    [1_700_000_000_120, 45_000, '2023-11-14T22:13:20.120045Z'],
    [1_700_000_000_000, 999_999, '2023-11-14T22:13:20.000999999Z'],
  ] as const)
    assert.equal(timeText(ms, subNs), text)
  const random = seededRandom(2)
  for (let i = 0; i < 5000; i++) {
    const ms = 1_700_000_000_000 + below(random, 5000)
    const subNs = below(random, 3) === 0 ? 0 : below(random, 1_000_000)
    const fraction = `${String(ms % 1000).padStart(3, '0')}${String(subNs).padStart(6, '0')}`.replace(/0+$/, '')
    const second = new Date(ms).toISOString().slice(0, 19)
    assert.equal(timeText(ms, subNs), fraction === '' ? `${second}Z` : `${second}.${fraction}Z`)
  }
})

test('some fields of a row are those of the whole row', () => {
  const symbols = ['_msg', 'in metadata', 'level', 'warn', 'detected_level', 'error', 'app', 'other']
  const block = new ByteWriter()
  const refs = [[], [2, 3, 4, 5], [0, 1, 6, 7], [2, 3, 2, 1]]
  for (const [i, list] of refs.entries()) {
    writeTime(block, 1_700_000_000_000 + i, i)
    block.writeUvarint(4)
    block.writeBytes(Buffer.from(`line`))
    block.writeUvarint(list.length + 1)
    block.writeUvarint(list.length / 2)
    for (const ref of list) block.writeU8(ref)
  }
  const lines = new BlockLines(block.bytes(), refs.length, true)
  const row = new LazyRow()
  const names = ['_time', '_msg', '_stream', '_stream_id', 'app', 'service_name', 'level', 'detected_level', '', 'none']
  for (const labels of [
    ['app', 'a', 'service_name', 'a'],
    ['app', 'a', 'service_name', 'b'],
    ['_time', 'x', 'level', 'y'],
  ])
    for (let i = 0; i < lines.count; i++) {
      row.reset(streamNames(new Labels(labels)), lines, i, symbols)
      const whole = row.fields()
      const some = row.fields(new Set(names))
      assert.deepEqual([...some].sort(), [...whole].filter(([name]) => names.includes(name)).sort())
    }
})

test('buckets of times do not depend on the time before', () => {
  const texts = [
    '2026-01-02T03:04:05Z',
    '2026-01-02T03:04:05.9Z',
    '2026-01-02T03:04:05.999999999Z',
    '2026-01-02T03:04:05.Z',
    '2026-01-02T03:04:05.1234567891Z',
    '2026-01-02T03:04:05+01:00',
    '2026-01-02T03:04:05.5+01:00',
    '2026-01-02T03:04:05xZ',
    '2026-01-02 03:04:05Z',
    '2026-01-02T03:04:06Z',
    '2026-01-02T03:04:05',
    '17',
    'text',
  ]
  for (const bucket of [
    { width: 3.6e12, offset: 0, unit: undefined },
    { width: 1e9, offset: 0, unit: undefined },
    { width: 5e8, offset: 0, unit: undefined },
    { width: 6e10, offset: 1.5e9, unit: undefined },
  ])
    for (const before of texts)
      for (const text of texts) {
        const bucketing = new Bucketing(bucket)
        bucketing.of(before)
        assert.equal(bucketing.of(text), new Bucketing(bucket).of(text), `${text} after ${before}, ${bucket.width}`)
      }
})

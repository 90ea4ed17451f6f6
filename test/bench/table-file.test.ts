import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Column, Row } from '../../bench/row.ts'
import { againstOf, isBeyond, type TableFile } from '../../bench/table-file.ts'

const rowOf = (work: string, values: Partial<Record<Column, number[]>>): Row => ({
  section: 'traces',
  work,
  unit: 's',
  values,
})
const fileOf = (rows: readonly Row[]): TableFile => ({
  startedAt: '2026-12-01T05:00:00.000Z',
  machine: {},
  settings: [],
  answers: {},
  disagreements: [],
  rows,
})

describe('a run against an older one', () => {
  test('compares ratios, not figures: a machine that is twice as slow changes nothing', () => {
    const old = fileOf([rowOf('spans in', { tercet: [1, 3], tempo: [4] })])
    const text = againstOf([rowOf('spans in', { tercet: [4], tempo: [8] })], old)
    assert.match(text, /\| spans in \| 0\.5 → 0\.5 × Tempo \| 1 \| {2}\|/)
    assert.match(text, /0 of 1 ratios moved by more than 10 %/)
  })

  test('marks a ratio that moved by more than 10 %, whichever way', () => {
    const old = fileOf([
      rowOf('worse', { tercet: [10], tempo: [10] }),
      rowOf('better', { tercet: [10], tempo: [10] }),
      rowOf('near', { tercet: [10], tempo: [10] }),
    ])
    const now = [
      rowOf('worse', { tercet: [11.2], tempo: [10] }),
      rowOf('better', { tercet: [10], tempo: [11.2] }),
      rowOf('near', { tercet: [10.9], tempo: [10] }),
    ]
    const text = againstOf(now, old)
    assert.match(text, /\| worse \| 1 → 1\.12 × Tempo \| 1\.12 \| \*\*yes\*\* \|/)
    assert.match(text, /\| better \| 1 → 0\.893 × Tempo \| 0\.893 \| \*\*yes\*\* \|/)
    assert.match(text, /\| near \| 1 → 1\.09 × Tempo \| 1\.09 \| {2}\|/)
    assert.match(text, /2 of 3 ratios/)
  })

  test('the bounds are those of one tenth, as factors', () => {
    assert.deepEqual([0.9, 0.92, 1.09, 1.11].map(isBeyond), [true, false, false, true])
  })

  test('has no line for a work or a peer that one of the two has not, nor for single queries', () => {
    const old = fileOf([rowOf('spans in', { tercet: [1] }), rowOf('by id', { tercet: [1], tempo: [1] })])
    const now = [
      rowOf('spans in', { tercet: [1], tempo: [1] }),
      rowOf('new work', { tercet: [1], tempo: [1] }),
      { ...rowOf('by id', { tercet: [2], tempo: [1] }), isDetail: true },
    ]
    assert.match(againstOf(now, old), /0 of 0 ratios/)
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Figures } from '../../bench/figures.ts'
import { markdownOf, parseRow, ratioOf, type Row, shown, spreadOf } from '../../bench/row.ts'

const lines: Row = {
  section: 'logs',
  work: 'lines in',
  unit: 'CPU-s per GB',
  values: { tercet: [9, 11], 'tercet again': [10.4, 10], 'victoria-logs': [20, 20], loki: [40, 60] },
}

/** Cells of the row that begins with a text. */
function cellsOf(markdown: string, beginning: string): string[] {
  const line = markdown.split('\n').find(each => each.startsWith(`| ${beginning}`))
  assert.ok(line !== undefined, `no row begins with ${beginning}:\n${markdown}`)
  return line
    .split(' | ')
    .map(cell => cell.replace(/^\| | \|$/g, ''))
    .map(cell => cell.trim())
}

/** A cell by the heading of its column. */
function cell(markdown: string, beginning: string, heading: string): string {
  return cellsOf(markdown, beginning)[cellsOf(markdown, 'work').indexOf(heading)]!
}

describe('a row of the table of costs', () => {
  test('a ratio is the mean of Tercet by the mean of the peer, and its range that of the rounds', () => {
    assert.equal(ratioOf(lines, 'loki'), 0.2)
    const text = cell(markdownOf([lines], []), 'lines in', 'now: Tercet ÷')
    assert.equal(text, '0.5 × VictoriaLogs (0.45–0.55), 0.2 × Loki (0.183–0.225)')
  })

  test('a peer that takes no answer from its cache is compared with a Tercet that does not either', () => {
    const values = { tercet: [1], 'tercet, nocache': [6], 'victoria-metrics': [2], 'victoria-metrics, nocache': [4] }
    const row: Row = { section: 'metrics', work: 'queries', unit: 'CPU-ms', values }
    const text = cell(markdownOf([row], []), 'queries', 'now: Tercet ÷')
    assert.equal(text, '0.5 × VictoriaMetrics, 1.5 × VictoriaMetrics, nocache=1')
  })

  test('a figure is the mean of its rounds, with half their distance as a share of it', () => {
    assert.equal(spreadOf([9, 11]), 0.1)
    const markdown = markdownOf([lines], [])
    assert.equal(cell(markdown, 'lines in', 'Tercet'), '10 ±10 %')
    assert.equal(cell(markdown, 'lines in', 'Loki'), '50 ±20 %')
  })

  test('a second Tercet has no column: what equal is stands beside the ratios', () => {
    const markdown = markdownOf([lines], [])
    assert.equal(cell(markdown, 'lines in', 'A/A'), '1.02')
    assert.equal(cellsOf(markdown, 'work').includes('Tercet again'), false)
  })

  test('the column of a program that is not here is there, says so, and is empty', () => {
    const { loki: _, ...values } = lines.values
    const markdown = markdownOf([{ ...lines, values }], ['loki', 'tempo'])
    assert.equal(cell(markdown, 'lines in', 'Loki (not here)'), '')
    assert.equal(cell(markdown, 'lines in', 'now: Tercet ÷'), '0.5 × VictoriaLogs (0.45–0.55)')
    assert.equal(markdown.includes('Tempo'), false, 'Tempo has no lines')
  })

  test('a work that a peer alone did has no ratio', () => {
    const markdown = markdownOf([{ ...lines, values: { loki: [3] } }], [])
    assert.equal(cell(markdown, 'lines in', 'now: Tercet ÷'), '')
    assert.equal(cell(markdown, 'lines in', 'Loki'), '3')
  })

  test('single queries are printed only when they are wanted, and bars in names do not end a cell', () => {
    const detail: Row = { ...lines, work: 'warm: {app="a"} | json', isDetail: true }
    assert.equal(markdownOf([lines, detail], []).includes('json'), false)
    assert.match(markdownOf([lines, detail], [], true), /\| warm: \{app="a"\} \\\| json, CPU-s per GB \|/)
  })

  test('every line of a table has as many cells as its head', () => {
    const rows = [lines, { ...lines, work: 'other', unit: '', values: { tercet: [0] } }]
    const counts = markdownOf(rows, ['victoria-logs'])
      .split('\n')
      .filter(line => line.startsWith('|'))
      .map(line => line.split(' | ').length)
    assert.equal(counts.length, 4)
    assert.equal(new Set(counts).size, 1)
  })

  test('figures have three digits and no powers of ten', () => {
    assert.deepEqual([0.00004567, 1234567, 0.5, 12.345, 0].map(shown), ['0.0000457', '1234567', '0.5', '12.3', '0'])
  })
})

describe('a row that another program prints', () => {
  test('is read as it is, and other lines are no rows', () => {
    const row: Row = { section: 'process', work: 'start', unit: 's', values: { tercet: [1, 2] }, note: 'twice' }
    assert.deepEqual(parseRow(JSON.stringify(row), 's3'), row)
    assert.equal(parseRow('ready after 1.2 s', 's3'), undefined)
  })

  test('may have one figure in place of those of rounds, and no section', () => {
    const line = JSON.stringify({ work: 'GETs, needle', unit: '', values: { tercet: 53 }, note: '' })
    assert.deepEqual(parseRow(line, 's3'), { section: 's3', work: 'GETs, needle', unit: '', values: { tercet: [53] } })
  })

  test('is an error when it is of no section or column, or its figures are not numbers', () => {
    const row = { section: 's3', work: 'GETs', unit: '', values: { tercet: [53] } }
    const wrongRows = [
      { section: 'no' },
      { values: { tercet: [] } },
      { values: { tercet: ['53'] } },
      { values: { mimir: 3 } },
      { work: 1 },
    ]
    for (const wrong of wrongRows)
      assert.throws(() => parseRow(JSON.stringify({ ...row, ...wrong }), 's3'), /no row of the table/)
  })
})

describe('figures of a run', () => {
  test('of the same work and column are its rounds', () => {
    const figures = new Figures()
    const work = { section: 'logs', work: 'lines in', unit: 's', isDetail: true } as const
    figures.add(work, 'tercet', 1)
    figures.add(work, 'loki', 5)
    figures.add(work, 'tercet', 3)
    assert.deepEqual(figures.rows(), [{ ...work, values: { tercet: [1, 3], loki: [5] } }])
  })

  test('a row of another program whose work is there already is named after the one above it', () => {
    const figures = new Figures()
    const row = (work: string): Row => ({ section: 's3', work, unit: 's', values: { tercet: [1] } })
    for (const [work, above] of [
      ['GETs, needle'],
      ['wall', 'GETs, needle'],
      ['GETs, id'],
      ['wall', 'GETs, id'],
    ] as const)
      figures.addRow(row(work), above)
    const works = figures.rows().map(({ work }) => work)
    assert.deepEqual(works, ['GETs, needle', 'wall', 'GETs, id', 'GETs, id: wall'])
  })
})

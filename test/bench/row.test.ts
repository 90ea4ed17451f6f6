import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
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
    const row: Row = { section: 's3', work: 'GETs, needle', unit: '', values: { tercet: [53] }, note: '24 h' }
    assert.deepEqual(parseRow(JSON.stringify(row)), row)
    assert.equal(parseRow('ready after 1.2 s'), undefined)
  })

  test('is an error when it is of no section, or its figures are not numbers', () => {
    const row = { section: 's3', work: 'GETs', unit: '', values: { tercet: [53] } }
    for (const wrong of [{ section: 'no' }, { values: { tercet: 53 } }, { values: { tercet: ['53'] } }, { work: 1 }])
      assert.throws(() => parseRow(JSON.stringify({ ...row, ...wrong })), /no row of the table/)
  })
})

/** What becomes of samples: one a series and time, whatever its kind, and nothing is seen before it is shown. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { KeyWriter } from '#model/write-batch.ts'
import { Head, sampleOutcome, type SampleOutcome } from './head.ts'

const hourMs = 3_600_000

function makeHead(): { head: Head; series: number } {
  const head = new Head({ a: 1, b: 2, c: 3, d: 4 }, defaultLimits, 2 * hourMs, hourMs)
  const writer = new KeyWriter()
  writer.writeLabels(Labels.fromObject({ __name__: 'm' }))
  const series = head.table.resolveShown(writer.bytes, 0, writer.at)
  head.reserve()
  return { head, series }
}

function histogramOf(count: number): FloatHistogram {
  const histogram = new FloatHistogram()
  histogram.integer = true
  histogram.count = histogram.zeroCount = count
  return histogram
}

type Step = [timeMs: number, value: number | FloatHistogram]

/** Admits each sample, and shows it where it is stored. */
function outcomes(head: Head, series: number, steps: readonly Step[], isShown = true): string[] {
  const names = new Map<SampleOutcome, string>(
    Object.entries(sampleOutcome).map(([name, outcome]) => [outcome, name] as const),
  )
  return steps.map(([timeMs, value]) => {
    const isFloat = typeof value === 'number'
    const outcome = isFloat ? head.admit(series, timeMs, value, 0) : head.admitHistogram(series, timeMs, value)
    if (outcome === sampleOutcome.stored && isShown) {
      if (isFloat) head.show(series, timeMs, value, 0)
      else head.showHistogram(series, timeMs, 0, value)
    }
    return names.get(outcome) ?? ''
  })
}

function shown(head: Head, series: number): string[] {
  const columns = new SampleColumns()
  head.read(series, -Infinity, Infinity, columns)
  columns.normalize(-Infinity, Infinity)
  return Array.from({ length: columns.count }, (_, i) => {
    const histogram = columns.histograms?.[i]
    return `${columns.timesMs[i]} ${histogram === undefined ? columns.words[2 * i + 1] : `h${histogram.count}`}`
  })
}

const h = histogramOf
const cases: [name: string, steps: Step[], outcomes: string[], shown: string[]][] = [
  [
    'floats',
    [
      [10, 1],
      [10, 1],
      [10, 2],
      [20, 3],
    ],
    ['stored', 'repeated', 'duplicate', 'stored'],
    ['10 1', '20 3'],
  ],
  [
    'a float, then a histogram',
    [
      [10, 1],
      [10, h(5)],
    ],
    ['stored', 'duplicate'],
    ['10 1'],
  ],
  [
    'a histogram, then a float',
    [
      [10, h(5)],
      [10, 1],
    ],
    ['stored', 'duplicate'],
    ['10 h5'],
  ],
  [
    'histograms',
    [
      [10, h(5)],
      [10, h(5)],
      [10, h(6)],
    ],
    ['stored', 'repeated', 'duplicate'],
    ['10 h5'],
  ],
  [
    'a late float where a histogram is',
    [
      [10, h(5)],
      [20, 2],
      [10, 1],
    ],
    ['stored', 'stored', 'duplicate'],
    ['10 h5', '20 2'],
  ],
  [
    'a late histogram where a float is',
    [
      [10, 1],
      [20, 2],
      [10, h(5)],
    ],
    ['stored', 'stored', 'duplicate'],
    ['10 1', '20 2'],
  ],
  [
    'late ones where nothing is',
    [
      [20, 2],
      [10, h(5)],
      [5, 1],
    ],
    ['stored', 'stored', 'stored'],
    ['5 1', '10 h5', '20 2'],
  ],
  [
    'a late float where another is: the first stays',
    [
      [10, 1],
      [20, 2],
      [10, 9],
    ],
    ['stored', 'stored', 'stored'],
    ['10 1', '20 2'],
  ],
  [
    'a late histogram twice',
    [
      [20, 2],
      [10, h(5)],
      [10, h(6)],
    ],
    ['stored', 'stored', 'duplicate'],
    ['10 h5', '20 2'],
  ],
]
for (const [name, steps, expected, visible] of cases)
  test(`one sample a series and time: ${name}`, () => {
    const { head, series } = makeHead()
    assert.deepEqual(outcomes(head, series, steps), expected)
    assert.deepEqual(shown(head, series), visible)
  })

test('samples that wait for the log are compared with, and not seen; taken back they are as if they never came', () => {
  const { head, series } = makeHead()
  outcomes(head, series, [[10, 1]])
  assert.deepEqual(
    outcomes(
      head,
      series,
      [
        [20, 2],
        [20, 2],
        [20, 3],
        [30, h(5)],
        [30, 1],
      ],
      false,
    ),
    ['stored', 'repeated', 'duplicate', 'stored', 'duplicate'],
  )
  assert.deepEqual(shown(head, series), ['10 1'])
  head.takeBack()
  assert.equal(head.newestMs, 10)
  assert.deepEqual(
    outcomes(head, series, [
      [10, 1],
      [20, 3],
      [30, 4],
    ]),
    ['repeated', 'stored', 'stored'],
  )
  assert.deepEqual(shown(head, series), ['10 1', '20 3', '30 4'])
})

test('a series that waits for the log is found by its key alone; taken back its number is free', () => {
  const { head } = makeHead()
  const writer = new KeyWriter()
  writer.writeLabels(Labels.fromObject({ __name__: 'n', a: 'b' }))
  const series = head.table.resolve(writer.bytes, 0, writer.at)
  head.reserve()
  assert.equal(head.table.findKey(writer.bytes, 0, writer.at), series)
  assert.deepEqual([head.table.labelNames(), head.table.labelValues('__name__')], [['__name__'], ['m']])
  assert.equal(head.select([]).length, 1)
  head.takeBack()
  assert.equal(head.table.findKey(writer.bytes, 0, writer.at), -1)
  assert.equal(head.table.resolveShown(writer.bytes, 0, writer.at), series)
  assert.deepEqual([...head.table.labelValues('__name__')].sort(), ['m', 'n'])
})

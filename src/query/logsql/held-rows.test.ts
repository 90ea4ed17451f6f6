/**
 * Pipes that hold rows count what they hold, and yield while they put it in order; those that pass rows on hold none.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock, type Clock } from '#core/clock.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { Budget } from '../budget.ts'
import { makePipe } from './pipes.ts'
import type { Fields } from './row.ts'
import { afterRow, catchUp, type PipeContext } from './sink.ts'

/** Writes rows through the pipes of a query, as a scan does; the rows that come out. */
async function through(source: string, rows: number, budget: Budget, onWritten?: () => void): Promise<Fields[]> {
  const query = parseLogsql(`* | ${source}`, 0n)
  const context: PipeContext = { nowMs: 0, seconds: 1, rowsMax: 1e6, resultsOf: new Map(), budget, waiting: [] }
  const out: Fields[] = []
  const last = { write: (row: Fields): boolean => out.push(row) > 0, end: () => Promise.resolve() }
  const sink = query.pipes.toReversed().reduce((next, pipe) => makePipe(pipe, next, context), last)
  for (let i = 0; i < rows; i++) {
    const value = String((i * 7919) % rows)
    if (
      !sink.write(
        new Map([
          ['_time', value],
          ['_msg', `line ${value}`],
          ['n', value],
        ]),
      )
    )
      break
    await afterRow(context)
  }
  await catchUp(context)
  onWritten?.()
  await sink.end()
  return out
}

const makeBudget = (bytesMax: number, clock: Clock = systemClock): Budget =>
  new Budget(clock, Infinity, Infinity, undefined, bytesMax)

const holding = [
  'sort by (_msg)',
  'sort by (_msg) partition by (n) limit 10000',
  'uniq by (_msg)',
  'top 10 by (_msg)',
  'field_values _msg',
  'facets max_values_per_field 5000',
  'running_stats by (_msg) count()',
  'total_stats count()',
  'stats by (_msg) count()',
  'stats quantile(0.9, _msg)',
  'stats median(n)',
  'stats uniq_values(_msg)',
  'stats count_uniq(_msg)',
  'stats values(_msg)',
  'stats json_values(_msg)',
]

for (const source of holding)
  test(`${source}: refused when it holds too much, with the limit`, async () => {
    await assert.rejects(through(source, 3000, makeBudget(50_000)), {
      name: 'LimitError',
      message: /holds more than 50000 bytes in memory, which is the limit/,
    })
    assert.ok((await through(source, 3000, makeBudget(1e9))).length > 0)
  })

for (const source of ['limit 10', 'fields _msg', 'filter _msg:line', 'sort by (_msg) limit 3', 'stats count()'])
  test(`${source}: holds little, whatever the rows`, async () => {
    const budget = makeBudget(2_000_000)
    assert.ok((await through(source, 20_000, budget)).length > 0)
    assert.ok(budget.peakBytes < 1_000_000, `${budget.peakBytes} bytes`)
  })

for (const source of ['sort by (_msg)', 'top 10 by (_msg)', 'stats quantile(0.9, _msg)', 'stats uniq_values(_msg)'])
  test(`${source}: looks at the clock every few thousand rows, also at the end`, async () => {
    let looks = 0
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => {
        looks++
        return 0
      },
    }
    await through('limit 0', 0, makeBudget(1e9, clock))
    looks = 0
    const rows = 40_000
    const passing = makeBudget(1e9, clock)
    await through('fields _msg', rows, passing)
    const whilePassing = looks
    looks = 0
    await through(source, rows, makeBudget(1e9, clock))
    // One look for each run of a sort, and for its merges.
    assert.ok(whilePassing >= (rows * 64) / 16_384 - 1, `${whilePassing} looks`)
    assert.ok(looks - whilePassing >= rows / 2048, `${looks - whilePassing} more looks`)
  })

test('the first rows of a sort are those of the whole sort', async () => {
  const whole = await through('sort by (n desc, _msg)', 5000, makeBudget(1e9))
  for (const limit of [1, 7, 600, 4999]) {
    const first = await through(`sort by (n desc, _msg) limit ${limit}`, 5000, makeBudget(1e9))
    assert.deepEqual(first, whole.slice(0, limit))
  }
})

test('a query that is over while several results of a group are sorted ends with one error', async () => {
  const abort = new AbortController()
  const budget = new Budget(systemClock, Infinity, Infinity, abort.signal)
  const query = 'stats quantile(0.9, _msg), uniq_values(_msg), median(_msg)'
  await assert.rejects(
    through(query, 20_000, budget, () => abort.abort()),
    { name: 'CanceledError' },
  )
})

test('sort with a limit gives the first rows of all, whatever kinds of values they have', async () => {
  const kinds: ((n: number) => string)[] = [
    n => String(n),
    n => String(-n),
    n => `t${n}`,
    () => '',
    n => `${n}.5`,
    n => `T${n % 50}`,
  ]
  const valuesOf = async (source: string): Promise<string[]> => {
    const context: PipeContext = {
      nowMs: 0,
      seconds: 1,
      rowsMax: 1e6,
      resultsOf: new Map(),
      budget: makeBudget(1e9),
      waiting: [],
    }
    const out: string[] = []
    const last = { write: (row: Fields): boolean => out.push(row.get('n') ?? '') > 0, end: () => Promise.resolve() }
    const { pipes } = parseLogsql(`* | ${source}`, 0n)
    const sink = pipes.toReversed().reduce((next, pipe) => makePipe(pipe, next, context), last)
    for (let i = 0; i < 6000; i++) {
      const n = (i * 7919) % 6000
      sink.write(new Map([['n', kinds[n % kinds.length]!(n)]]))
      await afterRow(context)
    }
    await catchUp(context)
    await sink.end()
    return out
  }
  for (const order of ['n', 'n desc']) {
    const all = await valuesOf(`sort by (${order}) limit 100000`)
    assert.equal(all.length, 6000)
    for (const limit of [1, 40, 700])
      assert.deepEqual(await valuesOf(`sort by (${order}) limit ${limit}`), all.slice(0, limit), `${order} ${limit}`)
    assert.deepEqual(await valuesOf(`sort by (${order}) offset 30 limit 40`), all.slice(30, 70))
  }
})

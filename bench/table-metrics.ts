/** Rows of metrics: writes, new series, and what dashboards ask, beside VictoriaMetrics and Prometheus. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { prometheusAnswer } from './answers.ts'
import { askRounds, type Quiz } from './asked-rows.ts'
import type { Question } from './asking.ts'
import { type Contender, contendersOf, cpuOfEach, type Entrant, inTurn, settle, startAll, stopAll } from './contest.ts'
import { bodies, labelBytes, type Shape } from './load.ts'
import { directoryBytes, type Peer } from './peers.ts'
import { type DashboardQuery, dashboardQueries, functionQueries, namedQueries } from './queries.ts'
import type { Column } from './row.ts'
import { sendBodies } from './send-bodies.ts'
import { programsOf, type TableRun } from './table-run.ts'

const section = 'metrics'
const mebibyte = 1024 * 1024
const stepMs = 15_000

const keysOf = (from: number, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => labelBytes(from + i))

async function sendToAll(entrants: readonly Entrant[], list: readonly Uint8Array[], turn: number): Promise<void> {
  for (const { column, peer } of inTurn(entrants, turn)) {
    const refused = await sendBodies(peer.writeUrl, list)
    if (refused > 0) throw new Error(`${column} refused ${refused} bodies`)
  }
}

/** Into blocks, as far as a program can be told to. */
async function flush(peer: Peer): Promise<void> {
  if (peer.name === 'tercet') await fetch(`${peer.url}/-/flush`, { method: 'POST' })
  if (peer.name === 'victoria-metrics') await fetch(`${peer.url}/internal/force_flush`)
  await settle(peer)
}

async function flushAll(entrants: readonly Entrant[]): Promise<void> {
  for (const { peer } of entrants) await flush(peer)
}

function noteEach(run: TableRun, work: string, unit: string, values: ReadonlyMap<Column, number>, scale: number): void {
  for (const [column, value] of values) run.figures.add({ section, work, unit }, column, value * scale)
}

const peaksOf = (entrants: readonly Entrant[]): Map<Column, number> =>
  new Map(entrants.map(({ column, peer }) => [column, peer.cost().peakBytes]))

async function steadyRound(run: TableRun, contenders: readonly Contender[], round: number): Promise<void> {
  const series = 10_000
  const steps = run.isQuick ? 60 : 300
  const warmSteps = 10
  const keys = keysOf(0, series)
  const startMs = Math.floor(Date.now() / stepMs) * stepMs - (steps + 2 * warmSteps) * stepMs
  const shape: Shape = { series, seriesPerBody: 2000, startMs, stepMs }
  const entrants = await startAll(inTurn(contenders, round))
  for (let step = 0; step < warmSteps; step++) await sendToAll(entrants, [...bodies(keys, shape, step)], step)
  const millions = (series * steps) / 1e6
  let sent = new Map<Column, number>()
  const flushed = await cpuOfEach(entrants, async () => {
    sent = await cpuOfEach(entrants, async () => {
      for (let step = warmSteps; step < warmSteps + steps; step++)
        await sendToAll(entrants, [...bodies(keys, shape, step)], step)
    })
    await flushAll(entrants)
  })
  noteEach(run, 'remote write, steady', 'CPU-s per M samples', sent, 1 / millions)
  noteEach(run, 'remote write, steady, flushed', 'CPU-s per M samples', flushed, 1 / millions)
  // req-003: beside Prometheus and VictoriaMetrics; the ratio is printed, and no bar.
  noteEach(run, 'peak RSS with 10 k series', 'MiB', peaksOf(entrants), 1 / mebibyte)
  await stopAll(entrants, false)
}

/** A share of the series at a time, to everybody. */
async function sendSeries(entrants: readonly Entrant[], series: number, shape: Shape, step: number): Promise<void> {
  const share = 50_000
  for (let from = 0; from < series; from += share)
    await sendToAll(entrants, [...bodies(keysOf(from, share), { ...shape, series: share }, step)], from / share)
}

async function seriesRound(run: TableRun, contenders: readonly Contender[], round: number): Promise<void> {
  const series = run.isQuick ? 100_000 : 1_000_000
  const shape: Shape = { series, seriesPerBody: 2000, startMs: Date.now() - 600_000, stepMs }
  const entrants = await startAll(inTurn(contenders, round))
  const registered = await cpuOfEach(entrants, () => sendSeries(entrants, series, shape, 0))
  noteEach(run, 'registering series', 'CPU-s per M', registered, 1e6 / series)
  for (let step = 1; step < 5; step++) await sendSeries(entrants, series, shape, step)
  await flushAll(entrants)
  const amount = run.isQuick ? '100 k' : '1 M'
  noteEach(run, `peak RSS with ${amount} series, flushed`, 'MiB', peaksOf(entrants), 1 / mebibyte)
  await stopAll(entrants, false)
}

interface WeekShape {
  series: number
  steps: number
  shape: Shape
  endMs: number
}

function weekOf(run: TableRun): WeekShape {
  const series = run.isQuick ? 1000 : 10_000
  const apartMs = 180_000
  const steps = (7 * 86_400_000) / apartMs
  const endMs = Math.floor(Date.now() / apartMs) * apartMs
  return {
    series,
    steps,
    endMs,
    shape: { series, seriesPerBody: 5000, startMs: endMs - steps * apartMs, stepMs: apartMs },
  }
}

async function fillWeek(run: TableRun, contenders: readonly Contender[], week: WeekShape): Promise<void> {
  const keys = keysOf(0, week.series)
  const entrants = await startAll(contenders)
  for (let step = 0; step < week.steps; step++) await sendToAll(entrants, [...bodies(keys, week.shape, step)], step)
  await flushAll(entrants)
  await stopAll(entrants, true)
  for (const { column, program, directory } of contenders) {
    const own = directoryBytes(program === 'tercet' ? join(directory, 'bucket') : directory)
    run.figures.add({ section, work: 'bytes on disk for a week of samples', unit: 'MB' }, column, own / 1e6)
  }
}

const nameOf = ({ path, parameters }: DashboardQuery): string => {
  const { query, start, end } = parameters
  const kind = path.endsWith('query') ? 'one moment' : `${(Number(end) - Number(start)) / 3600} h`
  return `${query} (${kind})`
}

function questionOf(query: DashboardQuery): Question {
  return {
    name: nameOf(query),
    request: column => ({
      path: query.path,
      parameters: column === 'victoria-metrics, nocache' ? { ...query.parameters, nocache: '1' } : query.parameters,
    }),
    read: (_, text) => prometheusAnswer(text, 'mean'),
  }
}

function quizOf(endMs: number): Quiz {
  const dashboards = dashboardQueries(endMs)
  const all = [...dashboards, ...functionQueries(endMs)]
  return {
    section,
    questions: all.map(questionOf),
    sums: [
      { work: `${dashboards.length} dashboard queries`, names: dashboards.map(nameOf) },
      { work: `${functionQueries(endMs).length} functions over windows`, names: functionQueries(endMs).map(nameOf) },
    ],
    own: new Map(namedQueries(endMs).map(({ work, query }) => [nameOf(query), work])),
    peakWork: 'peak RSS of the dashboard queries',
    also: { of: 'victoria-metrics', column: 'victoria-metrics, nocache' },
  }
}

export async function metricsRows(run: TableRun): Promise<void> {
  const programs = programsOf(run, ['victoria-metrics', 'prometheus'])
  for (let round = 0; round < run.rounds; round++) {
    await steadyRound(run, contendersOf(programs, run.directory, `steady-${round}`), round)
    await seriesRound(run, contendersOf(programs, run.directory, `series-${round}`), round)
  }
  const contenders = contendersOf(programs, run.directory, 'week')
  const week = weekOf(run)
  await fillWeek(run, contenders, week)
  await askRounds(run, quizOf(week.endMs), contenders)
  for (const { directory } of contenders) rmSync(directory, { recursive: true, force: true })
}

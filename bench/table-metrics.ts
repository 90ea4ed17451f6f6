/** Rows of metrics: writes, new series, and what dashboards ask, beside VictoriaMetrics and Prometheus. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { prometheusAnswer } from './answers.ts'
import { askRounds, type Quiz } from './asked-rows.ts'
import type { Question } from './asking.ts'
import {
  type Contender,
  contendersOf,
  cpuOf,
  type Entrant,
  inTurn,
  oneByOne,
  settle,
  startAll,
  stopAll,
} from './contest.ts'
import { bodies, labelBytes, type Shape } from './load.ts'
import { directoryBytes, type Peer, type PeerName } from './peers.ts'
import { type DashboardQuery, dashboardQueries, functionQueries, namedQueries } from './queries.ts'
import { sendBodies } from './send-bodies.ts'
import { programsOf, type TableRun } from './table-run.ts'

const section = 'metrics'
const mebibyte = 1024 * 1024
const stepMs = 15_000

const keysOf = (from: number, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => labelBytes(from + i))

/** Into blocks, as far as a program can be told to. */
async function flush(peer: Peer): Promise<void> {
  if (peer.name === 'tercet') await fetch(`${peer.url}/-/flush`, { method: 'POST' })
  if (peer.name === 'victoria-metrics') await fetch(`${peer.url}/internal/force_flush`)
  await settle(peer)
}

interface Bodies {
  /** Sent before anything is counted. */
  first: readonly Uint8Array[]
  counted: readonly Uint8Array[]
  /** In `counted`. */
  samples: number
}

/** Samples of series that are known already. */
function steadyBodies(run: TableRun): Bodies {
  const series = 10_000
  const steps = run.isQuick ? 60 : 300
  const firstSteps = 10
  const keys = keysOf(0, series)
  const startMs = Math.floor(Date.now() / stepMs) * stepMs - (steps + 2 * firstSteps) * stepMs
  const shape: Shape = { series, seriesPerBody: 2000, startMs, stepMs }
  const all = Array.from({ length: firstSteps + steps }, (_, step) => [...bodies(keys, shape, step)])
  return { first: all.slice(0, firstSteps).flat(), counted: all.slice(firstSteps).flat(), samples: series * steps }
}

async function sendAll(peer: Peer, list: readonly Uint8Array[]): Promise<void> {
  const refused = await sendBodies(peer.writeUrl, list)
  if (refused > 0) throw new Error(`${peer.name} refused ${refused} bodies`)
}

async function steadyWork(run: TableRun, { column, peer }: Entrant, load: Bodies): Promise<void> {
  await sendAll(peer, load.first)
  const millions = load.samples / 1e6
  const sent = await cpuOf(peer, () => sendAll(peer, load.counted))
  const flushed = await cpuOf(peer, () => flush(peer))
  const unit = 'CPU-s per M samples'
  run.figures.add({ section, work: 'remote write, steady', unit }, column, sent / millions)
  run.figures.add({ section, work: 'remote write, steady, flushed', unit }, column, (sent + flushed) / millions)
  // req-003: beside Prometheus and VictoriaMetrics; the ratio is printed, and no bar.
  run.figures.add({ section, work: 'peak RSS with 10 k series', unit: 'MiB' }, column, peer.cost().peakBytes / mebibyte)
}

/** Series that nobody has seen; `first` registers them, `counted` are four more samples of each. */
function seriesBodies(series: number): Bodies {
  const shape: Shape = { series, seriesPerBody: 2000, startMs: Date.now() - 600_000, stepMs }
  const keys = keysOf(0, series)
  const all = Array.from({ length: 5 }, (_, step) => [...bodies(keys, shape, step)])
  return { first: all[0]!, counted: all.slice(1).flat(), samples: series * 4 }
}

async function seriesWork(run: TableRun, { column, peer }: Entrant, load: Bodies): Promise<void> {
  const series = load.samples / 4
  const registered = await cpuOf(peer, () => sendAll(peer, load.first))
  run.figures.add({ section, work: 'registering series', unit: 'CPU-s per M' }, column, (registered / series) * 1e6)
  await sendAll(peer, load.counted)
  await flush(peer)
  const work = `peak RSS with ${run.isQuick ? '100 k' : '1 M'} series, flushed`
  run.figures.add({ section, work, unit: 'MiB' }, column, peer.cost().peakBytes / mebibyte)
}

async function writeRounds(run: TableRun, programs: readonly PeerName[]): Promise<void> {
  const steady = steadyBodies(run)
  const series = seriesBodies(run.isQuick ? 100_000 : 1_000_000)
  for (let round = 0; round < run.rounds; round++) {
    const steadyOnes = contendersOf(programs, run.directory, `steady-${round}`)
    await oneByOne(steadyOnes, round, false, entrant => steadyWork(run, entrant, steady))
    const seriesOnes = contendersOf(programs, run.directory, `series-${round}`)
    await oneByOne(seriesOnes, round, false, entrant => seriesWork(run, entrant, series))
  }
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
  for (let step = 0; step < week.steps; step++) {
    const list = [...bodies(keys, week.shape, step)]
    for (const { peer } of inTurn(entrants, step)) await sendAll(peer, list)
  }
  for (const { peer } of entrants) await flush(peer)
  await stopAll(entrants, true)
  const note = 'Tercet: with blocks that were merged, which go an hour later'
  for (const { column, program, directory } of contenders) {
    const own = directoryBytes(program === 'tercet' ? join(directory, 'bucket') : directory)
    run.figures.add({ section, work: 'bytes on disk for a week of samples', unit: 'MB', note }, column, own / 1e6)
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
      parameters: column.endsWith(', nocache') ? { ...query.parameters, nocache: '1' } : query.parameters,
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
    also: [
      { of: 'tercet', column: 'tercet, nocache' },
      { of: 'victoria-metrics', column: 'victoria-metrics, nocache' },
    ],
  }
}

export async function metricsRows(run: TableRun): Promise<void> {
  const programs = programsOf(run, ['victoria-metrics', 'prometheus'])
  await writeRounds(run, programs)
  const contenders = contendersOf(programs, run.directory, 'week')
  const week = weekOf(run)
  await fillWeek(run, contenders, week)
  await askRounds(run, quizOf(week.endMs), contenders)
  for (const { directory } of contenders) rmSync(directory, { recursive: true, force: true })
}

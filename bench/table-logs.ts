/** Rows of logs: a day of lines in and flushed, its bytes, and what is asked of it, beside Loki and VictoriaLogs. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { prometheusAnswer, victoriaLogsAnswer } from './answers.ts'
import { askRounds, type Quiz } from './asked-rows.ts'
import type { Question } from './asking.ts'
import { type Contender, contendersOf, cpuOf, oneByOne, settle } from './contest.ts'
import { type LineLoad, lineLoad } from './log-lines.ts'
import { type LogQuery, logqlRequest, logQueries, logsqlRequest, otherLogQueries } from './log-queries.ts'
import { directoryBytes, type Peer, type PeerName } from './peers.ts'
import { programsOf, type TableRun } from './table-run.ts'

const section = 'logs'
const daySeconds = 86_400
const mebibyte = 1024 * 1024
const flushedWithinMs = 120_000
/** Wall time, which others on the machine disturb. */
const startsPerRound = 2

async function push(peer: Peer, body: Uint8Array): Promise<void> {
  const headers = { 'content-type': 'application/x-protobuf' }
  const reply = await fetch(peer.linesUrl, { method: 'POST', headers, body: Buffer.from(body) })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${peer.name} refused lines: ${reply.status} ${text.slice(0, 300)}`)
}

/** Loki flushes in the background: its chunks in memory are none at the end. */
async function untilLokiFlushed(peer: Peer): Promise<void> {
  const until = performance.now() + flushedWithinMs
  while (performance.now() < until) {
    const text = await (await fetch(`${peer.url}/metrics`)).text()
    if (/^loki_ingester_memory_chunks 0$/m.test(text)) return
    await new Promise(resolve => setTimeout(resolve, 1000))
  }
  throw new Error('loki still has chunks in memory')
}

async function flush(peer: Peer): Promise<void> {
  if (peer.name === 'victoria-logs') await fetch(`${peer.url}/internal/force_flush`)
  if (peer.name === 'tercet') await fetch(`${peer.url}/-/flush`, { method: 'POST' })
  if (peer.name === 'loki') {
    await fetch(`${peer.url}/flush`, { method: 'POST' })
    await untilLokiFlushed(peer)
  }
  await settle(peer)
}

async function pushAll(peer: Peer, load: LineLoad): Promise<void> {
  for (const body of load.bodies) await push(peer, body)
  await flush(peer)
}

/** Lines and their index of a stopped program, without its write-ahead log. Loki's tenant is `fake`. */
const storedIn: Partial<Record<PeerName, readonly string[]>> = {
  tercet: ['bucket/logs'],
  'victoria-logs': ['partitions'],
  loki: ['fake', 'index'],
}

function storedBytes({ program, directory }: Contender): number {
  const paths = (storedIn[program] ?? []).map(name => join(directory, name))
  return paths.filter(path => existsSync(path)).reduce((sum, path) => sum + directoryBytes(path), 0)
}

/** Lines in; the data stays. */
async function fillRound(
  run: TableRun,
  contenders: readonly Contender[],
  load: LineLoad,
  round: number,
): Promise<void> {
  await oneByOne(contenders, round, true, async ({ column, peer }) => {
    const seconds = await cpuOf(peer, () => pushAll(peer, load))
    const unit = 'CPU-s per GB'
    run.figures.add({ section, work: 'lines in, flushed', unit }, column, (seconds / load.bytes) * 1e9)
    run.figures.add({ section, work: 'peak RSS of lines in', unit: 'MiB' }, column, peer.cost().peakBytes / mebibyte)
  })
  for (const contender of contenders) {
    const share = storedBytes(contender) / load.bytes
    run.figures.add({ section, work: 'stored ÷ line bytes', unit: '' }, contender.column, share)
  }
}

function questionOf(query: LogQuery, start: number, end: number): Question {
  const compares = query.compares ?? 'count'
  return {
    name: query.name,
    request: column => (column === 'victoria-logs' ? logsqlRequest : logqlRequest)(query, start, end),
    read: (column, text) =>
      column === 'victoria-logs' ? victoriaLogsAnswer(text, compares, query.value) : prometheusAnswer(text, compares),
  }
}

const levelNote = 'one counts by level, which VictoriaLogs does not find out: it has one group'

function quizOf(start: number, end: number): Quiz {
  return {
    section,
    questions: [...logQueries, ...otherLogQueries].map(query => questionOf(query, start, end)),
    sums: [{ work: `${logQueries.length} log queries`, names: logQueries.map(({ name }) => name), note: levelNote }],
    own: new Map([
      ['absent token', 'a token that is not there'],
      ['count by app, 24 h', 'lines by app, 24 h'],
      ['regex (?i)', 'case-insensitive regex'],
      ['errors by pod', 'errors by pod'],
      ['needle', 'a needle'],
    ]),
    wallOf: ['a token that is not there'],
    peakWork: 'peak RSS of the log queries',
  }
}

/** How long each takes to start on the day of lines. */
async function startRound(run: TableRun, contenders: readonly Contender[], round: number): Promise<void> {
  await oneByOne(contenders, round, true, async ({ column, peer }) => {
    run.figures.add({ section: 'process', work: 'start on a day of lines', unit: 's' }, column, peer.readyMs / 1000)
    const work = 'start on a day of lines, until it is idle'
    run.figures.add({ section: 'process', work, unit: 'CPU-s' }, column, peer.cost().cpuSeconds)
  })
}

export async function logsRows(run: TableRun): Promise<void> {
  const programs = programsOf(run, ['victoria-logs', 'loki'])
  const end = Math.floor(Date.now() / 1000)
  const start = end - daySeconds
  const load = lineLoad(run.isQuick ? 30e6 : 243e6, start * 1000)
  console.error(`  ${(load.bytes / 1e6).toFixed(0)} MB in ${load.lines} lines`)
  let contenders: Contender[] = []
  for (let round = 0; round < run.rounds; round++) {
    for (const { directory } of contenders) rmSync(directory, { recursive: true, force: true })
    contenders = contendersOf(programs, run.directory, `lines-${round}`)
    await fillRound(run, contenders, load, round)
  }
  for (let round = 0; round < run.rounds * startsPerRound; round++) await startRound(run, contenders, round)
  await askRounds(run, quizOf(start, end), contenders)
  for (const { directory } of contenders) rmSync(directory, { recursive: true, force: true })
}

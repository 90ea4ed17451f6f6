/** Rows of traces: spans in until they are in the bucket, and what is asked of them, beside Tempo. */
import { globSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tempoAnswer } from './answers.ts'
import { askRounds, type Quiz } from './asked-rows.ts'
import type { Question } from './asking.ts'
import { type Contender, contendersOf, cpuOf, oneByOne, settle } from './contest.ts'
import { directoryBytes, type Peer } from './peers.ts'
import { programsOf, type TableRun } from './table-run.ts'
import { otherTraceQueries, traceQueries, type TraceQuery } from './trace-queries.ts'
import { type SpanLoad, spanLoad } from './trace-spans.ts'

const section = 'traces'
const mebibyte = 1024 * 1024
const flushedWithinMs = 300_000
/** A Tempo has the newest spans in its live store and in blocks, and asks both; two hours later blocks alone. */
const ages = [
  { endedBeforeMs: 30_000, suffix: '' },
  { endedBeforeMs: 7_200_000, suffix: ', two hours later' },
] as const
const lengthMs = 2_900_000

async function send(peer: Peer, body: Uint8Array): Promise<void> {
  const headers = { 'content-type': 'application/x-protobuf' }
  const post = (): Promise<Response> => fetch(peer.spansUrl, { method: 'POST', headers, body: Buffer.from(body) })
  let reply = await post()
  // Too fast for the log: as an exporter does, later again.
  while (reply.status === 503 || reply.status === 429) {
    await reply.arrayBuffer()
    await new Promise(resolve => setTimeout(resolve, 500))
    reply = await post()
  }
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${peer.name} refused spans: ${reply.status} ${text.slice(0, 300)}`)
}

/** Traces in the blocks of a Tempo's bucket, without those that were merged into others. */
function tracesInBlocks(peer: Peer): number {
  return globSync('blocks/single-tenant/*/meta.json', { cwd: peer.directory })
    .map(path => JSON.parse(readFileSync(join(peer.directory, path), 'utf8')) as { totalObjects?: number })
    .reduce((sum, { totalObjects = 0 }) => sum + totalObjects, 0)
}

/** Tempo writes blocks by its own clock: about half a minute after the last span. */
async function untilTempoFlushed(peer: Peer, traces: number): Promise<void> {
  const until = performance.now() + flushedWithinMs
  while (tracesInBlocks(peer) < traces) {
    if (performance.now() > until) throw new Error(`tempo has ${tracesInBlocks(peer)} of ${traces} traces in blocks`)
    await new Promise(resolve => setTimeout(resolve, 1000))
  }
}

async function sendAll(peer: Peer, load: SpanLoad): Promise<void> {
  for (const body of load.bodies) await send(peer, body)
  if (peer.name === 'tercet') await fetch(`${peer.url}/-/flush`, { method: 'POST' })
  if (peer.name === 'tempo') await untilTempoFlushed(peer, load.traces)
  await settle(peer)
}

/** Spans in; the data stays. */
async function fillRound(
  run: TableRun,
  contenders: readonly Contender[],
  load: SpanLoad,
  round: number,
): Promise<void> {
  const note = 'Tempo writes a block half a minute after its last span; what it takes meanwhile is in it'
  await oneByOne(contenders, round, true, async ({ column, peer }) => {
    const seconds = await cpuOf(peer, () => sendAll(peer, load))
    const work = { section, work: 'spans in, in the bucket', unit: 'CPU-s per M', note } as const
    run.figures.add(work, column, (seconds / load.spans) * 1e6)
    run.figures.add({ section, work: 'peak RSS of spans in', unit: 'MiB' }, column, peer.cost().peakBytes / mebibyte)
  })
  for (const { column, program, directory } of contenders) {
    const bytes = directoryBytes(join(directory, program === 'tercet' ? 'bucket/traces' : 'blocks/single-tenant'))
    run.figures.add({ section, work: 'bytes stored per span', unit: '' }, column, bytes / load.spans)
  }
}

function questionOf({ name, path, parameters }: TraceQuery): Question {
  return { name, request: () => ({ path, parameters }), read: (_, text) => tempoAnswer(text) }
}

function quizOf(load: AgedLoad): Quiz {
  const { start, end, suffix } = load
  const queries = traceQueries(start, end, load.oneId)
  const others = otherTraceQueries(start, end)
  const values = others.filter(({ name }) => name.startsWith('values of '))
  const own = (name: string, work: string): [string, string] => [name + suffix, work + suffix]
  return {
    section,
    questions: [...queries, ...others].map(query => questionOf({ ...query, name: query.name + suffix })),
    sums: [
      { work: `${queries.length} trace queries${suffix}`, names: queries.map(({ name }) => name + suffix) },
      { work: `tag values${suffix}`, names: values.map(({ name }) => name + suffix) },
    ],
    own: new Map([
      own('by id', 'a trace by its id'),
      own('{ span.no.such.attribute = "x" }', 'an attribute that no span has'),
      own('{ span.user.id = "nobody" }', 'a value that no span has'),
    ]),
    wallOf: [`a trace by its id${suffix}`],
    peakWork: `peak RSS of the trace queries${suffix}`,
  }
}

type AgedLoad = SpanLoad & { start: number; end: number; suffix: string }

function loadOf(run: TableRun, { endedBeforeMs, suffix }: (typeof ages)[number]): AgedLoad {
  const endMs = Date.now() - endedBeforeMs
  const startMs = endMs - lengthMs
  const load = spanLoad(run.isQuick ? 30_000 : 200_000, startMs, endMs)
  console.error(`  ${load.spans} spans, ${(load.bytes / 1e6).toFixed(1)} MB of OTLP${suffix}`)
  return { ...load, start: Math.floor(startMs / 1000), end: Math.ceil(endMs / 1000) + 1, suffix }
}

export async function tracesRows(run: TableRun): Promise<void> {
  const programs = programsOf(run, ['tempo'])
  for (const [i, age] of ages.entries()) {
    const load = loadOf(run, age)
    let contenders: Contender[] = []
    // Spans of another age cost the same: they are one more round.
    for (let round = 0; round < (i === 0 ? run.rounds : 1); round++) {
      for (const { directory } of contenders) rmSync(directory, { recursive: true, force: true })
      contenders = contendersOf(programs, run.directory, `spans-${i}-${round}`)
      await fillRound(run, contenders, load, round)
    }
    await askRounds(run, quizOf(load), contenders)
    for (const { directory } of contenders) rmSync(directory, { recursive: true, force: true })
  }
}

/** Runs that are made by hand, read from a Tercet in this process as recordings are. */
import { compareProfiles, type Report } from '../../src/gate/compare.ts'
import type { Profile } from '../../src/gate/profile.ts'
import { parseRules, Rules } from '../../src/gate/rules.ts'
import { readRun } from '../../src/gate/run-reader.ts'
import type { AddedLine, AddedSample, AddedSpan } from '../../src/library/additions.ts'
import { startTercet, type Tercet } from '../../src/library/tercet-library.ts'

const startMs = 1_790_000_000_000
const lengthMs = 60_000

/** A span of a run: its ids are made of its place, its start where none is said. */
export interface MadeSpan extends Partial<Omit<AddedSpan, 'spanId' | 'traceId' | 'parentId'>> {
  below?: readonly MadeSpan[]
}

export interface MadeRun {
  /** Roots of traces, in the order of time, spread over the run. */
  traces?: readonly MadeSpan[]
  lines?: readonly AddedLine[]
  samples?: readonly AddedSample[]
  /** Metrics of OTLP's JSON. */
  metrics?: readonly object[]
}

export function times<T>(count: number, make: T | ((index: number) => T)): T[] {
  return Array.from({ length: count }, (_, i) => (typeof make === 'function' ? (make as (at: number) => T)(i) : make))
}

class Spans {
  readonly list: AddedSpan[] = []
  readonly #seed: number
  #sequence = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  addTrace(root: MadeSpan, startAt: number): void {
    this.#add(root, { traceId: this.#id(32), startAt })
  }

  #id(digits: number): string {
    return `${(this.#seed + 1).toString(16)}${(++this.#sequence).toString(16).padStart(8, '0')}`.padStart(digits, 'a')
  }

  #add(
    { below = [], startAt: own, ...span }: MadeSpan,
    { traceId, startAt, parentId }: { traceId: string; startAt: number; parentId?: string },
  ): void {
    const spanId = this.#id(16)
    const at = own === undefined ? startAt : Number(own)
    const given = parentId === undefined ? {} : { parentId }
    this.list.push({ service: 'shop', name: 'span', durationMs: 10, ...span, ...given, traceId, spanId, startAt: at })
    for (const child of below) this.#add(child, { traceId, startAt: at, parentId: spanId })
  }
}

/** `seed` makes the ids of spans. */
export async function fillRun(tercet: Tercet, run: MadeRun, seed = 0): Promise<void> {
  const { traces = [], lines = [], samples = [], metrics = [] } = run
  const spans = new Spans(seed)
  for (const [i, root] of traces.entries()) spans.addTrace(root, startMs + Math.floor((i * lengthMs) / traces.length))
  if (spans.list.length > 0) await tercet.addSpans(spans.list)
  if (lines.length > 0) await tercet.addLogs(lines.map((line, i) => ({ at: startMs + i * 10, ...line })))
  if (samples.length > 0) await tercet.addMetrics(samples.map(sample => ({ at: startMs + lengthMs / 2, ...sample })))
  if (metrics.length === 0) return
  const body = JSON.stringify({ resourceMetrics: [{ resource: {}, scopeMetrics: [{ metrics }] }] })
  const headers = { 'content-type': 'application/json' }
  const reply = await tercet.request({ method: 'POST', path: '/v1/metrics', headers, body })
  if (reply.status !== 200) throw new Error(Buffer.from(reply.body).toString())
}

/** An instance with a run in it, at the end of the run. */
export async function startWith(run: MadeRun, seed = 0): Promise<Tercet> {
  const tercet = await startTercet({
    http: false,
    time: { startAt: startMs + lengthMs },
    settings: { 'traces.derived_metrics': false, 'logs.out_of_order_window': 'inf' },
  })
  await fillRun(tercet, run, seed)
  return tercet
}

async function profileOf(run: MadeRun, rules: Rules, seed: number): Promise<Profile> {
  const tercet = await startWith(run, seed)
  try {
    const range = { fromMs: startMs - 1000, toMs: startMs + lengthMs }
    return await readRun({ name: `run ${seed}`, telemetry: tercet, ...range, isWhole: true }, rules)
  } finally {
    await tercet.close()
  }
}

export async function compareMade(base: MadeRun, head: MadeRun, gate = ''): Promise<Report> {
  const rules = gate === '' ? new Rules() : parseRules(gate, 'gate.yml')
  return compareProfiles(await profileOf(base, rules, 1), await profileOf(head, rules, 2), rules)
}

/** `fail queries`, `warn latency_tail`: those that are no remarks, each once. */
export function shownFindings({ findings }: Report): string[] {
  const shown = findings
    .filter(({ severity }) => severity !== 'info')
    .map(({ severity, kind }) => `${severity} ${kind}`)
  return [...new Set(shown)].sort()
}

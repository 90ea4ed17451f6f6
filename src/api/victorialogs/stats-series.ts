/** Queries with stats as series: which fields are labels, and what the pipes behind the stats may do to them. */
import type { LogsqlQuery, Pipe } from '#lang/logsql/ast.ts'
import { instantOf } from '#lang/logsql/numbers.ts'
import { matchesName, renamed } from '#query/logsql/change.ts'
import { nsOf, type Fields } from '#query/logsql/row.ts'
import { refuse } from './arguments.ts'

export interface StatsQuery {
  query: LogsqlQuery
  /** Fields that are labels; all others are metrics. */
  labels: ReadonlySet<string>
}

/** `stepMs` groups by time as well; undefined: one answer for all of it. Throws BadQueryError. */
export function statsQueryOf(query: LogsqlQuery, stepMs: number | undefined): StatsQuery {
  const at = query.pipes.findLastIndex(({ kind }) => kind === 'stats')
  if (at < 0) refuse('the query needs a stats pipe')
  const pipes = stepMs === undefined ? query.pipes : query.pipes.map(pipe => byStep(pipe, stepMs))
  const stats = pipes[at] as Pipe & { kind: 'stats' }
  const fields = new SeriesFields(
    stats.by.map(({ field }) => field),
    stats.calls.map(({ as }) => as),
  )
  for (const pipe of pipes.slice(at + 1)) fields.pass(pipe)
  if (fields.metrics.size === 0) refuse('the pipes behind the stats leave no metric')
  return { query: { ...query, pipes }, labels: fields.labels }
}

/** Stats are grouped by time, and the first and last rows are those of each step. */
function byStep(pipe: Pipe, stepMs: number): Pipe {
  if (pipe.kind === 'stats') {
    const time = { field: '_time', bucket: { width: stepMs * 1e6, offset: 0, unit: undefined } }
    const by = pipe.by.map(key => (key.field === '_time' ? time : key))
    return {
      ...pipe,
      by: by.includes(time) ? by : [...by, time],
      seconds: stepMs / 1000,
    }
  }
  if (pipe.kind !== 'sort' || pipe.limit === 0 || pipe.partitionBy.includes('_time')) return pipe
  return { ...pipe, partitionBy: [...pipe.partitionBy, '_time'] }
}

/** The labels and metrics that rows have behind pipes. */
class SeriesFields {
  readonly labels: Set<string>
  readonly metrics: Set<string>

  constructor(labels: readonly string[], metrics: readonly string[]) {
    this.labels = new Set(labels)
    this.metrics = new Set(metrics)
  }

  /** Throws BadQueryError for a pipe that can't stand behind stats, or takes a label away. */
  pass(pipe: Pipe): void {
    switch (pipe.kind) {
      case 'filter':
      case 'sort':
        return
      case 'math':
        for (const { as } of pipe.assignments) {
          this.#keep(as)
          this.metrics.add(as)
        }
        return
      case 'fields':
        this.#onlyWhere(name => pipe.names.some(pattern => matchesName(pattern, name)))
        return
      case 'delete':
        this.#onlyWhere(name => !pipe.names.some(pattern => matchesName(pattern, name)))
        return
      case 'copy':
      case 'rename':
        for (const [from, to] of pipe.pairs) this.#move(from, to, pipe.kind === 'rename')
        return
      case 'format':
        this.#keep(pipe.as)
        this.labels.add(pipe.as)
        this.metrics.delete(pipe.as)
        return
      default:
        refuse(`the pipe "${pipe.kind}" can't stand behind stats here`)
    }
  }

  /** Refuses to write over a label. */
  #keep(name: string): void {
    if (this.labels.has(name)) refuse(`the field ${JSON.stringify(name)} is grouped by, it can't be written over`)
  }

  #onlyWhere(isKept: (name: string) => boolean): void {
    for (const label of this.labels)
      if (!isKept(label)) refuse(`the field ${JSON.stringify(label)} is grouped by, it must stay in the results`)
    for (const metric of this.metrics) if (!isKept(metric)) this.metrics.delete(metric)
  }

  #move(from: string, to: string, isRename: boolean): void {
    const { labels, metrics } = { labels: Array.from(this.labels), metrics: Array.from(this.metrics) }
    for (const label of labels) {
      if (matchesName(to, label)) this.#keep(label)
      if (!matchesName(from, label)) continue
      const name = renamed(from, to, label)
      this.#keep(name)
      if (isRename) this.labels.delete(label)
      this.labels.add(name)
    }
    for (const metric of metrics) {
      if (matchesName(to, metric)) this.metrics.delete(metric)
      if (!matchesName(from, metric)) continue
      if (isRename) this.metrics.delete(metric)
      this.metrics.add(renamed(from, to, metric))
    }
  }
}

export interface Point {
  metric: Record<string, string>
  /** Metric and labels as a text: what series are sorted by. */
  key: string
  ns: bigint
  value: string
}

/** A point for each metric of a row. A row's time is its own where it has one and `isOfStep`. */
export function pointsOf(row: Fields, labels: ReadonlySet<string>, atNs: bigint, isOfStep: boolean): Point[] {
  const time = isOfStep ? instantOf(row.get('_time') ?? '') : undefined
  const ofLabels = [...row].filter(([name]) => labels.has(name) && !(time !== undefined && name === '_time'))
  const shown = JSON.stringify(Object.fromEntries(ofLabels.filter(([, value]) => value !== '')))
  return [...row]
    .filter(([name]) => !labels.has(name))
    .map(([name, value]) => ({
      metric: Object.fromEntries([['__name__', name], ...ofLabels]),
      key: name + shown,
      ns: time === undefined ? atNs : nsOf(time),
      value,
    }))
}

/** Seconds of nanoseconds, as a double has them. */
export function secondsOf(ns: bigint): number {
  return Number(ns) / 1e9
}

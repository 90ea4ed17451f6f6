/** LogsQL's pipes that see all rows before they give any on, or join them with others. Source: docs/logs.md (the VictoriaLogs part). */
import { LimitError } from '#core/errors.ts'
import type { Pipe } from '#lang/logsql/ast.ts'
import { toNumber } from '#lang/logsql/numbers.ts'
import { compareValues, compileFilter, type RowTest } from './filter.ts'
import { fieldsSource, timeNs, timeText, type Fields } from './row.ts'
import type { PipeContext, Sink } from './sink.ts'
import { makeGatherer, numberText, type Gatherer } from './stats.ts'

/** A value in its bucket. */
function bucketed(text: string, width: number | undefined, offset: number, isTime: boolean): string {
  if (width === undefined) return text
  if (isTime) {
    const ns = timeNs(text)
    if (Number.isNaN(ns)) return text
    // Milliseconds and the rest apart: nanoseconds since the epoch exceed what a number holds.
    const widthMs = width / 1e6,
      offsetMs = offset / 1e6,
      ms = Math.floor(ns / 1e6)
    if (widthMs >= 1) {
      const at = Math.floor((ms - offsetMs) / widthMs) * widthMs + offsetMs
      return timeText(Math.floor(at), 0)
    }
    const sub = Number((/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(9, '0').slice(3, 9))
    return timeText(ms, Math.floor(sub / width) * width)
  }
  const value = toNumber(text)
  return Number.isNaN(value) ? text : numberText(Math.floor((value - offset) / width) * width + offset)
}

export class StatsSink implements Sink {
  readonly #pipe: Pipe & { kind: 'stats' }
  readonly #next: Sink
  readonly #context: PipeContext
  readonly #conditions: (RowTest | undefined)[]
  readonly #groups = new Map<string, { keys: string[]; gatherers: Gatherer[] }>()

  constructor(pipe: Pipe & { kind: 'stats' }, next: Sink, context: PipeContext) {
    this.#pipe = pipe
    this.#next = next
    this.#context = context
    this.#conditions = pipe.calls.map(call =>
      call.condition === undefined ? undefined : compileFilter(call.condition),
    )
    // Without groups there is a result in any case.
    if (pipe.by.length === 0) this.#group([])
  }

  #group(keys: string[]): Gatherer[] {
    const key = keys.join('\0')
    let group = this.#groups.get(key)
    if (group === undefined) {
      if (this.#groups.size >= this.#context.rowsMax)
        throw new LimitError(
          `the query makes more than ${this.#context.rowsMax} groups, which is the limit; group by fewer fields`,
          422,
        )
      this.#groups.set(
        key,
        (group = {
          keys,
          gatherers: this.#pipe.calls.map((call, i) => makeGatherer(call, this.#conditions[i], this.#context.seconds)),
        }),
      )
    }
    return group.gatherers
  }

  write(row: Fields): boolean {
    const source = fieldsSource(row)
    for (const gatherer of this.#group(
      this.#pipe.by.map(({ field, bucket, offset }) =>
        bucketed(row.get(field) ?? '', bucket, offset, field === '_time'),
      ),
    ))
      gatherer.add(source, () => row)
    return true
  }

  end(): void {
    for (const { keys, gatherers } of this.#groups.values()) {
      const row: Fields = new Map()
      this.#pipe.by.forEach(({ name }, i) => {
        row.set(name, keys[i]!)
      })
      gatherers.forEach((gatherer, i) => {
        row.set(this.#pipe.calls[i]!.as, gatherer.result())
      })
      if (!this.#next.write(row)) break
    }
    this.#next.end()
  }
}

export function makeJoin(pipe: Pipe & { kind: 'join' }, next: Sink, results: readonly Fields[]): Sink {
  const keyOf = (row: Fields): string => pipe.by.map(name => row.get(name) ?? '').join('\0')
  const byKey = new Map<string, Fields[]>()
  for (const row of results) {
    const key = keyOf(row),
      list = byKey.get(key)
    if (list === undefined) byKey.set(key, [row])
    else list.push(row)
  }
  return {
    write(row) {
      const matches = byKey.get(keyOf(row))
      if (matches === undefined) return pipe.isInner ? true : next.write(row)
      return matches.every(match => {
        const out = new Map(row)
        for (const [name, value] of match) if (!pipe.by.includes(name)) out.set(pipe.prefix + name, value)
        return next.write(out)
      })
    },
    end: () => {
      next.end()
    },
  }
}

/** Rows in order of time, each with what the rows of its group up to it, or all of them, come to. */
export class RunningSink implements Sink {
  readonly #pipe: Pipe & { kind: 'running-stats' | 'total-stats' }
  readonly #next: Sink
  readonly #context: PipeContext
  readonly #rows: Fields[] = []

  constructor(pipe: Pipe & { kind: 'running-stats' | 'total-stats' }, next: Sink, context: PipeContext) {
    this.#pipe = pipe
    this.#next = next
    this.#context = context
  }

  write(row: Fields): boolean {
    if (this.#rows.push(row) > this.#context.rowsMax)
      throw new LimitError(`the query holds more than ${this.#context.rowsMax} rows, which is the limit`, 422)
    return true
  }

  end(): void {
    const { kind, by, calls } = this.#pipe
    const rows = this.#rows.sort((a, b) => compareValues(a.get('_time') ?? '', b.get('_time') ?? ''))
    const conditions = calls.map(call => (call.condition === undefined ? undefined : compileFilter(call.condition)))
    const groups = new Map<string, Gatherer[]>()
    const gatherersOf = (row: Fields): Gatherer[] => {
      const key = by
        .map(({ field, bucket, offset }) => bucketed(row.get(field) ?? '', bucket, offset, field === '_time'))
        .join('\0')
      let gatherers = groups.get(key)
      if (gatherers === undefined)
        groups.set(key, (gatherers = calls.map((call, i) => makeGatherer(call, conditions[i], this.#context.seconds))))
      return gatherers
    }
    if (kind === 'total-stats')
      for (const row of rows) for (const gatherer of gatherersOf(row)) gatherer.add(fieldsSource(row), () => row)
    for (const row of rows) {
      const gatherers = gatherersOf(row)
      if (kind === 'running-stats') for (const gatherer of gatherers) gatherer.add(fieldsSource(row), () => row)
      gatherers.forEach((gatherer, i) => {
        row.set(calls[i]!.as, gatherer.result())
      })
      if (!this.#next.write(row)) break
    }
    this.#next.end()
  }
}

export class SortSink implements Sink {
  readonly #pipe: Pipe & { kind: 'sort' }
  readonly #next: Sink
  readonly #rowsMax: number
  readonly #keep: number
  #rows: Fields[] = []

  constructor(pipe: Pipe & { kind: 'sort' }, next: Sink, context: PipeContext) {
    this.#pipe = pipe
    this.#next = next
    this.#rowsMax = context.rowsMax
    this.#keep = pipe.partitionBy.length > 0 ? Infinity : pipe.offset + pipe.limit
  }

  readonly #compare = (a: Fields, b: Fields): number => {
    const { keys, isDescending } = this.#pipe
    if (keys.length === 0) return (isDescending ? -1 : 1) * compareValues(a.get('_time') ?? '', b.get('_time') ?? '')
    for (const key of keys) {
      const order = compareValues(a.get(key.field) ?? '', b.get(key.field) ?? '')
      if (order !== 0) return key.isDescending !== isDescending ? -order : order
    }
    return 0
  }

  write(row: Fields): boolean {
    this.#rows.push(row)
    if (this.#rows.length > this.#keep * 2 + 1000) {
      this.#rows.sort(this.#compare)
      this.#rows.length = this.#keep
    }
    if (this.#rows.length > this.#rowsMax)
      throw new LimitError(
        `the query sorts more than ${this.#rowsMax} rows, which is the limit; add a limit to the sort`,
        422,
      )
    return true
  }

  end(): void {
    const { offset, limit, rank, partitionBy } = this.#pipe
    this.#rows.sort(this.#compare)
    const seen = new Map<string, number>()
    for (const row of this.#rows) {
      const part = partitionBy.map(name => row.get(name) ?? '').join('\0')
      const place = (seen.get(part) ?? 0) + 1
      seen.set(part, place)
      if (place <= offset || place > offset + limit) continue
      if (rank !== undefined) row.set(rank, String(place))
      if (!this.#next.write(row)) break
    }
    this.#next.end()
  }
}

export class UniqSink implements Sink {
  readonly #pipe: Pipe & { kind: 'uniq' }
  readonly #next: Sink
  readonly #seen = new Map<string, { row: Fields; hits: number }>()

  constructor(pipe: Pipe & { kind: 'uniq' }, next: Sink) {
    this.#pipe = pipe
    this.#next = next
  }

  write(row: Fields): boolean {
    const { by, limit } = this.#pipe
    const kept: Fields = by.length === 0 ? row : new Map(by.map(name => [name, row.get(name) ?? '']))
    if (by.length > 0 && [...kept.values()].every(v => v === '')) return true
    const key = [...kept].flat().join('\0')
    const known = this.#seen.get(key)
    if (known !== undefined) known.hits++
    else if (this.#seen.size < limit) this.#seen.set(key, { row: kept, hits: 1 })
    return true
  }

  end(): void {
    for (const { row, hits } of this.#seen.values()) {
      if (this.#pipe.hits !== undefined) row.set(this.#pipe.hits, String(hits))
      if (!this.#next.write(row)) break
    }
    this.#next.end()
  }
}

export class TopSink implements Sink {
  readonly #pipe: Pipe & { kind: 'top' }
  readonly #next: Sink
  readonly #seen = new Map<string, { row: Fields; hits: number }>()

  constructor(pipe: Pipe & { kind: 'top' }, next: Sink) {
    this.#pipe = pipe
    this.#next = next
  }

  write(row: Fields): boolean {
    const { by } = this.#pipe
    const kept: Fields = by.length === 0 ? row : new Map(by.map(name => [name, row.get(name) ?? '']))
    const key = [...kept].flat().join('\0')
    const known = this.#seen.get(key)
    if (known !== undefined) known.hits++
    else this.#seen.set(key, { row: kept, hits: 1 })
    return true
  }

  end(): void {
    const sorted = [...this.#seen]
      .sort((a, b) => b[1].hits - a[1].hits || (a[0] < b[0] ? -1 : 1))
      .slice(0, this.#pipe.count)
    sorted.forEach(([, { row, hits }], i) => {
      row.set(this.#pipe.hits, String(hits))
      if (this.#pipe.rank !== undefined) row.set(this.#pipe.rank, String(i + 1))
      this.#next.write(row)
    })
    this.#next.end()
  }
}

export class FacetsSink implements Sink {
  readonly #pipe: Pipe & { kind: 'facets' }
  readonly #next: Sink
  readonly #fields = new Map<string, Map<string, number>>()
  #rows = 0

  constructor(pipe: Pipe & { kind: 'facets' }, next: Sink) {
    this.#pipe = pipe
    this.#next = next
  }

  write(row: Fields): boolean {
    this.#rows++
    for (const [name, value] of row) {
      if (value === '' || name === '_time' || name === '_stream_id') continue
      let values = this.#fields.get(name)
      if (values === undefined) this.#fields.set(name, (values = new Map()))
      if (values.size <= this.#pipe.maxValues) values.set(value, (values.get(value) ?? 0) + 1)
    }
    return true
  }

  end(): void {
    const { limit, maxValues, keepsConstant } = this.#pipe
    for (const [name, values] of [...this.#fields].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
      if (values.size > maxValues) continue
      if (!keepsConstant && values.size === 1 && [...values.values()][0] === this.#rows) continue
      const sorted = [...values].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, limit)
      for (const [value, hits] of sorted)
        this.#next.write(
          new Map([
            ['field_name', name],
            ['field_value', value],
            ['hits', String(hits)],
          ]),
        )
    }
    this.#next.end()
  }
}

export class FieldNamesSink implements Sink {
  readonly #as: string
  readonly #next: Sink
  readonly #hits = new Map<string, number>()

  constructor(as: string, next: Sink) {
    this.#as = as
    this.#next = next
  }

  write(row: Fields): boolean {
    for (const [name, value] of row) if (value !== '') this.#hits.set(name, (this.#hits.get(name) ?? 0) + 1)
    return true
  }

  end(): void {
    for (const [name, hits] of [...this.#hits].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)))
      this.#next.write(
        new Map([
          [this.#as, name],
          ['hits', String(hits)],
        ]),
      )
    this.#next.end()
  }
}

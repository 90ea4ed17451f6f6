/**
 * LogsQL's pipes that see all rows before they give any on, or join them with others. Source: docs/logs.md (the
 * VictoriaLogs part).
 */
import { compareText, keyOfTexts } from '#core/text.ts'
import { LimitError } from '#core/errors.ts'
import type { GroupKey, StatsCall } from '#lang/logsql/ast.ts'
import { Bucketing, DateForm } from './buckets.ts'
import type { PipeOf } from './change.ts'
import { compareNaturally, comparePlainly, compareValues } from './compare.ts'
import { compileFilter, type RowTest } from './filter.ts'
import { fieldOf, fieldsSource, type Fields } from './row.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { afterRow, bytesOfRow, writeAll, writeMany, type PipeContext, type Sink } from './sink.ts'
import { makeGatherer, type Gatherer } from './stats.ts'

/** Memory of a group and of a gatherer, without what it gathers. */
const bytesOfGroup = 300
const bytesOfGatherer = 150
/** Memory of a value that is counted, beside its characters. */
const bytesOfHit = 60

/** The groups of a stats pipe, each with a gatherer for every call. */
class Groups {
  readonly #by: readonly GroupKey[]
  readonly #calls: readonly StatsCall[]
  readonly #conditions: readonly (RowTest | undefined)[]
  readonly #context: PipeContext
  readonly #groups = new Map<string, Group>()
  readonly #forms: readonly DateForm[]
  readonly #buckets: readonly (Bucketing | undefined)[]

  constructor(by: readonly GroupKey[], calls: readonly StatsCall[], context: PipeContext) {
    this.#by = by
    this.#forms = by.map(() => new DateForm())
    this.#buckets = by.map(({ bucket }) => (bucket === undefined ? undefined : new Bucketing(bucket)))
    this.#calls = calls
    this.#conditions = calls.map(({ condition }) => (condition === undefined ? undefined : compileFilter(condition)))
    this.#context = context
  }

  get size(): number {
    return this.#groups.size
  }

  /** The row's group; a new one when it is the first of its kind. */
  of(row: Fields): Group {
    return this.at(
      this.#by.map(({ field, bucket }, i) => {
        const value = fieldOf(row, field)
        if (bucket === undefined) return value
        if (field !== '_time') this.#forms[i]!.add(value)
        return this.#buckets[i]!.of(value)
      }),
    )
  }

  at(keys: string[]): Group {
    const key = keys.length === 1 ? keys[0]! : keyOfTexts(keys)
    let group = this.#groups.get(key)
    if (group === undefined) {
      const gatherers = this.#calls.map((call, i) => ({
        as: call.as,
        gatherer: makeGatherer(call, this.#conditions[i], this.#context),
      }))
      this.#context.budget.takeBytes(bytesOfGroup + 2 * key.length + bytesOfGatherer * gatherers.length)
      this.#groups.set(key, (group = new Group(keys, gatherers)))
    }
    return group
  }

  /** What a group is called, once all rows are known. */
  namesOf(group: Group): [string, string][] {
    return group.keys.map((key, i) => {
      const { field, bucket } = this.#by[i]!
      return [field, bucket === undefined || field === '_time' ? key : this.#forms[i]!.shown(key)]
    })
  }

  /** In the order in which they were first seen. */
  all(): Iterable<Group> {
    return this.#groups.values()
  }
}

class Group {
  readonly keys: readonly string[]
  readonly #gatherers: readonly { as: string; gatherer: Gatherer }[]

  constructor(keys: readonly string[], gatherers: readonly { as: string; gatherer: Gatherer }[]) {
    this.keys = keys
    this.#gatherers = gatherers
  }

  add(row: Fields): void {
    const source = fieldsSource(row)
    for (const { gatherer } of this.#gatherers) gatherer.add(source, () => row)
  }

  /** As many rows of which nothing but their number counts. */
  addTimes(times: number): void {
    for (const { gatherer } of this.#gatherers) gatherer.addTimes!(times)
  }

  /** Sets the results so far as fields of a row; a promise where one of them takes long. */
  show(row: Fields): Promise<void> | undefined {
    let isSlow = false
    for (const { as, gatherer } of this.#gatherers) {
      row.set(as, gatherer.result())
      isSlow ||= gatherer.slowResult !== undefined
    }
    return isSlow ? this.#showSlow(row) : undefined
  }

  /** One after the other: when one fails, none of the others is under way. */
  async #showSlow(row: Fields): Promise<void> {
    for (const { as, gatherer } of this.#gatherers)
      if (gatherer.slowResult !== undefined) row.set(as, await gatherer.slowResult())
  }
}

/** One row for each group. */
export class StatsSink implements Sink {
  readonly #groups: Groups
  readonly #groupsMax: number
  readonly #next: Sink
  readonly #context: PipeContext

  constructor(pipe: PipeOf<'stats'>, next: Sink, context: PipeContext) {
    const { seconds = context.seconds } = pipe
    this.#groups = new Groups(pipe.by, pipe.calls, { ...context, seconds })
    this.#groupsMax = context.rowsMax
    this.#next = next
    this.#context = context
    // Without groups there is a result in any case.
    if (pipe.by.length === 0) this.#groups.at([])
  }

  write(row: Fields): boolean {
    this.#groups.of(row).add(row)
    this.#checkSize()
    return true
  }

  writeTimes(row: Fields, times: number): void {
    this.#groups.of(row).addTimes(times)
    this.#checkSize()
  }

  #checkSize(): void {
    if (this.#groups.size > this.#groupsMax)
      throw new LimitError(
        `the query makes more than ${this.#groupsMax} groups, which is the limit; group by fewer fields`,
        422,
      )
  }

  async end(): Promise<void> {
    for (const group of this.#groups.all()) {
      const row: Fields = new Map(this.#groups.namesOf(group))
      const slow = group.show(row)
      if (slow !== undefined) await slow
      const wantsMore = this.#next.write(row)
      const rest = afterRow(this.#context)
      if (rest !== undefined) await rest
      if (!wantsMore) break
    }
    await this.#next.end()
  }
}

/**
 * Each row with the fields of the results that have the same key; its own fields stay as they are. `isInner` leaves out
 * rows that match none.
 */
export function makeJoin(pipe: PipeOf<'join'>, next: Sink, results: readonly Fields[], context: PipeContext): Sink {
  const keyOf = (row: Fields): string => keyOfTexts(pipe.by.map(name => fieldOf(row, name)))
  const byKey = new Map<string, Fields[]>()
  for (const row of results) {
    const key = keyOf(row)
    const list = byKey.get(key)
    if (list === undefined) byKey.set(key, [row])
    else list.push(row)
  }
  return {
    write(row) {
      const matches = byKey.get(keyOf(row))
      if (matches === undefined) return pipe.isInner ? true : next.write(row)
      const joined = matches.values().map(match => {
        const out = new Map(row)
        for (const [name, value] of match)
          if (!pipe.by.includes(name) && fieldOf(row, pipe.prefix + name) === '') out.set(pipe.prefix + name, value)
        return out
      })
      return writeMany(joined, matches.length, next, context)
    },
    end: () => next.end(),
  }
}

/** Rows in the order of time, each with the results of its group up to it (running), or of its whole group (total). */
export class RunningSink implements Sink {
  readonly #isTotal: boolean
  readonly #groups: Groups
  readonly #next: Sink
  readonly #rowsMax: number
  readonly #context: PipeContext
  readonly #rows: Fields[] = []

  constructor(pipe: PipeOf<'running-stats' | 'total-stats'>, next: Sink, context: PipeContext) {
    this.#isTotal = pipe.kind === 'total-stats'
    this.#groups = new Groups(pipe.by, pipe.calls, context)
    this.#next = next
    this.#context = context
    this.#rowsMax = context.rowsMax
  }

  write(row: Fields): boolean {
    this.#context.budget.takeBytes(bytesOfRow(row))
    if (this.#rows.push(row) > this.#rowsMax)
      throw new LimitError(`the query holds more than ${this.#rowsMax} rows, which is the limit`, 422)
    return true
  }

  async end(): Promise<void> {
    const rows = this.#rows
    const { budget } = this.#context
    await pacedSort(rows, (a, b) => compareValues(fieldOf(a, '_time'), fieldOf(b, '_time')), budget)
    if (this.#isTotal)
      for (const row of rows) {
        this.#groups.of(row).add(row)
        const rest = afterRow(this.#context)
        if (rest !== undefined) await rest
      }
    for (const row of rows) {
      const group = this.#groups.of(row)
      if (!this.#isTotal) group.add(row)
      const slow = group.show(row)
      if (slow !== undefined) await slow
      const wantsMore = this.#next.write(row)
      const rest = afterRow(this.#context)
      if (rest !== undefined) await rest
      if (!wantsMore) break
    }
    await this.#next.end()
  }
}

/** All fields of a row: what rows are sorted by where no field is named. */
function textOfRow(row: Fields): string {
  let text = ''
  for (const [name, value] of row) if (value !== '') text += `${JSON.stringify(name)}:${JSON.stringify(value)},`
  return text
}

/** Rows in the order of keys, of all fields without keys. Only the rows that can be in the answer are held. */
export class SortSink implements Sink {
  readonly #pipe: PipeOf<'sort'>
  readonly #next: Sink
  readonly #rowsMax: number
  readonly #keep: number
  readonly #limit: number
  readonly #compareTexts: (a: string, b: string) => number
  readonly #context: PipeContext
  #isTrimming = false
  /** The last of the rows that were kept so far: what does not come before it can't be in the answer. */
  #last: Fields | undefined
  #rows: Fields[] = []

  constructor(pipe: PipeOf<'sort'>, next: Sink, context: PipeContext) {
    this.#pipe = pipe
    this.#next = next
    this.#context = context
    this.#rowsMax = context.rowsMax
    this.#limit = pipe.limit === 0 ? Infinity : pipe.limit
    this.#keep = pipe.partitionBy.length > 0 ? Infinity : pipe.offset + this.#limit
    // Without a limit, units and times in fields are not read.
    this.#compareTexts = pipe.limit === 0 ? comparePlainly : compareValues
  }

  readonly #compare = (a: Fields, b: Fields): number => {
    const { keys, isDescending } = this.#pipe
    if (keys.length === 0) return (isDescending ? -1 : 1) * compareNaturally(textOfRow(a), textOfRow(b))
    for (const key of keys) {
      const compare = key.field === '_time' ? compareValues : this.#compareTexts
      const order = compare(fieldOf(a, key.field), fieldOf(b, key.field))
      if (order !== 0) return key.isDescending !== isDescending ? -order : order
    }
    return 0
  }

  write(row: Fields): boolean {
    if (this.#last !== undefined && this.#compare(row, this.#last) >= 0) return true
    this.#context.budget.takeBytes(bytesOfRow(row))
    this.#rows.push(row)
    if (this.#rows.length > this.#keep * 2 + 1000 && !this.#isTrimming) {
      this.#isTrimming = true
      this.#context.waiting.push(() => this.#trim())
    }
    if (this.#rows.length > this.#rowsMax)
      throw new LimitError(
        `the query sorts more than ${this.#rowsMax} rows, which is the limit; add a limit to the sort`,
        422,
      )
    return true
  }

  async #trim(): Promise<void> {
    const { budget } = this.#context
    if (!this.#isTrimming) return
    await pacedSort(this.#rows, this.#compare, budget)
    for (let i = this.#keep; i < this.#rows.length; i++) budget.giveBytes(bytesOfRow(this.#rows[i]!))
    this.#rows.length = Math.min(this.#keep, this.#rows.length)
    this.#last = this.#rows[this.#keep - 1]
    this.#isTrimming = false
  }

  async end(): Promise<void> {
    const { offset, rank, partitionBy } = this.#pipe
    this.#isTrimming = false
    await pacedSort(this.#rows, this.#compare, this.#context.budget)
    const seen = new Map<string, number>()
    for (const row of this.#rows) {
      const part = keyOfTexts(partitionBy.map(name => fieldOf(row, name)))
      const place = (seen.get(part) ?? 0) + 1
      seen.set(part, place)
      if (place <= offset || place > offset + this.#limit) continue
      // A field of that name stays.
      if (rank !== undefined && fieldOf(row, rank) === '') row.set(rank, String(place))
      const wantsMore = this.#next.write(row)
      const rest = afterRow(this.#context)
      if (rest !== undefined) await rest
      if (!wantsMore) break
    }
    await this.#next.end()
  }
}

interface DistinctRow {
  row: Fields
  hits: number
}

/** Rows that differ in some fields, or in any, with how often each occurs. */
class DistinctRows {
  readonly #by: readonly string[]
  readonly #context: PipeContext
  readonly #seen = new Map<string, DistinctRow>()
  /** There were more than the limit. */
  isCut = false

  constructor(by: readonly string[], context: PipeContext) {
    this.#by = by
    this.#context = context
  }

  /** Counts a row; a new one only while fewer than `limit` are known. */
  add(row: Fields, limit: number): void {
    const key = this.#keyOf(row)
    const known = this.#seen.get(key)
    if (known !== undefined) known.hits++
    else if (this.#seen.size < limit) {
      const taken = this.#take(row)
      this.#context.budget.takeBytes(bytesOfRow(taken) + 2 * key.length)
      this.#seen.set(key, { row: taken, hits: 1 })
    } else this.isCut = true
  }

  #keyOf(row: Fields): string {
    const [first, ...others] = this.#by
    if (first === undefined) return keyOfTexts([...row].flat())
    return others.length === 0 ? fieldOf(row, first) : keyOfTexts(this.#by.map(name => fieldOf(row, name)))
  }

  /** A row with the fields that count. */
  #take(row: Fields): Fields {
    return this.#by.length === 0 ? row : new Map(this.#by.map(name => [name, fieldOf(row, name)]))
  }

  /** In the order in which they were first seen. */
  all(): DistinctRow[] {
    return [...this.#seen.values()]
  }
}

/** Each different row once. */
export class UniqSink implements Sink {
  readonly #pipe: PipeOf<'uniq'>
  readonly #limit: number
  readonly #next: Sink
  readonly #context: PipeContext
  readonly #rows: DistinctRows

  constructor(pipe: PipeOf<'uniq'>, next: Sink, context: PipeContext) {
    this.#pipe = pipe
    this.#limit = pipe.limit === 0 ? Infinity : pipe.limit
    this.#next = next
    this.#context = context
    this.#rows = new DistinctRows(pipe.by, context)
  }

  write(row: Fields): boolean {
    this.#rows.add(row, this.#limit)
    return true
  }

  async end(): Promise<void> {
    const { hits: name } = this.#pipe
    const rows = this.#rows.all().values()
    // Where rows were left out, nobody knows how often the others would have been found.
    const countOf = (hits: number): string => String(this.#rows.isCut ? 0 : hits)
    const shown = rows.map(({ row, hits }) => (name === undefined ? row : row.set(name, countOf(hits))))
    await writeAll(shown, this.#next, this.#context)
    await this.#next.end()
  }
}

interface RankedRow extends DistinctRow {
  values: readonly string[]
}

/** By their values, of which shorter ones come first where there are several. */
function compareRanked(a: RankedRow, b: RankedRow): number {
  const { values } = a
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    const other = b.values[i] ?? ''
    const longer = values.length > 1 ? Buffer.byteLength(value) - Buffer.byteLength(other) : 0
    const order = longer || compareText(value, other)
    if (order !== 0) return order
  }
  return 0
}

/** Rows that may be among the `count` with the most hits. */
function mostHits(rows: DistinctRow[], count: number): DistinctRow[] {
  if (rows.length <= count || count < 1) return rows
  const hits = Float64Array.from(rows, row => row.hits).sort()
  const least = hits[rows.length - count]!
  return rows.filter(row => row.hits >= least)
}

/** The rows that occur most often. */
export class TopSink implements Sink {
  readonly #pipe: PipeOf<'top'>
  readonly #next: Sink
  readonly #context: PipeContext
  readonly #rows: DistinctRows

  constructor(pipe: PipeOf<'top'>, next: Sink, context: PipeContext) {
    this.#pipe = pipe
    this.#next = next
    this.#context = context
    this.#rows = new DistinctRows(pipe.by, context)
  }

  write(row: Fields): boolean {
    this.#rows.add(row, Infinity)
    return true
  }

  async end(): Promise<void> {
    const { count, hits: hitsName, rank } = this.#pipe
    const ranked = mostHits(this.#rows.all(), count).map(one => ({ ...one, values: [...one.row.values()] }))
    await pacedSort(ranked, (a, b) => b.hits - a.hits || compareRanked(a, b), this.#context.budget)
    const shown = ranked
      .slice(0, count)
      .values()
      .map(({ row, hits }, i) => {
        row.set(hitsName, String(hits))
        return rank === undefined ? row : row.set(rank, String(i + 1))
      })
    await writeAll(shown, this.#next, this.#context)
    await this.#next.end()
  }
}

/** Entries of a table of hits: the most hits first, then by name. */
function byHits(hits: ReadonlyMap<string, number>): [string, number][] {
  return [...hits].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
}

/** The most frequent values of every field that has not too many, and more than one. */
export class FacetsSink implements Sink {
  readonly #pipe: PipeOf<'facets'>
  readonly #next: Sink
  readonly #context: PipeContext
  readonly #fields = new Map<string, Map<string, number>>()
  /** Fields with a value that is too long: they are not shown. */
  readonly #tooLong = new Set<string>()
  #rows = 0

  constructor(pipe: PipeOf<'facets'>, next: Sink, context: PipeContext) {
    this.#pipe = pipe
    this.#next = next
    this.#context = context
  }

  write(row: Fields): boolean {
    this.#rows++
    for (const [name, value] of row) {
      if (value === '') continue
      let values = this.#fields.get(name)
      if (values === undefined) this.#fields.set(name, (values = new Map()))
      if (values.size > this.#pipe.maxValues) continue
      if (Buffer.byteLength(value) > this.#pipe.maxLength) {
        this.#tooLong.add(name)
        continue
      }
      const hits = values.get(value)
      if (hits === undefined) this.#context.budget.takeBytes(bytesOfHit + value.length)
      values.set(value, (hits ?? 0) + 1)
    }
    return true
  }

  async end(): Promise<void> {
    const { limit, maxValues, keepsConstant } = this.#pipe
    for (const [name, values] of [...this.#fields].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
      if (values.size > maxValues || this.#tooLong.has(name)) continue
      if (!keepsConstant && values.size === 1 && [...values.values()][0] === this.#rows) continue
      const rows = byHits(values)
        .slice(0, limit)
        .values()
        .map(
          ([value, hits]): Fields =>
            new Map([
              ['field_name', name],
              ['field_value', value],
              ['hits', String(hits)],
            ]),
        )
      await writeAll(rows, this.#next, this.#context)
    }
    await this.#next.end()
  }
}

/** The fields that rows have, with how many rows have them. */
export class FieldNamesSink implements Sink {
  readonly #as: string
  readonly #next: Sink
  readonly #context: PipeContext
  readonly #hits = new Map<string, number>()

  constructor(as: string, next: Sink, context: PipeContext) {
    this.#as = as
    this.#next = next
    this.#context = context
  }

  write(row: Fields): boolean {
    for (const [name, value] of row) if (value !== '') this.#hits.set(name, (this.#hits.get(name) ?? 0) + 1)
    return true
  }

  async end(): Promise<void> {
    const rows = byHits(this.#hits)
      .values()
      .map(
        ([name, hits]): Fields =>
          new Map([
            [this.#as, name],
            ['hits', String(hits)],
          ]),
      )
    await writeAll(rows, this.#next, this.#context)
    await this.#next.end()
  }
}

/** LogsQL's pipes: each takes rows and gives rows on. Source: docs/logs.md (the VictoriaLogs part). */
import { assert } from '#core/assert.ts'
import { BadQueryError } from '#core/errors.ts'
import { greatest } from '#core/lists.ts'
import type { LogsqlQuery, Pipe, StatsFunction } from '#lang/logsql/ast.ts'
import { conditionOf, jsonArray, type Change, type PipeOf } from './change.ts'
import { makeExtract, makeExtractRegexp, makeUnpack, makeUnpackWords } from './extract.ts'
import * as fields from './field-changes.ts'
import { compileFilter } from './filter.ts'
import {
  FacetsSink,
  FieldNamesSink,
  makeJoin,
  RunningSink,
  SortSink,
  StatsSink,
  TopSink,
  UniqSink,
} from './gathering-pipes.ts'
import { fieldOf, fieldsSource, type Fields } from './row.ts'
import { writeAll, writeMany, type PipeContext, type Sink } from './sink.ts'

type MakePipe<K extends Pipe['kind']> = (pipe: PipeOf<K>, next: Sink, context: PipeContext) => Sink

const makers: { [K in Pipe['kind']]: MakePipe<K> } = {
  'block-stats': () => {
    throw new BadQueryError('block_stats shows how VictoriaLogs stores its data, which is stored otherwise here', 0, 0)
  },
  'blocks-count': makeBlocksCount,
  'collapse-numbers': changing(fields.makeCollapseNumbers),
  copy: changing(fields.makeCopy),
  decolorize: changing(fields.makeDecolorize),
  delete: changing(fields.makeDelete),
  'drop-empty': changing(fields.makeDropEmpty),
  extract: changing(makeExtract),
  'extract-regexp': changing(makeExtractRegexp),
  facets: (pipe, next, context) => new FacetsSink(pipe, next, context),
  'field-names': (pipe, next, context) => new FieldNamesSink(pipe.as, next, context),
  'field-values': makeFieldValues,
  fields: changing(fields.makeFields),
  filter: makeFilter,
  format: changing(fields.makeFormat),
  hash: changing(fields.makeHash),
  join: (pipe, next, context) => makeJoin(pipe, next, resultsOf(pipe.query, context), context),
  'json-array-length': changing(fields.makeJsonArrayLength),
  length: changing(fields.makeLength),
  limit: makeLimit,
  math: changing((pipe: PipeOf<'math'>, context) => fields.makeMath(pipe, context.nowMs)),
  offset: makeOffset,
  pack: changing(fields.makePack),
  rename: changing(fields.makeRename),
  replace: changing(fields.makeReplace),
  'replace-regexp': changing(fields.makeReplaceRegexp),
  'running-stats': (pipe, next, context) => new RunningSink(pipe, next, context),
  sample: makeSample,
  'set-stream-fields': changing(fields.makeSetStreamFields),
  sort: (pipe, next, context) => new SortSink(pipe, next, context),
  split: changing(fields.makeSplit),
  stats: (pipe, next, context) => new StatsSink(pipe, next, context),
  'stream-context': () => {
    throw new BadQueryError('stream_context must be the first pipe of a query', 0, 0)
  },
  'time-add': changing(fields.makeTimeAdd),
  top: (pipe, next, context) => new TopSink(pipe, next, context),
  'total-stats': (pipe, next, context) => new RunningSink(pipe, next, context),
  union: makeUnion,
  uniq: (pipe, next, context) => new UniqSink(pipe, next, context),
  unpack: changing((pipe: PipeOf<'unpack'>, context) => makeUnpack(pipe, context.nowMs)),
  'unpack-words': changing(makeUnpackWords),
  unroll: makeUnroll,
}

/** A sink of a pipe's rows that writes to `next`. Throws BadQueryError where the pipe can't stand. */
export function makePipe(pipe: Pipe, next: Sink, context: PipeContext): Sink {
  // The entry of a kind takes pipes of that kind, which the compiler does not see through the union.
  return (makers[pipe.kind] as MakePipe<Pipe['kind']>)(pipe, next, context)
}

/** Functions of stats that read the fields that they name and no others. */
const namingFunctions: ReadonlySet<StatsFunction> = new Set<StatsFunction>([
  'avg',
  'count',
  'count_uniq',
  'max',
  'median',
  'min',
  'quantile',
  'stddev',
  'sum',
  'sum_len',
])

/** The fields that a pipe reads of its rows; undefined: it may read any. */
export function fieldsReadBy(pipe: Pipe | undefined): ReadonlySet<string> | undefined {
  if (pipe?.kind !== 'stats') return undefined
  const names = new Set(pipe.by.map(({ field }) => field))
  for (const { name, args, condition } of pipe.calls) {
    if (condition !== undefined || !namingFunctions.has(name)) return undefined
    if (name === 'count' && args.includes('*')) continue
    if (args.length === 0 || args.some(arg => arg.endsWith('*'))) return undefined
    for (const arg of args) names.add(arg)
  }
  return names
}

/** A pipe that gives every row on, changed. */
function changing<P extends Pipe>(
  make: (pipe: P, context: PipeContext) => Change,
): (pipe: P, next: Sink, context: PipeContext) => Sink {
  return (pipe, next, context) => {
    const change = make(pipe, context)
    return passing(next, row => next.write(change(row)))
  }
}

function passing(next: Sink, write: Sink['write']): Sink {
  return {
    write,
    end: () => next.end(),
  }
}

function makeFilter(pipe: PipeOf<'filter'>, next: Sink): Sink {
  const test = compileFilter(pipe.filter)
  return passing(next, row => (test(fieldsSource(row)) ? next.write(row) : true))
}

function makeLimit(pipe: PipeOf<'limit'>, next: Sink): Sink {
  let left = pipe.count
  return passing(next, row => {
    if (left <= 0) return false
    left--
    return next.write(row) && left > 0
  })
}

function makeOffset(pipe: PipeOf<'offset'>, next: Sink): Sink {
  let left = pipe.count
  return passing(next, row => (left-- > 0 ? true : next.write(row)))
}

/** Every n-th row. */
function makeSample(pipe: PipeOf<'sample'>, next: Sink): Sink {
  let seen = 0
  return passing(next, row => (seen++ % Math.max(1, pipe.count) === 0 ? next.write(row) : true))
}

function makeFieldValues({ field, limit }: PipeOf<'field-values'>, next: Sink, context: PipeContext): Sink {
  const pipe = { kind: 'uniq' as const, by: [field], hits: 'hits', limit }
  return new UniqSink(pipe, next, context)
}

/** Entries are in no blocks that a user could count: there is one. */
function makeBlocksCount(pipe: PipeOf<'blocks-count'>, next: Sink, context: PipeContext): Sink {
  return {
    write: () => true,
    end: async () => {
      await writeAll([new Map([[pipe.as, '1']])], next, context)
      await next.end()
    },
  }
}

function makeUnion(pipe: PipeOf<'union'>, next: Sink, context: PipeContext): Sink {
  const rows = resultsOf(pipe.query, context)
  return {
    write: row => next.write(row),
    end: async () => {
      await writeAll(
        rows.values().map(row => new Map(row)),
        next,
        context,
      )
      await next.end()
    },
  }
}

function resultsOf(query: LogsqlQuery, context: PipeContext): readonly Fields[] {
  const rows = context.resultsOf.get(query)
  assert(rows !== undefined, 'a query within the query was not answered')
  return rows
}

/** One row for each element of the arrays, side by side. */
function makeUnroll(pipe: PipeOf<'unroll'>, next: Sink, context: PipeContext): Sink {
  const test = conditionOf(pipe.condition)
  return passing(next, row => {
    if (!test(row)) return next.write(row)
    const rows = unroll(row, pipe.fields)
    return writeMany(rows, rows.length, next, context)
  })
}

function unroll(row: Fields, names: readonly string[]): Fields[] {
  const columns = names.map(name => ({ name, texts: elementsOf(fieldOf(row, name)) }))
  const length = greatest([1, ...columns.map(({ texts }) => texts.length)])
  return Array.from({ length }, (_, i) => {
    const out = new Map(row)
    for (const { name, texts } of columns) out.set(name, texts[i] ?? '')
    return out
  })
}

/** The elements of a JSON array as texts; any other text has none. */
function elementsOf(text: string): string[] {
  return (jsonArray(text) ?? []).map(value => (typeof value === 'string' ? value : JSON.stringify(value)))
}

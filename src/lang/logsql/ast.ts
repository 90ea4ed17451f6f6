/** LogsQL as a tree. Source: docs/logs.md (the VictoriaLogs part). */
import type { LabelMatch } from '#lang/logql/ast.ts'

/** Nanoseconds are not needed here: bounds are milliseconds, the lower one inclusive, the upper one not. */
export interface TimeSpan {
  fromMs: number
  toMs: number
}

export type Filter =
  | { kind: 'and' | 'or'; parts: Filter[] }
  | { kind: 'not'; inner: Filter }
  | { kind: 'any' }
  | {
      kind: 'phrase' | 'prefix' | 'exact' | 'exact-prefix' | 'substring'
      field: string
      text: string
      ignoresCase: boolean
    }
  | { kind: 'empty' | 'present'; field: string }
  | { kind: 'regex'; field: string; source: string }
  | { kind: 'in' | 'contains-all' | 'contains-any' | 'sequence'; field: string; values: string[] }
  | { kind: 'in-query'; field: string; as: 'in' | 'contains-all' | 'contains-any'; query: LogsqlQuery }
  | { kind: 'range'; field: string; from: number; to: number; fromOpen: boolean; toOpen: boolean }
  | { kind: 'compare'; field: string; op: '>' | '>=' | '<' | '<='; value: string }
  | { kind: 'string-range'; field: string; from: string; to: string }
  | { kind: 'length'; field: string; from: number; to: number }
  | { kind: 'ipv4'; field: string; from: number; to: number }
  | { kind: 'same-field'; field: string; other: string; op: '=' | '<' | '<=' }
  | { kind: 'time'; span: TimeSpan }
  | { kind: 'day-range'; fromMs: number; toMs: number; offsetMs: number }
  | { kind: 'week-range'; fromDay: number; toDay: number; offsetMs: number }
  | { kind: 'stream'; alternatives: LabelMatch[][] }
  | { kind: 'stream-id'; ids: string[] }

export interface SortKey {
  field: string
  isDescending: boolean
}
export interface GroupKey {
  field: string
  /** Width of a bucket: nanoseconds for _time, a number otherwise. */
  bucket: number | undefined
  offset: number
  name: string
}
/** Functions of the pipe stats. */
export const statsFunctions = [
  'avg',
  'count',
  'count_empty',
  'count_uniq',
  'count_uniq_hash',
  'histogram',
  'json_values',
  'max',
  'median',
  'min',
  'quantile',
  'rate',
  'rate_sum',
  'row_any',
  'row_max',
  'row_min',
  'stddev',
  'sum',
  'sum_len',
  'uniq_values',
  'values',
] as const
/** Functions of running_stats and total_stats: those that make sense of the rows up to one. */
export const runningFunctions = ['count', 'sum', 'min', 'max', 'first', 'last'] as const
export type StatsFunction = (typeof statsFunctions)[number] | (typeof runningFunctions)[number]

export interface StatsCall {
  name: StatsFunction
  args: string[]
  limit: number | undefined
  parameter: number | undefined
  condition: Filter | undefined
  as: string
}

/** Functions and operators of the pipe math; an operator binds tighter than those of the rows above it. */
export const mathFunctions = ['abs', 'ceil', 'exp', 'floor', 'ln', 'max', 'min', 'now', 'round'] as const
export const mathOperators = [['default'], ['or'], ['xor'], ['&'], ['+', '-'], ['*', '/', '%'], ['^']] as const
export type MathFunction = (typeof mathFunctions)[number]
export type MathOperator = (typeof mathOperators)[number][number]

export type MathExpr =
  | { kind: 'number'; value: number }
  | { kind: 'field'; name: string }
  | { kind: 'binary'; op: MathOperator; left: MathExpr; right: MathExpr }
  | { kind: 'negate'; inner: MathExpr }
  | { kind: 'call'; name: MathFunction; args: MathExpr[] }

export type FormatPart = { literal: string } | { field: string; modifier: string }

export type Pipe =
  | { kind: 'fields' | 'delete' | 'decolorize'; names: string[] }
  | { kind: 'copy' | 'rename'; pairs: [string, string][] }
  | { kind: 'filter'; filter: Filter }
  | { kind: 'limit' | 'offset' | 'sample'; count: number }
  | {
      kind: 'sort'
      keys: SortKey[]
      isDescending: boolean
      offset: number
      limit: number
      rank: string | undefined
      partitionBy: string[]
    }
  | { kind: 'stats'; by: GroupKey[]; calls: StatsCall[] }
  | { kind: 'uniq'; by: string[]; hits: string | undefined; limit: number }
  | { kind: 'top'; count: number; by: string[]; hits: string; rank: string | undefined }
  | {
      kind: 'extract'
      parts: FormatPart[]
      from: string
      condition: Filter | undefined
      keepsOriginal: boolean
      skipsEmpty: boolean
    }
  | {
      kind: 'extract-regexp'
      source: string
      from: string
      condition: Filter | undefined
      keepsOriginal: boolean
      skipsEmpty: boolean
    }
  | {
      kind: 'unpack'
      format: 'json' | 'logfmt' | 'syslog' | 'words'
      from: string
      fields: string[]
      prefix: string
      condition: Filter | undefined
      keepsOriginal: boolean
      skipsEmpty: boolean
      as: string
    }
  | { kind: 'pack'; format: 'json' | 'logfmt'; fields: string[]; as: string }
  | {
      kind: 'format'
      parts: FormatPart[]
      as: string
      condition: Filter | undefined
      keepsOriginal: boolean
      skipsEmpty: boolean
    }
  | { kind: 'math'; assignments: { expr: MathExpr; as: string }[] }
  | { kind: 'replace'; old: string; fresh: string; field: string; limit: number; condition: Filter | undefined }
  | {
      kind: 'replace-regexp'
      source: string
      fresh: string
      field: string
      limit: number
      condition: Filter | undefined
    }
  | { kind: 'field-names' | 'blocks-count'; as: string }
  | { kind: 'field-values'; field: string; limit: number }
  | { kind: 'facets'; limit: number; maxValues: number; keepsConstant: boolean }
  | { kind: 'unroll'; fields: string[] }
  | { kind: 'length' | 'hash' | 'json-array-length'; field: string; as: string }
  | { kind: 'collapse-numbers'; field: string }
  | { kind: 'drop-empty' }
  | { kind: 'join'; by: string[]; query: LogsqlQuery; isInner: boolean; prefix: string }
  | { kind: 'union'; query: LogsqlQuery }
  | { kind: 'stream-context'; before: number; after: number; windowMs: number }
  | { kind: 'running-stats' | 'total-stats'; by: GroupKey[]; calls: StatsCall[] }
  | { kind: 'split'; separator: string; field: string; as: string }
  | { kind: 'set-stream-fields'; names: string[]; condition: Filter | undefined }
  | { kind: 'time-add'; ns: number; field: string }

export interface LogsqlQuery {
  filter: Filter
  pipes: Pipe[]
}

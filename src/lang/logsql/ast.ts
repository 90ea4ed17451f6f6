/** LogsQL as a tree. Source: docs/logs.md (the VictoriaLogs part). */
import type { LabelMatch } from '#lang/logql/ast.ts'

/** Nanoseconds since the epoch, both inclusive. */
export interface TimeSpan {
  fromNs: bigint
  throughNs: bigint
}

export type Filter =
  | { kind: 'and' | 'or'; parts: Filter[] }
  | { kind: 'not'; inner: Filter }
  | { kind: 'any' }
  | { kind: 'phrase' | 'prefix'; field: string; text: string; ignoresCase: boolean }
  | { kind: 'exact' | 'exact-prefix' | 'substring'; field: string; text: string }
  | { kind: 'regex'; field: string; source: string }
  | { kind: 'in' | 'contains-all' | 'contains-any' | 'sequence'; field: string; values: string[] }
  | { kind: 'in-query'; field: string; as: 'in' | 'contains-all' | 'contains-any'; from: string; query: LogsqlQuery }
  | { kind: 'range'; field: string; from: Bound; to: Bound; shown: string }
  /** `from` is inclusive, `to` is not; undefined for no bound. */
  | { kind: 'string-range'; field: string; from: string; to: string | undefined; shown: string }
  | { kind: 'length'; field: string; from: number; to: number; shown: string }
  | { kind: 'ipv4'; field: string; from: number; to: number }
  | { kind: 'same-field'; field: string; other: string; op: '=' | '<' | '<=' }
  | { kind: 'value-type'; field: string; type: string }
  | { kind: 'time'; span: TimeSpan; shown: string }
  /** Nanoseconds of a day, both inclusive. */
  | { kind: 'day-range'; fromNs: number; throughNs: number; offsetNs: number; shown: string }
  /** Days from Sunday on, both inclusive. */
  | { kind: 'week-range'; fromDay: number; throughDay: number; offsetNs: number; shown: string }
  | { kind: 'stream'; alternatives: LabelMatch[][] }
  | { kind: 'stream-id'; ids: string[] }

export interface Bound {
  value: number
  /** As it is written: whole numbers beyond 2^53 are compared by their digits. */
  text: string
  isOpen: boolean
}

export interface SortKey {
  field: string
  isDescending: boolean
}
export interface GroupKey {
  field: string
  bucket: Bucket | undefined
}
export interface Bucket {
  /** Nanoseconds for times, a number otherwise; 0 for calendar months and years. */
  width: number
  offset: number
  unit: 'month' | 'year' | 'week' | undefined
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
  /** 0 for none. */
  limit: number
  parameter: number | undefined
  parameterText: string
  condition: Filter | undefined
  as: string
}

/** Functions and operators of the pipe math; an operator binds tighter than those of the rows above it. */
export const mathFunctions = ['abs', 'ceil', 'exp', 'floor', 'ln', 'max', 'min', 'now', 'rand', 'round'] as const
export const mathOperators = [['default'], ['or'], ['xor'], ['&'], ['+', '-'], ['*', '/', '%'], ['^']] as const
export type MathFunction = (typeof mathFunctions)[number]
export type MathOperator = (typeof mathOperators)[number][number]

export type MathExpr =
  | { kind: 'number'; value: number; text: string }
  | { kind: 'field'; name: string }
  | { kind: 'binary'; op: MathOperator; left: MathExpr; right: MathExpr }
  | { kind: 'negate'; inner: MathExpr }
  | { kind: 'call'; name: MathFunction; args: MathExpr[] }

/** A literal text and the field behind it; '' for none. */
export interface PatternStep {
  prefix: string
  field: string
  option: string
}

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
  /** `seconds`: what rates are counted by instead of the query's time. */
  | { kind: 'stats'; by: GroupKey[]; calls: StatsCall[]; seconds?: number }
  | { kind: 'uniq'; by: string[]; hits: string | undefined; limit: number }
  | { kind: 'top'; count: number; by: string[]; hits: string; rank: string | undefined }
  | {
      kind: 'extract'
      steps: PatternStep[]
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
      format: 'json' | 'logfmt' | 'syslog'
      from: string
      fields: string[]
      prefix: string
      /** Of times without a zone in syslog messages. */
      offsetNs: number
      condition: Filter | undefined
      keepsOriginal: boolean
      skipsEmpty: boolean
    }
  | { kind: 'unpack-words'; from: string; as: string; dropsDuplicates: boolean }
  | { kind: 'pack'; format: 'json' | 'logfmt'; fields: string[]; as: string }
  | {
      kind: 'format'
      steps: PatternStep[]
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
  | { kind: 'block-stats' }
  | { kind: 'field-values'; field: string; limit: number }
  | { kind: 'facets'; limit: number; maxValues: number; maxLength: number; keepsConstant: boolean }
  | { kind: 'unroll'; fields: string[]; condition: Filter | undefined }
  | { kind: 'length' | 'hash' | 'json-array-length'; field: string; as: string }
  | { kind: 'collapse-numbers'; field: string; isPretty: boolean; condition: Filter | undefined }
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
  /** The time that a request names does not count for it. */
  ignoresRequestTime: boolean
  /** A pipe of it is a filter without the word `filter`: LogQL can look like that. */
  hasBareFilter: boolean
}

/** LogQL as a tree. Durations are nanoseconds unless a name says otherwise. */
import type { MatchKind } from '#lang/regex/matcher.ts'

export interface LabelMatch {
  kind: MatchKind
  name: string
  value: string
}

export type LineFilterOp = '|=' | '!=' | '|~' | '!~' | '|>' | '!>'
export interface LineOperand {
  value: string
  isIp: boolean
}
export type CompareOp = '>' | '>=' | '<' | '<=' | '=' | '==' | '!='

export type LabelFilter =
  | {
      kind: 'and' | 'or'
      left: LabelFilter
      right: LabelFilter
      /** Written with a comma or nothing: and-ed, printed as such. */ isList: boolean
    }
  | { kind: 'match'; match: LabelMatch }
  | { kind: 'number' | 'duration' | 'bytes'; name: string; op: CompareOp; value: number; text: string }
  | { kind: 'ip'; name: string; isNegated: boolean; value: string }

export interface Extraction {
  name: string
  path: string
}
export interface LabelFormat {
  name: string
  from: string | undefined
  template: string | undefined
}
export interface NamedOrMatched {
  name: string
  match: LabelMatch | undefined
}

export type Stage =
  | { kind: 'line-filter'; op: LineFilterOp; operands: LineOperand[] }
  | { kind: 'json'; extractions: Extraction[] }
  | { kind: 'logfmt'; isStrict: boolean; keepsEmpty: boolean; extractions: Extraction[] }
  | { kind: 'regexp' | 'pattern'; text: string }
  | { kind: 'unpack' }
  | { kind: 'decolorize' }
  | { kind: 'line-format'; template: string }
  | { kind: 'label-format'; formats: LabelFormat[] }
  | { kind: 'drop' | 'keep'; items: NamedOrMatched[] }
  | { kind: 'label-filter'; filter: LabelFilter }

export interface LogExpr {
  kind: 'log'
  matchers: LabelMatch[]
  stages: Stage[]
}

export type Conversion = '' | 'bytes' | 'duration' | 'duration_seconds'
export interface Unwrap {
  label: string
  conversion: Conversion
  filters: LabelFilter[]
}

export const rangeOps = [
  'rate',
  'rate_counter',
  'count_over_time',
  'bytes_over_time',
  'bytes_rate',
  'avg_over_time',
  'sum_over_time',
  'min_over_time',
  'max_over_time',
  'stdvar_over_time',
  'stddev_over_time',
  'quantile_over_time',
  'first_over_time',
  'last_over_time',
  'absent_over_time',
] as const
export type RangeOp = (typeof rangeOps)[number]
export const vectorOps = [
  'sum',
  'avg',
  'min',
  'max',
  'count',
  'stddev',
  'stdvar',
  'topk',
  'bottomk',
  'sort',
  'sort_desc',
  'approx_topk',
] as const
export type VectorOp = (typeof vectorOps)[number]
export type BinaryOp =
  | 'or'
  | 'and'
  | 'unless'
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '^'

export interface Grouping {
  isWithout: boolean
  labels: string[]
}

export interface RangeAggregation {
  kind: 'range'
  op: RangeOp
  parameter: number | undefined
  log: LogExpr
  rangeMs: number
  offsetNs: number
  unwrap: Unwrap | undefined
  grouping: Grouping | undefined
}
export interface VectorAggregation {
  kind: 'aggregation'
  op: VectorOp
  parameter: number | undefined
  grouping: Grouping | undefined
  inner: MetricExpr
}
export interface Matching {
  isOn: boolean
  labels: string[]
  group: 'left' | 'right' | undefined
  include: string[]
}
export interface BinaryExpr {
  kind: 'binary'
  op: BinaryOp
  isBool: boolean
  matching: Matching | undefined
  left: MetricExpr
  right: MetricExpr
}
export interface LabelReplace {
  kind: 'label-replace'
  inner: MetricExpr
  to: string
  replacement: string
  from: string
  regex: string
}
export type MetricExpr =
  | RangeAggregation
  | VectorAggregation
  | BinaryExpr
  | LabelReplace
  | { kind: 'number'; value: number }
  | { kind: 'vector'; value: number }
export type LogqlExpr = LogExpr | MetricExpr

/** Every selector of a query, with the range of time before each step that it reads. */
export function logsOf(expr: LogqlExpr): { log: LogExpr; rangeMs: number; offsetNs: number }[] {
  switch (expr.kind) {
    case 'log':
      return [{ log: expr, rangeMs: 0, offsetNs: 0 }]
    case 'range':
      return [{ log: expr.log, rangeMs: expr.rangeMs, offsetNs: expr.offsetNs }]
    case 'aggregation':
    case 'label-replace':
      return logsOf(expr.inner)
    case 'binary':
      return [...logsOf(expr.left), ...logsOf(expr.right)]
    default:
      return []
  }
}

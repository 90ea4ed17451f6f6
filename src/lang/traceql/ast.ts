/** TraceQL as a tree. Source: docs/traces.md (the language). */

export type Scope = 'any' | 'span' | 'resource' | 'event' | 'link' | 'instrumentation'
export type Intrinsic =
  | 'duration'
  | 'name'
  | 'status'
  | 'statusMessage'
  | 'kind'
  | 'span:id'
  | 'span:parentID'
  | 'span:childCount'
  | 'traceDuration'
  | 'rootName'
  | 'rootServiceName'
  | 'trace:id'
  | 'nestedSetLeft'
  | 'nestedSetRight'
  | 'nestedSetParent'
  | 'event:name'
  | 'event:timeSinceStart'
  | 'link:traceID'
  | 'link:spanID'
  | 'instrumentation:name'
  | 'instrumentation:version'

/** `text`: as the query has it; what labels and keys are called after. */
export type Field =
  | { kind: 'attribute'; scope: Scope; name: string; text: string }
  | { kind: 'intrinsic'; name: Intrinsic; text: string }

export type Literal =
  | { type: 'string'; value: string }
  /** `digits`: of a whole number that the double is not. */
  | { type: 'int'; value: number; digits?: string }
  | { type: 'float'; value: number }
  /** Nanoseconds. */
  | { type: 'duration'; value: number; digits?: string }
  | { type: 'bool'; value: boolean }
  /** OTLP's numbers. */
  | { type: 'status' | 'kind'; value: number }
  | { type: 'nil' }

export type CompareOp = '=' | '!=' | '=~' | '!~' | '<' | '<=' | '>' | '>='
export type ArithmeticOp = '+' | '-' | '*' | '/' | '%' | '^'

export type FieldExpr =
  | { kind: 'literal'; literal: Literal }
  | { kind: 'field'; field: Field }
  | { kind: 'logic'; op: '&&' | '||'; left: FieldExpr; right: FieldExpr }
  | { kind: 'compare'; op: CompareOp; left: FieldExpr; right: FieldExpr }
  | { kind: 'arithmetic'; op: ArithmeticOp; left: FieldExpr; right: FieldExpr }
  | { kind: 'not' | 'negate'; inner: FieldExpr }

export type SpansetOp =
  | '&&'
  | '||'
  | '>'
  | '>>'
  | '<'
  | '<<'
  | '~'
  | '!>'
  | '!>>'
  | '!<'
  | '!<<'
  | '!~'
  | '&>'
  | '&>>'
  | '&<'
  | '&<<'
  | '&~'

export interface Aggregate {
  name: 'count' | 'min' | 'max' | 'avg' | 'sum'
  argument: FieldExpr | undefined
  text: string
}

export type Stage =
  | { kind: 'filter'; condition: FieldExpr | undefined }
  | { kind: 'combine'; op: SpansetOp; left: Stage[]; right: Stage[] }
  | { kind: 'scalar-filter'; aggregate: Aggregate; op: CompareOp; value: number; digits: string }
  | { kind: 'by'; expr: FieldExpr; text: string }
  | { kind: 'coalesce' }
  | { kind: 'select'; fields: Field[] }

export interface MetricsFunction {
  name:
    | 'rate'
    | 'count_over_time'
    | 'min_over_time'
    | 'max_over_time'
    | 'sum_over_time'
    | 'avg_over_time'
    | 'quantile_over_time'
    | 'histogram_over_time'
    | 'compare'
  field: Field | undefined
  quantiles: number[]
  by: Field[]
  /** compare(): the selection, how many values of an attribute are kept, and its time in nanoseconds. */
  selection: FieldExpr | undefined
  topN: number
  startNs: bigint
  endNs: bigint
}

export type SecondStage =
  | { kind: 'topk' | 'bottomk'; count: number }
  | { kind: 'compare'; op: CompareOp; value: number }

export type MetricsExpr =
  | { kind: 'pipeline'; stages: Stage[]; fn: MetricsFunction; after: SecondStage[] }
  | { kind: 'math'; op: '+' | '-' | '*' | '/'; left: MetricsExpr; right: MetricsExpr }
  | { kind: 'staged'; inner: MetricsExpr; after: SecondStage[] }
  | { kind: 'constant'; value: number; isInt: boolean }

export type Hints = ReadonlyMap<string, Literal>
export type TraceqlQuery =
  | { kind: 'search'; stages: Stage[]; hints: Hints }
  | { kind: 'metrics'; expr: MetricsExpr; hints: Hints }

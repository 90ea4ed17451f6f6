/** The syntax tree of PromQL. `from` and `to` are UTF-16 offsets into the query text; durations are milliseconds. */
import type { Matcher } from '../regex/matcher.ts'
import type { FunctionName } from './functions.ts'

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '^' | 'atan2'
export type ComparisonOperator = '==' | '!=' | '<' | '>' | '<=' | '>='
export type TrimOperator = '</' | '>/'
export type SetOperator = 'and' | 'or' | 'unless'
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | TrimOperator | SetOperator
export type AggregateOperator =
  | 'sum'
  | 'avg'
  | 'count'
  | 'min'
  | 'max'
  | 'group'
  | 'stddev'
  | 'stdvar'
  | 'topk'
  | 'bottomk'
  | 'count_values'
  | 'quantile'
  | 'limitk'
  | 'limit_ratio'

interface Node {
  from: number
  to: number
}

export interface NumberLiteral extends Node {
  kind: 'number'
  value: number
  isDuration: boolean
}
export interface StringLiteral extends Node {
  kind: 'string'
  value: string
}

/** A duration that has to be computed once the query's range is known. */
export type DurationExpr =
  | NumberLiteral
  | (Node & {
      kind: 'duration-binary'
      op: '+' | '-' | '*' | '/' | '%' | '^'
      left: DurationExpr
      right: DurationExpr
      wrapped: boolean
    })
  | (Node & { kind: 'duration-negative'; operand: DurationExpr; wrapped: boolean })
  | (Node & {
      kind: 'duration-call'
      name: 'step' | 'range' | 'min_of' | 'max_of'
      args: DurationExpr[]
      wrapped: boolean
    })

export interface Duration {
  ms: number
  expr: DurationExpr | undefined
}
/** `@ 123.4` (atMs), `@ start()`, `@ end()`. */
export type At = { kind: 'time'; atMs: number } | { kind: 'start' } | { kind: 'end' }

export interface VectorSelector extends Node {
  kind: 'selector'
  name: string
  matchers: Matcher[]
  offset: Duration | undefined
  at: At | undefined
  modifier: 'anchored' | 'smoothed' | undefined
}
export interface MatrixSelector extends Node {
  kind: 'matrix'
  selector: VectorSelector
  range: Duration
}
export interface Subquery extends Node {
  kind: 'subquery'
  expr: Expr
  range: Duration
  step: Duration | undefined
  offset: Duration | undefined
  at: At | undefined
}
export interface Call extends Node {
  kind: 'call'
  name: FunctionName
  args: Expr[]
}
export interface Aggregate extends Node {
  kind: 'aggregate'
  op: AggregateOperator
  param: Expr | undefined
  expr: Expr
  grouping: string[]
  without: boolean
  hasGrouping: boolean
}
export interface Matching {
  card: 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many'
  on: boolean
  labels: string[]
  include: string[]
  fillLeft: number | undefined
  fillRight: number | undefined
}
export interface Binary extends Node {
  kind: 'binary'
  op: BinaryOperator
  lhs: Expr
  rhs: Expr
  returnBool: boolean
  matching: Matching | undefined
}
export interface Unary extends Node {
  kind: 'unary'
  op: '+' | '-'
  expr: Expr
}
export interface Paren extends Node {
  kind: 'paren'
  expr: Expr
}

export type Expr =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | Subquery
  | Call
  | Aggregate
  | Binary
  | Unary
  | Paren

export function isComparison(op: BinaryOperator): op is ComparisonOperator {
  return op === '==' || op === '!=' || op === '<' || op === '>' || op === '<=' || op === '>='
}
export function isSet(op: BinaryOperator): op is SetOperator {
  return op === 'and' || op === 'or' || op === 'unless'
}

/** The expression without the parentheses around it. */
export function unwrap(expr: Expr): Expr {
  while (expr.kind === 'paren') expr = expr.expr
  return expr
}

/** Direct subexpressions, in the order of the text. */
export function childrenOf(expr: Expr): Expr[] {
  switch (expr.kind) {
    case 'number':
    case 'string':
    case 'selector':
      return []
    case 'matrix':
      return [expr.selector]
    case 'subquery':
    case 'unary':
    case 'paren':
      return [expr.expr]
    case 'call':
      return expr.args
    case 'aggregate':
      return expr.param === undefined ? [expr.expr] : [expr.param, expr.expr]
    case 'binary':
      return [expr.lhs, expr.rhs]
  }
}

/** Every vector selector inside, those of ranges included. */
export function selectorsOf(expr: Expr): VectorSelector[] {
  return expr.kind === 'selector' ? [expr] : childrenOf(expr).flatMap(selectorsOf)
}

/** A syntax tree as /api/v1/parse_query shows it: the node types and members that Prometheus' UI expects. */
import type { At, Duration, DurationExpr, Expr, VectorSelector } from '#lang/promql/ast.ts'
import { printExpr } from '#lang/promql/printer.ts'
import { signatureOf } from '#lang/promql/functions.ts'
import { formatFloat } from '#query/promql/aggregate.ts'

const cards = {
  'one-to-one': 'one-to-one',
  'many-to-one': 'many-to-one',
  'one-to-many': 'one-to-many',
  'many-to-many': 'many-to-many',
} as const

/** A duration that has to be computed, as a tree; null for one that stands there. */
function computed(duration: Duration | undefined): object | null {
  return duration?.expr === undefined ? null : describeDuration(duration.expr)
}

function describeDuration(expr: DurationExpr): object {
  if (expr.kind === 'number') return { type: 'numberLiteral', val: formatFloat(expr.value), duration: expr.isDuration }
  const [op, lhs, rhs] =
    expr.kind === 'duration-binary'
      ? [expr.op, expr.left, expr.right]
      : expr.kind === 'duration-negative'
        ? ['-', undefined, expr.operand]
        : [expr.name, expr.args[0], expr.args[1]]
  const side = (one: DurationExpr | undefined): object | null => (one === undefined ? null : describeDuration(one))
  return { type: 'durationExpr', op, lhs: side(lhs), rhs: side(rhs), wrapped: expr.wrapped }
}

function modifiers(node: { at: At | undefined; offset: Duration | undefined }): object {
  return {
    offset: node.offset?.ms ?? 0,
    offsetExpr: computed(node.offset),
    timestamp: node.at?.kind === 'time' ? node.at.atMs : null,
    startOrEnd: node.at === undefined || node.at.kind === 'time' ? null : node.at.kind,
  }
}

function selector(node: VectorSelector): object {
  return {
    name: node.name,
    matchers: node.matchers.map(m => ({ name: m.name, value: m.value, type: m.kind })),
    ...modifiers(node),
    anchored: node.modifier === 'anchored',
    smoothed: node.modifier === 'smoothed',
  }
}

export function describeExpr(expr: Expr): object {
  switch (expr.kind) {
    case 'number':
      return { type: 'numberLiteral', val: printExpr(expr) }
    case 'string':
      return { type: 'stringLiteral', val: expr.value }
    case 'selector':
      return { type: 'vectorSelector', ...selector(expr) }
    case 'matrix':
      return {
        type: 'matrixSelector',
        ...selector(expr.selector),
        range: expr.range.ms,
        rangeExpr: computed(expr.range),
      }
    case 'subquery':
      return {
        type: 'subquery',
        expr: describeExpr(expr.expr),
        range: expr.range.ms,
        rangeExpr: computed(expr.range),
        step: expr.step?.ms ?? 0,
        stepExpr: computed(expr.step),
        ...modifiers(expr),
      }
    case 'call': {
      const signature = signatureOf(expr.name)
      return {
        type: 'call',
        func: {
          name: expr.name,
          argTypes: signature.args,
          variadic: signature.variadic,
          returnType: signature.returns,
        },
        args: expr.args.map(describeExpr),
      }
    }
    case 'aggregate':
      return {
        type: 'aggregation',
        op: expr.op,
        expr: describeExpr(expr.expr),
        param: expr.param === undefined ? null : describeExpr(expr.param),
        grouping: expr.grouping,
        without: expr.without,
      }
    case 'binary':
      return {
        type: 'binaryExpr',
        op: expr.op,
        lhs: describeExpr(expr.lhs),
        rhs: describeExpr(expr.rhs),
        bool: expr.returnBool,
        matching:
          expr.matching === undefined
            ? null
            : {
                card: cards[expr.matching.card],
                labels: expr.matching.labels,
                on: expr.matching.on,
                include: expr.matching.include,
                fillValues: { lhs: expr.matching.fillLeft ?? null, rhs: expr.matching.fillRight ?? null },
              },
      }
    case 'unary':
      return { type: 'unaryExpr', op: expr.op, expr: describeExpr(expr.expr) }
    case 'paren':
      return { type: 'parenExpr', expr: describeExpr(expr.expr) }
  }
}

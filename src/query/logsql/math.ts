/** Expressions of the pipe math. Numbers are float64; a time counts as nanoseconds since the epoch. */
import { unreachable } from '#core/assert.ts'
import { greatest, least } from '#core/lists.ts'
import type { MathExpr, MathFunction, MathOperator } from '#lang/logsql/ast.ts'
import { toNumber } from '#lang/logsql/numbers.ts'
import { fieldOf, timeNs, type Fields } from './row.ts'

const functions = {
  abs: ([x = NaN]) => Math.abs(x),
  ceil: ([x = NaN]) => Math.ceil(x),
  exp: ([x = NaN]) => Math.exp(x),
  floor: ([x = NaN]) => Math.floor(x),
  ln: ([x = NaN]) => Math.log(x),
  max: args => greatest(args.filter(a => !Number.isNaN(a))),
  min: args => least(args.filter(a => !Number.isNaN(a))),
  now: (_args, nowMs) => nowMs * 1e6,
  round: ([x = NaN, nearest = 1]) => Number((Math.round(x / nearest) * nearest).toPrecision(15)),
} satisfies Record<MathFunction, (args: readonly number[], nowMs: number) => number>

const operators = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '^': (a, b) => a ** b,
  '&': (a, b) => Number(BigInt.asIntN(64, integerOf(a) & integerOf(b))),
  or: (a, b) => Number(BigInt.asIntN(64, integerOf(a) | integerOf(b))),
  xor: (a, b) => Number(BigInt.asIntN(64, integerOf(a) ^ integerOf(b))),
  default: (a, b) => (Number.isNaN(a) ? b : a),
} satisfies Record<MathOperator, (a: number, b: number) => number>

/** The value of an expression for a row; NaN where a field is no number. */
export function mathValue(expr: MathExpr, row: Fields, nowMs: number): number {
  switch (expr.kind) {
    case 'number':
      return expr.value
    case 'field': {
      const text = fieldOf(row, expr.name)
      const time = timeNs(text)
      return Number.isNaN(time) ? toNumber(text) : time
    }
    case 'negate':
      return -mathValue(expr.inner, row, nowMs)
    case 'call':
      return functions[expr.name](
        expr.args.map(a => mathValue(a, row, nowMs)),
        nowMs,
      )
    case 'binary': {
      const left = mathValue(expr.left, row, nowMs)
      const right = mathValue(expr.right, row, nowMs)
      return operators[expr.op](left, right)
    }
    default:
      return unreachable(expr)
  }
}

function integerOf(value: number): bigint {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n
}

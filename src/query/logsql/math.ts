/** Expressions of the pipe math. Numbers are float64; a time counts as nanoseconds since the epoch. */
import { unreachable } from '#core/assert.ts'
import type { Random } from '#core/random.ts'
import type { MathExpr, MathFunction, MathOperator } from '#lang/logsql/ast.ts'
import { comparableNumberOf } from '#lang/logsql/numbers.ts'
import { fieldOf, type Fields } from './row.ts'

/** What functions know beside their arguments. */
export interface MathWorld {
  nowMs: number
  random: Random
}

const functions = {
  abs: ([x = NaN]) => Math.abs(x),
  ceil: ([x = NaN]) => Math.ceil(x),
  exp: ([x = NaN]) => Math.exp(x),
  floor: ([x = NaN]) => Math.floor(x),
  ln: ([x = NaN]) => Math.log(x),
  max: args => args.reduce((best, x) => (Number.isNaN(best) || x > best ? x : best), NaN),
  min: args => args.reduce((best, x) => (Number.isNaN(best) || x < best ? x : best), NaN),
  now: (_args, { nowMs }) => nowMs * 1e6,
  rand: (_args, { random }) => random.u32() / 2 ** 32,
  round: ([x = NaN, nearest]) => (nearest === undefined ? roundedAway(x) : roundedTo(x, nearest)),
} satisfies Record<MathFunction, (args: readonly number[], world: MathWorld) => number>

/** Halves go away from zero. */
function roundedAway(x: number): number {
  return Math.sign(x) * Math.round(Math.abs(x))
}

/** Digits that are none of the nearest multiple's are cut off. */
function roundedTo(x: number, nearest: number): number {
  const scale = 10 ** fractionDigits(nearest)
  const up = x + 0.5 * Math.abs(nearest) * (x < 0 ? -1 : 1)
  return Math.trunc((up - (up % nearest)) * scale) / scale
}

/** Digits behind the point; negative for zeros in front of it. */
function fractionDigits(value: number): number {
  const [digits = '', exponent = '0'] = Math.abs(value).toExponential().split('e')
  return (digits.split('.')[1] ?? '').length - Number(exponent)
}

/** Whole numbers have no negative zero. */
function remainder(a: number, b: number): number {
  const rest = a % b
  return rest === 0 && Number.isInteger(a) ? 0 : rest
}

const operators = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': remainder,
  '^': (a, b) => a ** b,
  '&': (a, b) => ofIntegers(a, b, (x, y) => x & y),
  or: (a, b) => ofIntegers(a, b, (x, y) => x | y),
  xor: (a, b) => ofIntegers(a, b, (x, y) => x ^ y),
  default: (a, b) => (Number.isNaN(a) ? b : a),
} satisfies Record<MathOperator, (a: number, b: number) => number>

/** The value of an expression for a row; NaN where a field is no number. */
export function mathValue(expr: MathExpr, row: Fields, world: MathWorld): number {
  switch (expr.kind) {
    case 'number':
      return expr.value
    case 'field':
      return comparableNumberOf(fieldOf(row, expr.name))
    case 'negate':
      return -mathValue(expr.inner, row, world)
    case 'call':
      return functions[expr.name](
        expr.args.map(a => mathValue(a, row, world)),
        world,
      )
    case 'binary': {
      const left = mathValue(expr.left, row, world)
      const right = mathValue(expr.right, row, world)
      return operators[expr.op](left, right)
    }
    default:
      return unreachable(expr)
  }
}

/** Bits of 64-bit numbers without a sign. */
function ofIntegers(a: number, b: number, bits: (x: bigint, y: bigint) => bigint): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return NaN
  return Number(BigInt.asUintN(64, bits(integerOf(a), integerOf(b))))
}

function integerOf(value: number): bigint {
  return Number.isFinite(value) ? BigInt.asUintN(64, BigInt(Math.trunc(value))) : 2n ** 63n
}

/** Syntax tree -> PromQL text, as the reference implementation prints it: on one line, or laid out for reading. */
import { formatDuration } from '#core/duration.ts'
import { metricName } from '#core/names.ts'
import { compareText, quote } from '#core/text.ts'
import type { Matcher } from '../regex/matcher.ts'
import type { Aggregate, At, Binary, Duration, DurationExpr, Expr, Subquery, VectorSelector } from './ast.ts'

/** Longer lines are broken up by formatExpr. */
const lineCharsMax = 100

function label(name: string): string {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : quote(name)
}

export function printMatcher(m: Matcher): string {
  return `${label(m.name)}${m.kind}${quote(m.value)}`
}

function printNumber(value: number): string {
  return value === Infinity
    ? '+Inf'
    : value === -Infinity
      ? '-Inf'
      : Number.isNaN(value)
        ? 'NaN'
        : value.toLocaleString('en-US', { useGrouping: false, maximumFractionDigits: 20 })
}

function signedDuration(ms: number): string {
  return formatDuration(ms)
}

export function printDurationExpr(expr: DurationExpr): string {
  const wrap = (text: string): string => (expr.kind !== 'number' && expr.wrapped ? `(${text})` : text)
  switch (expr.kind) {
    case 'number':
      return expr.isDuration ? signedDuration(expr.value * 1000) : printNumber(expr.value)
    case 'duration-negative':
      return wrap(`-${printDurationExpr(expr.operand)}`)
    case 'duration-call':
      return wrap(`${expr.name}(${expr.args.map(printDurationExpr).join(', ')})`)
    case 'duration-binary':
      return wrap(`${printDurationExpr(expr.left)} ${expr.op} ${printDurationExpr(expr.right)}`)
  }
}

function printDuration(duration: Duration): string {
  return duration.expr === undefined ? signedDuration(duration.ms) : printDurationExpr(duration.expr)
}

function printAt(at: At | undefined): string {
  if (at === undefined) return ''
  return at.kind === 'time' ? ` @ ${(at.atMs / 1000).toFixed(3)}` : ` @ ${at.kind}()`
}

function printModifiers(node: { at: At | undefined; offset: Duration | undefined }): string {
  const offset =
    node.offset === undefined || (node.offset.ms === 0 && node.offset.expr === undefined)
      ? ''
      : ` offset ${printDuration(node.offset)}`
  return printAt(node.at) + offset
}

function printSelector(s: VectorSelector): string {
  const parts = s.matchers
    .filter(m => !(s.name !== '' && m.name === metricName && m.kind === '=' && m.value === s.name))
    .map(printMatcher)
    .sort(compareText)
  return parts.length === 0 && s.name !== '' ? s.name : `${s.name}{${parts.join(',')}}`
}

function printGrouping(node: Aggregate): string {
  if (node.without) return ` without (${node.grouping.map(label).join(', ')}) `
  return node.grouping.length > 0 ? ` by (${node.grouping.map(label).join(', ')}) ` : ''
}

export function printMatching(node: Binary): string {
  const m = node.matching
  let out = node.returnBool ? ' bool' : ''
  if (m === undefined) return out
  if (m.labels.length > 0 || m.on) {
    out += ` ${m.on ? 'on' : 'ignoring'} (${m.labels.map(label).join(', ')})`
    if (m.card === 'many-to-one' || m.card === 'one-to-many')
      out += ` group_${m.card === 'many-to-one' ? 'left' : 'right'} (${m.include.map(label).join(', ')})`
  }
  if (m.fillLeft !== undefined && m.fillLeft === m.fillRight) return `${out} fill (${printNumber(m.fillLeft)})`
  if (m.fillLeft !== undefined) out += ` fill_left (${printNumber(m.fillLeft)})`
  if (m.fillRight !== undefined) out += ` fill_right (${printNumber(m.fillRight)})`
  return out
}

/** `anchored` or `smoothed`, behind what it belongs to. */
function printEdges({ modifier }: VectorSelector): string {
  return modifier === undefined ? '' : ` ${modifier}`
}

/** Range and step of a subquery, and its modifiers. */
function printSteps(expr: Subquery): string {
  const step = expr.step === undefined ? '' : printDuration(expr.step)
  return `[${printDuration(expr.range)}:${step}]${printModifiers(expr)}`
}

function argumentsOf({ param, expr }: Aggregate): Expr[] {
  return param === undefined ? [expr] : [param, expr]
}

function formatList(list: readonly Expr[], level: number): string {
  return list.map(expr => formatExpr(expr, level)).join(',\n')
}

/** On one line. */
export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'number':
      return expr.isDuration ? signedDuration(expr.value * 1000) : printNumber(expr.value)
    case 'string':
      return quote(expr.value)
    case 'selector':
      return `${printSelector(expr)}${printModifiers(expr)}${printEdges(expr)}`
    case 'matrix': {
      const { selector, range } = expr
      return `${printSelector(selector)}[${printDuration(range)}]${printEdges(selector)}${printModifiers(selector)}`
    }
    case 'subquery':
      return `${printExpr(expr.expr)}${printSteps(expr)}`
    case 'call':
      return `${expr.name}(${expr.args.map(printExpr).join(', ')})`
    case 'aggregate':
      return `${expr.op}${printGrouping(expr)}(${argumentsOf(expr).map(printExpr).join(', ')})`
    case 'binary':
      return `${printExpr(expr.lhs)} ${expr.op}${printMatching(expr)} ${printExpr(expr.rhs)}`
    case 'unary':
      return `${expr.op}${printExpr(expr.expr)}`
    case 'paren':
      return `(${printExpr(expr.expr)})`
  }
}

/** What is left of `room` when every node takes one character; negative as soon as they do not fit. */
function roomLeft(expr: Expr, room: number): number {
  if (room < 0) return room
  switch (expr.kind) {
    case 'call':
      return expr.args.reduce((left, arg) => roomLeft(arg, left), room - 1)
    case 'aggregate':
      return argumentsOf(expr).reduce((left, arg) => roomLeft(arg, left), room - 1)
    case 'binary':
      return roomLeft(expr.rhs, roomLeft(expr.lhs, room - 1))
    case 'unary':
    case 'paren':
    case 'subquery':
      return roomLeft(expr.expr, room - 1)
    default:
      return room - 1
  }
}

/** Over several lines where one would be too long. */
export function formatExpr(expr: Expr, level = 0): string {
  const indent = '  '.repeat(level)
  // What can't fit is not printed to find that out: a long chain would be printed again for each of its ends.
  const line = roomLeft(expr, lineCharsMax) < 0 ? undefined : printExpr(expr)
  if (line !== undefined && line.length <= lineCharsMax) return indent + line
  switch (expr.kind) {
    case 'call':
      return `${indent}${expr.name}(\n${formatList(expr.args, level + 1)}\n${indent})`
    case 'aggregate':
      return `${indent}${expr.op}${printGrouping(expr)}(\n${formatList(argumentsOf(expr), level + 1)}\n${indent})`
    case 'binary': {
      const operator = `${indent}${expr.op}${printMatching(expr)}`
      // Joining a list would copy the text once a level; adding texts does not.
      return `${formatExpr(expr.lhs, level + 1)}\n${operator}\n${formatExpr(expr.rhs, level + 1)}`
    }
    case 'paren':
      return `${indent}(\n${formatExpr(expr.expr, level + 1)}\n${indent})`
    case 'unary':
      return `${indent}${expr.op}${formatExpr(expr.expr, level).trimStart()}`
    case 'subquery':
      return `${formatExpr(expr.expr, level)}${printSteps(expr)}`
    case 'number':
    case 'string':
    case 'selector':
    case 'matrix':
      return indent + (line ?? printExpr(expr))
  }
}

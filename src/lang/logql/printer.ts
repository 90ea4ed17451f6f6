/** LogQL in its canonical form, on one line or, beyond 100 characters, broken with two spaces a level. */
import { formatDuration } from '#core/duration.ts'
import { quote } from '#core/text.ts'
import { isSimpleLabelRegex } from './label-regex.ts'
import { unreachable } from '#core/assert.ts'
import { formatGoFloat } from '../gotemplate/go-float.ts'
import type {
  BinaryExpr,
  Extraction,
  Grouping,
  LabelFilter,
  LabelMatch,
  LabelReplace,
  LogExpr,
  LogqlExpr,
  Matching,
  MetricExpr,
  RangeAggregation,
  Stage,
  Unwrap,
} from './ast.ts'

const lineMax = 100

/** As /format_query answers. */
export function formatLogql(expr: LogqlExpr): string {
  return pretty(expr, 0)
}

export function printLogql(expr: LogqlExpr): string {
  return expr.kind === 'log' ? printLog(expr) : printMetric(expr)
}

function printMatch({ name, kind, value }: LabelMatch): string {
  return `${name}${kind}${quote(value)}`
}

/** In a filter, a regular expression that is none but in name is in quotes, and another one in backquotes. */
function printFilterMatch(match: LabelMatch): string {
  const { name, kind, value } = match
  const isRegex = kind === '=~'
  return isRegex && !/[`\n\r]/.test(value) && !isSimpleLabelRegex(value)
    ? `${name}${kind}\`${value}\``
    : printMatch(match)
}

function printSelector(expr: LogExpr): string {
  return `{${expr.matchers.map(printMatch).join(', ')}}`
}
function printLog(expr: LogExpr): string {
  return [printSelector(expr), ...expr.stages.map(printStage)].join(' ')
}

function printExtractions(list: readonly Extraction[]): string {
  return list.map(({ name, path }) => `${name}=${quote(path)}`).join(',')
}

function printOperand({ value, isIp }: { value: string; isIp: boolean }): string {
  return isIp ? `ip(${quote(value)})` : quote(value)
}

/** A label that is dropped or kept, by name or by a match. */
function printItem({ name, match }: { name: string; match: LabelMatch | undefined }): string {
  return match === undefined ? name : printMatch(match)
}

/** What is left out: each text on its own, as none of them may be there. */
function printLineFilter({ op, operands }: Stage & { kind: 'line-filter' }): string {
  const texts = operands.map(printOperand)
  return `${op} ${texts.join(op.startsWith('!') ? ` ${op} ` : ' or ')}`
}

/** One stage of a pipeline, with the bar before it. */
export function printStage(stage: Stage): string {
  switch (stage.kind) {
    case 'line-filter':
      return printLineFilter(stage)
    case 'json':
      return stage.extractions.length === 0 ? '| json' : `| json ${printExtractions(stage.extractions)}`
    case 'logfmt':
      return [
        '| logfmt',
        stage.isStrict ? '--strict' : '',
        stage.keepsEmpty ? '--keep-empty' : '',
        printExtractions(stage.extractions),
      ]
        .filter(part => part !== '')
        .join(' ')
    case 'regexp':
    case 'pattern':
      return `| ${stage.kind} ${quote(stage.text)}`
    case 'unpack':
    case 'decolorize':
      return `| ${stage.kind}`
    case 'line-format':
      return `| line_format ${quote(stage.template)}`
    case 'label-format':
      return `| label_format ${stage.formats.map(f => `${f.name}=${f.from ?? quote(f.template!)}`).join(',')}`
    case 'drop':
    case 'keep':
      return `| ${stage.kind} ${stage.items.map(item => printItem(item)).join(',')}`
    case 'label-filter':
      return `| ${printFilter(stage.filter)}`
    default:
      return unreachable(stage)
  }
}

function printFilter(filter: LabelFilter): string {
  switch (filter.kind) {
    case 'and':
      return `( ${printFilter(filter.left)} , ${printFilter(filter.right)} )`
    case 'or':
      return `( ${printFilter(filter.left)} or ${printFilter(filter.right)} )`
    case 'match':
      return printFilterMatch(filter.match)
    case 'ip':
      return `${filter.name}${filter.isNegated ? '!=' : '='}ip(${quote(filter.value)})`
    default:
      return `${filter.name}${filter.op === '=' ? '==' : filter.op}${printQuantity(filter)}`
  }
}

function printQuantity({ kind, value }: { kind: 'number' | 'duration' | 'bytes'; value: number }): string {
  switch (kind) {
    case 'number':
      return printDecimal(value)
    case 'duration':
      return formatGoDuration(value)
    default:
      return printBytes(value)
  }
}

/** Without an exponent. */
function printDecimal(value: number): string {
  const text = String(value)
  const [mantissa, exponent] = text.split('e')
  if (exponent === undefined) return text
  const power = Number(exponent)
  const digits = mantissa!.replace(/[-.]/g, '')
  const sign = value < 0 ? '-' : ''
  return power < 0 ? `${sign}0.${'0'.repeat(-power - 1)}${digits}` : `${sign}${digits.padEnd(power + 1, '0')}`
}

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

/** With one digit behind the point below ten: `1.5kB`, `12MB`. */
function printBytes(bytes: number): string {
  if (bytes < 10) return `${bytes}B`
  const power = Math.min(Math.floor(Math.log(bytes) / Math.log(1000)), byteUnits.length - 1)
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10
  return `${value.toFixed(value < 10 ? 1 : 0)}${byteUnits[power]}`
}

/** As Go prints a duration: `1h0m0s`, `1.5s`, `250ms`. */
export function formatGoDuration(ns: number): string {
  if (ns === 0) return '0s'
  const sign = ns < 0 ? '-' : ''
  const abs = Math.abs(ns)
  if (abs < 1e3) return `${sign}${abs}ns`
  if (abs < 1e6) return `${sign}${abs / 1e3}µs`
  if (abs < 1e9) return `${sign}${abs / 1e6}ms`
  const hours = Math.floor(abs / 3.6e12)
  const minutes = Math.floor((abs % 3.6e12) / 6e10)
  const seconds = (abs % 6e10) / 1e9
  return `${sign}${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`
}

function printUnwrap({ label, conversion, filters }: Unwrap): string {
  const unwrapped = conversion === '' ? label : `${conversion}(${label})`
  return ` | unwrap ${unwrapped}${filters.map(f => ` | ${printFilter(f)}`).join('')}`
}

function printGrouping(grouping: Grouping | undefined, separator = ','): string {
  return grouping === undefined ? '' : ` ${grouping.isWithout ? 'without' : 'by'} (${grouping.labels.join(separator)})`
}

/** Where lines are broken: `by ()` is left out, and `without ()` is a word. */
function prettyGrouping(grouping: Grouping | undefined): string {
  if (grouping?.labels.length !== 0) return printGrouping(grouping, ', ')
  return grouping.isWithout ? ' without' : ''
}

/** Of an aggregation of vectors: none and `by ()` are the same. */
function printVectorGrouping(grouping: Grouping | undefined): string {
  return grouping?.isWithout === false && grouping.labels.length === 0 ? '' : printGrouping(grouping)
}

function printRange(expr: RangeAggregation): string {
  const unwrap = expr.unwrap === undefined ? '' : printUnwrap(expr.unwrap)
  return `${printLog(expr.log)}${unwrap}${printWindow(expr)}`
}

/** The range in brackets, and its offset. */
function printWindow({ rangeMs, offsetNs }: RangeAggregation): string {
  return `[${formatDuration(rangeMs)}]${offsetNs === 0 ? '' : ` offset ${formatGoDuration(offsetNs)}`}`
}

/** Arguments of label_replace behind the expression. */
function replaceArguments({ to, replacement, from, regex }: LabelReplace): string[] {
  return [to, replacement, from, regex].map(quote)
}

function printMatching(matching: Matching | undefined): string {
  if (matching === undefined) return ''
  const include = matching.include.length === 0 ? '' : ` (${matching.include.join(',')})`
  const group = matching.group === undefined ? '' : `group_${matching.group}${include}`
  return ` ${matching.isOn ? 'on' : 'ignoring'} (${matching.labels.join(',')}) ${group}`
}

function printOperator({ op, isBool, matching }: BinaryExpr): string {
  return `${op}${isBool ? ' bool' : ''}${printMatching(matching)}`
}

/** Where lines are broken, Loki leaves out by what labels two sides match when there are none. */
function prettyOperator(expr: BinaryExpr): string {
  return printOperator(expr.matching?.labels.length === 0 ? { ...expr, matching: undefined } : expr)
}

function printMetric(expr: MetricExpr): string {
  switch (expr.kind) {
    case 'number':
      return printNumber(expr.value)
    case 'vector':
      return `vector(${expr.value.toFixed(6)})`
    case 'range': {
      const parameter = expr.parameter === undefined ? '' : `${printNumber(expr.parameter)},`
      return `${expr.op}(${parameter}${printRange(expr)})${printGrouping(expr.grouping)}`
    }
    case 'aggregation': {
      const parameter = expr.parameter === undefined ? '' : `${expr.parameter},`
      return `${expr.op}${printVectorGrouping(expr.grouping)}(${parameter}${printMetric(expr.inner)})`
    }
    case 'binary':
      return `(${printMetric(expr.left)} ${printOperator(expr)} ${printMetric(expr.right)})`
    case 'label-replace':
      return `label_replace(${printMetric(expr.inner)},${replaceArguments(expr).join(',')})`
    default:
      return unreachable(expr)
  }
}

const printNumber = formatGoFloat

/** What is left of `room` when every part takes one character; negative as soon as they do not fit. */
function roomLeft(expr: LogqlExpr, room: number): number {
  if (room < 0) return room
  switch (expr.kind) {
    case 'aggregation':
    case 'label-replace':
      return roomLeft(expr.inner, room - 1)
    case 'binary':
      return roomLeft(expr.right, roomLeft(expr.left, room - 1))
    case 'log':
      return room - 1 - expr.stages.length
    default:
      return room - 1
  }
}

function pretty(expr: LogqlExpr, level: number): string {
  const pad = '  '.repeat(level)
  // What can't fit is not printed to find that out: a long chain would be printed again for each of its ends.
  const line = roomLeft(expr, lineMax) < 0 ? undefined : printLogql(expr)
  if (line !== undefined && line.length <= lineMax) return pad + line
  const inner = '  '.repeat(level + 1)
  switch (expr.kind) {
    case 'log':
      return [pad + printSelector(expr), ...prettyStages(expr.stages, inner)].join('\n')
    case 'range':
      return prettyRange(expr, level)
    case 'aggregation': {
      const parameter = expr.parameter === undefined ? '' : `${inner}${expr.parameter},\n`
      const grouping = prettyGrouping(expr.grouping)
      return `${pad}${expr.op}${grouping}(\n${parameter}${pretty(expr.inner, level + 1)}\n${pad})`
    }
    case 'binary':
      // Joining a list would copy the text once a level; adding texts does not.
      return `${pretty(expr.left, level + 1)}\n${pad}${prettyOperator(expr)}\n${pretty(expr.right, level + 1)}`
    case 'label-replace': {
      const list = [pretty(expr.inner, level + 1), ...replaceArguments(expr).map(text => inner + text)]
      return `${pad}label_replace(\n${list.join(',\n')}\n${pad})`
    }
    default:
      return pad + (line ?? printLogql(expr))
  }
}

/** A line for each stage; line filters in a row stand on one. Loki does not indent `decolorize`. */
function prettyStages(stages: readonly Stage[], indent: string): string[] {
  const lines: string[] = []
  for (const [i, stage] of stages.entries()) {
    const text = printStage(stage)
    if (stage.kind === 'line-filter' && stages[i - 1]?.kind === 'line-filter') lines.push(`${lines.pop()!} ${text}`)
    else lines.push(stage.kind === 'decolorize' ? text : indent + text)
  }
  return lines
}

function prettyRange(expr: RangeAggregation, level: number): string {
  const pad = '  '.repeat(level)
  const inner = '  '.repeat(level + 1)
  const parameter = expr.parameter === undefined ? [] : [`${inner}${printNumber(expr.parameter)},`]
  const body = [...parameter, pretty(expr.log, level + 1), ...prettyUnwrap(expr.unwrap, `${inner}  `)].join('\n')
  const offset = expr.offsetNs === 0 ? '' : ` offset ${formatDuration(expr.offsetNs / 1e6)}`
  const window = `[${formatDuration(expr.rangeMs)}]${offset}`
  return `${pad}${expr.op}(\n${body} ${window}\n${pad})${prettyGrouping(expr.grouping)}`
}

function prettyUnwrap(unwrap: Unwrap | undefined, indent: string): string[] {
  if (unwrap === undefined) return []
  const { label, conversion, filters } = unwrap
  const unwrapped = conversion === '' ? label : `${conversion}(${label})`
  return [`| unwrap ${unwrapped}`, ...filters.map(f => `| ${printFilter(f)}`)].map(text => indent + text)
}

/** LogQL in its canonical form, on one line or, beyond 100 characters, broken with two spaces a level. */
import { formatDuration } from '#core/duration.ts'
import { quote } from '#core/text.ts'
import { unreachable } from '#core/assert.ts'
import type {
  Extraction,
  Grouping,
  LabelFilter,
  LabelMatch,
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
function printSelector(expr: LogExpr): string {
  return `{${expr.matchers.map(printMatch).join(', ')}}`
}
function printLog(expr: LogExpr): string {
  return [printSelector(expr), ...expr.stages.map(printStage)].join(' ')
}

function printExtractions(list: readonly Extraction[]): string {
  return list.map(({ name, path }) => `${name}=${quote(path)}`).join(',')
}

export function printStage(stage: Stage): string {
  switch (stage.kind) {
    case 'line-filter':
      return `${stage.op} ${stage.operands.map(({ value, isIp }) => (isIp ? `ip(${quote(value)})` : quote(value))).join(' or ')}`
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
      return `| ${stage.kind} ${stage.items.map(({ name, match }) => (match === undefined ? name : printMatch(match))).join(',')}`
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
      return printMatch(filter.match)
    case 'ip':
      return `${filter.name}${filter.isNegated ? '!=' : '='}ip(${quote(filter.value)})`
    case 'duration':
      return `${filter.name}${filter.op}${formatGoDuration(filter.value)}`
    default:
      return `${filter.name}${filter.op}${filter.text}`
  }
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
  return ` | unwrap ${conversion === '' ? label : `${conversion}(${label})`}${filters.map(f => ` | ${printFilter(f)}`).join('')}`
}

function printGrouping(grouping: Grouping | undefined): string {
  return grouping === undefined ? '' : ` ${grouping.isWithout ? 'without' : 'by'} (${grouping.labels.join(',')})`
}

function printRange(expr: RangeAggregation): string {
  const offset = expr.offsetNs === 0 ? '' : ` offset ${formatGoDuration(expr.offsetNs)}`
  return `${printLog(expr.log)}${expr.unwrap === undefined ? '' : printUnwrap(expr.unwrap)}[${formatDuration(expr.rangeMs)}]${offset}`
}

function printMatching(matching: Matching | undefined): string {
  if (matching === undefined) return ''
  const group = matching.group === undefined ? '' : ` group_${matching.group} (${matching.include.join(',')})`
  return ` ${matching.isOn ? 'on' : 'ignoring'} (${matching.labels.join(',')})${group}`
}

function printMetric(expr: MetricExpr): string {
  switch (expr.kind) {
    case 'number':
      return printNumber(expr.value)
    case 'vector':
      return `vector(${printNumber(expr.value)})`
    case 'range':
      return `${expr.op}(${expr.parameter === undefined ? '' : `${printNumber(expr.parameter)},`}${printRange(expr)})${printGrouping(expr.grouping)}`
    case 'aggregation':
      return `${expr.op}${printGrouping(expr.grouping)}(${expr.parameter === undefined ? '' : `${expr.parameter},`}${printMetric(expr.inner)})`
    case 'binary':
      return `(${printMetric(expr.left)} ${expr.op}${expr.isBool ? ' bool' : ''}${printMatching(expr.matching)} ${printMetric(expr.right)})`
    case 'label-replace':
      return `label_replace(${printMetric(expr.inner)},${[expr.to, expr.replacement, expr.from, expr.regex].map(quote).join(',')})`
    default:
      return unreachable(expr)
  }
}

function printNumber(value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}

function pretty(expr: LogqlExpr, level: number): string {
  const pad = '  '.repeat(level)
  const line = printLogql(expr)
  if (pad.length + line.length <= lineMax) return pad + line
  const inner = '  '.repeat(level + 1)
  switch (expr.kind) {
    case 'log':
      return [pad + printSelector(expr), ...expr.stages.map(s => inner + printStage(s))].join('\n')
    case 'range': {
      const body = [inner + printSelector(expr.log), ...expr.log.stages.map(s => `${inner}  ${printStage(s)}`)].join(
        '\n',
      )
      const tail = `${expr.unwrap === undefined ? '' : `\n${inner}  ${printUnwrap(expr.unwrap).trim()}`} [${formatDuration(expr.rangeMs)}]${expr.offsetNs === 0 ? '' : ` offset ${formatGoDuration(expr.offsetNs)}`}`
      return `${pad}${expr.op}(\n${expr.parameter === undefined ? '' : `${inner}${printNumber(expr.parameter)},\n`}${body}${tail}\n${pad})${printGrouping(expr.grouping)}`
    }
    case 'aggregation':
      return `${pad}${expr.op}${printGrouping(expr.grouping)}(\n${expr.parameter === undefined ? '' : `${inner}${expr.parameter},\n`}${pretty(expr.inner, level + 1)}\n${pad})`
    case 'binary':
      return `${pretty(expr.left, level + 1)}\n${pad}${expr.op}${expr.isBool ? ' bool' : ''}${printMatching(expr.matching)}\n${pretty(expr.right, level + 1)}`
    case 'label-replace':
      return `${pad}label_replace(\n${pretty(expr.inner, level + 1)},\n${[expr.to, expr.replacement, expr.from, expr.regex].map(text => inner + quote(text)).join(',\n')}\n${pad})`
    default:
      return pad + line
  }
}

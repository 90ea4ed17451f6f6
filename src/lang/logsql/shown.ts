/** Filters and names as VictoriaLogs writes them: results without a name are called by what was asked. */
import type { Filter, MathExpr, StatsCall } from './ast.ts'
import { mathOperators } from './ast.ts'

const words: ReadonlySet<string> = new Set(
  (
    'and or not now offset contains_all contains_any eq_field exact i in ipv4_range le_field len_range ' +
    'lt_field range re seq string_range value_type options block_stats blocks_count collapse_nums copy ' +
    'cp decolorize delete del rm drop drop_empty_fields extract extract_regexp facets field_names ' +
    'field_values fields keep filter where first format join json_array_len hash last len limit head ' +
    'math eval offset skip pack_json rename mv replace replace_regexp sample sort order stats ' +
    'stats_remote by stream_context top union uniq unpack_json unpack_logfmt unpack_syslog unpack_words ' +
    'unroll avg count count_empty count_uniq count_uniq_hash histogram json_values max median min ' +
    'quantile rate rate_sum row_any row_max row_min sum sum_len uniq_values values'
  ).split(' '),
)

/** A word that a filter may not begin with: those of pipes and stats functions. */
export function isPipeWord(word: string): boolean {
  return words.has(word) && !filterWords.has(word)
}

const filterWords: ReadonlySet<string> = new Set(
  (
    'and or not now contains_all contains_any eq_field exact i in ipv4_range le_field len_range lt_field range ' +
    're seq string_range value_type options'
  ).split(' '),
)

export function quotedWhereNeeded(text: string): string {
  return text === '' || words.has(text.toLowerCase()) || !/^[\p{L}\p{Nd}_.]*$/u.test(text) ? JSON.stringify(text) : text
}

/** A field's name, which may end with a star. */
function shownName(name: string): string {
  if (!name.endsWith('*')) return quotedWhereNeeded(name)
  const stem = name.slice(0, -1)
  return stem === '' || quotedWhereNeeded(stem) === stem ? name : JSON.stringify(name)
}

export function callText({ name, args, parameterText, limit }: StatsCall): string {
  const list = args.map(shownName).join(', ')
  const only = args.length === 1 && args[0] === '*'
  const shown =
    name === 'quantile'
      ? [parameterText, ...(only ? [] : [list])].join(', ')
      : name === 'row_min' || name === 'row_max'
        ? [
            shownName(args[0]!),
            ...args
              .slice(1)
              .filter((arg, _i, all) => all.length > 1 || arg !== '*')
              .map(shownName),
          ].join(', ')
        : list
  return `${name}(${shown})${limit > 0 ? ` limit ${limit}` : ''}`
}

// --- Filters ---

const fieldPrefix = (field: string): string => (field === '_msg' ? '' : `${quotedWhereNeeded(field)}:`)

export function filterText(filter: Filter): string {
  switch (filter.kind) {
    case 'and':
      return filter.parts.map(part => (part.kind === 'or' ? `(${filterText(part)})` : filterText(part))).join(' ')
    case 'or':
      return filter.parts.map(filterText).join(' or ')
    case 'not': {
      const inner = filterText(filter.inner)
      return filter.inner.kind === 'and' || filter.inner.kind === 'or' ? `!(${inner})` : `!${inner}`
    }
    case 'any':
      return '*'
    case 'time':
    case 'day-range':
    case 'week-range':
      return `_time:${filter.shown}`
    case 'stream': {
      const sets = filter.alternatives.map(set =>
        set.map(({ kind, name, value }) => `${quotedWhereNeeded(name)}${kind}${JSON.stringify(value)}`).join(','),
      )
      return `{${sets.join(' or ')}}`
    }
    case 'stream-id':
      return filter.ids.length === 1 ? `_stream_id:${filter.ids[0]!}` : `_stream_id:in(${filter.ids.join(',')})`
    default:
      return fieldPrefix(filter.field) + valueFilterText(filter)
  }
}

type FieldFilter = Extract<Filter, { field: string }>

function valueFilterText(filter: FieldFilter): string {
  switch (filter.kind) {
    case 'phrase':
      return filter.ignoresCase ? `i(${quotedWhereNeeded(filter.text)})` : quotedWhereNeeded(filter.text)
    case 'prefix': {
      const text = filter.text === '' ? '*' : `${quotedWhereNeeded(filter.text)}*`
      return filter.ignoresCase ? `i(${text})` : text
    }
    case 'exact':
      return `=${quotedWhereNeeded(filter.text)}`
    case 'exact-prefix':
      return `=${quotedWhereNeeded(filter.text)}*`
    case 'substring':
      return `*${quotedWhereNeeded(filter.text)}*`
    case 'regex':
      return `~${quotedWhereNeeded(filter.source)}`
    case 'in':
    case 'contains-all':
    case 'contains-any':
    case 'sequence': {
      const name = filter.kind === 'sequence' ? 'seq' : filter.kind.replace('-', '_')
      return `${name}(${filter.values.map(quotedWhereNeeded).join(',')})`
    }
    case 'in-query':
      return `${filter.as.replace('-', '_')}(…)`
    case 'range':
    case 'string-range':
    case 'length':
      return filter.shown
    case 'ipv4':
      return `ipv4_range(${addressText(filter.from)}, ${addressText(filter.to)})`
    case 'same-field': {
      const name = { '=': 'eq', '<': 'lt', '<=': 'le' }[filter.op]
      return `${name}_field(${quotedWhereNeeded(filter.other)})`
    }
    case 'value-type':
      return `value_type(${quotedWhereNeeded(filter.type)})`
  }
}

export function addressText(address: number): string {
  return [address / 16_777_216, (address / 65_536) % 256, (address / 256) % 256, address % 256]
    .map(Math.floor)
    .join('.')
}

// --- Expressions ---

/** How tightly an operator binds: less is tighter. */
export function looseness(op: string): number {
  return mathOperators.length - mathOperators.findIndex(list => (list as readonly string[]).includes(op))
}

export function mathText(expr: MathExpr): string {
  switch (expr.kind) {
    case 'number':
      return expr.text
    case 'field':
      return quotedWhereNeeded(expr.name)
    case 'negate':
      return expr.inner.kind === 'binary' ? `-(${mathText(expr.inner)})` : `-${mathText(expr.inner)}`
    case 'call':
      return `${expr.name}(${expr.args.map(mathText).join(', ')})`
    case 'binary': {
      const side = (inner: MathExpr, isRight: boolean): string => {
        const needs =
          inner.kind === 'binary' &&
          (isRight ? looseness(inner.op) >= looseness(expr.op) : looseness(inner.op) > looseness(expr.op))
        return needs ? `(${mathText(inner)})` : mathText(inner)
      }
      return `${side(expr.left, false)} ${expr.op} ${side(expr.right, true)}`
    }
  }
}

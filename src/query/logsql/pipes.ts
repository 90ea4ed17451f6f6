/** LogsQL's pipes: each takes rows and gives rows on. Source: docs/logs.md (the VictoriaLogs part). */
import { unreachable } from '#core/assert.ts'
import { BadQueryError } from '#core/errors.ts'
import type { FormatPart, MathExpr, Pipe } from '#lang/logsql/ast.ts'
import { toNumber } from '#lang/logsql/numbers.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { readLogfmt } from '../logql/logfmt-line.ts'
import { compileFilter } from './filter.ts'
import {
  FacetsSink,
  FieldNamesSink,
  makeJoin,
  RunningSink,
  SortSink,
  StatsSink,
  TopSink,
  UniqSink,
} from './gathering-pipes.ts'
import { fieldsSource, timeLater, timeNs, timeText, type Fields } from './row.ts'
import type { PipeContext, Sink } from './sink.ts'
import { numberText } from './stats.ts'

export function makePipe(pipe: Pipe, next: Sink, context: PipeContext): Sink {
  switch (pipe.kind) {
    case 'stats':
      return new StatsSink(pipe, next, context)
    case 'sort':
      return new SortSink(pipe, next, context)
    case 'uniq':
      return new UniqSink(pipe, next)
    case 'top':
      return new TopSink(pipe, next)
    case 'facets':
      return new FacetsSink(pipe, next)
    case 'field-names':
      return new FieldNamesSink(pipe.as, next)
    case 'field-values':
      return new UniqSink(
        { kind: 'uniq', by: [pipe.field], hits: 'hits', limit: pipe.limit === 0 ? Infinity : pipe.limit },
        next,
      )
    case 'blocks-count':
      return {
        write: () => true,
        end: () => {
          next.write(new Map([[pipe.as, '1']]))
          next.end()
        },
      }
    case 'limit': {
      let left = pipe.count
      return {
        write: row => {
          if (left <= 0) return false
          left--
          return next.write(row) && left > 0
        },
        end: () => {
          next.end()
        },
      }
    }
    case 'offset': {
      let left = pipe.count
      return {
        write: row => (left-- > 0 ? true : next.write(row)),
        end: () => {
          next.end()
        },
      }
    }
    case 'sample': {
      let seen = 0
      return {
        write: row => (seen++ % Math.max(1, pipe.count) === 0 ? next.write(row) : true),
        end: () => {
          next.end()
        },
      }
    }
    case 'filter': {
      const test = compileFilter(pipe.filter)
      return {
        write: row => (test(fieldsSource(row)) ? next.write(row) : true),
        end: () => {
          next.end()
        },
      }
    }
    case 'join':
      return makeJoin(pipe, next, context.resultsOf.get(pipe.query)!)
    case 'union':
      return {
        write: row => next.write(row),
        end: () => {
          for (const row of context.resultsOf.get(pipe.query)!) if (!next.write(new Map(row))) break
          next.end()
        },
      }
    case 'running-stats':
    case 'total-stats':
      return new RunningSink(pipe, next, context)
    case 'stream-context':
      throw new BadQueryError('stream_context must be the first pipe of a query', 0, 0)
    case 'unroll':
      return {
        write: row => unroll(row, pipe.fields).every(r => next.write(r)),
        end: () => {
          next.end()
        },
      }
    default: {
      const change = makeChange(pipe, context)
      return {
        write: row => next.write(change(row)),
        end: () => {
          next.end()
        },
      }
    }
  }
}

type Change = (row: Fields) => Fields
type ChangePipe = Exclude<
  Pipe,
  {
    kind:
      | 'stats'
      | 'sort'
      | 'uniq'
      | 'top'
      | 'facets'
      | 'field-names'
      | 'field-values'
      | 'blocks-count'
      | 'limit'
      | 'offset'
      | 'sample'
      | 'filter'
      | 'unroll'
      | 'join'
      | 'union'
      | 'running-stats'
      | 'total-stats'
      | 'stream-context'
  }
>

function matchesName(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name
}

function makeChange(pipe: ChangePipe, context: PipeContext): Change {
  switch (pipe.kind) {
    case 'fields': {
      const { names } = pipe
      if (names.includes('*')) return row => row
      return row => {
        const out: Fields = new Map()
        for (const name of names) {
          if (name.endsWith('*')) {
            for (const [n, v] of row) if (matchesName(name, n)) out.set(n, v)
          } else if ((row.get(name) ?? '') !== '') out.set(name, row.get(name)!)
        }
        return out
      }
    }
    case 'delete':
      return row => {
        for (const name of row.keys()) if (pipe.names.some(p => matchesName(p, name))) row.delete(name)
        return row
      }
    case 'decolorize':
      return row => {
        for (const name of pipe.names) {
          const value = row.get(name)
          if (value !== undefined) row.set(name, value.replaceAll(/\p{Cc}\[[0-9;]*[A-Za-z]/gu, ''))
        }
        return row
      }
    case 'copy':
      return row => {
        const taken = pipe.pairs.map(([from, to]) => [to, row.get(from) ?? ''] as const)
        for (const [to, value] of taken) row.set(to, value)
        return row
      }
    case 'rename':
      return row => {
        const taken = pipe.pairs.map(([from, to]) => [from, to, row.get(from) ?? ''] as const)
        for (const [from] of taken) row.delete(from)
        for (const [, to, value] of taken) row.set(to, value)
        return row
      }
    case 'extract': {
      const test = conditionOf(pipe.condition)
      return row => {
        if (test(row)) extract(pipe.parts, row.get(pipe.from) ?? '', setter(row, pipe.keepsOriginal, pipe.skipsEmpty))
        return row
      }
    }
    case 'extract-regexp': {
      const regex = compileRe2(pipe.source.replaceAll(/\(\?<(?![=!])/g, '(?P<'), pipe.source)
      const groups = Object.entries(regex.namedGroups())
      const test = conditionOf(pipe.condition)
      return row => {
        if (!test(row)) return row
        const matcher = regex.matcher(row.get(pipe.from) ?? '')
        const found = matcher.find()
        const set = setter(row, pipe.keepsOriginal, pipe.skipsEmpty)
        for (const [name, group] of groups) set(name, found ? (matcher.group(group) ?? '') : '')
        return row
      }
    }
    case 'unpack':
      return unpackChange(pipe)
    case 'pack':
      return row => {
        const chosen =
          pipe.fields.length === 0 ? [...row] : [...row].filter(([name]) => pipe.fields.some(p => matchesName(p, name)))
        row.set(
          pipe.as,
          pipe.format === 'json'
            ? JSON.stringify(Object.fromEntries(chosen.filter(([, v]) => v !== '')))
            : chosen.map(([n, v]) => `${n}=${/[\s="]/.test(v) ? JSON.stringify(v) : v}`).join(' '),
        )
        return row
      }
    case 'format': {
      const test = conditionOf(pipe.condition)
      return row => {
        if (test(row)) setter(row, pipe.keepsOriginal, pipe.skipsEmpty)(pipe.as, formatRow(pipe.parts, row))
        return row
      }
    }
    case 'math':
      return row => {
        for (const { expr, as } of pipe.assignments) row.set(as, numberText(mathValue(expr, row, context.nowMs)))
        return row
      }
    case 'replace': {
      const test = conditionOf(pipe.condition)
      return row => {
        const value = row.get(pipe.field)
        if (value === undefined || pipe.old === '' || !test(row)) return row
        let out = '',
          at = 0,
          count = 0
        for (
          let found = value.indexOf(pipe.old);
          found >= 0 && (pipe.limit === 0 || count < pipe.limit);
          found = value.indexOf(pipe.old, at)
        ) {
          out += value.slice(at, found) + pipe.fresh
          at = found + pipe.old.length
          count++
        }
        row.set(pipe.field, out + value.slice(at))
        return row
      }
    }
    case 'replace-regexp': {
      const test = conditionOf(pipe.condition)
      const regex = compileRe2(pipe.source)
      return row => {
        const value = row.get(pipe.field)
        if (value === undefined || !test(row)) return row
        const matcher = regex.matcher(value)
        let out = '',
          at = 0,
          count = 0
        while ((pipe.limit === 0 || count < pipe.limit) && matcher.find()) {
          out +=
            value.slice(at, matcher.start()) +
            pipe.fresh.replaceAll(
              /\$(?:\{(\w+)\}|(\d+))/g,
              (_whole, name: string | undefined, digits: string | undefined) =>
                matcher.group(/^\d+$/.test(name ?? digits!) ? Number(name ?? digits) : name!) ?? '',
            )
          at = matcher.end()
          count++
        }
        row.set(pipe.field, out + value.slice(at))
        return row
      }
    }
    case 'length':
      return row => {
        row.set(pipe.as, String(Buffer.byteLength(row.get(pipe.field) ?? '')))
        return row
      }
    case 'hash':
      return row => {
        let hash = 0x811c9dc5
        for (const byte of Buffer.from(row.get(pipe.field) ?? '')) hash = Math.imul(hash ^ byte, 0x01000193)
        row.set(pipe.as, String(hash >>> 0))
        return row
      }
    case 'json-array-length':
      return row => {
        row.set(pipe.as, String(jsonArray(row.get(pipe.field) ?? '')?.length ?? 0))
        return row
      }
    case 'collapse-numbers':
      return row => {
        row.set(
          pipe.field,
          (row.get(pipe.field) ?? '').replaceAll(/(?<![A-Za-z0-9_])(?:\d+|[0-9a-fA-F]{4,}(?=[^A-Za-z0-9_]|$))/g, '<N>'),
        )
        return row
      }
    case 'split':
      return row => {
        const text = row.get(pipe.field) ?? ''
        row.set(
          pipe.as,
          JSON.stringify(text === '' ? [] : pipe.separator === '' ? [...text] : text.split(pipe.separator)),
        )
        return row
      }
    case 'set-stream-fields': {
      const test = conditionOf(pipe.condition)
      return row => {
        if (!test(row)) return row
        const names = [...row.keys()]
          .filter(name => pipe.names.some(p => matchesName(p, name)) && row.get(name) !== '')
          .sort()
        row.set('_stream', `{${names.map(name => `${name}=${JSON.stringify(row.get(name))}`).join(',')}}`)
        row.set('_stream_id', '')
        return row
      }
    }
    case 'time-add':
      return row => {
        const text = row.get(pipe.field) ?? ''
        row.set(pipe.field, timeLater(text, pipe.ns))
        return row
      }
    case 'drop-empty':
      return row => {
        for (const [name, value] of row) if (value === '') row.delete(name)
        return row
      }
    default:
      return unreachable(pipe)
  }
}

function conditionOf(filter: Parameters<typeof compileFilter>[0] | undefined): (row: Fields) => boolean {
  if (filter === undefined) return () => true
  const test = compileFilter(filter)
  return row => test(fieldsSource(row))
}

function setter(row: Fields, keepsOriginal: boolean, skipsEmpty: boolean): (name: string, value: string) => void {
  return (name, value) => {
    if (skipsEmpty && value === '') return
    if (keepsOriginal && (row.get(name) ?? '') !== '') return
    row.set(name, value)
  }
}

/** Texts between the literals of a pattern. What is quoted is unquoted. */
function extract(parts: readonly FormatPart[], text: string, set: (name: string, value: string) => void): void {
  let at = 0,
    i = 0
  const first = parts[0]
  if (first !== undefined && 'literal' in first) {
    const found = text.indexOf(first.literal)
    at = found < 0 ? -1 : found + first.literal.length
    i = 1
  }
  for (; i < parts.length; i++) {
    const part = parts[i]!
    if ('literal' in part) continue
    const next = parts[i + 1]
    let value = ''
    if (at >= 0) {
      const quoted =
        part.modifier !== 'plain' && /^["`]/.test(text[at] ?? '')
          ? /^(?:"(?:[^"\\]|\\.)*"|`[^`]*`)/.exec(text.slice(at))
          : null
      if (quoted !== null) {
        value = quoted[0].startsWith('`') ? quoted[0].slice(1, -1) : unquote(quoted[0])
        at += quoted[0].length
        if (next !== undefined && 'literal' in next)
          at = text.startsWith(next.literal, at) ? at + next.literal.length : -1
      } else {
        const end = next !== undefined && 'literal' in next ? text.indexOf(next.literal, at) : text.length
        value = end < 0 ? '' : text.slice(at, end)
        at = end < 0 ? -1 : end + (next !== undefined && 'literal' in next ? next.literal.length : 0)
      }
    }
    if (part.field !== '' && part.field !== '_') set(part.field, value)
  }
}

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    return text.slice(1, -1)
  }
}

function jsonArray(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function unpackChange(pipe: Pipe & { kind: 'unpack' }): Change {
  const test = conditionOf(pipe.condition)
  const wanted = (name: string): boolean => pipe.fields.length === 0 || pipe.fields.some(p => matchesName(p, name))
  return row => {
    if (!test(row)) return row
    const text = row.get(pipe.from) ?? ''
    const set = setter(row, pipe.keepsOriginal, pipe.skipsEmpty)
    const give = (name: string, value: string): void => {
      if (wanted(name)) set(pipe.prefix + name, value)
    }
    const seen = new Set<string>()
    const giveSeen = (name: string, value: string): void => {
      seen.add(name)
      give(name, value)
    }
    switch (pipe.format) {
      case 'json':
        unpackJson(text, giveSeen)
        break
      case 'logfmt':
        readLogfmt(text, false, (name, value) => {
          giveSeen(name, value)
          return true
        })
        break
      case 'words':
        row.set(pipe.as, JSON.stringify([...new Set(text.match(/[\p{L}\p{Nd}_]+/gu) ?? [])]))
        return row
      case 'syslog':
        unpackSyslog(text, giveSeen)
        break
      default:
        return unreachable(pipe.format)
    }
    // What was asked for by name and is not there becomes empty.
    for (const name of pipe.fields) if (!name.endsWith('*') && !seen.has(name)) set(pipe.prefix + name, '')
    return row
  }
}

function unpackJson(text: string, give: (name: string, value: string) => void): void {
  if (!text.trimStart().startsWith('{')) return
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return
  }
  const walk = (object: object, prefix: string): void => {
    for (const [key, inner] of Object.entries(object)) {
      const name = prefix === '' ? key : `${prefix}.${key}`
      if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) walk(inner as object, name)
      else if (inner !== null) give(name, typeof inner === 'string' ? inner : JSON.stringify(inner))
    }
  }
  walk(value as object, '')
}

function unpackSyslog(text: string, give: (name: string, value: string) => void): void {
  const match =
    /^<(\d{1,3})>(?:(1) (\S+) (\S+) (\S+) (\S+) (\S+) (?:-|\[.*?\]) ?(.*)|([A-Z][a-z]{2} +\d+ [\d:]{8}) (\S+) ([^\s:[]+)(?:\[([^\]]+)\])?: ?(.*))$/s.exec(
      text,
    )
  if (match === null) {
    give('message', text)
    return
  }
  const priority = Number(match[1])
  give('priority', match[1]!)
  give('facility', String(priority >>> 3))
  give('severity', String(priority & 7))
  give('format', match[2] === undefined ? 'rfc3164' : 'rfc5424')
  const parts =
    match[2] === undefined
      ? {
          timestamp: match[9]!,
          hostname: match[10]!,
          app_name: match[11]!,
          proc_id: match[12] ?? '',
          message: match[13]!,
        }
      : {
          timestamp: match[3]!,
          hostname: match[4]!,
          app_name: match[5]!,
          proc_id: match[6]!,
          msg_id: match[7]!,
          message: match[8]!,
        }
  for (const [name, value] of Object.entries(parts)) if (value !== '-' && value !== '') give(name, value)
}

function formatRow(parts: readonly FormatPart[], row: Fields): string {
  let out = ''
  for (const part of parts) out += 'literal' in part ? part.literal : modified(part.modifier, row.get(part.field) ?? '')
  return out
}

function modified(modifier: string, value: string): string {
  switch (modifier) {
    case 'q':
      return JSON.stringify(value)
    case 'lc':
      return value.toLowerCase()
    case 'uc':
      return value.toUpperCase()
    case 'base64encode':
      return Buffer.from(value).toString('base64')
    case 'base64decode':
      return Buffer.from(value, 'base64').toString('utf8')
    case 'urlencode':
      return encodeURIComponent(value).replaceAll('%20', '+')
    case 'urldecode':
      try {
        return decodeURIComponent(value.replaceAll('+', ' '))
      } catch {
        return value
      }
    case 'hexencode':
      return Buffer.from(value).toString('hex').toUpperCase()
    case 'hexdecode':
      return Buffer.from(value, 'hex').toString('utf8')
    case 'time': {
      const n = toNumber(value)
      return Number.isNaN(n) ? value : timeText(Math.floor(n / 1e6), Math.floor(n % 1e6))
    }
    case 'duration': {
      const n = toNumber(value)
      return Number.isNaN(n) ? value : `${n / 1e9}s`
    }
    case 'duration_seconds': {
      const n = toNumber(value)
      return Number.isNaN(n) ? value : String(n / 1e9)
    }
    case 'ipv4': {
      const n = Number(value)
      return Number.isInteger(n)
        ? [n / 16777216, (n / 65536) % 256, (n / 256) % 256, n % 256].map(Math.floor).join('.')
        : value
    }
    default:
      return value
  }
}

function mathValue(expr: MathExpr, row: Fields, nowMs: number): number {
  switch (expr.kind) {
    case 'number':
      return expr.value
    case 'field': {
      const text = row.get(expr.name) ?? ''
      const time = timeNs(text)
      return Number.isNaN(time) ? toNumber(text) : time
    }
    case 'negate':
      return -mathValue(expr.inner, row, nowMs)
    case 'call': {
      const args = expr.args.map(a => mathValue(a, row, nowMs))
      switch (expr.name) {
        case 'abs':
          return Math.abs(args[0]!)
        case 'ceil':
          return Math.ceil(args[0]!)
        case 'floor':
          return Math.floor(args[0]!)
        case 'exp':
          return Math.exp(args[0]!)
        case 'ln':
          return Math.log(args[0]!)
        case 'max':
          return Math.max(...args.filter(a => !Number.isNaN(a)))
        case 'min':
          return Math.min(...args.filter(a => !Number.isNaN(a)))
        case 'now':
          return nowMs * 1e6
        default: {
          const nearest = args[1] ?? 1
          return Number((Math.round(args[0]! / nearest) * nearest).toPrecision(15))
        }
      }
    }
    default: {
      const a = mathValue(expr.left, row, nowMs),
        b = mathValue(expr.right, row, nowMs)
      switch (expr.op) {
        case '+':
          return a + b
        case '-':
          return a - b
        case '*':
          return a * b
        case '/':
          return a / b
        case '%':
          return a % b
        case '^':
          return a ** b
        case '&':
          return Number(BigInt.asIntN(64, big(a) & big(b)))
        case 'or':
          return Number(BigInt.asIntN(64, big(a) | big(b)))
        case 'xor':
          return Number(BigInt.asIntN(64, big(a) ^ big(b)))
        default:
          return Number.isNaN(a) ? b : a
      }
    }
  }
}

function big(value: number): bigint {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n
}

function unroll(row: Fields, names: readonly string[]): Fields[] {
  const lists = names.map(name => jsonArray(row.get(name) ?? ''))
  const length = Math.max(1, ...lists.map(list => list?.length ?? 0))
  return Array.from({ length }, (_, i) => {
    const out = new Map(row)
    names.forEach((name, n) => {
      const value = lists[n]?.[i]
      out.set(
        name,
        lists[n] === undefined
          ? i === 0
            ? (row.get(name) ?? '')
            : ''
          : value === undefined || value === null
            ? ''
            : typeof value === 'string'
              ? value
              : JSON.stringify(value),
      )
    })
    return out
  })
}

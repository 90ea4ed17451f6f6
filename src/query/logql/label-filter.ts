/** Conditions on labels, as tests of an entry. Source: docs/logs.md. */
import { unreachable } from '#core/assert.ts'
import { compileLabelRegex } from '#lang/logql/label-regex.ts'
import type { CompareOp, LabelFilter, LabelMatch } from '#lang/logql/ast.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { toBytes, toDurationNs, toFloat, type Converted } from './conversions.ts'
import { errorDetailsLabel, errorLabel, type Entry } from './entry.ts'
import { compileIp } from './ip-matcher.ts'

/** Does an entry pass? May set its error. */
export type EntryTest = (entry: Entry) => boolean

const errorName = 'LabelFilterErr'

/** Throws Error for an ip pattern that is none. */
export function compileLabelFilter(filter: LabelFilter): EntryTest {
  switch (filter.kind) {
    case 'and': {
      const left = compileLabelFilter(filter.left)
      const right = compileLabelFilter(filter.right)
      // Both are tried: each may set an error.
      return entry => {
        const passes = left(entry)
        return right(entry) && passes
      }
    }
    case 'or': {
      const left = compileLabelFilter(filter.left)
      const right = compileLabelFilter(filter.right)
      return entry => left(entry) || right(entry)
    }
    case 'match': {
      const test = compileMatch(filter.match)
      const { name } = filter.match
      // The details are never shown to a filter.
      if (name === errorDetailsLabel) {
        const passes = test('')
        return () => passes
      }
      return entry => test(entry.get(name) ?? '')
    }
    case 'ip': {
      const ip = compileIp(filter.value)
      const { name, isNegated } = filter
      return entry => {
        if (entry.error !== '') return true
        const value = entry.get(name)
        return value !== undefined && ip.testAddress(value) !== isNegated
      }
    }
    case 'number':
    case 'duration':
    case 'bytes': {
      const convert = converters[filter.kind]
      const compare = comparison(filter.op, filter.value)
      const { name } = filter
      // The label of errors is a text, which no number is compared with.
      if (name === errorLabel) return () => false
      return entry => {
        const text = entry.get(name)
        if (text === undefined) return false
        const value = convert(text)
        if (typeof value === 'number') return compare(value)
        if (entry.error === '') entry.fail(errorName, value.error)
        return true
      }
    }
    default:
      return unreachable(filter)
  }
}

const converters: Readonly<Record<'number' | 'duration' | 'bytes', (text: string) => Converted>> = {
  number: toFloat,
  duration: toDurationNs,
  bytes: toBytes,
}

/** In a pipeline, regular expressions have Loki's simplifications. */
function compileMatch({ kind, value }: LabelMatch): (text: string) => boolean {
  switch (kind) {
    case '=':
      return text => text === value
    case '!=':
      return text => text !== value
    case '=~':
      return compileLabelRegex(value)
    default: {
      const test = compileLabelRegex(value)
      return text => !test(text)
    }
  }
}

/** For drop and keep: anchored properly. */
export function compileAnchoredMatch({ kind, name, value }: LabelMatch): (text: string) => boolean {
  const matcher = makeMatcher(kind, name, value)
  return text => matcher.matches(text)
}

function comparison(op: CompareOp, than: number): (value: number) => boolean {
  switch (op) {
    case '>':
      return value => value > than
    case '>=':
      return value => value >= than
    case '<':
      return value => value < than
    case '<=':
      return value => value <= than
    case '!=':
      return value => value !== than
    default:
      return value => value === than
  }
}

/** Names that a filter reads. */
export function filterNames(filter: LabelFilter): string[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return [...filterNames(filter.left), ...filterNames(filter.right)]
    case 'match':
      return [filter.match.name]
    default:
      return [filter.name]
  }
}

/** The one name of a filter that is no group, or undefined. */
export function singleName(filter: LabelFilter): string | undefined {
  return filter.kind === 'and' || filter.kind === 'or' ? undefined : filterNames(filter)[0]
}

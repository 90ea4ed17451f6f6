/**
 * compare(): how often each value of each attribute occurs among the selected spans and among the rest. Source:
 * docs/traces.md (the language).
 */
import type { Field, Intrinsic, MetricsFunction } from '#lang/traceql/ast.ts'
import { fieldText } from '#lang/traceql/fields.ts'
import { attributePaths, fixedAttributes, type TraceRows } from '#traces/select.ts'
import { textsIn } from './columns.ts'
import { compileCondition, FieldCursor, isNowhere, presenceTest, type SpanTest } from './evaluate.ts'
import { numberText } from './whole.ts'
import { firstChild, scopePaths, valueType, type SpanTable, type TagScope, type Value } from './span-table.ts'

const comparedIntrinsics: readonly Intrinsic[] = [
  'name',
  'status',
  'statusMessage',
  'kind',
  'rootName',
  'rootServiceName',
  'instrumentation:name',
  'instrumentation:version',
  'span:childCount',
]
interface ValueCounts {
  value: Value | undefined
  counts: Float64Array
  total: number
}
/** The values of one attribute on one side. */
class AttributeCounts {
  /** In the order in which they were found. */
  readonly values: ValueCounts[] = []
  readonly totals: Float64Array
  /** By type and text; no text is made for values that are found in the two others. */
  readonly #byKey = new Map<string, ValueCounts>()
  readonly #byText = new Map<string, ValueCounts>()
  /** By type and number. */
  readonly #byNumber: (Map<number, ValueCounts> | undefined)[] = []

  constructor(intervals: number) {
    this.totals = new Float64Array(intervals)
  }

  /** The counts of a value, which is copied. */
  of(value: Readonly<Value> | undefined): ValueCounts {
    if (value === undefined) return this.#keyed(value, 'nil')
    if (value.type === valueType.string) {
      let counted = this.#byText.get(value.text)
      if (counted === undefined) this.#byText.set(value.text, (counted = this.#keyed(value, valueKey(value))))
      return counted
    }
    if (value.text !== '') return this.#keyed(value, valueKey(value))
    const numbers = (this.#byNumber[value.type] ??= new Map())
    let counted = numbers.get(value.num)
    if (counted === undefined) numbers.set(value.num, (counted = this.#keyed(value, valueKey(value))))
    return counted
  }

  #keyed(value: Readonly<Value> | undefined, key: string): ValueCounts {
    let counted = this.#byKey.get(key)
    if (counted === undefined) {
      const own = value === undefined ? undefined : { type: value.type, num: value.num, text: value.text }
      this.#byKey.set(key, (counted = { value: own, counts: new Float64Array(this.totals.length), total: 0 }))
      this.values.push(counted)
    }
    return counted
  }
}
type Side = 'baseline' | 'selection'

/** Scopes whose attributes are compared: a span has one value of each. */
const comparedScopes = ['resource', 'span', 'instrumentation'] as const

function isCompared<T extends readonly [TagScope, string]>(own: T): boolean {
  return comparedScopes.some(scope => scope === own[0])
}

/** Attributes that are compared of every span, whether it has them or not: those with columns of their own. */
function alwaysCompared(rows: TraceRows): (readonly [TagScope, string])[] {
  return rows.dedicated.map(d => [d.scope, d.name] as const).filter(isCompared)
}

/** Every attribute that the rows have, and the intrinsics that are compared. */
export async function comparedFields(rows: TraceRows): Promise<Field[]> {
  const fields: Field[] = comparedIntrinsics.map(name => ({ kind: 'intrinsic', name, text: name }))
  const dedicated = alwaysCompared(rows)
  const own = [['resource', 'service.name'] as const, ...fixedAttributes].filter(isCompared)
  const paths = own.flatMap(([scope, name]) =>
    attributePaths(rows.dedicated, scope, name).map(p => ({ scope, name, path: p.path })),
  )
  const columns = await rows.columns([
    ...comparedScopes.map(scope => `${scopePaths[scope]}.Attrs.Key`),
    ...paths.map(p => p.path),
  ])
  const seen = new Set<string>()
  const add = (scope: TagScope, name: string): void => {
    const text = fieldText(scope, name)
    if (seen.has(text)) return
    seen.add(text)
    fields.push({ kind: 'attribute', scope, name, text })
  }
  for (const [scope, name] of dedicated) add(scope, name)
  for (const scope of comparedScopes)
    for (const name of textsIn(columns.get(`${scopePaths[scope]}.Attrs.Key`))) add(scope, name)
  for (const { scope, name, path } of paths) if ((columns.get(path)?.valueCount ?? 0) > 0) add(scope, name)
  return fields
}

/** Counts by interval of one value of one attribute, on one side. */
export interface CompareSeries {
  labels: { key: string; value: Value | undefined }[]
  values: Float64Array
}

/** Attributes that are counted though no span of a table has them: all its spans at once, by interval. */
interface AbsentCounts {
  texts: readonly string[]
  spans: Readonly<Record<Side, Float64Array>>
}

/** Counts the values of every attribute on both sides. */
export class Comparison {
  readonly #fn: MetricsFunction
  readonly #intervals: number
  readonly #sides: Record<Side, Map<string, AttributeCounts>> = { baseline: new Map(), selection: new Map() }
  /** Of each table: attributes that none of its spans has, and how many spans that are. */
  readonly #absent: AbsentCounts[] = []

  constructor(fn: MetricsFunction, intervals: number) {
    this.#fn = fn
    this.#intervals = intervals
  }

  /** For a table whose compared fields, and those of the selection, are loaded: counts a span. */
  counter(table: SpanTable, fields: readonly Field[]): (i: number, interval: number, startNs: bigint) => void {
    const { selection, startNs: fromNs, endNs: toNs } = this.#fn
    const selects: SpanTest = selection === undefined ? () => true : compileCondition(selection, table)
    const always = new Set(alwaysCompared(table.rows).map(([scope, name]) => fieldText(scope, name)))
    const isAbsent = (field: Field): boolean => always.has(field.text) && isNowhere(table, field)
    const texts = fields.filter(isAbsent).map(field => field.text)
    const absent = { baseline: new Float64Array(this.#intervals), selection: new Float64Array(this.#intervals) }
    if (texts.length > 0) this.#absent.push({ texts, spans: absent })
    const readers = fields
      .filter(field => !isAbsent(field))
      .map(field => ({
        text: field.text,
        isAlways: always.has(field.text),
        cursor: new FieldCursor(table, field),
        isThere: presenceTest(table, field),
      }))
    return (i, interval, startNs) => {
      const isInTime = toNs === 0n || (startNs >= fromNs && startNs < toNs)
      const sideName = isInTime && selects(i, -1, -1) ? 'selection' : 'baseline'
      const side = this.#sides[sideName]
      absent[sideName][interval]!++
      const e = firstChild(table.eventFrom, i)
      const l = firstChild(table.linkFrom, i)
      for (const { text, cursor, isThere, isAlways } of readers) {
        // What is no single value counts as none that is known.
        const isSingle = cursor.read(i, e, l)
        if (!isSingle && !isAlways && !isThere(i, e, l)) continue
        const attribute = this.#countsOf(side, text)
        const counted = attribute.of(isSingle ? cursor : undefined)
        counted.counts[interval]!++
        counted.total++
        attribute.totals[interval]!++
      }
    }
  }

  #countsOf(side: Map<string, AttributeCounts>, text: string): AttributeCounts {
    let attribute = side.get(text)
    if (attribute === undefined) side.set(text, (attribute = new AttributeCounts(this.#intervals)))
    return attribute
  }

  /** Counts what was counted for whole tables. */
  #addAbsent(): void {
    for (const { texts, spans } of this.#absent.splice(0))
      for (const side of ['baseline', 'selection'] as const) {
        const total = spans[side].reduce((sum, count) => sum + count, 0)
        if (total === 0) continue
        for (const text of texts) {
          const attribute = this.#countsOf(this.#sides[side], text)
          const counted = attribute.of(undefined)
          counted.total += total
          for (const [interval, count] of spans[side].entries()) {
            counted.counts[interval]! += count
            attribute.totals[interval]! += count
          }
        }
      }
  }

  series(): CompareSeries[] {
    this.#addAbsent()
    const meta = (text: string): { key: string; value: Value } => ({
      key: '__meta_type',
      value: { type: valueType.string, num: 0, text },
    })
    const out: CompareSeries[] = []
    for (const side of ['baseline', 'selection'] as const) {
      for (const [text, { values, totals }] of this.#sides[side]) {
        const sorted = values.toSorted((a, b) => b.total - a.total)
        for (const { value, counts } of sorted.slice(0, this.#fn.topN))
          out.push({ labels: [meta(side), { key: text, value }], values: counts })
        out.push({ labels: [meta(`${side}_total`), { key: text, value: undefined }], values: totals })
      }
    }
    return out
  }
}

function valueKey(value: Value): string {
  return `${value.type} ${value.type === valueType.string ? value.text : numberText(value)}`
}

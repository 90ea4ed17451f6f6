/**
 * Rows of traces without the resources that constraints hide: every column lacks what belongs to them, and what a trace
 * says of itself as a whole (its root, its times, its services) is made of the spans that are left.
 */
import { bytesAt, textAt, type ColumnData } from '#codec/parquet/column-data.ts'
import { Texts } from '#codec/parquet/texts.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Field } from '#lang/traceql/ast.ts'
import { fixedAttributes, type TraceRows } from '#traces/select.ts'
import { columnAt, intsOf, levelsOf, longsOf, textsIn } from './columns.ts'
import { pathsOf, SpanTable, valueType, type FieldColumn, type Value } from './span-table.ts'
import { numberText } from './whole.ts'

type Columns = ReadonlyMap<string, ColumnData>

const resourceKeyPath = 'rs.Resource.Attrs.Key'

/** The label that an attribute of a resource is: what can't stand in a label's name is an underscore. */
export function labelOfAttribute(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9_]/g, '_')
}

/** Do all matchers hold? `valueOf` gives the text of a label, or '' where there is none. */
export function fitsAll(matchers: readonly Matcher[], valueOf: (label: string) => string): boolean {
  return matchers.every(matcher => matcher.matches(valueOf(matcher.name)))
}

export function constrainedRows(rows: TraceRows, matchers: readonly Matcher[]): TraceRows {
  return new ConstrainedRows(rows, matchers)
}

/** Which resources are shown. */
interface Shown {
  /** By resource. */
  readonly isShown: Uint8Array
  readonly table: SpanTable
}

class ConstrainedRows implements TraceRows {
  readonly #inner: TraceRows
  readonly #matchers: readonly Matcher[]
  /** Undefined: all are. */
  #shown: Promise<Shown | undefined> | undefined
  #wholes: Promise<Columns> | undefined
  readonly ahead?: (paths: readonly string[]) => void

  constructor(inner: TraceRows, matchers: readonly Matcher[]) {
    this.#inner = inner
    this.#matchers = matchers
    const { ahead } = inner
    if (ahead !== undefined)
      this.ahead = paths => {
        ahead([...new Set([resourceKeyPath, ...decidingPaths(inner, matchers), ...neededFor(paths)])])
      }
  }

  get rows(): number {
    return this.#inner.rows
  }
  get isInMemory(): boolean {
    return this.#inner.isInMemory
  }
  get dedicated(): TraceRows['dedicated'] {
    return this.#inner.dedicated
  }
  get bytes(): number {
    return this.#inner.bytes
  }
  readonly toldBytes = 0
  leaveOut(error: unknown): Promise<void> {
    return this.#inner.leaveOut(error)
  }

  readonly columns = async (paths: readonly string[]): Promise<Columns> => {
    const shown = await (this.#shown ??= shownResources(this.#inner, this.#matchers))
    if (shown === undefined) return this.#inner.columns(paths)
    const out = new Map<string, ColumnData>()
    const needed = neededFor(paths.filter(path => path.startsWith('rs.')))
    const below = await this.#inner.columns([...new Set(needed)])
    for (const [path, data] of below) out.set(path, withoutHidden(data, shown.isShown))
    countChildren(out)
    const above = paths.filter(path => !path.startsWith('rs.'))
    if (above.length === 0) return out
    const wholes = await (this.#wholes ??= wholeColumns(this.#inner, shown))
    for (const path of above) {
      const data = wholes.get(path)
      if (data !== undefined) out.set(path, data)
    }
    return out
  }
}

/** Columns that are read for these: what is said of a trace as a whole is made of its spans. */
function neededFor(paths: readonly string[]): string[] {
  const below = paths.filter(path => path.startsWith('rs.'))
  const counted = below.includes(childCountPath) ? nestedSetPaths : []
  const wholes = below.length < paths.length ? [...Object.values(spanPaths), ...wholePaths] : []
  return [...below, ...counted, ...wholes]
}

/** Columns that tell which resources are shown, as far as they are known before any is read. */
function decidingPaths(rows: TraceRows, matchers: readonly Matcher[]): string[] {
  const own = ownNames(rows)
  const names = matchers.flatMap(({ name: label }) => [label, ...own.filter(name => isOfLabel(name, label))])
  return pathsOf(rows, names.map(resourceField))
}

function isOfLabel(name: string, label: string): boolean {
  return labelOfAttribute(name) === labelOfAttribute(label)
}

function resourceField(name: string): Field {
  return { kind: 'attribute', scope: 'resource', name, text: `resource.${name}` }
}

/** Attributes of resources that have columns of their own, or may have. */
function ownNames({ dedicated }: TraceRows): string[] {
  return [
    'service.name',
    ...dedicated.filter(({ scope }) => scope === 'resource').map(({ name }) => name),
    ...fixedAttributes.filter(([scope]) => scope === 'resource').map(([, name]) => name),
  ]
}

async function shownResources(rows: TraceRows, matchers: readonly Matcher[]): Promise<Shown | undefined> {
  const names = await resourceNames(rows)
  const fields = new Map(
    matchers.map(({ name: label }): [string, Field[]] => [
      label,
      names
        .filter(name => isOfLabel(name, label))
        .sort((a, b) => Number(a !== label) - Number(b !== label))
        .map(resourceField),
    ]),
  )
  const table = await SpanTable.open(rows)
  if (table === undefined) return undefined
  await table.load([...fields.values()].flat())
  const columns = new Map([...fields].map(([label, list]) => [label, list.map(field => table.column(field))]))
  const isShown = new Uint8Array(table.resourceCount)
  for (let r = 0; r < isShown.length; r++)
    isShown[r] = fitsAll(matchers, label => firstText(columns.get(label) ?? [], r)) ? 1 : 0
  return isShown.every(one => one === 1) ? undefined : { isShown, table }
}

/** Names of attributes that resources of the rows may have; that which is the label itself comes first. */
async function resourceNames(rows: TraceRows): Promise<string[]> {
  const key = (await rows.columns([resourceKeyPath])).get(resourceKeyPath)
  const names = [...new Set([...textsIn(key), ...ownNames(rows)])]
  return names.sort((a, b) => Number(a !== labelOfAttribute(a)) - Number(b !== labelOfAttribute(b)) || (a < b ? -1 : 1))
}

/** The first text that is not empty; a list has none. */
function firstText(columns: readonly FieldColumn[], owner: number): string {
  for (const column of columns) {
    const value = column.lists?.has(owner) === true ? undefined : column.at(owner)
    const text = value === undefined ? '' : textOf(value)
    if (text !== '') return text
  }
  return ''
}

function textOf(value: Value): string {
  if (value.type === valueType.string) return value.text
  return value.type === valueType.bool ? String(value.num === 1) : numberText(value)
}

/** The entries below resources that are shown; a row without any has an empty entry. */
function withoutHidden(data: ColumnData, isShown: Uint8Array): ColumnData {
  const { rep, def } = levelsOf(data)
  const { maxDef } = data.column
  const out = { rep: new Uint8Array(data.count), def: new Uint8Array(data.count), count: 0 }
  const kept = new Int32Array(data.valueCount)
  let keptCount = 0
  let resource = -1
  let value = -1
  let isEmptyRow = false
  const emit = (r: number, d: number): void => {
    out.rep[out.count] = r
    out.def[out.count++] = d
    isEmptyRow = false
  }
  for (let i = 0; i < data.count; i++) {
    const r = rep[i]!
    const d = def[i]!
    if (r === 0) {
      if (isEmptyRow) emit(0, 0)
      isEmptyRow = true
    }
    if (r <= 1 && d >= 1) resource++
    const hasValue = d === maxDef
    if (hasValue) value++
    if (d >= 1 && isShown[resource] !== 1) continue
    emit(isEmptyRow ? 0 : r, d)
    if (hasValue) kept[keptCount++] = value
  }
  if (isEmptyRow) emit(0, 0)
  const levels = { rep: out.rep.subarray(0, out.count), def: out.def.subarray(0, out.count) }
  return { column: data.column, count: out.count, ...levels, ...valuesOf(data, kept.subarray(0, keptCount)) }
}

const childCountPath = 'rs.ss.Spans.ChildCount'
const nestedSetPaths = ['rs.ss.Spans.NestedSetLeft', 'rs.ss.Spans.ParentID']

/** A span has as many children as are shown; none in a trace without a root: it has no tree (traces/nested-set.ts). */
function countChildren(columns: Map<string, ColumnData>): void {
  const data = columns.get(childCountPath)
  if (data === undefined) return
  const [lefts, parents] = nestedSetPaths.map(path => intsOf(columnAt(columns, path)))
  const { rep, def } = levelsOf(data)
  const ints = new Int32Array(data.valueCount)
  let byLeft = new Map<number, number>()
  let span = -1
  let first = 0
  const endRow = (): void => {
    const hasRoot = parents!.subarray(first, span + 1).includes(-1)
    for (let i = first; hasRoot && i <= span; i++) {
      const parent = byLeft.get(parents![i]!)
      if (parent !== undefined) ints[parent]!++
    }
    byLeft = new Map()
    first = span + 1
  }
  for (let i = 0; i < data.count; i++) {
    if (rep[i] === 0) endRow()
    if (def[i] === data.column.maxDef) byLeft.set(lefts![++span]!, span)
  }
  endRow()
  columns.set(childCountPath, { ...data, ints })
}

type Values = Pick<ColumnData, 'valueCount' | 'ints' | 'longs' | 'doubles' | 'bools' | 'texts' | 'indices'>

/** These values alone; a dictionary has no texts of others. */
function valuesOf(data: ColumnData, kept: Int32Array): Values {
  const { ints, longs, doubles, bools } = data
  const valueCount = kept.length
  if (ints !== undefined) return { valueCount, ints: Int32Array.from(kept, k => ints[k]!) }
  if (longs !== undefined) {
    const some = new BigInt64Array(valueCount)
    for (let i = 0; i < valueCount; i++) some[i] = longs[kept[i]!]!
    return { valueCount, longs: some }
  }
  if (doubles !== undefined) return { valueCount, doubles: Float64Array.from(kept, k => doubles[k]!) }
  if (bools !== undefined) return { valueCount, bools: Uint8Array.from(kept, k => bools[k]!) }
  const { indices } = data
  if (indices === undefined) return { valueCount, texts: textsFrom(Array.from(kept, k => bytesAt(data, k))) }
  const numbers = new Map<number, number>()
  const own = Int32Array.from(kept, k => {
    const before = indices[k]!
    const known = numbers.get(before)
    if (known !== undefined) return known
    numbers.set(before, numbers.size)
    return numbers.size - 1
  })
  return { valueCount, texts: textsFrom([...numbers.keys()].map(i => data.texts!.bytesOf(i))), indices: own }
}

function textsFrom(list: readonly Uint8Array[]): Texts {
  const offsets = new Uint32Array(list.length + 1)
  for (const [i, bytes] of list.entries()) offsets[i + 1] = offsets[i]! + bytes.length
  const all = new Uint8Array(offsets[list.length]!)
  for (const [i, bytes] of list.entries()) all.set(bytes, offsets[i])
  return new Texts(all, offsets)
}

const spanPaths = {
  start: 'rs.ss.Spans.StartTimeUnixNano',
  duration: 'rs.ss.Spans.DurationNano',
  name: 'rs.ss.Spans.Name',
  parent: 'rs.ss.Spans.ParentSpanID',
  status: 'rs.ss.Spans.StatusCode',
  service: 'rs.Resource.ServiceName',
} as const

const wholePaths = [
  'TraceID',
  'TraceIDText',
  'StartTimeUnixNano',
  'EndTimeUnixNano',
  'DurationNano',
  'RootServiceName',
  'RootSpanName',
  'ServiceStats.ServiceName',
  'ServiceStats.SpanCount',
  'ServiceStats.ErrorCount',
]

/** What a trace says of itself, made of the spans that are shown. */
interface Whole {
  startNs: bigint
  endNs: bigint
  rootService: string
  rootName: string
  services: Map<string, { spans: number; errors: number }>
}

const errorStatus = 2

/** The columns of traces as wholes; of a row of which nothing is hidden they are as they were. */
async function wholeColumns(rows: TraceRows, shown: Shown): Promise<Columns> {
  const columns = await rows.columns([...Object.values(spanPaths), ...wholePaths])
  const wholes = wholesOf(shown, columns)
  const out = new Map<string, ColumnData>()
  for (const path of ['TraceID', 'TraceIDText']) {
    const data = columns.get(path)
    if (data !== undefined) out.set(path, data)
  }
  const longs = (path: string, of: (whole: Whole) => bigint): void => {
    const data = columnAt(columns, path)
    const own = longsOf(data).slice()
    for (const [row, whole] of wholes) own[row] = of(whole)
    out.set(path, { ...data, longs: own })
  }
  longs('StartTimeUnixNano', whole => whole.startNs)
  longs('EndTimeUnixNano', whole => whole.endNs)
  longs('DurationNano', whole => whole.endNs - whole.startNs)
  const texts = (path: string, of: (whole: Whole) => string): void => {
    const { column, count, rep, def } = columnAt(columns, path)
    const own = Array.from({ length: count }, (_, row) => {
      const whole = wholes.get(row)
      return whole === undefined ? bytesAt(columns.get(path)!, row) : encodeUtf8(of(whole))
    })
    out.set(path, { column, count, rep, def, valueCount: count, texts: textsFrom(own) })
  }
  texts('RootServiceName', whole => whole.rootService)
  texts('RootSpanName', whole => whole.rootName)
  addServiceStats(columns, wholes, rows.rows, out)
  return out
}

/** Of the rows of which something is hidden. */
function wholesOf({ table, isShown }: Shown, columns: Columns): Map<number, Whole> {
  const starts = longsOf(columnAt(columns, spanPaths.start))
  const durations = longsOf(columnAt(columns, spanPaths.duration))
  const statuses = columnAt(columns, spanPaths.status)
  const names = columnAt(columns, spanPaths.name)
  const parents = columnAt(columns, spanPaths.parent)
  const services = columnAt(columns, spanPaths.service)
  const wholes = new Map<number, Whole>()
  for (let row = 0; row < table.rows.rows; row++) {
    const [from, to] = [table.spanFrom[row]!, table.spanFrom[row + 1]!]
    const whole: Whole = { startNs: 0n, endNs: 0n, rootService: '', rootName: '', services: new Map() }
    let shownSpans = 0
    for (let span = from; span < to; span++) {
      const resource = table.resourceOf[span]!
      if (isShown[resource] !== 1) continue
      const startNs = starts[span]!
      const endNs = startNs + durations[span]!
      if (shownSpans === 0 || startNs < whole.startNs) whole.startNs = startNs
      if (shownSpans === 0 || endNs > whole.endNs) whole.endNs = endNs
      shownSpans++
      const service = textAt(services, resource)
      if (bytesAt(parents, span).length === 0 && whole.rootName === '') {
        whole.rootService = service
        whole.rootName = textAt(names, span)
      }
      const counted = whole.services.get(service) ?? { spans: 0, errors: 0 }
      counted.spans++
      if (numberAt(statuses, span) === errorStatus) counted.errors++
      whole.services.set(service, counted)
    }
    if (shownSpans < to - from) wholes.set(row, whole)
  }
  return wholes
}

function numberAt({ ints, longs }: ColumnData, k: number): number {
  return ints === undefined ? Number(longs![k]!) : ints[k]!
}

/** How many spans and errors each service has; older blocks have no such columns. */
function addServiceStats(
  columns: Columns,
  wholes: ReadonlyMap<number, Whole>,
  rows: number,
  out: Map<string, ColumnData>,
): void {
  const names = columns.get('ServiceStats.ServiceName')
  if (names === undefined) return
  const before = {
    spans: columnAt(columns, 'ServiceStats.SpanCount'),
    errors: columnAt(columns, 'ServiceStats.ErrorCount'),
  }
  const oldSpans = intsOf(before.spans)
  const oldErrors = intsOf(before.errors)
  const { rep: oldRep, def: oldDef } = levelsOf(names)
  const made = {
    rep: [] as number[],
    def: [] as number[],
    names: [] as Uint8Array[],
    spans: [] as number[],
    errors: [] as number[],
  }
  let entry = 0
  let k = 0
  for (let row = 0; row < rows; row++) {
    const whole = wholes.get(row)
    let isFirst = true
    const add = (name: Uint8Array | undefined, spans: number, errors: number): void => {
      made.rep.push(isFirst ? 0 : 1)
      made.def.push(name === undefined ? 0 : 1)
      isFirst = false
      if (name === undefined) return
      made.names.push(name)
      made.spans.push(spans)
      made.errors.push(errors)
    }
    if (whole !== undefined)
      for (const [name, { spans, errors }] of whole.services) add(encodeUtf8(name), spans, errors)
    for (
      let isRowStart = true;
      entry < names.count && (isRowStart || oldRep[entry] !== 0);
      entry++, isRowStart = false
    ) {
      if (oldDef[entry] !== 1) continue
      if (whole === undefined) add(bytesAt(names, k), oldSpans[k]!, oldErrors[k]!)
      k++
    }
    if (isFirst) add(undefined, 0, 0)
  }
  const levels = { count: made.rep.length, rep: Uint8Array.from(made.rep), def: Uint8Array.from(made.def) }
  const valueCount = made.names.length
  out.set('ServiceStats.ServiceName', { column: names.column, ...levels, valueCount, texts: textsFrom(made.names) })
  out.set('ServiceStats.SpanCount', {
    column: before.spans.column,
    ...levels,
    valueCount,
    ints: Int32Array.from(made.spans),
  })
  out.set('ServiceStats.ErrorCount', {
    column: before.errors.column,
    ...levels,
    valueCount,
    ints: Int32Array.from(made.errors),
  })
}

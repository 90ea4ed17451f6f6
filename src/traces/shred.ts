/** Traces into the columns of a row group: one row for each. Rules: docs/formats/tempo-block.md. */
import { ColumnBuilder } from '#codec/parquet/column-builder.ts'
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { valueToJson } from '#model/trace-json.ts'
import { ByteDictionary } from '#codec/byte-dictionary.ts'
import {
  serviceNameOf,
  type AnyValue,
  type Attribute,
  type AttributeSink,
  type RawAttributes,
  type ResourceSpans,
  type Scope,
  type Span,
  type Trace,
} from '#model/trace.ts'
import { nestedSet } from './nested-set.ts'
import {
  blockColumns,
  dedicatedPlaces,
  fixedColumnsOf4,
  plainPath,
  type BlockLayout,
  type DedicatedScope,
} from './schema.ts'

/** Columns of a layout, all of them, in the order of its schema. */
export interface RowSource {
  rows: number
  columns: readonly ColumnData[]
}

const roundings = [15, 60, 300, 3600] as const
const nsPerSecond = 1_000_000_000n

/** The number of the interval of so many seconds that a time lies in; an edge belongs to the interval before it. */
export function roundedStart(ns: bigint, step: number): number {
  if (ns === 0n) return 0
  return roundedSeconds(Number(ns / nsPerSecond), ns % nsPerSecond === 0n, step)
}

function roundedSeconds(seconds: number, isWhole: boolean, step: number): number {
  return isWhole && seconds % step === 0 ? seconds / step - 1 : Math.floor(seconds / step)
}

/** 16 bytes: shorter ids get zeros in front, of longer ones the end is kept. */
export function paddedTraceId(id: Uint8Array): Uint8Array {
  if (id.length === 16) return id
  const padded = new Uint8Array(16)
  const from = Math.max(0, id.length - 16)
  padded.set(id.subarray(from), 16 - (id.length - from))
  return padded
}

/** Lower-case hex without zeros in front. */
export function traceIdText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length)
    .toString('hex')
    .replace(/^0+(?=.)/, '')
}

/**
 * A column that has an entry wherever another one has: entries without a value are taken from there, many at a time.
 */
export class Follower {
  readonly #own: ColumnBuilder
  readonly #leader: ColumnBuilder
  /** Entries of the leader that this column has too. */
  #at = 0

  constructor(own: ColumnBuilder, leader: ColumnBuilder) {
    this.#own = own
    this.#leader = leader
  }

  /** The column, for the value (or values) of the entry that the leader gets next. */
  next(): ColumnBuilder {
    const { count } = this.#leader
    if (this.#at < count) this.#own.addNullsOf(this.#leader, this.#at, count)
    this.#at = count + 1
    return this.#own
  }

  catchUp(): void {
    const { count } = this.#leader
    if (this.#at < count) this.#own.addNullsOf(this.#leader, this.#at, count)
    this.#at = count
  }

  /** It has all entries of the leader already. */
  skip(): void {
    this.#at = this.#leader.count
  }
}

/** The columns of an attribute list. `r` is the level of the list. */
class AttributeColumns {
  readonly #key: ColumnBuilder
  readonly #isArray: Follower
  readonly #texts: Follower
  readonly #ints: Follower
  readonly #doubles: Follower
  readonly #bools: Follower
  readonly #unsupported: Follower
  readonly #r: number
  /** Most entries have a value in two columns: the others follow the keys later, many entries at a time. */
  readonly #followers: Follower[]

  constructor(columns: Columns, path: string) {
    const part = (name: string): ColumnBuilder => columns.get(`${path}.Attrs.${name}`)
    this.#key = part('Key')
    const follower = (name: string): Follower => new Follower(part(name), this.#key)
    this.#isArray = follower('IsArray')
    this.#texts = follower('Value')
    this.#ints = follower('ValueInt')
    this.#doubles = follower('ValueDouble')
    this.#bools = follower('ValueBool')
    this.#unsupported = follower('ValueUnsupported')
    this.#followers = [this.#isArray, this.#texts, this.#ints, this.#doubles, this.#bools, this.#unsupported]
    this.#r = this.#key.column.maxRep
  }

  /** Nothing, for an owner that begins at `rep`. */
  none(rep: number, def = this.#key.column.maxDef - 1): void {
    this.#key.addNull(rep, def)
  }

  /** Columns are whole again. */
  catchUp(): void {
    for (const follower of this.#followers) follower.catchUp()
  }
  skip(): void {
    for (const follower of this.#followers) follower.skip()
  }

  /** The number of a key, for `addAt`. */
  keyOf(bytes: Uint8Array, from: number, to: number): number {
    return this.#key.entryOfBytes(bytes, from, to)
  }

  addText(rep: number, key: number, bytes: Uint8Array, from: number, to: number): void {
    this.#isArray.next().addBool(rep, false)
    this.#texts.next().addTextBytes(rep, bytes, from, to)
    this.#key.addInt(rep, key)
  }

  addLong(rep: number, key: number, value: bigint): void {
    this.#isArray.next().addBool(rep, false)
    this.#ints.next().addLong(rep, value)
    this.#key.addInt(rep, key)
  }

  add(rep: number, key: string, value: AnyValue): void {
    this.#isArray.next().addBool(rep, value.kind === 'array' && isPlain(value.values))
    switch (value.kind) {
      case 'string':
        this.#texts.next().addText(rep, value.value)
        break
      case 'int':
        this.#ints.next().addLong(rep, value.value)
        break
      case 'double':
        this.#doubles.next().addDouble(rep, value.value)
        break
      case 'bool':
        this.#bools.next().addBool(rep, value.value)
        break
      case 'array':
        if (isPlain(value.values)) this.#addArray(rep, value.values)
        else this.#addUnsupported(rep, value)
        break
      default:
        this.#addUnsupported(rep, value)
    }
    this.#key.addText(rep, key)
  }

  #addUnsupported(rep: number, value: AnyValue): void {
    this.#unsupported.next().addText(rep, JSON.stringify(valueToJson(value)))
  }

  #addArray(rep: number, values: readonly AnyValue[]): void {
    const kind = values[0]?.kind
    if (kind === undefined) return
    const filled = (
      kind === 'string' ? this.#texts : kind === 'int' ? this.#ints : kind === 'double' ? this.#doubles : this.#bools
    ).next()
    values.forEach((value, i) => {
      const at = i === 0 ? rep : this.#r + 1
      if (value.kind === 'string') filled.addText(at, value.value)
      else if (value.kind === 'int') filled.addLong(at, value.value)
      else if (value.kind === 'double') filled.addDouble(at, value.value)
      else if (value.kind === 'bool') filled.addBool(at, value.value)
    })
  }

  get r(): number {
    return this.#r
  }
}

/** Elements of one basic type. */
function isPlain(values: readonly AnyValue[]): boolean {
  const kind = values[0]?.kind
  return (
    kind === undefined ||
    ((kind === 'string' || kind === 'int' || kind === 'double' || kind === 'bool') &&
      values.every(v => v.kind === kind))
  )
}

/** The attributes of a scope that have columns of their own. */
class DedicatedColumns {
  readonly #byName = new Map<string, { type: 'string' | 'int'; number: number }>()
  readonly #columns: ColumnBuilder[] = []
  readonly #followers: Follower[]
  readonly #held: (AnyValue | undefined)[] = []
  /** Of a text that lies in bytes, instead. */
  readonly #heldFrom: Int32Array
  readonly #heldTo: Int32Array

  /** `leader`: a column with one entry for each owner, which gets it after `finish`. */
  constructor(
    columns: Columns,
    { format, dedicated }: BlockLayout,
    scope: DedicatedScope,
    path: string,
    leader: string,
  ) {
    if (format === 'vParquet4')
      for (const [own, name, fixed, type] of fixedColumnsOf4)
        if (own === scope) this.#put(name, columns.get(fixed), type)
    const places = dedicatedPlaces(dedicated)
    for (const { scope: own, name } of dedicated) {
      const place = own === scope ? places.get(`${scope} ${name}`) : undefined
      if (place !== undefined && !this.#byName.has(name))
        this.#put(name, columns.get(`${path}.DedicatedAttributes.${place.column}`), place.type)
    }
    // vParquet4 has spare columns that nothing uses.
    for (const builder of columns.below(`${path}.DedicatedAttributes.`))
      if (!this.#columns.includes(builder)) this.#columns.push(builder)
    this.#followers = this.#columns.map(column => new Follower(column, columns.get(`${path}.${leader}`)))
    this.#held = this.#columns.map(() => undefined)
    this.#heldFrom = new Int32Array(this.#columns.length).fill(-1)
    this.#heldTo = new Int32Array(this.#columns.length)
  }

  /** The column of a key, and its type; undefined: it has none. */
  placeOf(key: string): { type: 'string' | 'int'; number: number } | undefined {
    return this.#byName.get(key)
  }
  takeText(number: number, from: number, to: number): void {
    this.#held[number] = undefined
    this.#heldFrom[number] = from
    this.#heldTo[number] = to
  }
  takeLong(number: number, value: bigint): void {
    this.#heldFrom[number] = -1
    this.#held[number] = { kind: 'int', value }
  }

  #put(name: string, column: ColumnBuilder, type: 'string' | 'int'): void {
    this.#byName.set(name, { type, number: this.#columns.length })
    this.#columns.push(column)
  }

  /** Keeps the value for `finish` when it is one for a column of its own. */
  take(key: string, value: AnyValue): boolean {
    const found = this.#byName.get(key)
    if (found === undefined) return false
    const isList = this.#columns[found.number]!.column.leaf.repetition === 'repeated'
    const fits =
      value.kind === found.type || (isList && value.kind === 'array' && value.values.every(v => v.kind === found.type))
    if (!fits) return false
    this.#heldFrom[found.number] = -1
    this.#held[found.number] = value
    return true
  }

  /** `message`: where the texts of `takeText` lie. */
  finish(rep: number, message?: Uint8Array): void {
    for (let i = 0; i < this.#followers.length; i++) {
      const from = this.#heldFrom[i]!
      if (from >= 0) {
        this.#heldFrom[i] = -1
        this.#followers[i]!.next().addTextBytes(rep, message!, from, this.#heldTo[i]!)
        continue
      }
      const value = this.#held[i]
      if (value === undefined) continue
      this.#held[i] = undefined
      const values = value.kind === 'array' ? value.values : [value]
      if (values.length === 0) continue
      const column = this.#followers[i]!.next()
      values.forEach((v, k) => {
        const at = k === 0 ? rep : column.column.maxRep
        if (v.kind === 'string') column.addText(at, v.value)
        else if (v.kind === 'int') column.addLong(at, v.value)
      })
    }
  }

  catchUp(): void {
    for (const follower of this.#followers) follower.catchUp()
  }
  skip(): void {
    for (const follower of this.#followers) follower.skip()
  }
}

class Columns {
  readonly builders: ColumnBuilder[]
  readonly #byPath: ReadonlyMap<string, ColumnBuilder>

  constructor(layout: BlockLayout) {
    this.builders = blockColumns(layout).map(column => new ColumnBuilder(column))
    this.#byPath = new Map(this.builders.map(b => [plainPath(b.column.path), b]))
  }

  has(path: string): boolean {
    return this.#byPath.has(path)
  }
  below(prefix: string): ColumnBuilder[] {
    return [...this.#byPath].filter(([path]) => path.startsWith(prefix)).map(([, builder]) => builder)
  }

  get(path: string): ColumnBuilder {
    const found = this.#byPath.get(path)
    if (found === undefined) throw new Error(`the schema has no column ${path}`)
    return found
  }
}

/** Attributes of spans on their way from a message into columns, without being anything between. */
class RawSpanAttributes implements AttributeSink {
  readonly #columns: AttributeColumns
  readonly #dedicated: DedicatedColumns
  /** Keys that were met, with their number in the column and the column of their own. */
  readonly #keys = new ByteDictionary()
  readonly #names: string[] = []
  readonly #places: ({ type: 'string' | 'int'; number: number } | undefined)[] = []
  #entries: number[] = []
  #message: Uint8Array = new Uint8Array(0)
  #at = 0
  #isEmpty = true

  constructor(columns: AttributeColumns, dedicated: DedicatedColumns) {
    this.#columns = columns
    this.#dedicated = dedicated
  }

  /** Columns are empty again. */
  reset(): void {
    this.#entries = []
  }

  add(rep: number, { message, ranges, visit }: RawAttributes): void {
    this.#message = message
    this.#at = rep
    this.#isEmpty = true
    for (let i = 0; i < ranges.length; i += 2) visit(message, ranges[i]!, ranges[i + 1]!, this)
    if (this.#isEmpty) this.#columns.none(rep)
  }

  #keyId(from: number, to: number): number {
    const id = this.#keys.entryOf(this.#message, from, to)
    if (id === this.#names.length) {
      const name = Buffer.from(this.#message.buffer, this.#message.byteOffset + from, to - from).toString('utf8')
      this.#names.push(name)
      this.#places.push(this.#dedicated.placeOf(name))
    }
    return id
  }

  #entry(id: number, from: number, to: number): number {
    return (this.#entries[id] ??= this.#columns.keyOf(this.#message, from, to))
  }
  /** The level of the next entry of the list. */
  #next(): number {
    const at = this.#at
    this.#at = this.#columns.r
    this.#isEmpty = false
    return at
  }

  text(keyFrom: number, keyTo: number, from: number, to: number): void {
    const id = this.#keyId(keyFrom, keyTo)
    const place = this.#places[id]
    if (place?.type === 'string') {
      this.#dedicated.takeText(place.number, from, to)
      return
    }
    this.#columns.addText(this.#next(), this.#entry(id, keyFrom, keyTo), this.#message, from, to)
  }

  long(keyFrom: number, keyTo: number, value: bigint): void {
    const id = this.#keyId(keyFrom, keyTo)
    const place = this.#places[id]
    if (place?.type === 'int') {
      this.#dedicated.takeLong(place.number, value)
      return
    }
    this.#columns.addLong(this.#next(), this.#entry(id, keyFrom, keyTo), value)
  }

  double(keyFrom: number, keyTo: number, value: number): void {
    this.other(keyFrom, keyTo, { kind: 'double', value })
  }
  bool(keyFrom: number, keyTo: number, value: boolean): void {
    this.other(keyFrom, keyTo, { kind: 'bool', value })
  }
  other(keyFrom: number, keyTo: number, value: AnyValue): void {
    const name = this.#names[this.#keyId(keyFrom, keyTo)]!
    if (!this.#dedicated.take(name, value)) this.#columns.add(this.#next(), name, value)
  }
}

/** Columns that get an entry with every span. */
interface SpanColumns {
  parentId: ColumnBuilder
  left: ColumnBuilder
  right: ColumnBuilder
  children: ColumnBuilder | undefined
  id: ColumnBuilder
  parent: ColumnBuilder
  name: ColumnBuilder
  kind: ColumnBuilder
  traceState: ColumnBuilder
  startNs: ColumnBuilder
  duration: ColumnBuilder
  status: ColumnBuilder
  statusMessage: ColumnBuilder
  droppedAttributes: ColumnBuilder
  droppedEvents: ColumnBuilder
  droppedLinks: ColumnBuilder
  eventTime: ColumnBuilder
  linkTraceId: ColumnBuilder
}

const smallLongs = Array.from({ length: 16 }, (_, i) => BigInt(i))

export class TraceShredder {
  readonly builders: readonly ColumnBuilder[]
  rows = 0
  spans = 0
  /** Least start and greatest end of what `add` was given. */
  startNs = -1n
  endNs = 0n
  readonly #c: Record<string, ColumnBuilder>
  readonly #resourceAttributes: AttributeColumns
  readonly #scopeAttributes: AttributeColumns
  readonly #spanAttributes: AttributeColumns
  readonly #eventAttributes: AttributeColumns
  readonly #linkAttributes: AttributeColumns
  readonly #resourceDedicated: DedicatedColumns
  readonly #spanDedicated: DedicatedColumns
  readonly #eventDedicated: DedicatedColumns
  readonly #rawSpanAttributes: RawSpanAttributes
  readonly #eventFollowers: readonly Follower[]
  readonly #linkFollowers: readonly Follower[]
  readonly #lists: readonly { catchUp: () => void; skip: () => void }[]
  readonly #s: SpanColumns
  readonly #rounded: ColumnBuilder[]

  constructor(layout: BlockLayout) {
    const columns = new Columns(layout)
    this.builders = columns.builders
    this.#c = Object.fromEntries(columns.builders.map(b => [plainPath(b.column.path), b]))
    this.#resourceAttributes = new AttributeColumns(columns, 'rs.Resource')
    this.#scopeAttributes = new AttributeColumns(columns, 'rs.ss.Scope')
    this.#spanAttributes = new AttributeColumns(columns, 'rs.ss.Spans')
    this.#eventAttributes = new AttributeColumns(columns, 'rs.ss.Spans.Events')
    this.#linkAttributes = new AttributeColumns(columns, 'rs.ss.Spans.Links')
    this.#resourceDedicated = new DedicatedColumns(columns, layout, 'resource', 'rs.Resource', 'DroppedAttributesCount')
    this.#spanDedicated = new DedicatedColumns(columns, layout, 'span', 'rs.ss.Spans', 'DroppedLinksCount')
    this.#rawSpanAttributes = new RawSpanAttributes(this.#spanAttributes, this.#spanDedicated)
    this.#eventDedicated = new DedicatedColumns(
      columns,
      layout,
      'event',
      'rs.ss.Spans.Events',
      'DroppedAttributesCount',
    )
    const followers = (path: string, leader: string, names: readonly string[]): Follower[] =>
      names.map(name => new Follower(columns.get(`${path}.${name}`), columns.get(`${path}.${leader}`)))
    this.#eventFollowers = followers('rs.ss.Spans.Events', 'TimeSinceStartNano', [
      'Name',
      'Attrs.Key',
      'DroppedAttributesCount',
    ])
    this.#linkFollowers = followers('rs.ss.Spans.Links', 'TraceID', [
      'SpanID',
      'TraceState',
      'Attrs.Key',
      'DroppedAttributesCount',
    ])
    this.#lists = [
      this.#resourceAttributes,
      this.#scopeAttributes,
      this.#spanAttributes,
      this.#eventAttributes,
      this.#linkAttributes,
      this.#resourceDedicated,
      this.#spanDedicated,
      this.#eventDedicated,
    ]
    this.#s = {
      parentId: columns.get('rs.ss.Spans.ParentID'),
      left: columns.get('rs.ss.Spans.NestedSetLeft'),
      right: columns.get('rs.ss.Spans.NestedSetRight'),
      children: columns.has('rs.ss.Spans.ChildCount') ? columns.get('rs.ss.Spans.ChildCount') : undefined,
      id: columns.get('rs.ss.Spans.SpanID'),
      parent: columns.get('rs.ss.Spans.ParentSpanID'),
      name: columns.get('rs.ss.Spans.Name'),
      kind: columns.get('rs.ss.Spans.Kind'),
      traceState: columns.get('rs.ss.Spans.TraceState'),
      startNs: columns.get('rs.ss.Spans.StartTimeUnixNano'),
      duration: columns.get('rs.ss.Spans.DurationNano'),
      status: columns.get('rs.ss.Spans.StatusCode'),
      statusMessage: columns.get('rs.ss.Spans.StatusMessage'),
      droppedAttributes: columns.get('rs.ss.Spans.DroppedAttributesCount'),
      droppedEvents: columns.get('rs.ss.Spans.DroppedEventsCount'),
      droppedLinks: columns.get('rs.ss.Spans.DroppedLinksCount'),
      eventTime: columns.get('rs.ss.Spans.Events.TimeSinceStartNano'),
      linkTraceId: columns.get('rs.ss.Spans.Links.TraceID'),
    }
    this.#rounded = roundings
      .map(step => `rs.ss.Spans.StartTimeRounded${step}`)
      .filter(path => columns.has(path))
      .map(path => columns.get(path))
  }

  get heldBytes(): number {
    return this.builders.reduce((sum, b) => sum + b.heldBytes, 0)
  }

  /** Empty again; its room stays. */
  reset(): void {
    for (const builder of this.builders) builder.reset()
    this.#rawSpanAttributes.reset()
    this.rows = 0
    this.spans = 0
    this.startNs = -1n
    this.endNs = 0n
  }

  /** A row was added to the builders from outside. */
  noteRow(): void {
    this.rows++
  }

  /** One more row. `id`: 16 bytes. The trace has at least one span. */
  add(id: Uint8Array, trace: Trace): void {
    const c = this.#c
    const all: Span[] = []
    const stats = new Map<string, { spans: number; errors: number }>()
    let root: { service: string; name: string } | undefined
    let startNs = -1n
    let endNs = 0n
    for (const { resource, scopes } of trace.resources) {
      const service = serviceNameOf(resource)
      let own = stats.get(service)
      if (own === undefined) stats.set(service, (own = { spans: 0, errors: 0 }))
      for (const { spans } of scopes) {
        for (const span of spans) {
          all.push(span)
          own.spans++
          if (span.statusCode === 2) own.errors++
          if (startNs < 0n || span.startNs < startNs) startNs = span.startNs
          if (span.endNs > endNs) endNs = span.endNs
          if (span.parentSpanId.length === 0 && !isReference(span, id)) root = { service, name: span.name }
        }
      }
    }
    if (all.length === 0) return
    // Rows may have been added from outside.
    for (const follower of this.#eventFollowers) follower.skip()
    for (const follower of this.#linkFollowers) follower.skip()
    for (const list of this.#lists) list.skip()
    c['TraceID']!.addBytes(0, id)
    c['TraceIDText']!.addText(0, traceIdText(id))
    c['StartTimeUnixNano']!.addLong(0, startNs)
    c['EndTimeUnixNano']!.addLong(0, endNs)
    c['DurationNano']!.addLong(0, endNs - startNs)
    c['RootServiceName']!.addText(0, root?.service ?? '')
    c['RootSpanName']!.addText(0, root?.name ?? '')
    const services = [...stats].sort((a, b) => (a[0] < b[0] ? -1 : 1))
    services.forEach(([name, { spans, errors }], i) => {
      const rep = i === 0 ? 0 : 1
      c['ServiceStats.ServiceName']!.addText(rep, name)
      c['ServiceStats.SpanCount']!.addInt(rep, spans)
      c['ServiceStats.ErrorCount']!.addInt(rep, errors)
    })
    this.#addResources(trace, all)
    for (const follower of this.#eventFollowers) follower.catchUp()
    for (const follower of this.#linkFollowers) follower.catchUp()
    for (const list of this.#lists) list.catchUp()
    if (this.startNs < 0n || startNs < this.startNs) this.startNs = startNs
    if (endNs > this.endNs) this.endNs = endNs
    this.rows++
    this.spans += all.length
  }

  #addResources(trace: Trace, all: readonly Span[]): void {
    const c = this.#c
    const columns = this.#s
    const places = nestedSet(all)
    let n = 0
    let rsRep = 0
    for (const { resource, scopes } of trace.resources) {
      if (scopes.every(s => s.spans.length === 0)) continue
      this.#addResource(rsRep, resource)
      let ssRep = rsRep
      for (const { scope, spans } of scopes) {
        if (spans.length === 0) continue
        this.#addScope(ssRep, scope)
        let rep = ssRep
        for (const span of spans) {
          columns.parentId.addInt(rep, places.parent[n]!)
          columns.left.addInt(rep, places.left[n]!)
          columns.right.addInt(rep, places.right[n]!)
          columns.children?.addInt(rep, places.children[n]!)
          this.#addSpan(rep, span)
          n++
          rep = 3
        }
        c['rs.ss.SpanCount']?.addInt(ssRep, spans.length)
        ssRep = 2
      }
      rsRep = 1
    }
  }

  #addResource(rep: number, resource: ResourceSpans['resource']): void {
    const c = this.#c
    c['rs.Resource.ServiceName']!.addText(rep, serviceNameOf(resource))
    let isServiceTaken = false
    this.#addAttributes(rep, resource.attributes, this.#resourceAttributes, (key, value) => {
      if (key === 'service.name' && value.kind === 'string' && !isServiceTaken) {
        isServiceTaken = true
        return true
      }
      return this.#resourceDedicated.take(key, value)
    })
    this.#resourceDedicated.finish(rep)
    c['rs.Resource.DroppedAttributesCount']!.addInt(rep, resource.dropped)
  }

  #addScope(rep: number, scope: Scope): void {
    const c = this.#c
    c['rs.ss.Scope.Name']!.addText(rep, scope.name)
    c['rs.ss.Scope.Version']!.addText(rep, scope.version)
    this.#addAttributes(rep, scope.attributes, this.#scopeAttributes, undefined)
    c['rs.ss.Scope.DroppedAttributesCount']!.addInt(rep, scope.dropped)
  }

  #addAttributes(
    rep: number,
    attributes: readonly Attribute[],
    columns: AttributeColumns,
    take: ((key: string, value: AnyValue) => boolean) | undefined,
  ): void {
    let at = rep
    let isEmpty = true
    for (const { key, value } of attributes) {
      if (take?.(key, value) === true) continue
      columns.add(at, key, value)
      at = columns.r
      isEmpty = false
    }
    if (isEmpty) columns.none(rep)
  }

  #addSpan(rep: number, span: Span): void {
    const c = this.#s
    c.id.addBytes(rep, span.spanId)
    c.parent.addBytes(rep, span.parentSpanId)
    c.name.addText(rep, span.name)
    c.kind.addLong(rep, smallLongs[span.kind] ?? BigInt(span.kind))
    c.traceState.addText(rep, span.traceState)
    c.startNs.addLong(rep, span.startNs)
    c.duration.addLong(rep, BigInt.asIntN(64, span.endNs - span.startNs))
    c.status.addLong(rep, smallLongs[span.statusCode] ?? BigInt(span.statusCode))
    c.statusMessage.addText(rep, span.statusMessage)
    if (span.raw === undefined)
      this.#addAttributes(rep, span.attributes, this.#spanAttributes, (key, value) =>
        this.#spanDedicated.take(key, value),
      )
    else this.#rawSpanAttributes.add(rep, span.raw)
    c.droppedAttributes.addInt(rep, span.droppedAttributes)
    this.#addEvents(rep, span)
    c.droppedEvents.addInt(rep, span.droppedEvents)
    this.#addLinks(rep, span)
    this.#spanDedicated.finish(rep, span.raw?.message)
    c.droppedLinks.addInt(rep, span.droppedLinks)
    if (this.#rounded.length > 0) {
      const seconds = span.startNs / nsPerSecond
      const whole = Number(seconds)
      const isWhole = seconds * nsPerSecond === span.startNs
      for (let i = 0; i < this.#rounded.length; i++)
        this.#rounded[i]!.addInt(rep, span.startNs === 0n ? 0 : roundedSeconds(whole, isWhole, roundings[i]!))
    }
  }

  #addEvents(rep: number, span: Span): void {
    if (span.events.length === 0) {
      this.#s.eventTime.addNull(rep, 3)
      return
    }
    const c = this.#c
    for (const follower of this.#eventFollowers) follower.catchUp()
    let at = rep
    for (const event of span.events) {
      c['rs.ss.Spans.Events.TimeSinceStartNano']!.addLong(at, BigInt.asIntN(64, event.timeNs - span.startNs))
      c['rs.ss.Spans.Events.Name']!.addText(at, event.name)
      this.#addAttributes(at, event.attributes, this.#eventAttributes, (key, value) =>
        this.#eventDedicated.take(key, value),
      )
      this.#eventDedicated.finish(at)
      c['rs.ss.Spans.Events.DroppedAttributesCount']!.addInt(at, event.dropped)
      at = 4
    }
    for (const follower of this.#eventFollowers) follower.skip()
  }

  #addLinks(rep: number, span: Span): void {
    if (span.links.length === 0) {
      this.#s.linkTraceId.addNull(rep, 3)
      return
    }
    const c = this.#c
    for (const follower of this.#linkFollowers) follower.catchUp()
    let at = rep
    for (const link of span.links) {
      c['rs.ss.Spans.Links.TraceID']!.addBytes(at, link.traceId)
      c['rs.ss.Spans.Links.SpanID']!.addBytes(at, link.spanId)
      c['rs.ss.Spans.Links.TraceState']!.addText(at, link.traceState)
      this.#addAttributes(at, link.attributes, this.#linkAttributes, undefined)
      c['rs.ss.Spans.Links.DroppedAttributesCount']!.addInt(at, link.dropped)
      at = 4
    }
    for (const follower of this.#linkFollowers) follower.skip()
  }
}

/** A span without a parent that a link makes another one's child (OpenTracing's bridge). */
function isReference(span: Span, traceId: Uint8Array): boolean {
  return span.links.some(
    link =>
      Buffer.compare(paddedTraceId(link.traceId), traceId) === 0 &&
      link.attributes.some(
        a => a.key === 'opentracing.ref_type' && a.value.kind === 'string' && a.value.value === 'child_of',
      ),
  )
}

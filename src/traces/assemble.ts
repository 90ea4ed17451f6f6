/**
 * Rows of a row group back into traces, in the order of the rows. Reads vParquet5, vParquet4 and vParquet3. Rules:
 * docs/formats/tempo-block.md.
 */
import { bytesAt, textAt, type ColumnData } from '#codec/parquet/column-data.ts'
import { CorruptDataError } from '#core/errors.ts'
import { parseJson } from '#core/json.ts'
import { valueFromJson } from '#model/trace-json.ts'
import type { AnyValue, Attribute, ResourceSpans, Scope, Span, SpanEvent, SpanLink, Trace } from '#model/trace.ts'
import { decodeOldLinks, decodeOldValue } from './old-messages.ts'
import { dedicatedPlaces, fixedColumnsOf4, plainPath, type DedicatedColumn, type DedicatedScope } from './schema.ts'

const noBytes = new Uint8Array(0)

/** Goes over a column's entries, one by one. */
class Cursor {
  readonly #data: ColumnData
  readonly maxRep: number
  readonly maxDef: number
  #i = -1
  #next = 0
  /** Number of the value behind the one that was read last. */
  #k = 0
  #row: number

  constructor(data: ColumnData) {
    this.#data = data
    this.#row = (data.firstRow ?? 0) - 1
    this.maxRep = data.column.maxRep
    this.maxDef = data.column.maxDef
  }

  get def(): number {
    return this.#data.def === undefined ? this.maxDef : this.#data.def[this.#i]!
  }
  get hasValue(): boolean {
    return this.def === this.maxDef
  }

  /** The repetition level of the next entry; 0 at the end too. */
  get nextRep(): number {
    return this.#next >= this.#data.count || this.#data.rep === undefined ? 0 : this.#data.rep[this.#next]!
  }

  next(): void {
    this.#i = this.#next++
    if (this.hasValue) this.#k++
    if (this.#data.rep === undefined || this.#data.rep[this.#i] === 0) this.#row++
  }

  /** Stands in front of a row, which must not lie behind. */
  seek(row: number): void {
    const { rep, def, count } = this.#data
    while (this.#row + 1 < row || (rep !== undefined && this.#next < count && rep[this.#next] !== 0)) {
      const i = this.#next++
      if (i >= count) return
      if (rep === undefined || rep[i] === 0) this.#row++
      if (def === undefined || def[i] === this.maxDef) this.#k++
    }
  }

  get text(): string {
    return this.hasValue ? textAt(this.#data, this.#k - 1) : ''
  }
  get bytes(): Uint8Array {
    return this.hasValue ? bytesAt(this.#data, this.#k - 1) : noBytes
  }
  get long(): bigint {
    return this.hasValue ? this.#data.longs![this.#k - 1]! : 0n
  }
  get int(): number {
    return this.hasValue ? this.#data.ints![this.#k - 1]! : 0
  }
  get double(): number {
    return this.#data.doubles![this.#k - 1]!
  }
  get bool(): boolean {
    return this.hasValue && this.#data.bools![this.#k - 1] === 1
  }
}

interface AttributeCursors {
  key: Cursor
  isArray: Cursor | undefined
  texts: Cursor
  ints: Cursor
  doubles: Cursor
  bools: Cursor
  /** Values that have no column of their own, as JSON; vParquet3 has two such columns. */
  json: readonly Cursor[]
}
/** An attribute that has a column of its own. */
interface OwnColumn {
  name: string
  type: 'string' | 'int'
  cursor: Cursor
}

export class RowAssembler {
  readonly #cursors: ReadonlyMap<string, Cursor>
  readonly #attributes = new Map<string, AttributeCursors>()
  readonly #own: Record<DedicatedScope, OwnColumn[]> = { resource: [], span: [], event: [] }

  constructor(columns: readonly ColumnData[], dedicated: readonly DedicatedColumn[]) {
    this.#cursors = new Map(columns.map(data => [plainPath(data.column.path), new Cursor(data)]))
    const prefixes = { resource: 'rs.Resource', span: 'rs.ss.Spans', event: 'rs.ss.Spans.Events' } as const
    const places = dedicatedPlaces(dedicated)
    for (const { scope, name } of dedicated) {
      const place = places.get(`${scope} ${name}`)
      const cursor =
        place === undefined ? undefined : this.#cursors.get(`${prefixes[scope]}.DedicatedAttributes.${place.column}`)
      if (cursor !== undefined) this.#own[scope].push({ name, type: place!.type, cursor })
    }
    for (const [scope, name, path, type] of fixedColumnsOf4) {
      const cursor = this.#cursors.get(path)
      if (cursor !== undefined) this.#own[scope].push({ name, type, cursor })
    }
    for (const path of ['rs.Resource', 'rs.ss.Scope', 'rs.ss.Spans', 'rs.ss.Spans.Events', 'rs.ss.Spans.Links']) {
      const part = (name: string): Cursor | undefined => this.#cursors.get(`${path}.Attrs.${name}`)
      const key = part('Key')
      const texts = part('Value')
      const ints = part('ValueInt')
      const doubles = part('ValueDouble')
      const bools = part('ValueBool')
      if (
        key !== undefined &&
        texts !== undefined &&
        ints !== undefined &&
        doubles !== undefined &&
        bools !== undefined
      )
        this.#attributes.set(path, {
          key,
          isArray: part('IsArray'),
          texts,
          ints,
          doubles,
          bools,
          json: [part('ValueUnsupported'), part('ValueArray'), part('ValueKVList')].filter(c => c !== undefined),
        })
    }
  }

  #at(path: string): Cursor {
    return this.#cursors.get(path)!
  }
  /** The cursor on its next entry. */
  #read(path: string): Cursor {
    const cursor = this.#at(path)
    cursor.next()
    return cursor
  }
  #int(path: string): number {
    const cursor = this.#cursors.get(path)
    cursor?.next()
    return cursor?.int ?? 0
  }

  /** The trace of a row, and its id. Rows must be asked for in ascending order. */
  row(row: number): { id: Uint8Array; trace: Trace } {
    try {
      return this.#row(row)
    } catch (error) {
      // Levels that do not fit each other lead to values that are not there.
      if (error instanceof TypeError || error instanceof RangeError)
        throw new CorruptDataError(`a row of traces is damaged: ${error.message}`, { cause: error })
      throw error
    }
  }

  #row(row: number): { id: Uint8Array; trace: Trace } {
    for (const cursor of this.#cursors.values()) cursor.seek(row)
    const id = this.#read('TraceID').bytes
    const resources: ResourceSpans[] = []
    do {
      const service = this.#read('rs.Resource.ServiceName')
      if (service.def < 1) {
        this.#skip('rs.')
        break
      }
      const attributes: Attribute[] =
        service.text === '' ? [] : [{ key: 'service.name', value: { kind: 'string', value: service.text } }]
      this.#readAttributes('rs.Resource', attributes)
      this.#readOwn('resource', 1, attributes)
      const resource = { attributes, dropped: this.#int('rs.Resource.DroppedAttributesCount') }
      resources.push({ resource, schemaUrl: '', scopes: this.#scopes(id) })
    } while (this.#at('rs.Resource.ServiceName').nextRep === 1)
    return { id, trace: { resources } }
  }

  /** One entry of every column below a path, except of those whose entry was read: an owner that is not there. */
  #skip(prefix: string, except = 'rs.Resource.ServiceName'): void {
    for (const [path, cursor] of this.#cursors) if (path.startsWith(prefix) && path !== except) cursor.next()
  }

  #scopes(traceId: Uint8Array): ResourceSpans['scopes'] {
    const scopes: ResourceSpans['scopes'] = []
    do {
      const name = this.#read('rs.ss.Scope.Name')
      if (name.def < 2) {
        this.#skip('rs.ss.', 'rs.ss.Scope.Name')
        break
      }
      const scope: Scope = {
        name: name.text,
        version: this.#read('rs.ss.Scope.Version').text,
        attributes: [],
        dropped: 0,
      }
      this.#readAttributes('rs.ss.Scope', scope.attributes)
      scope.dropped = this.#int('rs.ss.Scope.DroppedAttributesCount')
      scopes.push({ scope, schemaUrl: '', spans: this.#spans(traceId) })
      this.#int('rs.ss.SpanCount')
    } while (this.#at('rs.ss.Scope.Name').nextRep === 2)
    return scopes
  }

  #spans(traceId: Uint8Array): Span[] {
    const spans: Span[] = []
    do {
      const id = this.#read('rs.ss.Spans.SpanID')
      if (id.def < 3) {
        this.#skip('rs.ss.Spans.', 'rs.ss.Spans.SpanID')
        break
      }
      const startNs = BigInt.asUintN(64, this.#read('rs.ss.Spans.StartTimeUnixNano').long)
      const span: Span = {
        traceId,
        spanId: id.bytes,
        parentSpanId: this.#read('rs.ss.Spans.ParentSpanID').bytes,
        traceState: this.#read('rs.ss.Spans.TraceState').text,
        flags: 0,
        name: this.#read('rs.ss.Spans.Name').text,
        kind: Number(this.#read('rs.ss.Spans.Kind').long),
        startNs,
        endNs: BigInt.asUintN(64, startNs + this.#read('rs.ss.Spans.DurationNano').long),
        attributes: [],
        droppedAttributes: this.#int('rs.ss.Spans.DroppedAttributesCount'),
        events: this.#events(startNs),
        droppedEvents: this.#int('rs.ss.Spans.DroppedEventsCount'),
        links: this.#links(),
        droppedLinks: this.#int('rs.ss.Spans.DroppedLinksCount'),
        statusCode: Number(this.#read('rs.ss.Spans.StatusCode').long),
        statusMessage: this.#read('rs.ss.Spans.StatusMessage').text,
      }
      this.#readAttributes('rs.ss.Spans', span.attributes)
      this.#readOwn('span', 3, span.attributes)
      spans.push(span)
    } while (this.#at('rs.ss.Spans.SpanID').nextRep === 3)
    return spans
  }

  #events(startNs: bigint): SpanEvent[] {
    const events: SpanEvent[] = []
    const isOld = this.#cursors.has(eventTimeOf3)
    const path = isOld ? eventTimeOf3 : eventTime
    do {
      const time = this.#read(path)
      if (time.def < 4) {
        this.#skip('rs.ss.Spans.Events.', path)
        break
      }
      const event: SpanEvent = {
        timeNs: BigInt.asUintN(64, isOld ? time.long : startNs + time.long),
        name: this.#read('rs.ss.Spans.Events.Name').text,
        attributes: [],
        dropped: this.#int('rs.ss.Spans.Events.DroppedAttributesCount'),
      }
      this.#readAttributes('rs.ss.Spans.Events', event.attributes)
      this.#readOwn('event', 4, event.attributes)
      events.push(event)
    } while (this.#at(path).nextRep === 4)
    return events
  }

  #links(): SpanLink[] {
    const old = this.#cursors.get(linksOf3)
    if (old !== undefined) {
      old.next()
      return decodeOldLinks(old.bytes)
    }
    const links: SpanLink[] = []
    do {
      const traceId = this.#read('rs.ss.Spans.Links.TraceID')
      if (traceId.def < 4) {
        this.#skip('rs.ss.Spans.Links.', 'rs.ss.Spans.Links.TraceID')
        break
      }
      const link: SpanLink = {
        traceId: traceId.bytes,
        spanId: this.#read('rs.ss.Spans.Links.SpanID').bytes,
        traceState: this.#read('rs.ss.Spans.Links.TraceState').text,
        attributes: [],
        dropped: this.#int('rs.ss.Spans.Links.DroppedAttributesCount'),
        flags: 0,
      }
      this.#readAttributes('rs.ss.Spans.Links', link.attributes)
      links.push(link)
    } while (this.#at('rs.ss.Spans.Links.TraceID').nextRep === 4)
    return links
  }

  #readOwn(scope: DedicatedScope, ownerRep: number, into: Attribute[]): void {
    for (const { name, type, cursor } of this.#own[scope]) {
      const values: AnyValue[] = []
      do {
        cursor.next()
        if (cursor.hasValue)
          values.push(type === 'string' ? { kind: 'string', value: cursor.text } : { kind: 'int', value: cursor.long })
      } while (cursor.maxRep > ownerRep && cursor.nextRep === cursor.maxRep)
      if (values.length > 0)
        into.push({ key: name, value: values.length === 1 ? values[0]! : { kind: 'array', values } })
    }
  }

  /** Attributes of events in vParquet3, whose values are messages. */
  #readMessages(path: string, into: Attribute[]): void {
    const key = this.#cursors.get(`${path}.Attrs.Key`)
    const message = this.#cursors.get(`${path}.Attrs.ValueMessage`)
    if (key === undefined || message === undefined) return
    do {
      key.next()
      message.next()
      if (key.def < key.maxDef) return
      into.push({ key: key.text, value: decodeOldValue(message.bytes) })
    } while (key.nextRep === key.maxRep)
  }

  #readAttributes(path: string, into: Attribute[]): void {
    const columns = this.#attributes.get(path)
    if (columns === undefined) {
      this.#readMessages(path, into)
      return
    }
    const { key, isArray, texts, ints, doubles, bools, json } = columns
    const d = key.maxDef
    const r = key.maxRep
    do {
      key.next()
      isArray?.next()
      const values: AnyValue[] = []
      const each = (cursor: Cursor, read: () => AnyValue): void => {
        do {
          cursor.next()
          if (cursor.hasValue) values.push(read())
        } while (cursor.nextRep === r + 1)
      }
      each(texts, () => ({ kind: 'string', value: texts.text }))
      each(ints, () => ({ kind: 'int', value: ints.long }))
      each(doubles, () => ({ kind: 'double', value: doubles.double }))
      each(bools, () => ({ kind: 'bool', value: bools.bool }))
      for (const cursor of json) cursor.next()
      if (key.def < d) return
      const coded = json.find(({ text }) => text !== '')
      into.push({
        key: key.text,
        value:
          coded !== undefined
            ? unsupportedValue(coded.text)
            : isArray?.bool === true || values.length > 1
              ? { kind: 'array', values }
              : (values[0] ?? { kind: 'none' }),
      })
    } while (key.nextRep === r)
  }
}

const eventTime = 'rs.ss.Spans.Events.TimeSinceStartNano'
const eventTimeOf3 = 'rs.ss.Spans.Events.TimeUnixNano'
const linksOf3 = 'rs.ss.Spans.LinksMessage'

function unsupportedValue(text: string): AnyValue {
  try {
    return valueFromJson(parseJson(text))
  } catch {
    return { kind: 'string', value: text }
  }
}

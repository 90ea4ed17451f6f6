/**
 * The spans of a row group as a query sees them: which trace, resource and scope each belongs to, and fields as
 * columns, loaded when asked for.
 */
import { bytesAt, textAt, type ColumnData } from '#codec/parquet/column-data.ts'
import type { Field } from '#lang/traceql/ast.ts'
import { fieldKey } from '#lang/traceql/fields.ts'
import { attributePaths, type OwnPath, type TraceRows } from '#traces/select.ts'

export const valueType = { none: 0, string: 1, int: 2, float: 3, bool: 4, duration: 5, status: 6, kind: 7 } as const
export type Level = 'trace' | 'resource' | 'scope' | 'span' | 'event' | 'link'

/** One value: its type, and the number or the text that it is. */
export interface Value {
  type: number
  num: number
  text: string
}

/** A field by its owner. Owners with several values have a list. */
export class FieldColumn {
  readonly level: Level
  readonly type: Uint8Array
  readonly num: Float64Array
  readonly text: string[]
  lists: Map<number, Value[]> | undefined

  constructor(level: Level, count: number) {
    this.level = level
    this.type = new Uint8Array(count)
    this.num = new Float64Array(count)
    this.text = []
  }

  add(owner: number, type: number, num: number, text: string): void {
    if (this.type[owner] === valueType.none) {
      this.type[owner] = type
      this.num[owner] = num
      if (type === valueType.string) this.text[owner] = text
      return
    }
    this.lists ??= new Map()
    const list = this.lists.get(owner)
    if (list === undefined) this.lists.set(owner, [this.at(owner)!, { type, num, text }])
    else list.push({ type, num, text })
  }

  at(owner: number): Value | undefined {
    const type = this.type[owner]!
    return type === valueType.none
      ? undefined
      : { type, num: this.num[owner]!, text: type === valueType.string ? this.text[owner]! : '' }
  }
}

const ownerRep: Record<Level, number> = { trace: 0, resource: 1, scope: 2, span: 3, event: 4, link: 4 }
const attributePrefix = {
  resource: 'rs.Resource',
  scope: 'rs.ss.Scope',
  span: 'rs.ss.Spans',
  event: 'rs.ss.Spans.Events',
  link: 'rs.ss.Spans.Links',
} as const

interface IntrinsicPlace {
  path: string
  level: Level
  type: number
  read: 'text' | 'hex' | 'number'
}
const intrinsicPlaces: Readonly<Record<string, IntrinsicPlace>> = {
  duration: { path: 'rs.ss.Spans.DurationNano', level: 'span', type: valueType.duration, read: 'number' },
  name: { path: 'rs.ss.Spans.Name', level: 'span', type: valueType.string, read: 'text' },
  status: { path: 'rs.ss.Spans.StatusCode', level: 'span', type: valueType.status, read: 'number' },
  statusMessage: { path: 'rs.ss.Spans.StatusMessage', level: 'span', type: valueType.string, read: 'text' },
  kind: { path: 'rs.ss.Spans.Kind', level: 'span', type: valueType.kind, read: 'number' },
  'span:id': { path: 'rs.ss.Spans.SpanID', level: 'span', type: valueType.string, read: 'hex' },
  'span:parentID': { path: 'rs.ss.Spans.ParentSpanID', level: 'span', type: valueType.string, read: 'hex' },
  'span:childCount': { path: 'rs.ss.Spans.ChildCount', level: 'span', type: valueType.int, read: 'number' },
  nestedSetLeft: { path: 'rs.ss.Spans.NestedSetLeft', level: 'span', type: valueType.int, read: 'number' },
  nestedSetRight: { path: 'rs.ss.Spans.NestedSetRight', level: 'span', type: valueType.int, read: 'number' },
  nestedSetParent: { path: 'rs.ss.Spans.ParentID', level: 'span', type: valueType.int, read: 'number' },
  traceDuration: { path: 'DurationNano', level: 'trace', type: valueType.duration, read: 'number' },
  rootName: { path: 'RootSpanName', level: 'trace', type: valueType.string, read: 'text' },
  rootServiceName: { path: 'RootServiceName', level: 'trace', type: valueType.string, read: 'text' },
  'trace:id': { path: 'TraceID', level: 'trace', type: valueType.string, read: 'hex' },
  'event:name': { path: 'rs.ss.Spans.Events.Name', level: 'event', type: valueType.string, read: 'text' },
  'event:timeSinceStart': {
    path: 'rs.ss.Spans.Events.TimeSinceStartNano',
    level: 'event',
    type: valueType.duration,
    read: 'number',
  },
  'link:traceID': { path: 'rs.ss.Spans.Links.TraceID', level: 'link', type: valueType.string, read: 'hex' },
  'link:spanID': { path: 'rs.ss.Spans.Links.SpanID', level: 'link', type: valueType.string, read: 'hex' },
  'instrumentation:name': { path: 'rs.ss.Scope.Name', level: 'scope', type: valueType.string, read: 'text' },
  'instrumentation:version': { path: 'rs.ss.Scope.Version', level: 'scope', type: valueType.string, read: 'text' },
}

export class SpanTable {
  readonly rows: TraceRows
  readonly spanCount: number
  readonly resourceCount: number
  readonly scopeCount: number
  readonly traceOf: Int32Array
  readonly resourceOf: Int32Array
  readonly scopeOf: Int32Array
  /** Spans of row r are [spanFrom[r], spanFrom[r + 1]). */
  readonly spanFrom: Int32Array
  /** Events (links) of span i are [from[i], from[i + 1]). */
  eventFrom: Int32Array | undefined
  linkFrom: Int32Array | undefined
  readonly #fields = new Map<string, FieldColumn>()

  private constructor(rows: TraceRows, structure: ColumnData) {
    this.rows = rows
    const { rep, def, count, valueCount } = structure
    this.spanCount = valueCount
    this.traceOf = new Int32Array(valueCount)
    this.resourceOf = new Int32Array(valueCount)
    this.scopeOf = new Int32Array(valueCount)
    this.spanFrom = new Int32Array(rows.rows + 1)
    let row = -1
    let resource = -1
    let scope = -1
    let span = 0
    for (let i = 0; i < count; i++) {
      const r = rep![i]!
      const d = def![i]!
      if (r === 0) this.spanFrom[++row] = span
      if (r <= 1 && d >= 1) resource++
      if (r <= 2 && d >= 2) scope++
      if (d < 3) continue
      this.traceOf[span] = row
      this.resourceOf[span] = resource
      this.scopeOf[span++] = scope
    }
    this.spanFrom[rows.rows] = span
    this.resourceCount = resource + 1
    this.scopeCount = scope + 1
  }

  static async open(rows: TraceRows): Promise<SpanTable | undefined> {
    const structure = (await rows.columns(['rs.ss.Spans.StatusCode'])).get('rs.ss.Spans.StatusCode')
    return structure === undefined ? undefined : new SpanTable(rows, structure)
  }

  #countOf(level: Level): number {
    switch (level) {
      case 'trace':
        return this.rows.rows
      case 'resource':
        return this.resourceCount
      case 'scope':
        return this.scopeCount
      case 'span':
        return this.spanCount
      default: {
        const from = level === 'event' ? this.eventFrom! : this.linkFrom!
        return from[this.spanCount]!
      }
    }
  }

  /** A field that was loaded. */
  column(field: Field, scope?: 'span' | 'resource'): FieldColumn {
    return this.#fields.get(scope === undefined ? fieldKey(field) : `${scope}.${(field as { name: string }).name}`)!
  }

  /**
   * Loads fields, in as few reads as possible. An attribute without scope is loaded as the span's and the resource's.
   */
  async load(fields: readonly Field[]): Promise<void> {
    const wanted = new Map<string, Field>()
    for (const field of fields) {
      const each: Field[] =
        field.kind === 'attribute' && field.scope === 'any'
          ? [
              { ...field, scope: 'span' },
              { ...field, scope: 'resource' },
            ]
          : [field]
      for (const one of each) if (!this.#fields.has(fieldKey(one))) wanted.set(fieldKey(one), one)
    }
    if (wanted.size === 0) return
    const paths = new Set<string>()
    const byPrefix = new Map<Exclude<Level, 'trace'>, Map<string, OwnPath[]>>()
    for (const field of wanted.values()) {
      if (field.kind === 'intrinsic') {
        const { path, level } = intrinsicPlaces[field.name]!
        paths.add(path)
        if (level === 'event') paths.add('rs.ss.Spans.Events.Name')
        if (level === 'link') paths.add('rs.ss.Spans.Links.SpanID')
        continue
      }
      const level = field.scope === 'instrumentation' ? 'scope' : (field.scope as Exclude<Level, 'trace' | 'scope'>)
      const own = attributePaths(this.rows.dedicated, level, field.name)
      let names = byPrefix.get(level)
      if (names === undefined) byPrefix.set(level, (names = new Map()))
      names.set(field.name, own)
      for (const { path } of own) paths.add(path)
      paths.add(`${attributePrefix[level]}.Attrs.Key`)
      if (level === 'event') paths.add('rs.ss.Spans.Events.Name')
      if (level === 'link') paths.add('rs.ss.Spans.Links.SpanID')
    }
    // Attributes with columns of their own are in the list only when their values are of another type: most often not
    // at all. Their keys say.
    const isSure = (names: ReadonlyMap<string, readonly OwnPath[]>): boolean =>
      [...names.values()].some(own => own.length === 0)
    const partsOf = (level: Exclude<Level, 'trace'>): string[] =>
      listParts.map(part => `${attributePrefix[level]}.Attrs.${part}`)
    for (const [level, names] of byPrefix) if (isSure(names)) for (const path of partsOf(level)) paths.add(path)
    const columns = new Map(await this.rows.columns([...paths]))
    const late = [...byPrefix].filter(
      ([level, names]) => !isSure(names) && hasKey(columns.get(`${attributePrefix[level]}.Attrs.Key`), names),
    )
    if (late.length > 0)
      for (const [path, data] of await this.rows.columns(late.flatMap(([level]) => partsOf(level))))
        columns.set(path, data)
    if (paths.has('rs.ss.Spans.Events.Name')) this.eventFrom ??= this.#children(columns.get('rs.ss.Spans.Events.Name'))
    if (paths.has('rs.ss.Spans.Links.SpanID')) this.linkFrom ??= this.#children(columns.get('rs.ss.Spans.Links.SpanID'))
    for (const field of wanted.values())
      if (field.kind === 'intrinsic')
        this.#fields.set(field.name, this.#intrinsic(intrinsicPlaces[field.name]!, columns))
    for (const [level, names] of byPrefix) this.#attributes(level, names, columns)
  }

  /** Where each span's events or links begin. */
  #children(data: ColumnData | undefined): Int32Array {
    const from = new Int32Array(this.spanCount + 1)
    if (data === undefined) return from
    let span = -1
    let child = 0
    for (let i = 0; i < data.count; i++) {
      const d = data.def![i]!
      if (data.rep![i]! <= 3 && d >= 3) from[++span] = child
      if (d >= 4) child++
    }
    from[this.spanCount] = child
    return from
  }

  #intrinsic({ path, level, type, read }: IntrinsicPlace, columns: ReadonlyMap<string, ColumnData>): FieldColumn {
    const column = new FieldColumn(level, this.#countOf(level))
    const data = columns.get(path)
    if (data === undefined) return column
    // Every owner has exactly one value.
    for (let k = 0; k < data.valueCount; k++) {
      column.type[k] = type
      if (read === 'text') column.text[k] = textAt(data, k)
      else if (read === 'hex') column.text[k] = Buffer.from(bytesAt(data, k)).toString('hex')
      else column.num[k] = data.ints === undefined ? Number(data.longs![k]!) : data.ints[k]!
    }
    return column
  }

  #attributes(
    level: Exclude<Level, 'trace'>,
    names: ReadonlyMap<string, readonly OwnPath[]>,
    columns: ReadonlyMap<string, ColumnData>,
  ): void {
    const owner = ownerRep[level]
    const count = this.#countOf(level)
    const targets = [...names.keys()].map(name => {
      const column = new FieldColumn(level, count)
      this.#fields.set(`${level === 'scope' ? 'instrumentation' : level}.${name}`, column)
      return { name, column }
    })
    const part = (name: string): ColumnData | undefined => columns.get(`${attributePrefix[level]}.Attrs.${name}`)
    const key = part('Key')
    if (key !== undefined) {
      // By attribute: which of the wanted ones it is (from 1), and whose.
      const found = findKeys(
        key,
        targets.map(t => t.name),
        owner,
      )
      if (found !== undefined) {
        const give = (
          data: ColumnData | undefined,
          type: number,
          num: (k: number) => number,
          isText: boolean,
        ): void => {
          if (data !== undefined)
            eachValue(data, owner, (attribute, k) => {
              const target = found.which[attribute]!
              if (target > 0)
                targets[target - 1]!.column.add(
                  found.owners[attribute]!,
                  type,
                  isText ? 0 : num(k),
                  isText ? textAt(data, k) : '',
                )
            })
        }
        const ints = part('ValueInt')
        const doubles = part('ValueDouble')
        const bools = part('ValueBool')
        give(part('Value'), valueType.string, () => 0, true)
        give(ints, valueType.int, k => Number(ints!.longs![k]!), false)
        give(doubles, valueType.float, k => doubles!.doubles![k]!, false)
        give(bools, valueType.bool, k => bools!.bools![k]!, false)
        const isArray = part('IsArray')
        if (isArray !== undefined)
          markArrays(
            isArray,
            found,
            targets.map(t => t.column),
          )
      }
    }
    for (const { name, column } of targets)
      for (const { path, type } of names.get(name)!) {
        const data = columns.get(path)
        if (data !== undefined) readOwn(data, type, owner, column)
      }
  }
}

const listParts = ['IsArray', 'Value', 'ValueInt', 'ValueDouble', 'ValueBool'] as const

/** Whether one of the names is a key of the list. */
function hasKey(key: ColumnData | undefined, names: ReadonlyMap<string, unknown>): boolean {
  if (key?.texts === undefined) return false
  for (let t = 0; t < key.texts.count; t++) if (names.has(key.texts.text(t))) return true
  return false
}

/** A column of its own: one value or several for each owner. */
function readOwn(data: ColumnData, type: 'string' | 'int', owner: number, column: FieldColumn): void {
  const { rep, def, count } = data
  const { maxDef } = data.column
  let at = -1
  let k = 0
  for (let i = 0; i < count; i++) {
    const d = def === undefined ? maxDef : def[i]!
    if ((rep === undefined ? 0 : rep[i]!) <= owner && d >= Math.min(owner, maxDef)) at++
    if (d < maxDef) continue
    if (type === 'string') {
      const text = textAt(data, k)
      // The resource's name is there in any case, empty when it was not told.
      if (!data.column.path.endsWith('Resource.ServiceName') || text !== '') column.add(at, valueType.string, 0, text)
    } else column.add(at, valueType.int, Number(data.longs![k]!), '')
    k++
  }
}

interface FoundKeys {
  which: Int32Array
  owners: Int32Array
  count: number
}

function findKeys(key: ColumnData, names: readonly string[], owner: number): FoundKeys | undefined {
  const texts = key.texts!
  const numberOf = new Int32Array(texts.count)
  let some = false
  for (let t = 0; t < texts.count; t++) {
    const n = names.indexOf(texts.text(t)) + 1
    numberOf[t] = n
    if (n > 0) some = true
  }
  if (!some) return undefined
  const which = new Int32Array(key.valueCount)
  const owners = new Int32Array(key.valueCount)
  const { rep, def, count } = key
  let at = -1
  let k = 0
  for (let i = 0; i < count; i++) {
    if (rep![i]! <= owner && def![i]! >= owner) at++
    if (def![i]! <= owner) continue
    which[k] = numberOf[key.indices === undefined ? k : key.indices[k]!]!
    owners[k++] = at
  }
  return { which, owners, count: k }
}

/** Calls with the number of the attribute and of the value. */
function eachValue(data: ColumnData, owner: number, visit: (attribute: number, k: number) => void): void {
  const { rep, def, count } = data
  if (data.valueCount === 0) return
  let attribute = -1
  let k = 0
  for (let i = 0; i < count; i++) {
    const d = def![i]!
    if (d > owner && rep![i]! <= owner + 1) attribute++
    if (d === owner + 2) visit(attribute, k++)
  }
}

function markArrays(isArray: ColumnData, { which, owners, count }: FoundKeys, columns: readonly FieldColumn[]): void {
  for (let k = 0; k < count; k++) {
    if (which[k] === 0 || isArray.bools![k] !== 1) continue
    const column = columns[which[k]! - 1]!
    const owner = owners[k]!
    const value = column.at(owner)
    column.lists ??= new Map()
    if (!column.lists.has(owner)) column.lists.set(owner, value === undefined ? [] : [value])
  }
}

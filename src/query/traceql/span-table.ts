/**
 * The spans of a row group as a query sees them: which trace, resource and scope each belongs to, and fields as
 * columns, which `load` reads.
 */
import { textAt, type ColumnData } from '#codec/parquet/column-data.ts'
import { assert } from '#core/assert.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Field, Intrinsic } from '#lang/traceql/ast.ts'
import { fieldKey } from '#lang/traceql/fields.ts'
import { attributePaths, type OwnPath, type TraceRows } from '#traces/select.ts'
import { boolsOf, hexReader, levelsOf, longsOf, textsOf, withoutZeros } from './columns.ts'
import { digitsOf } from './whole.ts'

/** Types of values; `kind` and `status` are numbers of OTLP. */
export const valueType = { none: 0, string: 1, int: 2, float: 3, bool: 4, duration: 5, status: 6, kind: 7 } as const
/** The owner of a field. */
export type Level = 'trace' | 'resource' | 'scope' | 'span' | 'event' | 'link'

/** One value: its type, and the number or the text that it is. Numbers beyond 2^53 have their digits as text. */
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
  /** Owners that have the attribute in a type that no value here is of: bytes, maps, arrays of arrays. */
  others: Set<number> | undefined
  /** Owners that have a value. */
  filled = 0

  constructor(level: Level, count: number) {
    this.level = level
    this.type = new Uint8Array(count)
    this.num = new Float64Array(count)
    this.text = []
  }

  /** Gives an owner one more value. */
  add(owner: number, type: number, num: number, text: string): void {
    if (this.type[owner] === valueType.none) {
      this.filled++
      this.type[owner] = type
      this.num[owner] = num
      if (text !== '' || type === valueType.string) this.text[owner] = text
      return
    }
    this.lists ??= new Map()
    const list = this.lists.get(owner)
    if (list !== undefined) list.push({ type, num, text })
    else {
      const first = { type: this.type[owner]!, num: this.num[owner]!, text: this.text[owner] ?? '' }
      this.lists.set(owner, [first, { type, num, text }])
    }
  }

  /** Whether no owner has the attribute. */
  get isEmpty(): boolean {
    return this.filled === 0 && this.lists === undefined && this.others === undefined
  }

  /** Whether the owner has the attribute, in whatever type. */
  has(owner: number): boolean {
    return this.type[owner] !== valueType.none || this.lists?.has(owner) === true || this.others?.has(owner) === true
  }

  /** The owner's first value. */
  at(owner: number): Value | undefined {
    const type = this.type[owner]!
    return type === valueType.none ? undefined : { type, num: this.num[owner]!, text: this.text[owner] ?? '' }
  }
}

const ownerRep: Record<Level, number> = { trace: 0, resource: 1, scope: 2, span: 3, event: 4, link: 4 }
/** By scope of TraceQL, the column group whose attributes it means. */
export const scopePaths = {
  resource: 'rs.Resource',
  span: 'rs.ss.Spans',
  event: 'rs.ss.Spans.Events',
  link: 'rs.ss.Spans.Links',
  instrumentation: 'rs.ss.Scope',
} as const
/** A scope of TraceQL that attributes belong to. */
export type TagScope = keyof typeof scopePaths
export type AttributeLevel = Exclude<Level, 'trace'>

/** The column of one part of a level's attributes. */
function partPath(level: AttributeLevel, part: string): string {
  return `${scopePaths[level === 'scope' ? 'instrumentation' : level]}.Attrs.${part}`
}

interface IntrinsicPlace {
  path: string
  level: Level
  type: number
  /** `trace-id`: without the zeros before it. */
  read: 'text' | 'hex' | 'trace-id' | 'number'
}
const intrinsicPlaces = {
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
  'trace:id': { path: 'TraceID', level: 'trace', type: valueType.string, read: 'trace-id' },
  'event:name': { path: 'rs.ss.Spans.Events.Name', level: 'event', type: valueType.string, read: 'text' },
  'event:timeSinceStart': {
    path: 'rs.ss.Spans.Events.TimeSinceStartNano',
    level: 'event',
    type: valueType.duration,
    read: 'number',
  },
  'link:traceID': { path: 'rs.ss.Spans.Links.TraceID', level: 'link', type: valueType.string, read: 'trace-id' },
  'link:spanID': { path: 'rs.ss.Spans.Links.SpanID', level: 'link', type: valueType.string, read: 'hex' },
  'instrumentation:name': { path: 'rs.ss.Scope.Name', level: 'scope', type: valueType.string, read: 'text' },
  'instrumentation:version': { path: 'rs.ss.Scope.Version', level: 'scope', type: valueType.string, read: 'text' },
} as const satisfies Record<Intrinsic, IntrinsicPlace>

/** Where the spans of a row group are: their traces, resources and scopes. */
interface Structure {
  spanCount: number
  resourceCount: number
  scopeCount: number
  traceOf: Int32Array
  resourceOf: Int32Array
  scopeOf: Int32Array
  spanFrom: Int32Array
}

/** By the column that it was read from: it is kept for as long as that is. */
const structures = new WeakMap<ColumnData, Structure>()

function structureOf(data: ColumnData, rows: number): Structure {
  let structure = structures.get(data)
  if (structure === undefined) structures.set(data, (structure = readStructure(data, rows)))
  return structure
}

function readStructure(data: ColumnData, rows: number): Structure {
  const { count, valueCount } = data
  const { rep, def } = levelsOf(data)
  const traceOf = new Int32Array(valueCount)
  const resourceOf = new Int32Array(valueCount)
  const scopeOf = new Int32Array(valueCount)
  const spanFrom = new Int32Array(rows + 1)
  let row = -1
  let resource = -1
  let scope = -1
  let span = 0
  for (let i = 0; i < count; i++) {
    const r = rep[i]!
    const d = def[i]!
    if (r === 0) spanFrom[++row] = span
    if (r <= 1 && d >= 1) resource++
    if (r <= 2 && d >= 2) scope++
    if (d < 3) continue
    traceOf[span] = row
    resourceOf[span] = resource
    scopeOf[span++] = scope
  }
  spanFrom[rows] = span
  return {
    spanCount: valueCount,
    resourceCount: resource + 1,
    scopeCount: scope + 1,
    traceOf,
    resourceOf,
    scopeOf,
    spanFrom,
  }
}

/** A text that every span of an answer has in a field. */
export interface Required {
  field: Field
  text: string
}

/** Spans are numbered in the order of the rows; fields are columns by owner. */
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

  private constructor(rows: TraceRows, structure: Structure) {
    this.rows = rows
    this.spanCount = structure.spanCount
    this.resourceCount = structure.resourceCount
    this.scopeCount = structure.scopeCount
    this.traceOf = structure.traceOf
    this.resourceOf = structure.resourceOf
    this.scopeOf = structure.scopeOf
    this.spanFrom = structure.spanFrom
  }

  /** The table of a row group; undefined where it has no spans. */
  /** `fields` will be loaded, and the columns `more` be read: where requests cost, all of them are read together. */
  static async open(
    rows: TraceRows,
    fields: readonly Field[] = [],
    more: readonly string[] = [],
  ): Promise<SpanTable | undefined> {
    rows.ahead?.([structurePath, ...pathsOf(rows, fields), ...more])
    const structure = (await rows.columns([structurePath])).get(structurePath)
    return structure === undefined ? undefined : new SpanTable(rows, structureOf(structure, rows.rows))
  }

  /** How many owners a level has. */
  countOf(level: Level): number {
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
        const from = level === 'event' ? this.eventFrom : this.linkFrom
        assert(from !== undefined, 'fields of events or links are read before their places')
        return from[this.spanCount]!
      }
    }
  }

  /** A field that was loaded; of an attribute without scope, that of the span or of the resource. */
  column(field: Field, scope?: 'span' | 'resource'): FieldColumn {
    const column = this.#fields.get(fieldKey(scope === undefined ? field : scoped(field, scope)))
    assert(column !== undefined, `the field ${field.text} is not loaded`)
    return column
  }

  /**
   * Loads fields, in as few reads as possible. An attribute without scope is loaded as the span's and the resource's.
   * False, with nothing loaded, where the dictionaries of the columns show that no span has a text that is `required`.
   */
  async load(fields: readonly Field[], required: readonly Required[] = []): Promise<boolean> {
    const wanted = ownersOf(fields).filter(one => !this.#fields.has(fieldKey(one)))
    if (wanted.length === 0) return true
    const intrinsics = intrinsicsOf(wanted)
    const attributes = attributesOf(this.rows, wanted)
    const columns = await this.#read(intrinsics, attributes)
    if (required.some(one => this.#isAbsent(one, columns))) return false
    for (const name of intrinsics) this.#fields.set(name, this.#intrinsic(intrinsicPlaces[name], columns))
    for (const [level, names] of attributes) this.#attributes(level, names, columns)
    return true
  }

  /** Do the dictionaries of all columns that may have the text show that none has? */
  #isAbsent({ field, text }: Required, columns: ReadonlyMap<string, ColumnData>): boolean {
    const bytes = encodeUtf8(text)
    return this.#textPathsOf(field).every(path => {
      const data = columns.get(path)
      return data === undefined || (data.indices !== undefined && !textsOf(data).includes(bytes))
    })
  }

  /** Columns that may have texts of the field. */
  #textPathsOf(field: Field): string[] {
    if (field.kind === 'intrinsic') return [intrinsicPlaces[field.name].path]
    if (field.scope === 'any') return (['span', 'resource'] as const).flatMap(s => this.#textPathsOf(scoped(field, s)))
    const level = field.scope === 'instrumentation' ? 'scope' : field.scope
    const own = attributePaths(this.rows.dedicated, level, field.name).map(({ path }) => path)
    return [partPath(level, 'Value'), ...own]
  }

  /** Reads the columns that the fields need, and where events and links begin. */
  async #read(
    intrinsics: readonly Intrinsic[],
    attributes: ReadonlyMap<AttributeLevel, ReadonlyMap<string, readonly OwnPath[]>>,
  ): Promise<ReadonlyMap<string, ColumnData>> {
    const levels = levelsOfFields(intrinsics, attributes)
    const paths = columnPaths(intrinsics, attributes)
    const columns = new Map(await this.rows.columns(paths))
    const late = [...attributes].filter(
      ([level, names]) => !isListed(names) && hasKey(columns.get(partPath(level, 'Key')), names),
    )
    const latePaths = late.flatMap(([level]) => listParts.map(part => partPath(level, part)))
    if (latePaths.length > 0) for (const [path, data] of await this.rows.columns(latePaths)) columns.set(path, data)
    if (levels.has('event')) this.eventFrom ??= this.#children(columns.get(eventPath))
    if (levels.has('link')) this.linkFrom ??= this.#children(columns.get(linkPath))
    return columns
  }

  /** Where each span's events or links begin. */
  #children(data: ColumnData | undefined): Int32Array {
    const from = new Int32Array(this.spanCount + 1)
    if (data === undefined) return from
    const { rep, def } = levelsOf(data)
    let span = -1
    let child = 0
    for (let i = 0; i < data.count; i++) {
      const d = def[i]!
      if (rep[i]! <= 3 && d >= 3) from[++span] = child
      if (d >= 4) child++
    }
    from[this.spanCount] = child
    return from
  }

  /** Every owner has exactly one value. */
  #intrinsic({ path, level, type, read }: IntrinsicPlace, columns: ReadonlyMap<string, ColumnData>): FieldColumn {
    const column = new FieldColumn(level, this.countOf(level))
    const data = columns.get(path)
    if (data === undefined) return column
    const count = data.valueCount
    for (let k = 0; k < count; k++) column.type[k] = type
    if (read === 'text') for (let k = 0; k < count; k++) column.text[k] = textAt(data, k)
    else if (read === 'hex' || read === 'trace-id') {
      const hexAt = hexReader(data)
      for (let k = 0; k < count; k++) {
        const hex = hexAt(k)
        column.text[k] = read === 'hex' ? hex : withoutZeros(hex)
        // A root has no parent's id.
        if (hex === '') column.type[k] = valueType.none
      }
    } else if (data.ints !== undefined) for (let k = 0; k < count; k++) column.num[k] = data.ints[k]!
    else {
      const longs = longsOf(data)
      for (let k = 0; k < count; k++) {
        const num = (column.num[k] = Number(longs[k]!))
        if (num > Number.MAX_SAFE_INTEGER) column.text[k] = String(longs[k]!)
      }
    }
    return column
  }

  #attributes(
    level: AttributeLevel,
    names: ReadonlyMap<string, readonly OwnPath[]>,
    columns: ReadonlyMap<string, ColumnData>,
  ): void {
    const owner = ownerRep[level]
    const targets: FieldColumn[] = []
    for (const name of names.keys()) {
      const column = new FieldColumn(level, this.countOf(level))
      this.#fields.set(`${level === 'scope' ? 'instrumentation' : level}.${name}`, column)
      targets.push(column)
    }
    const partOf = (part: string): ColumnData | undefined => columns.get(partPath(level, part))
    const key = partOf('Key')
    const found = key === undefined ? undefined : findKeys(key, [...names.keys()], owner)
    if (found !== undefined) {
      readList(partOf, found, owner, targets)
      markOthers(found, targets)
    }
    for (const [t, own] of [...names.values()].entries())
      for (const { path, type } of own) {
        const data = columns.get(path)
        if (data !== undefined && data.valueCount > 0) readOwn(data, type, owner, targets[t]!)
      }
  }
}

/** Where children of span `i` begin; -1 for none. */
export function firstChild(from: Int32Array | undefined, i: number): number {
  return from !== undefined && from[i]! < from[i + 1]! ? from[i]! : -1
}

function scoped(field: Field, scope: 'span' | 'resource'): Field {
  return field.kind === 'attribute' ? { ...field, scope } : field
}

/** Columns that every event and every link has. */
/** Which spans there are. */
const structurePath = 'rs.ss.Spans.StatusCode'
const eventPath = 'rs.ss.Spans.Events.Name'
const linkPath = 'rs.ss.Spans.Links.SpanID'

/** Parts of the attribute list: values by type, and which attributes are arrays. */
const valueParts = [
  { part: 'Value', type: valueType.string },
  { part: 'ValueInt', type: valueType.int },
  { part: 'ValueDouble', type: valueType.float },
  { part: 'ValueBool', type: valueType.bool },
] as const
const listParts = ['IsArray', ...valueParts.map(p => p.part)]

/** Whether one of the names is a key of the list. */
function hasKey(key: ColumnData | undefined, names: ReadonlyMap<string, unknown>): boolean {
  if (key?.texts === undefined) return false
  for (let t = 0; t < key.texts.count; t++) if (names.has(key.texts.text(t))) return true
  return false
}

/** Values of the attribute list, whose keys were found. */
function readList(
  partOf: (part: string) => ColumnData | undefined,
  found: FoundKeys,
  owner: number,
  targets: readonly FieldColumn[],
): void {
  for (const { part, type } of valueParts) {
    const data = partOf(part)
    if (data !== undefined && data.valueCount > 0) readValues(data, type, found, owner, targets)
  }
  const isArray = partOf('IsArray')
  if (isArray !== undefined) markArrays(isArray, found, targets)
}

/** Gives the owners of what was found their values of one type. */
function readValues(
  data: ColumnData,
  type: number,
  found: FoundKeys,
  owner: number,
  targets: readonly FieldColumn[],
): void {
  const { count, attributes } = found
  const { rep, def } = levelsOf(data)
  let attribute = -1
  let k = -1
  for (let i = 0, p = 0; p < count && i < data.count; i++) {
    const d = def[i]!
    if (d <= owner) continue
    if (rep[i]! <= owner + 1) attribute++
    const isValue = d === owner + 2
    if (isValue) k++
    if (attribute < attributes[p]!) continue
    // A list has several entries of one attribute.
    if (attribute > attributes[p]!) p++
    if (isValue && p < count && attribute === attributes[p]!)
      addValue(data, k, type, targets[found.targets[p]!]!, found.owners[p]!)
  }
}

function addValue(data: ColumnData, k: number, type: number, column: FieldColumn, owner: number): void {
  const { longs } = data
  const numbers = data.doubles ?? data.bools
  if (longs !== undefined) column.add(owner, type, Number(longs[k]!), digitsOf(longs[k]!))
  else if (numbers !== undefined) column.add(owner, type, numbers[k]!, '')
  else column.add(owner, type, 0, textAt(data, k))
}

/** Attributes whose values are of none of the types are there all the same. */
function markOthers({ owners, targets: of, count, keys }: FoundKeys, targets: readonly FieldColumn[]): void {
  // Where as many owners have a value as there are keys, none is without.
  if (targets.every((column, t) => column.filled === keys[t])) return
  for (let p = 0; p < count; p++) {
    const column = targets[of[p]!]!
    if (!column.has(owners[p]!)) (column.others ??= new Set()).add(owners[p]!)
  }
}

/** A column of its own: one value or several for each owner. */
function readOwn(data: ColumnData, type: 'string' | 'int', owner: number, column: FieldColumn): void {
  const { rep, def, count } = data
  const { maxDef, path } = data.column
  const longs = type === 'int' ? longsOf(data) : undefined
  // The resource's name is there in any case, empty when the sender gave none, or one of another type.
  const isOptional = !path.endsWith('Resource.ServiceName')
  let at = -1
  let k = 0
  for (let i = 0; i < count; i++) {
    const d = def === undefined ? maxDef : def[i]!
    if ((rep === undefined ? 0 : rep[i]!) <= owner && d >= Math.min(owner, maxDef)) at++
    if (d < maxDef) continue
    if (longs !== undefined) column.add(at, valueType.int, Number(longs[k]!), digitsOf(longs[k]!))
    else {
      const text = textAt(data, k)
      if (isOptional || text !== '' || !column.has(at)) column.add(at, valueType.string, 0, text)
    }
    k++
  }
}

/** The attributes of a list that have one of the wanted names, in the order of the list. */
interface FoundKeys {
  count: number
  /** Their numbers in the list. */
  attributes: Int32Array
  owners: Int32Array
  /** Which of the names each has. */
  targets: Int32Array
  /** Attributes of each name. */
  keys: Int32Array
}

function findKeys(key: ColumnData, names: readonly string[], owner: number): FoundKeys | undefined {
  const texts = textsOf(key)
  const targetOf = new Int32Array(texts.count)
  let some = false
  for (let t = 0; t < texts.count; t++) {
    targetOf[t] = names.indexOf(texts.text(t))
    if (targetOf[t]! >= 0) some = true
  }
  if (!some) return undefined
  const found = roomForKeys(key, targetOf, names.length)
  const { attributes, owners, targets } = found
  const { indices } = key
  const { rep, def } = levelsOf(key)
  let at = -1
  let k = 0
  let p = 0
  for (let i = 0; p < found.count; i++) {
    const d = def[i]!
    if (d >= owner && rep[i]! <= owner) at++
    if (d <= owner) continue
    const target = targetOf[indices === undefined ? k : indices[k]!]!
    if (target >= 0) {
      attributes[p] = k
      owners[p] = at
      targets[p++] = target
    }
    k++
  }
  return found
}

/** How many attributes have which name, and room for all of them. */
function roomForKeys({ indices, valueCount }: ColumnData, targetOf: Int32Array, names: number): FoundKeys {
  const keys = new Int32Array(names)
  let count = 0
  for (let k = 0; k < valueCount; k++) {
    const target = targetOf[indices === undefined ? k : indices[k]!]!
    if (target < 0) continue
    keys[target]!++
    count++
  }
  return {
    count,
    keys,
    attributes: new Int32Array(count),
    owners: new Int32Array(count),
    targets: new Int32Array(count),
  }
}

/** The different names of attributes that the owners of a level have; `owners` has a 1 for each of them. */
export function namesOf(key: ColumnData, level: AttributeLevel, owners: Uint8Array): Set<string> {
  const found = new Uint8Array(textsOf(key).count)
  const names = new Set<string>()
  const owner = ownerRep[level]
  const { indices } = key
  const { rep, def } = levelsOf(key)
  let at = -1
  let k = 0
  for (let i = 0; i < key.count; i++) {
    if (rep[i]! <= owner && def[i]! >= owner) at++
    if (def[i]! <= owner) continue
    const text = indices === undefined ? k : indices[k]!
    if (owners[at] === 1 && found[text] === 0) {
      found[text] = 1
      names.add(textAt(key, k))
    }
    k++
  }
  return names
}

/** Whether one of the owners has a value in a column of its own; `owners` has a 1 for each of them. */
export function hasOwn(data: ColumnData, level: AttributeLevel, owners: Uint8Array): boolean {
  const owner = ownerRep[level]
  const { rep, def, count } = data
  const { maxDef } = data.column
  let at = -1
  for (let i = 0; i < count; i++) {
    const d = def === undefined ? maxDef : def[i]!
    if ((rep === undefined ? 0 : rep[i]!) <= owner && d >= Math.min(owner, maxDef)) at++
    if (d >= maxDef && owners[at] === 1) return true
  }
  return false
}

/** Attributes that are arrays get a list, however many values they have. */
function markArrays(isArray: ColumnData, found: FoundKeys, columns: readonly FieldColumn[]): void {
  const bools = boolsOf(isArray)
  const { count, attributes, owners, targets } = found
  for (let p = 0; p < count; p++) {
    if (bools[attributes[p]!] !== 1) continue
    const column = columns[targets[p]!]!
    const owner = owners[p]!
    const value = column.at(owner)
    column.lists ??= new Map()
    if (!column.lists.has(owner)) column.lists.set(owner, value === undefined ? [] : [value])
  }
}

type AttributeNames = Map<AttributeLevel, Map<string, OwnPath[]>>

/** The fields, each once; an attribute without scope as the span's and the resource's. */
function ownersOf(fields: readonly Field[]): Field[] {
  const owners = new Map<string, Field>()
  for (const field of fields) {
    const isAny = field.kind === 'attribute' && field.scope === 'any'
    for (const one of isAny ? [scoped(field, 'span'), scoped(field, 'resource')] : [field])
      owners.set(fieldKey(one), one)
  }
  return [...owners.values()]
}

function intrinsicsOf(fields: readonly Field[]): Intrinsic[] {
  return fields.flatMap(field => (field.kind === 'intrinsic' ? [field.name] : []))
}

/** By level, the names of the attributes among the fields, with the columns of their own that they may have. */
function attributesOf({ dedicated }: TraceRows, fields: readonly Field[]): AttributeNames {
  const byLevel: AttributeNames = new Map()
  for (const field of fields) {
    if (field.kind === 'intrinsic' || field.scope === 'any') continue
    const level = field.scope === 'instrumentation' ? 'scope' : field.scope
    let names = byLevel.get(level)
    if (names === undefined) byLevel.set(level, (names = new Map()))
    names.set(field.name, attributePaths(dedicated, level, field.name))
  }
  return byLevel
}

function levelsOfFields(
  intrinsics: readonly Intrinsic[],
  attributes: ReadonlyMap<AttributeLevel, unknown>,
): ReadonlySet<Level> {
  return new Set<Level>([...attributes.keys(), ...intrinsics.map(name => intrinsicPlaces[name].level)])
}

/**
 * Attributes with columns of their own are in the list only when their values have another type, which is rare: the
 * rest of the list is read only when their keys occur.
 */
function isListed(names: ReadonlyMap<string, readonly OwnPath[]>): boolean {
  return [...names.values()].some(own => own.length === 0)
}

/** The columns that are read of fields, as far as they are known before any is read. */
function columnPaths(
  intrinsics: readonly Intrinsic[],
  attributes: ReadonlyMap<AttributeLevel, ReadonlyMap<string, readonly OwnPath[]>>,
): string[] {
  const paths = new Set<string>(intrinsics.map(name => intrinsicPlaces[name].path))
  const levels = levelsOfFields(intrinsics, attributes)
  if (levels.has('event')) paths.add(eventPath)
  if (levels.has('link')) paths.add(linkPath)
  for (const [level, names] of attributes) {
    for (const own of names.values()) for (const { path } of own) paths.add(path)
    paths.add(partPath(level, 'Key'))
    if (isListed(names)) for (const part of listParts) paths.add(partPath(level, part))
  }
  return [...paths]
}

/** Columns that fields are read from; which others an attribute takes shows when its list is read. */
export function pathsOf(rows: TraceRows, fields: readonly Field[]): string[] {
  const owners = ownersOf(fields)
  return columnPaths(intrinsicsOf(owners), attributesOf(rows, owners))
}

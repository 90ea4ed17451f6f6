/**
 * The Parquet schemas of blocks: vParquet5, and vParquet4 as it differs. Form: docs/formats/tempo-block.md.
 */
import {
  columnsOf,
  type Column,
  type LeafEncoding,
  type LeafType,
  type Repetition,
  type SchemaGroup,
  type SchemaLeaf,
  type SchemaNode,
} from '#codec/parquet/schema.ts'

export type DedicatedScope = 'resource' | 'span' | 'event'
/** An attribute with a column of its own. */
export interface DedicatedColumn {
  scope: DedicatedScope
  name: string
  type: 'string' | 'int'
  isBlob: boolean
}

export type BlockFormat = 'vParquet4' | 'vParquet5'
/** How blocks are written. */
export interface BlockLayout {
  format: BlockFormat
  dedicated: readonly DedicatedColumn[]
}

const dedicatedStringsMax = 20
const dedicatedStringsMaxOf4 = 10
const dedicatedIntsMax = 5

/** Tempo's default list, in its order. */
export const defaultDedicated: readonly DedicatedColumn[] = [
  ...['k8s.cluster.name', 'k8s.namespace.name', 'k8s.pod.name', 'k8s.container.name'].map((name): DedicatedColumn => ({
    scope: 'resource',
    name,
    type: 'string',
    isBlob: false,
  })),
  ...(
    [
      ['http.request.method', 'string'],
      ['http.response.status_code', 'int'],
      ['url.path', 'string'],
      ['url.route', 'string'],
      ['server.address', 'string'],
      ['server.port', 'int'],
      ['http.method', 'string'],
      ['http.url', 'string'],
      ['http.route', 'string'],
      ['http.status_code', 'int'],
    ] as const
  ).map(([name, type]): DedicatedColumn => ({
    scope: 'span',
    name,
    type,
    isBlob: false,
  })),
]

/** The spare column of each entry of the list, by scope and attribute; entries beyond the spare ones have none. */
export function dedicatedPlaces(
  list: readonly DedicatedColumn[],
): Map<string, { column: string; type: 'string' | 'int' }> {
  const places = new Map<string, { column: string; type: 'string' | 'int' }>()
  const used = new Map<string, number>()
  for (const { scope, name, type } of list) {
    const kind = `${scope} ${type}`
    const number = (used.get(kind) ?? 0) + 1
    if (number > (type === 'int' ? dedicatedIntsMax : dedicatedStringsMax)) continue
    used.set(kind, number)
    places.set(`${scope} ${name}`, {
      column: `${type === 'int' ? 'Int' : 'String'}${String(number).padStart(2, '0')}`,
      type,
    })
  }
  return places
}

const leaf = (
  name: string,
  type: LeafType,
  encoding: LeafEncoding,
  isSnappy = false,
  repetition: Repetition = 'required',
): SchemaLeaf => ({ name, repetition, type, encoding, isSnappy })
const group = (name: string, repetition: Repetition, children: SchemaNode[]): SchemaGroup => ({
  name,
  repetition,
  children,
})

function attributes(): SchemaGroup {
  return group('Attrs', 'repeated', [
    leaf('Key', 'text', 'dictionary', true),
    leaf('IsArray', 'bool', 'plain', true),
    leaf('Value', 'text', 'dictionary', true, 'repeated'),
    leaf('ValueInt', 'i64', 'plain', true, 'repeated'),
    leaf('ValueDouble', 'f64', 'plain', true, 'repeated'),
    leaf('ValueBool', 'bool', 'plain', true, 'repeated'),
    leaf('ValueUnsupported', 'text', 'delta-length', true, 'optional'),
  ])
}

function dedicated(list: readonly DedicatedColumn[], scope: DedicatedScope): SchemaGroup[] {
  const places = dedicatedPlaces(list)
  const own = list
    .filter(c => c.scope === scope)
    .flatMap(c => {
      const place = places.get(`${scope} ${c.name}`)
      return place === undefined ? [] : [{ ...place, isBlob: c.isBlob }]
    })
  if (own.length === 0) return []
  const strings = own.filter(c => c.type === 'string')
  const ints = own.filter(c => c.type === 'int')
  return [
    group('DedicatedAttributes', 'required', [
      ...strings.map(c => leaf(c.column, 'text', c.isBlob ? 'delta-length' : 'dictionary', true, 'repeated')),
      ...ints.map(c => leaf(c.column, 'i64', 'plain', true, 'repeated')),
    ]),
  ]
}

/** vParquet4 has no columns for integers and events, and some attributes have columns of fixed names there. */
export function layoutOf(format: BlockFormat, list: readonly DedicatedColumn[]): BlockLayout {
  if (format === 'vParquet5') return { format, dedicated: list }
  const fitting = list.filter(
    c =>
      c.type === 'string' &&
      c.scope !== 'event' &&
      !fixedColumnsOf4.some(([scope, name]) => scope === c.scope && name === c.name),
  )
  return {
    format,
    dedicated: (['resource', 'span'] as const).flatMap(scope =>
      fitting.filter(c => c.scope === scope).slice(0, dedicatedStringsMaxOf4),
    ),
  }
}

export function schemaOf({ format, dedicated: list }: BlockLayout): SchemaGroup {
  return format === 'vParquet5' ? schemaOf5(list) : schemaOf4(list)
}

const dropped = (name: string): SchemaLeaf => leaf(name, 'i32', 'delta', true)

/** What a row says of its trace as a whole. */
const traceLeaves: readonly SchemaLeaf[] = [
  leaf('TraceID', 'bytes', 'delta-length'),
  leaf('TraceIDText', 'text', 'delta-length', true),
  leaf('StartTimeUnixNano', 'u64', 'delta'),
  leaf('EndTimeUnixNano', 'u64', 'delta'),
  leaf('DurationNano', 'u64', 'delta'),
  leaf('RootServiceName', 'text', 'dictionary'),
  leaf('RootSpanName', 'text', 'dictionary'),
]
/** Ids and places of a span. */
const spanPlaceLeaves: readonly SchemaLeaf[] = [
  leaf('SpanID', 'bytes', 'delta-length'),
  leaf('ParentSpanID', 'bytes', 'delta-length'),
  leaf('ParentID', 'i32', 'delta'),
  leaf('NestedSetLeft', 'i32', 'delta'),
  leaf('NestedSetRight', 'i32', 'delta'),
]
const spanLeaves: readonly SchemaLeaf[] = [
  leaf('Name', 'text', 'dictionary', true),
  leaf('Kind', 'i64', 'delta'),
  leaf('TraceState', 'text', 'delta-length', true),
  leaf('StartTimeUnixNano', 'u64', 'delta'),
  leaf('DurationNano', 'u64', 'delta'),
  leaf('StatusCode', 'i64', 'delta'),
  leaf('StatusMessage', 'text', 'delta-length', true),
]
/** The same in both formats, but for how they write lists of attributes. */
const scopeChildren = (attributeList: SchemaGroup): SchemaNode[] => [
  leaf('Name', 'text', 'dictionary', true),
  leaf('Version', 'text', 'dictionary', true),
  attributeList,
  dropped('DroppedAttributesCount'),
]
const eventChildren = (attributeList: SchemaGroup): SchemaNode[] => [
  leaf('TimeSinceStartNano', 'u64', 'delta'),
  leaf('Name', 'text', 'dictionary', true),
  attributeList,
  dropped('DroppedAttributesCount'),
]
const linkChildren = (attributeList: SchemaGroup): SchemaNode[] => [
  leaf('TraceID', 'bytes', 'delta-length'),
  leaf('SpanID', 'bytes', 'delta-length'),
  leaf('TraceState', 'text', 'delta-length', true),
  attributeList,
  dropped('DroppedAttributesCount'),
]

function schemaOf5(list: readonly DedicatedColumn[]): SchemaGroup {
  return group('Trace', 'required', [
    ...traceLeaves,
    group('ServiceStats', 'repeated', [
      leaf('ServiceName', 'text', 'dictionary', true),
      leaf('SpanCount', 'u32', 'delta'),
      leaf('ErrorCount', 'u32', 'delta'),
    ]),
    group('rs', 'repeated', [
      group('Resource', 'required', [
        leaf('ServiceName', 'text', 'dictionary', true),
        attributes(),
        dropped('DroppedAttributesCount'),
        ...dedicated(list, 'resource'),
      ]),
      group('ss', 'repeated', [
        group('Scope', 'required', scopeChildren(attributes())),
        spansOf5(list),
        leaf('SpanCount', 'i32', 'delta'),
      ]),
    ]),
  ])
}

function spansOf5(list: readonly DedicatedColumn[]): SchemaGroup {
  return group('Spans', 'repeated', [
    ...spanPlaceLeaves,
    leaf('ChildCount', 'i32', 'delta'),
    ...spanLeaves,
    attributes(),
    dropped('DroppedAttributesCount'),
    group('Events', 'repeated', [...eventChildren(attributes()), ...dedicated(list, 'event')]),
    leaf('DroppedEventsCount', 'i32', 'plain', true),
    group('Links', 'repeated', linkChildren(attributes())),
    leaf('DroppedLinksCount', 'i32', 'plain', true),
    ...dedicated(list, 'span'),
    ...[15, 60, 300, 3600].map(seconds => leaf(`StartTimeRounded${seconds}`, 'u32', 'delta')),
  ])
}

const listOf = (name: string, element: SchemaNode): SchemaGroup => ({
  name,
  repetition: 'required',
  logical: 'list',
  children: [group('list', 'repeated', [{ ...element, name: 'element' }])],
})
const listOfGroups = (name: string, children: SchemaNode[]): SchemaGroup =>
  listOf(name, group('', 'required', children))

const optional = (name: string, type: LeafType = 'text'): SchemaLeaf =>
  leaf(name, type, type === 'text' ? 'dictionary' : 'plain', true, 'optional')

/** Attributes of vParquet4. */
function attributesOf4(): SchemaGroup {
  const values = (name: string, type: LeafType, encoding: LeafEncoding): SchemaGroup =>
    listOf(name, leaf('', type, encoding, true))
  return listOfGroups('Attrs', [
    leaf('Key', 'text', 'dictionary', true),
    leaf('IsArray', 'bool', 'plain', true),
    values('Value', 'text', 'dictionary'),
    values('ValueInt', 'i64', 'plain'),
    values('ValueDouble', 'f64', 'plain'),
    values('ValueBool', 'bool', 'plain'),
    leaf('ValueUnsupported', 'text', 'delta-length', true, 'optional'),
  ])
}

/** The spare columns of a scope in vParquet4: String01, String02 ... */
function spareOf4(list: readonly DedicatedColumn[], scope: DedicatedScope): SchemaGroup {
  const places = dedicatedPlaces(list)
  const blobs = new Set(
    list.filter(c => c.scope === scope && c.isBlob).map(c => places.get(`${scope} ${c.name}`)?.column),
  )
  const names = Array.from({ length: dedicatedStringsMaxOf4 }, (_, i) => `String${String(i + 1).padStart(2, '0')}`)
  const column = (name: string): SchemaLeaf =>
    blobs.has(name) ? leaf(name, 'text', 'delta-length', true, 'optional') : optional(name)
  return group('DedicatedAttributes', 'required', names.map(column))
}

const resourceNamesOf4 = [
  'Cluster',
  'Namespace',
  'Pod',
  'Container',
  'K8sClusterName',
  'K8sNamespaceName',
  'K8sPodName',
  'K8sContainerName',
] as const

/** vParquet4: lists in wrappers, columns of fixed names, ten spare ones for each of resource and span. */
function schemaOf4(list: readonly DedicatedColumn[]): SchemaGroup {
  const counts = [leaf('SpanCount', 'u32', 'delta'), leaf('ErrorCount', 'u32', 'delta')]
  return group('Trace', 'required', [
    ...traceLeaves,
    {
      name: 'ServiceStats',
      repetition: 'required',
      logical: 'map',
      children: [
        group('key_value', 'repeated', [leaf('key', 'text', 'delta-length'), group('value', 'required', counts)]),
      ],
    },
    listOfGroups('rs', [
      group('Resource', 'required', [
        attributesOf4(),
        dropped('DroppedAttributesCount'),
        leaf('ServiceName', 'text', 'dictionary', true),
        ...resourceNamesOf4.map(name => optional(name)),
        spareOf4(list, 'resource'),
      ]),
      listOfGroups('ss', [group('Scope', 'required', scopeChildren(attributesOf4())), spansOf4(list)]),
    ]),
  ])
}

function spansOf4(list: readonly DedicatedColumn[]): SchemaGroup {
  return listOfGroups('Spans', [
    ...spanPlaceLeaves,
    ...spanLeaves,
    attributesOf4(),
    dropped('DroppedAttributesCount'),
    listOfGroups('Events', eventChildren(attributesOf4())),
    leaf('DroppedEventsCount', 'i32', 'plain', true),
    listOfGroups('Links', linkChildren(attributesOf4())),
    leaf('DroppedLinksCount', 'i32', 'plain', true),
    optional('HttpMethod'),
    optional('HttpUrl'),
    optional('HttpStatusCode', 'i64'),
    spareOf4(list, 'span'),
  ])
}

export function blockColumns(layout: BlockLayout): Column[] {
  return columnsOf(schemaOf(layout))
}

const oldPrefix = 'rs.list.element.ss.list.element.Spans.list.element.'

/** Columns of vParquet3 that hold messages of protobuf: what later versions have columns for. */
const messageColumnsOf3: Readonly<Record<string, string>> = {
  [`${oldPrefix}Events.list.element.Attrs.list.element.Value`]: 'rs.ss.Spans.Events.Attrs.ValueMessage',
  [`${oldPrefix}Links`]: 'rs.ss.Spans.LinksMessage',
}

/** A file's path as vParquet5 spells it: vParquet4 and vParquet3 wrap their lists. */
export function plainPath(path: string): string {
  const message = messageColumnsOf3[path]
  if (message !== undefined) return message
  return path
    .replaceAll('.list.element', '')
    .replaceAll('ServiceStats.key_value.key', 'ServiceStats.ServiceName')
    .replaceAll('ServiceStats.key_value.value', 'ServiceStats')
}

/** Attributes that vParquet4 keeps in columns of fixed name: attribute, scope, column. */
export const fixedColumnsOf4: readonly (readonly [
  scope: DedicatedScope,
  name: string,
  path: string,
  type: 'string' | 'int',
])[] = [
  ['resource', 'cluster', 'rs.Resource.Cluster', 'string'],
  ['resource', 'namespace', 'rs.Resource.Namespace', 'string'],
  ['resource', 'pod', 'rs.Resource.Pod', 'string'],
  ['resource', 'container', 'rs.Resource.Container', 'string'],
  ['resource', 'k8s.cluster.name', 'rs.Resource.K8sClusterName', 'string'],
  ['resource', 'k8s.namespace.name', 'rs.Resource.K8sNamespaceName', 'string'],
  ['resource', 'k8s.pod.name', 'rs.Resource.K8sPodName', 'string'],
  ['resource', 'k8s.container.name', 'rs.Resource.K8sContainerName', 'string'],
  ['span', 'http.method', 'rs.ss.Spans.HttpMethod', 'string'],
  ['span', 'http.url', 'rs.ss.Spans.HttpUrl', 'string'],
  ['span', 'http.status_code', 'rs.ss.Spans.HttpStatusCode', 'int'],
]

/**
 * Zipkin's spans (JSON, version 2) as OTLP's. Source: Zipkin's public API description; names of attributes as
 * OpenTelemetry maps them.
 */
import { BadDataError } from '#core/errors.ts'
import { RecordCount } from '#core/body-limits.ts'
import { jsonBodyOf } from '#core/json-body.ts'
import { doubleOf, isRawNumber, numberText, wholeOf } from '#core/json.ts'
import { greatest } from '#core/lists.ts'
import { keyOfTexts } from '#core/text.ts'
import { ownHalfId } from '#model/shared-halves.ts'
import type { Attribute, ResourceSpans, Span, Trace } from '#model/trace.ts'

type Json = Readonly<Record<string, unknown>>
const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value) ? (value as Json) : {}
/** A number would become an event of many times its bytes. */
const objects = (value: unknown): Json[] =>
  Array.isArray(value) ? value.filter((v): v is Json => typeof v === 'object' && v !== null) : []
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const kinds = new Map(Object.entries({ SERVER: 2, CLIENT: 3, PRODUCER: 4, CONSUMER: 5 }))

function id(value: unknown, name: string, lengths: readonly number[]): Uint8Array {
  const hex = text(value)
  if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length > greatest(lengths))
    throw new BadDataError(
      `${name} ${JSON.stringify(value)} is no id: ${lengths.join(' or ')} hexadecimal digits were expected`,
    )
  return Buffer.from(
    hex.padStart(
      lengths.find(l => l >= hex.length)!,
      '0',
    ),
    'hex',
  )
}

/** Microseconds to nanoseconds. */
function micros(value: unknown): bigint {
  const whole = wholeOf(numberText(value) ?? '') ?? 0n
  return whole > 0n ? whole * 1000n : 0n
}
const attribute = (key: string, value: string): Attribute => ({ key, value: { kind: 'string', value } })

function endpoint(value: unknown, prefix: string): Attribute[] {
  const { ipv4, ipv6, port } = object(value)
  const list: Attribute[] = []
  const ip = text(ipv4) === '' ? text(ipv6) : text(ipv4)
  if (ip !== '') list.push(attribute(`${prefix}.ip`, ip))
  if (doubleOf(port) > 0)
    list.push({ key: `${prefix}.port`, value: { kind: 'int', value: wholeOf(numberText(port) ?? '') ?? 0n } })
  return list
}

/** What is wrong in a span costs that span: it says why instead. */
function spanOrProblem(z: Json): Span {
  try {
    return spanOf(z)
  } catch (error) {
    if (!(error instanceof BadDataError)) throw error
    return { ...spanOf({ traceId: '1', id: '1' }), problem: error.message }
  }
}

function spanOf(z: Json): Span {
  const traceId = id(z['traceId'], 'traceId', [16, 32])
  const padded = new Uint8Array(16)
  padded.set(traceId, 16 - traceId.length)
  const startNs = micros(z['timestamp'])
  const tags = Object.entries(object(z['tags'])).map(([key, value]) =>
    attribute(key, typeof value === 'string' ? value : JSON.stringify(value)),
  )
  const error = tags.find(t => t.key === 'error')
  const remote = object(z['remoteEndpoint'])
  const attributes = [
    ...tags,
    ...endpoint(z['localEndpoint'], 'net.host'),
    ...endpoint(remote, 'net.peer'),
    ...(text(remote['serviceName']) === '' ? [] : [attribute('peer.service', text(remote['serviceName']))]),
  ]
  return {
    traceId: padded,
    spanId: id(z['id'], 'id', [16]),
    parentSpanId:
      z['parentId'] === undefined || z['parentId'] === null || /^0+$/.test(text(z['parentId']))
        ? new Uint8Array(0)
        : id(z['parentId'], 'parentId', [16]),
    traceState: '',
    flags: 0,
    name: text(z['name']),
    kind: kinds.get(text(z['kind'])) ?? 1,
    startNs,
    endNs: startNs + micros(z['duration']),
    attributes,
    droppedAttributes: 0,
    events: objects(z['annotations']).map(a => ({
      timeNs: micros(a['timestamp']),
      name: text(a['value']),
      attributes: [],
      dropped: 0,
    })),
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: error === undefined ? 0 : 2,
    statusMessage: error?.value.kind === 'string' && error.value.value !== 'true' ? error.value.value : '',
  }
}

/**
 * Both halves of a call have one id in Zipkin: the server's half says that it is `shared`. It gets an id of its own
 * and becomes the child of the client's, and what its service calls becomes its child.
 */
function sharedIds(json: readonly unknown[]): ReadonlyMap<string, string> {
  const ids = new Map<string, string>()
  for (const entry of json) {
    const z = object(entry)
    if (z['shared'] === true && /^[0-9a-fA-F]{1,16}$/.test(text(z['id']))) ids.set(halfKey(z, z['id']), ownId(z))
  }
  return ids
}

/** A span by its trace, its service and an id. */
function halfKey(z: Json, spanId: unknown): string {
  const service = text(object(z['localEndpoint'])['serviceName'])
  return keyOfTexts([text(z['traceId']).toLowerCase(), service, text(spanId).toLowerCase().padStart(16, '0')])
}

/** The same whenever the span is sent. */
function ownId(z: Json): string {
  const id = Buffer.from(text(z['id']).padStart(16, '0'), 'hex')
  return Buffer.from(ownHalfId(text(object(z['localEndpoint'])['serviceName']), id)).toString('hex')
}

function withOwnId(z: Json, shared: ReadonlyMap<string, string>): Json {
  if (shared.size === 0) return z
  if (z['shared'] === true) return { ...z, id: shared.get(halfKey(z, z['id'])) ?? z['id'], parentId: z['id'] }
  const parent = shared.get(halfKey(z, z['parentId']))
  return parent === undefined ? z : { ...z, parentId: parent }
}

/** The same as `zipkinSpansOf`, from its bytes. */
export function parseZipkinJson(body: Uint8Array): Trace {
  return zipkinSpansOf(jsonBodyOf(body), body.length)
}

/**
 * A list of spans that was `bytes` long in JSON; a span that can't be read has a `problem` instead. Throws
 * BadDataError, and LimitError (400) for more spans than a body of its size may hold.
 */
export function zipkinSpansOf(json: unknown, bytes: number): Trace {
  const records = new RecordCount(bytes)
  if (!Array.isArray(json)) throw new BadDataError('the body is no array of spans')
  const byService = new Map<string, ResourceSpans>()
  const shared = sharedIds(json)
  for (const entry of json) {
    records.add()
    const z = withOwnId(object(entry), shared)
    const service = text(object(z['localEndpoint'])['serviceName'])
    const span = spanOrProblem(z)
    let resource = byService.get(service)
    if (resource === undefined)
      byService.set(
        service,
        (resource = {
          resource: { attributes: [attribute('service.name', service)], dropped: 0 },
          schemaUrl: '',
          scopes: [{ scope: { name: '', version: '', attributes: [], dropped: 0 }, schemaUrl: '', spans: [] }],
        }),
      )
    resource.scopes[0]!.spans.push(span)
  }
  return { resources: [...byService.values()] }
}

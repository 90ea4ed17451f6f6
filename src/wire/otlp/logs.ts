/**
 * OTLP logs (ExportLogsServiceRequest), protobuf and JSON, as log entries. Source: the public opentelemetry-proto
 * definitions, v1; docs/logs.md.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { readTextMarking } from '#codec/protobuf.ts'
import { checkMessage } from '#codec/message-shape.ts'
import { RecordCount } from '#core/body-limits.ts'
import { BadDataError, CorruptDataError, LimitError } from '#core/errors.ts'
import { attributesMax } from '#core/limits.ts'
import { jsonBodyOf } from '#core/json-body.ts'
import { isRawNumber } from '#core/json.ts'
import type { LogBatchBuilder } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'
import {
  anyValue,
  inner,
  items,
  jsonAttributes,
  jsonRequest,
  jsonValue,
  keyValue,
  list,
  message,
  namelessAttribute,
  number,
  object,
  readMessage,
  readResource,
  readScope,
  text,
  whole,
  type Attributes,
  type AttributeValue,
  type Json,
  type Scope,
} from './message.ts'
import { logsShape } from './shapes.ts'

interface OtlpRecord {
  timeNs: bigint
  observedNs: bigint
  severityNumber: number
  severityText: string
  body: AttributeValue
  attributes: Attributes
  dropped: number
  flags: number
  traceId: string
  spanId: string
  eventName: string
  /** Why it can't be accepted. */
  problem?: string
}
interface OtlpLogScope extends Scope {
  records: OtlpRecord[]
}
/** Log records of one resource, by scope. */
export interface OtlpLogResource {
  attributes: Attributes
  scopes: OtlpLogScope[]
}

function fixedNs(input: ByteReader): bigint {
  input.need(8)
  input.at += 8
  return input.view.getBigUint64(input.at - 8, true)
}

function hex(input: ByteReader): string {
  return Buffer.from(input.readBytes(input.readLength())).toString('hex')
}

/** What is wrong in a record costs that record: it says why instead. */
function recordOrProblem(read: () => OtlpRecord): OtlpRecord {
  try {
    const r = read()
    const problem = problemOfId('trace', r.traceId, 32) ?? problemOfId('span', r.spanId, 16)
    return problem === undefined ? r : { ...r, problem }
  } catch (error) {
    if (!(error instanceof CorruptDataError || error instanceof BadDataError)) throw error
    return { ...emptyRecord(), problem: error.message }
  }
}

/** Ids are hexadecimal digits. */
function problemOfId(what: string, id: string, digits: number): string | undefined {
  if (id === '' || (id.length === digits && /^[0-9a-f]+$/.test(id))) return undefined
  const shown = JSON.stringify(id.slice(0, 100))
  return `${what} id ${shown} of a log record is none: ${digits} hexadecimal digits were expected`
}

function emptyRecord(): OtlpRecord {
  return {
    timeNs: 0n,
    observedNs: 0n,
    severityNumber: 0,
    severityText: '',
    body: null,
    attributes: [],
    dropped: 0,
    flags: 0,
    traceId: '',
    spanId: '',
    eventName: '',
  }
}

function record(input: ByteReader): OtlpRecord {
  const r = emptyRecord()
  readMessage(input, {
    1: i => {
      r.timeNs = fixedNs(i)
    },
    11: i => {
      r.observedNs = fixedNs(i)
    },
    2: i => {
      r.severityNumber = i.readUvarint()
    },
    3: i => {
      r.severityText = readTextMarking(i)
    },
    5: i => {
      r.body = anyValue(inner(i))
    },
    6: i => {
      r.attributes.push(keyValue(inner(i)))
    },
    7: i => {
      r.dropped = i.readUvarint()
    },
    8: i => {
      i.need(4)
      i.at += 4
      r.flags = i.view.getUint32(i.at - 4, true)
    },
    9: i => {
      r.traceId = hex(i)
    },
    10: i => {
      r.spanId = hex(i)
    },
    12: i => {
      r.eventName = readTextMarking(i)
    },
  })
  return r
}

/** Throws CorruptDataError, and LimitError (400) for more than a body of its size may hold. */
export function decodeOtlpLogs(bytes: Uint8Array): OtlpLogResource[] {
  checkMessage(bytes, logsShape)
  const resources: OtlpLogResource[] = []
  readMessage(new ByteReader(bytes), {
    1: i => {
      const r: OtlpLogResource = { attributes: [], scopes: [] }
      readMessage(inner(i), {
        1: j => {
          readResource(inner(j), r.attributes)
        },
        2: j => {
          r.scopes.push(scopeLogs(inner(j)))
        },
      })
      resources.push(r)
    },
  })
  return resources
}

function scopeLogs(input: ByteReader): OtlpLogScope {
  let scope: OtlpLogScope = { name: '', version: '', attributes: [], dropped: 0, records: [] }
  readMessage(input, {
    1: i => {
      scope = { ...readScope(inner(i)), records: scope.records }
    },
    2: i => {
      const message = inner(i)
      scope.records.push(recordOrProblem(() => record(message)))
    },
  })
  return scope
}

const nanos = (value: unknown): bigint => BigInt.asUintN(64, whole(value))

function jsonRecord(r: Json): OtlpRecord {
  const severity = r['severityNumber']
  return {
    timeNs: nanos(r['timeUnixNano']),
    observedNs: nanos(r['observedTimeUnixNano']),
    severityNumber:
      typeof severity === 'string'
        ? severityNumbers.indexOf(severity.replace('SEVERITY_NUMBER_', ''))
        : number(severity),
    severityText: text(r['severityText']),
    body: r['body'] === undefined ? null : jsonValue(object(r['body'])),
    attributes: jsonAttributes(r['attributes']),
    dropped: number(r['droppedAttributesCount']),
    flags: number(r['flags']),
    traceId: text(r['traceId']).toLowerCase(),
    spanId: text(r['spanId']).toLowerCase(),
    eventName: text(r['eventName']),
  }
}
const severityNumbers = [
  'UNSPECIFIED',
  ...['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'].flatMap(name => [name, `${name}2`, `${name}3`, `${name}4`]),
]

/** A request that was `bytes` long in JSON. Throws BadDataError, and LimitError (400) as `decodeOtlpLogs`. */
export function otlpLogsOfJson(parsed: unknown, bytes: number): OtlpLogResource[] {
  const count = new RecordCount(bytes)
  return list(jsonRequest(parsed)['resourceLogs']).map(r => ({
    attributes: jsonAttributes(object(r['resource'])['attributes']),
    scopes: list(r['scopeLogs']).map(s => {
      count.add()
      const scope = object(s['scope'])
      return {
        name: text(scope['name']),
        version: text(scope['version']),
        attributes: jsonAttributes(scope['attributes']),
        dropped: number(scope['droppedAttributesCount']),
        records: items(s['logRecords']).map(r => {
          count.add()
          return recordOrProblem(() => jsonRecord(message(r, 'a log record')))
        }),
      }
    }),
  }))
}

/** The same, from its bytes. */
export function parseOtlpLogsJson(body: Uint8Array): OtlpLogResource[] {
  return otlpLogsOfJson(jsonBodyOf(body), body.length)
}

// --- As log entries ---

/** Resource attributes that become stream labels, as Loki's defaults have it. */
const indexed: ReadonlySet<string> = new Set([
  'service.name',
  'service.namespace',
  'service.instance.id',
  'deployment.environment',
  'deployment.environment.name',
  'cloud.region',
  'cloud.availability_zone',
  'k8s.cluster.name',
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.container.name',
  'container.name',
  'k8s.replicaset.name',
  'k8s.deployment.name',
  'k8s.statefulset.name',
  'k8s.daemonset.name',
  'k8s.cronjob.name',
  'k8s.job.name',
])

/** A value as text: maps and lists as JSON with sorted keys. */
function valueText(value: AttributeValue): string {
  if (value === null) return ''
  if (isRawNumber(value)) return value.rawJSON
  return typeof value === 'object' ? JSON.stringify(sorted(value)) : String(value)
}

function sorted(value: AttributeValue): AttributeValue {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null || isRawNumber(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, sorted(value[key]!)]),
  )
}

/** Names and values; maps become several, joined by `_`. */
function flatten(name: string, value: AttributeValue, into: string[]): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value)) {
    for (const [key, part] of Object.entries(value)) flatten(`${name}_${key}`, part, into)
    return
  }
  const shown = valueText(value)
  if (shown !== '') into.push(name, shown)
}

/** What was left out of a request: records that can't be accepted, one text for each, and parts of accepted ones. */
export interface LeftOut {
  refused: string[]
  notes: Set<string>
}

/**
 * Adds every record that can be accepted. `labelOf` turns an attribute's name into a label's. Throws LimitError (400)
 * for more than `attributesMax`.
 */
export function addOtlpLogs(
  resources: readonly OtlpLogResource[],
  builder: LogBatchBuilder,
  nowMs: number,
  labelOf: (name: string) => string,
): LeftOut {
  const left: LeftOut = { refused: [], notes: new Set() }
  let texts = 0
  for (const resource of resources) {
    const labels: [string, string][] = []
    const ofResource: string[] = []
    for (const [name, value] of named(resource.attributes, left)) {
      if (indexed.has(name)) labels.push([labelOf(name), valueText(value)])
      else flatten(name, value, ofResource)
    }
    const stream = Labels.from(labels)
    for (const scope of resource.scopes) {
      const ofScope = [...ofResource]
      for (const [name, value] of named(scope.attributes, left)) flatten(name, value, ofScope)
      if (scope.name !== '') ofScope.push('scope_name', scope.name)
      if (scope.version !== '') ofScope.push('scope_version', scope.version)
      if (scope.dropped !== 0) ofScope.push('scope_dropped_attributes_count', String(scope.dropped))
      for (const r of scope.records) {
        if (r.problem !== undefined) {
          left.refused.push(r.problem)
          continue
        }
        const ns = r.timeNs !== 0n ? r.timeNs : r.observedNs
        const ms = ns === 0n ? nowMs : Number(ns / 1_000_000n)
        const pairs = [...ofScope, ...recordPairs(r, left)]
        texts += pairs.length
        if (texts > 2 * attributesMax)
          throw new LimitError(
            `the records have more than ${attributesMax} attributes together, those of their resources counted for ` +
              'each, which is the limit; send smaller requests',
            400,
          )
        builder.add(stream, ms, ns === 0n ? 0 : Number(ns % 1_000_000n), valueText(r.body), pairs)
      }
    }
  }
  return left
}

/** The attributes that have a name. */
function named(attributes: Attributes, left: LeftOut): Attributes {
  if (attributes.every(([name]) => name !== '')) return attributes
  left.notes.add(namelessAttribute)
  return attributes.filter(([name]) => name !== '')
}

const isNoId = (id: string): boolean => id === '' || /^0+$/.test(id)

function recordPairs(r: OtlpRecord, left: LeftOut): string[] {
  const pairs: string[] = []
  for (const [name, value] of named(r.attributes, left)) flatten(name, value, pairs)
  if (r.observedNs !== 0n && r.timeNs !== 0n) pairs.push('observed_timestamp', String(r.observedNs))
  if (r.severityNumber > 0) pairs.push('severity_number', String(r.severityNumber))
  if (r.severityText !== '') pairs.push('severity_text', r.severityText)
  if (r.dropped !== 0) pairs.push('dropped_attributes_count', String(r.dropped))
  if (r.flags !== 0) pairs.push('flags', String(r.flags))
  if (!isNoId(r.traceId)) pairs.push('trace_id', r.traceId)
  if (!isNoId(r.spanId)) pairs.push('span_id', r.spanId)
  if (r.eventName !== '') pairs.push('event_name', r.eventName)
  return pairs
}

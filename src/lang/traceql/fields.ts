/** Names of fields: intrinsics, scopes, and how an attribute is written. Source: docs/traces.md (the language). */
import type { Field, Intrinsic, Scope } from './ast.ts'

export type FieldType = 'string' | 'number' | 'status' | 'kind' | 'any'

export const intrinsics: ReadonlyMap<string, Intrinsic> = new Map([
  ['duration', 'duration'],
  ['span:duration', 'duration'],
  ['name', 'name'],
  ['span:name', 'name'],
  ['status', 'status'],
  ['span:status', 'status'],
  ['statusMessage', 'statusMessage'],
  ['span:statusMessage', 'statusMessage'],
  ['kind', 'kind'],
  ['span:kind', 'kind'],
  ['span:id', 'span:id'],
  ['span:parentID', 'span:parentID'],
  ['span:childCount', 'span:childCount'],
  ['traceDuration', 'traceDuration'],
  ['trace:duration', 'traceDuration'],
  ['rootName', 'rootName'],
  ['trace:rootName', 'rootName'],
  ['rootServiceName', 'rootServiceName'],
  ['trace:rootService', 'rootServiceName'],
  ['trace:id', 'trace:id'],
  ['nestedSetLeft', 'nestedSetLeft'],
  ['nestedSetRight', 'nestedSetRight'],
  ['nestedSetParent', 'nestedSetParent'],
  ['event:name', 'event:name'],
  ['event:timeSinceStart', 'event:timeSinceStart'],
  ['link:traceID', 'link:traceID'],
  ['link:spanID', 'link:spanID'],
  ['instrumentation:name', 'instrumentation:name'],
  ['instrumentation:version', 'instrumentation:version'],
])

const numbers: ReadonlySet<Intrinsic> = new Set([
  'duration',
  'span:childCount',
  'traceDuration',
  'nestedSetLeft',
  'nestedSetRight',
  'nestedSetParent',
  'event:timeSinceStart',
])

export function typeOfField(field: Field): FieldType {
  if (field.kind === 'attribute') return 'any'
  if (field.name === 'status' || field.name === 'kind') return field.name
  return numbers.has(field.name) ? 'number' : 'string'
}

export const attributeScopes: ReadonlySet<string> = new Set(['span', 'resource', 'event', 'link', 'instrumentation'])

/** Characters of an attribute's name. */
export const nameEnd = /[\s{}()=~!<>&|^,]/

/** One spelling for each field. */
export function fieldKey(field: Field): string {
  return field.kind === 'attribute' ? `${field.scope}.${field.name}` : field.name
}

const plainName = /^[^\s{}()=~!<>&|^,"]+$/

export function fieldText(scope: Scope, name: string): string {
  const shown = plainName.test(name) ? name : `"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  return scope === 'any' ? `.${shown}` : `${scope}.${shown}`
}

/** Words of the language that are no names of fields where they stand. */
const reserved: ReadonlySet<string> = new Set([
  'avg',
  'bottomk',
  'by',
  'childCount',
  'coalesce',
  'compare',
  'count',
  'count_over_time',
  'avg_over_time',
  'false',
  'histogram_over_time',
  'id',
  'max',
  'max_over_time',
  'min',
  'min_over_time',
  'parent',
  'parentID',
  'quantile_over_time',
  'rate',
  'rootService',
  'select',
  'spanID',
  'sum',
  'sum_over_time',
  'timeSinceStart',
  'topk',
  'traceID',
  'true',
  'version',
  'with',
  'error',
  'ok',
  'unset',
  'unspecified',
  'internal',
  'server',
  'client',
  'producer',
  'consumer',
  'nil',
  'minInt',
  'maxInt',
])

export function isReserved(word: string): boolean {
  return reserved.has(word) || intrinsics.has(word)
}

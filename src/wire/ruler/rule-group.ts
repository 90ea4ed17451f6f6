/**
 * A group of rules as the rulers of Cortex and Loki keep it in a bucket: an object for each group, whose key names
 * tenant, namespace and group. Source: Cortex' public message definitions (Apache-2.0).
 */
import { decodeMessage, encodeMessage, type JsonLike, type MessageTable } from '#codec/protobuf-table.ts'
import { CorruptDataError } from '#core/errors.ts'
import type { StoredGroup } from '#model/rule-group.ts'

const duration: MessageTable = { seconds: [1, 'int'], nanos: [2, 'int'] }
const pair: MessageTable = { name: [1, 'string'], value: [2, 'string'] }
const rule: MessageTable = {
  expr: [1, 'string'],
  record: [2, 'string'],
  alert: [3, 'string'],
  for: [4, () => duration],
  labels: [5, () => pair, 'list'],
  annotations: [6, () => pair, 'list'],
  keepFiringFor: [13, () => duration],
}
const group: MessageTable = {
  name: [1, 'string'],
  namespace: [2, 'string'],
  interval: [3, () => duration],
  rules: [4, () => rule, 'list'],
  user: [6, 'string'],
  limit: [10, 'int'],
  queryOffset: [11, () => duration],
  labels: [12, () => pair, 'list'],
}

type Message = { [name: string]: JsonLike }

function durationOf(ms: number): Message {
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanos: (ms - seconds * 1000) * 1e6 }
}

function pairsOf(pairs: readonly [string, string][]): Message[] {
  return pairs.map(([name, value]) => ({ name, value }))
}

export function encodeRuleGroup(message: StoredGroup): Uint8Array {
  const { name, namespace, tenant, intervalMs, queryOffsetMs, limit } = message
  return encodeMessage(group, {
    name,
    namespace,
    interval: durationOf(intervalMs),
    rules: message.rules.map(one => ({
      expr: one.expr,
      record: one.record,
      alert: one.alert,
      for: durationOf(one.forMs),
      labels: pairsOf(one.labels),
      annotations: pairsOf(one.annotations),
      keepFiringFor: durationOf(one.keepFiringForMs),
    })),
    user: tenant,
    limit,
    ...(queryOffsetMs === undefined ? {} : { queryOffset: durationOf(queryOffsetMs) }),
    labels: pairsOf(message.labels),
  })
}

function textOf(message: Message, name: string): string {
  return String(message[name] ?? '')
}

function listOf(message: Message, name: string): Message[] {
  return (message[name] ?? []) as Message[]
}

function msOf(message: Message, name: string): number {
  const { seconds = 0, nanos = 0 } = (message[name] ?? {}) as Message
  return Number(seconds) * 1000 + Math.trunc(Number(nanos) / 1e6)
}

function readPairs(message: Message, name: string): [string, string][] {
  return listOf(message, name).map(one => [textOf(one, 'name'), textOf(one, 'value')])
}

/** Throws CorruptDataError for bytes that are no group with a name. */
export function decodeRuleGroup(bytes: Uint8Array): StoredGroup {
  const message = decodeMessage(group, bytes)
  const name = textOf(message, 'name')
  if (name === '') throw new CorruptDataError('a group of rules has no name')
  return {
    name,
    namespace: textOf(message, 'namespace'),
    tenant: textOf(message, 'user'),
    intervalMs: msOf(message, 'interval'),
    queryOffsetMs: message['queryOffset'] === undefined ? undefined : msOf(message, 'queryOffset'),
    limit: Number(message['limit'] ?? 0),
    labels: readPairs(message, 'labels'),
    rules: listOf(message, 'rules').map(one => ({
      expr: textOf(one, 'expr'),
      record: textOf(one, 'record'),
      alert: textOf(one, 'alert'),
      forMs: msOf(one, 'for'),
      keepFiringForMs: msOf(one, 'keepFiringFor'),
      labels: readPairs(one, 'labels'),
      annotations: readPairs(one, 'annotations'),
    })),
  }
}

/** Below which prefix of a bucket the rulers keep their groups. */
export const ruleGroupsPrefix = 'rules/'

function base64(text: string): string {
  return Buffer.from(text).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

/** Where a tenant's group lies below the prefix. */
export function ruleGroupKey(tenant: string, namespace: string, name: string): string {
  return `${tenant}/${base64(namespace)}/${base64(name)}`
}

/** What the key below the prefix names; undefined for one of another form. */
export function parseRuleGroupKey(key: string): { tenant: string; namespace: string; name: string } | undefined {
  const [tenant = '', namespace = '', name = '', ...more] = key.split('/')
  if (tenant === '' || namespace === '' || name === '' || more.length > 0) return undefined
  const [space, group] = [namespace, name].map(part => Buffer.from(part, 'base64url').toString()) as [string, string]
  return ruleGroupKey(tenant, space, group) === key ? { tenant, namespace: space, name: group } : undefined
}

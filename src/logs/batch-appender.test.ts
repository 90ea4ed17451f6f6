/** Which lines are taken in, what becomes of their metadata, and what a sender is answered. Source: docs/logs.md. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { isOptionName } from '#app/options.ts'
import { LimitError } from '#core/errors.ts'
import { exactly } from '#core/steady-clock.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import type { LogsAppendOutcome } from './append.ts'
import { BatchAppender, type AdmissionLimits } from './batch-appender.ts'
import { Tenant } from './tenant.ts'
import { readLinesRecord } from './wal-record.ts'

const nowMs = 1_700_000_000_000
const limits: AdmissionLimits = {
  maxAgeMs: 3_600_000,
  futureMs: 60_000,
  outOfOrderMs: 600_000,
  lineBytesMax: 20,
  labelsPerStreamMax: 2,
  labelNameBytesMax: 8,
  labelValueBytesMax: 8,
  metadataPairsMax: 2,
  metadataBytesMax: 40,
}

interface Entry {
  labels?: Record<string, string>
  /** Relative to now. */
  atMs?: number
  line?: string
  pairs?: string[]
}

function append(
  entries: readonly Entry[],
  tenant = new Tenant('fake', () => 3),
): { outcome: LogsAppendOutcome; appender: BatchAppender } {
  const builder = new LogBatchBuilder()
  for (const { labels = { app: 'a' }, atMs = 0, line = 'line', pairs = [] } of entries)
    builder.add(Labels.fromObject(labels), nowMs + atMs, 0, line, pairs)
  const appender = new BatchAppender(limits)
  return { outcome: appender.admit(tenant, builder.build(), 1, exactly(nowMs)), appender }
}

/** Labels, and lines with their metadata, as the log would bring them back. */
function logged(appender: BatchAppender): string[] {
  const shown: string[] = []
  const streams = new Map<number, Labels>()
  readLinesRecord(appender.record.finish('fake'), {
    tenant: () => {},
    define: (number, labels) => {
      streams.set(number, labels)
    },
    stream: number => {
      shown.push(String(streams.get(number)))
    },
    line: (ms, _subNs, bytes, from, to, pairs) => {
      shown.push(`${ms - nowMs} ${Buffer.from(bytes.subarray(from, to)).toString()} ${pairs.join(' ')}`)
    },
  })
  return shown
}

test('a batch that asks for it learns which entries were refused, and whether waiting helps', () => {
  const builder = new LogBatchBuilder()
  const add = (app: string, line: string, atMs = 0): void => {
    builder.add(Labels.fromObject({ app }), nowMs + atMs, 0, line)
  }
  add('a', 'good')
  add('b', 'good')
  add('a', 'x'.repeat(21))
  add('c', 'a stream too many')
  add('b', 'old', -3_600_001)
  add('a', 'behind', -600_001)
  const batch = builder.build()
  const append = (): LogsAppendOutcome =>
    new BatchAppender(limits).admit(new Tenant('fake', () => 2), batch, 1, exactly(nowMs))
  assert.equal(append().refusedAt, undefined)
  batch.namesRefused = true
  const outcome = append()
  const order = builder.order()
  const named = outcome.refusedAt!.map(({ at, passes, message }) => [order[at], passes, message.slice(0, 40)])
  assert.deepEqual(named.sort(), [
    [2, false, "max entry size '20' bytes exceeded for s"],
    [3, true, outcome.problems.find(p => /stream/.test(p.message) && !/entry/.test(p.message))?.message.slice(0, 40)],
    [4, false, 'entry for stream \'{app="b", service_name'],
    [5, false, 'entry with timestamp 2023-11-14 22:03:19'],
  ])
  assert.equal(outcome.refused, 4)
})

/** Entries that are refused, and the reason. */
const refusals: readonly (readonly [entry: Entry, reason: RegExp])[] = [
  [{ atMs: -3_600_001 }, /has timestamp too old: 2023-11-14T21:13:19Z, oldest acceptable timestamp is: /],
  [{ atMs: 60_001 }, /has timestamp too new: 2023-11-14T22:14:20Z$/],
  [{ line: 'x'.repeat(21) }, /max entry size '20' bytes exceeded .* with length '21' bytes$/],
  [{ labels: { a: '1', b: '2', c: '3' } }, /has 3 label names; limit 2$/],
  [{ labels: { a23456789: '1' } }, /has label name too long: 'a23456789'$/],
  [{ labels: { a: '123456789' } }, /has label value too long: '123456789'$/],
  [{ pairs: ['a', '1', 'b', '2', 'c', '3'] }, /has too many structured metadata labels: '3', limit: '2'$/],
  [{ pairs: ['a', 'x'.repeat(40)] }, /has structured metadata too large: '\d+' bytes, limit: '40' bytes$/],
]

test('an entry beyond a limit is refused with the limit, and what stands beside it is kept', () => {
  for (const [entry, reason] of refusals) {
    const { outcome } = append([{ line: 'good' }, entry])
    assert.equal(outcome.stored, 1, String(reason))
    assert.equal(outcome.refused, 1, String(reason))
    assert.match(outcome.problems[0]?.message ?? '', reason)
    assert.equal(outcome.status, 400)
  }
})

test('a refusal names only configuration keys that exist', () => {
  const messages = refusals.flatMap(([entry]) => append([entry]).outcome.problems.map(p => p.message))
  const tenant = new Tenant('fake', () => 0)
  messages.push(...append([{}], tenant).outcome.problems.map(p => p.message))
  const named = messages.flatMap(message => message.match(/\b(?:limits|logs)\.[a-z_]+/g) ?? [])
  assert.ok(named.length > 0)
  for (const key of named) assert.ok(isOptionName(key), key)
})

test('one stream too many is refused with 429', () => {
  const { outcome } = append([{ labels: { app: 'a' } }, { labels: { app: 'b' } }], new Tenant('fake', () => 1))
  assert.equal(outcome.stored, 1)
  assert.equal(outcome.status, 429)
  assert.throws(() => new Tenant('fake', () => 0).head.stream(Labels.fromObject({ app: 'a' }), nowMs), LimitError)
})

test('a line too far behind the newest of its stream is refused; one within the window is kept', () => {
  const { outcome } = append([{ line: 'new' }, { atMs: -600_000, line: 'late' }, { atMs: -600_001, line: 'too late' }])
  assert.equal(outcome.stored, 2)
  assert.match(outcome.problems[0]?.message ?? '', /entry too far behind.*\nuser 'fake', total ignored: 1 out of 3/s)
})

test('the same line twice is stored once, and both are accepted', () => {
  const tenant = new Tenant('fake', () => 3)
  const { outcome, appender } = append([{}, {}], tenant)
  assert.equal(outcome.stored, 2)
  assert.deepEqual(appender.lines.show(appender.record.finish('fake'), nowMs), [1])
  assert.deepEqual(
    [...tenant.head.streams.values()].map(stream => stream.open?.entries),
    [1],
  )
})

test('the log gets streams with a service name, and lines with normalised metadata and a level', () => {
  const { appender } = append([
    { line: 'level=warn x' },
    { line: 'plain', pairs: ['trace.id', '7'] },
    { line: 'told', pairs: ['detected_level', 'ERROR'] },
  ])
  assert.deepEqual(logged(appender), [
    '{app="a", service_name="a"}',
    '0 level=warn x detected_level warn',
    '0 plain detected_level unknown trace_id 7',
    '0 told detected_level error',
  ])
})

test('a stream of which every line is refused is not made', () => {
  const tenant = new Tenant('fake', () => 3)
  const { outcome } = append([{ atMs: -4_000_000 }, { atMs: 100_000 }, { line: 'x'.repeat(21) }], tenant)
  assert.deepEqual([outcome.stored, outcome.refused, tenant.head.streams.size], [0, 3, 0])
})

test('lines are shown by their record, and taken back when the log loses it', () => {
  const tenant = new Tenant('fake', () => 3)
  const first = append([{ line: 'one' }, { line: 'two', labels: { app: 'b' } }, { line: 'three' }], tenant)
  assert.equal(
    [...tenant.head.streams.values()].every(stream => stream.open === undefined),
    true,
    'nothing shows before',
  )
  first.appender.lines.show(first.appender.record.finish('fake'), nowMs)
  assert.deepEqual(
    [...tenant.head.streams.values()].map(stream => [stream.labels.get('app'), stream.open?.entries, stream.awaited]),
    [
      ['a', 2, 0],
      ['b', 1, 0],
    ],
  )
  append(
    [
      { line: 'lost', labels: { app: 'c' } },
      { line: 'lost', atMs: 50_000 },
    ],
    tenant,
  )
  tenant.takeBack()
  assert.deepEqual(
    [...tenant.head.streams.values()].map(stream => [stream.labels.get('app'), stream.newestAdmittedMs - nowMs]),
    [
      ['a', 0],
      ['b', 0],
    ],
  )
})

test('the next record of a generation defines once more what the one before it was the first to define', () => {
  const tenant = new Tenant('fake', () => 3)
  append([{ labels: { app: 'a' } }], tenant)
  const second = append([{ labels: { app: 'b' } }, { labels: { app: 'a' }, line: 'more' }], tenant)
  assert.deepEqual(logged(second.appender), [
    '{app="b", service_name="b"}',
    '0 line detected_level unknown',
    '{app="a", service_name="a"}',
    '0 more detected_level unknown',
  ])
})

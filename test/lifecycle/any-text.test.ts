/**
 * Any text that UTF-8 can hold comes back from the bucket as it was sent, through every writer: separators, control
 * characters and characters at the edges of Unicode are part of a text like others.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { nsOfMs } from '#lang/logsql/times.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { Attribute, Trace } from '#model/trace.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { decodeOtlpTraces, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { LogqlEngine } from '../../src/query/logql/engine.ts'
import { LogsqlEngine, rangeOfMs } from '../../src/query/logsql/engine.ts'
import { needs, programPath } from '../peers.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { driving, makeWorld, openLogs, openMetrics, openTraces, type World } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const hourMs = 3_600_000

const odd = [
  '\0',
  'ab\0cd',
  '\0\0',
  '\x01',
  '\x1f',
  '\n',
  '\r\n',
  '\t',
  '\x7f',
  '\x85',
  '\u2028',
  '\u200b',
  '\u202e',
  '\ufffd',
  '\ufffe',
  '\uffff',
  '\ufeff',
  '\ufeffbom',
  '\ud7ff',
  '\ue000',
  '\u{10000}',
  '\u{10ffff}',
  '😀',
  'é',
  'e\u0301',
  ' ',
  ' a ',
  '"',
  "'",
  '`',
  '\\',
  '\\0',
  '\\u0000',
  ',',
  '=',
  '{}',
  '{a="b"}',
  '/',
  '../..',
  '%00',
  '<&>',
  '__proto__',
  'constructor',
  '0',
  '-1',
  'null',
  'x'.repeat(200),
]

function anyText(random: Random): string {
  const parts = Array.from({ length: 1 + below(random, 3) }, () => odd[below(random, odd.length - 1)]!)
  return parts.join('')
}

/** Label sets whose joined texts are the same with many separators. */
const twins = ['\0', '\x01', '\n', ',', ':', '=', ' ', '\ufffd', '\u{10ffff}'].flatMap(separator => [
  { a: `x${separator}y`, b: 'z' },
  { a: 'x', b: `y${separator}z` },
  { a: 'x', b: 'y', c: 'z' },
  { a: `x${separator}b${separator}y${separator}c`, b: 'z' },
  { a: 'x', b: 'y' },
  { a: `x${separator}b${separator}y` },
])

function labelSets(seed: number): Labels[] {
  const random = seededRandom(seed)
  const sets = [
    ...odd.map(value => ({ k: 'odd', value })),
    ...twins.map(one => ({ k: 'twin', ...one })),
    ...Array.from({ length: 50 }, () => ({
      k: 'random',
      value: anyText(random),
      [`n${below(random, 5)}`]: anyText(random),
    })),
  ].map(set => Labels.fromObject(set as Record<string, string>))
  return [...new Map(sets.map(labels => [JSON.stringify(labels.pairs), labels])).values()]
}

const shown = (labels: Labels): string => JSON.stringify(labels.pairs)

test('labels, metadata and lines of logs', async () => {
  const world = makeWorld(startMs)
  const sets = labelSets(1).map(labels => labels.with('service_name', 's'))
  const random = seededRandom(2)
  const expected: string[] = []
  const writer = await openLogs(world.clock, { ...world })
  const builder = new LogBatchBuilder()
  sets.forEach((labels, i) => {
    const line = odd[i % odd.length]!
    const pairs = [`m${i}`, anyText(random), 'other', odd[(i * 7) % odd.length]!]
    expected.push(JSON.stringify([labels.toObject(), line, pairs]))
    builder.add(labels, startMs + i, 0, line, pairs)
  })
  assert.deepEqual((await driving(world.clock, writer.append('fake', builder.build()))).problems, [])
  await driving(world.clock, writer.flush())
  await driving(world.clock, writer.close())
  const reading = await openLogs(world.clock, { ...world, files: new MemoryFiles(), readOnly: true })
  const engine = new LogqlEngine(world.clock, defaultLimits, { seriesMax: 500, stepsMax: 11_000 })
  const bounds = { fromMs: startMs - hourMs, fromSubNs: 0, toMs: startMs + hourMs, toSubNs: 0 }
  const ask = async (query: string): Promise<string[]> => {
    const reader = reading.reader('fake')
    const { lines } = await engine.lines(
      parseLogQuery(query),
      { bounds, limit: 5000, isBackward: false, intervalNs: 0 },
      reader,
    )
    assert.deepEqual(reader.omissions.texts(), [])
    return lines.map(l => {
      // The level that was found in the line stands beside its metadata.
      const at = l.metadata.indexOf('detected_level')
      const metadata = at < 0 ? l.metadata : [...l.metadata.slice(0, at), ...l.metadata.slice(at + 2)]
      return JSON.stringify([new Labels(l.stream).toObject(), l.line, metadata])
    })
  }
  assert.deepEqual((await ask('{k=~".+"}')).sort(), expected.sort())
  const ids = new Set<string>()
  await new LogsqlEngine(world.clock, defaultLimits).run(
    parseLogsql('*', nsOfMs(world.clock.nowMs())),
    rangeOfMs(bounds.fromMs, bounds.toMs),
    reading.reader('fake'),
    undefined,
    row => ids.add(row.get('_stream_id') ?? '').size > 0,
  )
  assert.equal(ids.size, sets.length)
  for (const labels of sets) {
    const found = await reading.reader('fake').streams(
      labels.pairs.flatMap((_, i) => (i % 2 === 0 ? [makeMatcher('=', labels.pairs[i]!, labels.pairs[i + 1]!)] : [])),
      bounds.fromMs,
      bounds.toMs,
    )
    assert.ok(found.map(shown).includes(shown(labels)), shown(labels))
  }
})

function seriesIn(world: World, seed: number): { sets: Labels[]; batch: BatchBuilder } {
  const sets = labelSets(seed).map(labels => labels.with('__name__', 'm'))
  const batch = new BatchBuilder()
  sets.forEach((labels, i) => {
    batch.add(labels, world.clock.nowMs(), i)
  })
  return { sets, batch }
}

test('labels of metrics', async () => {
  const world = makeWorld(startMs)
  const { sets, batch } = seriesIn(world, 3)
  const options = { ...world, defaultTenant: 'anonymous', limits: { ...defaultLimits, labelValueBytesMax: 10_000 } }
  const writer = await openMetrics(world.clock, options)
  assert.equal((await driving(world.clock, writer.append('anonymous', batch.batch))).refused, 0)
  await driving(world.clock, writer.flush())
  await driving(world.clock, writer.close())
  const reading = await openMetrics(world.clock, { ...options, files: new MemoryFiles(), readOnly: true })
  const set = await reading.reader('anonymous').select([makeMatcher('=', '__name__', 'm')], -Infinity, Infinity)
  assert.deepEqual(set.labels.map(shown).sort(), sets.map(shown).sort())
  await set.load(0, set.labels.length)
  const columns = new SampleColumns()
  const numberOf = new Map(sets.map((labels, i) => [shown(labels), i]))
  set.labels.forEach((labels, i) => {
    columns.clear()
    set.read(i, columns)
    assert.deepEqual([...columns.values.subarray(0, columns.count)], [numberOf.get(shown(labels))], shown(labels))
  })
})

test('a real Prometheus reads the block', needs('promtool'), async () => {
  const world = makeWorld(startMs)
  const { sets, batch } = seriesIn(world, 4)
  const options = { ...world, defaultTenant: 'anonymous', limits: { ...defaultLimits, labelValueBytesMax: 10_000 } }
  const writer = await openMetrics(world.clock, options)
  await driving(world.clock, writer.append('anonymous', batch.batch))
  await driving(world.clock, writer.flush())
  const directory = temporaryDirectory()
  const promtool = programPath('promtool')!
  try {
    for (const [key, { bytes }] of world.bucket.objects) {
      if (!/^anonymous\/[0-9A-Z]{26}\//.test(key)) continue
      const path = join(directory, key.slice('anonymous/'.length))
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, bytes)
    }
    mkdirSync(join(directory, 'wal'))
    const dump = execFileSync(promtool, ['tsdb', 'dump', directory], { encoding: 'utf8', maxBuffer: 1 << 26 })
    assert.equal(dump.split('\n').filter(line => line.startsWith('{')).length, sets.length)
    const analysis = execFileSync(promtool, ['tsdb', 'analyze', directory], { encoding: 'utf8' })
    assert.match(analysis, new RegExp(`Total Series: ${sets.length}\\b`))
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('names and attributes of traces', async () => {
  const world = makeWorld(startMs)
  const random = seededRandom(5)
  const attributesOf = (): Attribute[] => [
    { key: 'value', value: { kind: 'string', value: anyText(random) } },
    { key: anyText(random), value: { kind: 'string', value: odd[below(random, odd.length)]! } },
    { key: 'list', value: { kind: 'array', values: [{ kind: 'string', value: anyText(random) }] } },
  ]
  const trace: Trace = {
    resources: odd.map((text, r) => ({
      resource: {
        attributes: [{ key: 'service.name', value: { kind: 'string', value: `s${text}` } }, ...attributesOf()],
        dropped: 0,
      },
      schemaUrl: '',
      scopes: [
        {
          scope: { name: text, version: anyText(random), attributes: [], dropped: 0 },
          schemaUrl: '',
          spans: [
            {
              traceId: Uint8Array.from([...new Uint8Array(14), 1, r]),
              spanId: Uint8Array.from([...new Uint8Array(6), 1, r]),
              parentSpanId: new Uint8Array(0),
              traceState: '',
              flags: 0,
              name: text,
              kind: 1,
              startNs: BigInt(startMs) * 1_000_000n,
              endNs: BigInt(startMs + 1) * 1_000_000n,
              attributes: attributesOf(),
              droppedAttributes: 0,
              events: [
                {
                  timeNs: BigInt(startMs) * 1_000_000n,
                  name: anyText(random),
                  attributes: attributesOf(),
                  dropped: 0,
                },
              ],
              droppedEvents: 0,
              links: [],
              droppedLinks: 0,
              statusCode: 2,
              statusMessage: anyText(random),
            },
          ],
        },
      ],
    })),
  }
  const message = encodeOtlpTraces(trace)
  const writer = await openTraces(world.clock, { ...world, defaultTenant: 'single-tenant' })
  const outcome = await driving(world.clock, writer.append('single-tenant', decodeOtlpTraces(message, true), message))
  assert.equal(outcome.refused, 0)
  await driving(world.clock, writer.flush())
  await driving(world.clock, writer.close())
  const reading = await openTraces(world.clock, {
    ...world,
    files: new MemoryFiles(),
    defaultTenant: 'single-tenant',
    readOnly: true,
  })
  const text = (attributes: readonly Attribute[]): string[] =>
    attributes
      .map(a =>
        JSON.stringify([a.key, a.value.kind === 'array' ? a.value.values : a.value], (_, v: unknown) =>
          typeof v === 'bigint' ? String(v) : v,
        ),
      )
      .sort()
  for (const { resource, scopes } of trace.resources) {
    const [{ scope, spans }] = scopes as [(typeof scopes)[0] & object]
    const found = await reading.reader('single-tenant').find(spans[0]!.traceId, -Infinity, Infinity)
    const back = found!.resources[0]!
    const span = back.scopes[0]!.spans[0]!
    assert.equal(span.name, spans[0]!.name)
    assert.equal(span.statusMessage, spans[0]!.statusMessage)
    assert.equal(back.scopes[0]!.scope.name, scope.name)
    assert.equal(back.scopes[0]!.scope.version, scope.version)
    assert.equal(span.events[0]!.name, spans[0]!.events[0]!.name)
    const known = new Map(spans[0]!.attributes.map(a => [a.key, a]))
    assert.deepEqual(text(span.attributes), text([...known.values()]))
    assert.deepEqual(
      text(back.resource.attributes),
      text([...new Map(resource.attributes.map(a => [a.key, a])).values()]),
    )
  }
})

/** OTLP in: requests of all signals, protobuf and JSON, and what damaged ones do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { checkDamage } from '../../../test/damage.ts'
import { anyValue as anyValueSchema, logsRequest, metricsRequest, tracesRequest } from '../../../test/otlp-schema.ts'
import { protobuf, type Message } from '../../../test/protobuf.ts'
import { showLogBatch, showWriteBatch } from '../../../test/show-batch.ts'
import {
  addOtlpLogs,
  decodeOtlpLogs,
  parseOtlpLogsJson as parseOtlpLogsJsonBytes,
  type OtlpLogResource,
} from './logs.ts'
import {
  decodeOtlpMetrics,
  encodeOtlpMetricsResponse,
  parseOtlpMetricsJson as parseOtlpMetricsJsonBytes,
  type OtlpResource,
} from './metrics.ts'
import { translateOtlp } from './to-prometheus.ts'
import {
  decodeOtlpTraces,
  decodeSpan,
  encodeOtlpTraces,
  parseOtlpTracesJson as parseOtlpTracesJsonBytes,
  readOtlpTraces,
  traceToJson,
} from './traces.ts'

const parseOtlpLogsJson = (source: string) => parseOtlpLogsJsonBytes(Buffer.from(source))
const parseOtlpMetricsJson = (source: string) => parseOtlpMetricsJsonBytes(Buffer.from(source))
const parseOtlpTracesJson = (source: string) => parseOtlpTracesJsonBytes(Buffer.from(source))

const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')
const text = (key: string, stringValue: string): Message => ({ key, value: { stringValue } })
const resource = {
  attributes: [text('service.name', 'api'), text('service.instance.id', 'i1'), text('os.type', 'linux')],
}
const times = { startTimeUnixNano: '1000000000', timeUnixNano: '2000000000' }
const route = [text('http.route', '/a')]

function metricsOf(...metrics: Message[]): Message {
  return { resourceMetrics: [{ resource, scopeMetrics: [{ scope: { name: 's' }, metrics }] }] }
}

const info = 'target_info{instance="i1", job="api", os_type="linux"} 1 @2000'
const own = 'http_route="/a", instance="i1", job="api"'
const metricCases: [name: string, metric: Message, lines: string[]][] = [
  [
    'gauge',
    { name: 'temp', unit: 'Cel', gauge: { dataPoints: [{ ...times, attributes: route, asDouble: 1.5 }] } },
    [`temp_celsius{${own}} 1.5 @2000`, info, '# temp_celsius gauge celsius'],
  ],
  [
    'monotonic sum with an exemplar',
    {
      name: 'http.requests',
      description: 'Requests.',
      sum: {
        aggregationTemporality: 2,
        isMonotonic: true,
        dataPoints: [
          {
            ...times,
            attributes: route,
            asInt: '7',
            exemplars: [{ timeUnixNano: '1500000000', asDouble: 1, traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8) }],
          },
        ],
      },
    },
    [
      `http_requests_total{${own}} 7 @2000`,
      info,
      `http_requests_total{${own}} # {span_id="${'cd'.repeat(8)}", trace_id="${'ab'.repeat(16)}"} 1 @1500`,
      '# http_requests_total counter Requests.',
    ],
  ],
  [
    'histogram',
    {
      name: 'd',
      unit: 's',
      histogram: {
        aggregationTemporality: 2,
        dataPoints: [{ ...times, count: '3', sum: 4, bucketCounts: ['1', '2'], explicitBounds: [0.5] }],
      },
    },
    [
      'd_seconds_sum{instance="i1", job="api"} 4 @2000',
      'd_seconds_count{instance="i1", job="api"} 3 @2000',
      'd_seconds_bucket{instance="i1", job="api", le="0.5"} 1 @2000',
      'd_seconds_bucket{instance="i1", job="api", le="+Inf"} 3 @2000',
      info,
      '# d_seconds histogram seconds',
    ],
  ],
  [
    'exponential histogram',
    {
      name: 'e',
      exponentialHistogram: {
        aggregationTemporality: 2,
        dataPoints: [
          {
            ...times,
            count: '4',
            sum: 9,
            scale: 0,
            zeroCount: '1',
            zeroThreshold: 0.25,
            positive: { offset: 0, bucketCounts: ['1', '1'] },
            negative: { offset: -1, bucketCounts: ['1'] },
          },
        ],
      },
    },
    [
      info,
      'e{instance="i1", job="api"} {count:4, sum:9, [-1,-0.5):1, [-0.25,0.25]:1, (1,2]:1, (2,4]:1} @2000',
      '# e histogram',
    ],
  ],
  [
    'summary, and a point without a value',
    {
      name: 's',
      summary: {
        dataPoints: [
          { ...times, count: '2', sum: 3, quantileValues: [{ quantile: 0.5, value: 1 }] },
          { ...times, count: '2', flags: 1 },
        ],
      },
    },
    [
      's_sum{instance="i1", job="api"} 3 @2000',
      's_count{instance="i1", job="api"} 2 @2000',
      's{instance="i1", job="api", quantile="0.5"} 1 @2000',
      's_sum{instance="i1", job="api"} stale @2000',
      's_count{instance="i1", job="api"} stale @2000',
      info,
      '# s summary',
    ],
  ],
]

function showMetrics(resources: readonly OtlpResource[]): string[] {
  const builder = new BatchBuilder()
  const { refused, notes } = translateOtlp(resources, builder, 0)
  assert.deepEqual([[...refused], [...notes]], [[], []])
  return showWriteBatch(builder.batch)
}

const everyMetric = metricsOf(...metricCases.map(([, metric]) => metric))

test('metrics: every kind as series, from protobuf and from JSON', () => {
  for (const [name, metric, lines] of metricCases) {
    const message = metricsOf(metric)
    assert.deepEqual(showMetrics(decodeOtlpMetrics(protobuf(metricsRequest, message))), lines, name)
    assert.deepEqual(showMetrics(parseOtlpMetricsJson(JSON.stringify(message))), lines, `${name}, JSON`)
  }
})

test('metrics: what has no translation is refused with its points', () => {
  const two = [times, times]
  const cases: [metric: Message, problem: string, points: number][] = [
    [
      { name: 'd', sum: { aggregationTemporality: 1, dataPoints: two } },
      'metric "d" has delta temporality; cumulative is needed',
      2,
    ],
    [{ name: 'd', sum: { aggregationTemporality: 1 } }, 'metric "d" has delta temporality; cumulative is needed', 1],
    ...[0, 3].flatMap(temporality =>
      ['sum', 'histogram', 'exponentialHistogram'].map((kind): [Message, string, number] => [
        { name: 'u', [kind]: { aggregationTemporality: temporality, dataPoints: two } },
        `metric "u" has no aggregation temporality (${temporality}); cumulative is needed`,
        2,
      ]),
    ),
    [{ gauge: {} }, 'a metric has no name', 1],
    [{ gauge: { dataPoints: two } }, 'a metric has no name', 2],
  ]
  const good = { name: 'good', gauge: { dataPoints: [times] } }
  for (const [metric, problem, points] of cases) {
    const message = metricsOf(metric, good)
    for (const resources of [
      parseOtlpMetricsJson(JSON.stringify(message)),
      decodeOtlpMetrics(protobuf(metricsRequest, message)),
    ]) {
      const { refused, count } = translateOtlp(resources, new BatchBuilder(), 0)
      assert.deepEqual([[...refused], count], [[[problem, points]], 1])
    }
  }
})

/** Lines of samples and exemplars, what was refused, and what was left out. */
function translated(resources: readonly OtlpResource[]): { lines: string[]; refused: string[]; notes: string[] } {
  const builder = new BatchBuilder()
  const { refused, notes } = translateOtlp(resources, builder, 0)
  const lines = showWriteBatch(builder.batch).filter(line => !line.startsWith('# '))
  return { lines, refused: [...refused].map(([reason, count]) => `${count} ${reason}`), notes: [...notes] }
}

test('metrics: attributes without a name are left out and told of, and cost nothing else', () => {
  const nameless = { key: '', value: { stringValue: 'x' } }
  const exemplar = { timeUnixNano: '1000000000', asDouble: 1, filteredAttributes: [nameless, text('e', 'f')] }
  const point = { ...times, asDouble: 1, attributes: [nameless, text('a', 'y')], exemplars: [exemplar] }
  const metric = { name: 'ek', sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [point] } }
  const request = {
    resourceMetrics: [
      {
        resource: { attributes: [nameless, text('service.name', 's'), text('k', 'v')] },
        scopeMetrics: [{ scope: { attributes: [nameless] }, metrics: [metric] }],
      },
    ],
  }
  for (const resources of [
    parseOtlpMetricsJson(JSON.stringify(request)),
    decodeOtlpMetrics(protobuf(metricsRequest, request)),
  ])
    assert.deepEqual(translated(resources), {
      lines: [
        'ek_total{a="y", job="s"} 1 @2000',
        'target_info{job="s", k="v"} 1 @2000',
        'ek_total{a="y", job="s"} # {e="f"} 1 @1000',
      ],
      refused: [],
      notes: ['an attribute without a name was left out'],
    })
})

test('metrics: ids of exemplars that are zeros are none; of wrong length, they cost the exemplar', () => {
  const exemplar = (traceId: string, spanId: string): Message => ({
    timeUnixNano: '1000000000',
    asDouble: 1,
    traceId,
    spanId,
  })
  const cases: [exemplar: Message, labels: string | undefined][] = [
    [exemplar('0'.repeat(32), '0'.repeat(16)), '{}'],
    [exemplar('ab'.repeat(16), '0'.repeat(16)), `{trace_id="${'ab'.repeat(16)}"}`],
    [exemplar('ab'.repeat(15), ''), undefined],
    [exemplar('ab'.repeat(16), 'cd'), undefined],
  ]
  for (const [own, labels] of cases) {
    const dataPoints = [{ ...times, asDouble: 1, exemplars: [own] }]
    const request = metricsOf({ name: 'x', sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints } })
    for (const resources of [
      parseOtlpMetricsJson(JSON.stringify(request)),
      decodeOtlpMetrics(protobuf(metricsRequest, request)),
    ]) {
      const { lines, refused, notes } = translated(resources)
      assert.deepEqual(
        lines.filter(line => line.includes('} # {')).map(line => line.replace(/^.*# /, '').replace(/ 1 @1000$/, '')),
        labels === undefined ? [] : [labels],
      )
      assert.deepEqual([refused, notes.length], [[], labels === undefined ? 1 : 0])
    }
  }
})

test('metrics: what is not UTF-8 costs its point, its exemplar, or its description, by name', () => {
  const point = (...attributes: Message[]): Message => ({ ...times, asDouble: 1, attributes })
  const gauge = (name: string, ...dataPoints: Message[]): Message => ({ name, gauge: { dataPoints } })
  const exemplar = { timeUnixNano: '1000000000', asDouble: 1, filteredAttributes: [text('e', '§')] }
  const request = {
    resourceMetrics: [
      {
        resource: { attributes: [text('service.name', 's')] },
        scopeMetrics: [
          {
            metrics: [
              gauge('v', point(text('a', '§')), point(text('a', 'x')), point(text('k§', 'x'))),
              gauge('n§', point()),
              { ...gauge('h', point()), description: '§' },
              {
                name: 'c',
                sum: {
                  aggregationTemporality: 2,
                  isMonotonic: true,
                  dataPoints: [{ ...point(), exemplars: [exemplar] }],
                },
              },
            ],
          },
        ],
      },
      {
        resource: { attributes: [text('service.name', 's'), text('os', '§')] },
        scopeMetrics: [{ metrics: [gauge('w', point())] }],
      },
    ],
  }
  const { lines, refused, notes } = translated(decodeOtlpMetrics(withBadBytes(protobuf(metricsRequest, request))))
  assert.deepEqual(lines, [
    'v{a="x", job="s"} 1 @2000',
    'h{job="s"} 1 @2000',
    'c_total{job="s"} 1 @2000',
    'w{job="s"} 1 @2000',
  ])
  assert.equal(refused.length, 3)
  assert.equal(refused[0], '1 metric v: the value of label a is not UTF-8')
  assert.match(refused[1]!, /^1 metric v: the attribute name .* is not UTF-8$/)
  assert.match(refused[2]!, /^1 metric "n.*: its name is not UTF-8$/)
  assert.deepEqual(notes, [
    'metric h: a description or unit that is not UTF-8 was left out',
    'metric c_total: an exemplar was left out: the value of label e is not UTF-8',
    'target_info was left out: the value of label os is not UTF-8',
  ])
})

test('metrics: a point that can not be read costs itself', () => {
  const point = (value: string): Message => ({ ...times, asDouble: 1, attributes: [text('a', value)] })
  const request = metricsOf({ name: 'm', gauge: { dataPoints: [point('one'), point('cut'), point('two')] } })
  const bytes = Buffer.from(protobuf(metricsRequest, request))
  bytes[bytes.indexOf('cut') - 1] = 100
  const { lines, refused } = translated(decodeOtlpMetrics(bytes))
  assert.deepEqual(lines.slice(0, 2), [
    'm{a="one", instance="i1", job="api"} 1 @2000',
    'm{a="two", instance="i1", job="api"} 1 @2000',
  ])
  assert.deepEqual(
    refused.map(text => text.replace(/ at .*/, '')),
    ['1 metric m: truncated: 100 bytes wanted'],
  )
})

test('metrics: units are words of the name, whatever they are called', () => {
  const cases: [name: string, unit: string, shown: string][] = [
    ['size', 'By', 'size_bytes'],
    ['rate', 'By/s', 'rate_bytes_per_second'],
    ['ratio', '1', 'ratio'],
    ['count', '{packets}', 'count'],
    ['a', 'constructor', 'a_constructor'],
    ['a', 'm/toString', 'a_meters_per_toString'],
  ]
  for (const [name, unit, shown] of cases) {
    const metric = { name, unit, gauge: { dataPoints: [{ ...times, asDouble: 1 }] } }
    assert.equal(showMetrics(parseOtlpMetricsJson(JSON.stringify(metricsOf(metric))))[0]!.split('{')[0], shown)
  }
})

test('metrics: the answer says what was refused', () => {
  assert.equal(encodeOtlpMetricsResponse(0, '').length, 0)
  assert.equal(Buffer.from(encodeOtlpMetricsResponse(0, 'no')).toString('hex'), '0a06080012026e6f')
  assert.equal(Buffer.from(encodeOtlpMetricsResponse(3, 'no')).toString('hex'), '0a06080312026e6f')
})

test('metrics: damaged requests', () => {
  const show = (resources: OtlpResource[]): unknown => translateOtlp(resources, new BatchBuilder(), 0)
  checkDamage(protobuf(metricsRequest, everyMetric), bytes => show(decodeOtlpMetrics(bytes)), {
    errors: [CorruptDataError],
    refusesCuts: 'protobuf',
  })
  checkDamage(Buffer.from(JSON.stringify(everyMetric)), bytes => show(parseOtlpMetricsJson(utf8(bytes))), {
    errors: [BadDataError],
    refusesCuts: 'always',
  })
})

const logs = {
  resourceLogs: [
    {
      resource,
      scopeLogs: [
        {
          scope: { name: 'lib', version: '1', droppedAttributesCount: 2 },
          logRecords: [
            {
              timeUnixNano: '1700000000123456789',
              observedTimeUnixNano: '1700000000200000000',
              severityNumber: 9,
              severityText: 'INFO',
              body: { stringValue: 'hello' },
              attributes: [
                text('user', 'ada'),
                { key: 'n', value: { intValue: '-3' } },
                { key: 'm', value: { kvlistValue: { values: [{ key: 'x', value: { boolValue: true } }] } } },
                { key: 'l', value: { arrayValue: { values: [{ doubleValue: 0.5 }, { stringValue: 'b' }] } } },
              ],
              flags: 1,
              traceId: '0102'.repeat(8),
              spanId: '0304'.repeat(4),
              eventName: 'e',
            },
            { body: { kvlistValue: { values: [{ key: 'b', value: { intValue: 1 } }] } } },
          ],
        },
      ],
    },
  ],
}
const ofScope = 'os.type=linux scope_name=lib scope_version=1 scope_dropped_attributes_count=2'
const logLines = [
  '{service.instance.id="i1", service.name="api"} @1700000000123+456789 hello ' +
    `${ofScope} user=ada n=-3 m_x=true l=[0.5,"b"] observed_timestamp=1700000000200000000 severity_number=9 ` +
    `severity_text=INFO flags=1 trace_id=${'0102'.repeat(8)} span_id=${'0304'.repeat(4)} event_name=e`,
  `{service.instance.id="i1", service.name="api"} @42+0 {"b":1} ${ofScope}`,
]

function showLogs(resources: readonly OtlpLogResource[]): string[] {
  const builder = new LogBatchBuilder()
  addOtlpLogs(resources, builder, 42, name => name)
  return showLogBatch(builder.build()).map(line => line.replaceAll(/"(service[.a-z]+)"=/g, '$1='))
}

test('logs: records as entries, from protobuf and from JSON', () => {
  assert.deepEqual(showLogs(decodeOtlpLogs(protobuf(logsRequest, logs))), logLines)
  assert.deepEqual(showLogs(parseOtlpLogsJson(JSON.stringify(logs))), logLines)
})

test('logs: what is wrong in a record costs that record', () => {
  const record = (own: Message): Message => ({ timeUnixNano: '5000000', body: { stringValue: 'good' }, ...own })
  let deep: Message = { stringValue: 'x' }
  for (let i = 0; i < 150; i++) deep = { arrayValue: { values: [deep] } }
  const cases: [own: Message, problem: RegExp | undefined, isJsonOnly?: boolean][] = [
    [{}, undefined],
    [{ traceId: '5e'.repeat(15) }, /^trace id "5e.* of a log record is none: 32 hexadecimal digits were expected$/],
    [{ traceId: '5e'.repeat(17) }, /^trace id "5e/],
    [{ spanId: '5e' }, /^span id "5e" .* 16 hexadecimal digits were expected$/],
    [{ traceId: 'AAECAwQFBgcICQoLDA0ODw==' }, /^trace id "aaec/, true],
    [{ body: deep }, /nested more than 100 deep/],
  ]
  for (const [own, problem, isJsonOnly = false] of cases) {
    const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [record({}), record(own), record({})] }] }] }
    for (const resources of [
      parseOtlpLogsJson(JSON.stringify(request)),
      ...(isJsonOnly ? [] : [decodeOtlpLogs(protobuf(logsRequest, request))]),
    ]) {
      const builder = new LogBatchBuilder()
      const { refused } = addOtlpLogs(resources, builder, 42, name => name)
      assert.equal(builder.count, problem === undefined ? 3 : 2, String(problem))
      assert.equal(refused.length, problem === undefined ? 0 : 1)
      if (problem !== undefined) assert.match(refused[0]!, problem)
    }
  }
})

test('JSON: items that are no objects, and texts that spell no number, cost their item', () => {
  const record = { timeUnixNano: '5000000', body: { stringValue: 'good' } }
  for (const [bad, problem] of [
    [5, /^a log record is no JSON object$/],
    [{ ...record, timeUnixNano: 'soon' }, /^"soon" is no whole number$/],
    [{ ...record, body: { intValue: 'many' } }, /^"many" is no whole number$/],
    [{ ...record, attributes: [{ key: 'a', value: { doubleValue: 'x' } }] }, /^"x" is no number$/],
  ] as const) {
    const json = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [record, bad, record] }] }] })
    const builder = new LogBatchBuilder()
    const { refused } = addOtlpLogs(parseOtlpLogsJson(json), builder, 42, name => name)
    assert.equal(builder.count, 2)
    assert.match(refused.join('; '), problem)
  }
  const point = { ...times, asInt: '1' }
  for (const [bad, problem] of [
    [5, /^1 metric m: a data point is no JSON object$/],
    [{ ...times, asInt: 'one' }, /^1 metric m: "one" is no number$/],
    [{ asInt: '1', timeUnixNano: 'x' }, /^1 metric m: "x" is no whole number$/],
  ] as const) {
    const { lines, refused } = translated(
      parseOtlpMetricsJson(JSON.stringify(metricsOf({ name: 'm', gauge: { dataPoints: [point, bad, point] } }))),
    )
    assert.equal(lines.filter(line => line.startsWith('m{')).length, 2)
    assert.match(refused.join('; '), problem)
  }
  const unspecified = {
    name: 'u',
    sum: { aggregationTemporality: 'AGGREGATION_TEMPORALITY_UNSPECIFIED', dataPoints: [point] },
  }
  const good = { name: 'm', gauge: { dataPoints: [point] } }
  const { lines, refused } = translated(
    parseOtlpMetricsJson(
      JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics: [good, 5, unspecified, good] }] }] }),
    ),
  )
  assert.equal(lines.length, 2)
  assert.deepEqual(refused, [
    '1 a metric is no JSON object',
    '1 metric "u" has no aggregation temporality (0); cumulative is needed',
  ])
  const span = { traceId: '0f'.repeat(16), spanId: '0e'.repeat(8) }
  const spans = [span, { ...span, startTimeUnixNano: 'x' }, span]
  const trace = parseOtlpTracesJson(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }))
  assert.deepEqual(
    trace.resources[0]!.scopes[0]!.spans.map(s => s.problem),
    [undefined, 'startTimeUnixNano "x" is no number of nanoseconds', undefined],
  )
})

test('logs: ids of zeros are none, attributes without a name are left out and told of', () => {
  const record = {
    timeUnixNano: '5000000',
    body: { stringValue: 'b' },
    traceId: '0'.repeat(32),
    spanId: '0'.repeat(16),
    attributes: [text('', 'x'), text('a', 'y')],
  }
  const request = { resourceLogs: [{ scopeLogs: [{ scope: { name: 's' }, logRecords: [record] }] }] }
  for (const resources of [
    parseOtlpLogsJson(JSON.stringify(request)),
    decodeOtlpLogs(protobuf(logsRequest, request)),
  ]) {
    const builder = new LogBatchBuilder()
    const { refused, notes } = addOtlpLogs(resources, builder, 42, name => name)
    assert.deepEqual(showLogBatch(builder.build()), ['{} @5+0 b scope_name=s a=y'])
    assert.deepEqual([refused, [...notes]], [[], ['an attribute without a name was left out']])
  }
})

test('logs: texts that are no UTF-8 get U+FFFD, wherever they stand', () => {
  const bad = { key: 'k§', value: { stringValue: 'M§ll' } }
  const request = {
    resourceLogs: [
      {
        resource: { attributes: [text('service.name', 's§'), bad] },
        scopeLogs: [
          {
            scope: { name: '§', version: '§', attributes: [bad] },
            logRecords: [
              { timeUnixNano: '5000000', body: { stringValue: 'good' } },
              {
                timeUnixNano: '5000000',
                body: { stringValue: 'l§ne' },
                severityText: '§',
                attributes: [bad],
                eventName: '§',
              },
            ],
          },
        ],
      },
    ],
  }
  const shownBad = showLogs(decodeOtlpLogs(withBadBytes(protobuf(logsRequest, request))))
  assert.deepEqual(shownBad, showLogs(decodeOtlpLogs(protobuf(logsRequest, request))).map(replaced))
  assert.equal(shownBad.length, 2)
  const half = JSON.stringify(request).replaceAll('§', '\\ud800')
  assert.deepEqual(
    showLogs(parseOtlpLogsJson(half)),
    showLogs(parseOtlpLogsJson(JSON.stringify(request))).map(line => line.replaceAll('§', '\ufffd')),
  )
})

test('logs: damaged requests', () => {
  checkDamage(protobuf(logsRequest, logs), bytes => showLogs(decodeOtlpLogs(bytes)), {
    errors: [CorruptDataError],
    refusesCuts: 'protobuf',
  })
  checkDamage(Buffer.from(JSON.stringify(logs)), bytes => showLogs(parseOtlpLogsJson(utf8(bytes))), {
    errors: [BadDataError],
    refusesCuts: 'always',
  })
})

/** A value in lists, `depth` times. */
function nested(depth: number): Buffer {
  let bytes = Buffer.from(protobuf(anyValueSchema, { intValue: 1 }))
  for (let i = 0; i < depth; i++) {
    const list = protobuf({ values: [1, 'hex'] }, { values: bytes.toString('hex') })
    bytes = Buffer.from(protobuf({ arrayValue: [5, 'hex'] }, { arrayValue: Buffer.from(list).toString('hex') }))
  }
  return bytes
}

/** Whole numbers as protobuf has them, which JSON may write as texts and as numbers. */
const wholes = ['9007199254740993', '-9007199254740993', '1234567890123456789', '-9223372036854775808', '7']

test('whole numbers keep all digits: as texts and as numbers, in attributes, lists and maps, of all signals', () => {
  for (const int of wholes) {
    const value = { intValue: int }
    const attributes = [
      { key: 'id', value },
      { key: 'l', value: { arrayValue: { values: [value] } } },
      { key: 'm', value: { kvlistValue: { values: [{ key: 'k', value }] } } },
    ]
    const time = '1795883460123456789'
    const point = { timeUnixNano: time, asInt: 1, attributes, exemplars: [] }
    const metric = { name: 'big', gauge: { dataPoints: [point] } }
    const record = { timeUnixNano: time, body: value, attributes }
    const span = { traceId: '0f'.repeat(16), spanId: '0e'.repeat(8), startTimeUnixNano: time, attributes }
    const bare = (message: Message): string => JSON.stringify(message).replaceAll(/"(-?\d+)"/g, '$1')
    const forms = (message: Message): string[] => [JSON.stringify(message), bare(message)]
    const request = metricsOf(metric)
    for (const resources of [
      decodeOtlpMetrics(protobuf(metricsRequest, request)),
      ...forms(request).map(parseOtlpMetricsJson),
    ])
      assert.equal(
        showMetrics(resources)[0],
        `big{id="${int}", instance="i1", job="api", l="[${int}]", m="{\\"k\\":${int}}"} 1 @1795883460123`,
      )
    const logRequest = { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] }
    for (const resources of [
      decodeOtlpLogs(protobuf(logsRequest, logRequest)),
      ...forms(logRequest).map(parseOtlpLogsJson),
    ])
      assert.deepEqual(showLogs(resources), [`{} @1795883460123+456789 ${int} id=${int} l=[${int}] m_k=${int}`])
    const traceRequest = { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }
    for (const trace of [
      decodeOtlpTraces(protobuf(tracesRequest, traceRequest)),
      ...forms({ resourceSpans: traceRequest.resourceSpans }).map(text =>
        parseOtlpTracesJson(text.replace(/"traceId":[^,]*/, `"traceId":"${'0f'.repeat(16)}"`)),
      ),
    ]) {
      const shown = JSON.stringify(traceToJson(trace))
      assert.equal(shown.split(`"intValue":"${int}"`).length, 4, shown)
      assert.match(shown, /"startTimeUnixNano":"1795883460123456789"/)
    }
  }
})

test('nanoseconds become milliseconds without a rounding between', () => {
  for (const [ns, ms] of [
    ['1795883460123000000', 1795883460123],
    ['1795883460122999999', 1795883460122],
    ['1795883460123000001', 1795883460123],
    ['18446744073709551615', 18446744073709],
    ['0', 0],
  ] as const) {
    const request = metricsOf({ name: 'm', gauge: { dataPoints: [{ timeUnixNano: ns, asDouble: 1 }] } })
    const bare = JSON.stringify(request).replace(`"${ns}"`, ns)
    for (const [form, resources] of [
      ['protobuf', decodeOtlpMetrics(protobuf(metricsRequest, request))],
      ['text', parseOtlpMetricsJson(JSON.stringify(request))],
      ['number', parseOtlpMetricsJson(bare)],
    ] as const)
      assert.equal(resources[0]!.scopes[0]!.metrics[0]!.points[0]!.timeMs, ms, `${form} ${ns}`)
  }
})

test('values that are nested too deep, and endless numbers, are refused', () => {
  const logOf = (body: Uint8Array): Uint8Array => {
    const wrap = (field: number, bytes: Uint8Array): Uint8Array =>
      protobuf({ inner: [field, 'hex'] }, { inner: Buffer.from(bytes).toString('hex') })
    return wrap(1, wrap(2, wrap(2, wrap(5, body))))
  }
  const problemOf = (resources: OtlpLogResource[]): string => resources[0]!.scopes[0]!.records[0]!.problem ?? ''
  assert.equal(problemOf(decodeOtlpLogs(logOf(nested(50)))), '')
  assert.match(problemOf(decodeOtlpLogs(logOf(nested(2000)))), /nested more than 100 deep/)
  const endless = Buffer.alloc(1 << 20, 0xff).fill(0x18, 0, 1)
  assert.match(problemOf(decodeOtlpLogs(logOf(endless))), /a varint longer than 10 bytes/)
  const json = (depth: number): string =>
    `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${'{"arrayValue":{"values":['.repeat(depth)}` +
    `${']}}'.repeat(depth)}}]}]}]}`
  assert.equal(problemOf(parseOtlpLogsJson(json(50))), '')
  assert.match(problemOf(parseOtlpLogsJson(json(110))), /nested more than 100 deep/)
})

const traces = {
  resourceSpans: [
    {
      resource: { attributes: [text('service.name', 'shop')], droppedAttributesCount: 1 },
      scopeSpans: [
        {
          scope: { name: 'lib', version: '2', attributes: [text('s', 't')] },
          spans: [
            {
              traceId: '0102030405060708090a0b0c0d0e0f10',
              spanId: '0102030405060708',
              traceState: 'a=b',
              parentSpanId: '0807060504030201',
              name: 'GET /cart',
              kind: 2,
              startTimeUnixNano: '1700000000000000001',
              endTimeUnixNano: '1700000000500000000',
              attributes: [
                text('http.method', 'GET'),
                { key: 'big', value: { intValue: '-9007199254740993' } },
                { key: 'half', value: { doubleValue: 0.5 } },
                { key: 'ok', value: { boolValue: true } },
                { key: 'list', value: { arrayValue: { values: [{ stringValue: 'x' }] } } },
                { key: 'map', value: { kvlistValue: { values: [text('k', 'v')] } } },
              ],
              droppedAttributesCount: 3,
              events: [{ timeUnixNano: '1700000000100000000', name: 'e', attributes: [text('a', 'b')] }],
              droppedEventsCount: 4,
              links: [{ traceId: '0f'.repeat(16), spanId: '0e'.repeat(8), traceState: 'c=d', flags: 1 }],
              droppedLinksCount: 5,
              status: { message: 'no', code: 2 },
              flags: 257,
            },
            { traceId: '0f'.repeat(16), spanId: '0e'.repeat(8), name: 'short' },
          ],
          schemaUrl: 'https://scope',
        },
      ],
      schemaUrl: 'https://resource',
    },
  ],
}

test('traces: spans from protobuf and from JSON are the same, and come back', () => {
  const bytes = protobuf(tracesRequest, traces)
  const decoded = decodeOtlpTraces(bytes)
  const shown = traceToJson(decoded)
  assert.deepEqual(shown, traceToJson(parseOtlpTracesJson(JSON.stringify(traces))))
  assert.deepEqual(traceToJson(decodeOtlpTraces(encodeOtlpTraces(decoded).slice())), shown)
  assert.deepEqual(traceToJson(parseOtlpTracesJson(JSON.stringify({ batches: shown }))), shown)
  const [first] = decoded.resources[0]!.scopes[0]!.spans
  assert.deepEqual(
    [first!.name, first!.kind, first!.startNs, first!.statusCode, first!.statusMessage, first!.flags],
    ['GET /cart', 2, 1_700_000_000_000_000_001n, 2, 'no', 257],
  )
  assert.deepEqual(first!.attributes[1], { key: 'big', value: { kind: 'int', value: -9_007_199_254_740_993n } })
})

test('traces: an outline counts what is in lists, and its spans are read later', () => {
  const bytes = protobuf(tracesRequest, traces)
  const [outline] = decodeOtlpTraces(bytes, true).resources[0]!.scopes[0]!.spans
  assert.deepEqual([outline!.name, outline!.attributes, outline!.attributeCount], ['GET /cart', [], 6])
  const whole = decodeSpan(bytes, outline!.wireFrom!, outline!.wireTo!)
  assert.deepEqual(whole.attributes, decodeOtlpTraces(bytes).resources[0]!.scopes[0]!.spans[0]!.attributes)
  const raw = decodeSpan(bytes, outline!.wireFrom!, outline!.wireTo!, true).raw!
  const seen: string[] = []
  const slice = (from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).toString()
  for (let i = 0; i < raw.ranges.length; i += 2)
    raw.visit(raw.message, raw.ranges[i]!, raw.ranges[i + 1]!, {
      text: (keyFrom, keyTo, from, to) => seen.push(`${slice(keyFrom, keyTo)}=${slice(from, to)}`),
      long: (keyFrom, keyTo, value) => seen.push(`${slice(keyFrom, keyTo)}=${value}`),
      double: (keyFrom, keyTo, value) => seen.push(`${slice(keyFrom, keyTo)}=${value}`),
      bool: (keyFrom, keyTo, value) => seen.push(`${slice(keyFrom, keyTo)}=${value}`),
      other: (keyFrom, keyTo, value) => seen.push(`${slice(keyFrom, keyTo)} is a ${value.kind}`),
    })
  assert.deepEqual(seen, [
    'http.method=GET',
    'big=-9007199254740993',
    'half=0.5',
    'ok=true',
    'list is a array',
    'map is a map',
  ])
})

test('traces: ids that are none', () => {
  const json = (traceId: string): string =>
    JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ traceId }] }] }] })
  const [span] = parseOtlpTracesJson(json('xyz')).resources[0]!.scopes[0]!.spans
  assert.match(span!.problem ?? '', /traceId "xyz" is no id: 32 hexadecimal digits were expected/)
  assert.throws(() => parseOtlpTracesJson('[]'), /no object with "resourceSpans"/)
})

test('traces: zeros are no parent and no link, from protobuf and from JSON', () => {
  const own = { traceId: '0f'.repeat(16), spanId: '0e'.repeat(8), name: 'n' }
  const attributes = [{ key: 'a', value: { stringValue: 'x' } }]
  const links = [{ traceId: '00'.repeat(16), spanId: '00'.repeat(8), attributes }, { attributes }]
  const spans = [{ ...own, parentSpanId: '00'.repeat(8), links }]
  const request = { resourceSpans: [{ scopeSpans: [{ spans }] }] }
  const bytes = protobuf(tracesRequest, request)
  for (const trace of [decodeOtlpTraces(bytes), parseOtlpTracesJson(JSON.stringify(request))]) {
    const [span] = trace.resources[0]!.scopes[0]!.spans
    assert.equal(span!.parentSpanId.length, 0)
    assert.deepEqual(
      span!.links.map(l => [l.traceId.length, l.spanId.length, l.attributes.length]),
      [
        [0, 0, 1],
        [0, 0, 1],
      ],
    )
  }
})

test('traces: damaged requests; what an outline accepts can be read whole', () => {
  const decode = (bytes: Uint8Array): void => {
    const outline = decodeOtlpTraces(bytes, true)
    for (const { scopes } of outline.resources)
      for (const { spans } of scopes)
        for (const { wireFrom, wireTo, problem } of spans) {
          if (problem !== undefined) continue
          try {
            decodeSpan(bytes, wireFrom!, wireTo!)
          } catch (error) {
            throw new Error('an outline was accepted whose span is damaged', { cause: error })
          }
        }
    encodeOtlpTraces(decodeOtlpTraces(bytes))
  }
  checkDamage(protobuf(tracesRequest, traces), decode, { errors: [CorruptDataError], refusesCuts: 'protobuf' })
  const parse = (bytes: Uint8Array): unknown => encodeOtlpTraces(parseOtlpTracesJson(utf8(bytes)))
  checkDamage(Buffer.from(JSON.stringify(traces)), parse, { errors: [BadDataError], refusesCuts: 'always' })
})

test('traces: ids of wrong length, in JSON, cost their span alone; base64 is what Tempo answers', () => {
  const good = { traceId: '0f'.repeat(16), spanId: '0E'.repeat(8), name: 'good' }
  const cases: [own: Message, problem: RegExp | undefined][] = [
    [{}, undefined],
    [{ traceId: '5e'.repeat(15) }, /^traceId "5e/],
    [{ traceId: '5e'.repeat(17) }, /^traceId "5e/],
    [{ traceId: 'AAECAwQFBgcICQoLDA0ODw==' }, /^traceId "AAEC/],
    [{ traceId: 'zz'.repeat(16) }, /is no id: 32 hexadecimal digits were expected$/],
    [{ spanId: 'AAECAwQFBgc=' }, /^spanId .* is no id: 16 hexadecimal digits were expected$/],
    [{ spanId: '0e'.repeat(7) }, /^spanId /],
    [{ parentSpanId: '0e' }, /^parentSpanId /],
    [{ links: [{ traceId: 'f'.repeat(31), spanId: '0e'.repeat(8) }] }, /^traceId "fff/],
    [{ links: [{ traceId: 'f'.repeat(32), spanId: '0' }] }, /^spanId "0"/],
  ]
  const request = (spans: Message[], member: string): string =>
    JSON.stringify({ [member]: [{ scopeSpans: [{ spans }] }] })
  for (const [own, problem] of cases) {
    const { spans } = parseOtlpTracesJson(request([good, { ...good, ...own }, good], 'resourceSpans')).resources[0]!
      .scopes[0]!
    assert.deepEqual(
      spans.map(span => span.problem === undefined),
      [true, problem === undefined, true],
      JSON.stringify(own),
    )
    if (problem !== undefined) assert.match(spans[1]!.problem!, problem)
  }
  const [tempos] = parseOtlpTracesJson(
    request([{ traceId: 'AAECAwQFBgcICQoLDA0ODw==', spanId: 'AAECAwQFBgc=' }], 'batches'),
  ).resources[0]!.scopes[0]!.spans
  assert.equal(Buffer.from(tempos!.traceId).toString('hex'), '000102030405060708090a0b0c0d0e0f')
})

/** A message in which each `§` is two bytes that are no UTF-8. */
function withBadBytes(message: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(message).toString('latin1').replaceAll('\u00c2\u00a7', '\u00fc\u00fd'), 'latin1')
}
const replaced = (text: string): string => text.replaceAll('§', '\ufffd\ufffd')

test('traces: texts that are no UTF-8 get U+FFFD, wherever they stand; all spans are kept', () => {
  const bad = { key: 'k§', value: { stringValue: 'M§ll' } }
  const nested = { key: 'l', value: { arrayValue: { values: [{ kvlistValue: { values: [bad] } }] } } }
  const good = { traceId: '0f'.repeat(16), spanId: '0e'.repeat(8), name: 'good' }
  const places: [name: string, span: Message, resource?: Message, scope?: Message][] = [
    ['name', { name: 'M§ll' }],
    ['state', { traceState: '§' }],
    ['attribute', { attributes: [bad] }],
    ['nested', { attributes: [nested] }],
    ['event', { events: [{ name: '§' }] }],
    ['event attribute', { events: [{ attributes: [bad] }] }],
    ['link', { links: [{ traceId: '0f'.repeat(16), spanId: '0e'.repeat(8), traceState: '§' }] }],
    ['link attribute', { links: [{ traceId: '0f'.repeat(16), spanId: '0e'.repeat(8), attributes: [bad] }] }],
    ['status', { status: { message: '§', code: 2 } }],
    ['resource', {}, { attributes: [bad] }],
    ['scope', {}, {}, { name: 'n§', version: '§' }],
    ['scope attribute', {}, {}, { attributes: [bad] }],
  ]
  for (const [place, span, ofResource = {}, scope = {}] of places) {
    const spans = [good, { ...good, name: 'also', ...span }]
    const sent = { resourceSpans: [{ resource: ofResource, scopeSpans: [{ scope, spans }] }] }
    const bytes = withBadBytes(protobuf(tracesRequest, sent))
    const { trace, message } = readOtlpTraces(bytes)
    assert.deepEqual(
      trace.resources[0]!.scopes[0]!.spans.map(s => s.problem),
      [undefined, undefined],
      place,
    )
    const shown = JSON.stringify(traceToJson(decodeOtlpTraces(message)))
    const wanted = traceToJson(decodeOtlpTraces(protobuf(tracesRequest, sent)))
    assert.equal(shown, replaced(JSON.stringify(wanted)), place)
    assert.ok(shown.includes('\ufffd'), place)
  }
  const clean = protobuf(tracesRequest, traces)
  assert.equal(readOtlpTraces(clean).message, clean)
})

test('traces: a span that can not be read costs itself, also beside texts that are no UTF-8', () => {
  const good = { traceId: '0f'.repeat(16), spanId: '0e'.repeat(8) }
  const named = (name: string, attributes: Message[] = []): Message => ({ ...good, name, attributes })
  const deep = { key: 'deep', value: { arrayValue: { values: [{ stringValue: 'cut' }] } } }
  for (const first of ['one', 'on§']) {
    const sent = { resourceSpans: [{ scopeSpans: [{ spans: [named(first), named('bad', [deep]), named('two')] }] }] }
    const bytes = withBadBytes(protobuf(tracesRequest, sent))
    // The field of the innermost text claims to be a number of 64 bits.
    const at = bytes.indexOf('cut') - 2
    bytes[at] = 0x0b
    const { trace } = readOtlpTraces(bytes)
    assert.deepEqual(
      trace.resources[0]!.scopes[0]!.spans.map(s => [s.name, s.problem === undefined]),
      [
        [replaced(first), true],
        ['', false],
        ['two', true],
      ],
    )
  }
})

test('traces: members of JSON that are objects where numbers belong', () => {
  const span = { flags: { toString: 1, valueOf: 1 }, attributes: [{ key: 'a', value: { doubleValue: [[{}]] } }] }
  const json = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] })
  const [read] = parseOtlpTracesJson(json).resources[0]!.scopes[0]!.spans
  assert.deepEqual([read!.flags, read!.attributes[0]!.value], [0, { kind: 'double', value: NaN }])
})

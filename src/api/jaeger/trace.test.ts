/** A trace as Jaeger's query service prints it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parseOtlpTracesJson } from '#wire/otlp/traces.ts'
import { jaegerTrace } from './trace.ts'

const traceId = '01'.repeat(16)
const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } })
const service = (name: string): object => ({ attributes: [text('service.name', name), text('host', 'h')] })

test('spans have references, times in microseconds, typed tags, logs and the process of their resource', () => {
  const span = {
    traceId,
    spanId: '02'.repeat(8),
    parentSpanId: '01'.repeat(8),
    traceState: 'k=v',
    name: 'get',
    kind: 2,
    startTimeUnixNano: '1000000',
    endTimeUnixNano: '3500000',
    attributes: [
      text('s', 'x'),
      { key: 'b', value: { boolValue: true } },
      { key: 'i', value: { intValue: '7' } },
      { key: 'large', value: { intValue: '9007199254740993' } },
      { key: 'd', value: { doubleValue: 1.5 } },
      { key: 'nan', value: { doubleValue: 'NaN' } },
      { key: 'bytes', value: { bytesValue: 'AQI=' } },
      { key: 'list', value: { arrayValue: { values: [{ intValue: '1' }, { stringValue: 'a' }] } } },
      { key: 'map', value: { kvlistValue: { values: [text('k', 'v'), { key: 'n', value: {} }] } } },
      { key: 'jaeger.warnings', value: { arrayValue: { values: [{ stringValue: 'late' }] } } },
    ],
    events: [{ timeUnixNano: '2000000', name: 'e', attributes: [text('a', 'b')] }],
    links: [
      { traceId: '03'.repeat(16), spanId: '04'.repeat(8), attributes: [text('opentracing.ref_type', 'child_of')] },
      { traceId: '05'.repeat(16), spanId: '06'.repeat(8) },
    ],
    status: { code: 2, message: 'failed' },
  }
  const bare = { traceId, spanId: '07'.repeat(8), name: 'bare', startTimeUnixNano: '0', endTimeUnixNano: '0' }
  const trace = parseOtlpTracesJson(
    Buffer.from(
      JSON.stringify({
        resourceSpans: [
          { resource: service('web'), scopeSpans: [{ scope: { name: 'lib', version: '1' }, spans: [span] }] },
          { resource: service('db'), scopeSpans: [{ spans: [bare] }] },
          { resource: service('web'), scopeSpans: [{ spans: [bare] }] },
        ],
      }),
    ),
  )
  const tag = (key: string, type: string, value: unknown): object => ({ key, type, value })
  const spanJson = {
    traceID: traceId,
    spanID: '02'.repeat(8),
    operationName: 'get',
    references: [
      { refType: 'CHILD_OF', traceID: traceId, spanID: '01'.repeat(8) },
      { refType: 'CHILD_OF', traceID: '03'.repeat(16), spanID: '04'.repeat(8) },
      { refType: 'FOLLOWS_FROM', traceID: '05'.repeat(16), spanID: '06'.repeat(8) },
    ],
    startTime: 1000,
    duration: 2500,
    tags: [
      tag('s', 'string', 'x'),
      tag('b', 'bool', true),
      tag('i', 'int64', 7),
      tag('large', 'int64', '9007199254740993'),
      tag('d', 'float64', 1.5),
      tag('nan', 'float64', 'NaN'),
      tag('bytes', 'binary', 'AQI='),
      tag('list', 'string', '[1,"a"]'),
      tag('map', 'string', '{"k":"v","n":null}'),
      tag('span.kind', 'string', 'server'),
      tag('otel.scope.name', 'string', 'lib'),
      tag('otel.scope.version', 'string', '1'),
      tag('otel.status_code', 'string', 'ERROR'),
      tag('error', 'bool', true),
      tag('otel.status_description', 'string', 'failed'),
      tag('w3c.tracestate', 'string', 'k=v'),
    ],
    logs: [{ timestamp: 2000, fields: [tag('event', 'string', 'e'), tag('a', 'string', 'b')] }],
    processID: 'p1',
    warnings: ['late'],
  }
  const bareJson = {
    traceID: traceId,
    spanID: '07'.repeat(8),
    operationName: 'bare',
    references: [],
    startTime: 0,
    duration: 0,
    tags: [],
    logs: [],
    processID: 'p2',
    warnings: null,
  }
  const process = (serviceName: string): object => ({ serviceName, tags: [tag('host', 'string', 'h')] })
  assert.deepEqual(jaegerTrace(traceId, trace), {
    traceID: traceId,
    spans: [spanJson, bareJson, { ...bareJson, processID: 'p1' }],
    processes: { p1: process('web'), p2: process('db') },
    warnings: null,
  })
})

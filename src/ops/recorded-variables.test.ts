/** Variables of a recorded command: what is set stays, and what follows is said. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordedEnvironment } from './recorded-variables.ts'

const addresses = { url: 'http://127.0.0.1:1', grpc: '127.0.0.1:2' }

test('without anything set all are given', () => {
  const { variables, remarks } = recordedEnvironment({}, addresses)
  assert.deepEqual(remarks, [])
  assert.deepEqual(variables, {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_LOGS_EXPORTER: 'otlp',
    OTEL_METRIC_EXPORT_INTERVAL: '1000',
    OTEL_METRIC_EXPORT_TIMEOUT: '1000',
    OTEL_BSP_SCHEDULE_DELAY: '200',
    OTEL_BLRP_SCHEDULE_DELAY: '200',
    TERCET_URL: 'http://127.0.0.1:1',
    TERCET_REMOTE_WRITE_URL: 'http://127.0.0.1:1/api/v1/write',
    TERCET_LOKI_PUSH_URL: 'http://127.0.0.1:1/loki/api/v1/push',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  })
})

test('over gRPC the endpoint is the other address', () => {
  const { variables, remarks } = recordedEnvironment({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, addresses)
  assert.equal(variables['OTEL_EXPORTER_OTLP_ENDPOINT'], 'http://127.0.0.1:2')
  assert.ok(!('OTEL_EXPORTER_OTLP_PROTOCOL' in variables))
  assert.deepEqual(remarks, [])
})

test('what is set stays, and is said where less is recorded', () => {
  const set = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://elsewhere',
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://logs',
    OTEL_SDK_DISABLED: 'true',
    OTEL_METRIC_EXPORT_INTERVAL: '',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=ci,team=a',
  }
  const { variables, remarks } = recordedEnvironment(set, addresses)
  for (const name of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_TRACES_EXPORTER', 'OTEL_RESOURCE_ATTRIBUTES'])
    assert.ok(!(name in variables), name)
  assert.equal(variables['OTEL_METRIC_EXPORT_INTERVAL'], '1000')
  assert.deepEqual(remarks, [
    'OTEL_EXPORTER_OTLP_ENDPOINT=http://elsewhere is set and stays: what goes elsewhere is not recorded',
    'OTEL_TRACES_EXPORTER=none is set and stays: what goes elsewhere is not recorded',
    'OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://logs is set and stays: logs go there',
    'OTEL_SDK_DISABLED=true is set: SDKs send nothing',
  ])
})

test('the interval of metrics and its timeout are given together, or not at all', () => {
  const { variables } = recordedEnvironment({ OTEL_METRIC_EXPORT_TIMEOUT: '30000' }, addresses)
  assert.ok(!('OTEL_METRIC_EXPORT_INTERVAL' in variables))
  assert.ok(!('OTEL_METRIC_EXPORT_TIMEOUT' in variables))
})

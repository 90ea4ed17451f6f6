/** stack.yaml: defaults by engine, and what is wrong with its place. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { engines, hoursOf, readStack, type Engine } from './stack.ts'

const defaults: readonly (readonly [engine: Engine, key: string, value: unknown])[] = [
  ['tercet', 'signals', ['metrics', 'logs', 'traces']],
  ['victoria', 'signals', ['metrics', 'logs']],
  ['tercet', 'scrape', { interval: '15s', timeout: '10s' }],
  ['lgtm', 'scrape', { interval: '30s', timeout: '10s' }],
  ['tercet', 'persistence', { isOn: true, size: '10Gi', storageClass: '' }],
  ['tercet', 's3', undefined],
  ['tercet', 'namespace', 'monitoring'],
  ['tercet', 'retention', { metrics: '30d', logs: '30d', traces: '30d' }],
]
for (const [engine, key, value] of defaults)
  test(`${engine}: ${key} is ${JSON.stringify(value)} by default`, () => {
    assert.deepEqual(Object.entries(readStack('', 'stack.yaml', engine)).find(([name]) => name === key)?.[1], value)
  })

test('with a bucket Tercet needs no volume, and the others do', () => {
  const isOn = (engine: Engine): boolean => readStack('s3: {}', 'stack.yaml', engine).persistence.isOn
  assert.deepEqual(engines.map(isOn), [false, true, true])
})

test('the engine that is given goes before the one of the file', () => {
  assert.equal(readStack('engine: lgtm', 'stack.yaml').engine, 'lgtm')
  assert.equal(readStack('engine: lgtm', 'stack.yaml', 'victoria').engine, 'victoria')
})

test('buckets and Secrets have names by engine, each of which can be another', () => {
  const { s3 } = readStack('s3: { buckets: { logs: mine }, secrets: { metrics: keys } }', 'stack.yaml', 'victoria')
  assert.deepEqual(s3?.buckets, { metrics: 'victoriametrics-data', logs: 'mine', traces: 'victoriatraces-data' })
  assert.deepEqual(s3?.secrets, {
    metrics: 'keys',
    logs: 'victorialogs-s3-secret',
    traces: 'victoriatraces-s3-secret',
  })
})

test('a retention is hours', () => {
  assert.deepEqual(['12h', '30d', '2w', '1y'].map(hoursOf), [12, 720, 336, 8760])
})

const wrong: readonly (readonly [text: string, message: string])[] = [
  ['engin: tercet', 'stack.yaml:1:8: engin: unknown key; '],
  ['engine: other', 'engine "other" is not one of tercet, victoria, lgtm'],
  ['name: a\nretention: { metrics: 1m }', 'stack.yaml:2:12: retention: metrics: "1m" is no retention; '],
  ['scrape: { interval: soon }', 'stack.yaml:1:1: scrape.interval: "soon" is no duration like 15s'],
  ['scrape: { interval: 5s }', 'stack.yaml:1:1: scrape.timeout 10s is longer than scrape.interval 5s'],
  ['s3: { endpoint: "http://x" }', 'stack.yaml:1:5: s3: endpoint http://x has no TLS; use https://, or allow it with '],
  ['s3: { endpoint: "x y" }', 'stack.yaml:1:5: s3: endpoint "x y" is no URL; https://host was expected'],
  ['s3: { bucket: x }', 'stack.yaml:1:15: s3.bucket: unknown key; '],
  ['s3: { buckets: { metric: x } }', 'stack.yaml:1:26: s3.buckets.metric: unknown key; '],
  ['signals: []', 'stack.yaml:1:1: signals: none is named; some of metrics, logs, traces were expected'],
  ['signals: [log]', 'stack.yaml:1:1: signals: "log"; some of metrics, logs, traces were expected'],
  ['signals: [logs]', 'stack.yaml:1:1: signals: the engine tercet has all three in one process'],
  [
    'age_recipients: [AGE-SECRET-KEY-1]',
    'stack.yaml: age_recipients: "AGE-SECRET-KEY-1" is no age recipient (age1\u2026)',
  ],
  ['image: { tag: latest }', 'stack.yaml: image.tag is "latest"; name a version, '],
  ['development_s3: { enabled: true }', 'stack.yaml: development_s3.image: name the image of an S3 server; '],
]
for (const [text, message] of wrong)
  test(`${text.replaceAll('\n', ' / ')}: refused with its place`, () => {
    assert.throws(
      () => readStack(text, 'stack.yaml'),
      (error: unknown) => {
        assert.ok(error instanceof BadDataError)
        assert.equal(error.message.slice(0, message.length), message)
        return true
      },
    )
  })

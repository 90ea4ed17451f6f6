/** The file of tenants: keys as the configuration has them, and what is refused, with its place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { Overrides } from '#core/overrides.ts'
import { overridableKeys, parseTenants } from './tenants-file.ts'

const dayMs = 86_400_000

test('a tenant has what is set for it, else what * has, else what the configuration has', () => {
  const overrides = new Overrides(
    parseTenants(
      `overrides:
  "*": { limits: { active_series: 10, log_rate: 1MB }, metrics.retention: 7d }
  a:
    limits.active_series: 20
    limits: { log_streams: 3, query_samples: 1000 }
    metrics: { retention: inf }
    logs.retention: 1d
  b: {}`,
      'tenants.yaml',
    ),
  )
  assert.deepEqual(overrides.of('a'), {
    activeSeriesMax: 20,
    logRateBytes: 1e6,
    logStreamsMax: 3,
    querySamplesMax: 1000,
    retentionMs: { metrics: Infinity, logs: dayMs },
  })
  for (const tenant of ['b', 'ab', '*', '__proto__', 'constructor'])
    assert.deepEqual(overrides.of(tenant), {
      activeSeriesMax: 10,
      logRateBytes: 1e6,
      retentionMs: { metrics: 7 * dayMs },
    })
  assert.equal(overrides.retentionMs('a', 'traces', 5), 5)
  // A question about several may hold what the least of them may.
  assert.equal(overrides.querySamplesMax(['a', 'b'], 100), 100)
  assert.equal(overrides.querySamplesMax(['a', 'b'], 5000), 1000)
  assert.equal(overrides.querySamplesMax(['b'], 5000), undefined)
  assert.deepEqual(new Overrides(parseTenants('', 'tenants.yaml')).of('a'), {})
})

test('every key is a limit, of bytes or a number, or a retention', () => {
  for (const key of overridableKeys) {
    const value = key.endsWith('retention') ? '12h' : '12'
    const { tenants } = parseTenants(`overrides: { a: { ${key}: ${value} } }`, 'f')
    const [set, ...more] = Object.values(tenants.get('a') ?? {}) as unknown[]
    assert.deepEqual(more, [], key)
    const plain = typeof set === 'object' ? Object.values(set as object)[0] : set
    assert.equal(plain, key.endsWith('retention') ? 12 * 3_600_000 : 12, key)
  }
})

const refused: readonly [text: string, problem: RegExp][] = [
  ['overrides: { a: { limits.active_serie: 1 } }', /^f:1:\d+: overrides.a.limits.active_serie: unknown key/],
  ['overrides:\n  a:\n    limits: { log_line_size: 1 }', /^f:3:\d+: .*unknown key; of one tenant there can be limits/],
  ['overrides: { a: { limits.log_rate: much } }', /^f:1:36: .*"much" is not a size like/],
  ['overrides: { a: { metrics.retention: -1d } }', /is not a duration/],
  ['overrides: { a: { limits.log_streams: 1, limits: { log_streams: 2 } } }', /stands twice/],
  ['overrides: { a: {}, a: {} }', /^f:1:/],
  ['overrides: { a: 3 }', /a section .* was expected/],
  ['overrides: { index: {} }', /^f:1:\d+: .*is reserved/],
  ['overrides: { "a|b": {} }', /names several tenants/],
  ['overrides: { *: {} }', /^f:1:/],
  ['tenants: { a: {} }', /unknown key; overrides/],
  ['- a', /a section .* was expected/],
]
for (const [text, problem] of refused)
  test(`refused: ${text.replaceAll('\n', ' ')}`, () => {
    assert.throws(
      () => parseTenants(text, 'f'),
      (error: unknown) => error instanceof BadDataError && problem.test(error.message) === true,
    )
  })

/** What is taken out of texts, so that those of two runs are equal. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { levelOf, LogProfile, mergedPatterns, patternOf } from './log-patterns.ts'
import { metricShape, statementShape, withoutVariables } from './variable-parts.ts'

const texts: readonly (readonly [string, string])[] = [
  ['GET /users/42/orders/7', 'GET /users/<n>/orders/<n>'],
  ['GET /users/0af76519-16cd-43dd-8448-eb211c80319c', 'GET /users/<id>'],
  ['no answer from 10.0.0.7:8080 within 1.5s', 'no answer from <address> within <n>'],
  ['no answer from [::1]:8080 within 900ms', 'no answer from <address> within <n>'],
  ['trace 0af7651916cd43dd8448eb211c80319c is late', 'trace <id> is late'],
  ['at 2026-11-30T10:00:00.123Z and at 2026-11-30 10:00:00,5', 'at <time> and at <time>'],
  ['pointer 0xDEADBEEF, 12 % of 1,024 KiB', 'pointer <id>, <n> % of <n> KiB'],
  ['worker-3 has\n\t taken 5 jobs', 'worker-<n> has taken <n> jobs'],
  ['no account of ada.l+x@mail.example.org', 'no account of <address>'],
  ['decade facade', 'decade facade'],
  ["Cannot read properties of undefined (reading 'price')", "Cannot read properties of undefined (reading 'price')"],
]
for (const [text, shape] of texts) test(`without variables: ${text}`, () => assert.equal(withoutVariables(text), shape))

const statements: readonly (readonly [string, string])[] = [
  ["SELECT * FROM a WHERE b = 'it''s' AND c=1.5", 'SELECT * FROM a WHERE b = ? AND c=?'],
  ['SELECT * FROM a WHERE b IN (1, 2,3)', 'SELECT * FROM a WHERE b IN (?)'],
  ['SELECT * FROM a WHERE b IN ($1, $2)', 'SELECT * FROM a WHERE b IN (?)'],
  ['INSERT INTO a1 VALUES (1, 2), (3, 4)', 'INSERT INTO a1 VALUES (?)'],
  ['SELECT b::int FROM a WHERE c = :name AND d = @p1', 'SELECT b::int FROM a WHERE c = ? AND d = ?'],
  ['{"find": "users", "filter": {"id": "abc"}}', '{"find": ?, "filter": {"id": ?}}'],
  ['SELECT  *\n  FROM a', 'SELECT * FROM a'],
]
for (const [text, shape] of statements) test(`a statement: ${text}`, () => assert.equal(statementShape(text), shape))

const metricNames: readonly (readonly [string, string])[] = [
  ['orders_of_user_42_total', 'orders_of_user_<n>_total'],
  ['queue_0af7651916_depth', 'queue_<n>_depth'],
  ['latency_p99', 'latency_p99'],
  ['http2_2xx_total', 'http2_2xx_total'],
]
for (const [name, shape] of metricNames)
  test(`a name of a metric: ${name}`, () => assert.equal(metricShape(name), shape))

test('long texts take no longer than their length', () => {
  for (const part of ['a1', '1.', "'", '(?, ', '"x: ', 'ab@', '::', '0x0', 'a-'])
    for (const shape of [withoutVariables, statementShape]) shape(part.repeat(500_000 / part.length))
})

const lines: readonly (readonly [string, string])[] = [
  ['{"level":50,"msg":"no stock of 5","err":{"type":"Error","message":"gone"}}', 'no stock of <n>: Error: gone'],
  ['{"message":"x failed","error":"timeout"}', 'x failed: timeout'],
  ['Traceback (most recent call last):\n  File "a.py", line 5\nKeyError: 17\n', 'KeyError: <n>'],
  ['level=error msg="no stock of 5" err="it is \\"gone\\""', 'no stock of <n>: it is \\"gone\\"'],
  ['Error: it failed\n    at main (x.js:1:2)', 'Error: it failed'],
  ['{"level": "error"', '{"level": "error"'],
]
for (const [line, pattern] of lines) test(`the pattern of ${line}`, () => assert.equal(patternOf(line), pattern))

test('levels', () => {
  assert.deepEqual(['error', 'FATAL', 'critical', 'warning', 'info', ''].map(levelOf), [
    'error',
    'error',
    'error',
    'warn',
    undefined,
    undefined,
  ])
})

function profileOf(...given: string[]): LogProfile {
  const profile = new LogProfile()
  for (const line of given) profile.add({ service: 'shop', level: 'error', line })
  return profile
}

test('a word in which five patterns differ is a value, in both runs together', () => {
  const base = profileOf('no user ada here', 'no user ben here', 'no user cleo here')
  const head = profileOf('no user dan here', 'no user eve here', 'no room dan here')
  assert.deepEqual([...new Set(mergedPatterns([base, head]).values())], ['no user <_> here', 'no room dan here'])
})

test('four patterns that differ in a word are four', () => {
  const base = profileOf('the cache is gone', 'the queue is gone', 'the disk is gone', 'the user is gone')
  assert.equal(new Set(mergedPatterns([base, new LogProfile()]).values()).size, 4)
})

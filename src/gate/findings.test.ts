/** Each kind of finding at its edges: what is found, what is not, and how sure it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Span, SpanKind } from '#library/results.ts'
import { compareProfiles } from './compare.ts'
import type { Finding } from './finding.ts'
import { metricProfileOf } from './metric-profile.ts'
import { Profile } from './profile.ts'
import { parseRules, Rules } from './rules.ts'

interface Request {
  route?: string
  ms?: number
  queries?: number
  /** Each is another statement. */
  isMixed?: boolean
  error?: string
  service?: string
}

let sequence = 0

function spanOf(name: string, kind: SpanKind, service: string, parentId = ''): Span {
  sequence++
  return {
    traceId: `t${sequence}`,
    spanId: `s${sequence}`,
    parentId,
    name,
    service,
    kind,
    status: 'unset',
    statusMessage: '',
    startNs: BigInt(sequence) * 1_000_000n,
    durationNs: 1_000_000n,
    attributes: {},
    resource: {},
    events: [],
  }
}

function traceOf({ route = 'GET /a', ms = 10, queries = 0, isMixed = false, error, service = 'web' }: Request): {
  traceId: string
  spans: Span[]
} {
  const root = {
    ...spanOf(route, 'server', service),
    durationNs: BigInt(Math.round(ms * 1e6)),
    ...(error === undefined ? {} : { status: 'error' as const, statusMessage: error }),
  }
  const below = Array.from({ length: queries }, (_, i) => ({
    ...spanOf('SELECT', 'client', service, root.spanId),
    attributes: { 'db.system': 'x', 'db.statement': isMixed ? `SELECT ${'abcdefgh'[i]}` : 'SELECT 1' },
  }))
  return { traceId: root.traceId, spans: [root, ...below] }
}

function profileOf(requests: readonly Request[], fill: (profile: Profile) => void = () => {}): Profile {
  const profile = new Profile('run', 0, 1)
  for (const request of requests) profile.addTrace(traceOf(request))
  profile.traces = requests.length
  fill(profile)
  return profile.finish()
}

function times(count: number, request: Request): Request[] {
  return Array.from({ length: count }, () => request)
}

function times3(text: string): string[] {
  return [text, text, text]
}

function findingsOf(base: Profile, head: Profile, rules = new Rules()): Finding[] {
  return compareProfiles(base, head, rules).findings.filter(({ kind }) => kind !== 'new_routes')
}

function shown(findings: readonly Finding[]): string[] {
  return findings.map(({ severity, kind }) => `${severity} ${kind}`)
}

test('an error of one request in a hundred is a warning, three are a failure, and one of one is', () => {
  const base = profileOf(times(100, {}))
  const failing = (count: number, of = 100): Profile =>
    profileOf([...times(of - count, {}), ...times(count, { error: 'x' })])
  assert.deepEqual(shown(findingsOf(base, failing(1))), ['warn new_errors'])
  assert.deepEqual(shown(findingsOf(base, failing(3))), ['fail new_errors'])
  assert.deepEqual(shown(findingsOf(profileOf([{}]), failing(1, 1))), ['fail new_errors'])
})

test('errors that both have fail where they are more frequent than chance makes them', () => {
  const failing = (count: number): Profile => profileOf([...times(200 - count, {}), ...times(count, { error: 'x 1' })])
  assert.deepEqual(shown(findingsOf(failing(10), failing(10))), [])
  assert.deepEqual(shown(findingsOf(failing(10), failing(18))), [])
  assert.deepEqual(shown(findingsOf(failing(10), failing(40))), ['fail error_growth'])
})

test('another reason for as many failures is a warning; numbers are no reason', () => {
  const failing = (error: string): Profile => profileOf([...times(20, {}), ...times(5, { error })])
  assert.deepEqual(shown(findingsOf(failing('order 17 is gone'), failing('order 18 is gone'))), [])
  assert.deepEqual(shown(findingsOf(failing('order 17 is gone'), failing('no price'))), ['warn new_errors'])
})

test('one more reason beside that of base is a failure, unless it shares its words or is rare', () => {
  const failing = (...errors: string[]): Profile =>
    profileOf([...times(90, {}), ...times(5, { error: 'the card was declined' }), ...errors.map(error => ({ error }))])
  const found = (...errors: string[]): string[] => shown(findingsOf(failing(), failing(...errors)))
  assert.deepEqual(found(...times3('no price of undefined')), ['fail new_errors'])
  assert.deepEqual(found(...times3('the card of ada was declined')), ['warn new_errors'])
  assert.deepEqual(found('no price of undefined'), ['warn new_errors'])
})

test('queries: two more of a typical request are a failure, one more warns where it can be a loop', () => {
  const asking = (queries: number): Profile => profileOf(times(5, { queries }))
  assert.deepEqual(shown(findingsOf(asking(2), asking(3))), ['warn queries'])
  assert.deepEqual(shown(findingsOf(asking(1), asking(2))), ['warn queries'])
  assert.deepEqual(shown(findingsOf(asking(3), asking(4))), ['warn queries'])
  assert.deepEqual(shown(findingsOf(asking(3), asking(3))), [])
  assert.deepEqual(shown(findingsOf(asking(2), asking(4))), ['fail queries'])
  assert.deepEqual(shown(findingsOf(asking(0), asking(2))), ['fail queries'])
  assert.deepEqual(shown(findingsOf(asking(20), asking(24))), ['warn queries'])
})

test('queries: one or two requests fail where they ask a statement three times, or make four more queries', () => {
  for (const count of [1, 2]) {
    const asking = (queries: number): Profile => profileOf(times(count, { queries }))
    assert.deepEqual(shown(findingsOf(asking(1), asking(3))), ['fail queries'])
    assert.deepEqual(shown(findingsOf(asking(1), asking(2))), ['warn queries'])
    assert.deepEqual(shown(findingsOf(asking(2), asking(2))), [])
    assert.deepEqual(shown(findingsOf(asking(2), asking(1))), [])
    const mixed = (queries: number): Profile => profileOf(times(count, { queries, isMixed: true }))
    assert.deepEqual(shown(findingsOf(mixed(1), mixed(5))), ['fail queries'])
    assert.deepEqual(shown(findingsOf(mixed(1), mixed(4))), ['warn queries'])
    assert.deepEqual(shown(findingsOf(mixed(1), mixed(2))), [])
  }
})

test('queries: a route that jumps between two kinds of requests is no finding', () => {
  const mixed = (many: number): Profile =>
    profileOf([...times(40 - many, { queries: 0 }), ...times(many, { queries: 6 })])
  assert.deepEqual(shown(findingsOf(mixed(18), mixed(22))), [])
  assert.deepEqual(shown(findingsOf(mixed(4), mixed(30))), ['fail queries'])
})

test('queries: a fifth of the requests that asks many more is found', () => {
  const base = profileOf([...times(32, { queries: 0 }), ...times(8, { queries: 1 })])
  const head = profileOf([...times(32, { queries: 0 }), ...times(8, { queries: 21 })])
  const [found] = findingsOf(base, head)
  assert.match(found!.sentence, /one in ten requests of GET \/a \(web\) makes 21 queries, and 1 in base/)
})

test('a new route that asks a statement ten times is a warning that names it', () => {
  const [found] = findingsOf(profileOf([{ route: 'GET /b' }]), profileOf([{ route: 'GET /b' }, { queries: 12 }]))
  assert.deepEqual([found?.severity, found?.kind], ['warn', 'repeated_queries'])
  assert.match(found!.sentence, /SELECT \? 12 times/)
})

test('latency: a few requests fail where all are much slower, and warn where there are fewer than five', () => {
  const taking = (...ms: number[]): Profile => profileOf(ms.map(one => ({ ms: one })))
  const base = taking(10, 12, 14, 80, 11)
  assert.deepEqual(shown(findingsOf(base, taking(210, 300, 220, 240, 230))), ['fail latency'])
  assert.deepEqual(shown(findingsOf(base, taking(210, 300, 220))), ['warn latency'])
  assert.deepEqual(shown(findingsOf(base, taking(210, 300, 220, 240, 79))), [])
  assert.deepEqual(shown(findingsOf(base, taking(81, 82, 83, 84, 85))), [])
  assert.deepEqual(shown(findingsOf(taking(10), taking(400))), [])
  assert.deepEqual(shown(findingsOf(taking(100), taking(700))), [])
  assert.deepEqual(shown(findingsOf(taking(10), taking(600))), ['warn latency'])
})

test('latency: a few requests of a machine that is four times as slow are no finding', () => {
  const run = (factor: number): Profile =>
    profileOf(['a', 'b', 'c', 'd'].flatMap((route, i) => times(5, { route, ms: 90 * (i + 1) * factor })))
  assert.deepEqual(shown(findingsOf(run(1), run(4))), [])
})

test('latency: one route of a machine that is twice as slow is no finding', () => {
  const run = (factor: number): Profile => profileOf(times(30, {}).map((_, i) => ({ ms: (90 + (i % 7)) * factor })))
  assert.deepEqual(shown(findingsOf(run(1), run(2))), [])
})

test('latency: less than 20 ms is no finding', () => {
  const taking = (count: number, ms: number): Profile => profileOf(times(count, { ms }))
  assert.deepEqual(shown(findingsOf(taking(30, 2), taking(30, 20))), [])
  assert.deepEqual(shown(findingsOf(taking(30, 50), taking(30, 500))), ['fail latency'])
})

test('latency: a slow tenth alone is a warning', () => {
  const tail = (ms: number): Profile => profileOf(times(60, { ms: 50 }).map((request, i) => (i % 6 ? request : { ms })))
  assert.deepEqual(shown(findingsOf(tail(55), tail(900))), ['warn latency_tail'])
})

test('a run in which everything takes three times as long is a warning, and no route of it fails', () => {
  const run = (factor: number): Profile =>
    profileOf(['a', 'b', 'c', 'd', 'e', 'f'].flatMap((route, i) => times(20, { route, ms: 20 * (i + 1) * factor })))
  assert.deepEqual(shown(findingsOf(run(1), run(3))), ['warn slower_run'])
})

test('a run of spans of a millisecond that takes twice as long is no finding', () => {
  const run = (factor: number): Profile =>
    profileOf(['a', 'b', 'c', 'd', 'e'].flatMap((route, i) => times(20, { route, ms: (0.5 + i / 4) * factor })))
  assert.deepEqual(shown(findingsOf(run(1), run(2))), [])
})

test('services, routes and spans that are gone', () => {
  const base = profileOf([...times(5, { queries: 1 }), ...times(5, { route: 'GET /b' }), ...times(5, { service: 'x' })])
  const head = profileOf(times(5, {}))
  assert.deepEqual(shown(findingsOf(base, head)), [
    'warn vanished_services',
    'warn vanished_routes',
    'info vanished_spans',
  ])
})

test('ids in names of spans are cardinality', () => {
  const named = (count: number): Profile =>
    profileOf(Array.from({ length: 200 }, (_, i) => ({ route: `GET /users/${i % count}` })))
  const [found] = findingsOf(named(5), named(200))
  assert.deepEqual([found?.kind, found?.subject], ['cardinality', { service: 'web', label: 'span:name' }])
})

function metricsOf(...given: readonly (readonly [string, string, number])[]): Profile {
  return profileOf([], profile => {
    for (const [name, type, series] of given) {
      const labels = Array.from({ length: series }, (_, i) => ({ __name__: name, id: String(i), job: 'x' }))
      profile.metrics.set(name, metricProfileOf(name, labels, { type }))
    }
  })
}

test('the three names of a histogram are one metric', () => {
  const histogram = ['h_bucket', 'h_sum', 'h_count'].map(name => [name, 'histogram', 2] as const)
  const found = findingsOf(metricsOf(...histogram, ['up', 'gauge', 1]), metricsOf(['up', 'gauge', 1]))
  assert.deepEqual(
    found.map(({ subject }) => subject),
    [{ metric: 'h' }],
  )
})

test('metrics: another type fails, a new one is for information, 99 more series are none', () => {
  const base = metricsOf(['a', 'gauge', 1], ['b', 'gauge', 50])
  assert.deepEqual(shown(findingsOf(base, metricsOf(['a', 'counter', 1], ['b', 'gauge', 149], ['c', 'gauge', 1]))), [
    'fail changed_types',
    'info new_metrics',
  ])
  assert.deepEqual(shown(findingsOf(base, metricsOf(['a', 'gauge', 1], ['b', 'gauge', 150]))), ['fail cardinality'])
})

function loggingOf(lines: number, text: (i: number) => string): Profile {
  return profileOf(times(10, {}), profile => {
    for (let i = 0; i < lines; i++) profile.logs.add({ service: 'web', level: 'error', line: text(i) })
  })
}

test('errors in the log: a new pattern fails, a known one warns where it is much more frequent', () => {
  const known = (i: number): string => `order ${i} is late`
  assert.deepEqual(shown(findingsOf(loggingOf(5, known), loggingOf(8, known))), [])
  assert.deepEqual(shown(findingsOf(loggingOf(5, known), loggingOf(50, known))), ['warn log_growth'])
  assert.deepEqual(
    shown(
      findingsOf(
        loggingOf(5, known),
        loggingOf(1, () => 'it burns'),
      ),
    ),
    ['fail new_log_errors'],
  )
})

test('rules: off, another severity, what is ignored, and how many are listed', () => {
  const base = profileOf([{}])
  const head = profileOf(Array.from({ length: 30 }, (_, i) => ({ error: 'x', route: `GET /${'abcdefghij'[i % 10]}` })))
  const rules = (text: string): Rules => parseRules(text, 'gate.yml')
  assert.equal(findingsOf(base, head).length, 10)
  assert.deepEqual(findingsOf(base, head, rules('new_errors: { severity: off }')), [])
  assert.equal(findingsOf(base, head, rules('new_errors: { severity: info }'))[0]?.severity, 'info')
  const report = compareProfiles(
    base,
    head,
    rules('ignore: { span: ["GET /[a-c]"] }\nreading: { findings_per_kind: 3 }'),
  )
  assert.equal(report.findings.filter(({ kind }) => kind === 'new_errors').length, 3)
  assert.ok(report.notes.includes('new_errors: 7 findings, of which 3 are listed'))
  assert.ok(report.notes.some(note => /findings are ignored, as the rules say/.test(note)))
})

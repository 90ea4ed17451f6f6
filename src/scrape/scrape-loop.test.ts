/** One target over a socket and the virtual clock: what each answer stores, staleness, limits, labels, timestamps. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { HttpClient } from '#net/http-client.ts'
import { OutgoingGuard } from '#net/outgoing-guard.ts'
import { KeptSamples } from '../../test/kept-samples.ts'
import { protobuf, type Message, type Schema } from '../../test/protobuf.ts'
import { untilTrue } from '../../test/until.ts'
import { readPrometheusConfig } from './config.ts'
import { LabelTable } from './label-table.ts'
import { acceptHeader, ScrapeLoop } from './scrape-loop.ts'
import { makeTargets } from './target.ts'

let server: Server
let address = ''
/** `<status> <content type>` and a body. */
let answer: readonly [string, string | Uint8Array] = ['200 text/plain', '']
before(async () => {
  server = createServer((_request, reply) => {
    const [status = '', type = ''] = answer[0].split(' ')
    reply.writeHead(Number(status), type === '' ? {} : { 'content-type': type }).end(answer[1])
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(async () => {
  await new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  })
})

class Fixture {
  readonly clock = new VirtualClock(1_000_000_000)
  readonly store = new KeptSamples()
  readonly loop: ScrapeLoop
  #client: HttpClient

  constructor(job: string) {
    const text = `scrape_configs: [{ job_name: j, scrape_interval: 1m, ${job} }]`
    const [read] = readPrometheusConfig(text, 'p.yml', { env: {} }).jobs
    assert.ok(read)
    const own: [string, string][][] = [
      [
        ['__address__', address],
        ['instance', 'i'],
      ],
    ]
    const [target] = makeTargets(read, [{ source: 's', targets: own, labels: [] }]).active
    assert.ok(target)
    this.#client = new HttpClient(plainClient, {
      clock: systemClock,
      files: new MemoryFiles(),
      env: {},
      guard: new OutgoingGuard(),
      directory: '/',
    })
    this.loop = new ScrapeLoop(target, read, this.#client, {
      clock: this.clock,
      appender: this.store,
      bodyBytesMax: 1 << 20,
      version: '0',
      builders: [],
      labels: new LabelTable(),
    })
    this.loop.start()
  }

  /** The next scrape; what it stored, without times, and without the scrape's own series unless `withOwn`. */
  async scrape(body: string | Uint8Array, head = '200 text/plain', withOwn = false): Promise<string[]> {
    answer = [head, body]
    const before = this.store.batches
    await this.clock.advance(60_000)
    await untilTrue(
      () => this.store.batches > before && this.loop.state.lastScrapeMs > this.clock.nowMs() - 60_000,
      'a scrape',
    )
    return this.store
      .take(sample => withOwn || !/^(up|scrape_)/.test(sample))
      .filter(sample => !sample.startsWith('scrape_duration_seconds'))
      .map(sample => sample.replace(/ @.*/, ''))
  }
  async stop(isGone: boolean): Promise<string[]> {
    await this.loop.stop(isGone)
    await this.#client.close()
    return this.store.take().map(sample => sample.replace(/ @.*/, ''))
  }
}
const series = (text: string): string => text.replace('}', ', instance="i", job="j"}').replace('{, ', '{')

test('a scrape stores samples with the labels of the target, and its own series', async () => {
  const f = new Fixture('')
  assert.deepEqual(await f.scrape('a{l="1"} 7\nb 8\n', '200 text/plain', true), [
    'a{instance="i", job="j", l="1"} 7',
    'b{instance="i", job="j"} 8',
    'scrape_samples_post_metric_relabeling{instance="i", job="j"} 2',
    'scrape_samples_scraped{instance="i", job="j"} 2',
    'scrape_series_added{instance="i", job="j"} 2',
    'up{instance="i", job="j"} 1',
  ])
  assert.deepEqual([f.loop.state.health, f.loop.state.lastSamples], ['up', 2])
  await f.stop(false)
})

test('a series that vanishes gets a staleness marker once; a failed scrape ends them all', async () => {
  const f = new Fixture('')
  await f.scrape('a 1\nb 1\n')
  assert.deepEqual(await f.scrape('a 2\n'), [series('a{} 2'), series('b{} stale')])
  assert.deepEqual(await f.scrape('a 3\n'), [series('a{} 3')])
  assert.deepEqual(await f.scrape('', '500'), [series('a{} stale')])
  assert.deepEqual([f.loop.state.health, f.loop.state.lastError], ['down', 'server returned HTTP status 500'])
  assert.deepEqual(await f.scrape('', '500'), [])
  assert.deepEqual(await f.scrape('a 4\n'), [series('a{} 4')])
  await f.stop(false)
})

test("a target's series end when it is removed, not when the process stops", async () => {
  for (const isGone of [true, false]) {
    const f = new Fixture('')
    await f.scrape('a 1\n')
    const ends = await f.stop(isGone)
    assert.equal(ends.filter(sample => sample.endsWith(' stale')).length, isGone ? 6 : 0)
  }
})

/** Job, answer, and the error. A failed scrape stores nothing but `up` 0. */
const failures: readonly (readonly [string, string, string, RegExp])[] = [
  ['', '404', '', /HTTP status 404/],
  ['', '200', 'a 1\n', /blank Content-Type and no fallback_scrape_protocol/],
  ['', '200 text/html', 'a 1\n', /unsupported Content-Type "text\/html"/],
  ['', '200 text/plain', 'a 1\nb{ 2\n', /./],
  ['sample_limit: 2,', '200 text/plain', 'a 1\nb 1\nc 1\n', /sample limit exceeded: 3 samples, limit: 2/],
  ['label_limit: 3,', '200 text/plain', 'a{x="1"} 1\n', /label_limit exceeded .*number of labels: 4, limit: 3/],
  ['label_name_length_limit: 8,', '200 text/plain', 'a{x23456789="1"} 1\n', /label_name_length_limit exceeded/],
  ['label_value_length_limit: 3,', '200 text/plain', 'a{x="1234"} 1\n', /label_value_length_limit exceeded/],
  ['body_size_limit: 10B,', '200 text/plain', 'a 1\nbbbbbbbbbb 2\n', /limit of 10 bytes/],
]
for (const [job, head, body, message] of failures)
  test(`fails: ${job} ${head} ${JSON.stringify(body)}`, async () => {
    const f = new Fixture(job)
    const stored = await f.scrape(body, head, true)
    assert.match(f.loop.state.lastError, message)
    assert.ok(stored.includes(series('up{} 0')))
    assert.deepEqual(
      stored.filter(sample => !/^(up|scrape_)/.test(sample)),
      [],
    )
    await f.stop(false)
  })

test('a refusal of the target is its error, and nothing is asked', async () => {
  const f = new Fixture('')
  f.loop.refusal = 'too many targets'
  assert.deepEqual(await f.scrape('a 1\n'), [])
  assert.equal(f.loop.state.lastError, 'too many targets')
  await f.stop(false)
})

test('honor_labels: whose label wins, and where the other one goes', async () => {
  const body = 'a{job="own",instance="",exported_job="e"} 1\n'
  const without = new Fixture('')
  assert.deepEqual(await without.scrape(body), [
    'a{exported_exported_job="own", exported_job="e", instance="i", job="j"} 1',
  ])
  await without.stop(false)
  const withIt = new Fixture('honor_labels: true,')
  assert.deepEqual(await withIt.scrape(body), ['a{exported_job="e", instance="i", job="own"} 1'])
  await withIt.stop(false)
})

test('metric_relabel_configs change and drop series; dropped ones count as scraped only', async () => {
  const f = new Fixture(
    'metric_relabel_configs: [{ source_labels: [__name__], regex: b, action: drop }, { target_label: l, ' +
      'replacement: x }]',
  )
  const stored = await f.scrape('a 1\nb 1\n', '200 text/plain', true)
  assert.ok(stored.includes('a{instance="i", job="j", l="x"} 1'))
  assert.ok(stored.includes(series('scrape_samples_scraped{} 2')))
  assert.ok(stored.includes(series('scrape_samples_post_metric_relabeling{} 1')))
  await f.stop(false)
})

/** Options, then whether the sample has its own time and whether it ends with a staleness marker. */
const timestamps: readonly (readonly [string, boolean, boolean])[] = [
  ['', true, false],
  ['honor_timestamps: false', false, true],
  ['track_timestamps_staleness: true', true, true],
]
for (const [options, isOwn, isMarked] of timestamps)
  test(`timestamps: ${options}`, async () => {
    const f = new Fixture(options)
    answer = ['200 text/plain', 'a 1 999999000\n']
    await f.clock.advance(60_000)
    await untilTrue(() => f.store.batches === 1, 'a scrape')
    const [sample] = f.store.take(s => s.startsWith('a'))
    assert.equal(sample?.endsWith('@999999000'), isOwn)
    assert.deepEqual(await f.scrape(''), isMarked ? [series('a{} stale')] : [])
    await f.stop(false)
  })

test('when the store refuses a batch the scrape failed', async () => {
  const f = new Fixture('')
  f.store.failure = new Error('full')
  await f.scrape('a 1\n')
  assert.deepEqual([f.loop.state.health, f.loop.state.lastError], ['down', 'full'])
  await f.stop(false)
})

test('labels that collide twice move aside, short names first', async () => {
  const relabel =
    'relabel_configs: [{ target_label: foo, replacement: a }, { target_label: exported_foo, replacement: b }]'
  const f = new Fixture(relabel)
  assert.deepEqual(await f.scrape('v{foo="c",exported_foo="d"} 1\nw{exported_foo="e"} 2\n'), [
    'v{exported_exported_exported_foo="d", exported_exported_foo="c", exported_foo="b", foo="a", instance="i", ' +
      'job="j"} 1',
    'w{exported_exported_foo="e", exported_foo="b", foo="a", instance="i", job="j"} 2',
  ])
  await f.stop(false)
})

test('a job of the legacy scheme takes no names beyond it: the scrape fails', async () => {
  for (const [body, isRight] of [
    ['{"my.metric"} 1\n', false],
    ['m{"a.b"="1"} 1\n', false],
    ['my_metric{a_b="ü"} 1\n', true],
  ] as const) {
    const f = new Fixture('metric_name_validation_scheme: legacy, metric_name_escaping_scheme: underscores')
    const stored = await f.scrape(body, '200 text/plain;version=1.0.0')
    assert.deepEqual([f.loop.state.health, stored.length], isRight ? ['up', 1] : ['down', 0])
    if (!isRight) assert.match(f.loop.state.lastError, /^invalid metric name or label names: /)
    await f.stop(false)
  }
})

test('series of the scrape itself that a job asks for', async () => {
  const f = new Fixture('extra_scrape_metrics: true, sample_limit: 5, scrape_timeout: 7s')
  const own = await f.scrape('a 1\n', '200 text/plain', true)
  const found = own
    .filter(sample => /^scrape_(timeout|sample_limit|body)/.test(sample))
    .map(s => s.replace(/\{.*\}/, ''))
  assert.deepEqual(found, ['scrape_body_size_bytes 4', 'scrape_sample_limit 5', 'scrape_timeout_seconds 7'])
  await f.stop(false)
})

test('native histograms lose resolution until they fit; those that can not fail the scrape', async () => {
  const span: Schema = { offset: [1, 'sint'], length: [2, 'varint'] }
  const histogram: Schema = {
    count: [1, 'varint'],
    schema: [5, 'sint'],
    positiveSpan: [12, () => span],
    positiveDelta: [13, 'sint'],
  }
  const metric: Schema = { histogram: [7, () => histogram] }
  const family: Schema = { name: [1, 'text'], type: [3, 'varint'], metric: [4, () => metric] }
  const bodyOf = (schema: number): Uint8Array => {
    const own = { count: 8, schema, positiveSpan: [{ length: 8 }], positiveDelta: [1, 0, 0, 0, 0, 0, 0, 0] }
    const one = { name: 'h', type: 4, metric: [{ histogram: own }] }
    return protobuf({ family: [1, () => family] }, { family: one }).subarray(1)
  }
  const schemaAfter = async (job: string, schema: number): Promise<number | string> => {
    const f = new Fixture(`scrape_native_histograms: true, ${job}`)
    await f.scrape(bodyOf(schema), '200 application/vnd.google.protobuf')
    const [kept] = f.store.histograms
    await f.stop(false)
    return f.loop.state.health === 'up' && kept !== undefined ? kept.schema : f.loop.state.lastError
  }
  assert.equal(await schemaAfter('', 3), 3)
  assert.equal(await schemaAfter('native_histogram_bucket_limit: 4', 3), 1)
  assert.equal(await schemaAfter('native_histogram_bucket_limit: 8', 3), 3)
  assert.equal(await schemaAfter('native_histogram_min_bucket_factor: 2', 3), 0)
  assert.equal(await schemaAfter('native_histogram_min_bucket_factor: 1.1', 8), 2)
  assert.match(
    String(await schemaAfter('native_histogram_bucket_limit: 1', -4)),
    /native_histogram_bucket_limit exceeded/,
  )
})

test('the Accept header names the protocols in their order', () => {
  assert.equal(
    acceptHeader(['OpenMetricsText1.0.0', 'PrometheusText0.0.4'], 'underscores'),
    'application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
  )
})

test('an invalid native histogram is left out; samples beside it are stored, and the target says why', async () => {
  const span: Schema = { offset: [1, 'sint'], length: [2, 'varint'] }
  const histogram: Schema = {
    count: [1, 'varint'],
    schema: [5, 'sint'],
    positiveSpan: [12, () => span],
    positiveDelta: [13, 'sint'],
  }
  const gauge: Schema = { value: [1, 'double'] }
  const metric: Schema = { gauge: [2, () => gauge], histogram: [7, () => histogram] }
  const family: Schema = { name: [1, 'text'], type: [3, 'varint'], metric: [4, () => metric] }
  // Without the tag, a field is a length and a message.
  const bodyOf = (bad: Message): Uint8Array =>
    Buffer.concat(
      [
        { name: 'bad', type: 4, metric: [{ histogram: bad }] },
        { name: 'good', type: 1, metric: [{ gauge: { value: 7 } }] },
      ].map(one => protobuf({ family: [1, () => family] }, { family: one }).subarray(1)),
    )
  const cases: [bad: Message, reason: RegExp][] = [
    [{ count: 9, positiveSpan: [{ length: 1 }], positiveDelta: [1] }, /1 observations in buckets, the count is 9/],
    [{ count: 1, schema: 9, positiveSpan: [{ length: 1 }], positiveDelta: [1] }, /schema 9 is not known/],
    [{ count: 1, positiveSpan: [{ length: 2 }], positiveDelta: [1] }, /positive spans need 2 buckets, there are 1/],
  ]
  for (const [bad, reason] of cases) {
    const f = new Fixture('scrape_native_histograms: true')
    const head = '200 application/vnd.google.protobuf'
    assert.deepEqual(await f.scrape(bodyOf(bad), head), ['good{instance="i", job="j"} 7'])
    assert.equal(f.loop.state.health, 'up')
    assert.match(f.loop.state.lastError, reason)
    await f.stop(false)
  }
})

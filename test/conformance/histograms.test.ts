/**
 * Native histograms by remote write, to Tercet and to a real Prometheus: the same ones are taken and refused, what is
 * good beside them is kept, and functions over every mix of reset hints give the same.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { encodeSnappy } from '#codec/snappy.ts'
import { below, seededRandom } from '#core/random.ts'
import { invalidHistograms, validHistograms, writeV1, writeV2, type NamedSeries } from '../histogram-messages.ts'
import { needs, Peer } from '../peers.ts'
import type { Message } from '../protobuf.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { urlOf } from '../url.ts'
import { freePort } from '../free-port.ts'

const isSkipped = needs('prometheus')
const directory = temporaryDirectory()
const nowMs = Math.floor(Date.now() / 60_000) * 60_000
let tercet: Running
let prometheus: Peer | undefined
let prometheusUrl = ''

before(async () => {
  tercet = await runTercet()
  if (isSkipped.skip !== false) return
  const port = await freePort()
  prometheusUrl = `http://127.0.0.1:${port}`
  writeFileSync(`${directory}/prometheus.yml`, '')
  prometheus = new Peer(
    'prometheus',
    [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/tsdb`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--enable-feature=native-histograms',
    ],
    directory,
  )
  await prometheus.ready(`${prometheusUrl}/-/ready`)
})
after(async () => {
  await prometheus?.stop()
  await tercet.stop()
})

async function write(
  url: string,
  version: 1 | 2,
  series: readonly NamedSeries[],
): Promise<{ status: number; text: string }> {
  const proto = version === 1 ? '' : ';proto=io.prometheus.write.v2.Request'
  const reply = await fetch(`${url}/api/v1/write`, {
    method: 'POST',
    headers: { 'content-type': `application/x-protobuf${proto}`, 'content-encoding': 'snappy' },
    body: encodeSnappy((version === 1 ? writeV1 : writeV2)(series)),
  })
  return { status: reply.status, text: await reply.text() }
}
const at = (message: Message, timestamp = nowMs): Message => ({ ...message, timestamp })

async function valueOf(url: string, query: string, timeMs = nowMs): Promise<unknown> {
  const reply = await fetch(urlOf(url, '/api/v1/query', { query, time: String(timeMs / 1000) }))
  const { data } = (await reply.json()) as { data: { result: { value: [number, string] }[] } }
  return data.result.map(r => r.value[1])
}

test('invalid histograms are refused one by one with their reason, and what is beside them is kept', async () => {
  for (const version of [1, 2] as const)
    for (const [name, [message, reason]] of Object.entries(invalidHistograms)) {
      const good = `good_${name}_${version}`
      const { status, text } = await write(tercet.url, version, [
        { name, histograms: [at(message)] },
        { name: good, samples: [{ value: 1, timestamp: nowMs }] },
      ])
      assert.equal(status, 400, name)
      assert.match(text, reason)
      assert.match(text, new RegExp(`1 of 2 samples were refused; the first: ${name}: `))
      assert.deepEqual(await valueOf(tercet.url, good), ['1'], name)
      assert.deepEqual(await valueOf(tercet.url, `histogram_count(${name})`), [], name)
    }
})

/** Prometheus 3.5 answers remote write 1.0 with 500 for what its validation refuses. */
test('Prometheus takes and refuses the same histograms', isSkipped, async () => {
  const take = async (url: string, name: string, message: Message): Promise<string> => {
    const { status } = await write(url, 1, [{ name, histograms: [at(message)] }])
    return status === 204 ? 'taken' : 'refused'
  }
  const seen = async (url: string): Promise<Record<string, string>> => {
    const all: Record<string, string> = {}
    for (const [name, message] of Object.entries(validHistograms)) all[name] = await take(url, `same_${name}`, message)
    for (const [name, [message]] of Object.entries(invalidHistograms))
      // It checks no schema, and its readers fail on unknown ones later.
      if (!name.startsWith('schema_')) all[name] = await take(url, `same_${name}`, message)
    return all
  }
  assert.deepEqual(await seen(tercet.url), await seen(prometheusUrl))
})

const functions = ['increase', 'rate', 'irate', 'delta', 'idelta']

/** Prometheus before 3.14 extrapolates native histograms beyond where they would have been at zero. */
async function comparableFunctions(): Promise<readonly string[]> {
  const reply = await fetch(`${prometheusUrl}/api/v1/status/buildinfo`)
  const { data } = (await reply.json()) as { data: { version: string } }
  const [major = 0, minor = 0] = data.version.split('.').map(Number)
  return major > 3 || minor >= 14 ? functions : functions.filter(name => name !== 'increase' && name !== 'rate')
}

test('functions over every mix of reset hints, from memory and from blocks', isSkipped, async () => {
  const random = seededRandom(5)
  const cases: [query: string, samples: string][] = []
  const compared = await comparableFunctions()
  for (let n = 0; n < 40; n++) {
    const name = `hints_${n}`
    const isFloat = n % 2 === 1
    const isGauge = n % 4 < 2
    const samples = Array.from({ length: 8 }, (_, i): Message => {
      // So many at first that no version of Prometheus looks for the moment when there were none.
      const half = i === 0 ? 6 : below(random, 6)
      const timestamp = nowMs - (7 - i) * 60_000
      const spans = { positiveSpans: [{ offset: 0, length: 2 }], sum: 2 * half, timestamp }
      const resetHint = isGauge ? (n % 3 === 0 ? [0, 3][below(random, 2)] : 3) : [0, 1, 2][below(random, 3)]
      return isFloat
        ? { ...spans, countFloat: 2 * half, positiveCounts: [half, half], resetHint }
        : { ...spans, countInt: 2 * half, positiveDeltas: [half, 0], resetHint }
    })
    for (const url of [tercet.url, prometheusUrl])
      for (const sample of samples) assert.equal((await write(url, 1, [{ name, histograms: [sample] }])).status, 204)
    const text = JSON.stringify(samples)
    for (const f of compared) cases.push([`histogram_count(${f}(${name}[7m30s]))`, text])
    for (const f of ['resets', 'changes']) cases.push([`${f}(${name}[10m])`, text])
  }
  for (const isCut of [false, true]) {
    if (isCut) assert.equal((await fetch(`${tercet.url}/-/flush`, { method: 'POST' })).ok, true)
    for (const [query, samples] of cases)
      assert.deepEqual(
        await valueOf(tercet.url, query),
        await valueOf(prometheusUrl, query),
        `seed 5: ${query} of ${samples}${isCut ? ', from a block' : ''}`,
      )
  }
})

test('a gauge histogram that falls has been reset, for rate and increase', async () => {
  for (const [i, half] of [1, 2, 3, 1].entries())
    await write(tercet.url, 1, [
      {
        name: 'gz',
        histograms: [
          {
            countInt: 2 * half,
            sum: 2 * half,
            positiveSpans: [{ offset: 0, length: 2 }],
            positiveDeltas: [half, 0],
            resetHint: 3,
            timestamp: nowMs - (3 - i) * 60_000,
          },
        ],
      },
    ])
  assert.deepEqual(await valueOf(tercet.url, 'histogram_count(increase(gz[5m]))'), ['7'])
  assert.deepEqual(await valueOf(tercet.url, 'histogram_count(delta(gz[5m]))'), ['0'])
})

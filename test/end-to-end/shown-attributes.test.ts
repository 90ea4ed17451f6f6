/** What a search shows of a span: the right values are those of Tempo 3.1-dev on the same spans. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

interface Attribute {
  key: string
  value: Record<string, unknown>
}
interface Found {
  traces?: { spanSets: { spans: { name?: string; attributes?: Attribute[]; spanID: string }[] }[] }[]
}

const startNs = BigInt(Date.now() - 60_000) * 1_000_000n

type Values = Readonly<Record<string, string | number | boolean | number[]>>

function attributesOf(values: Values): Attribute[] {
  const valueOf = (value: string | number | boolean | number[]): Record<string, unknown> => {
    if (Array.isArray(value)) return { arrayValue: { values: value.map(valueOf) } }
    if (typeof value === 'string') return { stringValue: value }
    return typeof value === 'boolean' ? { boolValue: value } : { intValue: String(value) }
  }
  return Object.entries(values).map(([key, value]) => ({ key, value: valueOf(value) }))
}

const spans: readonly (readonly [name: string, attributes: Values])[] = [
  ['w1', { n: 1, p: 1, side: 'odd', flag: true, 'http.method': 'GET' }],
  ['w3', { n: 3, p: 1, side: 'odd', flag: false, list: [3, 4] }],
  ['w6', { n: 6, p: 1, side: 'even', flag: true, list: [6, 7] }],
]

/** Queries behind the service, and of each span that is found its number with what is shown. */
const cases: [query: string, ...shown: string[]][] = [
  // Of one type the values that any of the questions asks for.
  ['{ S && (span.n > 5 || span.p > 0) }', '1 n=1 p=1', '2 n=3 p=1', '3 n=6 p=1'],
  ['{ S && (span.n > 5 || span.side = "odd") }', '1 side=odd', '2 side=odd', '3 n=6'],
  ['{ S && span.n > 5 } || { S && span.p > 0 }', '1 n=1 p=1', '2 n=3 p=1', '3 n=6 p=1'],
  // All values, where one attribute of the span is computed with, or stands alone, or groups; not where it is selected.
  ['{ S && (span.n > 5 || span.flag) }', '1 flag=true n=1', '3 flag=true n=6'],
  ['{ S && (span.n > 5 || span.p * 2 > 1) }', '1 n=1 p=1', '2 n=3 p=1', '3 n=6 p=1'],
  [
    '{ S && (span.n > 5 || span.side = "odd") } | by(span.p)',
    '1 n=1 p=1 side=odd',
    '2 n=3 p=1 side=odd',
    '3 n=6 p=1 side=even',
  ],
  ['{ S && (span.n > 5 || span.side = "odd") } | select(span.p)', '1 p=1 side=odd', '2 p=1 side=odd', '3 n=6 p=1'],
  // A name that does not fit.
  ['{ S && (span.n > 5 || name = "w1") }', '1 w1', '3 n=6'],
  // An attribute with a column of its own that is not there.
  ['{ S } | select(span.http.method)', '1 http.method=GET', '2 http.method=nil', '3 http.method=nil'],
  ['{ S } | select(span.flag, span.nosuch)', '1 flag=true', '2 flag=false', '3 flag=true'],
  // Any element of an array.
  ['{ S && span.list = span.n }', '2 list=3,4 n=3', '3 list=6,7 n=6'],
  ['{ S && span.n < span.list }', '2 list=3,4 n=3', '3 list=6,7 n=6'],
  ['{ S && span.list < span.n }'],
]

function valueText(value: Record<string, unknown>): string {
  const [only] = Object.values(value)
  if (typeof only !== 'object') return String(only)
  return (only as { values: Record<string, unknown>[] }).values.map(valueText).join(',')
}

suite('what a search shows', () => {
  let run: Running
  const show = async (query: string): Promise<string[]> => {
    const q = query.replaceAll(/\bS\b/g, 'resource.service.name = "shown"')
    const reply = await fetch(`${run.url}/api/search?${new URLSearchParams({ q, spss: '10' }).toString()}`)
    assert.equal(reply.status, 200, q)
    const { traces = [] } = (await reply.json()) as Found
    return traces
      .flatMap(trace => trace.spanSets.flatMap(set => set.spans))
      .map(({ spanID, name, attributes = [] }) => {
        const own = attributes.filter(({ key }) => key !== 'service.name')
        const texts = own.map(({ key, value }) => `${key}=${valueText(value)}`).sort()
        return [String(Number.parseInt(spanID, 16)), ...(name === undefined ? [] : [name]), ...texts].join(' ')
      })
      .sort()
  }
  before(async () => {
    run = await runTercet()
    const sent = spans.map(([name, attributes], i) => ({
      traceId: '5e'.padStart(32, '0'),
      spanId: String(i + 1).padStart(16, '0'),
      name,
      startTimeUnixNano: String(startNs),
      endTimeUnixNano: String(startNs + 1_000_000n),
      attributes: attributesOf(attributes),
    }))
    const resource = { attributes: attributesOf({ 'service.name': 'shown' }) }
    const reply = await fetch(`${run.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans: sent }] }] }),
    })
    assert.deepEqual([reply.status, await reply.json()], [200, {}])
  })
  after(async () => {
    await run.stop()
  })
  for (const from of ['memory', 'a block']) {
    test(`from ${from}`, async () => {
      if (from === 'a block') await run.tercet.flush()
      for (const [query, ...shown] of cases) assert.deepEqual(await show(query), shown, query)
    })
  }
})

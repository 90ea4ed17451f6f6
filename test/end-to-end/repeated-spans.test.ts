/** A span is its trace's id, its own and its kind: sent again it is no other span, wherever the first one lies. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

interface Found {
  traces: {
    traceID: string
    rootTraceName: string
    spanSets: { matched: number; spans: { spanID: string }[] }[]
    serviceStats: Record<string, { spanCount: number; errorCount?: number }>
  }[]
}
interface Series {
  series: { labels: { key: string; value: object }[]; value?: number; samples?: { value?: number }[] }[]
}

for (const flag of ['workers=0', 'workers=1', 'traces.block_version=vParquet4'])
  suite(`spans that are sent again, ${flag}`, () => {
    let run: Running
    const startNs = BigInt(Date.now() - 60_000) * 1_000_000n
    const second = startNs / 1_000_000_000n
    const time = { start: String(second - 600n), end: String(second + 60n) }
    const span = (
      trace: string,
      id: string,
      parent: string,
      name: string,
      kind: number,
      more: object = {},
    ): object => ({
      traceId: trace.padStart(32, '0'),
      spanId: id.padStart(16, '0'),
      parentSpanId: parent === '' ? '' : parent.padStart(16, '0'),
      name,
      kind,
      startTimeUnixNano: String(startNs),
      endTimeUnixNano: String(startNs + 2_000_000n),
      attributes: [
        { key: 'n', value: { intValue: '3' } },
        { key: 'http.method', value: { stringValue: 'GET' } },
      ],
      ...more,
    })
    const send = async (service: string, spans: object[]): Promise<void> => {
      const resource = { attributes: [{ key: 'service.name', value: { stringValue: service } }] }
      const reply = await fetch(`${run.url}/v1/traces`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }),
      })
      assert.deepEqual([reply.status, await reply.json()], [200, {}])
    }
    const sendAll = async (trace: string): Promise<void> => {
      await send('front', [span(trace, 'a1', '', 'in', 2), span(trace, 'a2', 'a1', 'call', 3)])
      await send('back', [span(trace, 'a3', 'a2', 'serve', 2, { status: { code: 2 } })])
    }
    const ask = async (path: string, params: Record<string, string>): Promise<unknown> => {
      const reply = await fetch(`${run.url}${path}?${new URLSearchParams(params).toString()}`)
      assert.equal(reply.status, 200, JSON.stringify(params))
      return reply.json()
    }
    const found = async (q: string): Promise<Found['traces']> =>
      ((await ask('/api/search', { q, ...time, limit: '20', spss: '20' })) as Found).traces
    const matched = async (q: string): Promise<number[]> =>
      (await found(q)).map(t => t.spanSets.reduce((sum, s) => sum + s.matched, 0))
    const value = async (q: string): Promise<number> => {
      const { series } = (await ask('/api/metrics/query', { q, ...time })) as Series
      return series.reduce((sum, s) => sum + (s.value ?? 0), 0)
    }
    const inRange = async (q: string): Promise<number> => {
      const { series } = (await ask('/api/metrics/query_range', { q, ...time, step: '60s' })) as Series
      return series.reduce((sum, s) => sum + (s.samples ?? []).reduce((a, x) => a + (x.value ?? 0), 0), 0)
    }
    /** How many spans a comparison has seen by their names, selected and not. */
    const compared = async (): Promise<{ selection: number; baseline: number }> => {
      const q = '{ span.n = 3 } | compare({ name = "serve" })'
      const { series } = (await ask('/api/metrics/query_range', { q, ...time, step: '60s' })) as Series
      const sumOf = (type: string): number =>
        series
          .filter(({ labels }) => labels.some(l => l.key === 'name') && JSON.stringify(labels).includes(`"${type}"`))
          .reduce((sum, { samples = [] }) => sum + samples.reduce((a, x) => a + (x.value ?? 0), 0), 0)
      return { selection: sumOf('selection'), baseline: sumOf('baseline') }
    }

    before(async () => {
      run = await runTercet([flag])
      await sendAll('d1')
      await send('front', [span('d2', 'a1', '', 'alone', 2)])
      await run.tercet.flush()
      // A new span comes with those that are sent again.
      await sendAll('d1')
      await send('back', [span('d1', 'a4', 'a3', 'late', 1)])
      await send('front', [span('d3', 'a1', '', 'alone', 2)])
    })
    after(() => run.stop())

    for (const where of ['in a block and in memory', 'in two blocks', 'in two blocks and in memory', 'in three blocks'])
      test(`they count once ${where}`, async () => {
        if (where.includes('and in memory') && where.includes('two')) await sendAll('d1')
        if (where.endsWith('blocks')) await run.tercet.flush()
        const front = '{ resource.service.name = "front" }'
        const all = '{ span.n = 3 }'
        // Three spans that came several times, the late one, and two traces that are in one place.
        assert.equal(await value(`${all} | count_over_time()`), 6)
        assert.equal(await value(`${front} | count_over_time()`), 4)
        assert.equal(await value(`${all} | sum_over_time(span.n)`), 18)
        assert.equal(await value(`${all} | count_over_time() by (resource.service.name)`), 6)
        assert.ok(Math.abs((await value(`${all} | rate()`)) * 660 - 6) < 1e-9)
        assert.equal(await inRange(`${all} | count_over_time()`), 6)
        assert.equal(await inRange(`${all} | histogram_over_time(duration)`), 6)
        assert.deepEqual(await compared(), { selection: 1, baseline: 5 })
        assert.deepEqual(await matched('{ name = "call" }'), [1])
        assert.deepEqual(await matched('{ trace:id = "d1" && span.http.method = "GET" }'), [4])
        assert.deepEqual(await matched('{ trace:id = "d1" }'), [4])
        assert.deepEqual(await matched('{ trace:id = "d1" } | count() = 4'), [4])
        assert.deepEqual(await matched('{ trace:id = "d1" } | count() > 4'), [])
        assert.deepEqual(await matched('{ trace:id = "d1" } | sum(span.n) > 12'), [])
        assert.deepEqual(await matched('{ name = "in" } >> { name = "serve" }'), [1])
        assert.deepEqual(await matched('{ name = "in" } &>> { name = "serve" }'), [2])
        // The parent came in the first request, the child in the second.
        assert.deepEqual(await matched('{ name = "in" } >> { name = "late" }'), [1])
        assert.deepEqual(await matched('{ name = "serve" } ~ { name = "serve" }'), [])
        assert.deepEqual(await matched('{ name = "alone" }'), [1, 1])
        const [trace] = await found('{ name = "serve" }')
        assert.deepEqual(trace!.serviceStats, { front: { spanCount: 2 }, back: { spanCount: 2, errorCount: 1 } })
        assert.equal(trace!.rootTraceName, 'in')
        const { data } = (await ask('/select/jaeger/api/traces', { service: 'front', operation: 'call' })) as {
          data: { spans: object[] }[]
        }
        assert.deepEqual(
          data.map(t => t.spans.length),
          [4],
        )
      })
  })

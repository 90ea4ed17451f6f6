/** Cases of TraceQL in which Tercet answers by its own rules, or of which a real answer says too little. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

interface Found {
  traces: { traceID: string; spanSets: { spans: { spanID: string; name?: string }[] }[] }[]
}
interface Series {
  labels: { key: string; value: { doubleValue?: number } }[]
  samples: { value?: number }[]
  exemplars?: { value: number; labels: { key: string }[] }[]
}

suite('cases of traces', () => {
  let run: Running
  const nowNs = BigInt(Date.now()) * 1_000_000n
  const startNs = nowNs - 60_000_000_000n
  const span = (trace: string, id: string, name: string, more: object = {}): object => ({
    traceId: trace.padStart(32, '0'),
    spanId: id.padStart(16, '0'),
    name,
    startTimeUnixNano: String(startNs),
    endTimeUnixNano: String(startNs + 1_000_000n),
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
  const ask = async (path: string, params: Record<string, string>): Promise<unknown> => {
    const reply = await fetch(`${run.url}${path}?${new URLSearchParams(params).toString()}`)
    assert.equal(reply.status, 200, JSON.stringify(params))
    return reply.json()
  }
  const namesOf = async (q: string): Promise<string[]> => {
    const { traces } = (await ask('/api/search', { q: `${q} | select(name)`, spss: '100' })) as Found
    return traces.flatMap(t => t.spanSets.flatMap(s => s.spans.map(x => x.name ?? ''))).sort()
  }

  before(async () => {
    run = await runTercet()
    const trace = '00b6c953a50a99237526851ce62e902d'
    const links = [{ traceId: '00c6c953a50a99237526851ce62e902d', spanId: '000000cd09c56de0' }]
    await send('ids', [span(trace, 'ab09c56de0', 'root', { links })])
    const of = (value: object): object => ({ attributes: [{ key: 'h', value }] })
    await send('nil', [
      span('5a05', 'a1', 'bytes', of({ bytesValue: 'b25l' })),
      span('5a05', 'a2', 'map', of({ kvlistValue: { values: [{ key: 'a', value: { stringValue: 'x' } }] } })),
      span('5a05', 'a3', 'empty', of({ arrayValue: {} })),
      span('5a05', 'a4', 'nested', of({ arrayValue: { values: [{ arrayValue: { values: [{ intValue: '1' }] } }] } })),
      span('5a05', 'a5', 'none'),
      span('5a05', 'a6', 'text', of({ stringValue: '' })),
    ])
    await send(
      'slow',
      Array.from({ length: 20 }, (_, i) => ({
        ...span(`5b${i.toString(16)}`, '1', 'q'),
        endTimeUnixNano: String(startNs + BigInt(i + 1) * 1_000_000_000n),
      })),
    )
  })
  after(() => run.stop())

  for (const from of ['memory', 'blocks'] as const) {
    test(`ids are found with and without zeros, in capitals too, from ${from}`, async () => {
      if (from === 'blocks') await run.tercet.flush()
      const trace = 'b6c953a50a99237526851ce62e902d'
      const conditions = [
        ...[trace, `00${trace}`, trace.toUpperCase()].map(id => `trace:id = "${id}"`),
        ...['ab09c56de0', '000000ab09c56de0', '000000AB09C56DE0'].map(id => `span:id = "${id}"`),
        ...['c6c953a50a99237526851ce62e902d', '00C6c953a50a99237526851ce62e902d'].map(id => `link:traceID = "${id}"`),
        ...['cd09c56de0', '000000cd09c56de0'].map(id => `link:spanID = "${id}"`),
      ]
      for (const condition of conditions) assert.deepEqual(await namesOf(`{ ${condition} }`), ['root'], condition)
      for (const condition of conditions) {
        const other = condition.replace('=', '!=')
        assert.deepEqual(await namesOf(`{ resource.service.name = "ids" && ${other} }`), [], other)
      }
    })

    test(`a value of any type is there, from ${from}`, async () => {
      const service = 'resource.service.name = "nil"'
      assert.deepEqual(await namesOf(`{ ${service} && span.h = nil }`), ['none'])
      const others = ['bytes', 'empty', 'map', 'nested', 'text']
      assert.deepEqual(await namesOf(`{ ${service} && span.h != nil }`), others)
      assert.deepEqual(await namesOf(`{ ${service} && !(span.h = nil) }`), others)
    })

    for (const fn of ['quantile_over_time(duration, .5, .99)', 'histogram_over_time(duration)'])
      test(`an exemplar belongs to one series: ${fn}, from ${from}`, async () => {
        const { series } = (await ask('/api/metrics/query_range', {
          q: `{ resource.service.name = "slow" } | ${fn}`,
          start: String(nowNs / 1_000_000_000n - 600n),
          end: String(nowNs / 1_000_000_000n),
          step: '60s',
          exemplars: '100',
        })) as { series: Series[] }
        const all = series.flatMap(s => (s.exemplars ?? []).map(x => x.labels.map(l => l.key)))
        assert.equal(all.length, 20)
        assert.deepEqual(new Set(all.flat()), new Set(['resource.service.name', 'duration', 'trace:id']))
        if (fn.startsWith('quantile')) {
          const [low = [], high = []] = series.map(s => (s.exemplars ?? []).map(x => x.value))
          assert.ok(
            high.every(value => value > Math.max(...low)),
            `${low.join(' ')} and ${high.join(' ')}`,
          )
        } else
          // What is shown is the series' own value: how many spans there are.
          for (const { exemplars = [], samples } of series)
            assert.ok(exemplars.every(x => samples.some(sample => sample.value === x.value)))
      })
  }
})

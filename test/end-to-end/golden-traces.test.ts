/**
 * Recorded answers of a real Tempo over its own bucket (vParquet5 and vParquet4): the same bucket, and the same spans
 * sent to Tercet, before and after blocks are cut, give the same.
 */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

interface Recorded {
  q?: string
  metrics?: string
  path?: string
  start: number
  end: number
  limit?: number
  spss?: number
  step?: string
  traces?: { traceID: string; root: [string, string]; durationMs: number; spanIDs: [number, string[]][] }[]
  body?: string | Record<string, unknown>
}
interface SearchAnswer {
  traces: {
    traceID: string
    rootServiceName?: string
    rootTraceName?: string
    durationMs?: number
    spanSets?: { matched: number; spans: { spanID: string }[] }[]
  }[]
}

const fixtures = new URL('../../fixtures/', import.meta.url).pathname
const directory = mkdtempSync(join(tmpdir(), 'tercet-golden-traces-'))
after(() => {
  rmSync(directory, { recursive: true, force: true })
})
const settings = ['traces.retention=inf', 'self_scrape=false']
const answersOf = (name: string): Recorded[] =>
  readFileSync(join(fixtures, name, 'answers.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Recorded)

function shape(answer: SearchAnswer): unknown {
  return answer.traces
    .map(t => [
      t.traceID,
      t.rootServiceName ?? '',
      t.rootTraceName ?? '',
      t.durationMs ?? 0,
      (t.spanSets ?? [])
        .map(s => [s.matched, s.spans.map(x => x.spanID).sort()])
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    ])
    .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
}

const sorted = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_key, inner: unknown) =>
    Array.isArray(inner)
      ? inner
          .map(x => String(JSON.stringify(x)))
          .sort()
          .map(x => JSON.parse(x) as unknown)
      : inner,
  )

/** Numbers that the two ways of counting bytes and jobs differ in, and exemplars, which are any of the spans. */
function withoutStatistics(body: unknown): unknown {
  const { metrics: _metrics, ...rest } = body as { metrics?: unknown; series?: { exemplars?: unknown }[] }
  return {
    ...rest,
    ...(rest.series === undefined ? {} : { series: rest.series.map(({ exemplars: _exemplars, ...s }) => s) }),
  }
}

async function check(run: Running, recorded: Recorded): Promise<void> {
  const range = { start: String(recorded.start), end: String(recorded.end) }
  const get = async (path: string, parameters: Record<string, string>): Promise<unknown> => {
    const reply = await fetch(`${run.url}${path}?${new URLSearchParams(parameters).toString()}`)
    const text = await reply.text()
    assert.equal(reply.status, 200, text)
    return JSON.parse(text) as unknown
  }
  const wanted = typeof recorded.body === 'string' ? (JSON.parse(recorded.body) as unknown) : recorded.body
  if (recorded.q !== undefined) {
    const answer = (await get('/api/search', {
      q: recorded.q,
      ...range,
      limit: String(recorded.limit),
      spss: String(recorded.spss),
    })) as SearchAnswer
    const expected = {
      traces: recorded.traces!.map(t => ({
        traceID: t.traceID,
        rootServiceName: t.root[0],
        rootTraceName: t.root[1],
        durationMs: t.durationMs,
        spanSets: t.spanIDs.map(([matched, ids]) => ({ matched, spans: ids.map(spanID => ({ spanID })) })),
      })),
    }
    assert.deepEqual(shape(answer), shape(expected), recorded.q)
  } else if (recorded.metrics !== undefined)
    assert.deepEqual(
      sorted(
        withoutStatistics(
          await get('/api/metrics/query_range', { q: recorded.metrics, ...range, step: recorded.step! }),
        ),
      ),
      sorted(withoutStatistics(wanted)),
      recorded.metrics,
    )
  else {
    // That Tempo left attributes with columns of their own out of its answers about names and values; Tercet names
    // them.
    const own = new Set([
      'k8s.cluster.name',
      'k8s.namespace.name',
      'k8s.pod.name',
      'http.method',
      'http.route',
      'http.status_code',
      'http.url',
    ])
    const answer = withoutStatistics(await get(recorded.path!, range)) as {
      scopes?: { name: string; tags: string[] }[]
      tagValues?: { type: string; value: string }[]
    }
    if (recorded.path!.includes('http.status_code')) {
      assert.ok(answer.tagValues!.length > 0 && answer.tagValues!.every(v => v.type === 'int'))
      return
    }
    for (const scope of answer.scopes ?? []) scope.tags = scope.tags.filter(tag => !own.has(tag))
    const expected = withoutStatistics(wanted) as { scopes?: { tags: string[] }[] }
    for (const scope of expected.scopes ?? []) scope.tags = scope.tags.filter(tag => !own.has(tag))
    assert.deepEqual(sorted(answer), sorted(expected), recorded.path!)
  }
}

for (const name of ['tempo', 'tempo-vparquet4']) {
  const answers = answersOf(name)
  test(`${name}: the real bucket`, async () => {
    const own = join(directory, name)
    cpSync(join(fixtures, name, 'bucket'), join(own, 'theirs'), { recursive: true })
    const run = await runTercet([...settings, `traces.bucket.dir=${join(own, 'theirs')}`, 'role=query'], own)
    try {
      for (const recorded of answers) await check(run, recorded)
    } finally {
      await run.stop()
    }
  })
  for (const version of ['vParquet5', 'vParquet4']) {
    test(`${name}: its spans sent here, from memory, from blocks of ${version}, and after a restart`, async () => {
      const own = join(directory, `${name}-${version}`)
      const chosen = [...settings, `traces.block_version=${version}`]
      let run = await runTercet(chosen, own)
      try {
        for (const line of readFileSync(join(fixtures, name, 'input.jsonl'), 'utf8')
          .trim()
          .split('\n')) {
          const reply = await fetch(`${run.url}/v1/traces`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: line,
          })
          assert.equal(reply.status, 200)
          assert.deepEqual(await reply.json(), {})
        }
        const searches = answers.filter(a => a.path === undefined)
        for (const recorded of searches) await check(run, recorded)
        await run.tercet.close()
        // What was acknowledged is there again, from the log.
        run = await runTercet(chosen, own)
        for (const recorded of searches) await check(run, recorded)
        await fetch(`${run.url}/-/flush`, { method: 'POST' })
        for (const recorded of searches) await check(run, recorded)
        const written = readdirSync(own, { recursive: true, encoding: 'utf8' }).filter(path =>
          path.endsWith('/meta.json'),
        )
        assert.ok(
          written.length > 0 &&
            written.every(path => readFileSync(join(own, path), 'utf8').includes(`"format":"${version}"`)),
        )
      } finally {
        await run.stop()
      }
    })
  }
}

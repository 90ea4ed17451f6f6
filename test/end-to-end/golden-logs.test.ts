/** Buckets that a real Loki wrote, served as Loki serves them: every recorded answer. Covers req-006. */
import assert from 'node:assert/strict'
import { cpSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { urlOf } from '../url.ts'

interface Answer {
  path: string
  params: Record<string, string>
  status: number
  body: unknown
}

/** What is compared: numbers of statistics are each process' own, sets have no order. */
function normal(path: string, body: unknown): unknown {
  const copy = structuredClone(body) as {
    data?: { stats?: unknown } | Record<string, string>[]
    fields?: { label: string; jsonPath?: string[] }[]
    detectedLabels?: { label: string }[]
  }
  if (typeof copy !== 'object' || copy === null) return copy
  if (copy.data !== undefined && !Array.isArray(copy.data)) delete copy.data.stats
  if (Array.isArray(copy.data) && path.endsWith('/series'))
    copy.data = copy.data
      .map(d => Object.fromEntries(Object.entries(d).sort()))
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  copy.fields?.sort((a, b) => (a.label < b.label ? -1 : 1))
  copy.detectedLabels?.sort((a, b) => (a.label < b.label ? -1 : 1))
  return copy
}

for (const name of ['loki']) {
  test(`golden ${name}: recorded answers`, async () => {
    const golden = new URL(`../../fixtures/${name}/`, import.meta.url).pathname
    const directory = temporaryDirectory()
    cpSync(`${golden}bucket`, `${directory}/logs`, { recursive: true })
    const tercet = await runTercet([`logs.bucket.dir=${directory}/logs`, 'logs.retention=inf', 'role=query'], directory)
    try {
      const answers = readFileSync(`${golden}answers.jsonl`, 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as Answer)
      const failures: string[] = []
      for (const answer of answers) {
        // Which of several equal series topk takes is anybody's choice.
        if (/topk|bottomk/.test(answer.params['query'] ?? '')) continue
        // Loki counts a chunk once for each day's table that lists it, and rounds sizes on its way: only the shape is
        // the same. Its detected labels are those of its memory, which had none.
        if (/index\/(stats|volume)|detected_labels/.test(answer.path)) continue
        const url = `${tercet.url}${answer.path}?${new URLSearchParams(answer.params).toString()}`
        const reply = await fetch(url)
        const text = await reply.text()
        let body: unknown = text
        try {
          body = JSON.parse(text)
        } catch {
          /* plain text */
        }
        try {
          assert.equal(reply.status, answer.status)
          assert.deepEqual(normal(answer.path, body), normal(answer.path, answer.body))
        } catch (error) {
          failures.push(`${decodeURIComponent(url)}\n${(error as Error).message.slice(0, 1500)}`)
        }
      }
      assert.deepEqual(failures, [])
    } finally {
      await tercet.stop()
    }
  })
}

test("golden loki-s3: every line that went in, with its labels and metadata, by Loki's S3 keys", async () => {
  const golden = new URL('../../fixtures/loki-s3/', import.meta.url).pathname
  const directory = temporaryDirectory()
  cpSync(`${golden}bucket`, `${directory}/logs`, { recursive: true })
  const tercet = await runTercet([`logs.bucket.dir=${directory}/logs`, 'logs.retention=inf', 'role=query'], directory)
  try {
    const input = readFileSync(`${golden}input.jsonl`, 'utf8')
      .trim()
      .split('\n')
      .map(
        line =>
          JSON.parse(line) as {
            labels: Record<string, string>
            ts: string
            line: string
            metadata: Record<string, string>
          },
      )
    const key = (labels: Record<string, string>, ts: string, line: string, metadata: Record<string, string>): string =>
      JSON.stringify([
        Object.entries(labels)
          .filter(([n]) => n !== 'service_name')
          .sort(),
        ts,
        line,
        Object.entries(metadata)
          .filter(([n, v]) => n !== 'detected_level' && v !== '')
          .sort(),
      ])
    const expected = new Set(input.map(e => key(e.labels, e.ts, e.line, e.metadata)))
    const times = input.map(e => BigInt(e.ts)).sort((a, b) => (a < b ? -1 : 1))
    const reply = await fetch(
      urlOf(tercet.url, '/loki/api/v1/query_range', {
        query: '{service_name=~".+"}',
        start: String(times[0]!),
        end: String(times.at(-1)! + 1n),
        limit: '5000',
      }),
      { headers: { 'x-loki-response-encoding-flags': 'categorize-labels' } },
    )
    const { data } = (await reply.json()) as {
      data: {
        result: {
          stream: Record<string, string>
          values: [string, string, { structuredMetadata?: Record<string, string> }][]
        }[]
      }
    }
    const found = data.result.flatMap(s =>
      s.values.map(([ts, line, categories]) => key(s.stream, ts, line, categories.structuredMetadata ?? {})),
    )
    assert.deepEqual(
      found.filter(k => !expected.has(k)),
      [],
    )
    assert.equal(found.length, expected.size)
  } finally {
    await tercet.stop()
  }
})

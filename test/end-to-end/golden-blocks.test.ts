/** Blocks that Prometheus wrote are served, with the answers that Prometheus gave. Covers req-002. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'

const fixtures = new URL('../../fixtures/prometheus/', import.meta.url)
let running: Running

before(async () => {
  const directory = temporaryDirectory()
  mkdirSync(`${directory}/data/bucket/metrics/anonymous`, { recursive: true })
  for (const folder of ['blocks', 'blocks-native'])
    cpSync(new URL(folder, fixtures), `${directory}/data/bucket/metrics/anonymous`, { recursive: true })
  running = await runTercet(['metrics.retention=inf'], directory)
})
after(() => running.stop())

interface Recorded {
  path: string
  params: Record<string, string | string[]>
  status: number
  body: { status: string; data?: unknown; error?: string; errorType?: string }
}

/** Order of series in an instant vector is not promised; everything else is compared as it stands. */
function canonical(data: unknown): unknown {
  const result = (data as { resultType?: string; result?: { metric?: object }[] } | undefined)?.result
  if (!Array.isArray(result) || result[0]?.metric === undefined) return data
  return {
    ...(data as object),
    result: result
      .map(series =>
        JSON.stringify({ ...series, metric: Object.fromEntries(Object.entries(series.metric ?? {}).sort()) }),
      )
      .sort(),
  }
}

const recorded = readFileSync(new URL('answers.jsonl', fixtures), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Recorded)

test(`${recorded.length} recorded requests are answered as Prometheus answered them`, async () => {
  const wrong: string[] = []
  for (const { path, params, status, body } of recorded) {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(params))
      for (const one of Array.isArray(value) ? value : [value]) query.append(name, one)
    const reply = await fetch(`${running.url}${path}?${query}`)
    const answer = (await reply.json()) as Recorded['body']
    try {
      assert.equal(reply.status, status)
      assert.equal(answer.status, body.status)
      assert.deepEqual(canonical(answer.data), canonical(body.data))
      assert.equal(answer.errorType, body.errorType)
      assert.equal(answer.error, body.error)
    } catch (error) {
      wrong.push(`${path} ${query}: ${String(error).slice(0, 600)}`)
    }
  }
  assert.equal(wrong.length, 0, `${wrong.length} of ${recorded.length}:\n${wrong.slice(0, 5).join('\n')}`)
})

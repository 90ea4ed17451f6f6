/** A block in vParquet3 that a real Tempo wrote is answered as Tempo answered it. Covers req-045, req-046. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

const fixture = new URL('../../fixtures/tempo-vparquet3/', import.meta.url)
let running: Running

before(async () => {
  running = await runTercet(['role=query', `traces.bucket.dir=${new URL('bucket', fixture).pathname}`])
})
after(() => running.stop())

interface Recorded {
  path: string
  status: number
  body: unknown
}

/** Lists in any order; without what was looked at. Tags of events are found here, and not by Tempo in these blocks. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) {
    const kept = value.filter(one => (one as { name?: unknown } | null)?.name !== 'event')
    return kept.map(one => JSON.stringify(canonical(one))).sort()
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name]) => name !== 'metrics')
  return Object.fromEntries(entries.sort().map(([name, one]) => [name, canonical(one)]))
}

const recorded = readFileSync(new URL('answers.jsonl', fixture), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Recorded)

for (const { path, status, body } of recorded)
  test(decodeURIComponent(path), async () => {
    const reply = await fetch(running.url + path, { headers: { accept: 'application/json' } })
    assert.equal(reply.status, status)
    assert.deepEqual(canonical(await reply.json()), canonical(body))
  })

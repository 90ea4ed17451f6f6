/**
 * How soon what was acknowledged is in the bucket, and what a node that vanishes takes along: nothing older than a
 * minute, with `durability: local`. And a burst beyond a limit: refused in a way that senders repeat, or kept. Covers
 * req-010, req-047, req-132, req-133, req-143, req-144, req-148, req-149.
 */
import assert from 'node:assert/strict'
import { cpSync, globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { runTercet } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'
import { urlOf } from '../url.ts'
import { postWrite, writeBody } from '../write-request.ts'

const json = { 'content-type': 'application/json' }
const traceId = '0af7651916cd43dd8448eb211c80319c'

test('a minute after it was acknowledged everything is in the bucket, for a process on a copy of it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-freshness-'))
  const startMs = Date.now()
  const clock = new VirtualClock(startMs)
  let isOver = false
  // Time goes on a hundred times as fast as outside.
  const time = (async () => {
    while (!isOver) {
      await clock.advance(100)
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  })()
  const running = await runTercet([`bucket.dir=${directory}/bucket`], undefined, { clock })
  try {
    const nowMs = clock.nowMs()
    assert.equal(
      (await postWrite(running.url, writeBody([{ labels: [['__name__', 'fresh']], samples: [[nowMs, 7]] }]))).status,
      204,
    )
    assert.equal(
      (
        await fetch(`${running.url}/loki/api/v1/push`, {
          method: 'POST',
          headers: json,
          body: JSON.stringify({
            streams: [{ stream: { app: 'fresh' }, values: [[`${nowMs}000000`, 'a fresh line']] }],
          }),
        })
      ).status,
      204,
    )
    assert.equal(
      (
        await fetch(`${running.url}/v1/traces`, {
          method: 'POST',
          headers: json,
          body: JSON.stringify({
            resourceSpans: [
              {
                resource: { attributes: [{ key: 'service.name', value: { stringValue: 'fresh' } }] },
                scopeSpans: [
                  {
                    spans: [
                      {
                        traceId,
                        spanId: '00f067aa0ba902b7',
                        name: 'a fresh span',
                        startTimeUnixNano: `${nowMs}000000`,
                        endTimeUnixNano: `${nowMs + 5}000000`,
                      },
                    ],
                  },
                ],
              },
            ],
          }),
        })
      ).status,
      200,
    )
    const acknowledgedMs = clock.nowMs()
    await untilTrue(() => clock.nowMs() >= acknowledgedMs + 61_000, 'a minute of the clock', 60)
    // Uploads are on their way outside of the clock, which stands while it is waited for them.
    const shipped = (): number => globSync(`${directory}/bucket/*/*/tercet/wal/*.wal`).length
    await untilTrue(() => shipped() >= 3, 'segments of all three signals', 5)
    cpSync(`${directory}/bucket`, `${directory}/copy`, { recursive: true })
    const other = await runTercet([`bucket.dir=${directory}/copy`])
    try {
      const at = String(nowMs / 1000 + 1)
      assert.match(
        await (await fetch(`${other.url}/api/v1/query?query=fresh&time=${at}`)).text(),
        /"7"/,
        'req-010 req-132 req-133',
      )
      assert.match(
        await (
          await fetch(
            urlOf(other.url, '/loki/api/v1/query_range', {
              query: '{app="fresh"}',
              start: `${nowMs - 60_000}000000`,
              end: `${nowMs + 60_000}000000`,
            }),
          )
        ).text(),
        /a fresh line/,
        'req-143 req-144',
      )
      assert.equal(
        (await fetch(`${other.url}/api/traces/${traceId}`)).status,
        200,
        'req-148 req-149: by id, without an index to be made',
      )
      const search = (await (
        await fetch(
          urlOf(other.url, '/api/search', {
            q: '{ name = "a fresh span" }',
            start: String(Math.floor(nowMs / 1000) - 60),
            end: String(Math.ceil(nowMs / 1000) + 60),
          }),
        )
      ).json()) as { traces: unknown[] }
      assert.equal(search.traces.length, 1, 'req-149: by TraceQL')
    } finally {
      await other.stop()
    }
  } finally {
    const stopped = running.stop()
    await stopped
    isOver = true
    await time
    rmSync(directory, { recursive: true, force: true })
  }
})

test('a burst beyond the rate: each request is kept whole, or refused with 429 and Retry-After', async () => {
  const running = await runTercet(['limits.log_rate=64KiB'])
  try {
    const kept: string[] = []
    const refused: string[] = []
    const base = Date.now()
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const lines = Array.from({ length: 20 }, (_line, k) => `burst ${i} line ${k} ${'x'.repeat(400)}`)
        const reply = await fetch(`${running.url}/loki/api/v1/push`, {
          method: 'POST',
          headers: json,
          body: JSON.stringify({
            streams: [
              {
                stream: { app: 'burst', sender: String(i) },
                values: lines.map((line, k) => [`${base}${String(i * 20 + k).padStart(6, '0')}`, line]),
              },
            ],
          }),
        })
        if (reply.status === 204) kept.push(...lines)
        else {
          assert.equal(reply.status, 429, await reply.text())
          assert.ok(Number(reply.headers.get('retry-after')) >= 1, 'req-047')
          refused.push(...lines)
        }
      }),
    )
    assert.ok(kept.length > 0 && refused.length > 0, `${kept.length} kept, ${refused.length} refused`)
    const { data } = (await (
      await fetch(
        urlOf(running.url, '/loki/api/v1/query_range', {
          query: '{app="burst"}',
          limit: '5000',
          start: `${base - 1000}000000`,
          end: `${base + 60_000}000000`,
        }),
      )
    ).json()) as { data: { result: { values: [string, string][] }[] } }
    assert.deepEqual(data.result.flatMap(s => s.values.map(v => v[1])).sort(), kept.sort(), 'req-047')
  } finally {
    await running.stop()
  }
})

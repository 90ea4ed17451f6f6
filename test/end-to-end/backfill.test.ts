/** A backfill as programs for VictoriaMetrics do it: samples of the past, then its two questions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runTercet } from '../run-tercet.ts'
import { urlOf } from '../url.ts'

const endSeconds = Math.floor(Date.now() / 60_000) * 60
const question = {
  query: 'count_over_time(backfilled[10m])',
  start: `${endSeconds - 7200}`,
  end: `${endSeconds}`,
  step: '60',
}

test('samples of the past are in the answer after the flush that a backfill asks for', async () => {
  const { url, stop } = await runTercet(['metrics.out_of_order_window=inf'])
  const pointsOf = async (): Promise<number> => {
    const reply = await fetch(urlOf(url, '/api/v1/query_range', question))
    const { data } = (await reply.json()) as { data: { result: { values: unknown[] }[] } }
    return data.result[0]?.values.length ?? 0
  }
  const importAt = async (seconds: number): Promise<void> => {
    const reply = await fetch(`${url}/api/v1/import/prometheus?timestamp=${seconds * 1000}`, {
      method: 'POST',
      body: 'backfilled 1\n',
    })
    assert.equal(reply.status, 204)
  }
  const ask = async (path: string, method: string): Promise<void> => {
    const reply = await fetch(`${url}${path}`, { method })
    assert.equal(reply.status, 200, path)
    await reply.arrayBuffer()
  }
  try {
    await importAt(endSeconds - 1200)
    const before = await pointsOf()
    assert.ok(before > 0)
    // The answer is kept by now; what comes next is older than what it was made of.
    await importAt(endSeconds - 6000)
    await ask('/internal/force_flush', 'GET')
    await ask('/internal/resetRollupResultCache', 'POST')
    assert.equal(await pointsOf(), 2 * before)
  } finally {
    await stop()
  }
})

/** What object stores were asked, and what that costs, as the process itself says it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { RequestCounts } from '#bucket/store-requests.ts'
import { systemClock } from '#core/clock.ts'
import { runTercet } from '../run-tercet.ts'

interface Requests {
  seconds: number
  signals: { signal: string; put: number; get: number; head: number; list: number; delete: number }[]
  dollarsAMonth: number
  durability: string
  durabilityIntervalMs: number
}

async function requestsOf(url: string): Promise<Requests> {
  return (await (await fetch(`${url}/api/tercet/requests`)).json()) as Requests
}

test('requests since the start by signal and kind, dollars a month of them, and the settings that decide', async () => {
  const counts = new RequestCounts()
  const counted = Object.assign(new MemoryBucket(systemClock), { requests: counts })
  const plain = new MemoryBucket(systemClock)
  const world = { bucketOf: (signal: string) => (signal === 'logs' ? counted : plain) }
  const running = await runTercet(['durability=bucket', 'durability_interval=2s'], undefined, world)
  try {
    for (let i = 0; i < 1000; i++) counts.add('put', i % 10 === 0 ? 'failed' : 'ok', 0.05)
    for (let i = 0; i < 500; i++) counts.add('get', 'ok', 0.05)
    const { signals, seconds, dollarsAMonth, durability, durabilityIntervalMs } = await requestsOf(running.url)
    assert.deepEqual(signals, [{ signal: 'logs', put: 1000, get: 500, head: 0, list: 0, delete: 0 }])
    assert.ok(seconds > 0)
    const expected = ((1000 * 5 + 500 * 0.4) / 1e6) * ((30 * 86_400) / seconds)
    assert.ok(Math.abs(dollarsAMonth / expected - 1) < 1e-9, `${dollarsAMonth}, not ${expected}`)
    assert.deepEqual([durability, durabilityIntervalMs], ['bucket', 2000])
  } finally {
    await running.stop()
  }
})

test('where buckets are directories nothing is counted', async () => {
  const running = await runTercet()
  try {
    const { signals, dollarsAMonth, durability } = await requestsOf(running.url)
    assert.deepEqual([signals, dollarsAMonth, durability], [[], 0, 'local'])
  } finally {
    await running.stop()
  }
})

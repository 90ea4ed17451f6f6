/** Many instances in one process: none sees another's data, and nothing of them is left. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { collectGarbage } from '#core/garbage.ts'
import { systemClock } from '#core/clock.ts'
import { startTercet } from './instance.ts'

/** Starts one, uses all of it, and closes it. Every third has a time of its own. */
async function useOne(n: number): Promise<void> {
  const isVirtual = n % 3 === 0
  const tercet = await startTercet(
    isVirtual ? { http: false, time: { startAt: '2026-01-01T00:00:00Z' } } : { grpc: n % 3 === 1 },
  )
  await tercet.addMetrics([{ name: 'instance', value: n }])
  await tercet.addLogs([{ labels: { app: 'x' }, line: `line of ${n}` }])
  await tercet.addSpans([{ name: `span of ${n}`, service: 's', traceId: '1'.repeat(32), spanId: '1'.repeat(16) }])
  if (tercet.url !== undefined) await (await fetch(`${tercet.url}/api/v1/query?query=instance`)).arrayBuffer()
  assert.deepEqual(
    (await tercet.promql('instance')).samples.map(({ value }) => value),
    [n],
  )
  assert.deepEqual(
    (await tercet.logql('{app="x"}')).lines.map(({ line }) => line),
    [`line of ${n}`],
  )
  assert.deepEqual(
    (await tercet.traceql('{}')).traces.map(({ rootName }) => rootName),
    [`span of ${n}`],
  )
  if (isVirtual) await tercet.clock.advance('10m')
  await tercet.flush()
  await tercet.close()
}

interface Left {
  resources: string[]
  files: number | undefined
  heapBytes: number
  bufferBytes: number
}

async function whatIsLeft(): Promise<Left> {
  for (let i = 0; i < 4; i++) {
    collectGarbage(true)
    await systemClock.yield()
  }
  const { heapUsed, external } = process.memoryUsage()
  const files = existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : undefined
  return { resources: process.getActiveResourcesInfo().sort(), files, heapBytes: heapUsed, bufferBytes: external }
}

const count = 50

test('50 instances, one after another and at once: no handle is left, and memory is back within 10 %', async () => {
  // Code that is compiled once, and what the runtime keeps for ever, is no instance's.
  for (let n = 0; n < 12; n++) await useOne(n)
  const before = await whatIsLeft()
  for (let n = 0; n < count; n++) await useOne(n)
  const after = await whatIsLeft()
  await Promise.all(Array.from({ length: count }, (_, n) => useOne(n)))
  const atOnce = await whatIsLeft()
  for (const left of [after, atOnce]) {
    assert.deepEqual(left.resources, before.resources)
    assert.equal(left.files, before.files)
    assert.ok(left.heapBytes < before.heapBytes * 1.1, `heap: ${before.heapBytes}, then ${left.heapBytes}`)
    assert.ok(left.bufferBytes < before.bufferBytes * 1.1, `buffers: ${before.bufferBytes}, then ${left.bufferBytes}`)
  }
})

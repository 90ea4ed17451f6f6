/** Bodies of empty elements: every protocol refuses them, with the limit and what to do, before it holds them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { worstBodies, type WorstBody } from '../../test/worst-bodies.ts'
import { call, send, tenantOf } from './ingest-kit.ts'
import { logProtocols } from './log-protocols.ts'
import { metricsProtocols } from './metrics-protocols.ts'
import type { ServedProtocol } from './protocol.ts'
import { traceProtocols } from './trace-protocols.ts'

const bodyBytes = 1 << 20
const clock = new VirtualClock(Date.parse('2026-11-28T12:00:00Z'))
const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })
const limits = { decodedBytesMax: 128 << 20 }
const never = (): never => {
  throw new Error('nothing of the body may be stored')
}

const served: Record<keyof typeof worstBodies, ServedProtocol> = {
  logs: logProtocols({ appender: { append: never }, tenantOf, clock, log: silentLog, kernel, limits }),
  metrics: metricsProtocols({ appender: { append: never }, tenantOf, clock, kernel, limits }),
  traces: traceProtocols({ appender: { append: never, appendParts: never }, tenantOf, clock, onStored: never }),
}

async function answerTo(protocols: ServedProtocol, { path, service, headers, body }: WorstBody): Promise<string> {
  if (service !== undefined) return call(protocols, service, body(bodyBytes))
  const reply = await send(protocols, { path: path!, headers, body: body(bodyBytes) })
  return `${reply.status} ${reply.body}`
}

for (const signal of ['logs', 'metrics', 'traces'] as const)
  test(`bodies of empty elements are refused before anything of them is stored: ${signal}`, async () => {
    for (const worst of worstBodies[signal]) {
      // Bare numbers are refused by their number alone: the whole body is held.
      if (/numbers|buckets/.test(worst.name)) continue
      const answer = await answerTo(served[signal], worst)
      const reason = worst.name.endsWith('depth')
        ? /^400 .*nested more than 512 deep at byte \d+, which is the limit/s
        : /^(?:400|limit:) .*more than \d+ \w+( by byte \d+)?, which is the limit for its size; send smaller requests/s
      assert.match(answer, reason, worst.name)
    }
  })

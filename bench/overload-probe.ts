/** A thread of overload.ts: asks for /health and writes a line, every 50 ms each, and looks at the process' memory. */
import { parentPort, workerData } from 'node:worker_threads'
import { costOf } from './process-cost.ts'

const { url, pid } = workerData as { url: string; pid: number }
const everyMs = 50

export interface Probed {
  health: number[]
  writes: number[]
  refusedWrites: number
  lost: number
  peakBytes: number
}

let probed: Probed = { health: [], writes: [], refusedWrites: 0, lost: 0, peakBytes: 0 }

/** One at a time; the wait counts from when it was due. */
async function repeat(work: (sinceMs: number) => Promise<void>): Promise<never> {
  let dueMs = performance.now()
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, Math.max(0, dueMs - performance.now())))
    await work(dueMs).catch(() => {
      probed.lost++
    })
    dueMs = Math.max(dueMs + everyMs, performance.now())
  }
}

void repeat(async sinceMs => {
  await (await fetch(`${url}/health`)).text()
  probed.health.push(performance.now() - sinceMs)
  probed.peakBytes = Math.max(probed.peakBytes, costOf(pid).rssBytes)
})
void repeat(async sinceMs => {
  const values = [[String(Date.now() * 1e6), 'somebody else']]
  const reply = await fetch(`${url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ streams: [{ stream: { app: 'other' }, values }] }),
  })
  await reply.text()
  if (reply.status === 204) probed.writes.push(performance.now() - sinceMs)
  else probed.refusedWrites++
})

parentPort!.on('message', () => {
  parentPort!.postMessage(probed)
  probed = { health: [], writes: [], refusedWrites: 0, lost: 0, peakBytes: 0 }
})

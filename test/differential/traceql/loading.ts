/** Sends the world, and waits until all of it can be asked for. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Target } from '../question.ts'
import { traceJson } from './otlp.ts'
import { receiverOf } from './tempo.ts'
import { world } from './world.ts'

const loadedWithinMs = 60_000

/** `baseMs`: the moment that is now. */
export async function loadWorld({ url, isReal }: Target, baseMs: number): Promise<void> {
  const receiver = isReal ? receiverOf(url) : url
  for (const trace of world) await send(receiver, traceJson(trace, baseMs))
  const until = Date.now() + loadedWithinMs
  while (!(await isLoaded(url, isReal))) {
    if (Date.now() > until) throw new Error(`what was sent can't be asked for within ${loadedWithinMs} ms`)
    await sleep(200)
  }
}

async function send(url: string, body: object): Promise<void> {
  const reply = await fetch(`${url}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const answer = await reply.text()
  if (!reply.ok || answer.includes('rejectedSpans')) throw new Error(`spans are refused: ${reply.status} ${answer}`)
}

async function isLoaded(url: string, isReal: boolean): Promise<boolean> {
  const reply = await fetch(`${url}/api/search?q={}&limit=1000`)
  const { traces = [] } = (await reply.json()) as { traces?: unknown[] }
  if (traces.length < world.length) return false
  // A block of Tempo's live store is complete a little after its spans are found in its log.
  return !isReal || (await isCompleted(url))
}

async function isCompleted(url: string): Promise<boolean> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return /^tempo_live_store_blocks_completed_total\S* [1-9]/m.test(metrics)
}

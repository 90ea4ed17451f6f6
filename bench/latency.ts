/**
 * 10,000 samples a second beside 7-day queries over 1,000 series: node bench/latency.ts [seconds]. Open loop: the
 * time of a write counts from when it was due. Prints the 50th, 95th and 99th percentiles.
 */
import { bodies, labelBytes, type Shape } from './load.ts'
import { Peer } from './peers.ts'

const seconds = Number(process.argv[2] ?? 60)
const peer = await Peer.start('tercet')
const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }
const history = Array.from({ length: 1000 }, (_, i) => labelBytes(i * 10 + 4))
const stepMs = 120_000
const steps = (7 * 86_400_000) / stepMs
const now = Date.now()
const past: Shape = { series: 1000, seriesPerBody: 1000, startMs: now - steps * stepMs, stepMs }
for (let step = 0; step < steps - 1; step++)
  for (const body of bodies(history, past, step))
    await fetch(peer.writeUrl, { method: 'POST', body: Buffer.from(body), headers })
await fetch(`${peer.url}/-/flush`, { method: 'POST' })

const live = Array.from({ length: 10_000 }, (_, i) => labelBytes(i + 500_000))
const writes: number[] = []
const queries: number[] = []
const percentile = (list: number[], q: number): number =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length * q)] ?? NaN
const startedMs = performance.now()
let running = true
const asking = (async () => {
  while (running) {
    const from = performance.now()
    const reply = await fetch(`${peer.url}/api/v1/query_range`, {
      method: 'POST',
      body: new URLSearchParams({
        query: 'sum by (job) (rate(bench_http_requests_total_4[10m]))',
        start: String(now / 1000 - 7 * 86_400),
        end: String(now / 1000),
        step: '1200',
      }),
    })
    await reply.text()
    queries.push(performance.now() - from)
    await new Promise(resolve => setTimeout(resolve, 500))
  }
})()
const pending: Promise<void>[] = []
for (let second = 0; second < seconds; second++) {
  const all = [
    ...bodies(live, { series: 10_000, seriesPerBody: 500, startMs: Date.now() - second * 1000, stepMs: 1000 }, second),
  ]
  for (let i = 0; i < all.length; i++) {
    const dueMs = startedMs + second * 1000 + i * (1000 / all.length)
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await new Promise(resolve => setTimeout(resolve, waitMs))
    pending.push(
      fetch(peer.writeUrl, { method: 'POST', body: Buffer.from(all[i]!), headers }).then(async reply => {
        await reply.text()
        writes.push(performance.now() - Math.max(dueMs, startedMs))
      }),
    )
  }
}
await Promise.all(pending)
running = false
await asking
for (const [name, list] of [
  ['write of 500 samples', writes],
  ['7-day query, 1,000 series', queries],
] as const)
  console.log(
    `${name}: n=${list.length} p50=${percentile(list, 0.5).toFixed(0)} ms ` +
      `p95=${percentile(list, 0.95).toFixed(0)} ms p99=${percentile(list, 0.99).toFixed(0)} ms`,
  )
const { rssBytes, peakBytes } = peer.cost()
console.log(`RSS ${(rssBytes / 1048576).toFixed(0)} MiB, peak ${(peakBytes / 1048576).toFixed(0)} MiB`)
await peer.stop()

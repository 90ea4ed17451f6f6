/**
 * kill -9 at random moments while spans come in, in both durability modes (in bucket mode the data directory goes too): no acknowledged
 * span is missing, none is there twice. Covers req-012, req-144. KILLS sets the number of kills (20 for the record).
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { startProcess } from '../run-process.ts'

const kills = Number(process.env['KILLS'] ?? 3)

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

for (const durability of ['local', 'bucket']) {
  test(`${durability}: ${kills} kills under load`, { timeout: 240_000 }, async context => {
    const directory = temporaryDirectory()
    const random = seededRandom(durability.length + 50)
    const baseMs = Date.now() - 1_000_000
    /** Span n is the n-th of trace n / 5 (its number, from 1). What was sent and not acknowledged may be there. */
    const acknowledged = new Set<number>()
    let next = 0
    for (let round = 0; round <= kills; round++) {
      const { child, url } = await startProcess(directory, durability)
      context.after(() => {
        child.kill('SIGKILL')
      })
      if (round === kills) {
        const { traces } = (await (
          await fetch(
            `${url}/api/search?${new URLSearchParams({ q: '{ resource.service.name = "kill" }', limit: '200000', spss: '100' }).toString()}`,
          )
        ).json()) as { traces: { spanSet: { matched: number; spans: { spanID: string }[] } }[] }
        const found = traces.flatMap(t => t.spanSet.spans.map(s => Number.parseInt(s.spanID, 16) - 1))
        assert.equal(new Set(found).size, found.length, 'a span is there twice')
        assert.equal(
          traces.reduce((sum, t) => sum + t.spanSet.matched, 0),
          found.length,
        )
        const there = new Set(found)
        for (const n of acknowledged) assert.ok(there.has(n), `acknowledged span ${n} is missing`)
        const counted = (await (
          await fetch(
            `${url}/api/metrics/query?${new URLSearchParams({ q: '{ } | count_over_time()', start: String(Math.floor(baseMs / 1000) - 10), end: String(Math.ceil(Date.now() / 1000)) }).toString()}`,
          )
        ).json()) as { series: { value: number }[] }
        assert.equal(counted.series[0]!.value, found.length)
        child.kill('SIGTERM')
        await new Promise(resolve => child.once('exit', resolve))
        break
      }
      let killed = false
      const ended = new Promise<void>(resolve =>
        child.once('exit', () => {
          killed = true
          resolve()
        }),
      )
      const deadline = performance.now() + 150 + below(random, 600)
      const load = async (): Promise<void> => {
        while (!killed) {
          const first = next
          next += 10
          const spans = Array.from({ length: 10 }, (_, i) => {
            const n = first + i
            return {
              traceId: hex(Math.floor(n / 5) + 1, 32),
              spanId: hex(n + 1, 16),
              name: `span ${n}`,
              kind: 1,
              startTimeUnixNano: `${baseMs + n}000000`,
              endTimeUnixNano: `${baseMs + n + 5}000000`,
            }
          })
          try {
            const reply = await fetch(`${url}/v1/traces`, {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({
                resourceSpans: [
                  {
                    resource: { attributes: [{ key: 'service.name', value: { stringValue: 'kill' } }] },
                    scopeSpans: [{ spans }],
                  },
                ],
              }),
            })
            if (reply.status === 200) for (let i = 0; i < 10; i++) acknowledged.add(first + i)
          } catch {
            return
          }
          if (first % 400 === 390) await fetch(`${url}/-/flush`, { method: 'POST' }).catch(() => {})
          if (performance.now() > deadline) child.kill('SIGKILL')
        }
      }
      await Promise.all([load(), load(), load()])
      child.kill('SIGKILL')
      await ended
      if (durability === 'bucket') rmSync(`${directory}/data`, { recursive: true, force: true })
    }
    assert.ok(acknowledged.size > kills * 20, `only ${acknowledged.size} were acknowledged`)
    rmSync(directory, { recursive: true, force: true })
  })
}

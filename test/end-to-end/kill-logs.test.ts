/**
 * kill -9 at random moments while logs come in, in both durability modes (in bucket mode the data directory goes too): no
 * acknowledged line is missing, none is there twice. Covers req-012, req-144. KILLS sets the number of kills (20 for the record).
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { startProcess } from '../run-process.ts'

const kills = Number(process.env['KILLS'] ?? 3)

for (const durability of ['local', 'bucket']) {
  test(`${durability}: ${kills} kills under load`, { timeout: 240_000 }, async context => {
    const directory = temporaryDirectory()
    const random = seededRandom(durability.length + 40)
    const baseMs = Date.now() - 1_000_000
    /** The n-th line has time base + n ms. What was sent and not acknowledged may be there. */
    const acknowledged = new Set<number>()
    let next = 0
    for (let round = 0; round <= kills; round++) {
      const { child, url } = await startProcess(directory, durability)
      context.after(() => {
        child.kill('SIGKILL')
      })
      if (round === kills) {
        const found: number[] = []
        for (let at = baseMs; found.length < 100_000;) {
          const reply = await fetch(
            `${url}/loki/api/v1/query_range?${new URLSearchParams({ query: '{app="kill"}', start: `${at}000000`, end: `${baseMs + 900_000}000000`, limit: '5000', direction: 'forward' }).toString()}`,
          )
          const { data } = (await reply.json()) as { data: { result: { values: [string, string][] }[] } }
          const part = data.result
            .flatMap(s => s.values)
            .map(([ns, line]) => {
              assert.equal(ns, `${baseMs + Number(line.split(' ')[1])}000000`)
              return Number(line.split(' ')[1])
            })
            .sort((a, b) => a - b)
          if (part.length === 0) break
          found.push(...part)
          at = baseMs + part.at(-1)! + 1
        }
        assert.equal(new Set(found).size, found.length, 'a line is there twice')
        const there = new Set(found)
        for (const n of acknowledged) assert.ok(there.has(n), `acknowledged line ${n} is missing`)
        const count = (await (
          await fetch(
            `${url}/loki/api/v1/query?${new URLSearchParams({ query: 'sum(count_over_time({app="kill"}[1h]))' }).toString()}`,
          )
        ).json()) as { data: { result: { value: [number, string] }[] } }
        assert.equal(Number(count.data.result[0]!.value[1]), found.length)
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
          const streams = [0, 1].map(s => ({
            stream: { app: 'kill', s: String(s) },
            values: Array.from({ length: 5 }, (_, i) => [
              `${baseMs + first + s * 5 + i}000000`,
              `line ${first + s * 5 + i} of the load`,
            ]),
          }))
          try {
            const reply = await fetch(`${url}/loki/api/v1/push`, {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({ streams }),
            })
            if (reply.status === 204) for (let i = 0; i < 10; i++) acknowledged.add(first + i)
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

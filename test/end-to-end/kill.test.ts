/**
 * kill -9 at random moments under load, in both durability modes (in bucket mode the data directory goes too): no acknowledged
 * sample is missing, none is doubled. Covers req-012, req-040, req-093. KILLS sets the number of kills (20 for the record).
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { startProcess } from '../run-process.ts'
import { postWrite, writeBody } from '../write-request.ts'

const kills = Number(process.env['KILLS'] ?? 4)
const seriesCount = 20

for (const durability of ['local', 'bucket']) {
  test(`${durability}: ${kills} kills under load`, { timeout: 240_000 }, async context => {
    const directory = temporaryDirectory()
    const random = seededRandom(durability.length)
    const base = Date.now() - 3_000_000
    /** Number of acknowledged samples; the n-th has time base + n·100 and value n. What was sent and not acknowledged may be there. */
    const acknowledged = new Set<number>()
    let next = 0
    for (let round = 0; round <= kills; round++) {
      const { child, url } = await startProcess(directory, durability)
      // Whatever fails below, no process is left behind.
      context.after(() => {
        child.kill('SIGKILL')
      })
      if (round === kills) {
        for (let s = 0; s < seriesCount; s += 7) {
          const reply = await fetch(`${url}/api/v1/export?match[]=k{s="${s}"}&start=0`)
          const text = await reply.text()
          const { values, timestamps } = JSON.parse(text) as { values: number[]; timestamps: number[] }
          assert.equal(new Set(timestamps).size, timestamps.length, 'a timestamp stands twice')
          const there = new Set(values)
          for (const n of acknowledged) assert.ok(there.has(n), `acknowledged sample ${n} is missing`)
          timestamps.forEach((timeMs, i) => {
            assert.equal(timeMs, base + values[i]! * 100)
          })
        }
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
          const n = next++
          const body = writeBody(
            Array.from({ length: seriesCount }, (_, s) => ({
              labels: [
                ['__name__', 'k'],
                ['s', String(s)],
              ],
              samples: [[base + n * 100, n]],
            })),
          )
          try {
            if ((await postWrite(url, body)).status === 204) acknowledged.add(n)
          } catch {
            return
          }
          if (n % 40 === 39) await fetch(`${url}/-/flush`, { method: 'POST' }).catch(() => {})
          if (performance.now() > deadline) child.kill('SIGKILL')
        }
      }
      await Promise.all([load(), load(), load()])
      child.kill('SIGKILL')
      await ended
      if (durability === 'bucket') rmSync(`${directory}/data`, { recursive: true, force: true })
    }
    assert.ok(acknowledged.size > kills * 2, `only ${acknowledged.size} were acknowledged`)
    rmSync(directory, { recursive: true, force: true })
  })
}

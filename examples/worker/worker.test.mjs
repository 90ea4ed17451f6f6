import { Writable } from 'node:stream'
import { test } from 'node:test'
import pino from 'pino'
import { startTercet } from 'tercet'
import { expectTelemetry } from 'tercet/testing'
import { Worker } from './worker.mjs'

const rules = `
groups:
  - name: jobs
    interval: 30s
    rules:
      - alert: JobsFail
        expr: sum(count_over_time({app="worker"} | json | msg="job failed" [5m])) > 2
        for: 1m
`

/** A Tercet whose time is moved by the test, and a pino that writes into it. */
async function startObserved() {
  const tercet = await startTercet({ http: false, time: { startAt: '2026-01-01T12:00:00Z' }, rules })
  const lines = []
  const stream = new Writable({
    write(chunk, _, done) {
      lines.push({ labels: { app: 'worker' }, line: chunk.toString().trimEnd(), at: tercet.clock.nowMs() })
      done()
    },
  })
  const logger = pino({ timestamp: () => `,"time":${tercet.clock.nowMs()}` }, stream)
  return { tercet, worker: new Worker(logger), deliver: () => tercet.addLogs(lines.splice(0)) }
}

const good = id => ({ id, kind: 'mail', work: () => {} })
const bad = id => ({
  id,
  kind: 'mail',
  work: () => {
    throw new Error('no such address')
  },
})

test('every job that is taken is done', async () => {
  const { tercet, worker, deliver } = await startObserved()
  for (let id = 0; id < 5; id++) worker.run(good(id))
  await deliver()
  const expect = expectTelemetry(tercet)
  await expect.logs('{app="worker"} | json | msg="job taken"').toHaveLines(5)
  await expect.logs('{app="worker"} | json | msg="job done"').toHaveLines(5)
  await expect.logs('{app="worker"} | json | level >= 50').toBeEmpty()
  await tercet.close()
})

test('jobs that fail again and again raise an alert within five minutes; a single one does not', async () => {
  const { tercet, worker, deliver } = await startObserved()
  const expect = expectTelemetry(tercet)
  worker.run(bad(1))
  await deliver()
  await tercet.clock.advance('30m')
  await expect.alert('JobsFail').toBeInactive()
  for (let id = 2; id < 6; id++) {
    worker.run(bad(id))
    await deliver()
    await tercet.clock.advance('1m')
  }
  await expect.alert('JobsFail').toBeFiring()
  await tercet.close()
})

/** Two ranges of time of a running process, and a recording that is ended by a signal. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { spansRequest, type AddedSpan } from '../../src/library/additions.ts'
import { readRecording } from '../../src/ops/recording.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { until } from '../until.ts'

const deployedMs = Math.floor(Date.now() / 60_000) * 60_000 - 1_800_000
const deployed = new Date(deployedMs).toISOString()
const directory = temporaryDirectory()

let run: Running
before(async () => {
  run = await runTercet(['traces.derived_metrics=false'])
  const requests = [-600_000, 600_000].flatMap((offsetMs, turn) =>
    Array.from({ length: 20 }, (_, i): AddedSpan => {
      const id = turn * 100 + i + 1
      return {
        name: 'GET /a',
        service: 'web',
        traceId: id.toString(16).padStart(32, '0'),
        spanId: id.toString(16).padStart(16, '0'),
        kind: 'server',
        startAt: deployedMs + offsetMs + i * 1000,
        durationMs: 10,
        ...(turn === 1 ? { status: 'error', statusMessage: 'it broke' } : {}),
      }
    }),
  )
  const { request } = spansRequest(requests, Date.now())
  const { path = '', headers, body } = request ?? {}
  const reply = await fetch(`${run.url}${path}`, { method: 'POST', headers: { ...headers }, body: String(body) })
  assert.equal(reply.status, 200)
})
after(async () => {
  await run.stop()
  rmSync(directory, { recursive: true, force: true })
})

test('the time before a deploy and the time behind it', async () => {
  const ranges = [`--base=20m/${deployed}`, `--head=${deployed}/20m`]
  const { code, out, err } = await runCommand(['diff', `--url=${run.url}`, ...ranges])
  assert.equal(code, 1, out + err)
  assert.match(out, /FAIL {2}new_errors: GET \/a \(web\) fails with it broke: 20 of 20 spans; in base none of 20/)
})

test('a range without anything, and ranges that are none, are no agreement', async () => {
  const diff = (base: string): ReturnType<typeof runCommand> =>
    runCommand(['diff', `--url=${run.url}`, `--base=${base}`, `--head=${deployed}/20m`])
  const empty = await diff('20m/2020-01-01T00:00:00Z')
  assert.equal(empty.code, 2)
  assert.match(empty.err, /base \(2019-12-31T23:40:00\.000Z\/2020-01-01T00:00:00\.000Z\) has no telemetry/)
  assert.match((await diff('yesterday')).err, /"yesterday" is no time/)
})

test('a signal is handed to the command, and what it sent until then is recorded', async () => {
  const head = join(directory, 'ended')
  const started = join(directory, 'started')
  const command = [process.execPath, '-e', `fs.writeFileSync('${started}', ''); setInterval(() => {}, 1000)`]
  const child = spawn(process.execPath, ['src/app/main.ts', 'record', '-o', head, '--wait=1s', '--', ...command], {
    stdio: 'ignore',
  })
  const exited = once(child, 'exit')
  await until(() => Promise.resolve(existsSync(started) ? true : undefined), 'the command runs')
  assert.equal(readRecording(head).state, 'running')
  const open = await runCommand(['diff', head, head])
  assert.equal(open.code, 2)
  assert.match(open.err, /was not finished/)
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [143, null])
  assert.deepEqual([readRecording(head).state, readRecording(head).exitCode], ['complete', 143])
})

/** `tercet demo`: what it prints has answers, its alert fires because of the deploy, and nothing of it stays. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { errorRatio, errorRatioMax, firingAlert, queries, quietAlert } from '#demo/guide.ts'
import { Shop } from '#demo/shop.ts'
import { Story } from '#demo/story.ts'
import { Telemetry } from '#demo/telemetry.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

const ask = async (url: string, path: string, fields: Record<string, string>): Promise<unknown> =>
  (await fetch(`${url}${path}?${new URLSearchParams(fields).toString()}`)).json()

interface Matrix {
  data: { result: { values: [number, string][] }[] }
}

test('within the story the condition of the alert holds for minutes, and of the quiet one never', async () => {
  // The load of the shop goes by the time of the day: always the same one.
  const deployMs = Date.UTC(2026, 10, 30, 12)
  const start = deployMs / 1000 - 240
  const end = start + 825
  const telemetry = new Telemetry(new Shop(11, new Story(deployMs), start * 1000))
  const { url, stop } = await runTercet(
    ['metrics.retention=inf', 'metrics.out_of_order_window=inf'],
    `${directory}/story`,
  )
  try {
    const { metrics } = telemetry.between(start, end, 10)
    const headers = { 'content-type': 'application/json' }
    const reply = await fetch(`${url}/v1/metrics`, { method: 'POST', headers, body: JSON.stringify(metrics) })
    assert.deepEqual(await reply.json(), {})
    const range = async (query: string): Promise<number[]> => {
      const asked = { query, start: String(start + 60), end: String(end), step: '15' }
      const { data } = (await ask(url, '/api/v1/query_range', asked)) as Matrix
      return data.result.flatMap(({ values }) => values.map(([time]) => Math.round(time - deployMs / 1000)))
    }
    const firing = await range(`${errorRatio} > ${errorRatioMax}`)
    assert.ok(firing[0]! >= 0 && firing[0]! <= 90, `begins ${firing[0]} s after the deploy`)
    assert.ok(firing.at(-1)! >= 300 && firing.at(-1)! <= 500, `ends ${firing.at(-1)} s after it`)
    assert.ok(firing.length >= (firing.at(-1)! - firing[0]!) / 15, 'without a hole')
    assert.deepEqual(await range('sum(rate(shop_orders_total[5m])) == 0'), [])
  } finally {
    await stop()
  }
})

interface Rules {
  data: { groups: { rules: { name: string; state?: string; health: string }[] }[] }
}

const paths = {
  PromQL: { path: '/api/v1/query', field: 'query' },
  LogQL: { path: '/loki/api/v1/query_range', field: 'query' },
  TraceQL: { path: '/api/search', field: 'q' },
} as const

test('a demo gets ready, its queries have answers, its alert is on, and its directory goes with it', async () => {
  const env = { ...process.env, TMPDIR: directory }
  const args = ['src/app/main.ts', 'demo', '--port=0', '--history=20m']
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (piece: Buffer) => (out += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (err += piece.toString()))
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  try {
    await until(() => (out.includes('Ctrl-C ends it') ? true : undefined), 'it is ready', 60)
    const url = /sends to it: (http:\/\/\S+)/.exec(out)?.[1] ?? ''
    for (const { language, text } of queries) {
      assert.ok(out.includes(text), text)
      const { path, field } = paths[language]
      await until(async () => {
        const answer = JSON.stringify(await ask(url, path, { [field]: text }))
        return /"result":\[\{|"traces":\[\{/.test(answer) ? true : undefined
      }, `an answer to ${text}`)
    }
    const states = await until(async () => {
      const { data } = (await ask(url, '/api/v1/rules', {})) as Rules
      const rules = data.groups.flatMap(group => group.rules)
      const stateOf = (name: string): string | undefined => rules.find(rule => rule.name === name)?.state
      assert.ok(rules.every(rule => rule.health !== 'err'))
      return stateOf(firingAlert) === 'inactive' ? undefined : [stateOf(firingAlert), stateOf(quietAlert)]
    }, 'the alert is on')
    assert.match(String(states[0]), /pending|firing/)
    assert.equal(states[1], 'inactive')
    const data = /removes (\S+)\.\n/.exec(out)?.[1] ?? ''
    assert.ok(existsSync(`${data}/formats.json`), data)
    child.kill('SIGTERM')
    assert.equal(await ended, 0, err)
    assert.equal(existsSync(data), false)
    assert.equal(err, '')
  } finally {
    child.kill('SIGKILL')
    await ended
  }
})

test('a directory of something else, a port that is none, and too much history are refused in one line', async () => {
  const other = `${directory}/other`
  mkdirSync(other)
  writeFileSync(`${other}/data`, 'mine')
  for (const [flag, reason] of [
    [`--data_dir=${other}`, /has something else than the data of a demo/],
    ['--port=x', /--port=x is no port/],
    ['--history=9d', /a day of history at most/],
  ] as const) {
    const { code, out, err } = await runCommand(['demo', flag])
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, reason)
    assert.equal(err.split('\n').length, 2)
  }
})

/** Log files of pods, through an agent into a Tercet: what its receiver would refuse is sent so that it takes it. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync } from 'node:fs'
import { test } from 'node:test'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'

test('partial lines of both streams, lines that are no CRI, and lines beyond limits.log_line_size', async t => {
  const receiver = await runTercet(['limits.log_line_size=1KiB'])
  t.after(() => receiver.stop())
  const directory = temporaryDirectory()
  const container = `${directory}/pods/shop_web-1_0a1b/app`
  mkdirSync(container, { recursive: true })
  const startMs = Date.now() - 5000
  const at = (i: number): string => new Date(startMs + i).toISOString().replace('Z', '000000Z')
  const long = Array.from({ length: 400 }, (_, i) => `word${i}`).join(' ')
  const entries = [
    'stdout P {"i":9,"msg":"AAAA',
    'stderr P EEEE',
    'stdout F BBBB"}',
    'stderr F FFFF',
    `stdout F ${long}`,
  ]
  const text = entries.map((entry, i) => `${at(i)} ${entry}\n`).join('')
  appendFileSync(`${container}/0.log`, `${text}no cri at all\n`)
  const agent = await runTercet(
    [
      'role=agent',
      `agent.log_directory=${directory}/pods`,
      `agent.loki=${receiver.url}/loki/api/v1/push`,
      'limits.log_line_size=1KiB',
    ],
    directory,
  )
  t.after(() => agent.stop())
  const lines = async (selector: string): Promise<string[]> => {
    const params = { query: selector, start: `${startMs - 60_000}000000`, direction: 'forward', limit: '100' }
    const reply = await fetch(`${receiver.url}/loki/api/v1/query_range?${new URLSearchParams(params).toString()}`)
    const { data } = (await reply.json()) as { data: { result: { values: [string, string][] }[] } }
    const all = data.result.flatMap(s => s.values)
    return all.sort(([a], [b]) => (BigInt(a) < BigInt(b) ? -1 : 1)).map(([, line]) => line)
  }
  await untilTrue(async () => (await lines('{container="app"}')).length >= 6, 'all lines', 20)
  assert.deepEqual(await lines('{container="app", stream="stderr"}'), ['EEEEFFFF'])
  const [first, ...parts] = await lines('{container="app", stream="stdout"}')
  assert.equal(first, '{"i":9,"msg":"AAAABBBB"}')
  assert.equal(parts.join(''), long)
  assert.ok(parts.length > 2 && parts.every(part => part.length <= 1024))
  assert.deepEqual(await lines('{container="app", stream=""}'), ['no cri at all'])
  const metrics = await (await fetch(`${agent.url}/metrics`)).text()
  assert.match(metrics, /^tercet_agent_log_lines_malformed_total 1$/m)
  assert.match(metrics, /^tercet_agent_log_lines_split_total 1$/m)
})

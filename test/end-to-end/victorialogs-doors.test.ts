/** VictoriaLogs' doors: what goes in by them comes out by LogsQL as it was sent, and what can't is told. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

let run: Running
const nowSeconds = Math.floor(Date.now() / 1000)
const second = (secondsAgo: number): string => new Date((nowSeconds - secondsAgo) * 1000).toISOString().slice(0, 19)

before(async () => {
  run = await runTercet()
})
after(async () => {
  await run.stop()
})

async function send(path: string, body: string): Promise<{ status: number; text: string; headers: Headers }> {
  const headers = { 'content-type': 'application/x-ndjson' }
  const reply = await fetch(`${run.url}/insert${path}`, { method: 'POST', headers, body })
  return { status: reply.status, text: await reply.text(), headers: reply.headers }
}

async function jsonLines(lines: readonly object[], parameters = '_stream_fields=case'): Promise<number> {
  return (await send(`/jsonline?${parameters}`, lines.map(line => JSON.stringify(line)).join('\n'))).status
}

/** Rows as texts `a=1 b=2`. */
async function rows(query: string, extra: Record<string, string> = {}): Promise<string[]> {
  const reply = await fetch(`${run.url}/select/logsql/query?${new URLSearchParams({ query, ...extra }).toString()}`)
  const text = await reply.text()
  assert.equal(reply.status, 200, text)
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line =>
      Object.entries(JSON.parse(line) as object)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    )
}

const day = second(600)

test('times below a second: brackets are in, parentheses out, fewer digits are the whole of the last one', async () => {
  const times = { a: '111000000', b: '222000000', c: '222000001', d: '333000000' }
  const lines = Object.entries(times).map(([_msg, ns]) => ({ _time: `${day}.${ns}Z`, _msg, case: 'ns' }))
  assert.equal(await jsonLines(lines), 200)
  const wanted = {
    [`[${day}.222000000Z,${day}.222000000Z]`]: 'b',
    [`(${day}.111000000Z,${day}.333000000Z]`]: 'bcd',
    [`[${day}.111000000Z,${day}.333000000Z)`]: 'abc',
    [`<=${day}.222000000Z`]: 'ab',
    [`>${day}.222000000Z`]: 'cd',
    [`[${day}.222Z,${day}.222Z]`]: 'bc',
    [`=${day}.222000001Z`]: 'c',
    [`${day}Z`]: 'abcd',
  }
  for (const [time, found] of Object.entries(wanted)) {
    const shown = await rows(`{case="ns"} _time:${time} | sort by (_time) | fields _msg`)
    assert.deepEqual(
      shown,
      Array.from(found, text => `_msg=${text}`),
      time,
    )
  }
  const bounds = { start: `${day}.222000001Z`, end: `${day}.222000001Z` }
  assert.deepEqual(await rows('{case="ns"} | fields _msg', bounds), ['_msg=c'])
})

test('numbers come out with the digits that they had', async () => {
  const body = `{"_time":"${day}Z","_msg":"n","case":"num","id":9007199254740993,"f":1.50,"e":1e400,"o":{"l":[1.0,2]}}`
  assert.equal((await send('/jsonline?_stream_fields=case', body)).status, 200)
  assert.deepEqual(await rows('{case="num"} | fields id, f, e, o.l'), [
    'id=9007199254740993 f=1.50 e=1e400 o.l=[1.0,2]',
  ])
  const time = `{"ts":${nowSeconds - 600}000000009,"_msg":"t","case":"numt"}`
  assert.equal((await send('/jsonline?_stream_fields=case&_time_field=ts', time)).status, 200)
  assert.deepEqual(await rows('{case="numt"} | fields _time'), [`_time=${day}.000000009Z`])
})

test('what is too old is told, by the item or by the first', async () => {
  const old = second(9 * 86_400)
  const bulk = `{"create":{}}
{"@timestamp":"${day}Z","case":"ack","message":"good"}
{"create":{}}
{"@timestamp":"${old}Z","case":"ack","message":"old"}
`
  const parameters = '_stream_fields=case&_msg_field=message&_time_field=@timestamp'
  const { text } = await send(`/elasticsearch/_bulk?${parameters}`, bulk)
  const answer = JSON.parse(text) as { errors: boolean; items: { create: { status: number; error?: object } }[] }
  assert.equal(answer.errors, true)
  assert.deepEqual(
    answer.items.map(({ create }) => create.status),
    [201, 400],
  )
  assert.deepEqual(Object.keys(answer.items[1]!.create.error ?? {}), ['type', 'reason'])
  const lines = [
    { _time: `${day}Z`, _msg: 'good', case: 'ackj' },
    { _time: `${old}Z`, _msg: 'old', case: 'ackj' },
  ]
  assert.equal(await jsonLines(lines), 400)
  assert.deepEqual(await rows('{case=~"ack.?"} | sort by (case) | fields _msg, case'), [
    '_msg=good case=ack',
    '_msg=good case=ackj',
  ])
})

test('equal entries of one request are all kept, and sent again they are not more', async () => {
  const lines = Array.from({ length: 3 }, () => ({ _time: `${day}Z`, _msg: 'same', case: 'twice', n: 1 }))
  const count = async (): Promise<string[]> => rows('{case="twice"} | count() c, count_uniq(_time) t')
  assert.equal(await jsonLines(lines), 200)
  assert.deepEqual(await count(), ['c=3 t=3'])
  assert.equal(await jsonLines(lines), 200)
  assert.deepEqual(await count(), ['c=3 t=3'])
  await run.tercet.flush()
  assert.deepEqual(await count(), ['c=3 t=3'])
  const bulk = `{"create":{}}\n{"_time":"${day}Z","_msg":"same","case":"bulk"}\n`.repeat(2)
  assert.equal((await send('/elasticsearch/_bulk?_stream_fields=case', bulk)).status, 200)
  assert.deepEqual(await rows('{case="bulk"} | count() c'), ['c=2'])
})

test('deletions and updates are refused by themselves, in the order of the request', async () => {
  for (const action of ['{"delete":{"_id":"1"}}', '{"update":{"_id":"1"}}\n{"doc":{"message":"u"}}']) {
    const body = `${action}\n{"create":{}}\n{"case":"act","message":"after"}\n`
    const { status, text, headers } = await send('/elasticsearch/_bulk?_stream_fields=case&_msg_field=message', body)
    const { errors, items } = JSON.parse(text) as { errors: boolean; items: Record<string, { status: number }>[] }
    assert.deepEqual([status, errors, headers.get('x-elastic-product')], [200, true, 'Elasticsearch'])
    assert.deepEqual(
      items.map(item => Object.values(item)[0]!.status),
      [400, 201],
    )
  }
  assert.deepEqual(await rows('{case="act"} | count() c'), ['c=2'])
})

/** Who changed something, or logged in, stands in the logs of the process and in its store. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLog, type LogFields } from '#core/log.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const admin: Credential = { name: 'admin', verbs: ['read', 'write', 'rules', 'admin'] }
const reader: Credential = { name: 'reader', verbs: ['read'], isUser: true }

test('what was done, by whom, from where, how it ended: in the log, and in the store before the answer', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, await credentialsFile([admin, reader]))
  const seen: LogFields[] = []
  const log = {
    ...silentLog,
    info: (message: string, fields: LogFields = {}) => {
      if (message === 'audit') seen.push(fields)
    },
  }
  const run = await runTercet([`auth.file=${file}`], directory, { log })
  try {
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
    const send = async (method: string, path: string, authorization: string, body?: string): Promise<number> => {
      const type = body?.startsWith('{') === true ? 'application/json' : 'application/x-www-form-urlencoded'
      const headers = { authorization, 'content-type': type }
      return (await fetch(`${run.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })).status
    }
    const token = 'Bearer token-of-admin'
    const silence = JSON.stringify({
      matchers: [{ name: 'alertname', value: 'Down', isRegex: false }],
      startsAt: '2026-01-01T00:00:00Z',
      endsAt: '2036-01-01T00:00:00Z',
      createdBy: 'somebody else',
      comment: 'quiet',
    })
    assert.equal(await send('POST', '/-/flush', token), 204)
    assert.equal(await send('POST', '/api/v1/admin/tsdb/delete_series', token, 'match[]=up'), 204)
    assert.equal(await send('POST', '/api/v2/silences', token, silence), 200)
    assert.equal(await send('POST', '/loki/api/v1/rules/n', token, '{"nam": 1}'), 400)
    assert.equal(await send('DELETE', '/loki/api/v1/rules/n/g', token), 404)
    assert.equal(await send('GET', '/api/v1/query?query=up', basic('reader:wrong')), 401)
    assert.equal(await send('GET', '/api/v1/query?query=up', basic('reader:token-of-reader')), 200)
    assert.equal(await send('GET', '/api/v1/query?query=up', basic('reader:token-of-reader')), 200)
    assert.equal(await send('POST', '/-/reload', basic('reader:token-of-reader')), 403)
    const shown = seen.map(({ who, action, outcome, status, from, detail }) =>
      [who, action, outcome, status ?? '', from, String(detail ?? '').slice(0, 40)].join(' ').trim(),
    )
    assert.deepEqual(shown, [
      'admin POST /-/flush done 204 127.0.0.1',
      'admin POST /api/v1/admin/tsdb/delete_series done 204 127.0.0.1 match%5B%5D=up',
      'admin POST /api/v2/silences done 200 127.0.0.1 {"matchers":[{"name":"alertname","value"',
      'admin POST /loki/api/v1/rules/n failed 400 127.0.0.1',
      'admin DELETE /loki/api/v1/rules/n/g failed 404 127.0.0.1',
      'reader login refused  127.0.0.1',
      'reader login done  127.0.0.1',
      'reader POST /-/reload refused 403 127.0.0.1',
    ])
    const query = encodeURIComponent(
      '{service_name="tercet", source="audit"} | json | who="admin" | action="POST /-/flush"',
    )
    const found = await fetch(`${run.url}/loki/api/v1/query_range?query=${query}`, {
      headers: { authorization: token },
    })
    assert.match(await found.text(), /\\"outcome\\":\\"done\\",\\"status\\":204/)
  } finally {
    await run.stop()
  }
})

test('details have no credentials: parameters by their names, addresses as they are encoded, or cut', async () => {
  const seen: LogFields[] = []
  const log = {
    ...silentLog,
    info: (message: string, fields: LogFields = {}) => {
      if (message === 'audit') seen.push(fields)
    },
  }
  const run = await runTercet([], undefined, { log })
  try {
    const send = async (path: string, type: string, body: string): Promise<void> => {
      await fetch(`${run.url}${path}`, { method: 'POST', headers: { 'content-type': type }, body })
    }
    const form = 'application/x-www-form-urlencoded'
    const address = 'http://me:hunter2@host/?token=hunter2'
    await send('/-/flush?token=hunter2&a=b', form, '')
    const match = encodeURIComponent(`up{url="${address}"}`)
    await send('/api/v1/admin/tsdb/delete_series', form, `match[]=${match}`)
    await send(`/loki/api/v1/delete?start=x&query=${match}`, form, '')
    const group = (url: string, pad: string): string =>
      `{"name": "g", "rules": [{"alert": "a", "expr": "up", "annotations": {"p": "${pad}", "u": "${url}"}}]}`
    await send('/config/v1/rules/n', 'application/yaml', group(address.replaceAll('/', String.raw`\/`), ''))
    const before = group('http://me:hunt', '').length
    await send('/config/v1/rules/n', 'application/yaml', group(address, 'x'.repeat(2005 - before)))
    const details = seen.map(({ detail }) => String(detail))
    assert.deepEqual(details.slice(0, 2), [
      'token=<secret>&a=b',
      'match%5B%5D=up%7Burl%3D%22http%3A%2F%2F<secret>%40host%2F%3Ftoken%3D<secret>%22%7D',
    ])
    assert.equal(details.length, 5)
    for (const detail of details) assert.ok(!/hunt/.test(detail), detail.slice(-300))
    assert.match(details[4]!.slice(-60), /x", "u": "http/)
  } finally {
    await run.stop()
  }
})

test('anybody can send logins that were never begun: ten of them a minute are noted', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  // Nobody is asked: the logins end before that.
  const oidc = { issuer: 'http://127.0.0.1:1', client_id: 'tercet', grants: [{ verbs: ['read'] }] }
  writeFileSync(file, JSON.stringify({ oidc }))
  let noted = 0
  const log = {
    ...silentLog,
    info: (message: string) => {
      if (message === 'audit') noted++
    },
  }
  const run = await runTercet([`auth.file=${file}`], directory, { log })
  try {
    for (let i = 0; i < 25; i++) assert.equal((await fetch(`${run.url}/auth/callback?state=x&code=${i}`)).status, 400)
    assert.equal(noted, 10)
  } finally {
    await run.stop()
  }
})

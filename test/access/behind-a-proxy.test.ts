/** Behind a proxy that is trusted, wrong passwords count by whom it names, and so does the audit; behind others not. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import WebSocket from 'ws'
import { silentLog, type LogFields } from '#core/log.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const reader: Credential = { name: 'reader', verbs: ['read'], isUser: true }
const admin: Credential = { name: 'admin', verbs: ['read', 'admin'] }
const basic = (password: string): string => `Basic ${Buffer.from(`reader:${password}`).toString('base64')}`

/** Of the handshake of a WebSocket that is refused. */
function refusalOf(url: string, headers: Record<string, string>): Promise<number | undefined> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/loki/api/v1/tail?query={a="b"}`, { headers })
  return new Promise((resolve, reject) => {
    socket.once('unexpected-response', (_request, response) => {
      resolve(response.statusCode)
      socket.terminate()
    })
    socket.once('open', () => {
      reject(new Error('it was taken'))
      socket.terminate()
    })
    socket.on('error', () => {})
  })
}

for (const proxies of [[], ['trusted_proxies=127.0.0.0/8,10.0.0.0/8']])
  test(`a proxy: ${proxies.join('') || 'trusted by nobody'}`, async () => {
    const directory = temporaryDirectory()
    const file = join(directory, 'credentials.yaml')
    writeFileSync(file, await credentialsFile([reader, admin]))
    const from: unknown[] = []
    const info = (message: string, fields: LogFields = {}): void => {
      if (message === 'audit') from.push(fields['from'])
    }
    const run = await runTercet([`auth.file=${file}`, ...proxies], directory, { log: { ...silentLog, info } })
    const headersOf = (password: string, forwarded: string): Record<string, string> => ({
      authorization: basic(password),
      'x-forwarded-for': forwarded,
    })
    const statusOf = async (password: string, forwarded: string): Promise<number> =>
      (await fetch(`${run.url}/api/v1/labels`, { headers: headersOf(password, forwarded) })).status
    try {
      // What a client makes up stands before its own address.
      for (let i = 0; i < 10; i++) assert.equal(await statusOf(`${i}`, `192.0.2.${i}, 203.0.113.1, 10.0.0.9`), 401)
      assert.equal(await statusOf('token-of-reader', '203.0.113.1'), 429)
      assert.equal(await refusalOf(run.url, headersOf('token-of-reader', '203.0.113.1, 10.1.1.1')), 429)
      assert.equal(await statusOf('token-of-reader', '203.0.113.2'), proxies.length === 0 ? 429 : 200)
      const headers = { authorization: 'Bearer token-of-admin', 'x-forwarded-for': '203.0.113.3' }
      assert.equal((await fetch(`${run.url}/-/flush`, { method: 'POST', headers })).status, 204)
      const places = new Set(from)
      if (proxies.length === 0) assert.deepEqual([...places], ['127.0.0.1'])
      else assert.deepEqual([...places], ['203.0.113.1', '203.0.113.2', '203.0.113.3'])
    } finally {
      await run.stop()
    }
  })

/** Credentials of an agent that change while it runs: inline at a reload, and in files without one. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { runTercet } from '../../test/run-tercet.ts'
import { untilTrue } from '../../test/until.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-changed-'))
after(() => {
  rmSync(directory, { recursive: true, force: true })
})
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}

test('an agent sends what it was told last', async () => {
  let seen: string[] = []
  const server = createServer((incoming, reply) => {
    seen.push(`${incoming.url ?? ''} ${incoming.headers.authorization ?? ''} ${String(incoming.headers['x-key'])}`)
    incoming.resume()
    reply.writeHead(204).end()
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const write = (token: string, key: string): void => {
    file('client.yml', `authorization: { credentials: ${token} }`)
    file(
      'prometheus.yml',
      `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs: [{ job_name: a, static_configs: [{ targets: ['127.0.0.1:1'] }] }]
remote_write:
  - { url: ${base}/inline, authorization: { credentials: ${token} }, headers: { X-Key: ${key} } }
  - { url: ${base}/file, authorization: { credentials_file: ${directory}/token } }`,
    )
  }
  write('first', 'one')
  file('token', 'first')
  let skippedMs = 0
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs }
  const run = await runTercet(
    [
      'role=agent',
      `scrape_config_file=${directory}/prometheus.yml`,
      `agent.client_config_file=${directory}/client.yml`,
      `agent.remote_write=${base}/named`,
      `agent.loki=${base}/loki`,
    ],
    undefined,
    { clock },
  )
  const pushLine = async (): Promise<void> => {
    const headers = { 'content-type': 'application/json' }
    const body = '{"streams":[]}'
    assert.equal((await fetch(`${run.url}/loki/api/v1/push`, { method: 'POST', headers, body })).status, 204)
  }
  const sent = async (token: string, key: string): Promise<void> => {
    seen = []
    await pushLine()
    for (const path of ['/inline', '/file', '/named', '/loki']) {
      const wanted = `${path} Bearer ${token} ${path === '/inline' ? key : 'undefined'}`
      await untilTrue(() => seen.includes(wanted), wanted)
    }
  }
  try {
    await sent('first', 'one')
    write('second', 'two')
    file('token', 'second')
    skippedMs += 60_000
    await run.tercet.reload()
    await sent('second', 'two')
    file('token', 'third')
    skippedMs += 60_000
    seen = []
    await untilTrue(() => seen.includes('/file Bearer third undefined'), 'the token of a file, without a reload')
  } finally {
    await run.stop()
    server.close()
    server.closeAllConnections()
  }
})

/** The whole process: what every role serves, and that a start that fails leaves nothing behind. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import test, { after } from 'node:test'
import { rmSync, writeFileSync } from 'node:fs'
import { silentLog, type Log } from '#core/log.ts'
import { runTercet, temporaryDirectory } from '../../test/run-tercet.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** A port that another program listens at. */
async function busyPort(): Promise<{ port: number; server: Server }> {
  const server = createServer()
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { port: address.port, server }
}

/** Handles that keep a process alive: servers and sockets that this process has open. */
function openHandles(): number {
  return process.getActiveResourcesInfo().filter(name => /^(TCP|UDP)/.test(name)).length
}

for (const { name, flags } of [
  { name: 'syslog over TCP', flags: (port: number) => [`listen.syslog_tcp=127.0.0.1:${port}`] },
  { name: 'gRPC', flags: (port: number) => [`listen.otlp_grpc=127.0.0.1:${port}`] },
  { name: 'an alias', flags: (port: number) => [`listen.aliases=127.0.0.1:${port}`] },
  { name: 'HTTP', flags: (port: number) => [`listen.http=127.0.0.1:${port}`] },
])
  test(`a busy port of ${name}: the start fails with one line that names it, and nothing stays open`, async () => {
    const { port, server } = await busyPort()
    const before = openHandles()
    await assert.rejects(runTercet(flags(port), `${directory}/${name.replaceAll(' ', '-')}`), (error: unknown) => {
      assert.ok(error instanceof Error)
      assert.match(error.message, new RegExp(`^could not start .*${port}`))
      assert.ok(!error.message.includes('\n'))
      return true
    })
    assert.equal(openHandles(), before)
    server.close()
  })

/** A log that keeps its warnings. */
function warningsOf(): { log: Log; warnings: { message: string; fields: Readonly<Record<string, unknown>> }[] } {
  const warnings: { message: string; fields: Readonly<Record<string, unknown>> }[] = []
  return { warnings, log: { ...silentLog, warn: (message, fields = {}) => void warnings.push({ message, fields }) } }
}

test('files that are named and do not exist: a warning each, for patterns too', async () => {
  const { log, warnings } = warningsOf()
  const run = await runTercet(
    [
      `rule_files=${directory}/nosuch/*`,
      `rule_files=${directory}/nosuch/*,${directory}/gone.yml`,
      `dashboard_files=${directory}/nosuch.json,${directory}/none-*.json`,
    ],
    `${directory}/missing`,
    { log },
  )
  await run.stop()
  const named = warnings.map(({ fields }) => String(fields['file'] ?? fields['pattern']))
  assert.deepEqual(named.sort(), [
    `${directory}/gone.yml`,
    `${directory}/none-*.json`,
    `${directory}/nosuch.json`,
    `${directory}/nosuch/*`,
  ])
})

test('a file with an error ends the start before anything is opened', async () => {
  writeFileSync(`${directory}/rules.yml`, 'groups: [{ name: a, rules: [{ record: x }] }]')
  const before = openHandles()
  await assert.rejects(runTercet([`rule_files=${directory}/rules.yml`], `${directory}/wrong`), /rules\.yml/)
  assert.equal(openHandles(), before)
})

for (const { role, path, status } of [
  { role: 'all', path: '/api/v1/query?query=1', status: 200 },
  { role: 'query', path: '/api/v1/query?query=1', status: 200 },
  { role: 'insert', path: '/api/v1/query?query=1', status: 403 },
  { role: 'insert', path: '/health', status: 200 },
  { role: 'agent', path: '/api/v1/query?query=1', status: 404 },
  { role: 'agent', path: '/api/v1/targets', status: 200 },
  { role: 'agent', path: '/-/ready', status: 200 },
  { role: 'agent', path: '/metrics', status: 200 },
])
  test(`role ${role}: ${path} gives ${status}`, async () => {
    const run = await runTercet([`role=${role}`], `${directory}/roles-${role}`)
    const reply = await fetch(`${run.url}${path}`)
    await reply.arrayBuffer()
    await run.tercet.close()
    assert.equal(reply.status, status)
  })

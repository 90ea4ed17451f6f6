/** The whole process: what every role serves, and that a start that fails leaves nothing behind. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import test, { after } from 'node:test'
import { rmSync, writeFileSync } from 'node:fs'
import { silentLog, type Log } from '#core/log.ts'
import { runTercet, temporaryDirectory } from '../../test/run-tercet.ts'
import { freePort } from '../../test/free-port.ts'

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

/** Whether anybody listens at the port. */
function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => {
      resolve(false)
    })
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true)
      })
    })
  })
}

for (const { name, flag } of [
  { name: 'syslog over TCP', flag: 'listen.syslog_tcp' },
  { name: 'gRPC', flag: 'listen.otlp_grpc' },
  { name: 'an alias', flag: 'listen.aliases' },
  { name: 'OpenTelemetry over HTTP', flag: 'listen.otlp_http' },
])
  test(`a busy port of ${name}: the start fails with one line that names it, and nothing stays open`, async () => {
    const { port, server } = await busyPort()
    const own = await freePort()
    try {
      const flags = [`listen.http=127.0.0.1:${own}`, `${flag}=127.0.0.1:${port}`]
      await assert.rejects(runTercet(flags, `${directory}/${flag}`), (error: unknown) => {
        assert.ok(error instanceof Error)
        assert.match(error.message, new RegExp(`^could not start .*127\\.0\\.0\\.1:${port}`))
        assert.ok(!error.message.includes('\n'))
        return true
      })
      assert.ok(await isFree(own), 'the main address is closed again')
    } finally {
      server.close()
    }
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
  const own = await freePort()
  const flags = [`listen.http=127.0.0.1:${own}`, `rule_files=${directory}/rules.yml`]
  await assert.rejects(runTercet(flags, `${directory}/wrong`), /rules\.yml/)
  assert.ok(await isFree(own))
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

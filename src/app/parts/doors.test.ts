/** What the addresses are warned of. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import test, { after } from 'node:test'
import { silentLog } from '#core/log.ts'
import { runTercet, temporaryDirectory } from '../../../test/run-tercet.ts'
import { loadConfig } from '../config.ts'
import { makeContext } from '../context.ts'
import { systemWorld } from '../world.ts'
import { makeDoors } from './doors.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

async function warningOf(flags: readonly string[]): Promise<string | undefined> {
  const quiet = ['listen.http', 'listen.otlp_http', 'listen.otlp_grpc'].map(name => `${name}=off`)
  const config = loadConfig({ environment: {}, flags: [`data_dir=${directory}`, ...quiet, ...flags] })
  return makeDoors(await makeContext(config, systemWorld(silentLog), {})).warning?.()
}

test('an address that others reach without a password is warned of, and one of this machine is not', async () => {
  for (const address of ['127.0.0.1:0', '127.8.0.1:0', 'localhost:0', '[::1]:0', 'off'])
    assert.equal(await warningOf([`listen.http=${address}`]), undefined, address)
  for (const address of ['0.0.0.0:8428', ':8428', '[::]:8428', '192.168.1.7:0', 'host.example:0'])
    for (const name of ['http', 'otlp_http', 'otlp_grpc', 'loki_grpc', 'syslog_tcp', 'syslog_udp'])
      assert.match((await warningOf([`listen.${name}=${address}`])) ?? '', new RegExp(`listen.${name}=.*auth.username`))
  const some = await warningOf(['listen.aliases=127.0.0.1:0,0.0.0.0:9090', 'listen.grpc_aliases=0.0.0.0:14250'])
  assert.match(some ?? '', /listen\.aliases=0\.0\.0\.0:9090, listen\.grpc_aliases=0\.0\.0\.0:14250 may/)
  assert.equal(await warningOf(['listen.health=0.0.0.0:8430']), undefined)
})

test('it is logged once, and shown by readiness, notifications and the web interface', async () => {
  const logged: string[] = []
  const log = { ...silentLog, warn: (message: string) => void logged.push(message) }
  const running = await runTercet(['listen.aliases=0.0.0.0:0'], undefined, { log })
  try {
    const text = async (path: string): Promise<string> => (await fetch(running.url + path)).text()
    const wanted = /listen\.aliases=0\.0\.0\.0:0 may read, write and delete/
    for (const path of ['/-/ready', '/api/v1/notifications', '/api/tercet/trouble'])
      assert.match(await text(path), wanted)
    assert.equal(logged.filter(line => wanted.test(line)).length, 1)
  } finally {
    await running.stop()
  }
})

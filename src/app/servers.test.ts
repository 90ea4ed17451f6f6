/** The shared addresses: what answers before the process is ready, and that no two parts own one route. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import test, { after } from 'node:test'
import { Registry } from '#core/counter.ts'
import { silentLog } from '#core/log.ts'
import { known, open } from '#net/access.ts'
import { at } from '#net/route-table.ts'
import { allowing } from '#net/route-table.ts'
import { temporaryDirectory } from '../../test/run-tercet.ts'
import { loadConfig } from './config.ts'
import { makeContext } from './context.ts'
import { Lifecycle } from './lifecycle.ts'
import { makePart, type Part } from './part.ts'
import { Servers } from './servers.ts'
import { systemWorld } from './world.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

async function serve(parts: readonly Part[]): Promise<{ lifecycle: Lifecycle; servers: Servers; seen: string[] }> {
  const flags = [
    'listen.http=127.0.0.1:0',
    'listen.otlp_http=off',
    'listen.otlp_grpc=off',
    'listen.aliases=127.0.0.1:0',
    `data_dir=${directory}`,
  ]
  const context = await makeContext(loadConfig({ environment: {}, flags }), systemWorld(silentLog), {})
  const seen: string[] = []
  const servers = new Servers(
    context,
    parts,
    () => lifecycle.notRunning,
    (route, status) => {
      seen.push(`${route} ${status}`)
    },
  )
  const lifecycle = new Lifecycle(silentLog, parts, servers)
  return { lifecycle, servers, seen }
}

const saying = (text: string) => (): Promise<{ status: number; body: string }> =>
  Promise.resolve({ status: 200, body: text })

test('while a part starts, health answers and all else says 503; then all answer, at every address', async () => {
  let finish = (): void => {}
  const slow = new Promise<void>(resolve => {
    finish = resolve
  })
  const parts = [
    makePart({ name: 'health', answersAtOnce: true, routes: allowing(open, at(['GET'], ['/health'], saying('OK'))) }),
    makePart({
      name: 'store',
      routes: allowing(known, at(['GET', 'POST'], ['/data'], saying('data'))),
      start: () => slow,
    }),
  ]
  const { lifecycle, servers, seen } = await serve(parts)
  const opened = servers.open.bind(servers)
  let isOpen = (): void => {}
  const addressesOpen = new Promise<void>(resolve => {
    isOpen = resolve
  })
  servers.open = async () => {
    await opened()
    isOpen()
  }
  const started = lifecycle.start(new Registry())
  await addressesOpen
  const early = await fetch(`${servers.url}/data`, { method: 'POST' })
  assert.equal(early.status, 503)
  assert.equal(early.headers.get('retry-after'), '2')
  assert.equal(await early.text(), 'the process is starting\n')
  assert.equal((await fetch(`${servers.url}/health`)).status, 200)
  finish()
  await started
  for (const { address } of servers.addresses)
    assert.equal(await (await fetch(`http://${address}/data`)).text(), 'data')
  assert.deepEqual(
    servers.addresses.map(({ name }) => name),
    ['http', 'alias'],
  )
  assert.deepEqual(seen, ['/data 503', '/health 200', '/data 200', '/data 200'])
  await lifecycle.stop()
  await assert.rejects(fetch(`${servers.url}/health`))
})

test('two parts that claim one route are refused, and both are named', async () => {
  const parts = [
    makePart({ name: 'logs', routes: allowing(known, at(['POST'], ['/push'], saying('a'))) }),
    makePart({ name: 'traces', routes: allowing(known, at(['POST'], ['/push'], saying('b'))) }),
  ]
  await assert.rejects(serve(parts), { message: 'POST /push belongs to logs and to traces' })
})

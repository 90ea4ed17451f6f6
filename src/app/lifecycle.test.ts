/** Parts start in order and stop in reverse, also when one of them fails: nothing is left open or running. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Registry } from '#core/counter.ts'
import { silentLog } from '#core/log.ts'
import { StartError } from '#core/start-error.ts'
import { known } from '#net/access.ts'
import { Lifecycle, together, type SharedServers } from './lifecycle.ts'
import { makePart, type Part } from './part.ts'

interface Bench {
  events: string[]
  part(name: string, pieces?: Partial<Part>): Part
  servers: SharedServers
}

/** Parts and servers that note what is done to them. */
function bench(): Bench {
  const events: string[] = []
  const note = (text: string): Promise<void> => {
    events.push(text)
    return Promise.resolve()
  }
  return {
    events,
    part: (name, pieces = {}) =>
      makePart({ name, start: () => note(`start ${name}`), stop: () => note(`stop ${name}`), ...pieces }),
    servers: { open: () => note('open addresses'), close: () => note('close addresses') },
  }
}

const failing = (message: string) => (): Promise<never> => Promise.reject(new Error(message))

test('addresses open first, parts start in order, listeners last; all of it stops in reverse', async () => {
  const { events, part, servers } = bench()
  const listener = {
    name: 'syslog_tcp',
    access: known,
    open: () => {
      events.push('open syslog')
      return Promise.resolve('127.0.0.1:514')
    },
    close: () => {
      events.push('close syslog')
      return Promise.resolve()
    },
  }
  const lifecycle = new Lifecycle(silentLog, [part('a', { listeners: [listener] }), part('b')], servers)
  assert.equal(lifecycle.notReady(), 'starting')
  await lifecycle.start(new Registry())
  assert.equal(lifecycle.notReady(), undefined)
  assert.deepEqual(lifecycle.listenerAddresses, [{ name: 'syslog_tcp', address: '127.0.0.1:514' }])
  await lifecycle.stop()
  assert.equal(lifecycle.notReady(), 'stopping')
  await lifecycle.stop()
  assert.deepEqual(events, [
    'open addresses',
    'start a',
    'start b',
    'open syslog',
    'close syslog',
    'close addresses',
    'stop b',
    'stop a',
  ])
})

test('a part that fails is named, and what had started is stopped; what had not is left alone', async () => {
  const { events, part, servers } = bench()
  const parts = [part('a'), part('b', { start: failing('the disk is full') }), part('c')]
  const lifecycle = new Lifecycle(silentLog, parts, servers)
  await assert.rejects(lifecycle.start(new Registry()), (error: unknown) => {
    assert.ok(error instanceof StartError)
    assert.equal(error.message, 'could not start b: the disk is full')
    return true
  })
  assert.deepEqual(events, ['open addresses', 'start a', 'close addresses', 'stop b', 'stop a'])
})

test('addresses that can not be opened end the start before any part has begun', async () => {
  const { events, part, servers } = bench()
  const lifecycle = new Lifecycle(silentLog, [part('a')], { ...servers, open: failing('port 80 is in use') })
  await assert.rejects(lifecycle.start(new Registry()), { message: 'could not start the addresses: port 80 is in use' })
  assert.deepEqual(events, ['close addresses'])
})

test('one part that does not stop keeps no other from stopping, and is reported', async () => {
  const { events, part, servers } = bench()
  const parts = [part('a'), part('b', { stop: failing('b hangs') }), part('c')]
  const lifecycle = new Lifecycle(silentLog, parts, servers)
  await lifecycle.start(new Registry())
  await assert.rejects(lifecycle.stop(), { message: 'b hangs' })
  assert.deepEqual(events.slice(-3), ['close addresses', 'stop c', 'stop a'])
})

test('every part reads its files again, also behind one that finds its own wrong', async () => {
  const { events, part, servers } = bench()
  const reloading = (name: string): Part =>
    part(name, {
      reload: () => {
        events.push(`reload ${name}`)
        return Promise.resolve()
      },
    })
  const lifecycle = new Lifecycle(
    silentLog,
    [reloading('a'), part('b', { reload: failing('rules.yml:3: no such key') }), reloading('c')],
    servers,
  )
  await assert.rejects(lifecycle.reload(), { message: 'rules.yml:3: no such key' })
  assert.deepEqual(events, ['reload a', 'reload c'])
})

test('a process is not ready while one of its parts is not, and says why', async () => {
  const { part, servers } = bench()
  let reason: string | undefined = 'another writer took over the bucket'
  const lifecycle = new Lifecycle(silentLog, [part('a'), part('b', { ready: () => reason })], servers)
  await lifecycle.start(new Registry())
  assert.equal(lifecycle.notReady(), reason)
  reason = undefined
  assert.equal(lifecycle.notReady(), undefined)
})

test('parts that start together: one that fails is named alone, and all are stopped', async () => {
  const { events, part, servers } = bench()
  const all = together('signals', [part('metrics'), part('logs', { start: failing('torn log') }), part('traces')])
  const lifecycle = new Lifecycle(silentLog, [all], servers)
  await assert.rejects(lifecycle.start(new Registry()), { message: 'could not start logs: torn log' })
  assert.deepEqual(events, [
    'open addresses',
    'start metrics',
    'start traces',
    'close addresses',
    'stop metrics',
    'stop logs',
    'stop traces',
  ])
})

/** Signals that come before the process is started. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { AskedSignals } from './asked-signals.ts'

test('SIGHUP before the start is done is heeded once it is, and each one after it', () => {
  const source = new EventEmitter()
  const signals = new AskedSignals(source)
  let reloads = 0
  source.emit('SIGHUP')
  source.emit('SIGHUP')
  signals.onReload(() => reloads++)
  assert.equal(reloads, 1)
  source.emit('SIGHUP')
  assert.equal(reloads, 2)
  assert.equal(source.listenerCount('SIGHUP'), 1)
})

test('the first SIGTERM or SIGINT is told, whenever it came; a second one is left to the system', async () => {
  for (const name of ['SIGTERM', 'SIGINT']) {
    const source = new EventEmitter()
    const signals = new AskedSignals(source)
    source.emit(name, name)
    assert.equal(source.listenerCount(name), 0)
    assert.equal(await signals.stop, name)
  }
})

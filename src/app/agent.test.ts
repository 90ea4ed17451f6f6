/** An agent whose disk is full: every door refuses in words that senders understand, and goes on when there is room. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import type { Files } from '#core/files.ts'
import { silentLog } from '#core/log.ts'
import { temporaryDirectory } from '../../test/run-tercet.ts'
import { writeBody } from '../../test/write-request.ts'
import { loadConfig } from './config.ts'
import { startTercet } from './tercet.ts'
import { systemWorld } from './world.ts'

test('a push that the queue can not keep is answered 503 with Retry-After, for every signal', async () => {
  const directory = temporaryDirectory()
  const world = systemWorld(silentLog)
  let isFull = true
  let open = 0
  const files: Files = {
    ...world.files,
    openAppend: async path => {
      const file = await world.files.openAppend(path)
      open++
      return {
        append: bytes => (isFull ? Promise.reject(new Error('ENOSPC: no space left on device')) : file.append(bytes)),
        cutTo: length => file.cutTo(length),
        sync: () => file.sync(),
        close: () => (open--, file.close()),
      }
    },
  }
  // Nothing listens there.
  const remote = 'http://127.0.0.1:9'
  const flags = [
    'role=agent',
    'listen.http=127.0.0.1:0',
    'listen.otlp_http=off',
    `data_dir=${directory}/data`,
    `agent.remote_write=${remote}/w`,
    `agent.loki=${remote}/l`,
    `agent.otlp=${remote}`,
  ]
  const agent = await startTercet(loadConfig({ environment: {}, flags }), { ...world, files })
  const json = 'application/json'
  const pushes: [path: string, type: string, body: string | Uint8Array][] = [
    ['/api/v1/write', 'application/x-protobuf', writeBody([{ labels: [['__name__', 'm']], samples: [[1, 1]] }])],
    ['/api/v1/import/prometheus', 'text/plain', 'm 1\n'],
    ['/loki/api/v1/push', json, '{"streams":[]}'],
    ['/v1/logs', json, '{"resourceLogs":[]}'],
    ['/v1/traces', json, '{"resourceSpans":[]}'],
  ]
  try {
    for (const [path, type, body] of pushes) {
      const send = (): Promise<Response> =>
        fetch(agent.url + path, { method: 'POST', headers: { 'content-type': type }, body })
      isFull = true
      for (let i = 0; i < 3; i++) {
        const refused = await send()
        assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '5'], path)
        assert.match(await refused.text(), /the queue could not be written: ENOSPC/)
        assert.ok(open <= 3, `${open} files are open`)
      }
      isFull = false
      assert.ok((await send()).ok, path)
    }
    const metrics = await (await fetch(`${agent.url}/metrics`)).text()
    assert.match(metrics, /^tercet_agent_samples_total 2$/m)
  } finally {
    await agent.close()
    rmSync(directory, { recursive: true, force: true })
  }
})

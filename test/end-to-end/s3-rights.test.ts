/** What a process asks of its bucket: nothing beyond reading, writing, deleting and listing objects. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runTercet } from '../run-tercet.ts'
import { S3Server, type S3Request } from '../s3-server.ts'
import { postWrite, writeBody } from '../write-request.ts'

/** s3:GetObject, PutObject, DeleteObject and ListBucket of one bucket. */
function isAllowed({ method, key, query }: S3Request): boolean {
  if (key === '') return (method === 'GET' && query.has('list-type')) || (method === 'POST' && query.has('delete'))
  const isAdministration = ['acl', 'policy', 'tagging', 'retention', 'legal-hold'].some(name => query.has(name))
  return ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'].includes(method) && !isAdministration
}

test('rights to read, write, delete and list are enough, and nothing else is tried (req-066)', async () => {
  const store = await S3Server.open()
  store.trouble = request => (isAllowed(request) ? undefined : { kind: 'refuse', status: 403, code: 'AccessDenied' })
  const flags = [...store.flags, 'durability=bucket']
  const nowMs = Date.now()
  try {
    const first = await runTercet(flags)
    const series = [
      { labels: [['__name__', 'kept']] as [string, string][], samples: [[nowMs, 7]] as [number, number][] },
    ]
    assert.equal((await postWrite(first.url, writeBody(series))).status, 204)
    const line = { streams: [{ stream: { app: 'x' }, values: [[`${nowMs}000000`, 'a line']] }] }
    const pushed = await fetch(`${first.url}/loki/api/v1/push`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(line),
    })
    assert.equal(pushed.status, 204)
    assert.equal((await fetch(`${first.url}/-/flush`, { method: 'POST' })).status, 204)
    await first.stop()
    const second = await runTercet(flags)
    const text = await (await fetch(`${second.url}/api/v1/query?query=kept&time=${nowMs / 1000}`)).text()
    assert.match(text, /"7"/)
    const found = await (await fetch(`${second.url}/loki/api/v1/query_range?query={app="x"}`)).text()
    assert.match(found, /a line/)
    await second.stop()
    assert.ok(store.requests.length > 20, `${store.requests.length} requests`)
    assert.deepEqual(
      store.requests
        .filter(request => !isAllowed(request))
        .map(({ method, key, query }) => `${method} ${key}?${query}`),
      [],
    )
  } finally {
    await store.close()
  }
})

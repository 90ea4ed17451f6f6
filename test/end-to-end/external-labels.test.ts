/** Blocks of metrics carry what Cortex' and Thanos' compactors want of a block that they merge. req-040 req-142. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runTercet } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'

test("a block of each tenant has the external label of Cortex' own blocks", async () => {
  const running = await runTercet(['tenancy=on'])
  try {
    for (const tenant of ['anonymous', 'team-b']) {
      const body = writeBody([{ labels: [['__name__', 'a']], samples: [[Date.now(), 1]] }])
      assert.equal((await postWrite(running.url, body, { 'x-scope-orgid': tenant })).status, 204)
    }
    await fetch(`${running.url}/-/flush`, { method: 'POST' })
    for (const tenant of ['anonymous', 'team-b']) {
      const directory = join(running.directory, 'data/bucket/metrics', tenant)
      const blocks = readdirSync(directory).filter(name => /^[0-9A-Z]{26}$/.test(name))
      assert.equal(blocks.length, 1)
      const { thanos } = JSON.parse(readFileSync(join(directory, blocks[0]!, 'meta.json'), 'utf8')) as {
        thanos: { labels: unknown }
      }
      assert.deepEqual(thanos.labels, { __org_id__: tenant })
    }
  } finally {
    await running.stop()
  }
})

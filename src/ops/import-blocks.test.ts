/** An import that fails half-way leaves a marked block, and goes on where it was. */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import test from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { importBlocks, type BlockImport } from './import-blocks.ts'

const id = '8766e908-78e3-4e89-b8b5-0f92077976dd'

test('a block that was copied in part is marked until it is whole', async () => {
  const clock = new VirtualClock(0)
  const source = new MemoryBucket(clock)
  const target = new MemoryBucket(clock)
  for (const name of ['bloom-0', 'data.parquet', 'meta.json', 'tercet-upload-mark'])
    await source.put(`t/${id}/${name}`, Buffer.from(name))
  const put = target.put.bind(target)
  target.put = (key, bytes) => (key.endsWith('meta.json') ? Promise.reject(new Error('away')) : put(key, bytes))
  const lines: string[] = []
  const task: BlockImport = {
    from: 'tempo',
    source,
    target,
    tenant: 't',
    retentionMs: Infinity,
    retentionName: '',
    spillDirectory: tmpdir(),
    server: undefined,
    isJson: true,
  }
  const output = { out: (text: string) => void lines.push(text), err: (text: string) => void lines.push(text) }
  await assert.rejects(importBlocks(task, output), /away/)
  const names = (): string[] => [...target.objects.keys()].map(key => key.slice(`t/${id}/`.length)).toSorted()
  assert.deepEqual(names(), ['bloom-0', 'data.parquet', 'tercet-upload-mark'])
  target.put = put
  await importBlocks(task, output)
  assert.deepEqual(names(), ['bloom-0', 'data.parquet', 'meta.json'])
  assert.deepEqual(
    lines.map(line => JSON.parse(line) as object),
    [{ copied: 1, present: 2, bytes: 28, skipped: [] }],
  )
  await importBlocks(task, output)
  assert.deepEqual(names(), ['bloom-0', 'data.parquet', 'meta.json'])
})

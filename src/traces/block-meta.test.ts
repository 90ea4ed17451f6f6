import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMeta, encodeMeta, type BlockMeta } from './block-meta.ts'

const meta: BlockMeta = {
  format: 'vParquet5',
  blockId: '846be516-c756-448d-9ad5-8020802327ce',
  tenant: 'single-tenant',
  startMs: 1_796_000_000_000,
  endMs: 1_796_000_001_000,
  traces: 3,
  size: 20_328,
  level: 0,
  rowGroups: 1,
  bloomShards: 1,
  footerSize: 13_784,
  dedicated: [],
}

test('a Tempo 3 answers from blocks with a replication factor of 1, a Tempo 2.x from those without; req-040', () => {
  const factorOf = (format: string): unknown =>
    (JSON.parse(Buffer.from(encodeMeta({ ...meta, format })).toString()) as { replicationFactor?: number })
      .replicationFactor
  assert.equal(factorOf('vParquet5'), 1)
  assert.equal(factorOf('vParquet4'), undefined)
})

test('what is written is read back', () => {
  for (const format of ['vParquet4', 'vParquet5']) {
    const { checksums: _checksums, ...back } = decodeMeta(encodeMeta({ ...meta, format }))
    assert.deepEqual(back, { ...meta, format })
  }
})

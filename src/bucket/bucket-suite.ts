/** What every bucket must do. Run by the test of each one. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConflictError, NotFoundError } from '#core/errors.ts'
import type { Bucket } from './bucket.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (of: Uint8Array): string => Buffer.from(of).toString('utf8')

/** `open` gives an empty bucket, or one whose content lies below other keys. */
export function bucketSuite(name: string, open: () => Promise<Bucket>, largeBytes: number): void {
  test(`${name}: put, get, ranges, size, delete`, async () => {
    const bucket = await open()
    await bucket.put('suite/a', bytes('hello world'))
    assert.equal(text(await bucket.get('suite/a')), 'hello world')
    assert.equal(text(await bucket.getRange('suite/a', 6, 3)), 'wor')
    assert.equal(text(await bucket.getRange('suite/a', 6, 100)), 'world')
    assert.equal((await bucket.getRange('suite/a', 11, 5)).length, 0)
    assert.equal(await bucket.size('suite/a'), 11)
    await bucket.put('suite/a', bytes('other'))
    assert.equal(text(await bucket.get('suite/a')), 'other')
    await bucket.put('suite/empty', new Uint8Array(0))
    assert.equal((await bucket.get('suite/empty')).length, 0)
    await bucket.delete('suite/a')
    await bucket.delete('suite/a')
    await assert.rejects(bucket.get('suite/a'), NotFoundError)
    await assert.rejects(bucket.size('suite/a'), NotFoundError)
    await bucket.delete('suite/empty')
  })

  test(`${name}: of several conditional puts exactly one wins`, async () => {
    const bucket = await open()
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => bucket.put('suite/epoch', bytes(String(i)), { ifAbsent: true })),
    )
    assert.equal(results.filter(r => r.status === 'fulfilled').length, 1)
    for (const r of results) if (r.status === 'rejected') assert.ok(r.reason instanceof ConflictError, String(r.reason))
    const winner = results.findIndex(r => r.status === 'fulfilled')
    assert.equal(text(await bucket.get('suite/epoch')), String(winner))
    await bucket.delete('suite/epoch')
  })

  test(`${name}: lists in bytewise order, and directories`, async () => {
    const bucket = await open()
    const keys = [
      'suite/t/b/1',
      'suite/t/a/2',
      'suite/t/a/1',
      'suite/t/B/x',
      'suite/t2/z',
      'suite/t/plain',
      'suite/t/a:b=c/ü',
    ]
    for (const key of keys) await bucket.put(key, bytes(key))
    assert.deepEqual(
      (await bucket.list('suite/t/')).map(o => o.key).sort(),
      keys.filter(k => k.startsWith('suite/t/')).sort(),
    )
    assert.deepEqual((await bucket.list('suite/t/a')).map(o => o.key).sort(), [
      'suite/t/a/1',
      'suite/t/a/2',
      'suite/t/a:b=c/ü',
    ])
    assert.deepEqual((await bucket.listDirectories('suite/t/')).sort(), ['B', 'a', 'a:b=c', 'b'])
    assert.deepEqual(await bucket.listDirectories('suite/nothing/'), [])
    assert.deepEqual(await bucket.list('suite/nothing/'), [])
    for (const key of keys) await bucket.delete(key)
    assert.deepEqual(await bucket.list('suite/'), [])
  })

  test(`${name}: uploads files, small and in parts`, async () => {
    const bucket = await open()
    const directory = mkdtempSync(join(tmpdir(), 'tercet-bucket-'))
    try {
      for (const size of [0, 1000, largeBytes]) {
        const content = Buffer.alloc(size, 'abcdefghij')
        writeFileSync(join(directory, 'file'), content)
        await bucket.putFile('suite/file', join(directory, 'file'))
        assert.equal(await bucket.size('suite/file'), size)
        if (size > 0)
          assert.equal(Buffer.compare(await bucket.getRange('suite/file', size - 7, 7), content.subarray(size - 7)), 0)
      }
      await bucket.delete('suite/file')
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
}

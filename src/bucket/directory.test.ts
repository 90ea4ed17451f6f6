import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { NotFoundError } from '#core/errors.ts'
import { bucketSuite } from './bucket-suite.ts'
import type { Bucket } from './bucket.ts'
import { DirectoryBucket } from './directory.ts'

const root = mkdtempSync(join(tmpdir(), 'tercet-directory-'))
after(() => {
  rmSync(root, { recursive: true, force: true })
})
bucketSuite('directory', async () => new DirectoryBucket(root), 20_000_000)

const one = new Uint8Array(1)

/** Everything that a bucket is asked. */
const questions: Readonly<Record<string, (bucket: Bucket) => Promise<unknown>>> = {
  put: bucket => bucket.put('t/b', one),
  'put if absent': bucket => bucket.put('t/b', one, { ifAbsent: true }),
  'put file': bucket => bucket.putFile('t/b', `${root}/source`),
  get: bucket => bucket.get('t/a'),
  range: bucket => bucket.getRange('t/a', 0, 1),
  size: bucket => bucket.size('t/a'),
  list: bucket => bucket.list(''),
  directories: bucket => bucket.listDirectories('t/'),
  delete: bucket => bucket.delete('t/a'),
}

test('a directory that was there and is gone is an outage, and nobody makes it again', async () => {
  const path = join(root, 'gone', 'bucket')
  writeFileSync(join(root, 'source'), 'x')
  const bucket = new DirectoryBucket(path)
  await bucket.put('t/a', one)
  rmSync(join(root, 'gone'), { recursive: true })
  const error = {
    name: 'BucketError',
    code: 'DirectoryGone',
    transient: true,
    message: /directory was there and is gone/,
  }
  for (const [name, ask] of Object.entries(questions)) await assert.rejects(ask(bucket), error, name)
  assert.equal(existsSync(path), false)
  writeFileSync(join(root, 'gone'), 'a file in its place')
  for (const [name, ask] of Object.entries(questions)) await assert.rejects(ask(bucket), error, name)
  rmSync(join(root, 'gone'))

  mkdirSync(path, { recursive: true })
  await assert.rejects(bucket.get('t/a'), NotFoundError)
  assert.deepEqual(await bucket.list(''), [])
  await bucket.put('t/a', one)
  assert.equal((await bucket.get('t/a')).length, 1)
})

test('a directory that was not there yet is an empty bucket, which the first object makes', async () => {
  const path = join(root, 'new', 'bucket')
  const bucket = new DirectoryBucket(path)
  await bucket.delete('t/a')
  assert.deepEqual(await bucket.list(''), [])
  await assert.rejects(bucket.get('t/a'), NotFoundError)
  await bucket.put('t/a', one)
  assert.equal((await bucket.list('')).length, 1)
  // Another one, as a worker has it, was told so.
  rmSync(path, { recursive: true })
  await assert.rejects(new DirectoryBucket(path, true).get('t/a'), { code: 'DirectoryGone' })
})

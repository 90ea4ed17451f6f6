/** The disk and the disk in memory: one suite for both. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { NotFoundError } from './errors.ts'
import { systemFiles, type Files } from './files.ts'
import { MemoryFiles } from './memory-files.ts'

const root = mkdtempSync(join(tmpdir(), 'tercet-files-'))
after(() => {
  rmSync(root, { recursive: true, force: true })
})
const bytes = (text: string): Uint8Array => Buffer.from(text)
const textOf = async (files: Files, path: string): Promise<string> => Buffer.from(await files.read(path)).toString()

for (const { name, files } of [
  { name: 'the disk', files: systemFiles },
  { name: 'the disk in memory', files: new MemoryFiles() },
]) {
  const at = (path: string): string => `${root}/${path}`

  test(`${name}: a file grows by appends, and is read whole or in part`, async () => {
    const file = await files.openAppend(at('log/a'))
    await file.append(bytes('one '))
    await file.append(bytes('two'))
    await file.sync()
    await file.close()
    assert.equal(await textOf(files, at('log/a')), 'one two')
    assert.equal(Buffer.from(await files.readRange(at('log/a'), 4, 2)).toString(), 'tw')
    assert.equal(Buffer.from(await files.readRange(at('log/a'), 5, 99)).toString(), 'wo')
    assert.equal(await files.size(at('log/a')), 7)
    const again = await files.openAppend(at('log/a'))
    await again.append(bytes('!'))
    await again.close()
    assert.equal(await textOf(files, at('log/a')), 'one two!')
  })

  test(`${name}: a file whose name is forced to the disk is as any other`, async () => {
    await files.writeAtomic(at('forced/a'), bytes('one'), true)
    await files.writeAtomic(at('forced/a'), bytes('two'), true)
    assert.equal(await textOf(files, at('forced/a')), 'two')
    assert.deepEqual(await files.list(at('forced')), ['a'])
  })

  test(`${name}: writing replaces, listing is sorted, removing removes`, async () => {
    await files.writeAtomic(at('dir/b'), bytes('old'))
    await files.writeAtomic(at('dir/b'), bytes('new'))
    await files.writeAtomic(at('dir/a'), bytes(''))
    await files.writeAtomic(at('dir/sub/c'), bytes('x'))
    assert.equal(await textOf(files, at('dir/b')), 'new')
    assert.deepEqual(await files.list(at('dir')), ['a', 'b'])
    assert.deepEqual(await files.listDirectories(at('dir')), ['sub'])
    await files.remove(at('dir/a'))
    assert.deepEqual(await files.list(at('dir')), ['b'])
    await files.removeDirectory(at('dir'))
    assert.deepEqual(await files.list(at('dir')), [])
  })

  test(`${name}: what does not exist is NotFoundError to read, and empty to list`, async () => {
    await assert.rejects(files.read(at('gone')), NotFoundError)
    await assert.rejects(files.size(at('gone')), NotFoundError)
    assert.deepEqual(await files.list(at('gone')), [])
    assert.ok((await files.freeBytes(root)) > 0)
  })
}

test('a directory that Kubernetes mounts: links to files are listed, no others', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-links-'))
  try {
    mkdirSync(join(directory, '..2026_11_30'))
    writeFileSync(join(directory, '..2026_11_30', 'rules.yml'), 'groups: []')
    symlinkSync('..2026_11_30', join(directory, '..data'))
    symlinkSync('..data/rules.yml', join(directory, 'rules.yml'))
    symlinkSync('..data/gone.yml', join(directory, 'gone.yml'))
    assert.deepEqual(await systemFiles.list(directory), ['rules.yml'])
  } finally {
    rmSync(directory, { recursive: true })
  }
})

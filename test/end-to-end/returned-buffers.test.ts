/** The C library gives the buffers of a server in a small container back, whose process is replaced for its heap. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import { startProcess } from '../run-process.ts'
import { temporaryDirectory } from '../run-tercet.ts'

test('a server with little memory has the heap and the allocator that fit it', async t => {
  if (process.platform !== 'linux') return t.skip('NOT TESTED: reads /proc')
  const directory = temporaryDirectory()
  const { child } = await startProcess(directory, 'local', { flags: ['--memory_limit=400MiB'] })
  try {
    const words = (name: string): string[] => readFileSync(`/proc/${child.pid}/${name}`, 'utf8').split('\0')
    assert.ok(words('cmdline').some(word => word.startsWith('--max-old-space-size=')))
    const environment = words('environ')
    for (const variable of ['MALLOC_ARENA_MAX=2', 'MALLOC_MMAP_THRESHOLD_=65536', 'MALLOC_TRIM_THRESHOLD_=131072'])
      assert.ok(environment.includes(variable), variable)
  } finally {
    child.kill('SIGTERM')
    await once(child, 'exit')
    rmSync(directory, { recursive: true, force: true })
  }
})

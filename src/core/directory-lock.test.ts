import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { lockDirectory } from './directory-lock.ts'

function temporary(context: { after(work: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-lock-'))
  context.after(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  return directory
}

test('a directory is one owner at a time; the second reads who has it', async context => {
  const directory = join(temporary(context), 'not', 'there', 'yet')
  const first = await lockDirectory(directory, 'process 17')
  await assert.rejects(lockDirectory(directory, 'process 18'), {
    name: 'ConflictError',
    message: `the directory ${directory} is in use by process 17; stop it, or name another directory`,
  })
  first.release()
  const second = await lockDirectory(directory, 'process 18')
  second.release()
})

test('the lock of a process that was killed is nobody’s', async context => {
  const directory = temporary(context)
  const script = `
    const { lockDirectory } = await import(${JSON.stringify(new URL('directory-lock.ts', import.meta.url).href)})
    await lockDirectory(${JSON.stringify(directory)}, 'process ' + process.pid)
    process.stdout.write('taken')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  await assert.rejects(lockDirectory(directory, 'us'), new RegExp(`in use by process ${child.pid}`))
  child.kill('SIGKILL')
  await once(child, 'exit')
  const lock = await lockDirectory(directory, 'us')
  lock.release()
})

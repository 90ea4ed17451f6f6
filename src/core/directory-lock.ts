/**
 * One process a directory. The lock is the operating system's own, held through SQLite, which Node brings with it: it
 * goes with the process however that ends, so that no stale lock is left by a kill, and containers that share a volume
 * see it, whatever their process ids are.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConflictError, messageOf } from './errors.ts'

export interface DirectoryLock {
  release(): void
}

const lockName = 'lock'
const ownerName = 'lock.owner'
/** SQLite's code for a database that another connection has locked. */
const busyCode = 5

/**
 * Takes the directory, which is made where it is missing; `owner` is what others read who find it taken. Throws
 * ConflictError when another process has it.
 */
export async function lockDirectory(directory: string, owner: string): Promise<DirectoryLock> {
  mkdirSync(directory, { recursive: true })
  const { DatabaseSync } = await import('node:sqlite')
  const ownerPath = join(directory, ownerName)
  const database = new DatabaseSync(join(directory, lockName))
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (!isBusy(error)) throw error
    throw new ConflictError(
      `the directory ${directory} is in use by ${readOwner(ownerPath)}; stop it, or name another directory`,
    )
  }
  writeFileSync(ownerPath, `${owner}\n`)
  return {
    release: () => {
      // A process may be closed twice.
      if (!database.isOpen) return
      rmSync(ownerPath, { force: true })
      database.close()
    },
  }
}

function isBusy(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('errcode' in error && error.errcode === busyCode) || messageOf(error).includes('database is locked')
}

function readOwner(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim() || 'another process'
  } catch {
    return 'another process'
  }
}

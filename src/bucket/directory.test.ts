import { after } from 'node:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bucketSuite } from './bucket-suite.ts'
import { DirectoryBucket } from './directory.ts'

const root = mkdtempSync(join(tmpdir(), 'tercet-directory-'))
after(() => {
  rmSync(root, { recursive: true, force: true })
})
bucketSuite('directory', async () => new DirectoryBucket(root), 20_000_000)

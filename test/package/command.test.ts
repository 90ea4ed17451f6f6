/** What `bin/tercet.cjs` runs, in a checkout and in a package. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { temporaryDirectory } from '../run-tercet.ts'

const root = temporaryDirectory()
after(() => {
  rmSync(root, { recursive: true, force: true })
})

test('in a checkout the command runs the sources, also beside an older build; in a package the build', () => {
  for (const directory of ['bin', 'src/app', 'dist/program']) mkdirSync(join(root, directory), { recursive: true })
  cpSync('bin/tercet.cjs', join(root, 'bin/tercet.cjs'))
  writeFileSync(join(root, 'package.json'), JSON.stringify({ type: 'module', engines: { node: '>=22.15' } }))
  writeFileSync(join(root, 'src/app/main.ts'), "console.log('sources')")
  writeFileSync(join(root, 'dist/program/main.js'), "console.log('build')")
  const said = (): string => spawnSync(process.execPath, [join(root, 'bin/tercet.cjs')], { encoding: 'utf8' }).stdout
  assert.equal(said(), 'sources\n')
  rmSync(join(root, 'src'), { recursive: true })
  assert.equal(said(), 'build\n')
})

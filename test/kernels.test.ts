/** The programs in src/codec/*.wasm are committed: they are what kernel/ builds to. */
import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { buildKernel, kernels } from '../tools/build-kernels.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-kernel-'))
after(() => {
  rmSync(directory, { recursive: true })
})

for (const kernel of kernels)
  test(`the committed kernel is what its source builds to: ${kernel}`, () => {
    const built = join(directory, `${kernel}.wasm`)
    buildKernel(kernel, built)
    assert.equal(Buffer.compare(readFileSync(built), readFileSync(`src/codec/${kernel}.wasm`)), 0)
  })

test('there is no other kernel', () => {
  assert.deepEqual(
    globSync('src/codec/*.wasm')
      .map(path => basename(path, '.wasm'))
      .sort(),
    kernels.toSorted(),
  )
})

/** Programs of the documents are compiled and run. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectTercet, startTercet } from '../../src/library/tercet-library.ts'
import { expectRules, expectTelemetry } from '../../src/testing/tercet-testing.ts'
import { difference, Sandbox } from './console.ts'
import { blocksOf, pages } from './pages.ts'

/** Lines of comments at the end of a program: what it prints. */
function printedBy(text: string): string[] {
  const lines = text.split('\n')
  const end = lines.findLastIndex(line => !line.startsWith('// '))
  return lines.slice(end + 1).map(line => line.slice(3))
}

test('TypeScript compiles, runs, and prints what it says', async () => {
  const sandbox = new Sandbox()
  await sandbox.open()
  try {
    const programs = pages.flatMap(blocksOf).filter(({ info }) => info === 'ts')
    assert.ok(programs.length > 3)
    const root = process.cwd()
    const files = programs.map((block, i) => {
      const file = join(sandbox.directory, `program-${i}.ts`)
      writeFileSync(file, `${block.text}\n`)
      return file
    })
    // What the sources of the library take for granted.
    const declarations = `${root}/src/codec/webassembly.d.ts`
    const compilerOptions = {
      noEmit: true,
      paths: {
        tercet: [`${root}/src/library/tercet-library.ts`],
        'tercet/testing': [`${root}/src/testing/tercet-testing.ts`],
      },
      typeRoots: [`${root}/node_modules/@types`],
    }
    const config = join(sandbox.directory, 'tsconfig.json')
    writeFileSync(
      config,
      JSON.stringify({
        extends: `${root}/tsconfig.json`,
        compilerOptions,
        include: [],
        files: [...files, declarations],
      }),
    )
    const compiled = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], { encoding: 'utf8' })
    assert.equal(compiled.status, 0, compiled.stdout)
    for (const [i, block] of programs.entries()) {
      const options = { cwd: sandbox.directory, env: sandbox.environment, encoding: 'utf8' } as const
      const { status, stdout, stderr } = spawnSync(process.execPath, [files[i]!], options)
      assert.equal(status, 0, `${block.page}:${block.line}: ${stderr}`)
      const expected = printedBy(block.text)
      if (expected.length > 0) assert.equal(difference(expected, stdout), undefined, `${block.page}:${block.line}`)
    }
  } finally {
    await sandbox.close()
  }
})

/** Names of the methods of an object, and of what it is made of. */
function methodsOf(object: object): string[] {
  const names: string[] = []
  for (let at: object = object; at !== Object.prototype; at = Object.getPrototypeOf(at) as object)
    names.push(...Object.getOwnPropertyNames(at).filter(name => typeof Reflect.get(object, name) === 'function'))
  return names.filter(name => name !== 'constructor')
}

test('the page of the library names every method', async () => {
  const page = readFileSync('docs/library.md', 'utf8')
  await using tercet = await startTercet({ http: false })
  const expect = expectTelemetry(tercet)
  const objects = [
    tercet,
    tercet.clock,
    connectTercet('http://127.0.0.1:1'),
    expect,
    expect.metric('up'),
    expect.logs('{a="b"}'),
    expect.traces('{}'),
    expect.requests('GET /'),
    expect.alert('a'),
    expectRules({ durationMs: 0, firings: [], alerts: [], errors: [] }),
  ]
  const names = new Set(objects.flatMap(methodsOf))
  assert.ok(names.size > 30)
  assert.deepEqual(
    [...names].filter(name => !page.includes(`${name}(`)),
    [],
  )
})

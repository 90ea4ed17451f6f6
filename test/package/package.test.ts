/** The package without a checkout: what is in it, and that what the documents say of `tercet …` works from it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { after, test } from 'node:test'
import { readBundledPackages } from '../../tools/bundled-packages.ts'
import { libraries, packageExports, programDirectory, programs } from '../../tools/program-entries.ts'
import { blocksOf } from '../docs/pages.ts'
import { untilTrue } from '../until.ts'
import { otherRunners, runners, testExample, testUnder } from './example-projects.ts'
import {
  bytesOf,
  cleanEnvironment,
  filesBelow,
  installPackage,
  runInstalled,
  serveInstalled,
} from './installed-package.ts'
import { node22, oldNode } from './other-nodes.ts'

const installed = installPackage()
after(installed.remove)
const { root, directory } = installed
const files = filesBelow(root)
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

interface Manifest {
  version: string
  exports: unknown
  scripts: Record<string, string>
  [field: string]: unknown
}

const manifest = JSON.parse(read('package.json')) as Manifest

test('whoever installs it gets one package, runs no script of it, and gets less than 25 MB', t => {
  for (const name of ['dependencies', 'optionalDependencies', 'bundleDependencies', 'private'])
    assert.equal(manifest[name], undefined, name)
  for (const name of ['preinstall', 'install', 'postinstall']) assert.equal(manifest.scripts[name], undefined)
  assert.deepEqual(
    filesBelow(join(directory, 'node_modules')).filter(file => !/^(tercet\/|\.)/.test(file)),
    [],
  )
  const bytes = bytesOf(join(directory, 'node_modules'))
  t.diagnostic(`${(bytes / 1e6).toFixed(1)} MB`)
  assert.ok(bytes < 25e6, `${bytes} bytes`)
})

/** All that may be in it. */
const places = [
  /^(README|CHANGELOG|ARCHITECTURE|CONTRIBUTING|SECURITY)\.md$/,
  /^(package\.json|LICENSE|bin\/tercet\.cjs|dist\/THIRD-PARTY-LICENSES\.txt)$/,
  /^dist\/program\/[\w.-]+\.(js|js\.map|wasm)$/,
  /^dist\/types\/[\w/-]+\.d\.ts$/,
  /^ui\/dist\/(index\.html|assets\/[\w.-]+\.(js|css|svg))$/,
  /^deploy\/chart\//,
  /^docs\/([\w-]+\/)?[\w-]+\.md$/,
  /^docs\/overview\.png$/,
  /^deploy\/examples\/(README\.md|[\w-]+\/stack\.yaml|helm-subchart\/.+)$/,
  /^examples\/(README\.md|[\w-]+\/[\w./-]+)$/,
]

test('the program is in few files, and each of them is loaded by another', () => {
  const program = files.filter(file => /^dist\/program\/.*\.js$/.test(file))
  // npm unpacks a file in about the time in which it writes 100 kB: `npx` was twice as slow with 160 of them.
  assert.ok(program.length <= 50, `${program.length} files`)
  const sources = [...program, 'bin/tercet.cjs', 'package.json'].map(read)
  assert.deepEqual(
    program.filter(file => !sources.some(source => new RegExp(`[/'"]${basename(file)}['"]`).test(source))),
    [],
  )
})

test('it has what was built, the whole chart, and nothing else', () => {
  assert.deepEqual(
    files.filter(file => !places.some(place => place.test(file))),
    [],
  )
  for (const place of places)
    assert.ok(
      files.some(f => place.test(f)),
      place.source,
    )
  assert.deepEqual(filesBelow(join(root, 'deploy/chart')), filesBelow('deploy/chart'))
  assert.deepEqual(manifest.exports, packageExports(), 'package.json has what tools/program-entries.ts says')
})

test('no file of it says where it was built, or where its packages came from', () => {
  const registry = spawnSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8', env: cleanEnvironment }).stdout
  const host = URL.parse(registry.trim())?.host ?? registry.trim()
  for (const word of [process.cwd(), host])
    assert.deepEqual(
      files.filter(file => read(file).includes(word)),
      [],
      word,
    )
})

test('what its documents link to is in it', () => {
  const pages = files.filter(file => file.endsWith('.md') && !file.startsWith('deploy/chart/'))
  const links = pages.flatMap(page =>
    [...read(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => ({ page, target })),
  )
  const local = links.filter(({ target }) => !/^[a-z]+:/.test(target))
  assert.ok(local.length > 100)
  assert.deepEqual(
    local.filter(({ page, target }) => !existsSync(join(root, dirname(page), target))),
    [],
  )
})

interface SourceMap {
  sources: string[]
  sourcesContent?: unknown
}

test('source maps name files of the checkout, no tests, and have no text of them', () => {
  const maps = files.filter(file => file.endsWith('.map'))
  // A library may be a file that only names what is in others.
  for (const { name } of programs) assert.ok(maps.includes(`${programDirectory}/${name}.js.map`), name)
  for (const file of maps) {
    const { sources, sourcesContent } = JSON.parse(read(file)) as SourceMap
    assert.equal(sourcesContent, undefined, file)
    for (const source of sources) {
      // The last stands for a package that another one can do without.
      assert.match(normalize(join(programDirectory, source)), /^(src\/|node_modules\/|__vite-optional-peer-dep:)/, file)
      assert.doesNotMatch(source, /\.(test|bench|fuzz)\.ts$/)
    }
  }
})

test('it has the licence of every package that is built in', () => {
  const text = read('dist/THIRD-PARTY-LICENSES.txt')
  const packages = readBundledPackages([programDirectory, 'ui/dist'])
  assert.ok(packages.length > 20)
  for (const { name, version, license } of packages) {
    assert.ok(text.includes(`${name} ${version} (${license})`), name)
    assert.match(license, /^(MIT|MIT-0|ISC|BSD-[23]-Clause|Apache-2\.0|BlueOak-1\.0\.0)$/, name)
  }
})

test('the command says its version and its verbs, checks files, and renders the chart', () => {
  const run = (...args: string[]): string => {
    const { code, out, err } = runInstalled(installed, args)
    assert.equal(code, 0, err)
    return out
  }
  assert.equal(run('version'), `tercet ${manifest.version} (node ${process.version})\n`)
  const help = run('--help')
  assert.match(help, /tercet deploy/)
  assert.equal(/^The documents, from README\.md on: (.+)$/m.exec(help)?.[1], realpathSync(root))
  writeFileSync(join(directory, 'rules.yml'), 'groups: [{ name: a, rules: [{ record: b, expr: sum(c) }] }]\n')
  assert.match(run('check', 'rules', 'rules.yml'), /1 rule/)
  assert.match(run('check', 'config', join(root, 'examples/scraping/prometheus.yml')), /2 scrape jobs, 2 rules/)
  run('deploy', 'render', '--engine=tercet', '--target=helm', '-o', 'rendered')
  assert.deepEqual(
    filesBelow(join(directory, 'rendered/charts/tercet')).map(file => `deploy/chart/${file}`),
    files.filter(file => file.startsWith('deploy/chart/')),
  )
})

interface Answer {
  data: { result: { value: [number, string] }[] }
}

/** Metrics in and out by a worker, and the page with a file of it. */
async function tryServing(node: string): Promise<void> {
  const served = await serveInstalled(installed, node, ['--workers=1', '--data_dir=data'])
  const { url } = served
  try {
    const page = await (await fetch(url, { headers: { accept: 'text/html' } })).text()
    const asset = await fetch(new URL(/assets\/[\w.-]+\.js/.exec(page)![0], url))
    assert.deepEqual([asset.status, asset.headers.get('content-type')], [200, 'text/javascript; charset=utf-8'])
    await fetch(`${url}/api/v1/import/prometheus`, { method: 'POST', body: 'tried 7\n' })
    const value = async (): Promise<string | undefined> => {
      const answer = (await (await fetch(`${url}/api/v1/query?query=sum(tried)`)).json()) as Answer
      return answer.data.result[0]?.value[1]
    }
    await untilTrue(async () => (await value()) === '7', 'the sample is found')
    const jobs = async (): Promise<number> =>
      Number(/^tercet_worker_jobs_total (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1])
    await untilTrue(async () => (await value()) === '7' && (await jobs()) > 0, 'a worker has answered')
  } finally {
    assert.equal(await served.stop(), 0)
  }
  assert.equal(served.errors(), '')
}

test('it serves the web interface, and a worker answers', () => tryServing(process.execPath))

const noNode22 = node22 === undefined && 'NOT TESTED: no Node 22 in build/node-22 or on the PATH (.ci/run fetches it)'

test('it serves on the oldest Node that it is for', { skip: noNode22 }, () => tryServing(node22!))

test(
  'an older Node says in one line what is needed',
  { skip: oldNode === undefined && 'NOT TESTED: no Node older than 22 on the PATH' },
  () => {
    const { code, out, err } = runInstalled(installed, ['up'], oldNode)
    assert.deepEqual([code, out], [1, ''])
    assert.match(err, /^tercet: this is Node \d+\.\d+\.\d+, and Tercet needs 22\.\d+ or newer: install [^\n]+\n$/)
  },
)

const modules = libraries.map(({ exported }) => exported.replace(/^\./, 'tercet'))
const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false', '--types', 'node']

/** Compiles a file of somebody else's program; what the compiler says, empty where it is content. */
function compiled(file: string, flags: readonly string[]): string {
  const types = ['--typeRoots', join(process.cwd(), 'node_modules/@types')]
  const compiler = join(process.cwd(), 'node_modules/.bin/tsc')
  return spawnSync(compiler, [...strict, ...types, ...flags, file], { cwd: directory, encoding: 'utf8' }).stdout
}

function ran(args: readonly string[], node = process.execPath): { status: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync(node, args, { cwd: directory, encoding: 'utf8', env: cleanEnvironment })
  return { status, out: stdout + stderr }
}

test('a strict program of somebody else compiles against its declarations, and imports what they declare', () => {
  const lines = modules.map((name, i) => `import * as module${i} from '${name}'\nconsole.log(Object.keys(module${i}))`)
  writeFileSync(join(directory, 'consumer.mts'), `${lines.join('\n')}\n`)
  writeFileSync(join(directory, 'required.cts'), `${lines.join('\n')}\n`)
  for (const file of ['consumer.mts', 'required.cts'])
    for (const target of ['es2020', 'es2022'])
      assert.equal(compiled(file, ['--module', 'nodenext', '--target', target]), '', `${file} ${target}`)
  for (const file of ['consumer.mjs', 'required.cjs']) {
    const { status, out } = ran([file])
    assert.equal(status, 0, out)
    assert.match(out, /startTercet/)
  }
  const others = ['--module nodenext', '--module node20', '--module esnext --moduleResolution bundler']
  for (const flags of [...others, '--module node16'])
    assert.equal(compiled('consumer.mts', ['--noEmit', ...flags.split(' ')]), '', flags)
  // docs/library.md says so: there is no such `require` for that compiler.
  assert.match(compiled('required.cts', ['--noEmit', '--module', 'node16']), /TS1479/)
})

test('the first test of the pages, and require(), on the oldest Node that it is for', { skip: noNode22 }, () => {
  const [block] = blocksOf('docs/start/tests.md').filter(({ info }) => info === 'js checkout.test.mjs')
  writeFileSync(join(directory, 'checkout.test.mjs'), block!.text)
  const { status, out } = ran(['--test', 'checkout.test.mjs'], node22)
  assert.equal(status, 1)
  assert.match(out, /expected at most 1 spans in each trace, found 3/)
  assert.match(ran(['-p', "typeof require('tercet').startTercet"], node22).out, /^function$/m)
})

for (const name of ['express', 'worker', 'rules'])
  test(`examples/${name}: its tests pass with the installed package`, () => {
    const { code, out, err } = testExample(installed, name)
    assert.equal(code, 0, `${out}${err}`)
    assert.match(out, /pass [1-9]/)
  })

for (const runner of runners)
  test(
    `${runner.name} runs expectations, and shows the telemetry of those that fail`,
    { skip: runner.name !== 'node' && !existsSync(otherRunners) && `NOT TESTED: no ${runner.name} in ${otherRunners}` },
    () => {
      const { code, out, err } = testUnder(installed, runner)
      assert.equal(code, 1, `${out}${err}`)
      assert.match(`${out}${err}`, /1 passed|pass 1/)
      assert.match(`${out}${err}`, /1 failed|fail 1/)
      assert.match(`${out}${err}`, /up: expected 2, found 1\s+up 1 @2026-01-01T00:00:00\.000Z/)
    },
  )

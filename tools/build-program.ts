/**
 * Builds the program of `src/` into `dist/program`: JavaScript in few files, with the packages that it uses, so that a
 * start reads and compiles little. Images and the package run it; what it reads beside itself (package.json, ui/dist,
 * deploy/chart) lies where it lies for the sources. `--out=` names another directory.
 */
import { copyFileSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build, minifySync } from 'vite'
import { listBundledPackages } from './bundled-packages.ts'
import { importDirectly } from './direct-imports.ts'
import { libraries, programDirectory, programs } from './program-entries.ts'

/**
 * The chunks, lowest layer first: a module goes to the first that fits, and takes along what it imports and no earlier
 * chunk has. They are few, since npm unpacks a few files much faster than many, and each is a room or a few of them.
 * What few processes need (gRPC, S3, mail, secrets) has a chunk of its own, and an agent has no part of a server.
 */
const groups = [
  ['aws', /\/node_modules\/@(aws|aws-sdk|smithy)\//],
  ['grpc', /\/node_modules\/(@grpc|@protobufjs|protobufjs|long|lodash\.camelcase)\//],
  ['age', /\/node_modules\/(age-encryption|sops-age|@noble|@scure)\//],
  ['ws', /\/node_modules\/ws\//],
  ['text', /\/node_modules\/(yaml|re2js)\//],
  ['core', /\/src\/((core|model)\/|query\/(gate|budget)\.ts)/],
  ['codec', /\/src\/codec\/[\w-]+\.ts$/],
  ['lang', /\/src\/lang\//],
  ['net', /\/src\/(net|wire)\/(?!grpc|mail|web-socket)/],
  ['store', /\/src\/(store|bucket)\/(?!s3|trial-objects)/],
  ['signals', /\/src\/(metrics|logs|traces)\//],
  ['query', /\/src\/query\//],
  ['ingest', /\/src\/(ingest|scrape|forward)\//],
  ['alert', /\/src\/alert\//],
  ['cli', /\/src\/cli\/(?!deploy)/],
  ['agent', /\/src\/app\/(agent|tercet)\.ts/],
  ['worker', /\/src\/worker\/(?!thread)/],
  ['api', /\/src\/api\//],
  ['serving', /\/src\/app\/(?!main\.ts)/],
  ['deploy', /\/src\/(deploy\/(?!sops)|cli\/deploy)/],
  ['gate', /\/src\/(gate|demo)\//],
  ['s3', /\/src\/bucket\/(s3|trial-objects|store-problem)/],
  ['library', /\/src\/library\//],
  ['buckets', /\/src\/ops\/(bootstrap|existing|check)-buckets|\/src\/ops\/import-blocks/],
  ['secrets', /\/src\/(deploy\/sops|ops\/sealed-secrets)/],
  ['ops', /\/src\/ops\//],
].map(([name, test], i) => ({ name: name as string, test: test as RegExp, priority: 100 - i }))

const out = process.argv.find(a => a.startsWith('--out='))?.slice('--out='.length) ?? programDirectory

await build({
  configFile: false,
  logLevel: 'warn',
  // Nothing is left to be found in node_modules.
  ssr: { noExternal: true, target: 'node' },
  plugins: [listBundledPackages(), importDirectly()],
  build: {
    ssr: true,
    outDir: out,
    emptyOutDir: true,
    target: 'node22',
    minify: false,
    sourcemap: true,
    rolldownOptions: {
      // A module may be loaded late by one process, and be there from the start in another.
      checks: { ineffectiveDynamicImport: false },
      input: Object.fromEntries([...programs, ...libraries].map(({ name, source }) => [name, source])),
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name]-[hash].js',
        codeSplitting: { groups },
        // The maps give the lines of stack traces; the sources themselves would take ten megabytes.
        sourcemapExcludeSources: true,
      },
    },
  },
})

interface SourceMap {
  sources: string[]
}

/** A file with lines of packages alone has no map and no blanks: nobody looks for faults there. */
for (const map of globSync(join(out, '*.js.map'))) {
  const { sources } = JSON.parse(readFileSync(map, 'utf8')) as SourceMap
  if (sources.some(source => source.includes('/src/') && !source.includes('/node_modules/'))) continue
  const file = map.slice(0, -'.map'.length)
  rmSync(map)
  writeFileSync(file, withoutBlanks(file))
}

function withoutBlanks(file: string): string {
  const options = { module: true, compress: false, mangle: false, codegen: true }
  const { code, errors } = minifySync(file, readFileSync(file, 'utf8'), options)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`)
  return code
}

for (const kernel of globSync('src/codec/*.wasm')) copyFileSync(kernel, join(out, basename(kernel)))
console.log(`built ${out}/main.js`)

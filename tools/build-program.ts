/**
 * Builds the program of `src/` into `dist/program`: JavaScript in few files, with the packages that it uses, so that a
 * start reads and compiles little. Images and the package run it; what it reads beside itself (package.json, ui/dist,
 * deploy/chart) lies where it lies for the sources. `--out=` names another directory.
 */
import { copyFileSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'vite'
import { listBundledPackages } from './bundled-packages.ts'
import { libraries, programDirectory, programs } from './program-entries.ts'

/**
 * What a process needs in any case is in one file each, and so is the SDK that is loaded where S3 is configured: npm
 * unpacks a few files faster than many. The first that fits is it.
 */
const groups = [
  { name: 'core', test: /\/src\/(core|model)\//, priority: 5 },
  { name: 'codec', test: /\/src\/codec\/[\w-]+\.ts$/, priority: 4 },
  { name: 'net', test: /\/src\/net\/(?!grpc|web-socket)/, priority: 3 },
  { name: 'store', test: /\/src\/(store|bucket)\/(?!s3|trial-objects)/, priority: 2 },
  { name: 'aws', test: /\/node_modules\/@(aws|aws-sdk|smithy)\//, priority: 1 },
]

const out = process.argv.find(a => a.startsWith('--out='))?.slice('--out='.length) ?? programDirectory

await build({
  configFile: false,
  logLevel: 'warn',
  // Nothing is left to be found in node_modules.
  ssr: { noExternal: true, target: 'node' },
  plugins: [listBundledPackages()],
  build: {
    ssr: true,
    outDir: out,
    emptyOutDir: true,
    target: 'node22',
    minify: false,
    sourcemap: true,
    rolldownOptions: {
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

/** Whose lines are those of packages alone is a file without a map. */
for (const map of globSync(join(out, '*.js.map'))) {
  const { sources } = JSON.parse(readFileSync(map, 'utf8')) as SourceMap
  if (sources.some(source => source.includes('/src/') && !source.includes('/node_modules/'))) continue
  const file = map.slice(0, -'.map'.length)
  rmSync(map)
  writeFileSync(file, readFileSync(file, 'utf8').replace(/\n\/\/# sourceMappingURL=.*\n?$/, '\n'))
}
for (const kernel of globSync('src/codec/*.wasm')) copyFileSync(kernel, join(out, basename(kernel)))
console.log(`built ${out}/main.js`)

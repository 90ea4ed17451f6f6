/**
 * Builds the program of `src/` into `dist/program`: JavaScript in few files, with the packages that it uses, so that a
 * start reads and compiles little. Images and the package run it; what it reads beside itself (package.json, ui/dist,
 * deploy/chart) lies where it lies for the sources. `--out=` names another directory.
 */
import { copyFileSync, globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'vite'
import { listBundledPackages } from './bundled-packages.ts'
import { libraries, programDirectory, programs } from './program-entries.ts'

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
        // The maps give the lines of stack traces; the sources themselves would take ten megabytes.
        sourcemapExcludeSources: true,
      },
    },
  },
})
for (const kernel of globSync('src/codec/*.wasm')) copyFileSync(kernel, join(out, basename(kernel)))
console.log(`built ${out}/main.js`)

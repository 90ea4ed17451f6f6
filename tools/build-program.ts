/**
 * Builds the program of `src/` into `dist/program`: JavaScript in few files, with the packages that it uses, so that a
 * start reads and compiles little. Images and packages run it as `node dist/program/main.js`; what it reads beside
 * itself (package.json, ui/dist, deploy/chart) lies where it lies for the sources. `--out=` names another directory.
 */
import { copyFileSync, globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'vite'

const out = process.argv.find(a => a.startsWith('--out='))?.slice('--out='.length) ?? 'dist/program'

await build({
  configFile: false,
  logLevel: 'warn',
  // Nothing is left to be found in node_modules.
  ssr: { noExternal: true, target: 'node' },
  build: {
    ssr: true,
    outDir: out,
    emptyOutDir: true,
    target: 'node20',
    minify: false,
    rolldownOptions: {
      input: { main: 'src/app/main.ts', thread: 'src/worker/thread.ts' },
      output: { entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
    },
  },
})
for (const kernel of globSync('src/codec/*.wasm')) copyFileSync(kernel, join(out, basename(kernel)))
console.log(`built ${out}/main.js`)

/**
 * Builds the browser program into ui/dist.
 *
 *   --if-older       leaves what is newer than its sources
 *   --if-possible    the same, and says why where it can't, and ends well
 */
import { existsSync, globSync, statSync } from 'node:fs'
import { bundledPackagesFile } from './bundled-packages.ts'

const isOptional = process.argv.includes('--if-possible')
const isLeftWhereNew = isOptional || process.argv.includes('--if-older')
const out = 'ui/dist/index.html'
const sources = 'ui/{src/**/*,index.html,vite.config.ts,package.json}'

function isNew(): boolean {
  if (!existsSync(out) || !existsSync(`ui/dist/${bundledPackagesFile}`)) return false
  const newest = Math.max(...[...globSync(sources), 'package-lock.json'].map(path => statSync(path).mtimeMs))
  return statSync(out).mtimeMs >= newest
}

if (isLeftWhereNew && isNew()) process.exit(0)
try {
  const { build } = await import('vite')
  await build({ configFile: 'ui/vite.config.ts' })
  console.log(`built ${out}`)
} catch (error) {
  if (!isOptional) throw error
  const why = error instanceof Error ? error.message : String(error)
  console.warn(`The web interface was not built (${why}); everything else works. npm run build:ui tries again.`)
}

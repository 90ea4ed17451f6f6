/**
 * Builds the browser program into ui/dist. `--if-possible`: says why where it can't, and ends well; what is there and
 * newer than its sources is left.
 */
import { existsSync, globSync, statSync } from 'node:fs'

const isOptional = process.argv.includes('--if-possible'),
  out = 'ui/dist/index.html'
const newest = Math.max(
  ...globSync('ui/{src/**/*,index.html,vite.config.ts,package.json}').map(path => statSync(path).mtimeMs),
)
if (existsSync(out) && statSync(out).mtimeMs >= newest && isOptional) process.exit(0)
try {
  const { build } = await import('vite')
  await build({ configFile: 'ui/vite.config.ts' })
  console.log(`built ${out}`)
} catch (error) {
  if (!isOptional) throw error
  const why = error instanceof Error ? error.message : String(error)
  console.warn(`The web interface was not built (${why}); everything else works. npm run build:ui tries again.`)
}

/**
 * Writes the licences of the packages that are built into the program and the web interface, after both were built:
 *
 *   node tools/third-party-licenses.ts          writes dist/THIRD-PARTY-LICENSES.txt
 */
import { writeFileSync } from 'node:fs'
import { readBundledPackages, type BundledPackage } from './bundled-packages.ts'
import { programDirectory } from './program-entries.ts'

const out = 'dist/THIRD-PARTY-LICENSES.txt'
const rule = '-'.repeat(80)

/** One part for each text: many packages share one. */
function licensesText(packages: readonly BundledPackage[]): string {
  const byText = Map.groupBy(packages, ({ license, text }) => text || `${license}; the package has no text of it.`)
  const parts = [...byText].map(([text, some]) => `${rule}\n${some.map(titleOf).join('\n')}\n${rule}\n\n${text}\n`)
  return `Tercet has code of these packages, under these licences.\n\n${parts.join('\n')}`
}

function titleOf({ name, version, license }: BundledPackage): string {
  return `${name} ${version} (${license})`
}

const packages = readBundledPackages([programDirectory, 'ui/dist'])
writeFileSync(out, licensesText(packages))
console.log(`wrote ${out}: ${packages.length} packages`)

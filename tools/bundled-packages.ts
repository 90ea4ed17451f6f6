/** The packages whose code is in a build: a plugin of Vite lists them, with their licences, beside what it builds. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface BundledPackage {
  name: string
  version: string
  /** As package.json names it: `MIT`. */
  license: string
  /** The text of the licence, and of a notice that has to go with it; empty where the package has neither. */
  text: string
}

export const bundledPackagesFile = 'bundled-packages.json'

/** The part of Vite's plugins that is used here. */
interface OutputPlugin {
  name: string
  generateBundle(this: { emitFile(file: object): string }, options: unknown, bundle: object): void
}

export function listBundledPackages(): OutputPlugin {
  return {
    name: 'bundled-packages',
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle) as { moduleIds?: string[] }[]
      const source = JSON.stringify(packagesOf(chunks.flatMap(chunk => chunk.moduleIds ?? [])))
      this.emitFile({ type: 'asset', fileName: bundledPackagesFile, source })
    },
  }
}

/** In the order of their names; `moduleIds` are paths of files. */
function packagesOf(moduleIds: readonly string[]): BundledPackage[] {
  const directories = new Set(moduleIds.flatMap(id => directoryOf(id) ?? []))
  return [...directories].sort().map(readPackage)
}

/** Of the innermost package that a file is in. */
function directoryOf(moduleId: string): string | undefined {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(moduleId.replace(/^\0/, ''))?.[0]
}

function readPackage(directory: string): BundledPackage {
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Omit<BundledPackage, 'text'>
  const texts = readdirSync(directory)
    .filter(name => /^(licen[cs]e|copying|notice)(\.(md|txt))?$/i.test(name))
    .sort()
    .map(name => readFileSync(join(directory, name), 'utf8').trim())
  return { name: manifest.name, version: manifest.version, license: manifest.license, text: texts.join('\n\n') }
}

/** Of the builds in some directories together, each package once. */
export function readBundledPackages(directories: readonly string[]): BundledPackage[] {
  const found = new Map<string, BundledPackage>()
  for (const file of directories.map(directory => join(directory, bundledPackagesFile))) {
    if (!existsSync(file)) throw new Error(`${file} is not there: build first`)
    for (const item of JSON.parse(readFileSync(file, 'utf8')) as BundledPackage[])
      found.set(`${item.name} ${item.version}`, item)
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

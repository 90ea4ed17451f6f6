/**
 * A rendered tree in a directory: written beside files that somebody else owns, and removed again when it is no
 * longer rendered.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseDocument } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import type { FileTree } from '#deploy/tree.ts'

const chartDirectory = fileURLToPath(new URL('../../deploy/chart', import.meta.url))

/** Every file below a directory, by path, in order. */
function readTree(directory: string): FileTree {
  const paths = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
  return new Map(paths.map(path => [relative(directory, path), readFileSync(path, 'utf8')]))
}

/** The Helm chart of this package. */
export function ownChart(): FileTree {
  return readTree(chartDirectory)
}

/**
 * Lists the files of the last render: a file in it that is not rendered now is deleted, and a file that is not in it
 * is foreign.
 */
const manifestName = '.tercet-rendered'

function manifestOf(directory: string): string[] {
  const manifest = join(directory, manifestName)
  if (!existsSync(manifest)) return []
  return readFileSync(manifest, 'utf8')
    .split('\n')
    .filter(line => line !== '')
}

function isMapWithResources(value: unknown): value is { resources?: string[] } {
  return typeof value === 'object' && value !== null
}

/** Of a kustomization.yaml. */
function resourcesOf(value: unknown): string[] {
  return isMapWithResources(value) ? (value.resources ?? []) : []
}

/**
 * Foreign applications of the namespace stay in its kustomization.yaml, with their comments, and a namespace.yaml
 * that was not rendered stays as it is. Changes `tree`; `namespacePath` has no slash at the end.
 */
export function keepForeign(directory: string, tree: FileTree, namespacePath: string): void {
  const before = new Set(manifestOf(directory))
  const list = `${namespacePath}/kustomization.yaml`
  const namespace = `${namespacePath}/namespace.yaml`
  if (existsSync(join(directory, namespace)) && !before.has(namespace)) tree.delete(namespace)
  if (existsSync(join(directory, list)))
    tree.set(list, mergedList(readFileSync(join(directory, list), 'utf8'), tree.get(list) ?? '', namespacePath, before))
}

/**
 * `there` with its foreign resources and comments, and the resources of `rendered`; `rendered` alone where nothing is
 * foreign.
 */
function mergedList(there: string, rendered: string, namespacePath: string, before: ReadonlySet<string>): string {
  const document = parseDocument(there)
  const resources = resourcesOf(document.toJS())
  const own = resourcesOf(parse(rendered))
  const pathOf = (resource: string): string => `${namespacePath}/${resource.replace(/^\.\//, '')}`
  const ownPaths = new Set(own.map(pathOf))
  const hasForeign = resources.some(
    resource => !before.has(pathOf(resource)) && !own.includes(resource) && !own.includes(`./${resource}`),
  )
  if (!hasForeign && !document.toString().includes('#')) return rendered
  const isKept = (resource: string): boolean => !before.has(pathOf(resource)) || ownPaths.has(pathOf(resource))
  const keptPaths = new Set(resources.filter(isKept).map(pathOf))
  // Item by item, so that comments stay.
  for (const [i, resource] of [...resources.entries()].reverse())
    if (!isKept(resource)) document.deleteIn(['resources', i])
  for (const resource of own) if (!keptPaths.has(pathOf(resource))) document.addIn(['resources'], resource)
  return document.toString({ lineWidth: 0 })
}

/** Removes a directory below `root` and the directories around it, as far as they are empty. */
function removeEmpty(root: string, path: string): void {
  for (let at = path; at !== '.' && at !== ''; at = dirname(at)) {
    const directory = join(root, at)
    if (!existsSync(directory)) continue
    if (readdirSync(directory).length > 0) return
    rmdirSync(directory)
  }
}

/**
 * Counts files. `shared`: paths that the tree has in common with foreign files. Throws BadDataError where a foreign
 * file would be overwritten.
 */
export function writeTree(
  directory: string,
  tree: FileTree,
  shared: readonly string[] = [],
): { written: number; removed: number } {
  const before = manifestOf(directory)
  const isThere = (path: string): boolean => existsSync(join(directory, path))
  const changed = [...tree].filter(
    ([path, text]) => !isThere(path) || readFileSync(join(directory, path), 'utf8') !== text,
  )
  const foreign = changed
    .map(([path]) => path)
    .filter(path => isThere(path) && !before.includes(path) && !shared.includes(path))
  if (foreign.length > 0)
    throw new BadDataError(
      `${foreign.join(', ')} in ${directory} is not of an earlier render (${manifestName}); ` +
        'move it away, or render somewhere else',
    )
  for (const [path, text] of changed) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  const removed = before.filter(path => !tree.has(path) && !shared.includes(path) && isBelow(directory, path))
  for (const path of removed) {
    rmSync(join(directory, path), { force: true })
    removeEmpty(directory, dirname(path))
  }
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, manifestName), `${[...tree.keys()].sort().join('\n')}\n`)
  return { written: changed.length, removed: removed.length }
}

/** A manifest that somebody edited names no file outside of the directory. */
function isBelow(directory: string, path: string): boolean {
  return !relative(resolve(directory), resolve(directory, path)).startsWith('..')
}

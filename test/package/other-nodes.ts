/** Other Nodes than the one of this checkout, where the machine has some: the oldest that is enough, and older ones. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

/** Where .ci/run puts a Node 22. */
const fetched = resolve('build/node-22/node_modules/.bin')

function majorOf(node: string): number {
  return Number(/^v(\d+)/.exec(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 0)
}

function findNode(isWanted: (major: number) => boolean): string | undefined {
  return [fetched, ...(process.env['PATH'] ?? '').split(delimiter)]
    .map(directory => join(directory, 'node'))
    .filter(existsSync)
    .find(node => isWanted(majorOf(node)))
}

export const node22: string | undefined = findNode(major => major === 22)
export const oldNode: string | undefined = findNode(major => major > 0 && major < 22)

/** `tercet deploy migrate`: the plan for replacing another deployment. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import {
  applicationsOf,
  migrationPlan,
  survivorsOf,
  withoutApplications,
  type MigrationSource,
} from '#deploy/migrate.ts'
import type { Stack } from '#deploy/stack.ts'
import type { KubeObject } from '#deploy/tree.ts'
import type { Output } from './output.ts'

/** Objects of a dump (kubectl get servicemonitors,... -A -o yaml): a List, or documents. */
function objectsIn(path: string): KubeObject[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).flatMap(document => {
    const value = (document as { toJS(): unknown }).toJS() as (KubeObject & { items?: KubeObject[] }) | null
    return value === null ? [] : (value.items ?? [value])
  })
}

export interface MigrateOptions {
  stack: Stack
  source: MigrationSource
  /** A dump of the cluster's monitors, for the list of monitors that Helm deletes with them. */
  objectsPath: string | undefined
  /** Holds the tree of the applications that are replaced, which are commented out in it. */
  directory: string | undefined
}

/** The list of the namespace's applications. */
const listPath = (stack: Stack, directory: string): string =>
  join(directory, stack.root, stack.namespace, 'kustomization.yaml')

/** Undefined where neither a dump has releases nor a tree a list. */
function presentIn(objects: readonly KubeObject[] | undefined, list: string | undefined): string[] | undefined {
  const releases = (objects ?? []).filter(o => o.kind === 'HelmRelease' || o.kind === 'Kustomization')
  if (list !== undefined && existsSync(list))
    return [...readFileSync(list, 'utf8').matchAll(/^\s*-\s+["']?\.?\/?([a-z0-9-]+)\/ks\.yaml/gm)].map(
      ([, name]) => name!,
    )
  return releases.length === 0 ? undefined : releases.map(o => o.metadata.name)
}

/** Prints the plan. Throws BadDataError where the directory holds no such tree. */
export function planMigration({ stack, source, objectsPath, directory }: MigrateOptions, { out, err }: Output): void {
  const applications = applicationsOf[source]
  const objects = objectsPath === undefined ? undefined : objectsIn(objectsPath)
  const survivors = objects === undefined ? undefined : survivorsOf(objects, applications)
  const present = presentIn(objects, directory === undefined ? undefined : listPath(stack, directory))
  out(migrationPlan(stack, source, { survivors, present }).replace(/\n$/, ''))
  for (const lost of survivors?.lost ?? []) err(`warning monitor-goes: ${lost}`)
  if (directory === undefined) return
  const file = listPath(stack, directory)
  if (!existsSync(file))
    throw new BadDataError(`${file} is not there: --write takes the directory that holds ${stack.root}`)
  writeFileSync(file, withoutApplications(readFileSync(file, 'utf8'), applications, `replaced by ${stack.engine}`))
  err(`${file}: ${applications.join(', ')} commented out`)
}

/** `tercet deploy migrate`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import { applicationsOf, migrationPlan, migrationSources, survivorsOf, withoutApplications } from '#deploy/migrate.ts'
import type { KubeObject } from '#deploy/tree.ts'
import { noMoreFlags, takeFlag, type Arguments } from './arguments.ts'
import { readStackFile } from './deploy.ts'

/** Objects of a dump (kubectl get servicemonitors,… -A -o yaml): a List, or documents. */
function objectsIn(path: string): KubeObject[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).flatMap(document => {
    const value = (document as { toJS(): unknown }).toJS() as (KubeObject & { items?: KubeObject[] }) | null
    return value === null ? [] : (value.items ?? [value])
  })
}

export function migrateVerb({ flags, words }: Arguments): number {
  const from = takeFlag(flags, 'from'),
    source = migrationSources.find(s => s === from),
    objects = takeFlag(flags, 'objects'),
    directory = takeFlag(flags, 'write'),
    engine = takeFlag(flags, 'engine')
  const { stack } = readStackFile(flags, engine)
  noMoreFlags(flags, 'deploy migrate')
  if (words.length > 0) throw new BadDataError(`deploy migrate takes no ${words[0]!}`)
  if (source === undefined) throw new BadDataError(`deploy migrate: --from is one of ${migrationSources.join(', ')}`)
  const survivors = objects === undefined ? undefined : survivorsOf(objectsIn(objects), applicationsOf[source])
  process.stdout.write(migrationPlan(stack, source, survivors))
  for (const lost of survivors?.lost ?? []) process.stderr.write(`warning monitor-goes: ${lost}\n`)
  if (directory !== undefined) {
    const file = join(directory, stack.root, stack.namespace, 'kustomization.yaml')
    if (!existsSync(file))
      throw new BadDataError(`${file} is not there: --write takes the directory that holds ${stack.root}`)
    writeFileSync(
      file,
      withoutApplications(readFileSync(file, 'utf8'), applicationsOf[source], `replaced by ${stack.engine}`),
    )
    process.stderr.write(`${file}: ${applicationsOf[source].join(', ')} commented out\n`)
  }
  return 0
}

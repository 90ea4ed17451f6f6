/**
 * The version stands in package.json; the chart, its image and what renders name them have the same:
 *
 *   node tools/release-version.ts 0.2.0            fails where one of them is another
 *   node tools/release-version.ts 0.2.0 --write    sets all of them
 */
import { readFileSync, writeFileSync } from 'node:fs'

interface Place {
  path: string
  /** The version is the second group. */
  form: RegExp
}

const places: readonly Place[] = [
  { path: 'package.json', form: /^( {2}"version": ")([^"]+)/m },
  { path: 'deploy/chart/Chart.yaml', form: /^(version: )(.+)$/m },
  { path: 'deploy/chart/Chart.yaml', form: /^(appVersion: ")([^"]+)/m },
  { path: 'src/deploy/versions.ts', form: /^(export const tercetVersion = ')([^']+)/m },
]

/** By place, in the order of the list. */
export function versionsIn(read: (path: string) => string = path => readFileSync(path, 'utf8')): string[] {
  return places.map(({ path, form }) => form.exec(read(path))?.[2] ?? '')
}

if (import.meta.main) {
  const [wanted = '', option] = process.argv.slice(2)
  if (!/^\d+\.\d+\.\d+(-[0-9a-z.]+)?$/.test(wanted)) throw new Error(`${wanted} is no version like 0.2.0`)
  if (option === '--write')
    for (const { path, form } of places)
      writeFileSync(
        path,
        readFileSync(path, 'utf8').replace(form, (_, before: string) => before + wanted),
      )
  const wrong = versionsIn().flatMap((version, i) => (version === wanted ? [] : [`${places[i]!.path} has ${version}`]))
  if (wrong.length > 0) throw new Error(`the version is to be ${wanted}: ${wrong.join(', ')}`)
  console.log(`${wanted} everywhere; render the examples again: node tools/examples.ts`)
}

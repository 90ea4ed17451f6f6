/** The modules that a build of the program has by a name of their own: all else is in chunks beside them. */

export interface Entry {
  /** `main` becomes dist/program/main.js. */
  name: string
  source: string
}

/** What a process runs. */
export const programs: readonly Entry[] = [
  { name: 'main', source: 'src/app/main.ts' },
  { name: 'thread', source: 'src/worker/thread.ts' },
]

/** What other programs import: they have declarations, and a place in `exports` of package.json. */
export const libraries: readonly (Entry & { exported: string })[] = [
  { exported: '.', name: 'library', source: 'src/library/tercet-library.ts' },
  { exported: './testing', name: 'testing', source: 'src/testing/tercet-testing.ts' },
]

export const programDirectory = 'dist/program'
export const typesDirectory = 'dist/types'

/** Where the declarations of a module of src/ lie. */
export function declarationsOf(source: string): string {
  return source.replace(/^src\//, `${typesDirectory}/`).replace(/\.ts$/, '.d.ts')
}

/** `exports` of package.json. */
export function packageExports(): Record<string, string | Record<string, string>> {
  const modules = libraries.map(({ exported, name, source }) => [
    exported,
    { types: `./${declarationsOf(source)}`, default: `./${programDirectory}/${name}.js` },
  ])
  return Object.fromEntries([...modules, ['./package.json', './package.json']])
}

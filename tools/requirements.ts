/**
 * Each row of docs/requirements.md with the tests and benches that name it:
 *
 *   npm run requirements [-- --short]
 *
 * A place is `file:line` where a test's name, a message or a comment beside an assertion says `req-042`, and the file
 * alone where only the comment at its head does. Fails for a row that nobody names, and for a name without a row.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Requirement {
  number: number
  id: string
  text: string
}

/** Where a row is named: at its assertion, or for a whole file. */
export interface Place {
  path: string
  /** 0: at the head of the file. */
  line: number
}

/** Rows of the tables, in their order. */
export function readRequirements(markdown: string): Requirement[] {
  return Array.from(markdown.matchAll(/^\| (\d+) \| (.*?) \| (.*?) \|/gm), ([, number, id = '', text = '']) => ({
    number: Number(number),
    id,
    text,
  }))
}

/** The places of one file, by the number of the row. */
function namedIn(path: string, source: string): [number, Place][] {
  const head = /^(#!.*\n)?\s*\/\*\*[\s\S]*?\*\//.exec(source)?.[0] ?? ''
  const headLines = head.split('\n').length
  return source
    .split('\n')
    .flatMap((text, i) =>
      Array.from(text.matchAll(/\breq-(\d{3})\b/g), ([, number]): [number, Place] => [
        Number(number),
        { path, line: i < headLines ? 0 : i + 1 },
      ]),
    )
}

/** All places below `root`, by row. A file that has better ones is not named for its head too. */
export function readPlaces(root: string): Map<number, Place[]> {
  const places = new Map<number, Place[]>()
  const files = ['{src,ui/src,test}/**/*.test.{ts,tsx}', 'test/**/*.ts', 'bench/*.ts']
  for (const path of globSync(files, { cwd: root }).sort())
    for (const [number, place] of namedIn(path, readFileSync(join(root, path), 'utf8'))) {
      const known = places.get(number) ?? []
      if (!known.some(other => other.path === path && (other.line === place.line || place.line === 0)))
        places.set(number, [...known.filter(other => other.path !== path || other.line !== 0), place])
    }
  return places
}

function shown({ path, line }: Place): string {
  return line === 0 ? path : `${path}:${line}`
}

function print(): number {
  const requirements = readRequirements(readFileSync('docs/requirements.md', 'utf8'))
  const places = readPlaces('.')
  const isShort = process.argv.includes('--short')
  let named = 0
  for (const { number, id, text } of requirements) {
    const own = places.get(number) ?? []
    if (own.length > 0) named++
    const label = `req-${String(number).padStart(3, '0')}`
    const what = text.length > 90 ? `${text.slice(0, 87)}...` : text
    if (!isShort || own.length === 0) console.log(`${label}  ${id}: ${what}`)
    if (own.length === 0) console.log('         NOBODY NAMES IT')
    else if (!isShort) for (const place of own) console.log(`         ${shown(place)}`)
  }
  const unknown = [...places].filter(([number]) => !requirements.some(row => row.number === number))
  for (const [number, own] of unknown) console.log(`req-${number} is no row: ${own.map(shown).join(', ')}`)
  console.log(`${named} of ${requirements.length} rows are named by a test or a bench`)
  return named === requirements.length && unknown.length === 0 ? 0 : 1
}

if (import.meta.main) process.exitCode = print()

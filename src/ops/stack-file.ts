/** stack.yaml: what `tercet deploy` renders from. */
import { existsSync, readFileSync } from 'node:fs'
import { readStack, type Stack } from '#deploy/stack.ts'

export interface StackFile {
  stack: Stack
  /** As it is written, for the tree that is rendered. */
  text: string
}

/**
 * Without a path: stack.yaml of this directory, or the defaults. `engine` goes before the file's. Throws BadDataError
 * with the place.
 */
export function readStackFile(given: string | undefined, engine: string | undefined): StackFile {
  const path = given ?? (existsSync('stack.yaml') ? 'stack.yaml' : undefined)
  const text = path === undefined ? '' : readFileSync(path, 'utf8')
  return { stack: readStack(text, path ?? 'stack.yaml', engine), text }
}

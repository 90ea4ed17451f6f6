/** Questions about index files, of which some may turn out to be damaged, or replaced, where they are read. */
import { UnavailableError } from '#core/errors.ts'
import type { UnusableFiles } from './block-building.ts'
import type { IndexCatalogue, IndexFile } from './index-catalogue.ts'

/** More often a list of files does not change while it is read. */
const attemptsMax = 3

/**
 * Asks about the files that `list` has, and again while some of them could not be used: the catalogue looks at those
 * itself, and notes what it finds. Throws UnavailableError when there are still some.
 */
export async function askedOfUsable<Answer extends { kind: string }>(
  catalogue: IndexCatalogue,
  list: () => readonly IndexFile[],
  ask: (files: readonly IndexFile[]) => Promise<Answer | UnusableFiles>,
): Promise<{ files: readonly IndexFile[]; outcome: Exclude<Answer, UnusableFiles> }> {
  for (let attempt = 1; ; attempt++) {
    const files = list()
    const outcome = await ask(files)
    if (!isUnusable(outcome)) return { files, outcome: outcome as Exclude<Answer, UnusableFiles> }
    for (const key of outcome.keys) await catalogue.look(key)
    if (attempt === attemptsMax)
      throw new UnavailableError(`the log index ${outcome.keys[0]} could not be read, and is not damaged`, 60)
  }
}

function isUnusable(outcome: { kind: string }): outcome is UnusableFiles {
  return outcome.kind === 'unusable'
}

/** The built browser program, from ui/dist beside the sources. */
import { fileURLToPath } from 'node:url'
import type { Files } from '#core/files.ts'

const directory = fileURLToPath(new URL('../../ui/dist', import.meta.url))

/** By path below it; empty where it was not built (npm run build:ui). */
export async function uiFiles(files: Files): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  for (const name of await files.list(directory))
    if (name === 'index.html') found.set(name, await files.read(`${directory}/${name}`))
  for (const name of found.size === 0 ? [] : await files.list(`${directory}/assets`))
    found.set(`assets/${name}`, await files.read(`${directory}/assets/${name}`))
  return found
}

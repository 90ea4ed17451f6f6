/** The version of this program, from package.json, and where compiled code is kept from start to start. */
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'

export const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
/** Built (tools/build-program.ts), the program is in few files, which are read faster than compiled code is found. */
export const isBuilt: boolean = !import.meta.url.endsWith('.ts')
export const compileCacheDirectory = `${tmpdir()}/tercet-compile-cache`

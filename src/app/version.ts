/** The version of this program, from package.json, and where compiled code is kept from start to start. */
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'

export const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
export const compileCacheDirectory = `${tmpdir()}/tercet-compile-cache`

/** Secrets that verbs are given in files. */
import { readFileSync } from 'node:fs'

/** The text of the file without blanks around it; undefined where none is named. */
export function readSecretFile(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(path, 'utf8').trim()
}

/** From a file, or else from an environment variable; empty where there is neither. */
export function secretFrom(path: string | undefined, variable: string): string {
  return readSecretFile(path) ?? process.env[variable] ?? ''
}

/** The configuration of a process, as verbs take it: a file, the environment, and flags. */
import { readFileSync, statSync } from 'node:fs'
import { loadConfig, type Config } from '#app/config.ts'
import { makeLog } from '#app/logger.ts'
import { systemWorld, type World } from '#app/world.ts'
import type { Flag, Given } from './verb.ts'

export const configFlag = {
  name: 'config',
  kind: 'file',
  help: "Tercet's own configuration; without it tercet.yaml of this directory, where there is one.",
} as const satisfies Flag

/** Throws BadDataError with the place of what is wrong; prints what is odd. */
export function readConfig(given: Given<'config'>): Config {
  const config = readQuietly(given)
  printWarnings(config)
  return config
}

/** As `readConfig`, for who logs the warnings, or need not repeat what the process said that it asks. */
export function readQuietly(given: Given<'config'>): Config {
  const path = configPathOf(given)
  return loadConfig({
    ...(path === undefined ? {} : { file: { path, text: readFileSync(path, 'utf8') } }),
    environment: process.env,
    flags: given.configuration,
  })
}

/** The file of the configuration: that which is named, or that of this directory; undefined where there is none. */
export function configPathOf(given: Given<'config'>): string | undefined {
  const ownPath = 'tercet.yaml'
  return (
    given.optional('config') ?? (statSync(ownPath, { throwIfNoEntry: false })?.isFile() === true ? ownPath : undefined)
  )
}

/** On standard error, where they are in nobody's way. */
export function printWarnings({ warnings }: Config): void {
  for (const warning of warnings) process.stderr.write(`tercet: warning: ${warning}\n`)
}

/** The outside world, with a log as the configuration has it. */
export function worldOf(config: Config): World {
  return systemWorld(makeLog(config.text('log.format'), config.text('log.level')))
}

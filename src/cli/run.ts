/** Finds the verb that a command line names, and runs it or shows its help. */
import { holdProcess } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { closeOf } from '#core/nearest.ts'
import { maskUrls } from '#core/secret.ts'
import { readArguments } from './arguments.ts'
import { failureOf } from './failure.ts'
import type { Verb, VerbTable } from './verb.ts'
import { verbs } from './verbs.ts'

/** The exit code. */
export async function runCli(argv: readonly string[]): Promise<number> {
  // Timers keep no process alive: a verb that waits for one is not at its end.
  const held = holdProcess()
  try {
    const [first = '', ...rest] = argv
    if (first === 'help' && rest.length > 0) return await showHelp((await findVerb(rest))[0])
    if (['', 'help', '--help', '-h'].includes(first)) return await showUsage()
    if (['--version', '-v', '-V'].includes(first)) return await runCli(['version', ...rest])
    const [verb, behind] = await findVerb(argv)
    if (isHelpAsked(behind)) return await showHelp(verb)
    if (verb.run === undefined || (verb.verbs !== undefined && behind[0]?.startsWith('-') === false))
      throw new BadDataError(unknownBelow(verb, behind))
    return await verb.run(readArguments(verb, behind))
  } catch (error) {
    const { text, exitCode } = failureOf(error)
    process.stderr.write(`tercet: ${maskUrls(text)}\n`)
    return exitCode
  } finally {
    held.cancel()
  }
}

/** The verb that is named, as far below as it goes, and the arguments that are left. Throws BadDataError. */
async function findVerb(argv: readonly string[]): Promise<[verb: Verb, rest: readonly string[]]> {
  const [name = '', ...rest] = argv
  const load = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (load === undefined)
    throw new BadDataError(`unknown command ${JSON.stringify(name)}; ${verbHint(name)}tercet --help lists all`)
  const verb = await load()
  const below = verb.verbs ?? {}
  const at = rest.findIndex(argument => Object.hasOwn(below, argument))
  const loadBelow = at < 0 ? undefined : below[rest[at] ?? '']
  return loadBelow === undefined ? [verb, rest] : [await loadBelow(), rest.toSpliced(at, 1)]
}

/** What other programs call it. */
const otherNames: Readonly<Record<string, string>> = {
  serve: 'up',
  server: 'up',
  start: 'up',
  run: 'up',
  metrics: 'query',
  logs: 'query --logs',
  traces: 'query --traces',
  render: 'deploy render',
}

/** `the nearest is up, and `; empty where no verb is near. */
function verbHint(name: string): string {
  if (Object.hasOwn(otherNames, name)) return `here it is tercet ${otherNames[name]}, and `
  const close = closeOf(name, Object.keys(verbs))
  return close === undefined ? '' : `the nearest is ${close}, and `
}

function isHelpAsked(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return (end < 0 ? argv : argv.slice(0, end)).some(argument => argument === '--help' || argument === '-h')
}

function unknownBelow({ name, verbs: below = {} }: Verb, argv: readonly string[]): string {
  const known = Object.keys(below)
  const given = argv.find(argument => !argument.startsWith('-'))
  const close = given === undefined ? undefined : closeOf(given, known)
  return (
    `${name} knows ${known.join(', ')}` +
    (given === undefined ? '' : `, not ${JSON.stringify(given)}`) +
    (close === undefined ? '' : `; the nearest is ${close}`) +
    `; tercet ${name} --help says more`
  )
}

function loadAll(table: VerbTable): Promise<Verb[]> {
  return Promise.all(Object.values(table).map(load => load()))
}

async function showHelp(verb: Verb): Promise<number> {
  const { helpOf } = await import('./help.ts')
  process.stdout.write(helpOf(verb, await loadAll(verb.verbs ?? {})))
  return 0
}

async function showUsage(): Promise<number> {
  const { usageOf } = await import('./help.ts')
  process.stdout.write(usageOf(await loadAll(verbs)))
  return 0
}

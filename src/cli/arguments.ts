/** Reads a command line against what its verb declares. Every error is a BadDataError of one line. */
import { existsSync, statSync } from 'node:fs'
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { closeOf } from '#core/nearest.ts'
import type { Environment } from '#app/environment.ts'
import { isOptionName, optionNames, optionOf } from '#app/options.ts'
import { Given, shownFlag, type Flag, type Verb } from './verb.ts'
import { flagsOfEnvironment, isEnvironmentFlag, victoriaFlag } from './victoria-flags.ts'

/** `argv` is what stands behind the name of the verb; the environment is asked where -envflag.enable says so. */
export function readArguments(verb: Verb, argv: readonly string[], environment: Environment = process.env): Given {
  const reader = new ArgumentReader(verb, environment)
  reader.read(argv)
  return reader.finish()
}

class ArgumentReader {
  readonly #verb: Verb
  readonly #values = new Map<string, string[]>()
  readonly #words: string[] = []
  readonly #configuration: string[] = []
  readonly #environment: Environment
  /** -envflag.enable and -envflag.prefix. */
  readonly #environmentFlags = new Map<string, string>()

  constructor(verb: Verb, environment: Environment) {
    this.#verb = verb
    this.#environment = environment
  }

  read(argv: readonly string[]): void {
    for (let at = 0; at < argv.length; at++) {
      const argument = argv[at] ?? ''
      if (argument === '--') {
        addAll(this.#words, argv.slice(at + 1))
        return
      }
      if (!/^--?[a-zA-Z]/.test(argument)) this.#words.push(argument)
      else if (this.#readFlag(argument, argv[at + 1])) at++
    }
  }

  /** Whether the argument behind was its value. */
  #readFlag(argument: string, next: string | undefined): boolean {
    const { configuration, flags } = this.#verb
    const equals = argument.indexOf('=')
    const written = equals < 0 ? argument : argument.slice(0, equals)
    const value = equals < 0 ? undefined : argument.slice(equals + 1)
    const name = written.replace(/^--?/, '')
    const flag = flags.find(f => f.name === name || f.short === name)
    if (flag !== undefined) return this.#readOwnFlag(flag, written, value, next)
    if (configuration !== undefined && !argument.startsWith('--')) {
      if (isEnvironmentFlag(name)) this.#environmentFlags.set(name, value ?? 'true')
      else this.#configuration.push(victoriaFlag(name, value))
      return false
    }
    if (configuration === undefined || !isOptionName(name)) throw new BadDataError(this.#unknownFlag(name))
    const isSwitch = optionOf(name).kind === 'switch'
    const takesNext = value === undefined && (isSwitch ? next === 'true' || next === 'false' : true)
    this.#configuration.push(`${name}=${value ?? (takesNext ? valueBehind(written, next) : 'true')}`)
    return takesNext
  }

  #readOwnFlag(flag: Flag, written: string, value: string | undefined, next: string | undefined): boolean {
    const found = this.#values.get(flag.name) ?? []
    if (found.length > 0 && flag.isRepeatable !== true)
      throw new BadDataError(`${this.#verb.name} takes ${written} once, and it is given twice`)
    this.#values.set(flag.name, found)
    if (flag.kind === 'switch') {
      if (value !== undefined && value !== 'true' && value !== 'false')
        throw new BadDataError(`${written} is on or off: ${written} alone, or ${written}=false`)
      found.push(value ?? 'true')
      return false
    }
    const text = value ?? valueBehind(written, next)
    const problem = problemOf(flag, text)
    if (problem !== undefined) throw new BadDataError(`${written}${problem}`)
    found.push(text)
    return value === undefined
  }

  #unknownFlag(name: string): string {
    const { configuration, flags, name: verb, words } = this.#verb
    const own = flags.map(flag => flag.name)
    const isConfigured = configuration !== undefined
    const other = isConfigured ? otherKeys[name] : undefined
    // `record npm test --watch`: the flag is the command's.
    if (words?.shown.startsWith('-- ') === true && this.#words.length > 0)
      return `${verb} does not know --${name}: the command and its flags stand behind --: tercet ${verb} ${words.shown}`
    const close = closeOf(name, isConfigured ? [...own, ...optionNames] : own)
    const known = close === undefined ? `tercet ${verb} --help lists all` : `the nearest is --${close}`
    const hint = other === undefined ? known : `here it is --${other}`
    const what = isConfigured
      ? `flag --${name}: unknown key ${JSON.stringify(name)}`
      : `${verb} does not know --${name}`
    return `${what}; ${own.length === 0 && !isConfigured ? 'it has no flags' : hint}`
  }

  finish(): Given {
    const { flags, name, words } = this.#verb
    for (const flag of flags)
      if (flag.isRequired === true && !this.#values.has(flag.name))
        throw new BadDataError(
          typeof flag.kind === 'string'
            ? `${name} takes ${shownFlag(flag)}: ${flag.help}`
            : `${name}: --${flag.name} is one of ${flag.kind.join(', ')}`,
        )
    const { least, most, expected, areFiles } = words ?? { least: 0, most: 0, expected: 'no arguments' }
    const extra = this.#words[most]
    if (extra !== undefined) throw new BadDataError(`${name} takes ${expected}; ${JSON.stringify(extra)} is too much`)
    if (this.#words.length < least)
      throw new BadDataError(`${name} takes ${expected}: tercet ${name} ${words?.shown ?? ''}`)
    const missing = areFiles === true ? this.#words.find(word => !/[*?]/.test(word) && !existsSync(word)) : undefined
    if (missing !== undefined) throw new BadDataError(`${name}: ${missing}: no such file`)
    // Flags of the command line are later, and win.
    return new Given(flags, this.#values, this.#words, [...this.#flagsOfEnvironment(), ...this.#configuration])
  }

  #flagsOfEnvironment(): string[] {
    const isOn = this.#environmentFlags.get('envflag.enable') === 'true'
    return isOn ? flagsOfEnvironment(this.#environment, this.#environmentFlags.get('envflag.prefix') ?? '') : []
  }
}

/** What other programs call keys of the configuration. */
const otherKeys: Readonly<Record<string, string>> = {
  port: 'listen.http=127.0.0.1:PORT',
  host: 'listen.http=HOST:8428',
  listen: 'listen.http=127.0.0.1:PORT',
  debug: 'log.level=debug',
  verbose: 'log.level=debug',
}

function valueBehind(written: string, next: string | undefined): string {
  if (next === undefined || next.startsWith('--')) throw new BadDataError(`${written} takes a value`)
  return next
}

/** Why a value does not fit its flag, as it stands behind the flag's name; undefined where it fits. */
function problemOf({ kind }: Flag, text: string): string | undefined {
  if (typeof kind !== 'string')
    return kind.includes(text) ? undefined : ` is one of ${kind.join(', ')}, not ${JSON.stringify(text)}`
  switch (kind) {
    case 'switch':
    case 'text':
      return undefined
    case 'file':
      return problemOfFile(text)
    case 'address':
      return problemOfAddress(text)
    case 'duration':
      return (parseDurationMs(text) ?? 0) > 0 ? undefined : `=${text} is no duration like 1h30m, longer than zero`
  }
}

function problemOfAddress(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return `=${text} is no URL like http://127.0.0.1:8428`
  return url.username === '' && url.password === ''
    ? undefined
    : ` is an address without credentials: they are --username and --password-file, or --bearer-token-file`
}

function problemOfFile(path: string): string | undefined {
  if (!existsSync(path)) return `=${path}: no such file`
  return statSync(path).isDirectory() ? `=${path} is a directory, and a file was expected` : undefined
}

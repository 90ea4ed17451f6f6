/**
 * Configuration from defaults, one file, the environment and flags, in rising order. Bad values and unknown keys are
 * refused with their place; unknown variables of the environment, which may be another program's, are warnings.
 */
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml'
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { parseIpNetwork } from '#core/ip-address.ts'
import { closeOf } from '#core/nearest.ts'
import { ownOf } from '#core/own.ts'
import { hiddenText, maskUrl, Secret } from '#core/secret.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { problemOfAllowedHost } from '#net/allowed-hosts.ts'
import { problemOfOrigin } from '#net/browser-rules.ts'
import { clientAuths } from '#net/tls-options.ts'
import { findVariables, type Environment } from './environment.ts'
import { isOptionName, optionNames, optionOf, type OptionName } from './options.ts'
import { syslogListeners } from './syslog-listeners.ts'
import { tlsListeners } from './tls-listeners.ts'

export class Config {
  readonly #values: ReadonlyMap<OptionName, string>
  readonly #places: ReadonlyMap<OptionName, string>
  /** What the start should say of it, a sentence each. */
  readonly warnings: readonly string[]

  /** `places`: where each value stands. */
  constructor(
    values: ReadonlyMap<OptionName, string>,
    places: ReadonlyMap<OptionName, string>,
    warnings: readonly string[],
  ) {
    this.#values = values
    this.#places = places
    this.warnings = warnings
  }

  placeOf(name: OptionName): string {
    return this.#places.get(name) ?? 'default'
  }

  text(name: OptionName): string {
    return this.#values.get(name) ?? optionOf(name).fallback
  }
  /** A secret, as its own key or the one with `_file` has it. */
  secret(name: OptionName, fileName: OptionName): Secret {
    return new Secret(this.text(name), this.text(fileName))
  }
  number(name: OptionName): number {
    return Number(this.text(name))
  }
  bytes(name: OptionName): number {
    return parseBytes(this.text(name))!
  }
  /** Bytes: those that the text names, or its part of `wholeBytes`. */
  memory(name: OptionName, wholeBytes: number): number {
    return memoryOf(this.text(name), wholeBytes)!
  }
  durationMs(name: OptionName): number {
    return parseDuration(this.text(name))!
  }
  isOn(name: OptionName): boolean {
    return this.text(name) === 'true'
  }
  list(name: OptionName): string[] {
    return entriesOf(this.text(name))
  }
  isSet(name: OptionName): boolean {
    return this.#values.has(name)
  }

  /** As /api/v1/status/config shows it, secrets hidden: all, what differs from the defaults, or the defaults. */
  describe(mode: 'all' | 'diff' | 'defaults' = 'all'): string {
    const shown = mode === 'defaults' ? new Config(new Map(), new Map(), []).shown() : this.shown()
    return Object.entries(shown)
      .filter(([name, text]) => mode !== 'diff' || text !== optionOf(name as OptionName).fallback)
      .map(([name, text]) => `${name}: ${text === hiddenText ? hiddenText : JSON.stringify(text)}`)
      .join('\n')
  }

  /** Every key, without secrets. */
  shown(): Record<string, string> {
    return Object.fromEntries(
      optionNames.map(name => [
        name,
        /secret/.test(name) && !name.endsWith('_file') && this.text(name) !== ''
          ? hiddenText
          : maskUrl(this.text(name)),
      ]),
    )
  }
}

function entriesOf(list: string): string[] {
  return list
    .split(',')
    .map(part => part.trim())
    .filter(Boolean)
}

function parseDuration(text: string): number | undefined {
  return text === 'inf' ? Infinity : parseDurationMs(text)
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
}

function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text)
  const unit = match === null ? undefined : ownOf(byteUnits, match[2]!)
  return unit === undefined ? undefined : Math.floor(Number(match![1]) * unit)
}

/** `512MiB`, or `80%` of the whole; undefined for what is neither, or is nothing. */
function memoryOf(text: string, wholeBytes: number): number | undefined {
  const percent = /^(\d+(?:\.\d+)?)\s*%$/.exec(text)?.[1]
  const bytes = percent === undefined ? parseBytes(text) : Math.floor((wholeBytes * Number(percent)) / 100)
  return bytes === undefined || bytes <= 0 || Number(percent ?? 0) > 100 ? undefined : bytes
}

/** The reason why a value does not fit, or undefined. */
export function problemOf(name: OptionName, value: string): string | undefined {
  const { kind } = optionOf(name)
  if (typeof kind !== 'string')
    return kind.includes(value) ? undefined : `${JSON.stringify(value)} is not one of ${kind.join(', ')}`
  switch (kind) {
    case 'text':
    case 'list':
      return undefined
    case 'networks':
      return problemOfNetworks(value)
    case 'number':
      return /^\d+$/.test(value) ? undefined : `${JSON.stringify(value)} is not a whole number`
    case 'bytes':
      return parseBytes(value) === undefined ? `${JSON.stringify(value)} is not a size like 512MiB` : undefined
    case 'memory':
      return memoryOf(value, 1e9) === undefined
        ? `${JSON.stringify(value)} is not a size like 2GiB, or a part like 80%`
        : undefined
    case 'duration':
      return parseDuration(value) === undefined
        ? `${JSON.stringify(value)} is not a duration like 30d, 1h30m or inf`
        : undefined
    case 'switch':
      return value === 'true' || value === 'false' ? undefined : `${JSON.stringify(value)} is not true or false`
    case 'hosts':
      return firstProblem(value, problemOfAllowedHost)
    case 'origins':
      return firstProblem(value, problemOfOrigin)
    case 'client-auths':
      return firstProblem(value, problemOfClientAuth)
    case 'syslog-tenants':
      return firstProblem(value, problemOfSyslogTenant)
    case 'syslog-listeners':
      return firstProblem(value, problemOfSyslogListener)
    case 'address':
      return value === 'off' ? undefined : problemOfAddress(value)
  }
}

function problemOfNetworks(value: string): string | undefined {
  try {
    for (const text of entriesOf(value)) parseIpNetwork(text)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

function firstProblem(list: string, problemOfOne: (entry: string) => string | undefined): string | undefined {
  return entriesOf(list)
    .map(problemOfOne)
    .find(problem => problem !== undefined)
}

function problemOfClientAuth(entry: string): string | undefined {
  const [listener, wanted, ...more] = entry.split('=')
  return tlsListeners.some(one => one === listener) && clientAuths.some(one => one === wanted) && more.length === 0
    ? undefined
    : `${JSON.stringify(entry)} is not one of ${tlsListeners.join(', ')} with =${clientAuths.join(', =')}`
}

function problemOfSyslogListener(name: string): string | undefined {
  if (syslogListeners.some(one => one === name)) return undefined
  return `${JSON.stringify(name)} is not one of ${syslogListeners.join(', ')}`
}

function problemOfSyslogTenant(entry: string): string | undefined {
  const equals = entry.indexOf('=')
  if (equals < 0) return `${JSON.stringify(entry)} is not a listener and its tenant, as syslog_tcp=a`
  try {
    checkTenantName(entry.slice(equals + 1))
  } catch (error) {
    return messageOf(error)
  }
  return problemOfSyslogListener(entry.slice(0, equals))
}

function problemOfAddress(value: string): string | undefined {
  const port = /^(?:\[[0-9a-fA-F:]+\]|[^:\s]*):(\d{1,5})$/.exec(value)?.[1]
  if (port === undefined) return `${JSON.stringify(value)} is not host:port or off`
  return Number(port) > 65535 ? `${JSON.stringify(value)} has a port beyond 65535` : undefined
}

interface Collected {
  values: Map<OptionName, string>
  places: Map<OptionName, string>
}

function set({ values, places }: Collected, key: string, value: string, place: string): void {
  if (!isOptionName(key)) throw new BadDataError(`${place}: ${unknownKey(key)}`)
  const problem = problemOf(key, value)
  if (problem !== undefined) throw new BadDataError(`${place}: ${key}: ${problem}`)
  values.set(key, value)
  places.set(key, place)
}

function unknownKey(key: string): string {
  const close = closeOf(key, optionNames)
  const hint = close === undefined ? 'tercet up --help lists all' : `the nearest is ${JSON.stringify(close)}`
  return `unknown key ${JSON.stringify(key)}; ${hint}`
}

function readFile(values: Collected, path: string, text: string, environment: Environment): void {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const placeOf = (offset: number): string => {
    const at = lines.linePos(offset)
    return `${path}:${at.line}:${at.col}`
  }
  const error = document.errors[0]
  if (error !== undefined) throw new BadDataError(`${placeOf(error.pos[0])}: ${error.message.split('\n')[0]}`)
  const walk = (node: Node | null | undefined, prefix: string): void => {
    if (node === null || node === undefined) return
    const place = placeOf(node.range?.[0] ?? 0)
    if (isMap(node)) {
      for (const pair of node.items) {
        const key = String(isScalar(pair.key) ? pair.key.value : pair.key)
        const full = prefix === '' ? key : `${prefix}.${key}`
        const value = pair.value as Node | null
        if (isMap(value)) {
          if (!optionNames.some(name => name.startsWith(`${full}.`))) {
            const keyAt = placeOf((pair.key as Node).range?.[0] ?? 0)
            throw new BadDataError(`${keyAt}: ${unknownKey(full)}`)
          }
          walk(value, full)
        } else if (isSeq(value))
          set(
            values,
            full,
            value.items.map(item => String(isScalar(item) ? item.value : item)).join(','),
            placeOf((pair.key as Node).range?.[0] ?? 0),
          )
        else
          set(
            values,
            full,
            expand(
              isScalar(value) ? String(value.value ?? '') : '',
              environment,
              placeOf((pair.key as Node).range?.[0] ?? 0),
            ),
            placeOf((pair.key as Node).range?.[0] ?? 0),
          )
      }
    } else throw new BadDataError(`${place}: a mapping was expected`)
  }
  walk(document.contents as Node | null, '')
}

/** `${NAME}` becomes the environment variable; a missing one is an error. */
function expand(value: string, environment: Environment, place: string): string {
  return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
    const found = environment[name]
    if (found === undefined) throw new BadDataError(`${place}: environment variable ${name} is not set`)
    return found
  })
}

export interface ConfigSources {
  file?: { path: string; text: string }
  environment: Environment
  /** `key=value` or `key` (true), without the dashes. */
  flags: readonly string[]
}

export function loadConfig({ file, environment, flags }: ConfigSources): Config {
  const values: Collected = { values: new Map(), places: new Map() }
  if (file !== undefined) readFile(values, file.path, file.text, environment)
  const { keys, warnings } = findVariables(environment)
  for (const { option, variable, value } of keys) set(values, option, value, `environment variable ${variable}`)
  for (const flag of flags) {
    const equals = flag.indexOf('=')
    const key = equals < 0 ? flag : flag.slice(0, equals)
    set(values, key, equals < 0 ? 'true' : flag.slice(equals + 1), `flag --${key}`)
  }
  return new Config(values.values, values.places, warnings)
}

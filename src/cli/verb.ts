/**
 * What a verb of the command line is: data, that help and the reading of arguments are made of, and a function that
 * runs it.
 */
import { parseDurationMs } from '#core/duration.ts'

/** `file`: must exist. `address`: http:// or https://. `duration`: longer than zero. An array: one of its words. */
export type FlagKind = 'switch' | 'text' | 'file' | 'address' | 'duration' | readonly string[]

/** `--name=value`, `--name value`, or `--name` alone for a switch. */
export interface Flag<Name extends string = string> {
  name: Name
  kind: FlagKind
  help: string
  /** One letter: `-o DIR`. */
  short?: string
  /** What help shows for the value; by kind where it is left out. */
  placeholder?: string
  /** The value where the flag is not given. */
  fallback?: string
  isRequired?: boolean
  isRepeatable?: boolean
}

/** Arguments that are no flags. */
export interface Words {
  /** As help shows them: `FILE...`. */
  shown: string
  /** For messages: `one expression; quote it`. */
  expected: string
  least: number
  most: number
  /** Each must exist, patterns with a star aside. */
  areFiles?: boolean
}

/** A module of a verb is loaded when it is run, or when its help is shown. */
export type VerbTable = Readonly<Record<string, () => Promise<Verb>>>

export interface Verb<Name extends string = string> {
  /** With the verb that it belongs to: `check rules`. */
  name: string
  /** One sentence. */
  summary: string
  flags: readonly Flag<Name>[]
  /** Undefined: none. */
  words?: Words
  /** Takes the keys of the configuration as flags, and VictoriaMetrics' with one dash. `shown`: help lists them. */
  configuration?: 'taken' | 'shown'
  /** Whole command lines, with a comment behind two blanks and a # where one is needed. */
  examples: readonly string[]
  /** Sentences behind the flags. */
  notes?: readonly string[]
  /** Verbs below this one. */
  verbs?: VerbTable
  /** The exit code. Undefined: one of `verbs` must be named. */
  run?(given: Given<Name>): Promise<number>
}

/** Lets the compiler know the names of the flags, so that `given` is asked for no other. */
export function makeVerb<const Name extends string>(verb: Verb<Name>): Verb {
  return verb
}

/** What a command line says, after it was checked against its verb. */
export class Given<Name extends string = string> {
  readonly words: readonly string[]
  /** Keys of the configuration, `key=value`. */
  readonly configuration: readonly string[]
  readonly #values: ReadonlyMap<string, readonly string[]>
  readonly #flags: readonly Flag[]

  constructor(
    flags: readonly Flag[],
    values: ReadonlyMap<string, readonly string[]>,
    words: readonly string[],
    configuration: readonly string[],
  ) {
    this.#flags = flags
    this.#values = values
    this.words = words
    this.configuration = configuration
  }

  /** The value, or the flag's fallback. */
  optional(name: Name): string | undefined {
    return this.#values.get(name)?.[0] ?? this.#flags.find(flag => flag.name === name)?.fallback
  }

  /** Of a flag that is required or has a fallback. */
  text(name: Name): string {
    const value = this.optional(name)
    if (value === undefined) throw new Error(`the flag --${name} is neither required nor has it a fallback`)
    return value
  }

  durationMs(name: Name): number {
    return parseDurationMs(this.text(name)) ?? 0
  }

  isOn(name: Name): boolean {
    return this.#values.get(name)?.[0] === 'true'
  }

  /** Every value of a flag that can be repeated. */
  all(name: Name): readonly string[] {
    return this.#values.get(name) ?? []
  }
}

/** How help and messages show a flag: `--url=URL`. */
export function shownFlag({ name, kind, placeholder, short }: Flag): string {
  const dashed = short === undefined ? `--${name}` : `-${short}, --${name}`
  if (kind === 'switch') return dashed
  const value =
    placeholder ??
    (typeof kind === 'string'
      ? { text: 'TEXT', file: 'FILE', address: 'URL', duration: 'DURATION' }[kind]
      : kind.join('|'))
  return `${dashed}=${value}`
}

/** The word among those of its flag. */
export function oneOf<const Word extends string>(words: readonly Word[], given: string): Word {
  const word = words.find(known => known === given)
  if (word === undefined) throw new Error(`${given} is not one of ${words.join(', ')}`)
  return word
}

/** Words, switches and values of a command line. */
import { BadDataError } from '#core/errors.ts'

export interface Arguments {
  flags: string[]
  words: string[]
  json: boolean
  help: boolean
}

export interface ArgumentOptions {
  /** A flag takes the word behind it (`-o DIR`), unless it is one of these; undefined: values stand behind `=` alone. */
  switches?: readonly string[]
  /** What a flag with one dash means. */
  oneDash?: (flag: string) => string
}

/** `--name=value` becomes `name=value`, `--name` becomes `name`, or `name=true` where flags take words. */
export function parseArguments(argv: readonly string[], { switches, oneDash }: ArgumentOptions = {}): Arguments {
  const out: Arguments = { flags: [], words: [], json: false, help: false }
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!,
      name = arg.replace(/^--?/, '')
    if (arg === '--json') out.json = true
    else if (arg === '--help' || arg === '-h') out.help = true
    else if (!/^--?[a-zA-Z]/.test(arg)) out.words.push(arg)
    else if (oneDash !== undefined && !arg.startsWith('--')) out.flags.push(oneDash(name))
    else if (switches === undefined || name.includes('=')) out.flags.push(name)
    else if (switches.includes(name)) out.flags.push(`${name}=true`)
    else {
      const value = argv[++i]
      if (value === undefined) throw new BadDataError(`${arg} takes a value`)
      out.flags.push(`${name}=${value}`)
    }
  }
  return out
}

/** Takes the value of `name=value` out of the flags. */
export function takeFlag(flags: string[], name: string): string | undefined {
  const at = flags.findIndex(flag => flag.startsWith(`${name}=`))
  return at < 0 ? undefined : flags.splice(at, 1)[0]!.slice(name.length + 1)
}

/** Takes `name` alone, or `name=true`, out of the flags. */
export function takeSwitch(flags: string[], name: string): boolean {
  const at = flags.findIndex(flag => flag === name || flag === `${name}=true`)
  if (at >= 0) flags.splice(at, 1)
  return at >= 0
}

export function noMoreFlags(flags: readonly string[], verb: string): void {
  if (flags.length > 0) throw new BadDataError(`${verb} does not know --${flags[0]!}`)
}

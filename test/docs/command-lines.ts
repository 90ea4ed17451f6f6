/** Lines that call `tercet`, read as the command itself reads them. */
import { readArguments } from '../../src/cli/arguments.ts'
import type { Flag, Verb } from '../../src/cli/verb.ts'
import { verbs } from '../../src/cli/verbs.ts'

/** Words of a line of a shell, without quotes; what stands in square brackets may be left out, and is read too. */
export function wordsOf(line: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (const sign of line) {
    if (quote !== '') {
      if (sign === quote) quote = ''
      else word += sign
    } else if (sign === "'" || sign === '"') {
      quote = sign
      word ??= ''
    } else if (/[\s[\]]/.test(sign)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (sign === '#' && word === undefined) break
    else word = (word ?? '') + sign
  }
  if (word !== undefined) words.push(word)
  return words
}

const ends = new Set(['|', '||', '&&', ';', '>', '2>', '<', '&'])

/** The words behind `tercet` wherever a command of the text begins with it. */
export function tercetCommands(text: string): string[][] {
  const found: string[][] = []
  for (const line of text.replaceAll(/\\\n\s*/g, ' ').split('\n')) {
    const words = wordsOf(line.replace(/^\$ /, '').replaceAll(';', ' ; '))
    words.forEach((word, at) => {
      const before = words[at - 1]
      const isFirst =
        before === undefined || before === 'npx' || before === '--' || ends.has(before) || /^\w+=/.test(before)
      if (word !== 'tercet' || !isFirst) return
      const rest = words.slice(at + 1)
      const end = rest.findIndex(one => ends.has(one))
      found.push(end < 0 ? rest : rest.slice(0, end))
    })
  }
  return found
}

async function verbOf(words: readonly string[]): Promise<{ verb: Verb; rest: readonly string[] }> {
  const [name = '', ...rest] = words
  const load = verbs[name]
  if (load === undefined) throw new Error(`there is no verb ${name}`)
  const verb = await load()
  const below = verb.verbs ?? {}
  const at = rest.findIndex(word => Object.hasOwn(below, word))
  return at < 0 ? { verb, rest } : { verb: await below[rest[at]!]!(), rest: rest.toSpliced(at, 1) }
}

/** Files that a page names are not there when it is read: what is asked is whether the flag takes one. */
function withKnownFile(flags: readonly Flag[], word: string): string {
  const [, name = '', value] = /^--?([\w.-]+)=(.*)$/s.exec(word) ?? []
  if (value === undefined) return word
  const flag = flags.find(one => one.name === name || one.short === name)
  return flag?.kind === 'file' ? `--${name}=package.json` : word
}

/** Why the command would refuse the line; undefined where it would not. */
export async function problemOfCommand(words: readonly string[]): Promise<string | undefined> {
  try {
    if (words.length === 0 || words.includes('…') || words[0] === 'VERB' || words[0]?.startsWith('-') === true) return
    const { verb, rest } = await verbOf(words)
    if (rest.includes('--help')) return
    const files = verb.words?.areFiles === true
    const shown = rest.map(word => (files && !word.startsWith('-') ? 'package.json' : withKnownFile(verb.flags, word)))
    readArguments({ ...verb, words: { ...(verb.words ?? noWords), areFiles: false } }, shown, {})
  } catch (error) {
    return `tercet ${words.join(' ')}: ${error instanceof Error ? error.message : String(error)}`
  }
  return undefined
}

const noWords = { shown: '', expected: 'no arguments', least: 0, most: 0 }

/** The verb and its flags of a mention in a sentence, where arguments are left out. */
export async function problemOfMention(words: readonly string[]): Promise<string | undefined> {
  try {
    if (words.length === 0 || words[0]?.startsWith('-') === true || !/^[a-z]/.test(words[0]!)) return
    const { verb, rest } = await verbOf(words)
    for (const word of rest) {
      const [, name] = /^--([\w.-]+)/.exec(word) ?? []
      if (name === undefined || name === 'help') continue
      if (verb.flags.some(flag => flag.name === name)) continue
      if (verb.configuration === undefined) throw new Error(`it has no flag --${name}`)
      readArguments({ ...verb, words: { ...noWords, most: Infinity } }, [word.includes('=') ? word : `${word}=1`], {})
    }
  } catch (error) {
    return `tercet ${words.join(' ')}: ${error instanceof Error ? error.message : String(error)}`
  }
  return undefined
}

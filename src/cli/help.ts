/** Help texts, made of what the verbs declare. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { optionNames, optionOf } from '#app/options.ts'
import { version } from '#app/version.ts'
import { shownFlag, type Flag, type Verb } from './verb.ts'

const columns = 110
/** Where the help of a flag begins. */
const helpColumn = 30

/** The text in lines of `width` characters at most, broken at blanks. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** A name in its column, and its text in lines beside or below it. */
function row(name: string, text: string): string {
  const lines = wrapped(text, columns - helpColumn)
  const indented = lines.map(line => `${' '.repeat(helpColumn)}${line}\n`).join('')
  return name.length > helpColumn - 4 ? `  ${name}\n${indented}` : `  ${name}${indented.slice(name.length + 2)}`
}

function flagRow(flag: Flag): string {
  const { fallback, help, isRequired, isRepeatable } = flag
  return row(
    shownFlag(flag),
    help +
      (isRequired === true ? ' Required.' : '') +
      (isRepeatable === true ? ' Can be repeated.' : '') +
      (fallback === undefined ? '' : ` Default ${fallback}.`),
  )
}

function optionRow(name: (typeof optionNames)[number]): string {
  const { fallback, help } = optionOf(name)
  return row(`--${name}=${fallback || '…'}`, help)
}

const section = (title: string, text: string): string => (text === '' ? '' : `\n${title}:\n${text}`)

/** What `tercet VERB --help` prints. `below`: the verbs below it. */
export function helpOf(verb: Verb, below: readonly Verb[]): string {
  const { configuration, examples, flags, name, notes = [], summary, words } = verb
  const usage = [
    ...(verb.run === undefined
      ? []
      : [
          `tercet ${name}${flags.length > 0 || configuration !== undefined ? ' [--flag=value …]' : ''}` +
            (words === undefined ? '' : ` ${words.shown}`),
        ]),
    ...(below.length === 0 ? [] : [`tercet ${name} ${below.map(v => v.name.slice(name.length + 1)).join('|')} …`]),
  ]
  return (
    `${wrapped(`tercet ${name}: ${summary}`, columns).join('\n')}\n` +
    section('Usage', usage.map(line => `  ${line}\n`).join('')) +
    section('Verbs', below.map(v => row(v.name, v.summary)).join('')) +
    section('Flags', flags.map(flagRow).join('')) +
    (configuration === 'taken'
      ? '\nEvery key of the configuration is a flag too, as --data_dir=./data: tercet up --help lists them.\n'
      : '') +
    (configuration === 'shown'
      ? section('Keys of the configuration, with their defaults', optionNames.map(optionRow).join(''))
      : '') +
    section('Examples', examples.map(line => `  ${line}\n`).join('')) +
    notes.map(note => `\n${wrapped(note, columns).join('\n')}\n`).join('')
  )
}

/** Where the documents are: beside the program, in a checkout and in the package; an image has none. */
function documentsLine(): string {
  const directory = fileURLToPath(new URL('../../docs', import.meta.url))
  return existsSync(directory) ? `The documents, from README.md on: ${dirname(directory)}\n` : ''
}

/** What `tercet --help` prints. */
export function usageOf(verbs: readonly Verb[]): string {
  return (
    `tercet ${version}: metrics, logs and traces in one process, on open buckets\n\n` +
    verbs.map(verb => row(`tercet ${verb.name}`, verb.summary)).join('') +
    section(
      'Examples',
      verbs
        .flatMap(verb => verb.examples.slice(0, 1))
        .map(line => `  ${line}\n`)
        .join(''),
    ) +
    '\ntercet VERB --help lists the flags of a verb. Every key of the configuration is also an environment ' +
    'variable:\n' +
    'metrics.retention is TERCET_METRICS_RETENTION.\n' +
    documentsLine()
  )
}

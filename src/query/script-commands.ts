/**
 * Scripts of queries and the answers that are expected, in the spirit of Prometheus' promqltest: `clear`, `load` and
 * `eval`, each with the lines below it. `#` begins a comment.
 */
import { BadDataError, messageOf } from '#core/errors.ts'
import { parseDurationMs } from '#core/duration.ts'
import { compileRe2 } from '#lang/regex/regex.ts'

/** The time 0 of scripts, 2023-11-15T00:00:00Z: a multiple of every step that divides a day. */
export const scriptStartMs = 1_700_006_400_000

/** A line that begins a command, and the lines behind it up to a blank one or the next command, trimmed. */
export interface Command {
  line: number
  head: string
  body: string[]
}

/** An evaluation whose answer is not the expected one. */
export interface Failure {
  line: number
  query: string
  reason: string
}

/** What a language does with the commands of its scripts. A store has the data of a script up to a `clear`. */
export interface ScriptLanguage<Store> {
  makeStore(): Promise<Store> | Store
  load(command: Command, store: Store): Promise<void> | void
  /** What is wrong with the answer; undefined when nothing is. */
  evaluate(command: Command, store: Store): Promise<string | undefined>
}

/** Throws BadDataError for a line that belongs to no command. */
export function readCommands(text: string): Command[] {
  const commands: Command[] = []
  let open: Command | undefined
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.replaceAll('\t', ' ').trim()
    if (line === '') open = undefined
    else if (line.startsWith('#')) continue
    else if (/^(eval(_\w+)?\s|load(_with_nhcb)?(\s|$)|clear$)/.test(line)) {
      open = { line: i + 1, head: line, body: [] }
      commands.push(open)
    } else if (open === undefined) throw new BadDataError(`line ${i + 1}: not understood: ${line}`)
    else open.body.push(line)
  }
  return commands
}

/**
 * Runs a whole script and calls `onCase` for every evaluation. Throws BadDataError, with the line, for a command that
 * is not understood.
 */
export async function runCommands<Store>(
  text: string,
  language: ScriptLanguage<Store>,
  onCase: (failure: Failure | undefined) => void,
): Promise<void> {
  let store = await language.makeStore()
  for (const command of readCommands(text)) {
    const { head, line } = command
    try {
      if (head === 'clear') store = await language.makeStore()
      else if (head.startsWith('load')) await language.load(command, store)
      else {
        const reason = await language.evaluate(command, store)
        onCase(reason === undefined ? undefined : { line, query: head, reason })
      }
    } catch (error) {
      throw new BadDataError(`line ${line}: ${messageOf(error)}`, { cause: error })
    }
  }
}

/** The error that a query has to end in: with this message, with one that a pattern finds, or whichever. */
export interface ExpectedFailure {
  message?: string
  pattern?: string
}

/** The error that a command expects, as `expect fail`, `expect fail msg: ...` or `expect fail regex: ...` says. */
export function expectedFailure(body: readonly string[]): ExpectedFailure | undefined {
  for (const line of body) {
    const [whole, form, detail = ''] = /^expect\s+fail\b(?:\s+(msg|regex):\s*(.*))?$/.exec(line) ?? []
    if (whole === undefined) continue
    if (form === 'msg') return { message: detail }
    return form === 'regex' ? { pattern: detail } : {}
  }
  return undefined
}

/**
 * Evaluates, and compares: `answer` runs the query, `compare` says what is wrong with its answer. Errors of the query
 * are compared with the expected one.
 */
export async function checkAnswer<T>(
  wanted: ExpectedFailure | undefined,
  answer: () => Promise<T>,
  compare: (found: T) => string | undefined,
): Promise<string | undefined> {
  let found: T
  try {
    found = await answer()
  } catch (error) {
    return failureProblem(messageOf(error), wanted)
  }
  return wanted === undefined ? compare(found) : 'should have failed'
}

function failureProblem(message: string, wanted: ExpectedFailure | undefined): string | undefined {
  if (wanted === undefined) return `failed: ${message}`
  if (wanted.message !== undefined && message !== wanted.message)
    return `failed with ${JSON.stringify(message)}, wanted ${JSON.stringify(wanted.message)}`
  if (wanted.pattern !== undefined && !matches(wanted.pattern, message))
    return `failed with ${JSON.stringify(message)}, wanted /${wanted.pattern}/`
  return undefined
}

/** Does an RE2 pattern find something in a text? */
export function matches(pattern: string, text: string): boolean {
  return compileRe2(pattern).matcher(text).find()
}

/** Milliseconds of a duration, or of seconds without a unit. Throws BadDataError for anything else. */
export function timeOf(text: string): number {
  const ms = /[a-z]$/.test(text) ? parseDurationMs(text.replace(/^-/, '')) : Number(text.replace(/^-/, '')) * 1000
  if (ms === undefined || Number.isNaN(ms)) throw new BadDataError(`no time: ${text}`)
  return text.startsWith('-') ? -ms : ms
}

/** Takes words off the start of a line. */
export class LineScanner {
  #rest: string

  constructor(text: string) {
    this.#rest = text.trim()
  }

  get rest(): string {
    return this.#rest
  }
  get isAtEnd(): boolean {
    return this.#rest === ''
  }

  /** The text that a sticky pattern matches here, with the space behind it taken too. */
  take(pattern: RegExp): string | undefined {
    const match = pattern.exec(this.#rest)
    if (match === null || match.index !== 0) return undefined
    this.#rest = this.#rest.slice(match[0].length).trimStart()
    return match[0]
  }

  /** Throws BadDataError where the pattern does not match. */
  expect(pattern: RegExp, what: string): string {
    const found = this.take(pattern)
    if (found === undefined) throw new BadDataError(`${what} was expected at ${JSON.stringify(this.#rest)}`)
    return found
  }

  /** A JSON text in double quotes, or anything in backquotes. */
  quoted(): string {
    const text = this.expect(/^(?:"(?:[^"\\]|\\.)*"|`[^`]*`)/, 'a quoted text')
    return text.startsWith('`') ? text.slice(1, -1) : (JSON.parse(text) as string)
  }

  /** `name=` with a quoted text or a word behind it; undefined where something else follows. */
  pair(): [name: string, value: string] | undefined {
    const name = this.take(/^[^\s={}"`,]+=/)
    if (name === undefined) return undefined
    const isQuoted = /^["`]/.test(this.#rest)
    return [name.slice(0, -1), isQuoted ? this.quoted() : (this.take(/^\S+/) ?? '')]
  }
}

/** Equal up to the order in which floats were added; NaN equals NaN. */
export function sameNumber(a: number, b: number): boolean {
  return Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b))
}

/** Numbers separated by spaces, `_` for none. Throws BadDataError for anything else. */
export function parseValues(text: string): (number | undefined)[] {
  return text.split(/\s+/).map(word => {
    if (word === '_') return undefined
    const value = word === 'NaN' ? NaN : Number(word.replace(/^([+-]?)Inf$/, '$1Infinity'))
    if (Number.isNaN(value) && word !== 'NaN') throw new BadDataError(`no number: ${word}`)
    return value
  })
}

/** Fields of a JSON line as labels, and single paths into it. Source: docs/logs.md. */
import { messageOf } from '#core/errors.ts'

/** Called with the label name and the text of every field. Returns false to stop. */
export type FieldSink = (name: string, value: string) => boolean

/** What can be wrong with a line, in the words of Loki. */
export const objectError = "Value looks like object, but can't find closing '}' symbol"
const arrayError = "Value is array, but can't find closing ']' symbol"
const stringError = "Value is string, but can't find closing '\"' symbol"
const malformedError = 'Malformed JSON error'
const unknownError = 'Unknown value type'
const escapeError = 'Encountered an invalid escape sequence in a string'

const names = new Map<string, string>()

/** A label name from a key: what is no letter, digit or `_` becomes `_`; a leading digit gets one in front. */
export function labelName(key: string): string {
  let name = names.get(key)
  if (name === undefined) {
    name = key.replaceAll(/[^A-Za-z0-9_]/gu, '_')
    if (/^[0-9]/.test(name)) name = `_${name}`
    if (names.size > 20_000) names.clear()
    names.set(key, name)
  }
  return name
}

const joined = new Map<string, Map<string, string>>()

/** The name of a field from that of the object that it is in ('' for the outermost one) and its key. */
export function joinName(prefix: string, key: string): string {
  const name = labelName(key.trim())
  if (prefix === '' || name === '') return prefix === '' ? name : prefix
  let inner = joined.get(prefix)
  if (inner === undefined) {
    if (joined.size > 2000) joined.clear()
    joined.set(prefix, (inner = new Map()))
  }
  let whole = inner.get(name)
  if (whole === undefined) {
    if (inner.size > 5000) inner.clear()
    inner.set(name, (whole = `${prefix}_${key.trim().replaceAll(/[^A-Za-z0-9_]/gu, '_')}`))
  }
  return whole
}

/** Stops a scan from inside. */
class Stop {
  static readonly instance = new Stop()
}

/** Characters of a string that are looked at one by one; more are searched. */
const nearMax = 64

class Scanner {
  text = ''
  at = 0
  /** Of the string that was passed last: neither escapes nor characters beyond 127 are in it. */
  isSimple = false
  /** Of the line: whether there is a backslash, and whether U+FFFD; 0 as long as nobody asked, 1 no, 2 yes. */
  #escapes = 0
  #replaced = 0

  begin(text: string): void {
    this.text = text
    this.at = 0
    this.#escapes = this.#replaced = 0
  }

  get hasEscapes(): boolean {
    if (this.#escapes === 0) this.#escapes = this.text.includes('\\') ? 2 : 1
    return this.#escapes === 2
  }

  /** Are all strings of the line what they mean: without escapes and U+FFFD? */
  get isPlain(): boolean {
    if (this.#replaced === 0) this.#replaced = this.text.includes('\ufffd') ? 2 : 1
    return this.#replaced === 1 && !this.hasEscapes
  }

  skipSpace(): void {
    const { text } = this
    let { at } = this
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code > 32 || (code !== 32 && code !== 10 && code !== 13 && code !== 9)) break
    }
    this.at = at
  }

  /**
   * `at` is behind the opening quote; returns the end of the content, and moves behind the closing quote; -1
   * when there is none.
   */
  endOfString(): number {
    const { text } = this
    let at = this.at
    const near = Math.min(text.length, at + nearMax)
    for (let code = 0; at < near && (code = text.charCodeAt(at)) < 128 && code !== 92; at++)
      if (code === 34) {
        this.isSimple = true
        this.at = at + 1
        return at
      }
    this.isSimple = false
    at = this.at
    for (;;) {
      const quote = text.indexOf('"', at)
      if (quote < 0) return -1
      let back = quote - 1
      while (back >= this.at && text.charCodeAt(back) === 92) back--
      if ((quote - back) % 2 === 1) {
        this.at = quote + 1
        return quote
      }
      at = quote + 1
    }
  }

  /** Skips an array or object, counting its own kind of bracket alone; false when it does not end. */
  skipNested(): boolean {
    const { text } = this
    const open = text.charCodeAt(this.at)
    const close = open + 2
    let depth = 0
    while (this.at < text.length) {
      const code = text.charCodeAt(this.at++)
      if (code === 34) {
        if (this.endOfString() < 0) return false
      } else if (code === open) depth++
      else if (code === close && --depth === 0) return true
    }
    return false
  }

  /** Moves behind a number or a word. */
  skipWord(): void {
    const { text } = this
    let { at } = this
    for (; at < text.length; at++) {
      const c = text.charCodeAt(at)
      if (c === 44 || c === 125 || c === 93 || c === 32 || c === 10 || c === 13 || c === 9) break
    }
    this.at = at
  }

  /** Moves behind the value that begins here; what is wrong with it. */
  skipValue(): string | undefined {
    this.skipSpace()
    return this.at >= this.text.length ? malformedError : this.skipFrom(this.text.charCodeAt(this.at))
  }

  /** The same for a value that begins here with the character `code`. */
  skipFrom(code: number): string | undefined {
    const { text } = this
    switch (code) {
      case 34:
        this.at++
        return this.endOfString() < 0 ? stringError : undefined
      case 91:
        return this.skipNested() ? undefined : arrayError
      case 123:
        return this.skipNested() ? undefined : objectError
      default: {
        const from = this.at
        this.skipWord()
        return wordError(text, from, this.at)
      }
    }
  }
}

/** Words and numbers: a number is whatever begins like one. */
function wordError(text: string, from: number, to: number): string | undefined {
  const code = text.charCodeAt(from)
  if (code === 45 || (code >= 48 && code <= 57)) return undefined
  const length = to - from
  const isKnown =
    (length === 4 && (text.startsWith('true', from) || text.startsWith('null', from))) ||
    (length === 5 && text.startsWith('false', from))
  return isKnown ? undefined : unknownError
}

const scanner = new Scanner()

/** A JSON string's content with its escapes resolved; undefined where one is wrong. */
function resolved(raw: string): string | undefined {
  if (!raw.includes('\\')) return raw
  try {
    // Control characters may stand as they are.
    // eslint-disable-next-line no-control-regex
    const escaped = raw.replaceAll(/[\0-\x1f]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
    const value = JSON.parse(`"${escaped}"`) as string
    return value.isWellFormed() ? value : undefined
  } catch {
    return undefined
  }
}

/** A JSON string's content, unescaped; '' where an escape is wrong. U+FFFD reads as a space. */
function unescape(raw: string): string {
  const value = resolved(raw) ?? ''
  return value.includes('\ufffd') ? value.replaceAll('\ufffd', ' ') : value
}

/** The same of a string of the line that is scanned. */
function scanned(from: number, to: number): string {
  const raw = scanner.text.slice(from, to)
  return scanner.isSimple || scanner.isPlain ? raw : unescape(raw)
}

/** Keys of the objects around the value that is read, and its own. */
const outerKeys: string[] = []
let lastKey = ''

/** For a sink: the keys that lead to what it is given. */
export function fieldPath(): string[] {
  return [...outerKeys, lastKey]
}

/** Is the line damaged within an object that is a value? Then it is read again, with a look at that object's end. */
let isDamagedInside = false
let looksAhead = false

/**
 * Gives every scalar field of the object; nested names are joined by `_`. Returns what is wrong with the line, or
 * undefined. `restart`: what was given is void, all is given again.
 */
export function readJsonFields(line: string, sink: FieldSink, restart: () => void): string | undefined {
  looksAhead = isDamagedInside = false
  const problem = readFields(line, sink)
  if (problem === undefined || !isDamagedInside) return problem
  restart()
  looksAhead = true
  return readFields(line, sink)
}

function readFields(line: string, sink: FieldSink): string | undefined {
  scanner.begin(line)
  keyNumber = 0
  outerKeys.length = 0
  scanner.skipSpace()
  if (line.charCodeAt(scanner.at) !== 123) return objectError
  try {
    return readObject('', sink)
  } catch (error) {
    if (error === Stop.instance) return undefined
    throw error
  }
}

/** What is wrong with the object, or undefined. */
function readObject(prefix: string, sink: FieldSink): string | undefined {
  const { text } = scanner
  scanner.at++
  scanner.skipSpace()
  if (scanner.at >= text.length) return malformedError
  for (;;) {
    const code = text.charCodeAt(scanner.at)
    if (code === 125) {
      scanner.at++
      return undefined
    }
    if (code !== 34) return objectError
    scanner.at++
    const key = readKey()
    if (key === undefined) return keyError
    scanner.skipSpace()
    if (text.charCodeAt(scanner.at) !== 58) return malformedError
    scanner.at++
    scanner.skipSpace()
    const problem = readValue(prefix, key, sink)
    if (problem !== undefined) return problem
    scanner.skipSpace()
    if (scanner.at >= text.length) return arrayError
    if (text.charCodeAt(scanner.at) === 125) continue
    if (text.charCodeAt(scanner.at) !== 44) return objectError
    scanner.at++
    scanner.skipSpace()
    if (scanner.at >= text.length) return arrayError
  }
}

/** Keys by their place in the line before: lines of one program have the same ones in the same order. */
const lastKeys: string[] = []
let keyNumber = 0
/** Why the last key could not be read. */
let keyError = malformedError

/** `at` is behind the opening quote; undefined when there is no closing one, or a wrong escape. */
function readKey(): string | undefined {
  const { text } = scanner
  const expected = lastKeys[keyNumber]
  const from = scanner.at
  if (expected !== undefined && text.startsWith(expected, from) && text.charCodeAt(from + expected.length) === 34) {
    scanner.at = from + expected.length + 1
    keyNumber++
    return expected
  }
  const to = scanner.endOfString()
  keyError = malformedError
  if (to < 0) return undefined
  const raw = text.slice(from, to)
  if (raw.includes('\\')) {
    keyNumber++
    keyError = escapeError
    return resolved(raw)
  }
  if (keyNumber < 200) lastKeys[keyNumber++] = raw
  return raw
}

function isBlank(key: string): boolean {
  const code = key.charCodeAt(0)
  return !(code > 32 && code < 127) && key.trim() === ''
}

function readValue(prefix: string, key: string, sink: FieldSink): string | undefined {
  const { text } = scanner
  if (scanner.at >= text.length) return malformedError
  const code = text.charCodeAt(scanner.at)
  if (code === 123) return readInner(prefix, key, sink)
  const from = scanner.at
  const problem = scanner.skipFrom(code)
  if (problem !== undefined || code === 91) return problem
  if (prefix === '' && isBlank(key)) return undefined
  const isText = code === 34
  if (!isText && text.charCodeAt(from) === 110) return undefined
  const value = isText ? scanned(from + 1, scanner.at - 1) : text.slice(from, scanner.at)
  lastKey = key
  if (!sink(joinName(prefix, key), value)) throw Stop.instance
  return undefined
}

/** An object that is a value: it must end before anything of it is read. */
function readInner(prefix: string, key: string, sink: FieldSink): string | undefined {
  const name = prefix === '' && isBlank(key) ? prefix : joinName(prefix, key)
  outerKeys.push(key)
  if (!looksAhead) {
    const problem = readObject(name, sink)
    if (problem !== undefined) isDamagedInside = true
    outerKeys.pop()
    return problem
  }
  const { text, at } = scanner
  if (!scanner.skipNested()) return objectError
  const end = scanner.at
  scanner.text = text.slice(0, end)
  scanner.at = at
  const problem = readObject(name, sink)
  scanner.text = text
  scanner.at = end
  outerKeys.pop()
  return problem
}

/** Names of members and places in arrays. */
export type JsonPath = (string | number)[]

interface PathToken {
  name: 'FIELD' | 'STRING' | 'INDEX' | 'DOT' | 'LSB' | 'RSB' | '$end'
  text: string
}

const pathShapes: readonly { name: PathToken['name']; pattern: RegExp }[] = [
  { name: 'FIELD', pattern: /^[A-Za-z_][A-Za-z0-9_]*/ },
  { name: 'STRING', pattern: /^"(?:[^"\\]|\\.)*"?/ },
  { name: 'INDEX', pattern: /^\d{1,15}(?=[\s\]])/ },
  { name: 'DOT', pattern: /^\./ },
  { name: 'LSB', pattern: /^\[/ },
  { name: 'RSB', pattern: /^\]/ },
]

/** The words of a path. What can't begin one ends it. Throws Error. */
function pathTokens(source: string): PathToken[] {
  const tokens: PathToken[] = []
  for (let at = 0; ;) {
    const rest = source.slice(at).trimStart()
    at = source.length - rest.length
    const shape = pathShapes.find(({ pattern }) => pattern.test(rest))
    if (shape === undefined) return [...tokens, { name: '$end', text: '' }]
    const [text] = shape.pattern.exec(rest)!
    const behind = rest.slice(text.length, text.length + 1)
    if (shape.name === 'FIELD' && /^[^\s.[\]"]/.test(behind)) throw new Error(`unexpected char ${behind}`)
    tokens.push({ name: shape.name, text })
    at += text.length
  }
}

/** `a.b[0]["c d"]`; a text about what is wrong instead. */
export function parseJsonPath(source: string): JsonPath | string {
  try {
    return pathOf(pathTokens(source))
  } catch (error) {
    return `cannot parse expression [${source}]: ${messageOf(error)}`
  }
}

function pathOf(tokens: readonly PathToken[]): JsonPath {
  const path: JsonPath = []
  let at = 0
  const take = (...names: PathToken['name'][]): PathToken => {
    const token = tokens[at++]!
    if (names.includes(token.name)) return token
    throw new Error(`syntax error: unexpected ${token.name}, expecting ${names.join(' or ')}`)
  }
  const takeBracket = (): void => {
    const { name, text } = take('STRING', 'INDEX')
    path.push(name === 'INDEX' ? Number(text) : unescape(text.slice(1, text.endsWith('"') ? -1 : undefined)))
    take('RSB')
  }
  const first = take('LSB', 'FIELD')
  if (first.name === 'FIELD') path.push(first.text)
  else takeBracket()
  for (; tokens[at]!.name !== '$end';) {
    const { name } = tokens[at++]!
    if (name === 'DOT') path.push(take('FIELD').text)
    else if (name === 'LSB') takeBracket()
    else throw new Error(`syntax error: unexpected ${name}`)
  }
  return path
}

/** Finds the values of several paths in one pass. Damage elsewhere in the line does not matter. */
export class JsonPathReader {
  readonly #paths: readonly JsonPath[]
  readonly #isFound: boolean[]
  readonly #longest: number
  readonly #keys: string[] = []
  #left = 0
  /** By path, of the line that was read last. */
  readonly values: string[] = []

  constructor(paths: readonly JsonPath[]) {
    this.#paths = paths
    this.#isFound = paths.map(() => false)
    this.#longest = paths.reduce((longest, { length }) => Math.max(longest, length), 0)
  }

  /** Fills `values`: strings unescaped, objects and arrays as they stand; '' for null and what is not there. */
  read(line: string): string | undefined {
    scanner.begin(line)
    this.#left = this.#paths.length
    for (let i = 0; i < this.#paths.length; i++) {
      this.#isFound[i] = false
      this.values[i] = ''
    }
    return this.#scan(line)
  }

  #scan(line: string): string | undefined {
    let level = 0
    let problem: string | undefined
    for (; this.#left > 0 && scanner.at < line.length; scanner.at++)
      switch (line.charCodeAt(scanner.at)) {
        case 34: {
          const from = ++scanner.at
          const to = scanner.endOfString()
          if (to < 0) return problem
          scanner.skipSpace()
          if (scanner.at >= line.length) return problem
          if (line.charCodeAt(scanner.at) !== 58) {
            scanner.at--
            break
          }
          if (level > this.#longest) break
          const isEscaped = scanner.hasEscapes && line.slice(from, to).includes('\\')
          const key = isEscaped ? resolved(line.slice(from, to)) : this.#wantedKey(line, from, to, level)
          if (isEscaped && key === undefined) return problem
          if (level < 1) return malformedError
          if (key === undefined) {
            this.#keys[level - 1] = ''
            this.#skipUnwanted(line)
            break
          }
          problem = this.#takeMember(level, key) ?? problem
          break
        }
        case 123:
          level++
          break
        case 125:
          level--
          break
        case 91:
          if (level < 0) return malformedError
          if (this.#wantsElements(level)) this.#takeElements(level)
          else if (!scanner.skipNested()) return problem
          scanner.at--
          break
        default:
      }
    return problem
  }

  /** The key of [from, to), which has no escapes, where a path has it at this level. */
  #wantedKey(line: string, from: number, to: number, level: number): string | undefined {
    for (let i = 0; i < this.#paths.length; i++) {
      const wanted = this.#paths[i]![level - 1]
      if (typeof wanted === 'string' && wanted.length === to - from && line.startsWith(wanted, from)) return wanted
    }
    return undefined
  }

  /** At the colon: moves to the end of the value, but for one that does not end. */
  #skipUnwanted(line: string): void {
    const colon = scanner.at
    scanner.at++
    scanner.skipSpace()
    const code = line.charCodeAt(scanner.at)
    let isSkipped = false
    if (code === 123 || code === 91) isSkipped = scanner.skipNested()
    else if (code === 34) {
      scanner.at++
      isSkipped = scanner.endOfString() >= 0
    }
    if (isSkipped) scanner.at--
    else scanner.at = colon
  }

  /** Does the path go through the keys that lead here? */
  #isBelow(path: JsonPath, level: number): boolean {
    for (let i = 0; i < level; i++) if (path[i] !== this.#keys[i]) return false
    return true
  }

  #takeMember(level: number, key: string): string | undefined {
    this.#keys[level - 1] = key
    let problem: string | undefined
    const colon = scanner.at
    for (let i = 0; i < this.#paths.length; i++) {
      const path = this.#paths[i]!
      if (path.length !== level || this.#isFound[i]! || !this.#isBelow(path, level)) continue
      scanner.at = colon + 1
      problem = this.#take(i) ?? problem
      scanner.at = colon
    }
    return problem
  }

  /** The value that begins here, for a path. */
  #take(path: number): string | undefined {
    this.#isFound[path] = true
    this.#left--
    scanner.skipSpace()
    const from = scanner.at
    const problem = scanner.skipValue()
    if (problem === undefined) this.values[path] = valueText(from, scanner.at)
    return problem
  }

  #wantsElements(level: number): boolean {
    return this.#paths.some(
      (path, i) =>
        path.length > level && !this.#isFound[i]! && typeof path[level] === 'number' && this.#isBelow(path, level),
    )
  }

  /** Elements of the array that begins here, up to where it ends or is damaged. */
  #takeElements(level: number): void {
    const { text } = scanner
    scanner.at++
    scanner.skipSpace()
    if (text.charCodeAt(scanner.at) === 93) return
    for (let number = 0; ; number++) {
      const start = scanner.at
      if (scanner.skipValue() !== undefined) {
        scanner.at = start
        return
      }
      const end = scanner.at
      for (let i = 0; i < this.#paths.length; i++) {
        const path = this.#paths[i]!
        if (path[level] !== number || this.#isFound[i]! || !this.#isBelow(path, level)) continue
        this.#isFound[i] = true
        this.#left--
        this.values[i] = readJsonPath(text.slice(start, end), path.slice(level + 1))
        scanner.begin(text)
      }
      scanner.at = end
      scanner.skipSpace()
      if (text.charCodeAt(scanner.at) !== 44) return
      scanner.at++
    }
  }
}

function valueText(from: number, to: number): string {
  const { text } = scanner
  const code = text.charCodeAt(from)
  if (code === 34) return scanned(from + 1, to - 1)
  return code === 110 ? '' : text.slice(from, to)
}

/** The text at a path: strings unescaped, objects and arrays as they stand; '' for null and what is not there. */
function readJsonPath(line: string, path: JsonPath): string {
  scanner.begin(line)
  for (const step of path) {
    scanner.skipSpace()
    const code = line.charCodeAt(scanner.at)
    if (typeof step === 'string' ? code !== 123 || !enterKey(step) : code !== 91 || !enterIndex(step)) return ''
  }
  scanner.skipSpace()
  const from = scanner.at
  return scanner.skipValue() === undefined ? valueText(from, scanner.at) : ''
}

function enterKey(wanted: string): boolean {
  const { text } = scanner
  scanner.at++
  for (;;) {
    scanner.skipSpace()
    const code = text.charCodeAt(scanner.at)
    if (code === 44) {
      scanner.at++
      continue
    }
    if (code !== 34) return false
    const from = ++scanner.at
    const to = scanner.endOfString()
    if (to < 0) return false
    const raw = text.slice(from, to)
    scanner.skipSpace()
    if (text.charCodeAt(scanner.at) !== 58) return false
    scanner.at++
    scanner.skipSpace()
    if ((raw.includes('\\') ? unescape(raw) : raw) === wanted) return true
    if (scanner.skipValue() !== undefined) return false
  }
}

function enterIndex(wanted: number): boolean {
  const { text } = scanner
  scanner.at++
  for (let i = 0; ; i++) {
    scanner.skipSpace()
    if (text.charCodeAt(scanner.at) === 44) {
      scanner.at++
      scanner.skipSpace()
    }
    if (text.charCodeAt(scanner.at) === 93 || scanner.at >= text.length) return false
    if (i === wanted) return true
    if (scanner.skipValue() !== undefined) return false
  }
}

/** Members of an `unpack` line: strings only, the last of a name. With an error nothing counts of them. */
export function readPackedFields(line: string): { fields: Map<string, string>; error: string | undefined } {
  const fields = new Map<string, string>()
  if (line.charCodeAt(0) !== 123) return { fields, error: 'expecting json object(6), but it is not' }
  scanner.begin(line)
  return { fields, error: readMembers(fields) }
}

function readMembers(fields: Map<string, string>): string | undefined {
  const { text } = scanner
  scanner.at++
  scanner.skipSpace()
  if (scanner.at >= text.length) return malformedError
  for (;;) {
    const code = text.charCodeAt(scanner.at)
    if (code === 125) return undefined
    if (code !== 34) return objectError
    const keyFrom = ++scanner.at
    const keyTo = scanner.endOfString()
    if (keyTo < 0) return malformedError
    const key = resolved(text.slice(keyFrom, keyTo))
    if (key === undefined) return escapeError
    scanner.skipSpace()
    if (text.charCodeAt(scanner.at) !== 58) return malformedError
    scanner.at++
    scanner.skipSpace()
    const from = scanner.at
    const problem = scanner.skipValue()
    if (problem !== undefined) return problem
    if (text.charCodeAt(from) === 34) fields.set(key, valueText(from, scanner.at))
    scanner.skipSpace()
    if (scanner.at >= text.length) return arrayError
    if (text.charCodeAt(scanner.at) === 125) continue
    if (text.charCodeAt(scanner.at) !== 44) return objectError
    scanner.at++
    scanner.skipSpace()
    if (scanner.at >= text.length) return arrayError
  }
}

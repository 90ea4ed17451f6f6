/** Fields of a JSON line as labels, and single paths into it. Source: docs/logs.md. */

/** Called with the label name and the text of every field. Returns false to stop. */
export type FieldSink = (name: string, value: string) => boolean

/** Errors of lines that are no objects, and of objects that do not end, in the words of Loki. */
export const objectError = "Value looks like object, but can't find closing '}' symbol"
export const arrayError = "Value is array, but can't find closing ']' symbol"

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

function joinName(prefix: string, key: string): string {
  const name = labelName(key.trim())
  if (prefix === '') return name
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

class Scanner {
  text = ''
  at = 0

  skipSpace(): void {
    const { text } = this
    while (this.at < text.length && text.charCodeAt(this.at) <= 32) this.at++
  }

  /**
   * `at` is behind the opening quote; returns the end of the content, and moves behind the closing quote; -1
   * when there is none.
   */
  endOfString(): number {
    const { text } = this
    let at = this.at
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

  /** Skips an array or object; false when it does not end. */
  skipNested(): boolean {
    const { text } = this
    let depth = 0
    while (this.at < text.length) {
      const code = text.charCodeAt(this.at++)
      if (code === 34) {
        if (this.endOfString() < 0) return false
      } else if (code === 123 || code === 91) depth++
      else if (code === 125 || code === 93) {
        if (--depth === 0) return true
      }
    }
    return false
  }
}

const scanner = new Scanner()

/** A JSON string's content, unescaped; '' where an escape is wrong. U+FFFD reads as a space. */
function unescape(raw: string): string {
  let value = raw
  if (raw.includes('\\')) {
    try {
      value = JSON.parse(`"${raw}"`) as string
      if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) return ''
    } catch {
      return ''
    }
  }
  return value.includes('\ufffd') ? value.replaceAll('\ufffd', ' ') : value
}

/**
 * Gives every scalar field of the object; nested names are joined by `_`. Returns what is wrong with the line, or
 * undefined.
 */
export function readJsonFields(line: string, sink: FieldSink): string | undefined {
  scanner.text = line
  scanner.at = 0
  keyNumber = 0
  scanner.skipSpace()
  if (line.charCodeAt(scanner.at) !== 123) return objectError
  try {
    return readObject('', sink) ? undefined : arrayError
  } catch (error) {
    if (error === Stop.instance) return undefined
    throw error
  }
}

/** False when the object does not end. */
function readObject(prefix: string, sink: FieldSink): boolean {
  const { text } = scanner
  scanner.at++
  for (;;) {
    scanner.skipSpace()
    const code = text.charCodeAt(scanner.at)
    if (code === 125) {
      scanner.at++
      return true
    }
    if (code === 44) {
      scanner.at++
      continue
    }
    if (code !== 34) return false
    scanner.at++
    const key = readKey()
    if (key === undefined) return false
    scanner.skipSpace()
    if (text.charCodeAt(scanner.at) !== 58) return false
    scanner.at++
    scanner.skipSpace()
    if (!readValue(prefix, key, sink)) return false
  }
}

/** Keys by their place in the line before: lines of one program have the same ones in the same order. */
const lastKeys: string[] = []
let keyNumber = 0

/** `at` is behind the opening quote; undefined when there is no closing one. */
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
  if (to < 0) return undefined
  const raw = text.slice(from, to)
  if (raw.includes('\\')) {
    keyNumber++
    return unescape(raw)
  }
  if (keyNumber < 200) lastKeys[keyNumber++] = raw
  return raw
}

function readValue(prefix: string, key: string, sink: FieldSink): boolean {
  const { text } = scanner
  const code = text.charCodeAt(scanner.at)
  const isBlank = key.trim() === ''
  if (code === 34) {
    scanner.at++
    const from = scanner.at
    const to = scanner.endOfString()
    if (to < 0) return false
    if (!isBlank && !sink(joinName(prefix, key), unescape(text.slice(from, to)))) throw Stop.instance
    return true
  }
  if (code === 123) return readObject(isBlank ? prefix : joinName(prefix, key), sink)
  if (code === 91) return scanner.skipNested()
  const from = scanner.at
  while (scanner.at < text.length) {
    const c = text.charCodeAt(scanner.at)
    if (c === 44 || c === 125 || c === 93 || c <= 32) break
    scanner.at++
  }
  if (scanner.at === from) return false
  const value = text.slice(from, scanner.at)
  if (value === 'null') return true
  if (value !== 'true' && value !== 'false' && !/^-?[0-9]/.test(value)) return false
  if (!isBlank && !sink(joinName(prefix, key), value)) throw Stop.instance
  return true
}

/** Names of members and places in arrays. */
export type JsonPath = (string | number)[]

/** `a.b[0]["c d"]`; a text about what is wrong instead. */
export function parseJsonPath(source: string): JsonPath | string {
  const path: JsonPath = []
  let at = 0
  while (at < source.length) {
    const rest = source.slice(at)
    const field = (path.length === 0 ? /^[A-Za-z_][A-Za-z0-9_]*/ : /^\.[A-Za-z_][A-Za-z0-9_]*/).exec(rest)
    if (field !== null) {
      path.push(field[0].replace(/^\./, ''))
      at += field[0].length
      continue
    }
    const index = /^\[(\d+)\]/.exec(rest)
    if (index !== null) {
      path.push(Number(index[1]))
      at += index[0].length
      continue
    }
    const key = /^\["((?:[^"\\]|\\.)*)"\]/.exec(rest)
    if (key !== null) {
      path.push(unescape(key[1]!))
      at += key[0].length
      continue
    }
    const isUnfinished = at + 1 >= source.length && rest === '.'
    const unexpected = isUnfinished ? '$end, expecting FIELD' : JSON.stringify(rest[0]).slice(1, -1)
    return `cannot parse expression [${source}]: syntax error: unexpected ${unexpected}`
  }
  return path.length === 0 ? `cannot parse expression [${source}]: syntax error: unexpected $end` : path
}

/** The text at a path: strings unescaped, objects and arrays as they stand; '' for null and what is not there. */
export function readJsonPath(line: string, path: JsonPath): string {
  scanner.text = line
  scanner.at = 0
  for (const step of path) {
    scanner.skipSpace()
    const code = line.charCodeAt(scanner.at)
    if (typeof step === 'string' ? code !== 123 || !enterKey(step) : code !== 91 || !enterIndex(step)) return ''
  }
  scanner.skipSpace()
  const from = scanner.at
  const code = line.charCodeAt(from)
  if (code === 34) {
    scanner.at++
    const to = scanner.endOfString()
    return to < 0 ? '' : unescape(line.slice(from + 1, to))
  }
  if (code === 123 || code === 91) return scanner.skipNested() ? line.slice(from, scanner.at) : ''
  skipValue()
  const value = line.slice(from, scanner.at)
  return value === 'null' ? '' : value
}

function skipValue(): boolean {
  const { text } = scanner
  const code = text.charCodeAt(scanner.at)
  if (code === 34) {
    scanner.at++
    return scanner.endOfString() >= 0
  }
  if (code === 123 || code === 91) return scanner.skipNested()
  const from = scanner.at
  while (scanner.at < text.length) {
    const c = text.charCodeAt(scanner.at)
    if (c === 44 || c === 125 || c === 93 || c <= 32) break
    scanner.at++
  }
  return scanner.at > from
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
    if (!skipValue()) return false
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
    if (!skipValue()) return false
  }
}

/** Members of an `unpack` line: strings only. Undefined when the line is no whole object. */
export function readPackedFields(line: string): { fields: [string, string][]; error: string | undefined } {
  const fields: [string, string][] = []
  if (line.charCodeAt(0) !== 123) return { fields, error: 'expecting json object(6), but it is not' }
  let body: unknown
  try {
    body = JSON.parse(line)
  } catch {
    return { fields, error: objectError }
  }
  for (const [name, value] of Object.entries(body as object)) if (typeof value === 'string') fields.push([name, value])
  return { fields, error: undefined }
}

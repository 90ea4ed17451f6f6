/** Quoted texts as Go writes them: `"…"` and `'…'` with escapes, and backquotes without. */

const simpleEscapes: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
}
const digitsOf: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

export interface QuotedText {
  text: string
  /** Where it ends, behind its closing mark. */
  end: number
}

/** The quoted text that begins at a place; undefined where it does not end or has an escape that is none. */
export function readQuoted(source: string, at: number): QuotedText | undefined {
  const mark = source[at]!
  if (mark === '`') {
    const end = source.indexOf('`', at + 1)
    return end < 0 ? undefined : { text: source.slice(at + 1, end).replaceAll('\r', ''), end: end + 1 }
  }
  let text = ''
  let bytes: number[] = []
  const flush = (): void => {
    if (bytes.length > 0) text += Buffer.from(bytes).toString('utf8')
    bytes = []
  }
  for (let i = at + 1; i < source.length;) {
    const char = source[i]!
    if (char === mark) {
      flush()
      return { text, end: i + 1 }
    }
    if (char === '\n' && mark === '"') return undefined
    if (char !== '\\') {
      flush()
      text += char
      i++
      continue
    }
    const escape = readEscape(source, i + 1, mark)
    if (escape === undefined) return undefined
    if (escape.isByte) bytes.push(escape.code)
    else {
      flush()
      text += String.fromCodePoint(escape.code)
    }
    i = escape.end
  }
  return undefined
}

function readEscape(
  source: string,
  at: number,
  mark: string,
): { code: number; isByte: boolean; end: number } | undefined {
  const char = source[at]
  if (char === undefined) return undefined
  if (char === mark) return { code: mark.charCodeAt(0), isByte: false, end: at + 1 }
  const simple = simpleEscapes[char]
  if (simple !== undefined) return { code: simple, isByte: false, end: at + 1 }
  const octal = /^[0-3][0-7]{2}/.exec(source.slice(at, at + 3))
  if (octal !== null) return { code: Number.parseInt(octal[0], 8), isByte: true, end: at + 3 }
  const length = digitsOf[char]
  if (length === undefined) return undefined
  const digits = source.slice(at + 1, at + 1 + length)
  const code = Number.parseInt(digits, 16)
  if (!/^[0-9a-fA-F]+$/.test(digits) || digits.length < length || code > 0x10ffff) return undefined
  if (char !== 'x' && code >= 0xd800 && code <= 0xdfff) return undefined
  return { code, isByte: char === 'x', end: at + 1 + length }
}

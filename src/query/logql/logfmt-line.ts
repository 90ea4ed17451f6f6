/** Pairs of a logfmt line. Source: docs/logs.md. */

/** Gets every pair, and whether the value may hold U+FFFD; returns false to stop. */
export type PairSink = (key: string, value: string, mayBeReplaced: boolean) => boolean

/** Characters of a quoted value that are looked at one by one; more are searched. */
const nearMax = 128

/** Keys by their place in the line before: lines of one program have the same ones in the same order. */
const lastKeys: string[] = []
const lastKeysMax = 200

/** Returns what is wrong with the line when `isStrict`; otherwise bad pairs are passed over. */
export function readLogfmt(line: string, isStrict: boolean, sink: PairSink): string | undefined {
  const { length } = line
  let at = 0
  let keyNumber = 0
  const bad = (pos: number, what: string): string =>
    `logfmt syntax error at pos ${Buffer.byteLength(line.slice(0, pos)) + 1} : ${what}`
  const skipBad = (): void => {
    while (at < length && line.charCodeAt(at) > 32) at++
  }
  while (at < length) {
    let code = line.charCodeAt(at)
    if (code <= 32) {
      at++
      continue
    }
    const keyFrom = at
    const expected = expectedKey(line, at, keyNumber)
    if (expected !== undefined) {
      at += expected.length
      code = 61
    }
    let isBad = false
    while (at < length && (code = line.charCodeAt(at)) > 32 && code !== 61) {
      if (code === 34) {
        isBad = true
        break
      }
      at++
    }
    if (isBad || (code === 61 && at === keyFrom)) {
      if (isStrict) return bad(at, code === 34 ? "unexpected '\"'" : "unexpected '='")
      skipBad()
      continue
    }
    const key = expected ?? newKey(line.slice(keyFrom, at), keyNumber)
    keyNumber++
    if (isStrict && key.includes('\ufffd')) return bad(keyFrom, 'invalid key')
    if (at >= length || code !== 61) {
      if (!sink(key, '', false)) return undefined
      continue
    }
    at++
    if (line.charCodeAt(at) === 34) {
      const from = at + 1
      const near = Math.min(length, from + nearMax)
      let to = from
      let bits = 0
      while (to < near && (code = line.charCodeAt(to)) !== 34 && code !== 92) {
        bits |= code
        to++
      }
      const isFound = to < near && code === 34
      if (!isFound) to = endOfQuoted(line, from)
      if (to < 0) return isStrict ? bad(length, 'unterminated quoted value') : undefined
      let value: string | undefined = line.slice(from, to)
      if (!isFound && value.includes('\\')) value = unquote(value)
      at = to + 1
      if (value === undefined) {
        if (isStrict) return bad(at, 'invalid quoted value')
        skipBad()
        continue
      }
      if (!sink(key, value, !isFound || bits > 127)) return undefined
      continue
    }
    const from = at
    let bits = 0
    while (at < length && (code = line.charCodeAt(at)) > 32 && code !== 61 && code !== 34) {
      bits |= code
      at++
    }
    if (at < length && (code === 61 || code === 34)) {
      if (isStrict) return bad(at, code === 34 ? "unexpected '\"'" : "unexpected '='")
      skipBad()
      continue
    }
    if (!sink(key, line.slice(from, at), bits > 127)) return undefined
  }
  return undefined
}

/** The key of the line before, where this one has it too, with a value. */
function expectedKey(line: string, at: number, number: number): string | undefined {
  const key = lastKeys[number]
  return key !== undefined && line.startsWith(key, at) && line.charCodeAt(at + key.length) === 61 ? key : undefined
}

function newKey(key: string, number: number): string {
  // A copy: a part of a line would keep the whole line.
  if (number < lastKeysMax) lastKeys[number] = Buffer.from(key).toString()
  return key
}

/** Where the quote is that ends a value which begins at `from`; -1 for none. */
function endOfQuoted(line: string, from: number): number {
  for (let to = from; ; to++) {
    to = line.indexOf('"', to)
    if (to < 0) return -1
    let back = to - 1
    while (back >= from && line.charCodeAt(back) === 92) back--
    if ((to - back) % 2 === 1) return to
  }
}

/** Control characters may stand as they are; escapes are those of JSON, and that of a single quote. */
function unquote(raw: string): string | undefined {
  try {
    const escaped = raw
      // eslint-disable-next-line no-control-regex
      .replaceAll(/[\0-\x1f]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .replaceAll(/\\(.)/gs, (whole, letter: string) => (letter === "'" ? letter : whole))
    return (JSON.parse(`"${escaped}"`) as string).toWellFormed()
  } catch {
    return undefined
  }
}

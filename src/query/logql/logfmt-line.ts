/** Pairs of a logfmt line. Source: docs/logs.md. */

/** Gets every pair; returns false to stop. */
export type PairSink = (key: string, value: string) => boolean

/** Returns what is wrong with the line when `isStrict`; otherwise bad pairs are passed over. */
export function readLogfmt(line: string, isStrict: boolean, sink: PairSink): string | undefined {
  const { length } = line
  let at = 0
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
    const key = line.slice(keyFrom, at)
    if (isStrict && key.includes('\ufffd')) return bad(keyFrom, 'invalid key')
    if (at >= length || code !== 61) {
      if (!sink(key, '')) return undefined
      continue
    }
    at++
    if (line.charCodeAt(at) === 34) {
      const from = at + 1
      let to = from
      for (;;) {
        to = line.indexOf('"', to)
        if (to < 0) break
        let back = to - 1
        while (back >= from && line.charCodeAt(back) === 92) back--
        if ((to - back) % 2 === 1) break
        to++
      }
      if (to < 0) {
        if (isStrict) return bad(length, 'unterminated quoted value')
        return undefined
      }
      let value: string | undefined = line.slice(from, to)
      if (value.includes('\\')) value = unquote(value)
      at = to + 1
      if (value === undefined) {
        if (isStrict) return bad(at, 'invalid quoted value')
        skipBad()
        continue
      }
      if (!sink(key, value)) return undefined
      continue
    }
    const from = at
    while (at < length && (code = line.charCodeAt(at)) > 32 && code !== 61 && code !== 34) at++
    if (at < length && (code === 61 || code === 34)) {
      if (isStrict) return bad(at, code === 34 ? "unexpected '\"'" : "unexpected '='")
      skipBad()
      continue
    }
    if (!sink(key, line.slice(from, at))) return undefined
  }
  return undefined
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

/** InfluxDB's line protocol: `measurement,tag=value field=1i,other="text" timestamp`. Source: its public reference. */
import { BadDataError } from '#core/errors.ts'

/** A line. `time` is in the unit of the request's precision. */
export interface InfluxPoint {
  measurement: string
  tags: [string, string][]
  fields: [string, number][]
  time: bigint | undefined
}

const comma = 44
const space = 32
const equals = 61
const backslash = 92

/** One line. Fields that are texts are left out: there is no metric in them. */
export function parseInfluxLine(line: string): InfluxPoint {
  let at = 0
  /** Up to a comma, a space or, of a name, an equals sign. */
  const token = (isName: boolean): string => {
    const from = at
    for (; at < line.length; at++) {
      const code = line.charCodeAt(at)
      if (code === comma || code === space || (isName && code === equals)) break
      if (code === backslash) return escapedToken(from, isName)
    }
    return line.slice(from, at)
  }
  const measurement = token(false)
  if (measurement === '') throw new BadDataError('a measurement was expected')
  const tags: [string, string][] = []
  while (line[at] === ',') {
    at++
    const name = token(true)
    if (line[at] !== '=') throw new BadDataError(`tag ${JSON.stringify(name)} has no value`)
    at++
    tags.push([name, token(false)])
  }
  while (line[at] === ' ') at++
  const fields: [string, number][] = []
  for (;;) {
    const name = token(true)
    if (line[at] !== '=')
      throw new BadDataError(name === '' ? 'fields were expected' : `field ${JSON.stringify(name)} has no value`)
    at++
    if (line[at] === '"') skipText()
    else {
      const text = token(false)
      const value = fieldValue(text)
      if (value === undefined)
        throw new BadDataError(`field ${JSON.stringify(name)}: ${JSON.stringify(text)} is not a value`)
      fields.push([name, value])
    }
    if (line[at] !== ',') break
    at++
  }
  const rest = line.slice(at).trim()
  if (rest !== '' && !/^-?\d{1,40}$/.test(rest))
    throw new BadDataError(`${JSON.stringify(rest.slice(0, 100))} is not a timestamp`)
  return { measurement, tags, fields, time: rest === '' ? undefined : BigInt(rest) }

  /** The token that begins at `from`, with its escapes resolved. */
  function escapedToken(from: number, isName: boolean): string {
    let text = line.slice(from, at)
    for (; at < line.length; at++) {
      const char = line[at]!
      if (char === '\\' && at + 1 < line.length && `,= \\"`.includes(line[at + 1]!)) {
        text += line[++at]!
        continue
      }
      if (char === ',' || char === ' ' || (isName && char === '=')) break
      text += char
    }
    return text
  }

  function skipText(): void {
    for (at++; at < line.length && line[at] !== '"'; at++) if (line[at] === '\\') at++
    if (line[at] !== '"') throw new BadDataError('a quoted field is not ended')
    at++
  }
}

function fieldValue(text: string): number | undefined {
  if (/^[+-]?\d+[iu]$/.test(text)) return Number(text.slice(0, -1))
  if (/^(t|T|true|True|TRUE)$/.test(text)) return 1
  if (/^(f|F|false|False|FALSE)$/.test(text)) return 0
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined
}

/** Nanoseconds in one unit of a `precision` parameter. */
export const precisionNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  n: 1n,
  us: 1000n,
  u: 1000n,
  µ: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

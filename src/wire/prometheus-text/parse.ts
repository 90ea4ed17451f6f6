/**
 * The Prometheus text exposition format (0.0.4) and OpenMetrics 1.0. Sources: their public specifications. A line
 * that does not parse is reported, and the others are kept. Bytes that are no UTF-8 come as lone surrogates
 * (`decodeUtf8Marking`), and cost their line.
 */
import { Labels } from '#model/labels.ts'
import type { Metadata, MetricType } from '#model/write-batch.ts'

/** A sample line; `labels` has the name as `__name__`. */
export interface TextSample {
  labels: [string, string][]
  value: number
  timeMs: number | undefined
  exemplar: { labels: Labels; value: number; timeMs: number | undefined } | undefined
}
/** What a body has, and one text for each line that does not parse. */
export interface ParsedExposition {
  samples: TextSample[]
  metadata: Metadata[]
  problems: string[]
}

/** Whether a body, or its last 64 bytes, ends as OpenMetrics does. */
export function endsWithEof(text: string): boolean {
  return /^# EOF\s*$/m.test(text.slice(-64))
}

/** In OpenMetrics timestamps are seconds; in the older format milliseconds. */
export function parseExposition(text: string, isOpenMetrics = endsWithEof(text)): ParsedExposition {
  const reader = new ExpositionReader(isOpenMetrics)
  reader.read(text)
  return { samples: reader.samples, metadata: [...reader.metadata.values()], problems: reader.problems }
}

/** A line of the formats is shorter: the limits of labels let 300 kB in. */
const lineLengthMax = 1 << 20

/** Reads a body in pieces of whole lines. */
export class ExpositionReader {
  readonly #isOpenMetrics: boolean
  #line = 0
  /** What the pieces had since the caller emptied them. */
  readonly samples: TextSample[] = []
  readonly problems: string[] = []
  /** By metric, of all pieces. */
  readonly metadata = new Map<string, Metadata>()

  constructor(isOpenMetrics: boolean) {
    this.#isOpenMetrics = isOpenMetrics
  }

  /** Goes on behind so many lines that say nothing. */
  skipLines(count: number): void {
    this.#line += count
  }

  read(text: string): void {
    for (let from = 0; from < text.length;) {
      let to = text.indexOf('\n', from)
      if (to < 0) to = text.length
      this.#line++
      const row = text.slice(from, to).trim()
      from = to + 1
      if (row === '') continue
      const problem = this.#readRow(row)
      if (problem !== undefined) this.problems.push(`line ${this.#line}: ${problem}: ${row.slice(0, 100)}`)
    }
  }

  /** Returns what is wrong. */
  #readRow(row: string): string | undefined {
    if (row.length > lineLengthMax) return `the line is ${row.length} long, the limit is ${lineLengthMax}`
    if (row.startsWith('#')) return readComment(row, this.#isOpenMetrics, this.metadata)
    const sample = new LineParser(row, this.#isOpenMetrics).read()
    if (typeof sample === 'string') return sample
    this.samples.push(sample)
    return undefined
  }
}

/** What a HELP, TYPE or UNIT comment says; undefined for other comments. */
export function parseComment(
  row: string,
  isOpenMetrics: boolean,
): { about: string; metric: string; text: string } | undefined {
  const match = /^#\s*(HELP|TYPE|UNIT)\s+(?:"((?:[^"\\]|\\.)*)"|(\S+))\s*(.*)$/.exec(row)
  if (match === null) return undefined
  const [, about = '', quoted, plain = '', text = ''] = match
  return {
    about,
    metric: quoted === undefined ? plain : unescape(quoted),
    text: about === 'HELP' ? unescape(text, isOpenMetrics) : about === 'TYPE' && text === 'untyped' ? 'unknown' : text,
  }
}

/** Returns what is wrong. */
function readComment(row: string, isOpenMetrics: boolean, metadata: Map<string, Metadata>): string | undefined {
  const comment = parseComment(row, isOpenMetrics)
  if (comment === undefined) return undefined
  if (!row.isWellFormed()) return 'the comment is not UTF-8'
  const { about, metric, text } = comment
  let entry = metadata.get(metric)
  if (entry === undefined) metadata.set(metric, (entry = { metric, type: 'unknown', help: '', unit: '' }))
  if (about === 'HELP') entry.help = text
  else if (about === 'UNIT') entry.unit = text
  else entry.type = text as MetricType
  return undefined
}

/** `\\`, `\n` and, in quotes, `\"` are the only escapes; any other backslash stands for itself. */
function unescape(text: string, isQuoted = true): string {
  if (!text.includes('\\')) return text
  return text.replaceAll(isQuoted ? /\\([\\n"])/g : /\\([\\n])/g, (_, c: string) => (c === 'n' ? '\n' : c))
}

/** A number as the formats spell it; undefined for anything else. */
export function parseFloatText(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text)
  if (/^\+?inf(inity)?$/i.test(text)) return Infinity
  if (/^-inf(inity)?$/i.test(text)) return -Infinity
  if (/^nan$/i.test(text)) return NaN
  return /^[+-]?0x[0-9a-f]+$/i.test(text) ? Number(text) : undefined
}

/** Takes one line, or a part of it, apart. */
export class LineParser {
  readonly #row: string
  readonly #isOpenMetrics: boolean
  #at = 0

  constructor(row: string, isOpenMetrics: boolean) {
    this.#row = row
    this.#isOpenMetrics = isOpenMetrics
  }

  /** The name and the labels at the start of the row, which are added to `labels`; returns what is wrong. */
  #readKey(labels: [string, string][]): string | undefined {
    const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(this.#row)?.[0] ?? ''
    if (name !== '') labels.push(['__name__', name])
    this.#at = name.length
    this.#skipSpace()
    return this.#row[this.#at] === '{' ? this.#readLabels(labels) : undefined
  }

  /** The sample, or what is wrong. */
  read(): TextSample | string {
    const labels: [string, string][] = []
    const problem = this.#readKey(labels)
    if (problem !== undefined) return problem
    if (labels[0]?.[0] !== '__name__' && !labels.some(([n]) => n === '__name__')) return 'a metric name was expected'
    const value = parseFloatText(this.#word())
    if (value === undefined) return 'the value is not a number'
    let timeMs: number | undefined
    this.#skipSpace()
    if (this.#at < this.#row.length && this.#row[this.#at] !== '#') {
      const word = this.#word()
      const time = parseFloatText(word)
      if (time === undefined || !Number.isFinite(time)) return 'the timestamp is not a number'
      if (!this.#isOpenMetrics && !/^[+-]?\d+$/.test(word)) return 'the timestamp is no whole number of milliseconds'
      timeMs = this.#isOpenMetrics ? Math.round(time * 1000) : time
    }
    this.#skipSpace()
    let exemplar: TextSample['exemplar']
    if (this.#row[this.#at] === '#') {
      this.#at++
      const read = this.readExemplar()
      if (typeof read === 'string') return read
      exemplar = read
    } else if (this.#at < this.#row.length) return 'something follows the sample'
    return { labels, value, timeMs, exemplar }
  }

  /** The labels of a series alone, `__name__` among them, or what is wrong. */
  readSeries(): [string, string][] | string {
    const labels: [string, string][] = []
    const problem = this.#readKey(labels)
    if (problem !== undefined) return problem
    if (this.#at < this.#row.length) return `something follows the series: ${this.#row.slice(this.#at, this.#at + 20)}`
    return labels.some(([n]) => n === '__name__') ? labels : 'a metric name was expected'
  }

  /** `{labels} value [time]` of an exemplar, or what is wrong. */
  readExemplar(): TextSample['exemplar'] | string {
    this.#skipSpace()
    const own: [string, string][] = []
    const problem = this.#row[this.#at] === '{' ? this.#readLabels(own) : 'the exemplar has no labels'
    if (problem !== undefined) return problem
    const value = parseFloatText(this.#word())
    if (value === undefined) return 'the exemplar value is not a number'
    const time = this.#word()
    const seconds = time === '' ? undefined : parseFloatText(time)
    return { labels: Labels.from(own), value, timeMs: seconds === undefined ? undefined : Math.round(seconds * 1000) }
  }

  #skipSpace(): void {
    while (this.#row[this.#at] === ' ' || this.#row[this.#at] === '\t') this.#at++
  }

  #word(): string {
    this.#skipSpace()
    const from = this.#at
    while (this.#at < this.#row.length && this.#row[this.#at] !== ' ' && this.#row[this.#at] !== '\t') this.#at++
    return this.#row.slice(from, this.#at)
  }

  #quoted(): string | undefined {
    if (this.#row[this.#at] !== '"') return undefined
    const from = ++this.#at
    for (; this.#at < this.#row.length; this.#at++) {
      if (this.#row[this.#at] === '\\') this.#at++
      else if (this.#row[this.#at] === '"') return unescape(this.#row.slice(from, this.#at++))
    }
    return undefined
  }

  #readLabels(labels: [string, string][]): string | undefined {
    this.#at++
    for (;;) {
      this.#skipSpace()
      if (this.#row[this.#at] === '}') {
        this.#at++
        return undefined
      }
      let name: string | undefined
      if (this.#row[this.#at] === '"') {
        name = this.#quoted()
        if (name === undefined) return 'a quoted name is not ended'
        if (!name.isWellFormed()) return 'a quoted name is not UTF-8'
        this.#skipSpace()
        // A quoted text without a value is the metric's name.
        if (this.#row[this.#at] === ',' || this.#row[this.#at] === '}') {
          labels.unshift(['__name__', name])
          if (this.#row[this.#at] === ',') this.#at++
          continue
        }
      } else {
        name = /^[a-zA-Z_][a-zA-Z0-9_]*/.exec(this.#row.slice(this.#at, this.#at + 1100))?.[0]
        if (name === undefined) return 'a label name was expected'
        this.#at += name.length
        this.#skipSpace()
      }
      if (this.#row[this.#at] !== '=') return `"=" was expected after label ${name}`
      this.#at++
      this.#skipSpace()
      const value = this.#quoted()
      if (value === undefined) return `the value of label ${name} is not a quoted text`
      if (!value.isWellFormed()) return `the value of label ${name} is not UTF-8`
      labels.push([name, value])
      this.#skipSpace()
      if (this.#row[this.#at] === ',') this.#at++
      else if (this.#row[this.#at] !== '}') return '"," or "}" was expected'
    }
  }
}

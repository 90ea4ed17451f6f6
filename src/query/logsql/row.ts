/** Log entries as LogsQL sees them: fields with text values. An absent field and an empty one are the same. */
import { readPairs, type Lines } from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import { impliedService, serviceNameLabel } from '#model/service-name.ts'
import { textOf } from '../logql/entry.ts'

/** A row of an answer or between pipes, its fields in the order in which they are shown. */
export type Fields = Map<string, string>

/** What filters read: an entry of a stream, or a row between pipes. */
export interface FieldSource {
  /** '' for a field that is not there. */
  get(name: string): string
  /** The entry's stream; behind a pipe only its text is left. */
  readonly stream?: { readonly labels: Labels }
}

/** A row's field, '' where it has none. */
export function fieldOf(row: Fields, name: string): string {
  return row.get(name) ?? ''
}

/** Metadata that is added at admission: left out of rows, unless a query names it. */
const addedLevel = 'detected_level'

/** RFC 3339 in UTC, with as many digits of the second as are needed. */
export function timeText(ms: number, subNs: number): string {
  const iso = new Date(ms).toISOString()
  const fraction = `${iso.slice(20, 23)}${String(subNs).padStart(6, '0')}`.replace(/0+$/, '')
  return `${iso.slice(0, 19)}${fraction === '' ? '' : `.${fraction}`}Z`
}

/** A stream as rows show it, made once for its labels. */
export interface StreamNames {
  labels: Labels
  /** Without a service name that was derived from other labels. */
  shown: Labels
  /** `{name="value",...}`, the field _stream. */
  text: string
  /** The field _stream_id. */
  id: string
}

const streamsOf = new WeakMap<Labels, StreamNames>()

/** The names of a stream; `hash` makes its id. */
export function streamNames(labels: Labels, hash: (labels: Labels) => string): StreamNames {
  let names = streamsOf.get(labels)
  if (names === undefined) {
    const shown =
      labels.get(serviceNameLabel) === impliedService(labels) ? labels.drop(new Set([serviceNameLabel])) : labels
    const parts: string[] = []
    for (let i = 0; i < shown.pairs.length; i += 2)
      parts.push(`${shown.pairs[i]!}=${JSON.stringify(shown.pairs[i + 1]!)}`)
    streamsOf.set(labels, (names = { labels, shown, text: `{${parts.join(',')}}`, id: hash(labels) }))
  }
  return names
}

/** One entry of a block, decoded only as far as it is read. One object serves all entries: `reset` comes first. */
export class LazyRow implements FieldSource {
  stream!: StreamNames
  #lines!: Lines
  #i = 0
  #symbols: readonly string[] = []
  #message: string | undefined
  #pairs: readonly string[] | undefined

  reset(stream: StreamNames, lines: Lines, i: number, symbols: readonly string[]): void {
    this.stream = stream
    this.#lines = lines
    this.#i = i
    this.#symbols = symbols
    this.#message = this.#pairs = undefined
  }

  get message(): string {
    return (this.#message ??= textOf(this.#lines.bytes, this.#lines.lineFrom[this.#i]!, this.#lines.lineTo[this.#i]!))
  }
  get pairs(): readonly string[] {
    return (this.#pairs ??= readPairs(this.#lines, this.#i, this.#symbols))
  }
  get time(): string {
    return timeText(this.#lines.timesMs[this.#i]!, this.#lines.subNs[this.#i]!)
  }

  get(name: string): string {
    switch (name) {
      case '':
      case '_msg':
        return this.message
      case '_time':
        return this.time
      case '_stream':
        return this.stream.text
      case '_stream_id':
        return this.stream.id
      default:
    }
    const { pairs } = this
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1]!
    return this.stream.labels.get(name)
  }

  /** The whole row that an answer shows. */
  fields(): Fields {
    const fields: Fields = new Map([
      ['_time', this.time],
      ['_stream_id', this.stream.id],
      ['_stream', this.stream.text],
      ['_msg', this.message],
    ])
    const { pairs } = this.stream.shown
    for (let i = 0; i < pairs.length; i += 2) fields.set(pairs[i]!, pairs[i + 1]!)
    for (let i = 0; i < this.pairs.length; i += 2)
      if (this.pairs[i] !== addedLevel) fields.set(this.pairs[i]!, this.pairs[i + 1]!)
    return fields
  }
}

/** A row between pipes, for filters. */
export function fieldsSource(fields: Fields): FieldSource {
  return { get: name => fields.get(name === '' ? '_msg' : name) ?? '' }
}

/** An RFC 3339 text moved by nanoseconds; any other text is given back. */
export function timeLater(text: string, ns: number): string {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z$/.exec(text)
  if (match === null) return text
  const total =
    BigInt(Date.parse(`${match[1] ?? ''}Z`)) * 1_000_000n +
    BigInt((match[2] ?? '').padEnd(9, '0').slice(0, 9)) +
    BigInt(Math.round(ns))
  const ms = total >= 0n ? total / 1_000_000n : -((-total + 999_999n) / 1_000_000n)
  return timeText(Number(ms), Number(total - ms * 1_000_000n))
}

/** Nanoseconds since the epoch of an RFC 3339 text, NaN for something else. */
export function timeNs(text: string): number {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z$/.exec(text)
  if (match === null) return NaN
  return Date.parse(`${match[1] ?? ''}Z`) * 1e6 + Number((match[2] ?? '').padEnd(9, '0').slice(0, 9))
}

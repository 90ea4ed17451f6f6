/** Log entries as LogsQL sees them: fields with text values. An absent field and an empty one are the same. */
import { readPairs, type Lines } from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import { impliedService, serviceNameLabel } from '#model/service-name.ts'
import { instantOf, type Instant } from '#lang/logsql/numbers.ts'
import { xxhash64 } from '#codec/xxhash64.ts'
import { textOf } from '../logql/entry.ts'

/** A row of an answer or between pipes, its fields in the order in which they are shown. */
export type Fields = Map<string, string>

/** What filters read: an entry of a stream, or a row between pipes. */
export interface FieldSource {
  /** '' for a field that is not there. */
  get(name: string): string
  /** The entry's stream; behind a pipe only its text is left. */
  readonly stream?: { readonly labels: Labels }
  /** The row's time; undefined where it has none. */
  time(): Instant | undefined
}

/** A row's field, '' where it has none. */
export function fieldOf(row: Fields, name: string): string {
  return row.get(name) ?? ''
}

/** Metadata that is added at admission: left out of rows, unless a query names it. */
const addedLevel = 'detected_level'

/** The last second that was shown, and its text up to there: rows of one second follow each other. */
let lastSecond = NaN
let lastSecondText = ''

/** RFC 3339 in UTC, with as many digits of the second as are needed. */
export function timeText(ms: number, subNs: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastSecondText = new Date(second * 1000).toISOString().slice(0, 19)
    lastSecond = second
  }
  const ns = (ms - second * 1000) * 1e6 + subNs
  if (ns === 0) return `${lastSecondText}Z`
  // A one in front keeps the zeros behind it.
  const digits = String(1e9 + ns)
  let end = digits.length
  while (digits.charCodeAt(end - 1) === zero) end--
  return `${lastSecondText}.${digits.slice(1, end)}Z`
}

const zero = 48

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

/** Stands behind a stream's bytes for the second half of its id. */
const secondHalf = Buffer.from('magic!')

/** The field _stream_id: 16 digits of the tenant, always 0, and 32 of a hash of the labels, as in VictoriaLogs. */
function streamId(labels: Labels): string {
  // Texts that are no Unicode would all become the same in UTF-8.
  const texts = labels.pairs.map(text => Buffer.from(text, text.isWellFormed() ? 'utf8' : 'utf16le'))
  const bytes = Buffer.concat([varint(texts.length / 2), ...texts.flatMap(text => [varint(text.length), text])])
  const halves = [xxhash64(bytes), xxhash64(Buffer.concat([bytes, secondHalf]))]
  return `0000000000000000${halves.map(half => half.toString(16).padStart(16, '0')).join('')}`
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

/** The names of a stream. */
export function streamNames(labels: Labels): StreamNames {
  let names = streamsOf.get(labels)
  if (names === undefined) {
    const shown =
      labels.get(serviceNameLabel) === impliedService(labels) ? labels.drop(new Set([serviceNameLabel])) : labels
    const parts: string[] = []
    for (let i = 0; i < shown.pairs.length; i += 2)
      parts.push(`${shown.pairs[i]!}=${JSON.stringify(shown.pairs[i + 1]!)}`)
    streamsOf.set(labels, (names = { labels, shown, text: `{${parts.join(',')}}`, id: streamId(shown) }))
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
  /** Handed out again and again. */
  readonly #time: Instant = { ms: 0, subNs: 0 }

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
  time(): Instant {
    this.#time.ms = this.#lines.timesMs[this.#i]!
    this.#time.subNs = this.#lines.subNs[this.#i]!
    return this.#time
  }
  get timeText(): string {
    return timeText(this.#lines.timesMs[this.#i]!, this.#lines.subNs[this.#i]!)
  }

  get(name: string): string {
    switch (name) {
      case '':
      case '_msg':
        return this.message
      case '_time':
        return this.timeText
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

  /** The row that an answer shows; only the fields of `wanted`, where that is given. */
  fields(wanted?: ReadonlySet<string>): Fields {
    if (wanted !== undefined) return this.#someFields(wanted)
    const fields: Fields = new Map([
      ['_time', this.timeText],
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

  #someFields(wanted: ReadonlySet<string>): Fields {
    const fields: Fields = new Map()
    for (const name of wanted) {
      const value = this.#shown(name)
      if (value !== undefined) fields.set(name, value)
    }
    return fields
  }

  /** A field of the row that an answer shows: metadata before labels, and labels before what every row has. */
  #shown(name: string): string | undefined {
    const { pairs } = this
    if (name !== addedLevel) for (let i = pairs.length - 2; i >= 0; i -= 2) if (pairs[i] === name) return pairs[i + 1]!
    const { shown, id, text } = this.stream
    if (shown.has(name)) return shown.get(name)
    switch (name) {
      case '_time':
        return this.timeText
      case '_stream_id':
        return id
      case '_stream':
        return text
      case '_msg':
        return this.message
      default:
        return undefined
    }
  }
}

/** A row between pipes, for filters. */
export function fieldsSource(fields: Fields): FieldSource {
  return { get: name => fields.get(name) ?? '', time: () => instantOf(fields.get('_time') ?? '') }
}

/** An RFC 3339 text moved by nanoseconds; any other text is given back. */
export function timeLater(text: string, ns: number): string {
  const instant = instantOf(text)
  return instant === undefined ? text : instantText(nsOf(instant) + BigInt(Math.round(ns)))
}

/** Nanoseconds since the epoch. */
export function nsOf({ ms, subNs }: Instant): bigint {
  return BigInt(ms) * 1_000_000n + BigInt(subNs)
}

export function instantText(ns: bigint): string {
  const ms = ns >= 0n ? ns / 1_000_000n : -((-ns + 999_999n) / 1_000_000n)
  return timeText(Number(ms), Number(ns - ms * 1_000_000n))
}

/**
 * Loki's push request, protobuf and JSON, into a batch. Source: docs/logs.md; field numbers stand beside the names.
 * A problem of one stream is returned as text, and leaves the other streams as they are.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { parseNs } from '#core/nanoseconds.ts'
import { readInt64, readTextReplacing, skipField } from '#codec/protobuf.ts'
import { elementsMax, RecordCount, tooMany } from '#core/body-limits.ts'
import { BadDataError, CorruptDataError, LimitError } from '#core/errors.ts'
import { jsonBodyOf } from '#core/json-body.ts'
import { isRawNumber } from '#core/json.ts'
import { encodeUtf8 } from '#core/text.ts'
import { setOwn } from '#core/own.ts'
import type { Labels } from '#model/labels.ts'
import type { LogBatch } from '#model/log-batch.ts'
import { labelsFromObject, parseStreamLabels } from './labels.ts'

/**
 * Decodes an uncompressed message; the batch's lines lie in `bytes`. Returns what was wrong with single streams. Throws
 * CorruptDataError, and LimitError (400) for more than a body of its size may hold.
 */
export function decodePushRequest(bytes: Uint8Array, batch: LogBatch): string[] {
  batch.clear(bytes)
  const problems: string[] = []
  const streams = new RecordCount(bytes.length)
  const input = new ByteReader(bytes)
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      streams.add()
      const length = input.readLength()
      readStream(new ByteReader(bytes, input.at, input.at + length), batch, problems)
      input.at += length
    } else skipField(input, tag)
  }
  return problems
}

/**
 * The message out of its snappy block, by `unpack`. Throws BadDataError, with the texts that Loki's clients know, and
 * LimitError (413).
 */
export function unpackPushBody(body: Uint8Array, unpack: (body: Uint8Array) => Uint8Array): Uint8Array {
  if (body.length === 0) throw new BadDataError('EOF')
  try {
    return unpack(body)
  } catch (error) {
    if (error instanceof LimitError) throw error
    throw new BadDataError('snappy: corrupt input', { cause: error })
  }
}

/** Stream{labels=1, entries=2, hash=3}. Labels may come behind the entries. */
function readStream(input: ByteReader, batch: LogBatch, problems: string[]): void {
  const start = input.at
  let text = ''
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      text = readTextReplacing(input)
      if (input.at > start) break
    } else skipField(input, tag)
  }
  try {
    batch.beginStream(parseStreamLabels(text))
  } catch (error) {
    if (!(error instanceof BadDataError)) throw error
    problems.push(error.message)
    return
  }
  const linesMax = elementsMax('rows', input.bytes.length)
  input.at = start
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (batch.count > linesMax) throw tooMany('rows', input.bytes.length, input.at)
    if (tag === 0x12) {
      const end = input.readLength() + input.at
      readEntryOrProblem(input, end, batch, problems)
    } else skipField(input, tag)
  }
}

/** What is wrong in an entry costs that entry. */
function readEntryOrProblem(input: ByteReader, end: number, batch: LogBatch, problems: string[]): void {
  const { count } = batch
  try {
    readEntry(input, end, batch)
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error
    if (batch.count > count) batch.dropLine()
    problems.push(error.message)
    input.at = end
  }
}

/** Entry{timestamp=1 {seconds=1, nanos=2}, line=2, structuredMetadata=3 {name=1, value=2}}. */
function readEntry(input: ByteReader, end: number, batch: LogBatch): void {
  let seconds = 0
  let nanos = 0
  let from = input.at
  let to = input.at
  let pairsAt = -1
  while (input.at < end) {
    const tag = input.readUvarint()
    switch (tag) {
      case 0x0a: {
        const stop = input.readLength() + input.at
        while (input.at < stop) {
          const inner = input.readUvarint()
          if (inner === 0x08) seconds = readInt64(input)
          else if (inner === 0x10) nanos = readInt64(input)
          else skipField(input, inner)
        }
        break
      }
      case 0x12: {
        const length = input.readLength()
        from = input.at
        to = input.at += length
        break
      }
      case 0x1a:
        if (pairsAt < 0) pairsAt = input.at
        input.skip(input.readLength())
        break
      default:
        skipField(input, tag)
    }
  }
  if (input.at !== end) throw new CorruptDataError('push request: an entry runs past its end')
  const ms = Math.floor(nanos / 1e6)
  batch.addLine(seconds * 1000 + ms, nanos - ms * 1e6, from, to)
  if (pairsAt >= 0) readPairs(input, pairsAt, end, batch)
}

/** The entry's metadata, from the first pair on. */
function readPairs(input: ByteReader, at: number, end: number, batch: LogBatch): void {
  const textsMax = 2 * elementsMax('parts', input.bytes.length)
  input.at = at
  let isPair = true
  while (isPair || input.at < end) {
    const tag = isPair ? 0x1a : input.readUvarint()
    isPair = false
    if (tag !== 0x1a) {
      skipField(input, tag)
      continue
    }
    const stop = input.readLength() + input.at
    let name = ''
    let value = ''
    while (input.at < stop) {
      const inner = input.readUvarint()
      if (inner === 0x0a) name = readTextReplacing(input)
      else if (inner === 0x12) value = readTextReplacing(input)
      else skipField(input, inner)
    }
    if (batch.pairs.length >= textsMax) throw tooMany('parts', input.bytes.length, input.at)
    batch.addPair(name, value)
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value)

/** The same as `readPushJson`, from its bytes. */
export function parsePushJson(body: Uint8Array, batch: LogBatch): string[] {
  return readPushJson(jsonBodyOf(body), body.length, batch)
}

/**
 * Reads a request that was `bytes` long in JSON. Returns what was wrong with single streams and lines; throws
 * BadDataError for what is wrong with all, and LimitError (400) for more than a body of its size may hold.
 */
export function readPushJson(body: unknown, bytes: number, batch: LogBatch): string[] {
  // As an object without streams, as in Go.
  if (body === null) {
    batch.clear(new Uint8Array(0))
    return []
  }
  if (!isObject(body)) throw new BadDataError('the body is not an object with "streams"')
  const streams = body['streams'] ?? []
  if (!Array.isArray(streams)) throw new BadDataError('"streams" is not a list')
  const problems: string[] = []
  const records = new RecordCount(bytes)
  const lines = new ByteWriter(bytes + 64)
  batch.clear(lines.buffer)
  for (const stream of streams as unknown[])
    noting(problems, () => {
      records.add()
      const { labels, values } = streamOf(stream)
      batch.beginStream(labels)
      for (const value of values) {
        const problem = addValue(value, lines, batch)
        if (problem !== undefined) problems.push(problem)
      }
    })
  batch.bytes = lines.buffer
  return problems
}

/** What is wrong in a part costs that part. */
function noting(problems: string[], read: () => void): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof BadDataError)) throw error
    problems.push(error.message)
  }
}

function streamOf(stream: unknown): { labels: Labels; values: unknown[] } {
  if (!isObject(stream)) throw new BadDataError('a stream is not an object')
  const labels = stream['stream'] ?? {}
  const values = stream['values'] ?? []
  if (!Array.isArray(values)) throw new BadDataError('"values" is not a list')
  if (!isObject(labels)) throw new BadDataError('"stream" is not an object of labels')
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(labels))
    setOwn(found, name, typeof value === 'string' ? value.toWellFormed() : JSON.stringify(value))
  return { labels: labelsFromObject(found), values }
}

/** Returns what is wrong. */
function addValue(value: unknown, lines: ByteWriter, batch: LogBatch): string | undefined {
  if (!Array.isArray(value) || value.length === 0) return 'a value is not a list of time and line'
  const [time, line, metadata] = value as unknown[]
  const ns = typeof time === 'string' ? parseNs(time) : undefined
  if (ns === undefined) return `a time must be a string of nanoseconds, ${JSON.stringify(time)} is not`
  if (line !== undefined && typeof line !== 'string')
    return `a line must be a string, ${JSON.stringify(line).slice(0, 60)} is not`
  const pairs = metadata === undefined ? noPairs : isObject(metadata) ? Object.entries(metadata) : undefined
  if (pairs === undefined) return 'structured metadata must be an object of strings'
  for (const [name, text] of pairs)
    if (typeof text !== 'string') {
      const kind = text === null ? 'null' : isRawNumber(text) ? 'number' : typeof text
      return `structured metadata must be an object of strings; ${JSON.stringify(name)} is ${kind}`
    }
  const from = lines.at
  if (line !== undefined) lines.writeBytes(encodeUtf8(line))
  batch.addLine(ns.ms, ns.subNs, from, lines.at)
  for (const [name, text] of pairs) batch.addPair(name, text as string)
  return undefined
}

const noPairs: readonly [string, unknown][] = []

/** The same as `readLegacyPushJson`, from its bytes. */
export function parseLegacyPushJson(body: Uint8Array, batch: LogBatch): string[] {
  return readLegacyPushJson(jsonBodyOf(body), body.length, batch)
}

/** The legacy form of /api/prom/push: labels as text, entries with RFC 3339 times. Errors as `readPushJson`. */
export function readLegacyPushJson(body: unknown, bytes: number, batch: LogBatch): string[] {
  const streams = isObject(body) && Array.isArray(body['streams']) ? (body['streams'] as unknown[]) : []
  const problems: string[] = []
  const records = new RecordCount(bytes)
  const lines = new ByteWriter(bytes + 64)
  batch.clear(lines.buffer)
  for (const stream of streams)
    noting(problems, () => {
      records.add()
      if (!isObject(stream) || typeof stream['labels'] !== 'string' || !Array.isArray(stream['entries']))
        throw new BadDataError('a stream needs "labels" and "entries"')
      batch.beginStream(parseStreamLabels(stream['labels']))
      for (const entry of stream['entries'] as unknown[])
        noting(problems, () => {
          addLegacyEntry(entry, lines, batch)
        })
    })
  batch.bytes = lines.buffer
  return problems
}

function addLegacyEntry(entry: unknown, lines: ByteWriter, batch: LogBatch): void {
  if (!isObject(entry) || typeof entry['ts'] !== 'string' || typeof entry['line'] !== 'string')
    throw new BadDataError('an entry needs "ts" and "line"')
  const ms = Date.parse(entry['ts'])
  if (Number.isNaN(ms)) throw new BadDataError(`the time ${JSON.stringify(entry['ts'])} is not RFC 3339`)
  const fraction = /\.(\d+)/.exec(entry['ts'])?.[1]?.padEnd(9, '0') ?? '000000000'
  const from = lines.at
  lines.writeBytes(encodeUtf8(entry['line']))
  batch.addLine(ms, Number(fraction.slice(3, 9)), from, lines.at)
}

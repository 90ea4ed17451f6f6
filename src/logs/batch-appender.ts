/**
 * Lines of a batch, decided on one by one after Loki's admission rules, into a log record and what shows them when the
 * log has it. Synchronous. Source: docs/logs.md.
 */
import { BadDataError, LimitError } from '#core/errors.ts'
import { formatNs } from '#core/nanoseconds.ts'
import type { NowRange } from '#core/steady-clock.ts'
import { nameRefused, refuse } from '#model/append-outcome.ts'
import type { Labels } from '#model/labels.ts'
import type { LogBatch } from '#model/log-batch.ts'
import { impliedService, serviceNameLabel } from '#model/service-name.ts'
import { AdmittedLines } from './admitted-lines.ts'
import type { LogsAppendOutcome } from './append.ts'
import { detectLevel, knownLevel, levelNames, levelOfSeverityNumber } from './detected-level.ts'
import type { StreamHead } from './head.ts'
import { normalizeMetadataName } from './metadata-names.ts'
import type { Tenant } from './tenant.ts'
import { LinesRecord } from './wal-record.ts'

export interface AdmissionLimits {
  /** Lines that lie further back than this from now are refused; Infinity takes any age. */
  maxAgeMs: number
  futureMs: number
  /** How much older than its stream's newest line a line may be. */
  outOfOrderMs: number
  lineBytesMax: number
  labelsPerStreamMax: number
  labelNameBytesMax: number
  labelValueBytesMax: number
  metadataPairsMax: number
  metadataBytesMax: number
}

/** Lines too far behind that one refusal names. */
const behindMax = 10
/** So late a line may be at least whose stream has lines that are too far ahead. */
const aheadWindowMs = 3_600_000

/** Lines and streams of one record of a long batch, and their bytes: 2 to 10 ms, and as long to show them. */
export const sliceLines = 4096
const sliceBytes = 1024 * 1024

/** A stream whose lines are being admitted. */
interface OpenStream {
  readonly labels: Labels
  readonly levelFromLabels: string | undefined
  /** Behind its last line. */
  readonly end: number
  /** Lines that are too far behind, each as text. */
  readonly behind: string[]
  /** It is one stream too many: the rest of its lines is refused already. */
  isRefused: boolean
}

export class BatchAppender {
  readonly #limits: AdmissionLimits
  readonly record = new LinesRecord()
  /** What the record shows. */
  lines = new AdmittedLines()

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  admit(tenant: Tenant, batch: LogBatch, generation: number, now: NowRange): LogsAppendOutcome {
    const result = emptyOutcome(batch)
    this.#beginRecord()
    for (let s = 0; s < batch.streams.length; s++) {
      const from = batch.startOf[s]!
      const to = batch.startOf[s + 1]!
      if (from === to) continue
      const stream = this.#openStream(batch, s, from, to, result)
      if (stream === undefined) continue
      this.#admitLines(tenant, batch, stream, from, to, generation, now, result)
      closeStream(tenant, stream, to - from, result)
    }
    if (!this.record.isEmpty)
      tenant.lastDefinitions = this.record.definitions.repeat(tenant.lastDefinitions, generation)
    return result
  }

  /**
   * The same of a frozen batch, in parts of no more than `sliceLines`, or as many bytes as `sliceBytes` has: each is a
   * record of its own, for which `onRecord` is called, and which is of the generation that `generationOf` names then;
   * `onRecord` gets how many are stored so far, and what it returns is awaited before the next part, as `pause` is
   * behind a part of which nothing is stored. The outcome is that of the whole batch. Nothing else may use this
   * appender meanwhile.
   */
  async admitSlowly(
    tenant: Tenant,
    batch: LogBatch,
    now: NowRange,
    generationOf: () => number,
    onRecord: (stored: number) => Promise<void>,
    pause: () => Promise<void>,
  ): Promise<LogsAppendOutcome> {
    const result = emptyOutcome(batch)
    this.#beginRecord()
    let generation = generationOf()
    let room = sliceLines
    const end = async (): Promise<void> => {
      if (this.record.isEmpty) await pause()
      else {
        tenant.lastDefinitions = this.record.definitions.repeat(tenant.lastDefinitions, generation)
        await onRecord(result.stored)
      }
      this.#beginRecord()
      room = sliceLines
    }
    for (let s = 0; s < batch.streams.length; s++) {
      const first = batch.startOf[s]!
      const last = batch.startOf[s + 1]!
      const stream = first === last ? undefined : this.#openStream(batch, s, first, last, result)
      room--
      for (let from = first; stream !== undefined && from < last && !stream.isRefused;) {
        const to = endOfSlice(batch, from, Math.min(last, from + room))
        // While nothing is in the record it may still become one of the next generation.
        if (this.record.isEmpty) generation = generationOf()
        this.#admitLines(tenant, batch, stream, from, to, generation, now, result)
        room -= to - from
        if (to < last || room <= 0 || this.record.length > sliceBytes) await end()
        from = to
      }
      if (stream !== undefined) closeStream(tenant, stream, last - first, result)
      if (room <= 0) await end()
    }
    await end()
    return result
  }

  #beginRecord(): void {
    this.record.clear()
    this.lines = new AdmittedLines()
  }

  /** Stream `s`, with lines [from, to); undefined when all of them are refused. */
  #openStream(batch: LogBatch, s: number, from: number, to: number, result: LogsAppendOutcome): OpenStream | undefined {
    const sent = batch.streams[s]!
    const labels = this.#labelsOf(sent, from, to - from, result)
    if (labels === undefined) return undefined
    return { labels, levelFromLabels: levelAmong(sent.pairs), end: to, behind: [], isRefused: false }
  }

  /** Lines [from, to) of a stream. */
  #admitLines(
    tenant: Tenant,
    batch: LogBatch,
    open: OpenStream,
    from: number,
    to: number,
    generation: number,
    now: NowRange,
    result: LogsAppendOutcome,
  ): void {
    const { labels, levelFromLabels, behind } = open
    let stream = tenant.head.find(labels)
    const { maxAgeMs, futureMs, outOfOrderMs, lineBytesMax } = this.#limits
    const oldestMs = now.earliestMs - maxAgeMs
    const newestMs = now.latestMs + futureMs
    let isBegun = false
    for (let i = from; i < to; i++) {
      const ms = batch.timesMs[i]!
      const subNs = batch.subNs[i]!
      const length = batch.lineTo[i]! - batch.lineFrom[i]!
      if (ms < oldestMs || ms > newestMs || length > lineBytesMax) {
        const problem = this.#outOfBounds(labels, ms, length, now)
        refuse(result, problem)
        nameRefused(result, problem, i)
        continue
      }
      const newestInStreamMs = stream?.newestAdmittedMs ?? -Infinity
      // A newest line that nobody could send now was left by a clock that was ahead: it makes none of now late.
      const leastWindowMs = newestInStreamMs > now.earliestMs + futureMs ? aheadWindowMs : 0
      const oldestInStreamMs = Math.min(newestInStreamMs, now.earliestMs) - Math.max(outOfOrderMs, leastWindowMs)
      if (ms < oldestInStreamMs) {
        if (behind.length < behindMax) behind.push(tooFarBehind(ms, subNs, oldestInStreamMs))
        result.refused++
        if (batch.namesRefused) nameRefused(result, tooFarBehind(ms, subNs, oldestInStreamMs), i)
        continue
      }
      const pairs = this.#admitMetadata(batch, i, levelFromLabels, labels, result)
      if (pairs === undefined) continue
      stream ??= this.#makeStream(tenant, labels, i, open.end - i, now.earliestMs, result)
      if (stream === undefined) {
        open.isRefused = true
        break
      }
      if (!isBegun) this.#begin(stream, generation)
      isBegun = true
      result.stored++
      if (ms > stream.newestAdmittedMs) stream.newestAdmittedMs = ms
      this.record.add(stream.number, ms, subNs, batch.bytes, batch.lineFrom[i]!, batch.lineTo[i]!, pairs)
      this.lines.addLine(pairs)
    }
  }

  /** Lines of the stream follow. */
  #begin(stream: StreamHead, generation: number): void {
    this.lines.addStream(stream)
    if (stream.definedIn === generation) return
    stream.definedIn = generation
    this.record.define(stream.number, stream.labels)
  }

  /** The labels of a stream of `entries` lines from `from` on; undefined when all of them are refused. */
  #labelsOf(sent: Labels, from: number, entries: number, result: LogsAppendOutcome): Labels | undefined {
    const labels = withServiceName(sent)
    const problem = this.#checkLabels(sent, labels)
    if (problem === undefined) return labels
    refuse(result, problem, entries)
    nameRefused(result, problem, from, entries)
    return undefined
  }

  /** A new stream for a line that is admitted; undefined when it is one too many: then all its lines are refused. */
  #makeStream(
    tenant: Tenant,
    labels: Labels,
    from: number,
    entries: number,
    nowMs: number,
    result: LogsAppendOutcome,
  ): StreamHead | undefined {
    try {
      return tenant.head.stream(labels, nowMs)
    } catch (error) {
      if (!(error instanceof LimitError)) throw error
      refuse(result, error.message, entries)
      nameRefused(result, error.message, from, entries, true)
      result.status = 429
      return undefined
    }
  }

  /** Why a line that is too old, too new or too long is refused. */
  #outOfBounds(labels: Labels, ms: number, length: number, { earliestMs, latestMs }: NowRange): string {
    const { maxAgeMs, futureMs, lineBytesMax } = this.#limits
    const stream = `stream '${labels.toString()}'`
    if (ms < earliestMs - maxAgeMs)
      return (
        `entry for ${stream} has timestamp too old: ${rfc3339(ms)}, ` +
        `oldest acceptable timestamp is: ${rfc3339(earliestMs - maxAgeMs)}`
      )
    if (ms > latestMs + futureMs) return `entry for ${stream} has timestamp too new: ${rfc3339(ms)}`
    return (
      `max entry size '${lineBytesMax}' bytes exceeded for ${stream} ` +
      `while adding an entry with length '${length}' bytes`
    )
  }

  /** The metadata of an entry; undefined when the entry is refused for it. */
  #admitMetadata(
    batch: LogBatch,
    i: number,
    levelFromLabels: string | undefined,
    labels: Labels,
    result: LogsAppendOutcome,
  ): readonly string[] | undefined {
    try {
      const pairs = this.#metadata(batch, i, levelFromLabels)
      const problem = this.#checkMetadata(pairs, labels)
      if (problem === undefined) return pairs
      refuse(result, problem)
      nameRefused(result, problem, i)
    } catch (error) {
      if (!(error instanceof BadDataError)) throw error
      refuse(result, error.message)
      nameRefused(result, error.message, i)
    }
    return undefined
  }

  /** `all`: with the name of the service, by which a message names the stream. */
  #checkLabels(sent: Labels, all: Labels): string | undefined {
    const { labelsPerStreamMax, labelNameBytesMax, labelValueBytesMax } = this.#limits
    const counted = sent.size - (sent.has(serviceNameLabel) ? 1 : 0)
    if (counted > labelsPerStreamMax)
      return `entry for stream '${all.toString()}' has ${counted} label names; limit ${labelsPerStreamMax}`
    const { pairs } = sent
    for (let i = 0; i < pairs.length; i += 2) {
      if (bytesOf(pairs[i]!) > labelNameBytesMax)
        return `stream '${all.toString()}' has label name too long: '${pairs[i]!}'`
      if (bytesOf(pairs[i + 1]!) > labelValueBytesMax)
        return `stream '${all.toString()}' has label value too long: '${pairs[i + 1]!}'`
    }
    return undefined
  }

  /** The level does not count: it is found where it was not sent. */
  #checkMetadata(pairs: readonly string[], labels: Labels): string | undefined {
    const { metadataPairsMax, metadataBytesMax } = this.#limits
    const level = pairs.indexOf('detected_level')
    const count = pairs.length / 2 - (level < 0 ? 0 : 1)
    if (count > metadataPairsMax)
      return (
        `stream '${labels.toString()}' has too many structured metadata labels: ` +
        `'${count}', limit: '${metadataPairsMax}'`
      )
    let characters = 0
    for (const text of pairs) characters += text.length
    if (characters <= metadataBytesMax / 3) return undefined
    const found = level < 0 ? 0 : bytesOf(pairs[level]!) + bytesOf(pairs[level + 1]!)
    const size = pairs.reduce((sum, text) => sum + bytesOf(text), 0) - found
    if (size > metadataBytesMax)
      return (
        `stream '${labels.toString()}' has structured metadata too large: ` +
        `'${size}' bytes, limit: '${metadataBytesMax}' bytes`
      )
    return undefined
  }

  /**
   * The pairs of an entry: normalised names in order, the later of two wins, no empty values; with the level that was
   * sent or found.
   */
  #metadata(batch: LogBatch, i: number, levelFromLabels: string | undefined): readonly string[] {
    const from = batch.pairsFrom[i]!
    const to = batch.pairsTo[i]!
    if (from === to)
      return levelPairs(levelFromLabels ?? detectLevel(batch.bytes, batch.lineFrom[i]!, batch.lineTo[i]!))
    const values = new Map<string, string>()
    for (let p = from; p < to; p += 2) {
      const name = batch.isVerbatim ? batch.pairs[p]! : normalizeMetadataName(batch.pairs[p]!)
      if (batch.pairs[p + 1] !== '') values.set(name, batch.pairs[p + 1]!)
    }
    const sent = values.get('detected_level')
    values.set(
      'detected_level',
      sent !== undefined
        ? (knownLevel(sent) ?? sent)
        : (levelFromLabels ??
            levelAmong(batch.pairs, from, to) ??
            levelOfNumber(values) ??
            detectLevel(batch.bytes, batch.lineFrom[i]!, batch.lineTo[i]!)),
    )
    const pairs: string[] = []
    for (const name of [...values.keys()].sort()) pairs.push(name, values.get(name) ?? '')
    return pairs
  }
}

function emptyOutcome(batch: LogBatch): LogsAppendOutcome {
  const result: LogsAppendOutcome = { stored: 0, refused: 0, problems: [], status: 400 }
  if (batch.namesRefused) result.refusedAt = []
  return result
}

/** Where a slice of lines [from, to) ends that has no more than `sliceBytes`, and one line at least. */
function endOfSlice({ lineFrom, lineTo }: LogBatch, from: number, to: number): number {
  let bytes = 0
  for (let i = from; i < to; i++) {
    bytes += lineTo[i]! - lineFrom[i]!
    if (bytes > sliceBytes) return Math.max(i, from + 1)
  }
  return to
}

/** Reports a stream's lines that were too far behind, of `entries`. */
function closeStream(tenant: Tenant, { labels, behind }: OpenStream, entries: number, result: LogsAppendOutcome): void {
  if (behind.length === 0) return
  const ignored = `total ignored: ${behind.length} out of ${entries} for stream: ${labels.toString()}`
  result.problems.push({ message: `${behind.join('\n')}\nuser '${tenant.name}', ${ignored}`, count: 1 })
}

const pairsOfLevel = new Map<string, readonly string[]>()

/** The level as the only metadata: one list for each level, so that what encodes it knows it again. */
function levelPairs(level: string): readonly string[] {
  let pairs = pairsOfLevel.get(level)
  if (pairs === undefined) {
    pairs = ['detected_level', level]
    if (pairsOfLevel.size < 1000) pairsOfLevel.set(level, pairs)
  }
  return pairs
}

function levelOfNumber(values: ReadonlyMap<string, string>): string | undefined {
  const number = values.get('severity_number')
  return number === undefined ? undefined : levelOfSeverityNumber(number)
}

/** The value of the first field that means a level, among names and values in turn. */
function levelAmong(pairs: readonly string[], from = 0, to = pairs.length): string | undefined {
  let best = Infinity
  let found: string | undefined
  for (let i = from; i < to; i += 2) {
    const rank = levelNames.indexOf(pairs[i]! as (typeof levelNames)[number])
    if (rank >= 0 && rank < best && pairs[i + 1] !== '') {
      best = rank
      found = pairs[i + 1]
    }
  }
  return found === undefined ? undefined : (knownLevel(found) ?? found)
}

const named = new WeakMap<Labels, Labels>()

/** With a `service_name`, found among the labels that usually name a service. */
export function withServiceName(labels: Labels): Labels {
  if (labels.has(serviceNameLabel)) return labels
  let result = named.get(labels)
  if (result === undefined) {
    named.set(labels, (result = labels.with(serviceNameLabel, impliedService(labels))))
  }
  return result
}

function tooFarBehind(ms: number, subNs: number, oldestMs: number): string {
  return (
    `entry with timestamp ${goTime(ms, subNs)} ignored, reason: 'entry too far behind, ` +
    `entry timestamp is: ${rfc3339(ms)}, oldest acceptable timestamp is: ${rfc3339(oldestMs)}',`
  )
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text)
}
function rfc3339(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? `${new Date(ms).toISOString().slice(0, -5)}Z` : String(ms)
}
function goTime(ms: number, subNs: number): string {
  if (Math.abs(ms) > 8.64e15) return formatNs(ms, subNs)
  const iso = new Date(ms).toISOString()
  const fraction = `${iso.slice(20, 23)}${String(subNs).padStart(6, '0')}`.replace(/0+$/, '')
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction === '' ? '' : `.${fraction}`} +0000 UTC`
}

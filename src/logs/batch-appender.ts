/** Lines of a batch into the heads and into a log record, after Loki's admission rules. Synchronous. Source: docs/logs.md. */
import { formatNs } from '#core/nanoseconds.ts'
import { BadDataError, LimitError } from '#core/errors.ts'
import { refuse } from '#model/append-outcome.ts'
import type { LogBatch } from '#model/log-batch.ts'
import type { Labels } from '#model/labels.ts'
import { impliedService, serviceNameLabel } from '#model/service-name.ts'
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

export class BatchAppender {
  readonly #limits: AdmissionLimits
  readonly record = new LinesRecord()
  /** What is told to those who listen: set while somebody does. */
  onLine:
    | ((
        tenant: string,
        stream: StreamHead,
        ms: number,
        subNs: number,
        bytes: Uint8Array,
        from: number,
        to: number,
        pairs: readonly string[],
      ) => void)
    | undefined

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  append(tenant: Tenant, batch: LogBatch, generation: number, nowMs: number): LogsAppendOutcome {
    const result: LogsAppendOutcome = { stored: 0, refused: 0, problems: [], status: 400 }
    this.record.clear()
    for (let s = 0; s < batch.streams.length; s++) this.#appendStream(tenant, batch, s, generation, nowMs, result)
    return result
  }

  #appendStream(
    tenant: Tenant,
    batch: LogBatch,
    s: number,
    generation: number,
    nowMs: number,
    result: LogsAppendOutcome,
  ): void {
    const from = batch.startOf[s]!,
      to = batch.startOf[s + 1]!
    if (from === to) return
    const sent = batch.streams[s]!
    let stream: StreamHead
    try {
      const problem = this.#checkLabels(sent)
      if (problem !== undefined) {
        refuse(result, problem, to - from)
        return
      }
      stream = tenant.head.stream(withServiceName(sent), nowMs)
    } catch (error) {
      if (!(error instanceof LimitError)) throw error
      refuse(result, error.message, to - from)
      result.status = 429
      return
    }
    if (stream.definedIn !== generation) {
      stream.definedIn = generation
      this.record.define(stream.number, stream.labels)
    }
    const { maxAgeMs, futureMs, outOfOrderMs } = this.#limits
    const levelFromLabels = levelAmong(sent.pairs)
    const oldestMs = nowMs - maxAgeMs,
      newestMs = nowMs + futureMs
    const tooFarBehind: string[] = []
    for (let i = from; i < to; i++) {
      const ms = batch.timesMs[i]!,
        subNs = batch.subNs[i]!
      const length = batch.lineTo[i]! - batch.lineFrom[i]!
      if (ms < oldestMs) {
        refuse(
          result,
          `entry for stream '${stream.labels.toString()}' has timestamp too old: ${rfc3339(ms)}, oldest acceptable timestamp is: ${rfc3339(oldestMs)}`,
        )
        continue
      }
      if (ms > newestMs) {
        refuse(result, `entry for stream '${stream.labels.toString()}' has timestamp too new: ${rfc3339(ms)}`)
        continue
      }
      if (length > this.#limits.lineBytesMax) {
        refuse(
          result,
          `max entry size '${this.#limits.lineBytesMax}' bytes exceeded for stream '${stream.labels.toString()}' while adding an entry with length '${length}' bytes`,
        )
        continue
      }
      if (ms < stream.newestMs - outOfOrderMs) {
        if (tooFarBehind.length < 10)
          tooFarBehind.push(
            `entry with timestamp ${goTime(ms, subNs)} ignored, reason: 'entry too far behind, entry timestamp is: ${rfc3339(ms)}, oldest acceptable timestamp is: ${rfc3339(stream.newestMs - outOfOrderMs)}',`,
          )
        result.refused++
        continue
      }
      let pairs: readonly string[]
      try {
        pairs = this.#metadata(batch, i, levelFromLabels)
      } catch (error) {
        if (!(error instanceof BadDataError)) throw error
        refuse(result, error.message)
        continue
      }
      const problem = this.#checkMetadata(pairs, stream.labels)
      if (problem !== undefined) {
        refuse(result, problem)
        continue
      }
      result.stored++
      if (!stream.append(nowMs, ms, subNs, batch.bytes, batch.lineFrom[i]!, batch.lineTo[i]!, pairs)) continue
      this.record.add(stream.number, ms, subNs, batch.bytes, batch.lineFrom[i]!, batch.lineTo[i]!, pairs)
      this.onLine?.(tenant.name, stream, ms, subNs, batch.bytes, batch.lineFrom[i]!, batch.lineTo[i]!, pairs)
    }
    if (tooFarBehind.length > 0)
      result.problems.push({
        message: `${tooFarBehind.join('\n')}\nuser '${tenant.name}', total ignored: ${tooFarBehind.length} out of ${to - from} for stream: ${stream.labels.toString()}`,
        count: 1,
      })
  }

  #checkLabels(labels: Labels): string | undefined {
    const { labelsPerStreamMax, labelNameBytesMax, labelValueBytesMax } = this.#limits
    const counted = labels.size - (labels.has(serviceNameLabel) ? 1 : 0)
    if (counted > labelsPerStreamMax)
      return `entry for stream '${labels.toString()}' has ${counted} label names; limit ${labelsPerStreamMax}`
    const { pairs } = labels
    for (let i = 0; i < pairs.length; i += 2) {
      if (bytesOf(pairs[i]!) > labelNameBytesMax)
        return `stream '${labels.toString()}' has label name too long: '${pairs[i]!}'`
      if (bytesOf(pairs[i + 1]!) > labelValueBytesMax)
        return `stream '${labels.toString()}' has label value too long: '${pairs[i + 1]!}'`
    }
    return undefined
  }

  #checkMetadata(pairs: readonly string[], labels: Labels): string | undefined {
    const { metadataPairsMax, metadataBytesMax } = this.#limits
    if (pairs.length / 2 > metadataPairsMax)
      return `stream '${labels.toString()}' has too many structured metadata labels: '${pairs.length / 2}', limit: '${metadataPairsMax}'`
    let size = 0
    for (const text of pairs) size += text.length
    if (size > metadataBytesMax / 3 && pairs.reduce((sum, text) => sum + bytesOf(text), 0) > metadataBytesMax)
      return `stream '${labels.toString()}' has structured metadata too large: '${size}' bytes, limit: '${metadataBytesMax}' bytes`
    return undefined
  }

  /** The pairs of an entry: normalised names in order, the later of two wins, no empty values; with the level that was told or found. */
  #metadata(batch: LogBatch, i: number, levelFromLabels: string | undefined): readonly string[] {
    const from = batch.pairsFrom[i]!,
      to = batch.pairsTo[i]!
    if (from === to)
      return levelPairs(levelFromLabels ?? detectLevel(batch.bytes, batch.lineFrom[i]!, batch.lineTo[i]!))
    const values = new Map<string, string>()
    for (let p = from; p < to; p += 2) {
      const name = batch.isVerbatim ? batch.pairs[p]! : normalizeMetadataName(batch.pairs[p]!)
      if (batch.pairs[p + 1] !== '') values.set(name, batch.pairs[p + 1]!)
    }
    const told = values.get('detected_level')
    values.set(
      'detected_level',
      told !== undefined
        ? (knownLevel(told) ?? told)
        : (levelFromLabels ??
            levelAmong(batch.pairs, from, to) ??
            levelOfNumber(values) ??
            detectLevel(batch.bytes, batch.lineFrom[i]!, batch.lineTo[i]!)),
    )
    const names = [...values.keys()].sort()
    return names.flatMap(name => [name, values.get(name)!])
  }
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

/** With a `service_name`, found among the labels that usually tell it. */
export function withServiceName(labels: Labels): Labels {
  if (labels.has(serviceNameLabel)) return labels
  let result = named.get(labels)
  if (result === undefined) {
    named.set(labels, (result = labels.with(serviceNameLabel, impliedService(labels))))
  }
  return result
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text)
}
function rfc3339(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString().replace(/\.000Z$/, 'Z') : String(ms)
}
function goTime(ms: number, subNs: number): string {
  if (Math.abs(ms) > 8.64e15) return formatNs(ms, subNs)
  const iso = new Date(ms).toISOString()
  const fraction = `${iso.slice(20, 23)}${String(subNs).padStart(6, '0')}`.replace(/0+$/, '')
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction === '' ? '' : `.${fraction}`} +0000 UTC`
}

/** InfluxDB's line protocol, as VictoriaMetrics names the series: measurement_field{tags..., db}. */
import type { Clock } from '#core/clock.ts'
import { endOfEmptyLines, endOfLines } from '#core/line-cursor.ts'
import { yieldEvery } from '#core/yield.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { ownOf } from '#core/own.ts'
import { decodeUtf8Marking } from '#core/text.ts'
import { refuse } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import type { HttpRequest } from '#net/route-table.ts'
import { parseInfluxLine, precisionNs } from '#wire/influx-line/parse.ts'
import {
  addOutcome,
  batchSamples,
  emptyOutcome,
  extraLabels,
  samplesReply,
  serveMetrics,
  type MetricsProtocol,
  type MetricsPush,
} from './metrics-push.ts'
import type { ServedProtocol } from './protocol.ts'

interface Format {
  /** Nanoseconds in one unit of the times. */
  readonly unitNs: bigint
  readonly extra: readonly [string, string][]
}

export function influx(push: MetricsPush): ServedProtocol {
  return serveMetrics(push, protocolOf(push.clock), {
    methods: ['POST', 'PUT'],
    paths: ['/write', '/influx/write', '/api/v2/write'],
  })
}

function protocolOf(clock: Clock): MetricsProtocol<Format> {
  return {
    formatOf,
    async store(body, { unitNs, extra }, intake) {
      const total = emptyOutcome()
      const builder = new BatchBuilder()
      const nowMs = clock.nowMs()
      const pause = yieldEvery(clock)
      let number = 0
      for (let from = 0; from < body.length;) {
        const start = endOfEmptyLines(body, from)
        number += start - from
        const to = endOfLines(body, start)
        const lines = decodeUtf8Marking(body, start, to).split('\n')
        // Behind the last line's end nothing follows.
        if (lines.at(-1) === '') lines.pop()
        from = to
        for (const line of lines) {
          number++
          if (line.trim() === '' || line.startsWith('#')) continue
          try {
            addLine(line, unitNs, extra, nowMs, builder)
          } catch (error) {
            refuse(total, `line ${number}: ${messageOf(error)}`)
          }
        }
        if (from === body.length) break
        await pause()
        if (builder.batch.sampleCount < batchSamples) continue
        builder.batch.isPart = true
        addOutcome(total, await intake.append(builder.batch))
        builder.clear()
      }
      addOutcome(total, await intake.append(builder.batch))
      return total
    },
    reply: outcome => samplesReply(outcome),
  }
}

/** As VictoriaMetrics has it by default, times four. */
const lineLengthMax = 1 << 20

/** Throws BadDataError for what is wrong with the line. */
function addLine(
  line: string,
  unitNs: bigint,
  extra: readonly [string, string][],
  nowMs: number,
  builder: BatchBuilder,
): void {
  if (line.length > lineLengthMax)
    throw new BadDataError(`the line is ${line.length} long, the limit is ${lineLengthMax}; send it as several`)
  if (!line.isWellFormed()) throw new BadDataError('the line is not UTF-8')
  const { measurement, tags, fields, time } = parseInfluxLine(line.trim())
  const timeMs = time === undefined ? nowMs : wholeMs(time * unitNs)
  if (fields.length * (tags.length + extra.length) > labelsMax)
    throw new BadDataError(`the line has ${fields.length} fields with ${tags.length} tags each; send it as several`)
  for (const [field, value] of fields)
    builder.add(Labels.from([...tags, ...extra, ['__name__', `${measurement}_${field}`]]), timeMs, value)
}

/** Every field of a line gets all of its tags: 64 labels of 1,000 fields. */
const labelsMax = 64_000

/** Rounded down. */
function wholeMs(ns: bigint): number {
  const ms = ns / 1_000_000n
  return Number(ms * 1_000_000n > ns ? ms - 1n : ms)
}

function formatOf(request: HttpRequest): Format {
  const precision = request.query.get('precision') ?? 'ns'
  const unitNs = ownOf(precisionNs, precision)
  if (unitNs === undefined)
    throw new BadDataError(
      `precision ${JSON.stringify(precision)} is not known; ${Object.keys(precisionNs).join(', ')} are`,
    )
  const database = request.query.get('db') ?? request.query.get('bucket') ?? ''
  const extra = extraLabels(request)
  if (database !== '') extra.push(['db', database])
  return { unitNs, extra }
}

/** POST /write: InfluxDB line protocol, as VictoriaMetrics names the series: measurement_field{tags…, db}. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import { refuse } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { parseInfluxLine, precisionMs } from '#wire/influx-line/parse.ts'
import { emptyResult, addResult, extraLabels } from './import.ts'
import { ingestError, ingestReply } from './reply.ts'

export class InfluxHandler {
  readonly #appender: MetricsAppender
  readonly #tenantOf: (request: HttpRequest) => string
  readonly #clock: Clock

  constructor(appender: MetricsAppender, tenantOf: (request: HttpRequest) => string, clock: Clock) {
    this.#appender = appender
    this.#tenantOf = tenantOf
    this.#clock = clock
  }

  readonly handle = async (request: HttpRequest): Promise<HttpReply> => {
    try {
      const precision = request.query.get('precision') ?? 'ns'
      const unitMs = precisionMs[precision]
      if (unitMs === undefined)
        throw new BadDataError(
          `precision ${JSON.stringify(precision)} is not known; ${Object.keys(precisionMs).join(', ')} are`,
        )
      const database = request.query.get('db') ?? request.query.get('bucket')
      const extra = extraLabels(request)
      if (database !== null && database !== '') extra.push(['db', database])
      const total = emptyResult()
      const builder = new BatchBuilder()
      const nowMs = this.#clock.nowMs()
      let number = 0
      for (const line of Buffer.from(await request.body())
        .toString('utf8')
        .split('\n')) {
        number++
        if (line.trim() === '' || line.startsWith('#')) continue
        try {
          const point = parseInfluxLine(line.trim())
          const timeMs = point.time === undefined ? nowMs : Math.floor(point.time * unitMs)
          for (const [field, value] of point.fields)
            builder.add(
              Labels.from([...point.tags, ...extra, ['__name__', `${point.measurement}_${field}`]]),
              timeMs,
              value,
            )
        } catch (error) {
          refuse(total, `line ${number}: ${messageOf(error)}`)
        }
      }
      addResult(total, await this.#appender.append(this.#tenantOf(request), builder.batch))
      return ingestReply(total)
    } catch (error) {
      return ingestError(error)
    }
  }
}

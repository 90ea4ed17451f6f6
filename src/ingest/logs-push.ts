/** What the push protocols of logs share. */
import type { Clock } from '#core/clock.ts'
import type { Limits } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import type { LogsAppendOutcome, LogsAppender } from '#logs/append.ts'
import type { LogBatch } from '#model/log-batch.ts'
import type { HttpReply } from '#net/route-table.ts'
import type { WriteKernel } from '#wire/remote-write/v1.ts'
import type { Decoding } from './large-bodies.ts'
import { serve, type Places, type PushProtocol, type ServedProtocol, type TenantOf } from './protocol.ts'
import { plainText } from './reply.ts'

/** What the push protocols of logs are made of. */
export interface LogsPush extends Decoding {
  readonly appender: LogsAppender
  readonly tenantOf: TenantOf
  /** Lines without a time get this one's. */
  readonly clock: Clock
  readonly log: Log
  /** Unpacks snappy's block form. */
  readonly kernel: Pick<WriteKernel, 'unpack'>
  readonly limits: Pick<Limits, 'decodedBytesMax'>
}

export type LogProtocol<Format, Stored = LogsAppendOutcome> = PushProtocol<Format, LogBatch, LogsAppendOutcome, Stored>

export function serveLogs<Format, Stored>(
  { appender, tenantOf }: LogsPush,
  protocol: LogProtocol<Format, Stored>,
  places: Places<NoInfer<Format>, NoInfer<Stored>>,
): ServedProtocol {
  return serve(protocol, places, {
    signal: 'logs',
    append: (tenant, batch) => appender.append(tenant, batch),
    tenantOf,
  })
}

/** As Loki answers a message without a line. */
export const noStreamReply: HttpReply = {
  status: 422,
  headers: plainText,
  body: 'error at least one valid stream is required for ingestion\n',
}

/**
 * All push protocols of logs, one a line. `app` adds what they serve to its HTTP and gRPC servers:
 *
 *     const push = logProtocols({ appender: logs, tenantOf, clock, log, kernel, limits })
 *     table.add('logs', push.routes)
 *
 * Syslog is no request with a reply: see syslog.ts.
 */
import type { GrpcMethod } from '#net/grpc.ts'
import type { GuardedRoute } from '#net/route-table.ts'
import { elasticsearch } from './elasticsearch.ts'
import { journald } from './journald.ts'
import { jsonline } from './jsonline.ts'
import type { LogsPush } from './logs-push.ts'
import { legacyLokiPush, lokiPush } from './loki-push.ts'
import { otlpLogs, otlpLogsOfLoki } from './otlp-logs.ts'
import { joinProtocols } from './protocol.ts'

export function logProtocols(push: LogsPush): { routes: GuardedRoute[]; grpc: GrpcMethod[] } {
  return joinProtocols([
    lokiPush(push),
    legacyLokiPush(push),
    otlpLogs(push),
    otlpLogsOfLoki(push),
    jsonline(push),
    journald(push),
    elasticsearch(push),
  ])
}

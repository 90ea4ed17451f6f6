/**
 * All push protocols of metrics, one a line. `app` adds what they serve to its HTTP and gRPC servers:
 *
 *     const push = metricsProtocols({ appender: metrics, tenantOf, clock, kernel, limits })
 *     table.add('metrics', push.routes)
 */
import type { GrpcMethod } from '#net/grpc.ts'
import type { GuardedRoute } from '#net/route-table.ts'
import { exposition } from './exposition.ts'
import { influx } from './influx.ts'
import { jsonLines } from './json-lines.ts'
import type { MetricsPush } from './metrics-push.ts'
import { otlpMetrics } from './otlp-metrics.ts'
import { joinProtocols } from './protocol.ts'
import { remoteWrite } from './remote-write.ts'

export function metricsProtocols(push: MetricsPush): { routes: GuardedRoute[]; grpc: GrpcMethod[] } {
  return joinProtocols([remoteWrite(push), otlpMetrics(push), jsonLines(push), exposition(push), influx(push)])
}

/** The paths at which an agent takes metrics. It has no gRPC. */
const agentPaths: ReadonlySet<string> = new Set([
  '/api/v1/write',
  '/api/v1/push',
  '/prometheus/api/v1/write',
  '/v1/metrics',
  '/opentelemetry/v1/metrics',
  '/api/v1/import/prometheus',
])

/** The routes of an agent, whose appender is a MetricsForwarder. */
export function agentMetricsRoutes(push: MetricsPush): GuardedRoute[] {
  return metricsProtocols(push).routes.filter(route => agentPaths.has(route.path))
}

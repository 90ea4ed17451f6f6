/**
 * All push protocols of traces, one a line. `app` adds what they serve to its HTTP and gRPC servers:
 *
 *     const push = traceProtocols({ appender: traces, tenantOf, clock, onStored })
 *     table.add('traces', push.routes)
 */
import type { GrpcMethod } from '#net/grpc.ts'
import type { GuardedRoute } from '#net/route-table.ts'
import { jaeger } from './jaeger.ts'
import { otlpTraces } from './otlp-traces.ts'
import { joinProtocols } from './protocol.ts'
import type { TracesPush } from './traces-push.ts'
import { zipkin } from './zipkin.ts'

export function traceProtocols(push: TracesPush): { routes: GuardedRoute[]; grpc: GrpcMethod[] } {
  return joinProtocols([otlpTraces(push), zipkin(push), jaeger(push)])
}

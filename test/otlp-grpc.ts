/** One call of an OTLP service over gRPC, for tests. */
import { credentials, makeGenericClientConstructor, Metadata } from '@grpc/grpc-js'

export type OtlpSignal = 'metrics' | 'logs' | 'traces'

const asIs = (bytes: Buffer): Buffer => bytes
const services = { metrics: 'Metrics', logs: 'Logs', traces: 'Trace' } as const

/** The status code (0 without an error), its text, and the answer. */
export function exportOverGrpc(
  address: string,
  signal: OtlpSignal,
  request: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ code: number; details: string; answer: Buffer }> {
  const service = `${services[signal]}Service`
  const path = `/opentelemetry.proto.collector.${signal === 'traces' ? 'trace' : signal}.v1.${service}/Export`
  const client = new (makeGenericClientConstructor({}, service))(address, credentials.createInsecure())
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return new Promise(resolve => {
    client.makeUnaryRequest(
      path,
      asIs,
      asIs,
      Buffer.from(request),
      metadata,
      (error: { code: number; details: string } | null, answer?: Buffer) => {
        client.close()
        resolve({ code: error?.code ?? 0, details: error?.details ?? '', answer: answer ?? Buffer.alloc(0) })
      },
    )
  })
}

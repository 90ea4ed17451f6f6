/** The environment of a command that is recorded: where its exporters send, unless the user has set it otherwise. */
import type { Environment } from '#app/environment.ts'

export interface Addresses {
  /** `http://127.0.0.1:port` */
  url: string
  /** `127.0.0.1:port` of OTLP over gRPC. */
  grpc: string
}

export interface RecordedEnvironment {
  variables: Record<string, string>
  /** Sentences about what the user has set, and what follows. */
  remarks: string[]
}

const protocolName = 'OTEL_EXPORTER_OTLP_PROTOCOL'
const endpointName = 'OTEL_EXPORTER_OTLP_ENDPOINT'
const intervalName = 'OTEL_METRIC_EXPORT_INTERVAL'
const timeoutName = 'OTEL_METRIC_EXPORT_TIMEOUT'
const attributesName = 'OTEL_RESOURCE_ATTRIBUTES'
const signals = ['TRACES', 'METRICS', 'LOGS'] as const

/** Those that SDKs read at their start. Delays are short, so that little waits when the command ends. */
function wantedVariables({ url, grpc }: Addresses, protocol: string): Record<string, string> {
  return {
    [endpointName]: protocol === 'grpc' ? `http://${grpc}` : url,
    [protocolName]: protocol,
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_LOGS_EXPORTER: 'otlp',
    [intervalName]: '1000',
    [timeoutName]: '1000',
    OTEL_BSP_SCHEDULE_DELAY: '200',
    OTEL_BLRP_SCHEDULE_DELAY: '200',
    TERCET_URL: url,
    TERCET_REMOTE_WRITE_URL: `${url}/api/v1/write`,
    TERCET_LOKI_PUSH_URL: `${url}/loki/api/v1/push`,
  }
}

/** Added to the attributes of resources, where they do not have them. */
const addedAttributes: Readonly<Record<string, string>> = { 'deployment.environment.name': 'test' }

export function recordedEnvironment(own: Environment, addresses: Addresses): RecordedEnvironment {
  const remarks: string[] = []
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(wantedVariables(addresses, own[protocolName] || 'http/protobuf'))) {
    const set = own[name]
    if (set === undefined || set === '') variables[name] = value
    else if (set !== value) remarks.push(`${name}=${set} is set and stays${consequenceOf(name)}`)
  }
  // SDKs refuse to start with a timeout longer than the interval, as its default is: the two go together.
  if (!(intervalName in variables && timeoutName in variables))
    for (const name of [intervalName, timeoutName]) delete variables[name]
  for (const signal of signals) {
    const set = own[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]
    if (set !== undefined && set !== '')
      remarks.push(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT=${set} is set and stays: ${signal.toLowerCase()} go there`)
  }
  if (/^true$/i.test(own['OTEL_SDK_DISABLED'] ?? '')) remarks.push('OTEL_SDK_DISABLED=true is set: SDKs send nothing')
  const attributes = withAttributes(own[attributesName] ?? '')
  if (attributes !== own[attributesName]) variables[attributesName] = attributes
  return { variables, remarks }
}

function consequenceOf(name: string): string {
  return name === endpointName || name.endsWith('_EXPORTER') ? ': what goes elsewhere is not recorded' : ''
}

/** `a=b,c=d`, with what is added behind. */
function withAttributes(set: string): string {
  const names = new Set(set.split(',').map(pair => pair.split('=')[0]?.trim()))
  const added = Object.entries(addedAttributes)
    .filter(([name]) => !names.has(name))
    .map(([name, value]) => `${name}=${value}`)
  return [...(set.trim() === '' ? [] : [set]), ...added].join(',')
}

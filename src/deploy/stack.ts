/** What is deployed: one file (stack.yaml), whatever the engine and the target are. */
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { parseSettings, type Section } from '#lang/settings/section.ts'

export const engines = ['tercet', 'victoria', 'lgtm'] as const
export type Engine = (typeof engines)[number]
export const targets = ['helm', 'flux', 'compose', 'grafana'] as const
export type Target = (typeof targets)[number]

export interface Resources {
  requests: { cpu: string; memory: string }
  limits: { memory: string; cpu?: string }
}

/** The object store, and a bucket and a Secret of its keys a signal. */
export interface StackS3 {
  endpoint: string
  region: string
  allowInsecure: boolean
  buckets: Record<SignalName, string>
  secrets: Record<SignalName, string>
}

export interface Stack {
  engine: Engine
  name: string
  namespace: string
  /** Where the tree of applications begins. */
  root: string
  image: { repository: string; tag: string }
  s3: StackS3 | undefined
  retention: Record<SignalName, string>
  scrape: { interval: string; timeout: string }
  persistence: { isOn: boolean; size: string; storageClass: string }
  agent: { isOn: boolean; isFollowingLogs: boolean }
  signals: readonly SignalName[]
  grafana: { isOn: boolean; tag: string; namespace: string; orgId: string }
  /** Compose: a development S3 beside it. */
  developmentS3: {
    isOn: boolean
    image: string
    command: string[]
    environment: [string, string][]
    port: number
    healthcheck: string[]
  }
  networkPolicy: { isOn: boolean; fromNamespaces: string[]; toCidrs: string[] }
  alerting: { config: string }
  isMeshed: boolean
  ageRecipients: string[]
  /** Objects that are there already: `Secret/name`, `Service/name:port`. */
  external: string[]
  flux: { sourceName: string; interval: string; decryptionSecret: string }
}

const bucketNames: Readonly<Record<Engine, Record<SignalName, string>>> = {
  tercet: { metrics: 'mimir-blocks', logs: 'loki-chunks', traces: 'tempo-traces' },
  victoria: { metrics: 'victoriametrics-data', logs: 'victorialogs-data', traces: 'victoriatraces-data' },
  lgtm: { metrics: 'mimir-blocks', logs: 'loki-chunks', traces: 'tempo-traces' },
}
/** `{component}-s3-secret`. */
const secretNames: Readonly<Record<Engine, Record<SignalName, string>>> = {
  tercet: { metrics: 'metrics-s3-secret', logs: 'logs-s3-secret', traces: 'traces-s3-secret' },
  victoria: {
    metrics: 'victoriametrics-s3-secret',
    logs: 'victorialogs-s3-secret',
    traces: 'victoriatraces-s3-secret',
  },
  lgtm: { metrics: 'mimir-s3-secret', logs: 'loki-s3-secret', traces: 'tempo-s3-secret' },
}

const retentionForm = /^[0-9]+(h|d|w|y)$/

function retentionOf(section: Section | undefined, name: string, fallback: string): string {
  const value = section?.text(name, fallback) ?? fallback
  if (!retentionForm.test(value))
    section?.refuse(
      `${name}: ${JSON.stringify(value)} is no retention; hours, days, weeks or years like 30d were expected (1m would be a month for some and a minute for others)`,
    )
  return value
}

/** Hours of a retention. */
export function hoursOf(retention: string): number {
  return parseDurationMs(retention)! / 3_600_000
}

/** One unit, as every engine's chart takes it. */
function secondsOf(text: string): number {
  return /^\d+(s|m|h)$/.test(text) ? parseDurationMs(text)! / 1000 : NaN
}

/** The documents' Victoria stack has no traces. */
function signalsOf(top: Section, engine: Engine): SignalName[] {
  if (!top.has('signals')) return engine === 'victoria' ? ['metrics', 'logs'] : [...signals]
  const named = top.texts('signals'),
    unknown = named.find(name => !signals.includes(name as SignalName))
  if (unknown !== undefined || named.length === 0)
    top.refuse(
      `signals: ${unknown === undefined ? 'none is named' : JSON.stringify(unknown)}; some of ${signals.join(', ')} were expected`,
    )
  if (engine === 'tercet' && named.length < signals.length)
    top.refuse('signals: the engine tercet has all three in one process')
  return signals.filter(signal => named.includes(signal))
}

/** `engine` goes before what the file says. Throws BadDataError with file, line and column. */
export function readStack(text: string, path: string, engineFlag?: string): Stack {
  const top = parseSettings(text.trim() === '' ? '{}' : text, path).section()
  const engineText = engineFlag ?? top.text('engine', 'tercet'),
    engine = engines.find(e => e === engineText)
  if (engineFlag !== undefined) top.ignore('engine')
  if (engine === undefined)
    throw new BadDataError(`engine ${JSON.stringify(engineText)} is not one of ${engines.join(', ')}`)
  const one = <T>(name: string, read: (section: Section | undefined) => T): T => {
    const section = top.section(name)
    const value = read(section)
    section?.finish()
    return value
  }
  const scrape = one('scrape', s => ({
    interval: s?.text('interval', '') || (engine === 'tercet' ? '15s' : '30s'),
    timeout: s?.text('timeout', '10s') ?? '10s',
  }))
  for (const [name, value] of Object.entries(scrape))
    if (Number.isNaN(secondsOf(value))) top.refuse(`scrape.${name}: ${JSON.stringify(value)} is no duration like 15s`)
  if (secondsOf(scrape.timeout) > secondsOf(scrape.interval))
    top.refuse(`scrape.timeout ${scrape.timeout} is longer than scrape.interval ${scrape.interval}`)
  const stack: Stack = {
    engine,
    name: top.text('name', 'tercet'),
    namespace: top.text('namespace', 'monitoring'),
    root: top.text('root', 'kubernetes/apps'),
    image: one('image', s => ({
      repository: s?.text('repository', 'ghcr.io/tercet/tercet') ?? 'ghcr.io/tercet/tercet',
      tag: s?.text('tag', '0.1.0') ?? '0.1.0',
    })),
    s3: top.has('s3')
      ? one('s3', s => {
          const buckets = s?.section('buckets'),
            secrets = s?.section('secrets')
          const endpoint = s?.text('endpoint') ?? '',
            allowInsecure = s?.isOn('allow_insecure', false) ?? false
          if (endpoint.startsWith('http://') && !allowInsecure)
            s?.refuse(`endpoint ${endpoint} has no TLS; use https://, or allow it with allow_insecure: true`)
          if (endpoint !== '' && !URL.canParse(endpoint))
            s?.refuse(`endpoint ${JSON.stringify(endpoint)} is no URL; https://host was expected`)
          const each = (
            from: Section | undefined,
            fallback: Record<SignalName, string>,
          ): Record<SignalName, string> => {
            const all = Object.fromEntries(
              signals.map(signal => [signal, from?.text(signal, fallback[signal]) ?? fallback[signal]]),
            ) as Record<SignalName, string>
            from?.finish()
            return all
          }
          return {
            endpoint,
            region: s?.text('region', 'us-east-1') ?? 'us-east-1',
            allowInsecure,
            buckets: each(buckets, bucketNames[engine]),
            secrets: each(secrets, secretNames[engine]),
          }
        })
      : undefined,
    retention: one('retention', s => ({
      metrics: retentionOf(s, 'metrics', '30d'),
      logs: retentionOf(s, 'logs', '30d'),
      traces: retentionOf(s, 'traces', '30d'),
    })),
    scrape,
    // The documents want no volume with Tercet, which needs none with a bucket; the others lose what is not in theirs yet.
    persistence: one('persistence', s => ({
      isOn: s?.isOn('enabled', engine !== 'tercet' || !top.has('s3')) ?? (engine !== 'tercet' || !top.has('s3')),
      size: s?.text('size', '10Gi') ?? '10Gi',
      storageClass: s?.text('storage_class') ?? '',
    })),
    agent: one('agent', s => ({
      isOn: s?.isOn('enabled', true) ?? true,
      isFollowingLogs: s?.isOn('logs', false) ?? false,
    })),
    signals: signalsOf(top, engine),
    grafana: one('grafana', s => ({
      isOn: s?.isOn('enabled', false) ?? false,
      tag: s?.text('tag', '13.2.0') ?? '13.2.0',
      namespace: s?.text('namespace', '') || top.text('namespace', 'monitoring'),
      orgId: s?.text('org_id') ?? '',
    })),
    developmentS3: one('development_s3', s => ({
      isOn: s?.isOn('enabled', false) ?? false,
      image: s?.text('image') ?? '',
      command: s?.texts('command') ?? [],
      environment: s?.textMap('environment') ?? [],
      port: s?.whole('port', 9000) ?? 9000,
      healthcheck: s?.texts('healthcheck') ?? [],
    })),
    networkPolicy: one('network_policy', s => ({
      isOn: s?.isOn('enabled', false) ?? false,
      fromNamespaces: s?.texts('from_namespaces') ?? [],
      toCidrs: s?.texts('to_cidrs') ?? [],
    })),
    alerting: one('alerting', s => ({ config: s?.text('alertmanager_config') ?? '' })),
    isMeshed: top.isOn('mesh', false),
    ageRecipients: top.texts('age_recipients'),
    external: top.texts('external'),
    flux: one('flux', s => ({
      sourceName: s?.text('source', 'flux-system') ?? 'flux-system',
      interval: s?.text('interval', '1h') ?? '1h',
      decryptionSecret: s?.text('decryption_secret', 'sops-age') ?? 'sops-age',
    })),
  }
  top.finish()
  if (stack.developmentS3.isOn && stack.developmentS3.image === '')
    throw new BadDataError(
      `${path}: development_s3.image: name the image of an S3 server; there is no one that everybody can be told to use`,
    )
  for (const recipient of stack.ageRecipients)
    if (!/^age1[0-9a-z]+$/.test(recipient))
      throw new BadDataError(`${path}: age_recipients: ${JSON.stringify(recipient)} is no age recipient (age1…)`)
  if (stack.image.tag === 'latest')
    throw new BadDataError(`${path}: image.tag is "latest"; name a version, so that a restart does not change it`)
  return stack
}

/** What every composition begins with: the world, limits, credentials, addresses. */
import { hostname, totalmem } from 'node:os'
import type { Bucket } from '#bucket/bucket.ts'
import { systemClock, type Clock } from '#core/clock.ts'
import { lockDirectory, type DirectoryLock } from '#core/directory-lock.ts'
import { systemFiles, type Files } from '#core/files.ts'
import { defaultLimits, type Limits } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import { systemRandom, type Random } from '#core/random.ts'
import type { SignalName } from '#core/signal-name.ts'
import { hostNameOf, problemOfAllowedHost } from '#net/allowed-hosts.ts'
import type { Auth } from '#net/auth.ts'
import { BrowserRules } from '#net/browser-rules.ts'
import { CertificateFiles } from './certificates.ts'
import type { Config } from './config.ts'
import { OwnCredentials } from './credentials.ts'
import type { Environment } from './environment.ts'

export interface World {
  clock: Clock
  /** The least time between two rounds of background work: cuts, merges, retention. Default: each signal's own. */
  roundEveryMs?: number
  /** For what real time alone decides, as the use of memory. Default: `clock`. */
  realClock?: Clock
  random: Random
  files: Files
  log: Log
  /** Takes a directory for this process; throws ConflictError when another one has it. */
  lockDirectory: (directory: string) => Promise<DirectoryLock>
  /** The bucket of a signal, whatever the configuration says. Default: what the configuration says. */
  bucketOf?: (signal: SignalName) => Bucket
  /** Bytes of memory that the process may have: the machine's, or its container's. */
  memoryBytes: number
}

export function systemWorld(log: Log): World {
  return {
    clock: systemClock,
    random: systemRandom,
    files: systemFiles,
    log,
    lockDirectory: directory => lockDirectory(directory, `process ${process.pid}`),
    memoryBytes: Math.min(process.constrainedMemory() || Infinity, totalmem()),
  }
}

/**
 * A part of the memory, and no more than is of use: what is held of what came in, and of what was read, gets smaller
 * in a small container.
 */
export function shareOf({ memoryBytes }: Pick<World, 'memoryBytes'>, part: number, bytesMax: number): number {
  return Math.min(bytesMax, Math.floor(memoryBytes * part))
}

export function limitsOf(config: Config): Limits {
  return {
    ...defaultLimits,
    bodyBytesMax: config.bytes('limits.body_size'),
    decodedBytesMax: config.bytes('limits.decoded_size'),
    labelsPerSeriesMax: config.number('limits.labels_per_series'),
    labelNameBytesMax: config.bytes('limits.label_name_length'),
    labelValueBytesMax: config.bytes('limits.label_value_length'),
    activeSeriesMax: config.number('limits.active_series'),
    querySamplesMax: config.number('limits.query_samples'),
    queryTimeoutMs: config.durationMs('limits.query_timeout'),
    queryConcurrencyMax: Math.max(1, config.number('limits.query_concurrency')),
    queryQueueMax: config.number('limits.query_queue'),
    tenantsMax: config.number('limits.tenants'),
    tailsMax: config.number('limits.tails'),
  }
}

export interface Security {
  auth: Auth
  credentials: OwnCredentials
  /** Undefined: every address speaks plain text. */
  tls: CertificateFiles | undefined
  browsers: BrowserRules
}

const httpAddresses = ['listen.http', 'listen.otlp_http'] as const

/** Names that the process has by its configuration and its machine, and those that the configuration adds. */
function browserRulesOf(config: Config, log: Log): BrowserRules {
  const listening = [...httpAddresses.map(name => config.text(name)), ...config.list('listen.aliases')]
  const own = [...listening.map(hostNameOf), hostname()].filter(
    name => name !== undefined && problemOfAllowedHost(name) === undefined,
  )
  return new BrowserRules({
    allowedHosts: [...config.list('allowed_hosts'), ...own.filter(name => name !== undefined)],
    corsOrigins: config.list('cors_origins'),
    externalUrl: config.text('external_url'),
    onForeignHost: name => {
      log.warn('requests by a foreign name are refused; allowed_hosts names more', { host: name })
    },
  })
}

/** Credentials and certificates, read from the files that the configuration names. */
export async function openSecurity(config: Config, world: World, env: Environment): Promise<Security> {
  const { files, log } = world
  const credentials = await OwnCredentials.open(config, { ...world, env })
  return {
    auth: credentials.auth,
    credentials,
    tls: await CertificateFiles.open(config, files),
    browsers: browserRulesOf(config, log),
  }
}

export function hostAndPort(setting: string): { host: string; port: number } {
  const colon = setting.lastIndexOf(':')
  return { host: setting.slice(0, colon).replace(/^\[|\]$/g, '') || '0.0.0.0', port: Number(setting.slice(colon + 1)) }
}

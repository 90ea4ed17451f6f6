/** What `startTercet` takes. */
import { BadDataError } from '#core/errors.ts'
import { refuseUnknown } from './fields.ts'
import type { Moment } from './moment.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Time as a caller's program has it: fake timers of a test runner, a clock that several instances share. */
export interface CallerClock {
  /** Unix milliseconds; never goes back. */
  nowMs(): number
  /** Calls `run` once after so many milliseconds, unless it is cancelled before. */
  after(delayMs: number, run: () => void): { cancel(): void }
}

/** Receives what the instance says of itself. */
export type LogSink = (
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, string | number | boolean | undefined>>,
) => void

/** A key of the configuration and its value: docs/configuration.md lists them. */
export type Settings = Readonly<Record<string, string | number | boolean>>

/** All are read once, at the start. */
export interface TercetOptions {
  /**
   * Where data is kept: in memory, gone with the instance, or in a directory, which another instance or
   * `tercet up --data_dir` can open later. Default: `'memory'`.
   */
  storage?: 'memory' | { directory: string }
  /**
   * `'system'`: time goes by. `{ startAt }`: it stands still at that moment, and goes on by `clock.advance` alone. A
   * clock of the caller's: whose time it is. Default: `'system'`.
   */
  time?: 'system' | { startAt: Moment } | CallerClock
  /** Is an HTTP address opened, on a free port of the loopback interface, or at `host:port`? Default: true. */
  http?: boolean | string
  /** Is an address for OTLP over gRPC opened, as above? Default: false. */
  grpc?: boolean | string
  /** Threads for queries and blocks. Default: 0, all is done on the calling thread; with `startAt` it can only be 0. */
  workers?: number
  /** The text of a file of rules, in Prometheus' form. */
  rules?: string
  /** The text of a prometheus.yml: what is scraped. */
  scrape?: string
  /** The text of an alertmanager.yml: who is notified. */
  alertmanager?: string
  /** More keys of the configuration, which go before the options above. */
  settings?: Settings
  /** Default: nothing is said. */
  log?: LogSink
}

const optionNames: Readonly<Record<keyof TercetOptions, true>> = {
  storage: true,
  time: true,
  http: true,
  grpc: true,
  workers: true,
  rules: true,
  scrape: true,
  alertmanager: true,
  settings: true,
  log: true,
}

/** Throws BadDataError for what the types of these options do not allow. */
export function checkOptions(options: TercetOptions): void {
  refuseUnknown('startTercet', options, optionNames)
  const { storage = 'memory', time = 'system' } = options
  if (storage !== 'memory' && typeof (storage as { directory?: unknown } | null)?.directory !== 'string')
    throw new BadDataError("storage is 'memory' or { directory: './data' }")
  const clock = time as { startAt?: unknown; nowMs?: unknown; after?: unknown } | null
  const isClock = typeof clock?.nowMs === 'function' && typeof clock.after === 'function'
  if (time !== 'system' && clock?.startAt === undefined && !isClock)
    throw new BadDataError("time is 'system', { startAt: '2026-01-01T00:00:00Z' } or a clock with nowMs and after")
  for (const name of ['rules', 'scrape', 'alertmanager'] as const) refusePath(name, options[name])
}

/** A text in YAML of a whole file has a colon and a blank, a line break or a brace. */
function refusePath(name: string, text: unknown): void {
  if (text === undefined) return
  if (typeof text !== 'string') throw new BadDataError(`${name} is the text of a file`)
  if (/^\s*[^\s:{]+\.ya?ml\s*$/.test(text))
    throw new BadDataError(`${name} is the text of a file, not its path: readFileSync(${JSON.stringify(text)}, 'utf8')`)
}

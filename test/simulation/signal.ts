/** What the simulation asks of a signal: one adapter each makes it of the engine. */
import type { Bucket } from '#bucket/bucket.ts'
import type { Clock } from '#core/clock.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import type { Random } from '#core/random.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { SignalFrame } from '#store/signal-frame.ts'
import type { Durability } from '#store/wal.ts'

/** Why an item must be refused beside items that are good. */
export type Flaw = 'too-new' | 'too-old' | 'malformed'

/** A sample, a line, or a span. */
export interface Item {
  /** No two items have the same, but for samples of one series and time. */
  key: string
  id: number
  /** The series, stream, or trace. */
  group: number
  timeMs: number
  value: number
  flaw?: Flaw
}

/** Which part of the data a query asks for; times are inclusive. */
export interface Part {
  group?: number
  fromMs: number
  throughMs: number
}

export interface Answer {
  found: { key: string; value: number }[]
  /** What the answer says that it lacks. */
  omissions: string[]
}

export interface EngineSettings {
  clock: Clock
  files: Files
  bucket: Bucket
  random: Random
  log: Log
  durability: Durability
  syncAlways: boolean
  leaseMs: number
  commitIntervalMs: number
  retentionMs: number
  readOnly: boolean
}

/** An engine behind the simulation's words. */
export interface SimulatedEngine {
  readonly frame: SignalFrame
  append(items: readonly Item[]): Promise<AppendOutcome>
  query(part: Part): Promise<Answer>
  /** Deletes the group's items until the time. */
  delete?(group: number, throughMs: number): Promise<void>
}

export interface SimulatedSignal {
  readonly name: 'metrics' | 'logs' | 'traces'
  readonly tenant: string
  /** The key of an item. */
  keyOf(id: number, group: number, timeMs: number): string
  open(settings: EngineSettings): SimulatedEngine
}

/** What every engine is made with here. */
export function frameOptions(settings: EngineSettings, defaultTenant: string) {
  return {
    ...settings,
    defaultTenant,
    directory: 'data',
    freeBytesMin: 1000,
    refreshMs: 60_000,
    headBytesMax: 64 * 1024 * 1024,
    cacheBytes: 16 * 1024 * 1024,
  }
}

/** The world of an instance: its clock, and its data in memory or on the disk. */
import { resolve } from 'node:path'
import { DirectoryBucket } from '#bucket/directory.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { systemClock, type Clock } from '#core/clock.ts'
import { systemFiles, type Files } from '#core/files.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Log, LogFields } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { SettlingClock } from '#core/settling-clock.ts'
import type { SignalName } from '#core/signal-name.ts'
import { systemWorld, type World } from '#app/world.ts'
import { holdingTime } from './held-calls.ts'
import { LayeredFiles } from './layered-files.ts'
import { momentMs, type Moment } from './moment.ts'
import type { CallerClock, LogLevel, LogSink, TercetOptions } from './options.ts'

/** Each instance has its own memory: the name is the same for all. */
const memoryDirectory = '/tercet-in-memory'

export interface InstanceWorld {
  world: World
  /** Undefined: time goes by. */
  virtualClock: SettlingClock | undefined
  /** Of the configuration: `data_dir`. */
  dataDirectory: string
  /** Where the texts of rules and the like lie, by their names. */
  textPath(name: string): string
}

function logTo(sink: LogSink): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      sink(level, message, fields)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** `texts`: files that are only in memory, by name. Throws BadDataError for a moment that is none. */
export async function makeInstanceWorld(
  { storage = 'memory', time = 'system', log = () => {} }: TercetOptions,
  texts: Readonly<Record<string, string>>,
): Promise<InstanceWorld> {
  const virtualClock = isVirtual(time) ? new SettlingClock(momentMs(time.startAt)) : undefined
  const clock: Clock = virtualClock ?? (time === 'system' || isVirtual(time) ? systemClock : fromCaller(time))
  const disk = virtualClock === undefined ? systemFiles : holdingDisk(virtualClock)
  const memory = new MemoryFiles()
  const textPath = (name: string): string => `${memoryDirectory}/texts/${name}`
  for (const [name, text] of Object.entries(texts)) await memory.writeAtomic(textPath(name), encodeUtf8(text))
  const files = new LayeredFiles(memoryDirectory, memory, disk)
  const base = { ...systemWorld(logTo(log)), clock, realClock: systemClock, files, ...paceOf(virtualClock) }
  if (storage === 'memory') {
    const buckets = new Map<SignalName, Bucket>()
    const bucketOf = (signal: SignalName): Bucket => {
      const bucket = buckets.get(signal) ?? new MemoryBucket(clock, files)
      buckets.set(signal, bucket)
      return bucket
    }
    const lockDirectory = (): Promise<{ release(): void }> => Promise.resolve({ release: () => {} })
    const world = { ...base, bucketOf, lockDirectory }
    return { world, virtualClock, dataDirectory: `${memoryDirectory}/data`, textPath }
  }
  const dataDirectory = resolve(storage.directory)
  if (virtualClock === undefined) return { world: base, virtualClock, dataDirectory, textPath }
  const bucketOf = (signal: SignalName): Bucket =>
    holdingTime(new DirectoryBucket(`${dataDirectory}/bucket/${signal}`), virtualClock)
  return { world: { ...base, bucketOf }, virtualClock, dataDirectory, textPath }
}

type Time = NonNullable<TercetOptions['time']>

function isVirtual(time: Time): time is { startAt: Moment } {
  return typeof time === 'object' && 'startAt' in time
}

/** Work that yields goes on with the event loop, whatever the caller's time is. */
function fromCaller(clock: CallerClock): Clock {
  return {
    nowMs: () => Math.floor(clock.nowMs()),
    monotonicMs: () => clock.nowMs(),
    after: (delayMs, run) => clock.after(delayMs, run),
    yield: () => systemClock.yield(),
  }
}

/** A day that goes by at once has rounds enough with one a minute. */
function paceOf(virtualClock: SettlingClock | undefined): { roundEveryMs?: number } {
  return virtualClock === undefined ? {} : { roundEveryMs: 60_000 }
}

/** The disk, under a clock that stands still while it works. */
function holdingDisk(clock: Clock): Files {
  const held = holdingTime(systemFiles, clock)
  const openAppend: Files['openAppend'] = async path => holdingTime(await held.openAppend(path), clock)
  return new Proxy(held, { get: (files, name) => (name === 'openAppend' ? openAppend : Reflect.get(files, name)) })
}

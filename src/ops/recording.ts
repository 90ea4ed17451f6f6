/** A recording: a directory with the buckets of a run, and a file that says what it is. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BadDataError, messageOf } from '#core/errors.ts'
import { listOf, mapOf, numberOf, textOf } from '#library/json.ts'

export const recordingFile = 'recording.json'
const typesFile = 'metric-types.json'
const workDirectory = 'work'
/** All that a recording has in its directory. */
const ownNames: readonly string[] = [recordingFile, typesFile, workDirectory, 'metrics', 'logs', 'traces']

export interface SignalCounts {
  readonly samples: number
  readonly lines: number
  readonly spans: number
}

/** What recording.json says. */
export interface Recording {
  readonly version: 1
  /** `running`: the command has not ended, or the recording was killed. */
  readonly state: 'running' | 'complete'
  readonly command: readonly string[]
  /** Null while it runs. */
  readonly exitCode: number | null
  /** Unix milliseconds. */
  readonly fromMs: number
  readonly toMs: number
  readonly counts: SignalCounts
  readonly refused: SignalCounts
  /** Versions. */
  readonly tercet: string
  readonly node: string
}

export function workOf(directory: string): string {
  return join(directory, workDirectory)
}

/** Throws BadDataError for a directory that has something else, or a recording that is not to be replaced. */
export function prepareDirectory(directory: string, isForced: boolean): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === false)
    throw new BadDataError(`${directory} is no directory, and a recording is one; name another`)
  mkdirSync(directory, { recursive: true })
  const names = readdirSync(directory)
  const foreign = names.find(name => !ownNames.includes(name))
  if (foreign !== undefined)
    throw new BadDataError(
      `${directory} holds ${JSON.stringify(foreign)}, which is no part of a recording; name an empty directory`,
    )
  if (names.length > 0 && !isForced)
    throw new BadDataError(`${directory} holds a recording; --force replaces it, or name another directory`)
  removeRecording(directory)
}

/** What is in the bucket is needed no longer beside it. */
export function removeWork(directory: string): void {
  rmSync(workOf(directory), { recursive: true, force: true })
}

/** Leaves the directory itself. */
export function removeRecording(directory: string): void {
  for (const name of ownNames) rmSync(join(directory, name), { recursive: true, force: true })
}

export function writeRecording(directory: string, recording: Recording): void {
  writeFileSync(join(directory, recordingFile), `${JSON.stringify(recording, null, 2)}\n`)
}

export function writeMetricTypes(directory: string, types: ReadonlyMap<string, string>): void {
  writeFileSync(join(directory, typesFile), `${JSON.stringify(Object.fromEntries(types))}\n`)
}

export function readMetricTypes(directory: string): Map<string, string> {
  const path = join(directory, typesFile)
  if (!existsSync(path)) return new Map()
  return new Map(Object.entries(mapOf(readJson(path))).map(([name, type]) => [name, textOf(type)]))
}

/** Throws BadDataError for a directory that is no recording, or one of another version. */
export function readRecording(directory: string): Recording {
  const path = join(directory, recordingFile)
  if (!existsSync(path))
    throw new BadDataError(
      `${directory} is no recording: there is no ${path}; tercet record -o ${directory} -- COMMAND makes one`,
    )
  const body = mapOf(readJson(path))
  if (body['version'] !== 1)
    throw new BadDataError(`${path}: its version is ${String(body['version'])}, and 1 is read here`)
  const [fromMs, toMs] = [numberOf(body['fromMs']), numberOf(body['toMs'])]
  if (!(fromMs >= 0 && toMs >= fromMs)) throw new BadDataError(`${path}: fromMs and toMs are no range of time`)
  const exitCode = numberOf(body['exitCode'])
  return {
    version: 1,
    state: body['state'] === 'complete' ? 'complete' : 'running',
    command: listOf(body['command']).map(textOf),
    exitCode: Number.isNaN(exitCode) ? null : exitCode,
    fromMs,
    toMs,
    counts: countsIn(body['counts']),
    refused: countsIn(body['refused']),
    tercet: textOf(body['tercet']),
    node: textOf(body['node']),
  }
}

function countsIn(value: unknown): SignalCounts {
  const { samples, lines, spans } = mapOf(value)
  return { samples: numberOf(samples) || 0, lines: numberOf(lines) || 0, spans: numberOf(spans) || 0 }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new BadDataError(`${path}: ${messageOf(error)}`)
  }
}

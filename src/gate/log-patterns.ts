/** Patterns of log lines: a message without what varies, so that lines of the same statement in the code are one. */
import { parseJson } from '#core/json.ts'
import { keyOfTexts } from '#core/text.ts'
import { withoutVariables } from './variable-parts.ts'

export type LogLevel = 'error' | 'warn'

const patternsMax = 5000
const samplesMax = 3
const sampleCharactersMax = 500
/** Longer lines are not taken for JSON: their beginning is their message. */
const jsonCharactersMax = 64 * 1024

export interface LogPattern {
  readonly service: string
  readonly level: LogLevel
  readonly pattern: string
  count: number
  /** Some lines as they are, cut. */
  readonly samples: string[]
  readonly traceIds: string[]
}

export interface PatternLine {
  readonly service: string
  readonly level: LogLevel
  readonly line: string
  readonly traceId?: string | undefined
}

/** `error` of error, critical and fatal; undefined of levels below warn. */
export function levelOf(text: string): LogLevel | undefined {
  if (/^(?:error|err|critical|crit|fatal|alert|emerg(?:ency)?|panic)$/i.test(text)) return 'error'
  return /^warn(?:ing)?$/i.test(text) ? 'warn' : undefined
}

/** pino and bunyan write levels as numbers. */
const numericLevel = /"level":\s*(\d{2})\b/
const errorWords = /\b\w*(?:Error|Exception)\b|\b[Uu]nhandled|\b[Uu]ncaught|^Traceback /
const warningWords = /\b\w+Warning:/

/** Lines without a level that can be errors all the same. RE2 reads this expression as JavaScript does. */
export const alarmingText = [/"level":\s*[456]0\b/, errorWords, warningWords].map(({ source }) => source).join('|')

/** The level of such a line: of an exception, a number of pino's, a warning of Node's. */
export function levelOfText(line: string): LogLevel | undefined {
  const text = line.slice(0, jsonCharactersMax)
  const number = line.startsWith('{') ? Number(numericLevel.exec(text)?.[1]) : NaN
  if (!Number.isNaN(number)) return number >= 50 ? 'error' : number >= 40 ? 'warn' : undefined
  if (errorWords.test(text)) return 'error'
  return warningWords.test(text) ? 'warn' : undefined
}

export class LogProfile {
  readonly patterns = new Map<string, LogPattern>()
  lines = 0
  /** Lines of patterns beyond those that are kept. */
  omitted = 0

  add({ service, level, line, traceId }: PatternLine): void {
    this.lines++
    const pattern = patternOf(line)
    const key = keyOfTexts([service, level, pattern])
    let known = this.patterns.get(key)
    if (known === undefined) {
      if (this.patterns.size >= patternsMax) {
        this.omitted++
        return
      }
      known = { service, level, pattern, count: 0, samples: [], traceIds: [] }
      this.patterns.set(key, known)
    }
    known.count++
    if (known.samples.length < samplesMax) known.samples.push(line.slice(0, sampleCharactersMax))
    if (traceId !== undefined && traceId !== '' && known.traceIds.length < samplesMax) known.traceIds.push(traceId)
  }
}

const messageKeys = ['message', 'msg', '_msg', 'body', 'log', 'content', 'event'] as const
const errorKeys = ['error', 'err', 'exception'] as const

/**
 * The message without what varies: of JSON and logfmt the message and the error, of several lines the first one, of
 * Python's tracebacks the last one.
 */
export function patternOf(line: string): string {
  const message = jsonMessage(line) ?? logfmtMessage(line) ?? line
  const [first = ''] = message.trimStart().split('\n', 1)
  const isTraceback = first.startsWith('Traceback (most recent call last)')
  return withoutVariables(isTraceback ? message.slice(message.trimEnd().lastIndexOf('\n') + 1) : first)
}

function jsonMessage(line: string): string | undefined {
  if (!line.startsWith('{') || line.length > jsonCharactersMax) return undefined
  try {
    const body = parseJson(line)
    return typeof body === 'object' && body !== null ? joined(body as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function joined(fields: Record<string, unknown>): string | undefined {
  const message = messageKeys.map(key => fields[key]).find(value => typeof value === 'string' && value !== '')
  const error = errorKeys.map(key => errorText(fields[key])).find(text => text !== '') ?? ''
  if (typeof message !== 'string') return error === '' ? undefined : error
  return error === '' || message.includes(error) ? message : `${message}: ${error}`
}

/** A text, or the type and message of an object, as pino and winston write errors. */
function errorText(value: unknown): string {
  if (typeof value === 'string') return value.split('\n', 1)[0] ?? ''
  if (typeof value !== 'object' || value === null) return ''
  const { type, name, message } = value as Record<string, unknown>
  return [type ?? name, message].filter(part => typeof part === 'string' && part !== '').join(': ')
}

function logfmtMessage(line: string): string | undefined {
  if (!/^[\w.-]+=/.test(line)) return undefined
  const fields: Record<string, string> = {}
  for (const [, key = '', quoted, plain] of line.matchAll(/([\w.-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g))
    fields[key] ??= quoted ?? plain ?? ''
  return joined(fields)
}

/** Words at a place where so many differ are values, as names of users are. */
const valuesMin = 5
const wordsMax = 60

/**
 * The pattern that each pattern is part of: those of a service and level that differ in one word alone, in which five
 * and more differ, are one with `<_>` in its place. Patterns of both runs are looked at together, so that they are
 * merged in the same way.
 */
export function mergedPatterns(profiles: readonly LogProfile[]): Map<string, string> {
  const merged = new Map<string, string>()
  const groups = new Map<string, Map<string, LogPattern>>()
  for (const { patterns } of profiles)
    for (const [key, pattern] of patterns) {
      merged.set(key, pattern.pattern)
      const group = keyOfTexts([pattern.service, pattern.level, String(pattern.pattern.split(' ').length)])
      const members = groups.get(group) ?? new Map<string, LogPattern>()
      groups.set(group, members.set(key, pattern))
    }
  for (const members of groups.values()) if (members.size >= valuesMin) mergeGroup(members, merged)
  return merged
}

/** Place by place, so that patterns that vary in several words are merged too. */
function mergeGroup(members: ReadonlyMap<string, LogPattern>, merged: Map<string, string>): void {
  const words = new Map([...members].map(([key, { pattern }]) => [key, pattern.split(' ')]))
  const places = words.values().next().value?.length ?? 0
  for (let place = 0; place < Math.min(places, wordsMax); place++) {
    const alike = new Map<string, string[]>()
    for (const [key, list] of words) {
      const rest = list.with(place, '').join(' ')
      const keys = alike.get(rest)
      if (keys === undefined) alike.set(rest, [key])
      else keys.push(key)
    }
    for (const keys of alike.values()) {
      if (new Set(keys.map(key => words.get(key)![place])).size < valuesMin) continue
      for (const key of keys) words.set(key, words.get(key)!.with(place, '<_>'))
    }
  }
  for (const [key, list] of words) merged.set(key, list.join(' '))
}

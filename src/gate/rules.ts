/** What fails a comparison: the defaults, and what a file says otherwise. */
import { BadDataError, messageOf } from '#core/errors.ts'
import { nearestOf } from '#core/nearest.ts'
import { quote } from '#core/text.ts'
import { compileAnchored, type AnchoredRegex } from '#lang/regex/regex.ts'
import { parseSettings, Section, type Setting } from '#lang/settings/section.ts'
import {
  kinds,
  readingNames,
  readingTable,
  ruleOf,
  severities,
  subjectNames,
  type Kind,
  type ReadingName,
  type RuleSeverity,
  type SubjectName,
  type ThresholdName,
} from './rule-table.ts'

/** What a finding is about: the parts that apply. */
export type Subject = Readonly<Partial<Record<SubjectName, string>>>

type IgnoreLists = ReadonlyMap<SubjectName, readonly AnchoredRegex[]>

interface RuleOfKind {
  severity: RuleSeverity
  thresholds: ReadonlyMap<string, number>
  ignored: IgnoreLists
}

export class Rules {
  readonly #kinds: ReadonlyMap<Kind, RuleOfKind>
  readonly #reading: ReadonlyMap<ReadingName, number>
  readonly #ignored: IgnoreLists

  constructor(
    ofKinds: ReadonlyMap<Kind, RuleOfKind> = new Map(),
    reading: ReadonlyMap<ReadingName, number> = new Map(),
    ignored: IgnoreLists = new Map(),
  ) {
    this.#kinds = ofKinds
    this.#reading = reading
    this.#ignored = ignored
  }

  severityOf(kind: Kind): RuleSeverity {
    return this.#kinds.get(kind)?.severity ?? ruleOf(kind).severity
  }

  threshold<K extends Kind>(kind: K, name: ThresholdName<K>): number {
    return this.#kinds.get(kind)?.thresholds.get(name) ?? ruleOf(kind).thresholds[name]!.fallback
  }

  reading(name: ReadingName): number {
    return this.#reading.get(name) ?? readingTable[name].fallback
  }

  isIgnored(kind: Kind, subject: Subject): boolean {
    return matchesAny(this.#ignored, subject) || matchesAny(this.#kinds.get(kind)?.ignored ?? new Map(), subject)
  }
}

function matchesAny(lists: IgnoreLists, subject: Subject): boolean {
  for (const [name, expressions] of lists) {
    const text = subject[name]
    if (text !== undefined && expressions.some(expression => expression.test(text))) return true
  }
  return false
}

/** Throws BadDataError with file, line and column for what is unknown or has a wrong value. */
export function parseRules(text: string, file: string): Rules {
  const root = parseSettings(text, file, null).section()
  refuseUnknown(root, ['ignore', 'reading', ...kinds])
  const ofKinds = new Map<Kind, RuleOfKind>()
  for (const kind of kinds) {
    const section = root.section(kind)
    if (section !== undefined) ofKinds.set(kind, ruleOfKind(kind, section))
  }
  return new Rules(ofKinds, readingOf(root.section('reading')), ignoredOf(root.section('ignore')))
}

function ruleOfKind(kind: Kind, section: Section): RuleOfKind {
  const names = Object.keys(ruleOf(kind).thresholds)
  refuseUnknown(section, ['severity', 'ignore', ...names])
  const thresholds = new Map<string, number>()
  for (const name of names) {
    const setting = section.get(name)
    if (setting !== undefined) thresholds.set(name, thresholdOf(setting, name))
  }
  const severity = section.get('severity')
  return {
    severity: severity === undefined ? ruleOf(kind).severity : severityIn(severity),
    thresholds,
    ignored: ignoredOf(section.section('ignore')),
  }
}

function severityIn(setting: Setting): RuleSeverity {
  const text = setting.text()
  const severity = severities.find(known => known === text)
  return severity ?? setting.refuse(`${quote(text)} is not one of ${severities.join(', ')}`)
}

/** Factors are 1 and more, parts and probabilities between 0 and 1. */
function thresholdOf(setting: Setting, name: string): number {
  const value = setting.number()
  if (name === 'factor' && !(value >= 1)) setting.refuse(`${value} is below 1: a factor compares head with base`)
  if (name === 'chance' && !(value > 0 && value < 0.5)) setting.refuse(`${value} is not between 0 and 0.5`)
  if (name === 'share' && !(value >= 0 && value <= 1)) setting.refuse(`${value} is not between 0 and 1`)
  if (!(value >= 0 && value < Infinity)) setting.refuse(`${value} is no number from 0 on`)
  return value
}

function readingOf(section: Section | undefined): Map<ReadingName, number> {
  const reading = new Map<ReadingName, number>()
  if (section === undefined) return reading
  refuseUnknown(section, readingNames)
  for (const name of readingNames) {
    const setting = section.get(name)
    if (setting === undefined) continue
    const count = setting.count()
    reading.set(name, count > 0 ? count : setting.refuse('0 reads nothing'))
  }
  return reading
}

function ignoredOf(section: Section | undefined): IgnoreLists {
  const lists = new Map<SubjectName, AnchoredRegex[]>()
  if (section === undefined) return lists
  refuseUnknown(section, subjectNames)
  for (const name of subjectNames) {
    const expressions = section.list(name).map(expressionIn)
    if (expressions.length > 0) lists.set(name, expressions)
  }
  return lists
}

function expressionIn(setting: Setting): AnchoredRegex {
  try {
    return compileAnchored(setting.text())
  } catch (error) {
    if (error instanceof BadDataError) throw error
    return setting.refuse(messageOf(error))
  }
}

function refuseUnknown(section: Section, known: readonly string[]): void {
  for (const name of section.names)
    if (!known.includes(name)) section.refuseKey(name, `unknown key; the nearest is ${quote(nearestOf(name, known)!)}`)
}

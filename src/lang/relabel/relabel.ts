/**
 * Relabelling: Prometheus' rules over label sets, every action. Source: Prometheus' public configuration
 * documentation.
 */
import { createHash } from 'node:crypto'
import { RE2JS } from 're2js'
import { compareText, quote } from '#core/text.ts'
import { messageOf } from '#core/errors.ts'
import { compileRe2 } from '../regex/regex.ts'
import type { Section, Setting } from '../settings/section.ts'

export const relabelActions = [
  'replace',
  'keep',
  'drop',
  'keepequal',
  'dropequal',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
] as const
export type RelabelAction = (typeof relabelActions)[number]

export interface RelabelRule {
  action: RelabelAction
  sourceLabels: readonly string[]
  separator: string
  /** As it was written. */
  regexText: string
  regex: RE2JS
  targetLabel: string
  replacement: string
  modulus: bigint
  /** Texts that the source was tested with: series come again and again. */
  memo: Map<string, string | undefined>
}

export type LabelMap = Map<string, string>

const isLabelName = (name: string): boolean => name !== ''
/** A target label may name groups of the expression. */
const targetShape = /^(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))(?:[a-zA-Z0-9_]|\$(?:\{\w+\}|\w+))*$/
const memoMax = 10_000
const anchored = (source: string): RE2JS => compileRe2(`^(?s:${source})$`, source)

function readRule(setting: Setting): RelabelRule {
  const section: Section = setting.section()
  const actionText = section.text('action', 'replace').toLowerCase()
  const action =
    relabelActions.find(a => a === actionText) ??
    section.refuse(`unknown relabel action ${quote(actionText)}; ${relabelActions.join(', ')} are known`)
  const regexText = section.text('regex', '(.*)')
  let regex: RE2JS
  try {
    regex = anchored(regexText)
  } catch (error) {
    return section.refuse(messageOf(error))
  }
  const rule: RelabelRule = {
    action,
    sourceLabels: section.texts('source_labels'),
    separator: section.stands('separator') ? section.text('separator') : ';',
    regexText,
    regex,
    targetLabel: section.text('target_label'),
    replacement: section.stands('replacement') ? section.text('replacement') : '$1',
    modulus: BigInt(section.whole('modulus', 0)),
    memo: new Map(),
  }
  const given = {
    regex: section.has('regex'),
    source: section.has('source_labels'),
    separator: section.has('separator'),
    replacement: section.has('replacement'),
    modulus: section.has('modulus'),
    target: section.has('target_label'),
  }
  section.finish()
  if (action === 'hashmod' && rule.modulus === 0n)
    section.refuse('relabel configuration for hashmod requires non-zero modulus')
  if (
    ['replace', 'hashmod', 'lowercase', 'uppercase', 'keepequal', 'dropequal'].includes(action) &&
    rule.targetLabel === ''
  )
    section.refuse(`relabel configuration for ${action} action requires 'target_label' value`)
  if (['replace'].includes(action) && !targetShape.test(rule.targetLabel) && !isLabelName(rule.targetLabel))
    section.refuse(`${quote(rule.targetLabel)} is invalid 'target_label' for ${action} action`)
  if (['lowercase', 'uppercase', 'keepequal', 'dropequal'].includes(action) && rule.replacement !== '$1')
    section.refuse(`'replacement' can not be set for ${action} action`)
  if (action === 'labelmap' && rule.replacement === '')
    section.refuse("relabel configuration for labelmap action requires 'replacement' value")
  if (
    ['keepequal', 'dropequal'].includes(action) &&
    (given.regex || given.separator || given.replacement || given.modulus)
  )
    section.refuse(`${action} action requires only 'source_labels' and \`target_label\`, and no other fields`)
  if (
    ['labeldrop', 'labelkeep'].includes(action) &&
    (given.source || given.separator || given.replacement || given.modulus || given.target)
  )
    section.refuse(`${action} action requires only 'regex', and no other fields`)
  return rule
}

export function readRelabelRules(list: readonly Setting[]): RelabelRule[] {
  return list.map(readRule)
}

/** `$1`, `${1}`, `$name`, `$$` of Go's expressions. */
export function expandGroups(replacement: string, regex: RE2JS, text: string): string | undefined {
  const matcher = regex.matcher(text)
  if (!matcher.matches()) return undefined
  if (!replacement.includes('$')) return replacement
  const groups = regex.namedGroups() as Readonly<Record<string, number>>
  return replacement.replaceAll(
    /\$(?:\$|\{(\w+)\}|(\w+))/g,
    (whole, braced: string | undefined, bare: string | undefined) => {
      const name = braced ?? bare
      if (name === undefined) return whole === '$$' ? '$' : whole
      const number = /^\d+$/.test(name) ? Number(name) : groups[name]
      return number === undefined || number > matcher.groupCount() ? '' : (matcher.group(number) ?? '')
    },
  )
}

/** The last eight bytes of the text's MD5, as Prometheus hashes. */
function md5Mod(text: string, modulus: bigint): string {
  return String(createHash('md5').update(text).digest().readBigUInt64BE(8) % modulus)
}

function set(labels: LabelMap, name: string, value: string): void {
  if (value === '') labels.delete(name)
  else labels.set(name, value)
}

/** What `replace` puts in: undefined where the expression doesn't fit. */
function replacementOf(rule: RelabelRule, source: string): string | undefined {
  if (rule.memo.has(source)) return rule.memo.get(source)
  const value = expandGroups(rule.replacement, rule.regex, source)
  if (rule.memo.size < memoMax) rule.memo.set(source, value)
  return value
}
function fits(rule: RelabelRule, text: string): boolean {
  const known = rule.memo.get(text)
  if (known !== undefined) return known === 'y'
  const isFit = rule.regex.matches(text)
  if (rule.memo.size < memoMax) rule.memo.set(text, isFit ? 'y' : 'n')
  return isFit
}

/** Changes `labels`; false: dropped. */
export function relabel(labels: LabelMap, rules: readonly RelabelRule[]): boolean {
  for (const rule of rules) if (!relabelOnce(labels, rule)) return false
  return true
}

function relabelOnce(labels: LabelMap, rule: RelabelRule): boolean {
  const source = rule.sourceLabels.map(name => labels.get(name) ?? '').join(rule.separator)
  switch (rule.action) {
    case 'keep':
      return fits(rule, source)
    case 'drop':
      return !fits(rule, source)
    case 'keepequal':
      return (labels.get(rule.targetLabel) ?? '') === source
    case 'dropequal':
      return (labels.get(rule.targetLabel) ?? '') !== source
    case 'lowercase':
      set(labels, rule.targetLabel, source.toLowerCase())
      return true
    case 'uppercase':
      set(labels, rule.targetLabel, source.toUpperCase())
      return true
    case 'hashmod':
      set(labels, rule.targetLabel, md5Mod(source, rule.modulus))
      return true
    case 'replace': {
      const value = replacementOf(rule, source)
      if (value === undefined) return true
      const target = rule.targetLabel.includes('$')
        ? (expandGroups(rule.targetLabel, rule.regex, source) ?? '')
        : rule.targetLabel
      if (isLabelName(target)) set(labels, target, value)
      return true
    }
    case 'labelmap':
      for (const [name, value] of [...labels].sort((a, b) => compareText(a[0], b[0]))) {
        const target = expandGroups(rule.replacement, rule.regex, name)
        if (target !== undefined && target !== '') labels.set(target, value)
      }
      return true
    case 'labeldrop':
      for (const name of labels.keys()) if (fits(rule, name)) labels.delete(name)
      return true
    case 'labelkeep':
      for (const name of labels.keys()) if (!fits(rule, name)) labels.delete(name)
      return true
  }
}

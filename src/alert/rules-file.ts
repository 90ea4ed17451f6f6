/**
 * Files of rules: Prometheus', and Loki's, which have the same form. Source: Prometheus' public documentation of
 * recording and alerting rules.
 */
import { BadDataError, messageOf } from '#core/errors.ts'
import { quote } from '#core/text.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { parseSettings, type Section, type Setting } from '#lang/settings/section.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { checkTemplate } from './template.ts'

/** The languages of expressions. */
export type RuleLanguage = 'promql' | 'logql' | 'traceql'

/** A rule as its file has it. Times are milliseconds. */
export interface RuleSettings {
  kind: 'recording' | 'alerting'
  name: string
  expr: string
  language: RuleLanguage
  forMs: number
  keepFiringForMs: number
  labels: [string, string][]
  annotations: [string, string][]
}

/** A group as its file has it. Times are milliseconds. */
export interface GroupSettings {
  file: string
  name: string
  /** undefined: the global evaluation interval. */
  intervalMs: number | undefined
  queryOffsetMs: number | undefined
  /** 0: none. */
  limit: number
  labels: [string, string][]
  rules: RuleSettings[]
}

/** Which language an expression is of: what a group's `type` says, else the first that it is right in. */
function languageOf(expr: string, type: string, refuse: (message: string) => never): RuleLanguage {
  const tries: [RuleLanguage, readonly string[], () => void][] = [
    [
      'promql',
      ['', 'prometheus', 'promql'],
      () => {
        parsePromql(expr)
      },
    ],
    [
      'logql',
      ['', 'loki', 'logql'],
      () => {
        parseLogql(expr)
      },
    ],
    [
      'traceql',
      ['', 'tempo', 'traceql'],
      () => {
        if (parseTraceql(expr).kind !== 'metrics') throw new BadDataError('a TraceQL rule needs a metrics query')
      },
    ],
  ]
  let first: string | undefined
  for (const [language, types, parse] of tries) {
    if (!types.includes(type)) continue
    try {
      parse()
      return language
    } catch (error) {
      first ??= messageOf(error)
    }
  }
  return refuse(
    first === undefined
      ? `unknown type ${quote(type)}; prometheus, loki and tempo are known`
      : `could not parse expression: ${first}`,
  )
}

function labelPairs(section: Section, name: string, refuse: (message: string) => never): [string, string][] {
  const pairs = section.textMap(name)
  for (const [label] of pairs) if (label === '' || label === '__name__') refuse(`invalid label name: ${quote(label)}`)
  return pairs
}

function readRule(setting: Setting, type: string): RuleSettings {
  const section = setting.section()
  const record = section.text('record')
  const alert = section.text('alert')
  const expr = section.text('expr')
  if (record !== '' && alert !== '') section.refuse("only one of 'record' and 'alert' must be set")
  if (record === '' && alert === '') section.refuse("one of 'record' or 'alert' must be set")
  if (expr === '') section.refuse("field 'expr' must be set in rule")
  const name = record === '' ? alert : record
  const rule: RuleSettings = {
    kind: record === '' ? 'alerting' : 'recording',
    name,
    expr,
    language: languageOf(expr, type, m => section.get('expr')!.refuse(m)),
    forMs: section.durationMs('for', 0),
    keepFiringForMs: section.durationMs('keep_firing_for', 0),
    labels: labelPairs(section, 'labels', m => section.refuse(m)),
    annotations: section.textMap('annotations'),
  }
  const hasFor = section.has('for')
  const hasKeep = section.has('keep_firing_for')
  const hasAnnotations = section.has('annotations')
  section.finish()
  if (record !== '') {
    if (hasAnnotations) section.refuse("invalid field 'annotations' in recording rule")
    if (hasFor && rule.forMs !== 0) section.refuse("invalid field 'for' in recording rule")
    if (hasKeep && rule.keepFiringForMs !== 0) section.refuse("invalid field 'keep_firing_for' in recording rule")
    if (/[^\x20-\x7e\u0080-\uffff]/.test(record)) section.refuse(`invalid recording rule name: ${record}`)
  }
  for (const [label] of rule.annotations) if (label === '') section.refuse('invalid annotation name: it is empty')
  for (const [what, pairs] of [
    ['label', rule.labels],
    ['annotation', rule.annotations],
  ] as const) {
    if (record !== '' && what === 'label') continue
    for (const [label, text] of pairs) {
      const problem = checkTemplate(`__alert_${name}`, text)
      if (problem !== undefined) section.refuse(`${what} ${quote(label)}: ${problem}`)
    }
  }
  return rule
}

/** Reads a file of rules. Throws BadDataError with file and line of the fault. */
export function readRulesFile(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>> = {},
): GroupSettings[] {
  const root = parseSettings(text, file, env)
  if (root.isNull) return []
  const section = root.section()
  // Mimir's and Loki's rulers name the file's namespace.
  section.ignore('namespace')
  const seen = new Set<string>()
  const groups = section.list('groups').map((setting): GroupSettings => {
    const own = setting.section()
    const name = own.text('name')
    if (name === '') own.refuse('groupname must not be empty')
    if (seen.has(name)) own.refuse(`groupname: ${quote(name)} is repeated in the same file`)
    seen.add(name)
    const type = own.text('type')
    const group: GroupSettings = {
      file,
      name,
      intervalMs: own.has('interval') ? own.durationMs('interval', 0) || undefined : undefined,
      queryOffsetMs: own.has('query_offset')
        ? own.durationMs('query_offset', 0)
        : own.has('eval_delay')
          ? own.durationMs('eval_delay', 0)
          : undefined,
      limit: own.whole('limit', 0),
      labels: labelPairs(own, 'labels', m => own.refuse(m)),
      rules: own.list('rules').map(rule => readRule(rule, type)),
    }
    // vmalert's and Mimir's own keys.
    own.ignore(
      'concurrency',
      'params',
      'headers',
      'tenant',
      'eval_offset',
      'debug',
      'source_tenants',
      'partial_response_strategy',
      'remote_write',
    )
    own.finish()
    return group
  })
  section.finish()
  return groups
}

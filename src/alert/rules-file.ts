/**
 * Files of rules: Prometheus', and Loki's, which have the same form. Source: Prometheus' public documentation of
 * recording and alerting rules.
 */
import { BadDataError, messageOf } from '#core/errors.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { quote } from '#core/text.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { Faults } from '#lang/settings/faults.ts'
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

/** Who keeps a group that no file has: the tenant, and the API through which the group was set. */
export interface GroupOwner {
  api: 'loki' | 'mimir'
  tenant: string
}

/** A group as its file has it. Times are milliseconds. */
export interface GroupSettings {
  /** Of a group with an owner: its namespace. */
  file: string
  /** Undefined: the group is in a file, or in an operator's object. */
  owner: GroupOwner | undefined
  name: string
  /** undefined: the global evaluation interval. */
  intervalMs: number | undefined
  queryOffsetMs: number | undefined
  /** 0: none. */
  limit: number
  labels: [string, string][]
  /** Whose the group is; undefined: it does not say so, or nobody asks it. */
  tenant: string | undefined
  /** Whose data it reads; none: that of the tenant whose it is. */
  sourceTenants: readonly string[]
  rules: RuleSettings[]
  /** Settings that are taken and not carried out, with their places. */
  notes: readonly string[]
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

function labelPairs(section: Section, name: string): [string, string][] {
  const pairs = section.textMap(name)
  for (const [label] of pairs)
    if (label === '' || label === '__name__') section.refuse(`invalid label name: ${quote(label)}`)
  return pairs
}

function annotationPairs(section: Section): [string, string][] {
  const pairs = section.textMap('annotations')
  for (const [name] of pairs) if (name === '') section.refuse('invalid annotation name: it is empty')
  return pairs
}

/** What the rule is, and its name. */
function readHead(section: Section): Pick<RuleSettings, 'kind' | 'name'> {
  const record = section.text('record')
  const alert = section.text('alert')
  if (record !== '' && alert !== '') section.refuse("only one of 'record' and 'alert' must be set")
  if (record === '' && alert === '') section.refuse("one of 'record' or 'alert' must be set")
  if (/[{}]/.test(record))
    section.get('record')!.refuse(`braces present in the recording rule name; should it be in expr?: ${record}`)
  if (/[^\x20-\x7e\u0080-\uffff]/.test(record)) section.get('record')!.refuse(`invalid recording rule name: ${record}`)
  return record === '' ? { kind: 'alerting', name: alert } : { kind: 'recording', name: record }
}

function readExpression(section: Section, type: string): Pick<RuleSettings, 'expr' | 'language'> {
  const expr = section.text('expr')
  if (expr === '') section.refuse("field 'expr' must be set in rule")
  return { expr, language: languageOf(expr, type, m => section.get('expr')!.refuse(m)) }
}

function refuseAlertsFields(section: Section, { forMs, keepFiringForMs }: RuleSettings): void {
  if (section.has('annotations')) section.refuse("invalid field 'annotations' in recording rule")
  if (forMs !== 0) section.refuse("invalid field 'for' in recording rule")
  if (keepFiringForMs !== 0) section.refuse("invalid field 'keep_firing_for' in recording rule")
}

function readRule(setting: Setting, type: string, faults: Faults): RuleSettings {
  const section = setting.section()
  const rule: RuleSettings = {
    ...faults.collect(() => readHead(section), { kind: 'alerting', name: section.text('alert') }),
    ...faults.collect(() => readExpression(section, type), { expr: '', language: 'promql' }),
    forMs: faults.collect(() => section.durationMs('for', 0), 0),
    keepFiringForMs: faults.collect(() => section.durationMs('keep_firing_for', 0), 0),
    labels: faults.collect(() => labelPairs(section, 'labels'), []),
    annotations: faults.collect(() => annotationPairs(section), []),
  }
  if (section.has('record') && !section.has('alert')) faults.collect(() => refuseAlertsFields(section, rule), undefined)
  else checkTemplates(section, rule, faults)
  faults.collect(() => section.finish(), undefined)
  return rule
}

function checkTemplates(section: Section, { name, labels, annotations }: RuleSettings, faults: Faults): void {
  const texts = [
    ...labels.map(([label, text]) => [`label ${quote(label)}`, text] as const),
    ...annotations.map(([annotation, text]) => [`annotation ${quote(annotation)}`, text] as const),
  ]
  for (const [what, text] of texts) {
    const problem = checkTemplate(`__alert_${name}`, text)
    if (problem !== undefined) faults.collect(() => section.refuse(`${what}: ${problem}`), undefined)
  }
}

/** Keys of vmalert, Mimir and Thanos. */
const foreignKeys = ['params', 'headers', 'eval_offset', 'debug', 'partial_response_strategy', 'remote_write']

/** Keys of vmalert and Mimir that name tenants. */
const tenantKeys = ['tenant', 'source_tenants']

/** More are refused, as in a question of several tenants. */
const sourceTenantsMax = 100

/** Where groups come from. */
interface GroupsPlace {
  file: string
  /** Undefined: each group says it, or it is found out. */
  language?: RuleLanguage
  /** Groups may say whose they are. */
  hasTenants: boolean
}

const noTenants = { tenant: undefined, sourceTenants: [] }

function readTenants(section: Section): Pick<GroupSettings, 'tenant' | 'sourceTenants'> {
  const check = (key: string, names: readonly string[]): void => {
    for (const name of names)
      try {
        checkTenantName(name)
      } catch (error) {
        section.get(key)!.refuse(messageOf(error))
      }
  }
  const tenant = section.has('tenant') ? section.text('tenant') : undefined
  if (tenant !== undefined) check('tenant', [tenant])
  const sourceTenants = [...new Set(section.texts('source_tenants'))].sort()
  check('source_tenants', sourceTenants)
  if (sourceTenants.length > sourceTenantsMax)
    section.get('source_tenants')!.refuse(`${sourceTenants.length} tenants, the limit is ${sourceTenantsMax}`)
  return { tenant, sourceTenants }
}

function readGroup(
  setting: Setting,
  { file, language, hasTenants }: GroupsPlace,
  seen: Set<string>,
  faults: Faults,
): GroupSettings {
  const notesBefore = setting.notes.length
  const section = setting.section()
  const name = section.text('name')
  const refuse = (message: string): void => faults.collect(() => section.refuse(message), undefined)
  if (name === '') refuse('groupname must not be empty')
  else if (seen.has(name)) refuse(`groupname: ${quote(name)} is repeated in the same file`)
  seen.add(name)
  const type = language ?? section.text('type')
  const offsetKey = section.has('query_offset') ? 'query_offset' : 'eval_delay'
  const group: GroupSettings = {
    file,
    owner: undefined,
    name,
    intervalMs: faults.collect(() => section.durationMs('interval', 0) || undefined, undefined),
    queryOffsetMs: section.has(offsetKey) ? faults.collect(() => section.durationMs(offsetKey, 0), 0) : undefined,
    limit: faults.collect(() => section.whole('limit', 0), 0),
    labels: faults.collect(() => labelPairs(section, 'labels'), []),
    ...(hasTenants ? faults.collect(() => readTenants(section), noTenants) : noTenants),
    rules: section.list('rules').flatMap(rule => faults.collect(() => [readRule(rule, type, faults)], [])),
    notes: [],
  }
  // Groups are evaluated beside each other, rules of a group in turn: what comes out is the same.
  section.ignore('concurrency')
  section.notDone(hasTenants ? foreignKeys : [...foreignKeys, ...tenantKeys])
  group.notes = setting.notes.slice(notesBefore)
  faults.collect(() => section.finish(), undefined)
  return group
}

/**
 * Reads a file of rules. `hasTenants`: groups may say whose they are; else the keys are noted as not carried out.
 * Throws BadDataError with file, line and column of every fault, a line each.
 */
export function readRulesFile(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>> = {},
  hasTenants = false,
): GroupSettings[] {
  const root = parseSettings(text, file, env)
  if (root.isNull) return []
  const section = root.section()
  // Mimir's and Loki's rulers name the file's namespace.
  section.ignore('namespace')
  const faults = new Faults()
  const seen = new Set<string>()
  const groups = section
    .list('groups')
    .flatMap(setting => faults.collect(() => [readGroup(setting, { file, hasTenants }, seen, faults)], []))
  faults.collect(() => section.finish(), undefined)
  faults.end()
  return groups
}

/** Of one group that is set through an API: 1,000 rules of 100 characters are what a request may have. */
const rulesPerGroupMax = 1000

/**
 * Reads one group with the rules of one language, as it is set through an API; `namespace` stands for the file's name.
 * Throws BadDataError with every fault, a line each; settings that nobody would carry out are faults here.
 */
export function readRuleGroup(
  text: string,
  language: RuleLanguage,
  owner: GroupOwner,
  namespace: string,
): GroupSettings {
  const root = parseSettings(text, namespace, null)
  const section = root.section()
  const count = section.list('rules').length
  if (count > rulesPerGroupMax)
    throw new BadDataError(`a group has ${count} rules, ${rulesPerGroupMax} are allowed; make several groups of them`)
  const faults = new Faults()
  const group = readGroup(root, { file: namespace, language, hasTenants: false }, new Set(), faults)
  for (const note of group.notes) faults.add(note)
  faults.end()
  return { ...group, owner }
}

/** Rules and alerts: /api/v1/rules, /api/v1/alerts, /api/v1/alertmanagers. */
import { BadDataError } from '#core/errors.ts'
import type { LabelConstraint, Scope } from '#core/scope.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { formatExpr } from '#lang/promql/printer.ts'
import { matchersOf } from '#lang/regex/constraint.ts'
import type { Labels } from '#model/labels.ts'
import { reads, readsProcess } from '#net/access.ts'
import { allowing, route, type GuardedRoute, type HttpReply, type HttpRequest } from '#net/route-table.ts'
import type { ScopeOf } from '../tenancy.ts'
import { invalid, matcherSets } from './params.ts'
import { prometheusDialect, success } from './respond.ts'

type Pairs = readonly (readonly [string, string])[]

export interface AlertView {
  labels: Labels
  annotations: Labels
  state: string
  activeMs: number
  keepFiringSinceMs: number
  value: number
}
export interface RuleView {
  type: 'alerting' | 'recording'
  name: string
  expr: string
  isPromql: boolean
  labels: Pairs
  annotations: Pairs
  forSeconds: number
  keepFiringForSeconds: number
  state: string
  alerts: AlertView[]
  health: string
  lastError: string
  lastEvaluationMs: number
  evaluationSeconds: number
}
export interface GroupView {
  /** Whose it is. */
  tenant: string
  /** Of a group that was set through an API: which. */
  api: string | undefined
  name: string
  file: string
  intervalSeconds: number
  limit: number
  lastEvaluationMs: number
  evaluationSeconds: number
  rules: RuleView[]
}
export interface RulesSource {
  /** Groups of some tenants. */
  groups(tenants: Scope['tenants']): GroupView[]
  alertmanagers(): { active: string[]; dropped: string[] }
}

const object = (pairs: Pairs): Record<string, string> => Object.fromEntries(pairs)
const time = (ms: number): string => (ms === 0 ? '0001-01-01T00:00:00Z' : new Date(ms).toISOString())

/** As Go prints a float with an exponent of two digits at least. */
function exponential(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string]
  return `${mantissa}e${exponent.startsWith('-') ? '-' : '+'}${exponent.replace(/^[+-]/, '').padStart(2, '0')}`
}

function alertJson(alert: AlertView): Record<string, unknown> {
  return {
    labels: alert.labels.toObject(),
    annotations: alert.annotations.toObject(),
    state: alert.state,
    activeAt: time(alert.activeMs),
    ...(alert.keepFiringSinceMs > 0 ? { keepFiringSince: time(alert.keepFiringSinceMs) } : {}),
    value: exponential(alert.value),
  }
}

function ruleJson(rule: RuleView, isWithAlerts: boolean): Record<string, unknown> {
  const query = rule.isPromql ? formatExpr(parsePromql(rule.expr)) : rule.expr
  const tail = {
    health: rule.health,
    ...(rule.lastError === '' ? {} : { lastError: rule.lastError }),
    evaluationTime: rule.evaluationSeconds,
    lastEvaluation: time(rule.lastEvaluationMs),
    type: rule.type,
  }
  if (rule.type === 'recording')
    return { name: rule.name, query, ...(rule.labels.length === 0 ? {} : { labels: object(rule.labels) }), ...tail }
  return {
    state: rule.state,
    name: rule.name,
    query,
    duration: rule.forSeconds,
    keepFiringFor: rule.keepFiringForSeconds,
    labels: object(rule.labels),
    annotations: object(rule.annotations),
    alerts: isWithAlerts ? rule.alerts.map(alertJson) : [],
    ...tail,
  }
}

const isOneOf = (form: URLSearchParams, name: string, value: string): boolean => {
  const wanted = form.getAll(name)
  return wanted.length === 0 || wanted.includes(value)
}

export function ruleRoutes(source: RulesSource, scopeOf: ScopeOf): GuardedRoute[] {
  const groupsFor = (request: HttpRequest): GroupView[] => {
    const { tenants, labels } = scopeOf(request)
    return within(source.groups(tenants), labels)
  }
  const routes = [
    route(['GET'], '/api/v1/rules', async request => rulesReply(groupsFor(request), await request.form())),
    route(['GET'], '/api/v1/alerts', async request => alertsReply(groupsFor(request))),
    ...allowing(readsProcess, [
      route(['GET'], '/api/v1/alertmanagers', async () => alertmanagersReply(source.alertmanagers())),
    ]),
  ]
  return allowing(reads('metrics'), prometheusDialect(routes))
}

/**
 * What a credential that is bound to labels sees: the alerts that have them, and rules that have them or such an alert.
 * The texts of errors may name series of others.
 */
function within(groups: GroupView[], constraints: readonly LabelConstraint[]): GroupView[] {
  if (constraints.length === 0) return groups
  const matchers = matchersOf(constraints)
  const fits = (valueOf: (name: string) => string): boolean => matchers.every(m => m.matches(valueOf(m.name)))
  const seen = (rule: RuleView): RuleView[] => {
    const own = new Map(rule.labels)
    const alerts = rule.alerts.filter(({ labels }) => fits(name => labels.get(name)))
    if (alerts.length === 0 && !fits(name => own.get(name) ?? '')) return []
    const lastError = rule.lastError === '' ? '' : 'the evaluation failed'
    return [{ ...rule, alerts, state: stateOf(alerts), lastError }]
  }
  return groups.map(group => ({ ...group, rules: group.rules.flatMap(seen) })).filter(({ rules }) => rules.length > 0)
}

/** Of a rule with these alerts. */
function stateOf(alerts: readonly AlertView[]): string {
  if (alerts.some(({ state }) => state === 'firing')) return 'firing'
  return alerts.some(({ state }) => state === 'pending') ? 'pending' : 'inactive'
}

function alertsReply(groups: readonly GroupView[]): HttpReply {
  const alerts = groups.flatMap(g => g.rules).flatMap(r => r.alerts)
  return success(JSON.stringify({ alerts: alerts.map(alertJson) }))
}

function alertmanagersReply({ active, dropped }: ReturnType<RulesSource['alertmanagers']>): HttpReply {
  return success(
    JSON.stringify({
      activeAlertmanagers: active.map(url => ({ url })),
      droppedAlertmanagers: dropped.map(url => ({ url })),
    }),
  )
}

/** Which rules and groups a request asks for. */
interface RulesQuery {
  /** Empty: both. */
  type: string
  isWithAlerts: boolean
  matcherSets: ReturnType<typeof matcherSets>
  /** Groups of a page; undefined: all. */
  pageGroups: number | undefined
}

/** Throws BadDataError. */
function parseRulesQuery(form: URLSearchParams): RulesQuery {
  const type = (form.get('type') ?? '').toLowerCase()
  if (!['', 'alert', 'record'].includes(type)) throw invalid('type', `not supported value ${JSON.stringify(type)}`)
  const exclude = form.get('exclude_alerts') ?? ''
  if (!['', 'true', 'false', '1', '0', 't', 'f'].includes(exclude.toLowerCase()))
    throw invalid(
      'exclude_alerts',
      `error converting exclude_alerts: strconv.ParseBool: parsing ${JSON.stringify(exclude)}: invalid syntax`,
    )
  const sets = matcherSets(form, false)
  const limit = form.get('group_limit') ?? ''
  if (limit === '' && (form.get('group_next_token') ?? '') !== '')
    throw invalid('group_next_token', 'group_limit needs to be present in order to paginate over the groups')
  if (limit !== '') checkGroupLimit(limit)
  return {
    type,
    isWithAlerts: !['true', '1', 't'].includes(exclude.toLowerCase()),
    matcherSets: sets,
    pageGroups: limit === '' ? undefined : Number(limit),
  }
}

function checkGroupLimit(text: string): void {
  if (!/^[+-]?\d+$/.test(text))
    throw invalid(
      'group_limit',
      `group_limit needs to be a valid number: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
    )
  if (Number(text) <= 0) throw invalid('group_limit', 'group_limit needs to be greater than 0')
}

function isAsked(rule: RuleView, form: URLSearchParams, { type, matcherSets: sets }: RulesQuery): boolean {
  const own = object(rule.labels)
  return (
    (type === '' || type === (rule.type === 'alerting' ? 'alert' : 'record')) &&
    isOneOf(form, 'rule_name[]', rule.name) &&
    (sets.length === 0 || sets.some(set => set.every(m => m.matches(own[m.name] ?? ''))))
  )
}

function rulesReply(groups: readonly GroupView[], form: URLSearchParams): HttpReply {
  const query = parseRulesQuery(form)
  // Without a question about rules, groups without one are shown too.
  const isAboutRules = query.type !== '' || form.has('rule_name[]') || query.matcherSets.length > 0
  const chosen = groups
    .filter(g => isOneOf(form, 'rule_group[]', g.name) && isOneOf(form, 'file[]', g.file))
    .map(group => ({ ...group, rules: group.rules.filter(rule => isAsked(rule, form, query)) }))
    .filter(g => g.rules.length > 0 || !isAboutRules)
  const token = form.get('group_next_token') ?? ''
  const from = token === '' ? 0 : chosen.findIndex(g => pageToken(g) === token)
  if (from < 0) throw new BadDataError('invalid group_next_token')
  const through = Math.min(chosen.length, from + (query.pageGroups ?? Infinity))
  const next = chosen[through]
  return success(
    JSON.stringify({
      groups: chosen.slice(from, through).map(g => groupJson(g, query.isWithAlerts)),
      ...(next === undefined ? {} : { groupNextToken: pageToken(next) }),
    }),
  )
}

/** Names the first group of a page: groups of files, of APIs and of tenants may have the same names. */
function pageToken({ tenant, api, file, name }: GroupView): string {
  return Buffer.from(JSON.stringify([tenant, api ?? '', file, name])).toString('base64url')
}

function groupJson(group: GroupView, isWithAlerts: boolean): Record<string, unknown> {
  return {
    name: group.name,
    file: group.file,
    rules: group.rules.map(rule => ruleJson(rule, isWithAlerts)),
    interval: group.intervalSeconds,
    limit: group.limit,
    evaluationTime: group.evaluationSeconds,
    lastEvaluation: time(group.lastEvaluationMs),
  }
}

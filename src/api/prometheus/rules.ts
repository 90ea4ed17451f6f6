/** Rules and alerts: /api/v1/rules, /api/v1/alerts, /api/v1/alertmanagers. Every path also stands under /prometheus. */
import { BadDataError } from '#core/errors.ts'
import { formatExpr } from '#lang/promql/printer.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { Labels } from '#model/labels.ts'
import type { Handler, HttpRequest, Route } from '#net/route-table.ts'
import { matcherSets } from './params.ts'
import { errorReply, success } from './respond.ts'

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
  name: string
  file: string
  intervalSeconds: number
  limit: number
  lastEvaluationMs: number
  evaluationSeconds: number
  rules: RuleView[]
}
export interface RulesSource {
  groups(): GroupView[]
  alertmanagers(): { active: string[]; dropped: string[] }
}

const object = (pairs: Pairs): Record<string, string> => Object.fromEntries(pairs)
const ofLabels = (labels: Labels): Record<string, string> =>
  Object.fromEntries(Array.from({ length: labels.size }, (_, i) => [labels.pairs[2 * i]!, labels.pairs[2 * i + 1]!]))
const time = (ms: number): string => (ms === 0 ? '0001-01-01T00:00:00Z' : new Date(ms).toISOString())

/** As Go prints a float with an exponent of two digits at least. */
function exponential(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string]
  return `${mantissa}e${exponent.startsWith('-') ? '-' : '+'}${exponent.replace(/^[+-]/, '').padStart(2, '0')}`
}

function alertJson(alert: AlertView): Record<string, unknown> {
  return {
    labels: ofLabels(alert.labels),
    annotations: ofLabels(alert.annotations),
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

export function ruleRoutes(source: RulesSource): Route[] {
  const rules = async (request: HttpRequest): ReturnType<Handler> => {
    const form = await request.form()
    const type = (form.get('type') ?? '').toLowerCase()
    if (!['', 'alert', 'record'].includes(type)) throw new BadDataError(`not supported value ${JSON.stringify(type)}`)
    const exclude = form.get('exclude_alerts') ?? ''
    if (!['', 'true', 'false', '1', '0', 't', 'f'].includes(exclude.toLowerCase()))
      throw new BadDataError(`invalid parameter "exclude_alerts": ${JSON.stringify(exclude)} is not true or false`)
    const isWithAlerts = !['true', '1', 't'].includes(exclude.toLowerCase())
    const sets = matcherSets(form)
    const limitText = form.get('group_limit') ?? '',
      token = form.get('group_next_token') ?? ''
    if (limitText !== '' && !/^[1-9]\d*$/.test(limitText))
      throw new BadDataError('group_limit must be a positive number')
    const chosen = source
      .groups()
      .filter(g => isOneOf(form, 'rule_group[]', g.name) && isOneOf(form, 'file[]', g.file))
      .map(group => ({
        ...group,
        rules: group.rules.filter(
          rule =>
            (type === '' || type === (rule.type === 'alerting' ? 'alert' : 'record')) &&
            isOneOf(form, 'rule_name[]', rule.name) &&
            (sets.length === 0 ||
              sets.some(set => {
                const own = object(rule.labels)
                return set.every(m => m.matches(own[m.name] ?? ''))
              })),
        ),
      }))
      .filter(g => g.rules.length > 0 || (type === '' && form.getAll('rule_name[]').length === 0 && sets.length === 0))
    const key = (g: GroupView): string => Buffer.from(`${g.file};${g.name}`).toString('base64url')
    const from = token === '' ? 0 : chosen.findIndex(g => key(g) === token)
    if (from < 0) throw new BadDataError('invalid group_next_token')
    const through = limitText === '' ? chosen.length : Math.min(chosen.length, from + Number(limitText))
    const next = chosen[through]
    return success(
      JSON.stringify({
        groups: chosen.slice(from, through).map(g => ({
          name: g.name,
          file: g.file,
          rules: g.rules.map(rule => ruleJson(rule, isWithAlerts)),
          interval: g.intervalSeconds,
          limit: g.limit,
          evaluationTime: g.evaluationSeconds,
          lastEvaluation: time(g.lastEvaluationMs),
        })),
        ...(next === undefined ? {} : { groupNextToken: key(next) }),
      }),
    )
  }
  const alerts: Handler = async () =>
    success(
      JSON.stringify({
        alerts: source
          .groups()
          .flatMap(g => g.rules.flatMap(r => r.alerts))
          .map(alertJson),
      }),
    )
  const alertmanagers: Handler = async () => {
    const { active, dropped } = source.alertmanagers()
    return success(
      JSON.stringify({
        activeAlertmanagers: active.map(url => ({ url })),
        droppedAlertmanagers: dropped.map(url => ({ url })),
      }),
    )
  }
  const guarded =
    (handler: Handler): Handler =>
    async request => {
      try {
        return await handler(request)
      } catch (error) {
        return errorReply(error)
      }
    }
  const routes: [string, Handler][] = [
    ['/api/v1/rules', rules],
    ['/api/v1/alerts', alerts],
    ['/api/v1/alertmanagers', alertmanagers],
  ]
  return routes.flatMap(([path, handler]) =>
    ['', '/prometheus'].map((prefix): Route => ({
      methods: ['GET'],
      path: `${prefix}${path}`,
      handler: guarded(handler),
    })),
  )
}

/** Alertmanager's API, version 2, as amtool, Grafana and Prometheus speak it. Source: Alertmanager's public OpenAPI description. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, LimitError, messageOf, NotFoundError } from '#core/errors.ts'
import { quote } from '#core/text.ts'
import { compileAnchored } from '#lang/regex/regex.ts'
import { maskSettings } from '#lang/settings/mask.ts'
import { Labels } from '#model/labels.ts'
import type { Handler, HttpReply, HttpRequest, Route } from '#net/route-table.ts'
import type { Alertmanager, AlertStatus, IncomingAlert } from '#alert/alertmanager/alertmanager.ts'
import { matcherOf, parseMatchers, type Matcher } from '#alert/alertmanager/matchers.ts'
import { silenceState, type ManagedAlert, type Silence } from '#alert/alertmanager/store.ts'

export interface AlertmanagerOptions {
  clock: Clock
  alertmanager: Alertmanager
  version: string
  startedMs: number
}

const json = (value: unknown, status = 200): HttpReply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})
const object = (labels: Labels): Record<string, string> =>
  Object.fromEntries(Array.from({ length: labels.size }, (_, i) => [labels.pairs[2 * i]!, labels.pairs[2 * i + 1]!]))
const iso = (ms: number): string => new Date(ms).toISOString()

/** Secrets are not shown: passwords and keys, and URLs that let in whoever knows them. */
export function withoutSecrets(text: string): string {
  return maskSettings(text, path => {
    const name = path.at(-1) ?? '',
      owner = path.at(-2) ?? ''
    return (
      /(?:password|secret|token|api_key|routing_key|service_key|user_key|credentials|webhook_url)$|^slack_api_url$/.test(
        name,
      ) ||
      (name === 'url' && owner === 'webhook_configs') ||
      (name === 'api_url' && owner === 'slack_configs')
    )
  })
}

async function bodyOf(request: HttpRequest): Promise<unknown> {
  try {
    return JSON.parse(Buffer.from(await request.body()).toString('utf8'))
  } catch (error) {
    if (error instanceof LimitError) throw error
    throw new BadDataError(`the body is no JSON: ${messageOf(error)}`)
  }
}

function timeOf(value: unknown, name: string): number | undefined {
  if (
    value === undefined ||
    value === null ||
    value === '' ||
    value === '0001-01-01T00:00:00Z' ||
    value === '0001-01-01T00:00:00.000Z'
  )
    return undefined
  const ms = typeof value === 'string' ? Date.parse(value) : NaN
  if (Number.isNaN(ms)) throw new BadDataError(`${name} ${quote(String(value))} is no time like 2026-11-25T10:00:00Z`)
  return ms
}

function labelsOf(value: unknown, name: string): Labels {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new BadDataError(`${name}: an object of texts was expected`)
  for (const [key, text] of Object.entries(value))
    if (typeof text !== 'string' || key === '') throw new BadDataError(`${name}: ${quote(key)} is no label with a text`)
  return Labels.fromObject(value as Record<string, string>)
}

function isOn(form: URLSearchParams, name: string): boolean {
  const text = form.get(name)
  if (text === null || text === '') return true
  if (text !== 'true' && text !== 'false') throw new BadDataError(`${name} ${quote(text)} is not true or false`)
  return text === 'true'
}

const filtersOf = (form: URLSearchParams): Matcher[] => form.getAll('filter').flatMap(parseMatchers)
const fits = (filters: readonly Matcher[], labels: Labels): boolean => filters.every(m => m.matches(labels.get(m.name)))

function silenceJson(silence: Silence, nowMs: number): Record<string, unknown> {
  return {
    id: silence.id,
    status: { state: silenceState(silence, nowMs) },
    updatedAt: iso(silence.updatedMs),
    comment: silence.comment,
    createdBy: silence.createdBy,
    startsAt: iso(silence.startsMs),
    endsAt: iso(silence.endsMs),
    matchers: silence.matchers.map(({ kind, name, value }) => ({
      name,
      value,
      isRegex: kind === '=~' || kind === '!~',
      isEqual: kind === '=' || kind === '=~',
    })),
  }
}

export function alertmanagerRoutes({ clock, alertmanager, version, startedMs }: AlertmanagerOptions): Route[] {
  const guarded =
    (handler: Handler): Handler =>
    async request => {
      try {
        return await handler(request)
      } catch (error) {
        // Clients of this API read the whole body as one JSON text.
        if (error instanceof NotFoundError) return json(error.message, 404)
        if (error instanceof BadDataError) return json(error.message, 400)
        if (error instanceof LimitError) return json(error.message, error.status)
        return json(messageOf(error), 500)
      }
    }
  const alertJson = (alert: ManagedAlert, status: AlertStatus): Record<string, unknown> => ({
    annotations: object(alert.annotations),
    endsAt: iso(alert.endsMs),
    fingerprint: alert.fingerprint,
    receivers: [...new Set(alertmanager.routesOf(alert.labels).map(r => r.receiver))].map(name => ({ name })),
    startsAt: iso(alert.startsMs),
    status,
    updatedAt: iso(alert.updatedMs),
    generatorURL: alert.generatorUrl,
    labels: object(alert.labels),
  })

  /** The alerts that a request asks for. */
  const chooser = (
    form: URLSearchParams,
  ): ((alert: ManagedAlert, status: AlertStatus, receivers: readonly string[]) => boolean) => {
    const filters = filtersOf(form),
      wanted = {
        active: isOn(form, 'active'),
        silenced: isOn(form, 'silenced'),
        inhibited: isOn(form, 'inhibited'),
        unprocessed: isOn(form, 'unprocessed'),
        muted: isOn(form, 'muted'),
      }
    const receiver = form.get('receiver') ?? ''
    let isReceiver: (name: string) => boolean = () => true
    if (receiver !== '') {
      try {
        const regex = compileAnchored(receiver)
        isReceiver = name => regex.test(name)
      } catch (error) {
        throw new BadDataError(`failed to parse receiver param: ${messageOf(error)}`)
      }
    }
    return (alert, status, receivers) =>
      fits(filters, alert.labels) &&
      receivers.some(isReceiver) &&
      (wanted.active || status.state !== 'active') &&
      (wanted.silenced || status.silencedBy.length === 0) &&
      (wanted.inhibited || status.inhibitedBy.length === 0) &&
      (wanted.muted || status.mutedBy.length === 0)
  }

  const getAlerts: Handler = async request => {
    const form = await request.form(),
      isChosen = chooser(form)
    const found = alertmanager
      .alerts()
      .map(alert => ({ alert, status: alertmanager.statusOf(alert) }))
      .filter(({ alert, status }) =>
        isChosen(
          alert,
          status,
          alertmanager.routesOf(alert.labels).map(r => r.receiver),
        ),
      )
    return json(
      found
        .sort((a, b) => (a.alert.fingerprint < b.alert.fingerprint ? -1 : 1))
        .map(({ alert, status }) => alertJson(alert, status)),
    )
  }
  const postAlerts: Handler = async request => {
    const body = await bodyOf(request)
    if (!Array.isArray(body)) throw new BadDataError('a list of alerts was expected')
    const problems: string[] = []
    const good: IncomingAlert[] = []
    for (const one of body as Record<string, unknown>[]) {
      try {
        good.push({
          labels: labelsOf(one['labels'], 'labels'),
          annotations:
            one['annotations'] === undefined || one['annotations'] === null
              ? Labels.empty
              : labelsOf(one['annotations'], 'annotations'),
          startsMs: timeOf(one['startsAt'], 'startsAt'),
          endsMs: timeOf(one['endsAt'], 'endsAt'),
          generatorUrl: typeof one['generatorURL'] === 'string' ? one['generatorURL'] : '',
        })
      } catch (error) {
        problems.push(messageOf(error))
      }
    }
    problems.push(...alertmanager.receive(good).problems)
    return problems.length === 0 ? { status: 200, body: '' } : json(problems.join('; '), 400)
  }
  const getGroups: Handler = async request => {
    const form = await request.form(),
      isChosen = chooser(form)
    return json(
      alertmanager
        .groups()
        .map(group => ({
          alerts: group.alerts
            .map(alert => ({ alert, status: alertmanager.statusOf(alert, group.route) }))
            .filter(({ alert, status }) => isChosen(alert, status, [group.receiver]))
            .map(({ alert, status }) => alertJson(alert, status)),
          labels: object(group.labels),
          receiver: { name: group.receiver },
        }))
        .filter(g => g.alerts.length > 0),
    )
  }
  const getSilences: Handler = async request => {
    const form = await request.form(),
      nowMs = clock.nowMs()
    const filters = filtersOf(form)
    const order = ['active', 'pending', 'expired']
    // A filter names what the silence itself names.
    const found = [...alertmanager.silences.values()].filter(s =>
      filters.every(f => s.matchers.some(m => m.name === f.name && f.matches(m.value))),
    )
    found.sort(
      (a, b) => order.indexOf(silenceState(a, nowMs)) - order.indexOf(silenceState(b, nowMs)) || a.endsMs - b.endsMs,
    )
    return json(found.map(s => silenceJson(s, nowMs)))
  }
  const postSilence: Handler = async request => {
    const body = (await bodyOf(request)) as Record<string, unknown>
    if (typeof body !== 'object' || body === null || !Array.isArray(body['matchers']))
      throw new BadDataError('matchers in body is required')
    const matchers = (body['matchers'] as Record<string, unknown>[]).map(m => {
      if (typeof m['name'] !== 'string' || m['name'] === '' || typeof m['value'] !== 'string')
        throw new BadDataError('a matcher needs a name and a value')
      const isRegex = m['isRegex'] === true,
        isEqual = m['isEqual'] !== false
      return matcherOf(isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!=', m['name'], m['value'])
    })
    const startsMs = timeOf(body['startsAt'], 'startsAt'),
      endsMs = timeOf(body['endsAt'], 'endsAt')
    if (startsMs === undefined || endsMs === undefined)
      throw new BadDataError('startsAt and endsAt in body are required')
    for (const name of ['createdBy', 'comment'])
      if (typeof body[name] !== 'string') throw new BadDataError(`${name} in body is required`)
    const silenceID = await alertmanager.setSilence({
      id: typeof body['id'] === 'string' ? body['id'] : '',
      matchers,
      startsMs,
      endsMs,
      createdBy: body['createdBy'] as string,
      comment: body['comment'] as string,
    })
    return json({ silenceID })
  }
  const getSilence: Handler = async request => {
    const silence = alertmanager.silences.get(request.params['id'] ?? '')
    return silence === undefined
      ? json(`silence ${request.params['id'] ?? ''} not found`, 404)
      : json(silenceJson(silence, clock.nowMs()))
  }
  const deleteSilence: Handler = async request => {
    await alertmanager.expireSilence(request.params['id'] ?? '')
    return { status: 200, body: '' }
  }
  const status: Handler = async () =>
    json({
      cluster: { name: 'tercet', status: 'disabled', peers: [] },
      versionInfo: { version, revision: '', branch: '', buildUser: '', buildDate: '', goVersion: '' },
      config: { original: withoutSecrets(alertmanager.config.text) },
      uptime: iso(startedMs),
    })
  const receivers: Handler = async () =>
    json(alertmanager.config.receivers.map(({ name }) => ({ labels: { name }, name })))
  const table: [Route['methods'], string, Handler][] = [
    [['GET'], '/alerts', getAlerts],
    [['POST'], '/alerts', postAlerts],
    [['GET'], '/alerts/groups', getGroups],
    [['GET'], '/silences', getSilences],
    [['POST'], '/silences', postSilence],
    [['GET'], '/silence/:id', getSilence],
    [['DELETE'], '/silence/:id', deleteSilence],
    [['GET'], '/status', status],
    [['GET'], '/receivers', receivers],
  ]
  return table.flatMap(([methods, path, handler]) =>
    ['/api/v2', '/alertmanager/api/v2'].map((prefix): Route => ({
      methods,
      path: `${prefix}${path}`,
      handler: guarded(handler),
    })),
  )
}

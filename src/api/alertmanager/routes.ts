/** Alertmanager's API, version 2. Source: Alertmanager's public OpenAPI description. */
import type { Alertmanager, AlertStatus, IncomingAlert } from '#alert/alertmanager/alertmanager.ts'
import { silenceState, type ManagedAlert, type Silence } from '#alert/alertmanager/store.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { maskSettings } from '#lang/settings/mask.ts'
import type { Labels } from '#model/labels.ts'
import { inDialect, route, under, type Handler, type Route } from '#net/route-table.ts'
import { alertFilter, bodyOf, filtersOf, readAlert, readSilence } from './params.ts'
import { alertmanagerErrors, json } from './respond.ts'

export interface AlertmanagerOptions {
  clock: Clock
  alertmanager: Alertmanager
  version: string
  startedMs: number
}

const iso = (ms: number): string => new Date(ms).toISOString()
/** Silences are listed in this order. */
const silenceOrder: readonly string[] = ['active', 'pending', 'expired']

/** Endings of names whose values are secrets: passwords, keys, and URLs that let in whoever knows them. */
const secretEndings = /(?:password|secret|token|api_key|routing_key|service_key|user_key|credentials|webhook_url)$/
const secretUrls: ReadonlySet<string> = new Set(['webhook_configs.url', 'slack_configs.api_url'])

/** The text of a configuration file with its secrets masked. */
export function withoutSecrets(text: string): string {
  return maskSettings(text, path => {
    const name = path.at(-1) ?? ''
    const owner = path.at(-2) ?? ''
    return name === 'slack_api_url' || secretEndings.test(name) || secretUrls.has(`${owner}.${name}`)
  })
}

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

export function alertmanagerRoutes(options: AlertmanagerOptions): Route[] {
  const api = new AlertmanagerApi(options)
  const routes = [
    route(['GET'], '/alerts', api.alerts),
    route(['POST'], '/alerts', api.receive),
    route(['GET'], '/alerts/groups', api.groups),
    route(['GET'], '/silences', api.silences),
    route(['POST'], '/silences', api.setSilence),
    route(['GET'], '/silence/:id', api.silence),
    route(['DELETE'], '/silence/:id', api.expireSilence),
    route(['GET'], '/status', api.status),
    route(['GET'], '/receivers', api.receivers),
  ]
  return under(['/api/v2', '/alertmanager/api/v2'], inDialect(alertmanagerErrors, routes))
}

/** Of the alerts of a request that are wrong. */
const problemsShown = 50

class AlertmanagerApi {
  readonly #options: AlertmanagerOptions

  constructor(options: AlertmanagerOptions) {
    this.#options = options
  }

  #receiversOf(labels: Labels): string[] {
    return this.#options.alertmanager.routesOf(labels).map(r => r.receiver)
  }

  #alertJson(alert: ManagedAlert, status: AlertStatus): Record<string, unknown> {
    return {
      annotations: alert.annotations.toObject(),
      endsAt: iso(alert.endsMs),
      fingerprint: alert.fingerprint,
      receivers: [...new Set(this.#receiversOf(alert.labels))].map(name => ({ name })),
      startsAt: iso(alert.startsMs),
      status,
      updatedAt: iso(alert.updatedMs),
      generatorURL: alert.generatorUrl,
      labels: alert.labels.toObject(),
    }
  }

  readonly alerts: Handler = async request => {
    const { alertmanager } = this.#options
    const isChosen = alertFilter(await request.form())
    const found = alertmanager
      .alerts()
      .map(alert => ({ alert, status: alertmanager.statusOf(alert) }))
      .filter(({ alert, status }) => isChosen(alert, status, this.#receiversOf(alert.labels)))
    found.sort((a, b) => (a.alert.fingerprint < b.alert.fingerprint ? -1 : 1))
    return json(found.map(({ alert, status }) => this.#alertJson(alert, status)))
  }

  readonly receive: Handler = async request => {
    const body = await bodyOf(request, this.#options.clock)
    if (!Array.isArray(body)) throw new BadDataError('a list of alerts was expected')
    const problems: string[] = []
    const good: IncomingAlert[] = []
    for (const one of body as unknown[]) {
      try {
        good.push(readAlert(one))
      } catch (error) {
        problems.push(messageOf(error))
      }
    }
    addAll(problems, this.#options.alertmanager.receive(good).problems)
    if (problems.length === 0) return { status: 200, body: '' }
    const more = problems.length > problemsShown ? `; ${problems.length - problemsShown} more` : ''
    return json(problems.slice(0, problemsShown).join('; ') + more, 400)
  }

  readonly groups: Handler = async request => {
    const { alertmanager } = this.#options
    const isChosen = alertFilter(await request.form())
    const groups = alertmanager.groups().map(({ alerts, labels, receiver, route: own }) => ({
      alerts: alerts
        .map(alert => ({ alert, status: alertmanager.statusOf(alert, own) }))
        .filter(({ alert, status }) => isChosen(alert, status, [receiver]))
        .map(({ alert, status }) => this.#alertJson(alert, status)),
      labels: labels.toObject(),
      receiver: { name: receiver },
    }))
    return json(groups.filter(g => g.alerts.length > 0))
  }

  readonly silences: Handler = async request => {
    const filters = filtersOf(await request.form())
    const nowMs = this.#options.clock.nowMs()
    const rank = (silence: Silence): number => silenceOrder.indexOf(silenceState(silence, nowMs))
    // A filter names what the silence itself names.
    const found = [...this.#options.alertmanager.silences.values()].filter(s =>
      filters.every(f => s.matchers.some(m => m.name === f.name && f.matches(m.value))),
    )
    found.sort((a, b) => rank(a) - rank(b) || a.endsMs - b.endsMs)
    return json(found.map(s => silenceJson(s, nowMs)))
  }

  readonly setSilence: Handler = async request => {
    const silence = readSilence(await bodyOf(request, this.#options.clock))
    return json({ silenceID: await this.#options.alertmanager.setSilence(silence) })
  }

  readonly silence: Handler = async request => {
    const { alertmanager, clock } = this.#options
    const id = request.params['id'] ?? ''
    const silence = alertmanager.silences.get(id)
    return silence === undefined ? json(`silence ${id} not found`, 404) : json(silenceJson(silence, clock.nowMs()))
  }

  readonly expireSilence: Handler = async request => {
    await this.#options.alertmanager.expireSilence(request.params['id'] ?? '')
    return { status: 200, body: '' }
  }

  readonly status: Handler = async () => {
    const { alertmanager, version, startedMs } = this.#options
    return json({
      cluster: { name: 'tercet', status: 'disabled', peers: [] },
      versionInfo: { version, revision: '', branch: '', buildUser: '', buildDate: '', goVersion: '' },
      config: { original: withoutSecrets(alertmanager.config.text) },
      uptime: iso(startedMs),
    })
  }

  readonly receivers: Handler = async () =>
    json(this.#options.alertmanager.config.receivers.map(({ name }) => ({ labels: { name }, name })))
}

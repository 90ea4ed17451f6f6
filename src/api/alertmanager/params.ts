/** Parameters and bodies of Alertmanager's API. All throw BadDataError. */
import type { AlertStatus, IncomingAlert } from '#alert/alertmanager/alertmanager.ts'
import { matcherOf, parseMatcher, type Matcher } from '#alert/alertmanager/matchers.ts'
import type { ManagedAlert, Silence } from '#alert/alertmanager/store.ts'
import { checkElements } from '#core/body-limits.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { readJsonBody } from '#core/json-body.ts'
import { silenceLimits } from '#core/limits.ts'
import { quote } from '#core/text.ts'
import { yieldEvery } from '#core/yield.ts'
import { compileAnchored } from '#lang/regex/regex.ts'
import { Labels } from '#model/labels.ts'
import type { HttpRequest } from '#net/route-table.ts'

/** The JSON body. Throws LimitError too, for a list of more than a body of its size may hold. */
export async function bodyOf(request: HttpRequest, clock: Clock): Promise<unknown> {
  const bytes = await request.body()
  const body = await readJsonBody(bytes, yieldEvery(clock))
  if (Array.isArray(body)) checkElements('items', body.length, bytes.length)
  return body
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Go's zero time is none. */
const noTimes: readonly unknown[] = [undefined, null, '', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z']

function timeOf(value: unknown, name: string): number | undefined {
  if (noTimes.includes(value)) return undefined
  const ms = typeof value === 'string' ? Date.parse(value) : NaN
  if (Number.isNaN(ms)) throw new BadDataError(`${name} ${quote(String(value))} is no time like 2026-11-25T10:00:00Z`)
  return ms
}

function labelsOf(value: unknown, name: string): Labels {
  if (!isObject(value) || Array.isArray(value)) throw new BadDataError(`${name}: an object of texts was expected`)
  const pairs: [string, string][] = []
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string' || key === '') throw new BadDataError(`${name}: ${quote(key)} is no label with a text`)
    pairs.push([key, text])
  }
  return Labels.from(pairs)
}

/** One alert of a posted list. */
export function readAlert(value: unknown): IncomingAlert {
  // What is no object has no labels, and is refused for that.
  const alert = isObject(value) ? value : {}
  const labels = labelsOf(alert['labels'], 'labels')
  const annotations = alert['annotations'] ?? undefined
  const generatorUrl = alert['generatorURL']
  return {
    labels,
    annotations: annotations === undefined ? Labels.empty : labelsOf(annotations, 'annotations'),
    startsMs: timeOf(alert['startsAt'], 'startsAt'),
    endsMs: timeOf(alert['endsAt'], 'endsAt'),
    generatorUrl: typeof generatorUrl === 'string' ? generatorUrl : '',
  }
}

function matcherOfJson(matcher: unknown): Matcher {
  if (!isObject(matcher)) throw new BadDataError('a matcher needs a name and a value')
  const name = matcher['name']
  const value = matcher['value']
  if (typeof name !== 'string' || name === '' || typeof value !== 'string')
    throw new BadDataError('a matcher needs a name and a value')
  const isEqual = matcher['isEqual'] !== false
  if (matcher['isRegex'] === true) return matcherOf(isEqual ? '=~' : '!~', name, value)
  return matcherOf(isEqual ? '=' : '!=', name, value)
}

function textOf(body: Record<string, unknown>, name: string): string {
  const text = body[name]
  if (typeof text !== 'string') throw new BadDataError(`${name} in body is required`)
  return text
}

/** A posted silence; its id is empty where a new one is asked for. */
export function readSilence(body: unknown): Omit<Silence, 'updatedMs'> {
  if (!isObject(body) || !Array.isArray(body['matchers'])) throw new BadDataError('matchers in body is required')
  const sent = body['matchers'] as unknown[]
  const { matchersMax, charactersMax } = silenceLimits
  if (sent.length > matchersMax)
    throw new BadDataError(`the silence has ${sent.length} matchers, the limit is ${matchersMax}`)
  const characters = JSON.stringify(body).length
  if (characters > charactersMax)
    throw new BadDataError(`the silence has ${characters} characters, the limit is ${charactersMax}`)
  const matchers = sent.map(matcherOfJson)
  const startsMs = timeOf(body['startsAt'], 'startsAt')
  const endsMs = timeOf(body['endsAt'], 'endsAt')
  if (startsMs === undefined || endsMs === undefined) throw new BadDataError('startsAt and endsAt in body are required')
  return {
    id: typeof body['id'] === 'string' ? body['id'] : '',
    matchers,
    startsMs,
    endsMs,
    createdBy: textOf(body, 'createdBy'),
    comment: textOf(body, 'comment'),
  }
}

export function filtersOf(form: URLSearchParams): Matcher[] {
  return form.getAll('filter').map(parseMatcher)
}

function isOn(form: URLSearchParams, name: string): boolean {
  const text = form.get(name) ?? ''
  if (text === '') return true
  if (text !== 'true' && text !== 'false') throw new BadDataError(`${name} ${quote(text)} is not true or false`)
  return text === 'true'
}

function receiverFilter(pattern: string): (name: string) => boolean {
  if (pattern === '') return () => true
  try {
    const regex = compileAnchored(pattern)
    return name => regex.test(name)
  } catch (error) {
    throw new BadDataError(`failed to parse receiver param: ${messageOf(error)}`)
  }
}

type AlertFilter = (alert: ManagedAlert, status: AlertStatus, receivers: readonly string[]) => boolean

/** Which alerts a request asks for. */
export function alertFilter(form: URLSearchParams): AlertFilter {
  const filters = filtersOf(form)
  const isActiveWanted = isOn(form, 'active')
  const isSilencedWanted = isOn(form, 'silenced')
  const isInhibitedWanted = isOn(form, 'inhibited')
  // Read for what is wrong with it: no alert is ever unprocessed here.
  isOn(form, 'unprocessed')
  const isMutedWanted = isOn(form, 'muted')
  const isReceiver = receiverFilter(form.get('receiver') ?? '')
  return (alert, status, receivers) =>
    filters.every(m => m.matches(alert.labels.get(m.name))) &&
    receivers.some(isReceiver) &&
    (isActiveWanted || status.state !== 'active') &&
    (isSilencedWanted || status.silencedBy.length === 0) &&
    (isInhibitedWanted || status.inhibitedBy.length === 0) &&
    (isMutedWanted || status.mutedBy.length === 0)
}

/** Sends alerts to Alertmanagers: ours, and others over API v2. */
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { relabel, type RelabelRule } from '#lang/relabel/relabel.ts'
import { Labels } from '#model/labels.ts'
import type { HttpClient } from '#net/http-client.ts'
import type { Alert } from './alert.ts'

export interface AlertReceiver {
  /** Shown in logs and at /api/v1/alertmanagers. */
  url: string
  relabelRules: readonly RelabelRule[]
  send(alerts: readonly Alert[]): Promise<void>
}

const queueMax = 10_000
const batchMax = 256

/** As API v2 takes them. */
export function alertJson(alert: Alert): Record<string, unknown> {
  const object = (labels: Labels): Record<string, string> =>
    Object.fromEntries(Array.from({ length: labels.size }, (_, i) => [labels.pairs[2 * i]!, labels.pairs[2 * i + 1]!]))
  return {
    labels: object(alert.labels),
    annotations: object(alert.annotations),
    startsAt: new Date(alert.startsMs).toISOString(),
    endsAt: new Date(alert.endsMs).toISOString(),
    generatorURL: alert.generatorUrl,
  }
}

export function remoteReceiver(
  url: string,
  client: HttpClient,
  timeoutMs: number,
  relabelRules: readonly RelabelRule[],
): AlertReceiver {
  return {
    url,
    relabelRules,
    async send(alerts) {
      const reply = await client.send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(alerts.map(alertJson)),
        timeoutMs,
        bodyBytesMax: 1 << 20,
      })
      if (reply.status < 200 || reply.status > 299)
        throw new Error(`${url} answered ${reply.status}: ${Buffer.from(reply.body.subarray(0, 200)).toString('utf8')}`)
    },
  }
}

export class Notifier {
  readonly #log: Log
  #queue: Alert[] = []
  #sending: Promise<void> | undefined
  receivers: readonly AlertReceiver[] = []
  externalLabels: readonly (readonly [string, string])[] = []
  relabelRules: readonly RelabelRule[] = []
  sent = 0
  dropped = 0
  errors = 0

  constructor(log: Log) {
    this.#log = log
  }

  readonly notify = (alerts: readonly Alert[]): void => {
    for (const alert of alerts) {
      const labels = relabelled(alert.labels, this.externalLabels, this.relabelRules)
      if (labels !== undefined) this.#queue.push({ ...alert, labels })
    }
    if (this.#queue.length > queueMax) {
      this.dropped += this.#queue.length - queueMax
      this.#log.warn('alerts were dropped: too many wait to be sent', { dropped: this.#queue.length - queueMax })
      this.#queue = this.#queue.slice(-queueMax)
    }
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined
    })
  }

  async #send(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, batchMax)
      const outcomes = await Promise.all(
        this.receivers.map(async receiver => {
          const own = batch.flatMap(alert => {
            const labels = relabelled(alert.labels, [], receiver.relabelRules)
            return labels === undefined ? [] : [{ ...alert, labels }]
          })
          try {
            if (own.length > 0) await receiver.send(own)
            return true
          } catch (error) {
            this.errors++
            this.#log.warn('alerts could not be sent', { to: receiver.url, count: own.length, error: messageOf(error) })
            return false
          }
        }),
      )
      // One receiver that has them is enough; firing alerts come again in any case.
      if (outcomes.some(Boolean)) this.sent += batch.length
      else if (outcomes.length > 0) this.dropped += batch.length
    }
  }

  async stop(): Promise<void> {
    await this.#sending
  }
}

/** A label of the alert wins over an external one. */
function relabelled(
  labels: Labels,
  external: readonly (readonly [string, string])[],
  rules: readonly RelabelRule[],
): Labels | undefined {
  const map = new Map<string, string>(external)
  for (let i = 0; i < labels.pairs.length; i += 2) map.set(labels.pairs[i]!, labels.pairs[i + 1]!)
  return relabel(map, rules) ? Labels.from(map) : undefined
}

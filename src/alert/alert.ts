/** Alerts: as rules keep them, and as they are sent to Alertmanagers. */
import type { Labels } from '#model/labels.ts'

/** An alert as it is sent. Times are milliseconds since the epoch. */
export interface Alert {
  labels: Labels
  annotations: Labels
  startsMs: number
  endsMs: number
  generatorUrl: string
}

/** Pending alerts wait for their rule's `for`; inactive ones are resolved. */
export type AlertState = 'pending' | 'firing' | 'inactive'

/** One element of an alerting rule's answer, over time. Times are milliseconds since the epoch; 0: never. */
export interface ActiveAlert {
  labels: Labels
  annotations: Labels
  value: number
  state: AlertState
  activeMs: number
  firedMs: number
  resolvedMs: number
  lastSentMs: number
  validUntilMs: number
  keepFiringSinceMs: number
}

/** Labels as messages and group keys show them: `{a="b", c="d"}`, values in JSON's notation. */
export function labelText(labels: Labels): string {
  return `{${labels
    .entries()
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ')}}`
}

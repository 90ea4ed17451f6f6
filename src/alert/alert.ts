/** An alert as it is sent on, and as it is kept. Times in milliseconds. */
import type { Labels } from '#model/labels.ts'

export interface Alert {
  labels: Labels
  annotations: Labels
  startsMs: number
  endsMs: number
  generatorUrl: string
}

export type AlertState = 'pending' | 'firing' | 'inactive'

/** One element of an alerting rule's answer, over time. */
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

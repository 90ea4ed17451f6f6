/** A group of rules as it is stored by a ruler: all that the group's YAML says. */

/** A rule as it is stored; durations are milliseconds, 0 where there is none. */
export interface StoredRule {
  record: string
  alert: string
  expr: string
  forMs: number
  keepFiringForMs: number
  labels: [string, string][]
  annotations: [string, string][]
}

export interface StoredGroup {
  tenant: string
  namespace: string
  name: string
  /** Milliseconds; 0: the ruler's own evaluation interval. */
  intervalMs: number
  /** Milliseconds; undefined: the ruler's own. */
  queryOffsetMs: number | undefined
  /** How many alerts or series a rule may have; 0: no limit. */
  limit: number
  labels: [string, string][]
  rules: StoredRule[]
}

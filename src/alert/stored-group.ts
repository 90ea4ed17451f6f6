/** Groups of rules as they are stored: all that a group's YAML says. */

/** A rule as it is stored. Times are milliseconds. */
export interface StoredRule {
  record: string
  alert: string
  expr: string
  forMs: number
  keepFiringForMs: number
  labels: [string, string][]
  annotations: [string, string][]
}

/** A group as it is stored. Times are milliseconds. */
export interface StoredGroup {
  tenant: string
  namespace: string
  name: string
  /** 0: the global evaluation interval. */
  intervalMs: number
  queryOffsetMs: number | undefined
  /** 0: none. */
  limit: number
  labels: [string, string][]
  rules: StoredRule[]
}

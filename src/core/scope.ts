/** Which part of the data a question is about. Plain data: it goes to workers with the question. */

/** A label that everything that is read must have: in every selector, `name op value`. */
export interface LabelConstraint {
  readonly name: string
  readonly op: '=' | '!=' | '=~' | '!~'
  readonly value: string
}

/** Whose data is read, and what of it. */
export interface Scope {
  /** At least one; several for a read of more than one tenant. */
  readonly tenants: readonly string[]
  /** All of them hold. Those of several credentials are never mixed. */
  readonly labels: readonly LabelConstraint[]
}

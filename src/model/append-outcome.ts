/** What became of a batch at the append door of a signal. */

/** Why entries were refused, and how many for that reason. */
export interface Refusal {
  message: string
  count: number
}

/** How many entries of a batch are kept and how many are refused, with reasons. */
export interface AppendOutcome {
  /** Samples, lines or spans that are kept. */
  stored: number
  /** Entries that will never be accepted: sending them again does not help. */
  refused: number
  /** In the order in which each reason appeared first. */
  problems: Refusal[]
}

/** Counts `count` refusals for one reason; beyond `reasonsMax` reasons only their number is kept. */
export function refuse(outcome: AppendOutcome, message: string, count = 1, reasonsMax = 50): void {
  outcome.refused += count
  const same = outcome.problems.find(p => p.message === message)
  if (same !== undefined) same.count += count
  else if (outcome.problems.length < reasonsMax) outcome.problems.push({ message, count })
}

/** What became of a batch at the append door of a signal. */

/** Why entries were refused, and how many for that reason; 0 for what was left out of entries that are kept. */
export interface Refusal {
  message: string
  count: number
}

/** One entry that was refused, by its place in the batch. */
export interface RefusedEntry {
  at: number
  message: string
  /** A limit that passes: sending the entry later may help. */
  passes: boolean
}

/** How many entries of a batch are kept and how many are refused, with reasons. */
export interface AppendOutcome {
  /** Samples, lines or spans that are kept. */
  stored: number
  /** Entries that will never be accepted: sending them again does not help. */
  refused: number
  /** In the order in which each reason appeared first. */
  problems: Refusal[]
  /** Some were refused for a limit that passes: the sender must be told to send again. What is stored stays once. */
  passes?: boolean
  /** Which entries were refused, for protocols that answer one by one. Filled only where the batch asks for it. */
  refusedAt?: RefusedEntry[]
}

/** Counts `count` refusals for one reason; beyond `reasonsMax` reasons only their number is kept. */
export function refuse(outcome: AppendOutcome, message: string, count = 1, reasonsMax = 50): void {
  outcome.refused += count
  const same = outcome.problems.find(p => p.message === message)
  if (same !== undefined) same.count += count
  else if (outcome.problems.length < reasonsMax) outcome.problems.push({ message, count })
}

/** Tells of something that was left out of entries which are kept. */
export function note(outcome: AppendOutcome, message: string): void {
  if (!outcome.problems.some(p => p.message === message)) outcome.problems.push({ message, count: 0 })
}

/** Names `count` entries from `at` on as refused, where the outcome lists them; `refuse` counts them. */
export function nameRefused(outcome: AppendOutcome, message: string, at: number, count = 1, passes = false): void {
  if (outcome.refusedAt === undefined) return
  for (let i = at; i < at + count; i++) outcome.refusedAt.push({ at: i, message, passes })
}

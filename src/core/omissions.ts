/** What an answer lacks: a query serves what can be read, and its answer names the rest. */
import { CorruptDataError, NotFoundError, PlanStaleError } from './errors.ts'

/** A block, or another unit of the bucket, that an answer lacks as a whole or in part, and why. */
export interface Omission {
  block: string
  reason: string
}

/** How the warnings of an answer that lacks something begin. */
export const incompleteText = 'the results are incomplete'

/** Answers name so many at most; what is beyond is counted. */
const textsMax = 20

/** Gathers the omissions of one query: each block once, with the first reason. */
export class Omissions {
  readonly #reasons = new Map<string, string>()

  add(block: string, reason: string): void {
    if (!this.#reasons.has(block)) this.#reasons.set(block, reason)
  }

  get isEmpty(): boolean {
    return this.#reasons.size === 0
  }

  list(): Omission[] {
    return Array.from(this.#reasons, ([block, reason]) => ({ block, reason }))
  }

  /** A warning for each. */
  texts(): string[] {
    const all = this.list()
    const texts = all.slice(0, textsMax).map(o => `${incompleteText}: block ${o.block}: ${o.reason}`)
    if (all.length > textsMax) texts.push(`${incompleteText}: ${all.length - textsMax} more blocks`)
    return texts
  }

  /** All warnings as one text; undefined where nothing is left out. */
  text(): string | undefined {
    return this.isEmpty ? undefined : this.texts().join('; ')
  }
}

/** What answers lack that are made of several parts, each with omissions of its own. */
export class JoinedOmissions extends Omissions {
  readonly #parts: readonly Omissions[]

  constructor(parts: readonly Omissions[]) {
    super()
    this.#parts = parts
  }

  override get isEmpty(): boolean {
    return super.isEmpty && this.#parts.every(part => part.isEmpty)
  }

  override list(): Omission[] {
    return [...super.list(), ...this.#parts.flatMap(part => part.list())]
  }
}

/** What is read is known to lack everything that one place has, and why; undefined: it does not. */
export function leavingOut<R extends { readonly omissions: Omissions }>(reader: R, reason: string | undefined): R {
  if (reason !== undefined) reader.omissions.add('(all)', reason)
  return reader
}

/** Is it the data that is wrong? A bucket that fails for the moment is another matter: then the query fails. */
export function isDamage(error: unknown): error is CorruptDataError | NotFoundError {
  return error instanceof CorruptDataError || error instanceof NotFoundError
}

/** Runs a query; when the blocks that it planned with were replaced meanwhile, it is planned and run once more. */
export async function planningAgain<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof PlanStaleError)) throw error
  }
  return work()
}

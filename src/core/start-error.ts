/** A process that could not start. */
import { messageOf } from './errors.ts'

/** Which part could not start, and why: one line for whoever started the process. */
export class StartError extends Error {
  override name = 'StartError'
  readonly part: string
  constructor(part: string, cause: unknown) {
    super(`could not start ${part}: ${messageOf(cause)}`, { cause })
    this.part = part
  }
}

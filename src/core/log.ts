/** The interface that everything logs through; app/ hands in one that writes lines, tests one that keeps them. */

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  /** The least severity that is written, where it can be read and set. */
  level?: string
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

const nothing = (): void => {}
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing }

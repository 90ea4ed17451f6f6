/** Log lines on standard error, as logfmt or JSON: level, time, fields, message. */
import { systemClock, type Clock } from '#core/clock.ts'
import type { Log, LogFields } from '#core/log.ts'
import { maskUrls } from '#core/secret.ts'

export const severities = ['debug', 'info', 'warn', 'error'] as const
type Severity = (typeof severities)[number]

/** Lines below `level`, which may be changed, are not written; with an unknown one (`silent`) none is. */
export function makeLog(
  format: string,
  level: string,
  clock: Pick<Clock, 'nowMs'> = systemClock,
  write = writeError,
): Log {
  const lineOf = format === 'json' ? (entry: object) => JSON.stringify(entry) : logfmt
  const at = (severity: Severity): Log[Severity] => {
    return (msg, fields: LogFields = {}) => {
      const least = severities.findIndex(one => one === log.level)
      if (least < 0 || severities.indexOf(severity) < least) return
      const shown = Object.fromEntries(
        Object.entries({ ...fields, msg }).map(([name, value]) => [name, maskedOf(value)]),
      )
      const line = lineOf({ level: severity, time: new Date(clock.nowMs()).toISOString(), ...shown })
      write(`${withoutControls(line)}\n`)
    }
  }
  const log: Log = { level, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return log
}

/** Whoever wrote the line: an address in it has no credentials. */
function maskedOf(value: LogFields[string]): LogFields[string] {
  return typeof value === 'string' ? maskUrls(value) : value
}

function writeError(line: string): void {
  process.stderr.write(line)
}

function logfmt(entry: object): string {
  return Object.entries(entry)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${isPlain.test(String(value)) ? String(value) : JSON.stringify(String(value))}`)
    .join(' ')
}

/** Needs no quotes. */
const isPlain = /^[^\s"=\\\p{Cc}]+$/u

/** JSON lets some characters be that a terminal obeys, or that end a line for some readers: names come from outside. */
function withoutControls(line: string): string {
  return line.replaceAll(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, control => {
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

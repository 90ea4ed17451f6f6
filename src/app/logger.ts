/** Log lines on standard error, as logfmt or JSON, through pino. */
import { pino } from 'pino'
import type { Log, LogFields } from '#core/log.ts'

export function makeLog(format: string, level: string): Log {
  const destination =
    format === 'json'
      ? pino.destination(2)
      : {
          write: (line: string) => {
            process.stderr.write(logfmt(line))
          },
        }
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      messageKey: 'msg',
    },
    destination,
  )
  const at =
    (severity: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields?: LogFields): void => {
      logger[severity](fields ?? {}, message)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function logfmt(line: string): string {
  const entry = JSON.parse(line) as Record<string, unknown>
  return `${Object.entries(entry)
    .map(([key, value]) => `${key}=${/^[^\s"=]+$/.test(String(value)) ? String(value) : JSON.stringify(String(value))}`)
    .join(' ')}\n`
}

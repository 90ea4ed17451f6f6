/** VictoriaLogs' JSON lines: one object a line. A broken one is passed over and logged, as VictoriaLogs does. */
import type { FieldRules } from '#wire/json-logs/fields.ts'
import { fieldRules, LogEntries, splitLines } from './log-entries.ts'
import { serveLogs, type LogProtocol, type LogsPush } from './logs-push.ts'
import type { ServedProtocol } from './protocol.ts'

interface Format {
  readonly rules: FieldRules
  /** Decode, and store nothing. */
  readonly isDebug: boolean
}

export function jsonline(push: LogsPush): ServedProtocol {
  return serveLogs(push, protocolOf(push), { methods: ['POST', 'PUT'], paths: ['/insert/jsonline'] })
}

function protocolOf(push: LogsPush): LogProtocol<Format, void> {
  return {
    formatOf: request => ({ rules: fieldRules(request), isDebug: request.query.get('debug') === '1' }),
    async store(body, { rules, isDebug }, intake) {
      const entries = new LogEntries(rules, push)
      for (const line of splitLines(body)) entries.addObject(line)
      if (!isDebug) await entries.appendTo(intake)
    },
    reply: () => ({ status: 200 }),
  }
}

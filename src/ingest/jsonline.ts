/** VictoriaLogs' JSON lines: one object a line. What is wrong with a line costs that line, and is answered. */
import type { FieldRules } from '#wire/json-logs/fields.ts'
import { LineCursor, unitsOfLine } from '#core/line-cursor.ts'
import { Pace } from '#core/pace.ts'
import { entriesReply, fieldRules, LogEntries, type StoredEntries } from './log-entries.ts'
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

function protocolOf(push: LogsPush): LogProtocol<Format, StoredEntries> {
  return {
    formatOf: request => ({ rules: fieldRules(request), isDebug: request.query.get('debug') === '1' }),
    async store(body, { rules, isDebug }, intake) {
      const entries = new LogEntries(rules, push)
      const lines = new LineCursor(body)
      const pace = new Pace(push.clock)
      while (lines.next()) {
        entries.addObject(lines.bytes())
        if (entries.isFull) await (isDebug ? entries.drop() : entries.appendTo(intake))
        if (pace.worked(unitsOfLine(lines.to - lines.from))) await pace.pause()
      }
      if (!isDebug) await entries.appendTo(intake)
      return entries.read()
    },
    reply: entriesReply,
  }
}

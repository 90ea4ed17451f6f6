/** systemd-journal-upload's export format, as VictoriaLogs takes it. */
import { unitsOfLine } from '#core/line-cursor.ts'
import { Pace } from '#core/pace.ts'
import { JournalReader } from '#wire/journald/parse.ts'
import type { FieldRules } from '#wire/json-logs/fields.ts'
import { entriesReply, fieldRules, LogEntries, type StoredEntries } from './log-entries.ts'
import { serveLogs, type LogProtocol, type LogsPush } from './logs-push.ts'
import type { ServedProtocol } from './protocol.ts'

const defaults: Partial<FieldRules> = {
  streamFields: ['_MACHINE_ID', '_HOSTNAME', '_SYSTEMD_UNIT'],
  timeFields: ['__REALTIME_TIMESTAMP'],
  messageFields: ['MESSAGE'],
}

export function journald(push: LogsPush): ServedProtocol {
  return serveLogs(push, protocolOf(push), { methods: ['POST', 'PUT'], paths: ['/insert/journald/upload'] })
}

function protocolOf(push: LogsPush): LogProtocol<FieldRules, StoredEntries> {
  return {
    formatOf: request => fieldRules(request, defaults),
    async store(body, rules, intake) {
      const entries = new LogEntries(rules, push)
      const reader = new JournalReader(body)
      const pace = new Pace(push.clock)
      let from = 0
      for (let fields = reader.next(); fields !== undefined; fields = reader.next()) {
        const isEntry = fields.size > 0
        // Addresses of the journal itself say nothing about the event.
        for (const name of fields.keys())
          if (name.startsWith('__') && !rules.timeFields.includes(name)) fields.delete(name)
        if (isEntry) entries.addFields(fields)
        if (entries.isFull) await entries.appendTo(intake)
        if (pace.worked(unitsOfLine(reader.at - from))) await pace.pause()
        from = reader.at
      }
      if (reader.problem !== undefined) entries.addRefused(reader.problem)
      await entries.appendTo(intake)
      return entries.read()
    },
    reply: entriesReply,
  }
}

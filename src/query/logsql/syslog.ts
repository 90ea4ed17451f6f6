/** Messages of syslog as fields: RFC 5424 and RFC 3164. */
import { readLogfmtPairs } from './logfmt.ts'

type SetField = (name: string, value: string) => void

const levels = ['emerg', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug']
const facilities = (
  'kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console solaris-cron local0 local1 ' +
  'local2 local3 local4 local5 local6 local7'
).split(' ')
const dayMs = 86_400_000

/** A time without a year is one of the last year up to now; `offsetNs`: of its zone. */
export function readSyslog(text: string, nowMs: number, offsetNs: number, onField: SetField): void {
  if (!text.startsWith('<')) {
    readMessage(text, nowMs, offsetNs, onField)
    return
  }
  const end = text.indexOf('>')
  if (end < 0) return
  const priority = text.slice(1, end)
  onField('priority', priority)
  if (!/^(?:0|[1-9]\d*)$/.test(priority)) return
  const facility = Math.floor(Number(priority) / 8)
  const severity = Number(priority) % 8
  onField('facility_keyword', facilities[facility] ?? 'unknown')
  onField('level', levels[severity]!)
  onField('facility', String(facility))
  onField('severity', String(severity))
  readMessage(text.slice(end + 1), nowMs, offsetNs, onField)
}

function readMessage(text: string, nowMs: number, offsetNs: number, onField: SetField): void {
  if (text === '') return
  if (text.startsWith('1 ')) readNew(text.slice(2), onField)
  else readOld(text, nowMs, offsetNs, onField)
}

const headerNames = ['timestamp', 'hostname', 'app_name', 'proc_id', 'msg_id']

function readNew(text: string, onField: SetField): void {
  onField('format', 'rfc5424')
  let rest = text
  for (const name of headerNames) {
    if (rest === '' && name === 'timestamp') return
    const space = rest.indexOf(' ')
    onField(name, space < 0 ? rest : rest.slice(0, space))
    if (space < 0) return
    rest = rest.slice(space + 1)
  }
  const message = rest.startsWith('- ') ? rest.slice(2) : readStructuredData(rest, onField)
  if (message !== undefined) onField('message', message)
}

const element = /^\[([^ \]]+)((?: +[^=\s\]]+=(?:"(?:\\[^]|[^"\\])*"|[^ \]]*))*) *\]/

/** The message behind the elements; undefined where they are broken or nothing follows them. */
function readStructuredData(text: string, onField: SetField): string | undefined {
  let rest = text
  for (;;) {
    const match = element.exec(rest)
    if (match === null) return undefined
    const [whole, id = '', pairs = ''] = match
    const equals = id.indexOf('=')
    if (equals >= 0) onField(id.slice(0, equals), id.slice(equals + 1))
    const prefix = equals >= 0 ? '' : `${id}.`
    if (pairs.trim() === '' && equals < 0) onField(id, '')
    else
      readLogfmtPairs(pairs.trim().replaceAll('\\]', ']'), (name, value) => {
        onField(prefix + name, value)
      })
    rest = rest.slice(whole.length)
    if (rest.startsWith(' ')) return rest.slice(1)
  }
}

const oldTime = /^([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)/
const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

function readOld(text: string, nowMs: number, offsetNs: number, onField: SetField): void {
  onField('format', 'rfc3164')
  const match = oldTime.exec(text)
  const month = match === null ? -1 : months.indexOf(match[1]!)
  if (match === null || month < 0) {
    onField('message', text)
    return
  }
  const [day = 0, hour = 0, minute = 0, second = 0] = match.slice(2).map(Number)
  const timeIn = (year: number): number => Date.UTC(year, month, day, hour, minute, second) - offsetNs / 1e6
  const year = new Date(nowMs).getUTCFullYear()
  const ms = timeIn(year) - dayMs > nowMs ? timeIn(year - 1) : timeIn(year)
  onField('timestamp', new Date(ms).toISOString())
  readTail(text.slice(match[0].length), onField)
}

/** Hostname, tag and message. */
function readTail(text: string, onField: SetField): void {
  if (!text.startsWith(' ')) {
    if (text !== '') onField('message', text)
    return
  }
  const host = /^[^ ]*/.exec(text.slice(1))![0]
  onField('hostname', host)
  let rest = text.slice(1 + host.length + 1)
  if (text.length === 1 + host.length) return
  const tag = /^[^[: ]*/.exec(rest)![0]
  onField('app_name', tag)
  rest = rest.slice(tag.length)
  if (rest.startsWith('[')) {
    const end = rest.indexOf(']')
    if (end < 0) return
    onField('proc_id', rest.slice(1, end))
    rest = rest.slice(end + 1)
  }
  const message = rest.replace(/^:/, '').replace(/^ /, '')
  if (message !== '') onField('message', message)
}

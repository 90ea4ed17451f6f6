/** Syslog messages, RFC 5424 and RFC 3164, as fields. Sources: the two RFCs; names as VictoriaLogs has them. */

const severities = ['emerg', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'] as const
const facilities = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'security',
  'console',
  'solaris-cron',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const

/** A message as fields. */
export interface SyslogMessage {
  /** Undefined: the message has none that can be read. */
  time: { ms: number; subNs: number } | undefined
  message: string
  fields: Map<string, string>
}

/** Any text gives a message: what does not follow either form is a line without fields. */
export function parseSyslog(text: string, nowMs: number): SyslogMessage {
  const fields = new Map<string, string>()
  let rest = text.replace(/[\r\n\0]+$/, '')
  const priority = /^<(\d{1,9})>/.exec(rest)
  if (priority === null) return parseBare(rest, fields, nowMs)
  const number = Number(priority[1])
  fields.set('priority', String(number))
  // A number beyond those of the RFCs is kept, as VictoriaLogs does.
  fields.set('facility_keyword', facilities[number >>> 3] ?? 'unknown')
  fields.set('level', severities[number & 7]!)
  fields.set('facility', String(number >>> 3))
  fields.set('severity', String(number & 7))
  rest = rest.slice(priority[0].length)
  const isNew = /^\d{1,3} /.exec(rest)
  if (isNew !== null) return parse5424(rest.slice(isNew[0].length), fields)
  return parse3164(rest, fields, nowMs)
}

/** A message without a priority: one that begins with a time has the other parts, any other text is one. */
function parseBare(text: string, fields: Map<string, string>, nowMs: number): SyslogMessage {
  const [, version, moment = ''] = /^(1 )?(\S+)/.exec(text) ?? []
  if (version !== undefined && parseTime(moment) !== undefined) return parse5424(text.slice(version.length), fields)
  const parsed = parse3164(text, new Map(), nowMs)
  if (parsed.time !== undefined) return parsed
  fields.set('format', 'rfc3164')
  return { time: undefined, message: text, fields }
}

function parse5424(text: string, fields: Map<string, string>): SyslogMessage {
  fields.set('format', 'rfc5424')
  let rest = text
  const word = (): string => {
    const space = rest.indexOf(' ')
    const part = space < 0 ? rest : rest.slice(0, space)
    rest = space < 0 ? '' : rest.slice(space + 1)
    return part
  }
  const time = parseTime(word())
  for (const name of ['hostname', 'app_name', 'proc_id', 'msg_id']) {
    const value = word()
    if (value !== '-' && value !== '') fields.set(name, value)
  }
  if (rest.startsWith('[')) rest = structuredData(rest, fields)
  else if (rest.startsWith('-')) rest = rest.slice(1)
  const message = rest.replace(/^ /, '').replace(/^\ufeff/, '')
  return { time, message, fields }
}

/** `[id name="value" ...][...]`; returns what follows. */
function structuredData(text: string, fields: Map<string, string>): string {
  let at = 0
  while (text[at] === '[') {
    const id = /^\[([^\s\]="]+)/.exec(text.slice(at))
    if (id === null) break
    const [head, element = ''] = id
    at += head.length
    let count = 0
    for (;;) {
      const parameter = /^\s+([^\s\]="]+)="((?:[^"\\\]]|\\.)*)"/.exec(text.slice(at))
      if (parameter === null) break
      const [all, name = '', value = ''] = parameter
      fields.set(`${element}.${name}`, value.replaceAll(/\\(["\\\]])/g, '$1'))
      at += all.length
      count++
    }
    if (count === 0) fields.set(element, '')
    if (text[at] !== ']') break
    at++
  }
  return text.slice(at)
}

function parseTime(text: string): { ms: number; subNs: number } | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text)
  if (match === null) return undefined
  const [, whole = '', digits = '', zone = ''] = match
  const ms = Date.parse(whole + zone)
  if (Number.isNaN(ms)) return undefined
  const fraction = digits.padEnd(9, '0')
  return { ms: ms + Number(fraction.slice(0, 3)), subNs: Number(fraction.slice(3)) }
}

function parse3164(text: string, fields: Map<string, string>, nowMs: number): SyslogMessage {
  fields.set('format', 'rfc3164')
  let rest = text
  let time: { ms: number; subNs: number } | undefined
  const old = /^([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) /.exec(rest)
  const iso = /^(\d{4}-\d\d-\d\dT\S+) /.exec(rest)
  const month = months.findIndex(name => name === old?.[1])
  if (old !== null && month >= 0) {
    const year = new Date(nowMs).getFullYear()
    const at = (y: number): number =>
      new Date(y, month, Number(old[2]), Number(old[3]), Number(old[4]), Number(old[5])).getTime()
    // The form has no year: what would lie well ahead is from the year before.
    const ms = at(year) > nowMs + 86_400_000 ? at(year - 1) : at(year)
    time = { ms, subNs: 0 }
    rest = rest.slice(old[0].length)
  } else if (iso !== null) {
    time = parseTime(iso[0].trimEnd())
    if (time !== undefined) rest = rest.slice(iso[0].length)
  }
  if (time !== undefined) {
    const host = /^(\S+) /.exec(rest)
    const name = host?.[0].trimEnd()
    if (host !== null && name !== undefined && !name.endsWith(':')) {
      fields.set('hostname', name)
      rest = rest.slice(host[0].length)
    }
  }
  const tag = /^([^\s:[]{1,64})(?:\[([^\]\s]{1,64})\])?:(?: |$)/.exec(rest)
  if (tag !== null) {
    const [all, app = '', process] = tag
    fields.set('app_name', app)
    if (process !== undefined) fields.set('proc_id', process)
    rest = rest.slice(all.length)
  }
  return { time, message: rest, fields }
}

/**
 * Cuts a stream of bytes into messages: by a leading length (RFC 6587) or by line ends, whichever each message uses.
 */
export class SyslogFraming {
  #rest = Buffer.alloc(0)
  readonly #messageBytesMax: number

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax
  }

  /** Messages that are whole now. What is longer than the limit comes in pieces. */
  push(chunk: Uint8Array): Buffer[] {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk])
    const messages: Buffer[] = []
    let at = 0
    while (at < this.#rest.length) {
      if (this.#rest[at] === 10) {
        at++
        continue
      }
      const start = this.#rest.subarray(at, at + 10).toString('latin1')
      // A length of 1, or the version of RFC 5424 and a year.
      if (/^1 \d{0,4}$/.test(start)) break
      const head = /^(\d{1,9}) /.exec(start)
      if (head !== null && this.#rest[at] !== 60) {
        const length = Number(head[1])
        const from = at + head[0].length
        if (length <= this.#messageBytesMax && !this.#isLine(at, from, length)) {
          if (this.#rest.length - from < length) break
          messages.push(this.#rest.subarray(from, from + length))
          at = from + length
          continue
        }
      } else if (head === null && /^\d{1,9}$/.test(start)) break
      const end = this.#rest.indexOf(10, at)
      if (end < 0 && this.#rest.length - at < this.#messageBytesMax) break
      const to = end < 0 ? at + this.#messageBytesMax : end
      if (to > at) messages.push(this.#rest.subarray(at, to))
      at = end < 0 ? to : to + 1
    }
    this.#rest = this.#rest.subarray(at)
    return messages
  }

  /**
   * Whether a number that begins a message is part of it, not its length: a message without a priority may begin so, as
   * `404 not found`, or `1 2026-11-28T16:31:00Z …`. A length comes before a priority, or does not reach beyond a line.
   */
  #isLine(at: number, from: number, length: number): boolean {
    const rest = this.#rest
    if (rest[from] === 60) return false
    if (/^1 \d{4}-/.test(rest.subarray(at, at + 7).toString('latin1'))) return true
    const end = rest.indexOf(10, from)
    return end >= 0 && end < from + length - 1
  }

  /** What is left when the sender goes. */
  end(): Buffer[] {
    const { length } = this.#rest
    const last = this.#rest
    this.#rest = Buffer.alloc(0)
    return length === 0 ? [] : [last]
  }
}

/**
 * What notification templates see: alerts, groups, sets of labels; and the functions that they call. Source:
 * Alertmanager's public notification template reference.
 */
import { messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { builtins } from '#lang/gotemplate/builtins.ts'
import { TemplateRunner } from '#lang/gotemplate/execute.ts'
import { printGo } from '#lang/gotemplate/go-format.ts'
import { GoTime } from '#lang/gotemplate/go-time-value.ts'
import { parseTemplate, type Node, type Template } from '#lang/gotemplate/parse.ts'
import { typed, variadic } from '#lang/gotemplate/signature.ts'
import {
  GoInt,
  refuseLong,
  stringList,
  StringMap,
  type GoFunction,
  type GoObject,
  type GoValue,
} from '#lang/gotemplate/values.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { expandReplacement, replaceMatches } from '#lang/regex/replace.ts'
import type { Labels } from '#model/labels.ts'
import type { ManagedAlert } from './store.ts'
import { defaultTemplates } from './default-templates.ts'

const text = (value: GoValue): string => (value === null ? '' : printGo(value))
const textOf = (run: () => string): GoFunction => typed([], run)
const textsOf = (run: () => readonly string[]): GoFunction => typed([], () => stringList(run()))

/** A list with methods. */
class MethodList extends Array<GoValue> implements GoObject {
  #methods: Readonly<Partial<Record<string, GoFunction>>> = {}
  goType = ''
  static withMethods(
    items: readonly GoValue[],
    goType: string,
    methods: Readonly<Partial<Record<string, GoFunction>>>,
  ): MethodList {
    const list = new MethodList()
    addAll(list, items)
    list.goType = goType
    list.#methods = methods
    return list
  }
  toGoString(): string {
    return `[${[...this].map(printGo).join(' ')}]`
  }
  method(name: string): GoFunction | undefined {
    return this.#methods[name]
  }
}

function pairList(pairs: readonly [string, string][]): GoValue {
  return MethodList.withMethods(
    pairs.map(
      ([name, value]) =>
        new Fields('template.Pair', [
          ['Name', name],
          ['Value', value],
        ]),
    ),
    'template.Pairs',
    {
      Names: textsOf(() => pairs.map(p => p[0])),
      Values: textsOf(() => pairs.map(p => p[1])),
      String: textOf(() => pairs.map(([n, v]) => `${n}=${v}`).join(', ')),
    },
  )
}

/** Labels or annotations: a map with methods. A name that is not there prints nothing. */
class KeyValues extends StringMap implements GoObject {
  override readonly goType = 'template.KV'
  toGoString(): string {
    return `map[${[...this]
      .sort((a, b) => (a[0] < b[0] ? -1 : 1))
      .map(([k, v]) => `${k}:${text(v)}`)
      .join(' ')}]`
  }
  /** `alertname` first. */
  #pairs(): [string, string][] {
    const names = [...this.keys()].sort()
    const sorted = names.includes('alertname') ? ['alertname', ...names.filter(n => n !== 'alertname')] : names
    return sorted.map(name => [name, text(super.get(name))])
  }
  method(name: string): GoFunction | undefined {
    switch (name) {
      case 'SortedPairs':
        return typed([], () => pairList(this.#pairs()))
      case 'Names':
        return textsOf(() => this.#pairs().map(p => p[0]))
      case 'Values':
        return textsOf(() => this.#pairs().map(p => p[1]))
      case 'Remove':
        return typed(['[]string'], names => {
          const gone = new Set(names)
          return new KeyValues([...this].filter(([key]) => !gone.has(key)))
        })
      case 'String':
        return textOf(() =>
          this.#pairs()
            .map(([n, v]) => `${n}=${v}`)
            .join(', '),
        )
      default:
        return undefined
    }
  }
}

/** What has fields, not keys: as JSON its names begin small. */
class Fields extends Map<string, GoValue> {
  readonly goType: string
  constructor(goType: string, fields: readonly [string, GoValue][]) {
    super(fields)
    this.goType = goType
  }
}

/** A text that is HTML already. */
class SafeHtml implements GoObject {
  readonly goType: string
  readonly html: string
  constructor(html: string, goType = 'template.HTML') {
    this.html = html
    this.goType = goType
  }
  toGoString(): string {
    return this.html
  }
}

/** Pairs that all label sets have. */
export function commonPairs(all: readonly Labels[]): [string, string][] {
  const [first, ...rest] = all
  return first === undefined
    ? []
    : first.entries().filter(([name, value]) => rest.every(labels => labels.get(name) === value))
}

/** A notification as templates see it. */
export interface TemplateData {
  receiver: string
  status: 'firing' | 'resolved'
  alerts: readonly ManagedAlert[]
  groupLabels: Labels
  externalUrl: string
  nowMs: number
}

/** Whether an alert fires at a moment. */
export function statusOf(alert: ManagedAlert, nowMs: number): 'firing' | 'resolved' {
  return alert.endsMs > 0 && alert.endsMs <= nowMs ? 'resolved' : 'firing'
}

function alertValue(alert: ManagedAlert, nowMs: number): GoValue {
  const zero = GoTime.utc(-62_135_596_800_000)
  const status = statusOf(alert, nowMs)
  return new Fields('template.Alert', [
    ['Status', status],
    ['Labels', new KeyValues(alert.labels.entries())],
    ['Annotations', new KeyValues(alert.annotations.entries())],
    ['StartsAt', GoTime.utc(alert.startsMs)],
    ['EndsAt', status === 'resolved' ? GoTime.utc(alert.endsMs) : zero],
    ['GeneratorURL', alert.generatorUrl],
    ['Fingerprint', alert.fingerprint],
  ])
}

function alertList(alerts: readonly ManagedAlert[], nowMs: number): GoValue {
  const valuesOf = (status: 'firing' | 'resolved'): GoFunction =>
    typed([], () => alerts.filter(a => statusOf(a, nowMs) === status).map(a => alertValue(a, nowMs)))
  return MethodList.withMethods(
    alerts.map(a => alertValue(a, nowMs)),
    'template.Alerts',
    { Firing: valuesOf('firing'), Resolved: valuesOf('resolved') },
  )
}

/** Made once a notification, whatever number of templates it takes: nothing changes it. */
const dataValues = new WeakMap<TemplateData, GoValue>()

function dataValue(data: TemplateData): GoValue {
  let value = dataValues.get(data)
  if (value === undefined) dataValues.set(data, (value = makeDataValue(data)))
  return value
}

function makeDataValue({ receiver, status, alerts, groupLabels, externalUrl, nowMs }: TemplateData): GoValue {
  return new Fields('*template.Data', [
    ['Receiver', receiver],
    ['Status', status],
    ['Alerts', alertList(alerts, nowMs)],
    ['GroupLabels', new KeyValues(groupLabels.entries())],
    ['CommonLabels', new KeyValues(commonPairs(alerts.map(a => a.labels)))],
    ['CommonAnnotations', new KeyValues(commonPairs(alerts.map(a => a.annotations)))],
    ['ExternalURL', externalUrl],
  ])
}

/** Texts with a separator between them. Throws where that is longer than a value may be. */
function joined(list: readonly GoValue[], separator: string): string {
  const texts: string[] = []
  let characters = 0
  for (const item of list) {
    const part = text(item)
    refuseLong((characters += part.length + separator.length) - separator.length)
    texts.push(part)
  }
  return texts.join(separator)
}

/**
 * Values of JSON, and pieces of 16 characters, that one call of toJson may write: lists can hold themselves many
 * times.
 */
const jsonValuesMax = 100_000

function toJson(value: GoValue, left = { values: jsonValuesMax }): unknown {
  left.values -= 1 + (typeof value === 'string' ? value.length >>> 4 : 0)
  if (left.values < 0) throw new Error(`the value has more than ${jsonValuesMax} parts, which is the limit`)
  if (value instanceof GoInt) return Number(value.value)
  if (value instanceof GoTime) return value.format('2006-01-02T15:04:05.999999999Z07:00')
  if (value instanceof Fields)
    return Object.fromEntries([...value].map(([k, v]) => [k[0]!.toLowerCase() + k.slice(1), toJson(v, left)]))
  if (value instanceof Map)
    return Object.fromEntries([...(value as ReadonlyMap<string, GoValue>)].map(([k, v]) => [k, toJson(v, left)]))
  if (Array.isArray(value)) return [...(value as readonly GoValue[])].map(item => toJson(item, left))
  return typeof value === 'object' && value !== null ? printGo(value) : value
}

function humanizeDuration(seconds: number): string {
  const sign = seconds < 0 ? '-' : ''
  const whole = Math.trunc(Math.abs(seconds))
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ]
  const from = parts.findIndex(([n]) => n > 0)
  return `${sign}${
    from < 0
      ? '0s'
      : parts
          .slice(from)
          .map(([n, unit]) => `${n}${unit}`)
          .join(' ')
  }`
}

function zoned(zone: string, time: GoTime): GoTime {
  const at = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
    timeZoneName: 'short',
  }).formatToParts(time.ms)
  const get = (type: string): string => at.find(p => p.type === type)?.value ?? '0'
  const local = Date.UTC(
    Number(get('year')),
    Number(get('month')) - 1,
    Number(get('day')),
    Number(get('hour')),
    Number(get('minute')),
    Number(get('second')),
  )
  return new GoTime(
    time.ms,
    time.subNs,
    Math.round((local - Math.floor(time.ms / 1000) * 1000) / 60_000),
    get('timeZoneName'),
  )
}

const any = 'interface {}'
const string = 'string'
const ofText = (run: (text: string) => GoValue): GoFunction => typed([string], run)

const pureFunctions: readonly (readonly [string, GoFunction])[] = [
  ['toUpper', ofText(v => v.toUpperCase())],
  ['toLower', ofText(v => v.toLowerCase())],
  [
    'title',
    ofText(v =>
      v.replaceAll(
        /(^|[^\p{L}\p{N}_'])(\p{Ll})/gu,
        (_, before: string, letter: string) => before + letter.toUpperCase(),
      ),
    ),
  ],
  ['trimSpace', ofText(v => v.trim())],
  ['join', typed([string, '[]string'], (separator, list) => joined(list, separator))],
  ['match', typed([string, string], (pattern, value) => compileRe2(pattern).matcher(value).find())],
  ['safeHtml', ofText(v => new SafeHtml(v))],
  ['safeUrl', ofText(v => new SafeHtml(v, 'template.URL'))],
  [
    'urlUnescape',
    ofText(v => {
      try {
        return decodeURIComponent(v.replaceAll('+', ' '))
      } catch {
        return v
      }
    }),
  ],
  [
    'reReplaceAll',
    typed([string, string, string], (pattern, replacement, value) =>
      replaceMatches(
        compileRe2(pattern),
        value,
        matched => expandReplacement(replacement, matched, refuseLong),
        refuseLong,
      ),
    ),
  ],
  ['stringSlice', variadic([], string, (...values) => stringList(values))],
  ['list', variadic([], any, (...values) => values)],
  ['append', variadic(['[]interface {}'], any, (list, ...values) => [...list, ...values])],
  [
    'dict',
    variadic([], any, (...pairs) => {
      if (pairs.length % 2 !== 0) throw new Error('dict takes a value for each key')
      const map = new Map<string, GoValue>()
      for (let i = 0; i < pairs.length; i += 2) {
        const key = pairs[i]!
        if (typeof key !== 'string') throw new Error('the keys of a dict are texts')
        map.set(key, pairs[i + 1]!)
      }
      return map
    }),
  ],
  ['date', typed([string, 'time.Time'], (layout, time) => time.format(layout))],
  ['tz', typed([string, 'time.Time'], zoned)],
  ['humanizeDuration', typed([any], v => humanizeDuration(v instanceof GoInt ? v.number : Number(v)))],
  ['toJson', typed([any], v => JSON.stringify(toJson(v)))],
]

const functions = (nowMs: number): ReadonlyMap<string, GoFunction> =>
  new Map<string, GoFunction>([
    ...pureFunctions,
    ['since', typed(['time.Time'], time => humanizeDuration((nowMs - time.ms) / 1000))],
    ['now', typed([], () => GoTime.utc(nowMs))],
  ])
const known = new Set(functions(0).keys())
const isFunction = (name: string): boolean => known.has(name) || builtins.has(name)
const escaped = (value: GoValue): string =>
  value instanceof SafeHtml
    ? value.html
    : printGo(value).replaceAll(
        /[&<>"']/g,
        c => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' })[c]!,
      )

/** The templates of a configuration over the default ones. */
export class Templates {
  readonly #defined = new Map<string, Node[]>()

  /**
   * `sources`: files of the configuration; the defaults stand beneath them. Throws what the first wrong one is wrong
   * in.
   */
  constructor(sources: readonly { file: string; text: string }[]) {
    for (const { file, text: source } of [{ file: 'default', text: defaultTemplates }, ...sources])
      for (const [name, nodes] of parseTemplate(file, source, isFunction).defined) this.#defined.set(name, nodes)
  }

  #run(source: string, data: TemplateData, escape: ((value: GoValue) => string) | undefined): string {
    if (!source.includes('{{')) return source
    const own = parseTemplate('', source, isFunction)
    const template: Template = { nodes: own.nodes, defined: new Map([...this.#defined, ...own.defined]) }
    return new TemplateRunner('', source, template, functions(data.nowMs), { shown: escape }).run(dataValue(data))
  }

  /** Throws ExecutionFailure and TemplateError. */
  text(source: string, data: TemplateData): string {
    return this.#run(source, data, undefined)
  }
  /** Values are escaped for HTML. */
  html(source: string, data: TemplateData): string {
    return this.#run(source, data, escaped)
  }
}

/** Why a text is no template. */
export function templateProblem(source: string): string | undefined {
  try {
    parseTemplate('', source, isFunction)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

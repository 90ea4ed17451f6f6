/**
 * Templates of labels and annotations of alerts: Go's templates with Prometheus' functions. Source: Prometheus'
 * public template reference.
 */
import { messageOf } from '#core/errors.ts'
import { parseDurationMs } from '#core/duration.ts'
import { addAll } from '#core/lists.ts'
import { quote } from '#core/text.ts'
import { TemplateAllowance } from '#lang/gotemplate/allowance.ts'
import { builtins } from '#lang/gotemplate/builtins.ts'
import { TemplateRunner } from '#lang/gotemplate/execute.ts'
import { sprintf } from '#lang/gotemplate/go-format.ts'
import { GoTime } from '#lang/gotemplate/go-time-value.ts'
import { parseTemplate, type Template } from '#lang/gotemplate/parse.ts'
import { typed, variadic } from '#lang/gotemplate/signature.ts'
import {
  ExecutionFailure,
  GoInt,
  refuseLong,
  StringMap,
  TypedList,
  typeName,
  type GoFunction,
  type GoValue,
} from '#lang/gotemplate/values.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { expandReplacement, replaceMatches } from '#lang/regex/replace.ts'
import type { Labels } from '#model/labels.ts'

/** A sample that a template's query finds. */
export interface TemplateSample {
  labels: Labels
  value: number
}
/** Answers a PromQL expression at the moment of the evaluation. */
export type TemplateQuery = (expr: string) => Promise<TemplateSample[]>

/** What a template sees: the alert's labels and value, and the process around it. */
export interface TemplateContext {
  labels: Labels
  value: number
  externalLabels: readonly (readonly [string, string])[]
  externalUrl: string
  query: TemplateQuery
  nowMs: number
}

/** What a template sees first. */
class Data extends Map<string, GoValue> {
  readonly goType = 'template.AlertTemplateData'
}
/** A sample, with its labels and its value. */
class Sample extends Map<string, GoValue> {
  readonly goType = '*template.sample'
}
const resultType = 'template.queryResult'

const prelude =
  '{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}'
const passesMax = 20
/** Levels of templates that call each other by `tmpl`: each takes about 15 frames. */
const tmplDepthMax = 50

/** A query whose answer is not there yet: the template is run again when it is. */
class QueryNeeded extends ExecutionFailure {
  readonly expr: string
  constructor(expr: string) {
    super(`query ${expr}`)
    this.expr = expr
  }
}

function toFloat(value: GoValue): number {
  if (typeof value === 'number') return value
  if (value instanceof GoInt) return Number(value.value)
  if (typeof value === 'string') {
    const number =
      value.trim() === ''
        ? NaN
        : /^[+-]?inf$/i.test(value)
          ? value.startsWith('-')
            ? -Infinity
            : Infinity
          : Number(value)
    if (Number.isNaN(number) && !/^nan$/i.test(value))
      throw new Error(`strconv.ParseFloat: parsing ${JSON.stringify(value)}: invalid syntax`)
    return number
  }
  throw new Error(`can't convert ${value === null ? '<nil>' : typeName(value)} to float`)
}
const g4 = (value: number): string => sprintf('%.4g', [value])
const isPlain = (value: number): boolean => Number.isFinite(value)

function humanize(value: number): string {
  if (value === 0 || !isPlain(value)) return g4(value)
  let prefix = ''
  let rest = value
  if (Math.abs(rest) >= 1) {
    for (const p of ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y']) {
      if (Math.abs(rest) < 1000) break
      prefix = p
      rest /= 1000
    }
  } else
    for (const p of ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y']) {
      if (Math.abs(rest) >= 1) break
      prefix = p
      rest *= 1000
    }
  return `${g4(rest)}${prefix}`
}

function humanize1024(value: number): string {
  if (Math.abs(value) <= 1 || !isPlain(value)) return g4(value)
  let prefix = ''
  let rest = value
  for (const p of ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi']) {
    if (Math.abs(rest) < 1024) break
    prefix = p
    rest /= 1024
  }
  return `${g4(rest)}${prefix}`
}

function humanizeDuration(value: number): string {
  if (!isPlain(value)) return g4(value)
  if (value === 0) return `${g4(value)}s`
  if (Math.abs(value) >= 1) {
    const sign = value < 0 ? '-' : ''
    const whole = Math.trunc(Math.abs(value))
    const seconds = whole % 60
    const minutes = Math.floor(whole / 60) % 60
    const hours = Math.floor(whole / 3600) % 24
    const days = Math.floor(whole / 86_400)
    if (days !== 0) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`
    if (hours !== 0) return `${sign}${hours}h ${minutes}m ${seconds}s`
    if (minutes !== 0) return `${sign}${minutes}m ${seconds}s`
    return `${sign}${g4(Math.abs(value))}s`
  }
  let prefix = ''
  let rest = value
  for (const p of ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y']) {
    if (Math.abs(rest) >= 1) break
    prefix = p
    rest *= 1000
  }
  return `${g4(rest)}${prefix}s`
}

function timeOf(value: number): GoTime {
  if (!isPlain(value) || Math.abs(value) > 9.2e9) throw new Error(`timestamp ${value} is out of range`)
  const ms = Math.floor(value * 1000)
  return GoTime.utc(ms, Math.round((value * 1000 - ms) * 1e6))
}

const path = (expr: string, tab: number): string =>
  `/graph?g0.expr=${encodeURIComponent(expr).replaceAll('%20', '+')}&g0.tab=${tab}`
/** The first letter of each word. */
const title = (value: string): string =>
  value.replaceAll(
    /(^|[^\p{L}\p{N}_'])(\p{Ll})/gu,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  )

function sampleValue({ labels, value }: TemplateSample): GoValue {
  return new Sample([
    ['Labels', new StringMap(labels.entries())],
    ['Value', value],
  ])
}

function resultOf(samples: readonly GoValue[]): readonly GoValue[] {
  const result = new TypedList()
  addAll(result, samples)
  result.goType = resultType
  return result
}

const labelOf = (sample: GoValue, name: string): string => {
  const labels = sample instanceof Sample ? sample.get('Labels') : undefined
  return labels instanceof StringMap ? String(labels.get(name)) : ''
}

const any = 'interface {}'
const string = 'string'
const sampleType = '*template.sample'

type FunctionTable = readonly (readonly [string, GoFunction])[]
const ofText = (run: (text: string) => GoValue): GoFunction => typed([string], run)

/** Functions over samples that queries found. `answers`: by query; a query without one throws QueryNeeded. */
const sampleFunctions = (answers: ReadonlyMap<string, GoValue>): FunctionTable => [
  [
    'query',
    ofText(expr => {
      const known = answers.get(expr)
      if (known === undefined) throw new QueryNeeded(expr)
      return known
    }),
  ],
  [
    'first',
    typed([resultType], ([first]) => {
      if (first === undefined) throw new Error('first() called on vector with no elements')
      return first
    }),
  ],
  ['label', typed([string, sampleType], (name, sample) => labelOf(sample, name))],
  ['value', typed([sampleType], sample => sample?.get('Value') ?? null)],
  ['strvalue', typed([sampleType], sample => labelOf(sample, '__value__'))],
  [
    'sortByLabel',
    typed([string, resultType], (name, list) => {
      const keyed = [...list].map(sample => ({ sample, value: labelOf(sample, name) }))
      keyed.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
      return resultOf(keyed.map(({ sample }) => sample))
    }),
  ],
]

/** Functions over texts. */
const textFunctions: FunctionTable = [
  ['args', variadic([], any, (...args) => new Map(args.map((arg, i): [string, GoValue] => [`arg${i}`, arg])))],
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
  ['safeHtml', ofText(value => value)],
  ['match', typed([string, string], (pattern, value) => compileRe2(pattern).matcher(value).find())],
  ['title', ofText(title)],
  ['toUpper', ofText(value => value.toUpperCase())],
  ['toLower', ofText(value => value.toLowerCase())],
  ['graphLink', ofText(expr => path(expr, 0))],
  ['tableLink', ofText(expr => path(expr, 1))],
  ['stripPort', ofText(host => host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))],
  ['stripDomain', ofText(stripDomain)],
  ['urlQueryEscape', ofText(value => encodeURIComponent(value.toWellFormed()).replaceAll('%20', '+'))],
]

function stripDomain(host: string): string {
  const [, name = '', port = ''] = /^(.*?)(:\d+)?$/.exec(host) ?? []
  const dot = name.indexOf('.')
  return /^[\d.]+$|:/.test(name) ? host : `${dot < 0 ? name : name.slice(0, dot)}${port}`
}

const float = (run: (value: number) => GoValue): GoFunction => typed([any], value => run(toFloat(value)))

/** Functions over numbers and times. */
const numberFunctions: FunctionTable = [
  ['humanize', float(humanize)],
  ['humanize1024', float(humanize1024)],
  ['humanizeDuration', float(humanizeDuration)],
  ['humanizePercentage', float(v => `${g4(v * 100)}%`)],
  ['humanizeTimestamp', float(v => (isPlain(v) ? timeOf(v).toGoString() : g4(v)))],
  ['toTime', float(v => timeOf(v))],
  ['toDuration', float(v => humanizeDuration(v))],
  [
    'parseDuration',
    ofText(value => {
      const ms = parseDurationMs(value)
      if (ms === undefined) throw new Error(`not a valid duration string: ${quote(value)}`)
      return ms / 1000
    }),
  ],
]

function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname.replace(/\/$/, '') : ''
}

/** Everything that a template may call. `call` runs a defined template by its name. */
function functionsOf(
  { nowMs, externalUrl }: Pick<TemplateContext, 'externalUrl' | 'nowMs'>,
  answers: ReadonlyMap<string, GoValue>,
  call: (name: string, data: GoValue) => string,
): ReadonlyMap<string, GoFunction> {
  return new Map<string, GoFunction>([
    ...sampleFunctions(answers),
    ...textFunctions,
    ...numberFunctions,
    ['now', typed([], () => nowMs / 1000)],
    ['pathPrefix', typed([], () => pathOf(externalUrl))],
    ['externalURL', typed([], () => externalUrl)],
    ['tmpl', typed([string, any], call)],
  ])
}

/** Functions that templates may call beside Go's own. */
export const functionNames: ReadonlySet<string> = new Set(
  functionsOf({ externalUrl: '', nowMs: 0 }, new Map(), () => '').keys(),
)

function parse(name: string, source: string): Template {
  return parseTemplate(name, prelude + source, fn => functionNames.has(fn) || builtins.has(fn))
}

/** Why a text is no template; undefined when it is one. */
export function checkTemplate(name: string, source: string): string | undefined {
  if (!source.includes('{{')) return undefined
  try {
    parse(name, source)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** Runs a template as often as its queries need. Throws TemplateError and ExecutionFailure. */
export async function expandTemplate(name: string, source: string, context: TemplateContext): Promise<string> {
  if (!source.includes('{{')) return source
  const template = parse(name, source)
  const data = new Data([
    ['Labels', new StringMap(context.labels.entries())],
    ['ExternalLabels', new StringMap(context.externalLabels)],
    ['ExternalURL', context.externalUrl],
    ['Value', context.value],
  ])
  const answers = new Map<string, GoValue>()
  const allowance = new TemplateAllowance()
  for (let pass = 0; pass < passesMax; pass++) {
    let depth = 0
    const functions: ReadonlyMap<string, GoFunction> = functionsOf(context, answers, (called, own) => {
      const nodes = template.defined.get(called)
      if (nodes === undefined) throw new Error(`template ${JSON.stringify(called)} not defined`)
      const inner: Template = { nodes, defined: template.defined }
      if (++depth > tmplDepthMax) throw new Error(`templates call each other deeper than ${tmplDepthMax} levels`)
      const text = new TemplateRunner(called, prelude + source, inner, functions, { allowance, isInner: true }).run(own)
      depth--
      return text
    })
    try {
      return new TemplateRunner(name, prelude + source, template, functions, { allowance }).run(data)
    } catch (error) {
      if (!(error instanceof QueryNeeded)) throw error
      answers.set(error.expr, resultOf((await context.query(error.expr)).map(sampleValue)))
    }
  }
  throw new ExecutionFailure(`template ${name}: more than ${passesMax} queries`)
}

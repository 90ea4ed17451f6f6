/**
 * Strict checks of the values that a release gives its chart: Helm passes over a key that the chart does not know. The
 * charts' own values.yaml and JSON schemas are in fixtures/charts.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Ajv } from 'ajv'
import { parse } from 'yaml'

type Values = Record<string, unknown>

const directory = 'fixtures/charts'

/** Charts below a key of another's values. */
const subcharts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'victoria-metrics-k8s-stack': {
    'victoria-metrics-operator': 'victoria-metrics-operator',
    'kube-state-metrics': 'kube-state-metrics',
    'prometheus-node-exporter': 'prometheus-node-exporter',
  },
  'victoria-logs-cluster': { vector: 'vector' },
}

/**
 * Maps that a chart leaves open and hands to Kubernetes, or to an operator, as they are: fields in them are checked
 * where the manifests are really rendered, or by the CustomResourceDefinition. By the end of the path.
 */
const openMaps = [
  /(^|\.)resources$/,
  /\.configReloaderResources$/,
  /(^|\.)(podSecurityContext|securityContext|containerSecurityContext)$/,
  /(^|\.)podAnnotations$/,
  // A probe of app-template, which Kubernetes reads.
  /\.probes\.[a-z]+\.spec$/,
  // By VMSingle, VMAgent, VMAlert and VMAlertmanager of the operator's CustomResourceDefinitions.
  /^(vmsingle|vmagent|vmalert|alertmanager)\.spec$/,
  // alertmanager.yml.
  /^alertmanager\.config$/,
  // loki.yaml, of which the chart has some keys, and tempo.yaml.
  /^loki\.(ingester|limits_config|compactor|schemaConfig)$/,
  /^tempo\.(receivers\.otlp|storage\.trace|ingester|overrides|queryFrontend|extraArgs)$/,
  /^(datasources|grafana\.ini|envValueFrom)$/,
]

/** Keys at the top that templates read and values.yaml has not: a test looks where the templates are. */
export const inTemplatesAlone: Readonly<Record<string, readonly string[]>> = {
  grafana: ['fullnameOverride'],
  'kube-state-metrics': ['fullnameOverride'],
}

/** Keys that a chart reads and its values.yaml has in comments alone, as the text says. */
function isInComment(text: string, key: string): boolean {
  return text.split('\n').some(line => /^\s*#[\s-]*([^\s:]+):/.exec(line)?.[1] === key)
}

export interface ValuesCheck {
  problems: string[]
  /** Paths that were looked up. */
  count: number
}

/** `chart`: its name. */
export function checkValues(chart: string, values: Values): ValuesCheck {
  if (chart === 'app-template') return checkAppTemplate(values)
  const text = readFileSync(join(directory, chart, 'values.yaml'), 'utf8')
  const check: ValuesCheck = { problems: [], count: 0 }
  compare(values, parse(text) as Values, '', { chart, text, check })
  if (existsSync(join(directory, chart, 'values.schema.json'))) {
    const validate = validator(join(directory, chart, 'values.schema.json'))
    if (!validate(values)) check.problems.push(...errorsOf(chart, validate.errors))
  }
  return check
}

interface Walk {
  chart: string
  text: string
  check: ValuesCheck
}

function compare(values: Values, known: Values, path: string, walk: Walk): void {
  for (const [key, value] of Object.entries(values)) {
    const at = path === '' ? key : `${path}.${key}`
    walk.check.count++
    const subchart = path === '' ? subcharts[walk.chart]?.[key] : undefined
    if (subchart !== undefined) checkSubchart(subchart, key, value as Values, walk.check)
    else if (Object.hasOwn(known, key)) compareValue(value, known[key], at, walk)
    else if (isOpen(path) || inTemplatesAlone[walk.chart]?.includes(key) === true) continue
    // What a comment shows has its keys in comments, too.
    else if (isInComment(walk.text, key)) compareValue(value, isMap(value) ? {} : null, at, walk)
    else walk.check.problems.push(`${walk.chart}: ${at} is no key of its values.yaml`)
  }
}

function checkSubchart(subchart: string, key: string, { enabled: _enabled, ...values }: Values, check: ValuesCheck) {
  const below = checkValues(subchart, values)
  check.count += below.count
  check.problems.push(...below.problems.map(problem => `${key}: ${problem}`))
}

/** By the path of a map or of one around it. */
export function isOpen(path: string): boolean {
  const parts = path.split('.')
  return parts.some((_, i) => openMaps.some(form => form.test(parts.slice(0, i + 1).join('.'))))
}

function compareValue(value: unknown, known: unknown, at: string, walk: Walk): void {
  if (isMap(value) && isMap(known)) {
    if (!isOpen(at) || Object.keys(known).length > 0) compare(value, known, at, walk)
    return
  }
  const problem = `${walk.chart}: ${at} is ${kindOf(value)}, and ${kindOf(known)} in its values.yaml`
  // null says nothing of the kind; a duration may be a number of the chart's own unit.
  const isAlike =
    known === null || kindOf(value) === kindOf(known) || (kindOf(known) === 'a number' && typeof value === 'string')
  if (!isAlike) walk.check.problems.push(problem)
}

const isMap = (value: unknown): value is Values => typeof value === 'object' && value !== null && !Array.isArray(value)

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return value === null ? 'null' : isMap(value) ? 'a map' : `a ${typeof value}`
}

type Validator = ReturnType<Ajv['compile']>
const validators = new Map<string, Validator>()

function validator(path: string): Validator {
  const there = validators.get(path)
  if (there !== undefined) return there
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false })
  const { $schema: _schema, $id: _id, ...schema } = JSON.parse(readFileSync(path, 'utf8')) as Values
  const made = ajv.compile(schema)
  validators.set(path, made)
  return made
}

function errorsOf(chart: string, errors: Validator['errors']): string[] {
  return (errors ?? []).map(e => `${chart}: ${e.instancePath}: ${e.message ?? ''} ${JSON.stringify(e.params)}`)
}

/** app-template has no values of its own: its library's schema names every key. */
function checkAppTemplate(values: Values): ValuesCheck {
  const validate = appTemplateValidator()
  const problems = validate(values) ? [] : errorsOf('app-template', validate.errors)
  return { problems, count: countPaths(values) }
}

/** Refuses what a map does not name, where it names anything. */
function closed(schema: Values): Values {
  const { properties, ...rest } = schema
  if (!isMap(properties)) return schema
  const below = Object.entries(properties).map(([key, value]) => [key, closed(value as Values)])
  return { additionalProperties: false, ...rest, properties: Object.fromEntries(below) }
}

function countPaths(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countPaths(item), 0)
  return isMap(value) ? Object.values(value).reduce<number>((sum, child) => sum + 1 + countPaths(child), 0) : 0
}

function appTemplateValidator(): Validator {
  const key = 'app-template'
  const there = validators.get(key)
  if (there !== undefined) return there
  const base = pathToFileURL(join(process.cwd(), directory, 'app-template')).href
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, allowUnionTypes: true })
  for (const name of readdirSync(join(directory, key, 'common-schemas'))) {
    const {
      $schema: _schema,
      $id: _id,
      ...schema
    } = JSON.parse(readFileSync(join(directory, 'app-template', 'common-schemas', name), 'utf8')) as Values
    ajv.addSchema(schema, `${base}/schemas/${name}`)
  }
  const {
    $schema: _schema,
    $id: _id,
    ...schema
  } = JSON.parse(readFileSync(join(directory, 'app-template', 'common-values.schema.json'), 'utf8')) as Values
  // It leaves the top open, and `global`.
  ajv.addSchema(closed(schema), `${base}/values.schema.json`)
  const made = ajv.getSchema(`${base}/values.schema.json`)
  if (made === undefined) throw new Error('the schema of app-template can not be read')
  validators.set(key, made as Validator)
  return made as Validator
}

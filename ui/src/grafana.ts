/** Grafana's dashboards, as far as they are shown here: panels on a grid, variables, repeated panels. */
import { get } from './api.ts'

export interface Target {
  expr?: string
  query?: string
  legendFormat?: string
  instant?: boolean
  hide?: boolean
  datasource?: { type?: string } | string
}
export interface Threshold {
  color: string
  value: number | null
}
export interface Panel {
  id: number
  type: string
  title?: string
  description?: string
  gridPos?: { x: number; y: number; w: number; h: number }
  targets?: Target[]
  datasource?: { type?: string } | string | null
  fieldConfig?: {
    defaults?: {
      unit?: string
      min?: number
      max?: number
      decimals?: number
      thresholds?: { steps?: Threshold[] }
      custom?: { stacking?: { mode?: string }; drawStyle?: string }
    }
  }
  options?: { content?: string; mode?: string; reduceOptions?: { calcs?: string[] } }
  repeat?: string
  repeatDirection?: string
  maxPerRow?: number
  panels?: Panel[]
  collapsed?: boolean
  stack?: boolean
  yaxes?: { format?: string }[]
}
export interface Variable {
  name: string
  label?: string
  type: string
  query?: string | { query?: string }
  definition?: string
  includeAll?: boolean
  multi?: boolean
  allValue?: string | null
  options?: { value: string | string[]; text?: string | string[] }[]
  current?: { value?: string | string[] }
  hide?: number
  regex?: string
}
export interface Dashboard {
  title: string
  uid?: string
  description?: string
  panels: Panel[]
  templating?: { list?: Variable[] }
  time?: { from: string; to: string }
  rows?: { panels?: Panel[] }[]
}

export type Values = Readonly<Record<string, readonly string[]>>

/** Throws where the text is no dashboard. */
export function readDashboard(text: string): Dashboard {
  const value = JSON.parse(text) as { dashboard?: Dashboard } & Partial<Dashboard>,
    found = value.dashboard ?? value
  const panels = found.panels ?? found.rows?.flatMap(r => r.panels ?? [])
  if (!Array.isArray(panels)) throw new Error('no dashboard: it has no panels')
  return { ...found, title: String(found.title ?? 'Untitled'), panels }
}

/** `label_values(metric, label)` and its siblings; a list; seconds. */
export async function valuesOf(variable: Variable, values: Values, signal: AbortSignal): Promise<string[]> {
  const text =
    typeof variable.query === 'object' ? (variable.query.query ?? '') : (variable.query ?? variable.definition ?? '')
  if (variable.type === 'custom' || variable.type === 'interval')
    return text
      .split(',')
      .map(v => v.trim().replace(/^.*? : /, ''))
      .filter(v => v !== '')
  if (variable.type === 'constant' || variable.type === 'textbox') return [text]
  if (variable.type !== 'query') return (variable.options ?? []).flatMap(o => o.value)
  const filled = fill(text, values, '5m', 15),
    label = /^label_values\((?:(.+),)?\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*\)$/s.exec(filled.trim()),
    result = /^query_result\((.+)\)$/s.exec(filled.trim()),
    names = filled.startsWith('label_names('),
    metrics = /^metrics\((.*)\)$/.exec(filled)
  let found: string[]
  if (label !== null)
    found = (
      await get<{ data: string[] }>(
        `/api/v1/label/${label[2]!}/values`,
        label[1] === undefined ? {} : { 'match[]': label[1].trim() },
        signal,
      )
    ).data
  else if (names) found = (await get<{ data: string[] }>('/api/v1/labels', {}, signal)).data
  else if (metrics !== null)
    found = (await get<{ data: string[] }>('/api/v1/label/__name__/values', {}, signal)).data.filter(n =>
      n.includes(metrics[1]!.replaceAll(/^\^|\$$|\.\*/g, '')),
    )
  else if (result !== null)
    found = (
      await get<{ data: { result: { metric: Record<string, string>; value: [number, string] }[] } }>(
        '/api/v1/query',
        { query: result[1]! },
        signal,
      )
    ).data.result.map(
      r =>
        `${r.metric['__name__'] ?? ''}{${Object.entries(r.metric)
          .filter(([n]) => n !== '__name__')
          .map(([n, v]) => `${n}=${JSON.stringify(v)}`)
          .join(',')}} ${r.value[1]}`,
    )
  else return []
  return [...new Set(sifted(found, variable.regex ?? ''))]
}

/** What a variable stands for: the values in the address, the dashboard's own, all, or the first there is. */
export function chosenOf(variable: Variable, known: readonly string[], asked: readonly string[]): readonly string[] {
  const current = [variable.current?.value ?? []].flat(),
    isKept = current.length > 0 && current.every(v => known.includes(v) || v === '$__all'),
    fallback = variable.includeAll === true ? ['$__all'] : known.slice(0, 1),
    wanted = asked.length > 0 ? asked : isKept ? current : fallback
  if (!wanted.includes('$__all') && !wanted.includes('All')) return wanted
  if (variable.allValue != null && variable.allValue !== '') return [variable.allValue]
  return known.length === 0 ? ['.*'] : known
}

/** What fits `/expression/`, or its first group. An expression that is none lets all through. */
function sifted(values: readonly string[], regex: string): string[] {
  const body = /^\/(.*)\/([a-z]*)$/s.exec(regex)
  if (regex === '') return [...values]
  let expression: RegExp
  try {
    expression = new RegExp(body?.[1] ?? regex, body?.[2]?.replace('g', '') ?? '')
  } catch {
    return [...values]
  }
  return values.flatMap(value => {
    const match = expression.exec(value)
    return match === null ? [] : [match.groups?.['value'] ?? match[1] ?? match[0]]
  })
}

const escaped = (value: string): string => value.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Variables of a text. Several values become an expression. */
export function fill(text: string, values: Values, range: string, stepSeconds: number): string {
  const rate = `${Math.max(60, stepSeconds * 4)}s`,
    own: Record<string, string> = {
      __interval: `${stepSeconds}s`,
      __rate_interval: rate,
      __range: range,
      __interval_ms: String(stepSeconds * 1000),
      __range_s: range.replace('s', ''),
    }
  return text.replaceAll(
    /\$\{([a-zA-Z_]\w*)(?::(\w+))?\}|\$([a-zA-Z_]\w*)|\[\[([a-zA-Z_]\w*)\]\]/g,
    (
      whole,
      braced: string | undefined,
      format: string | undefined,
      bare: string | undefined,
      old: string | undefined,
    ) => {
      const name = braced ?? bare ?? old!
      if (own[name] !== undefined) return own[name]
      const found = values[name]
      if (found === undefined) return whole
      if (format === 'csv') return found.join(',')
      if (format === 'pipe') return found.join('|')
      if (found.length === 1) return format === 'regex' ? escaped(found[0]!) : found[0]!
      return `(${found.map(v => escaped(v).replaceAll('\\', '\\\\')).join('|')})`
    },
  )
}

/** Rows opened, and panels repeated for each value of their variable. */
export function laidOut(panels: readonly Panel[], values: Values): { panel: Panel; values: Values }[] {
  return panels.flatMap(panel => {
    if (panel.type === 'row') return [{ panel, values }, ...laidOut(panel.panels ?? [], values)]
    const repeated = panel.repeat === undefined || panel.repeat === '' ? undefined : values[panel.repeat]
    if (repeated === undefined) return [{ panel, values }]
    return repeated.slice(0, 30).map((value, i) => ({
      panel: {
        ...panel,
        id: panel.id * 1000 + i,
        gridPos: {
          x: 0,
          y: 0,
          h: panel.gridPos?.h ?? 8,
          w: Math.max(4, Math.floor(24 / Math.min(panel.maxPerRow ?? 4, repeated.length))),
        },
      },
      values: { ...values, [panel.repeat!]: [value] },
    }))
  })
}

export function legendOf(
  format: string | undefined,
  labels: Readonly<Record<string, string>>,
  fallback: string,
): string {
  return format === undefined || format === '' || format === '__auto'
    ? fallback
    : format.replaceAll(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, name: string) => labels[name] ?? '')
}

export function colorAt(steps: readonly Threshold[] | undefined, value: number): string {
  let color = ''
  for (const step of steps ?? []) if (step.value === null || value >= step.value) color = step.color
  return /red/.test(color) ? 'bad' : /orange|yellow/.test(color) ? 'warn' : /green/.test(color) ? 'good' : ''
}

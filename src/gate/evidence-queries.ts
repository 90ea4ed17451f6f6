/** Queries that show what a finding says, to paste where base or head can be asked. */
import type { EvidenceQuery } from './finding.ts'
import { failedCondition } from './span-failure.ts'

/** A text of PromQL, LogQL and TraceQL. */
function quoted(text: string): string {
  return JSON.stringify(text)
}

function traceql(query: string): EvidenceQuery {
  return { language: 'traceql', query }
}

function ofSpan(service: string, name: string): string {
  return `resource.service.name = ${quoted(service)} && name = ${quoted(name)}`
}

export function spansQuery(service: string, name: string): EvidenceQuery {
  return traceql(`{ ${ofSpan(service, name)} }`)
}

export function serviceQuery(service: string): EvidenceQuery {
  return traceql(`{ resource.service.name = ${quoted(service)} }`)
}

/** `isByStatus`: the spans have the status error themselves. */
export function failedSpansQuery(service: string, name: string, isByStatus: boolean): EvidenceQuery {
  return traceql(`{ ${ofSpan(service, name)} && ${isByStatus ? 'status = error' : `(${failedCondition})`} }`)
}

export function slowSpansQuery(service: string, name: string, ms: number): EvidenceQuery {
  return traceql(`{ ${ofSpan(service, name)} && duration > ${Math.floor(ms)}ms }`)
}

export function queriesBelow(service: string, name: string, least: number): EvidenceQuery {
  const isQuery = 'span.db.system.name != nil || span.db.system != nil'
  return traceql(`{ ${ofSpan(service, name)} } >> { ${isQuery} } | count() >= ${Math.max(1, Math.floor(least))}`)
}

export function callsBelow(service: string, name: string, least: number): EvidenceQuery {
  const isCall = 'kind = client || kind = producer'
  return traceql(`{ ${ofSpan(service, name)} } >> { ${isCall} } | count() >= ${Math.max(1, Math.floor(least))}`)
}

/** Lines with the longest words of a pattern that do not vary. */
export function linesQuery(service: string, pattern: string): EvidenceQuery {
  const part = pattern.split(/<\w*>/).reduce((longest, text) => (text.length > longest.length ? text : longest), '')
  const filter = part.trim() === '' ? '' : ` |= ${quoted(part.trim())}`
  return { language: 'logql', query: `{service_name=${quoted(service)}}${filter}` }
}

export function seriesQuery(metric: string): EvidenceQuery {
  return { language: 'promql', query: selectorOf(metric) }
}

export function seriesByLabelQuery(metric: string, label: string): EvidenceQuery {
  const name = /^[a-zA-Z_]\w*$/.test(label) ? label : quoted(label)
  return { language: 'promql', query: `topk(10, count by (${name}) (${selectorOf(metric)}))` }
}

export function streamsByLabelQuery(_: string, label: string): EvidenceQuery {
  const count = `count_over_time({service_name=~".+"}[1h])`
  return { language: 'logql', query: `topk(10, sum by (${label}) (${count}))` }
}

export function tracesQuery(attribute: string, value: string): EvidenceQuery {
  const name = /^[\w.:/-]+$/.test(attribute) ? attribute : quoted(attribute)
  return traceql(`{ resource.${name} = ${quoted(value)} }`)
}

/** `up`, or `{"http.requests"}` for a name that is no word. */
export function selectorOf(metric: string): string {
  return /^[a-zA-Z_:][\w:]*$/.test(metric) ? metric : `{${quoted(metric)}}`
}

/** What the forms of a report share: words, counts, and texts of programs made harmless. */
import type { Report, RunSummary } from './compare.ts'
import type { Finding } from './finding.ts'
import type { Severity } from './rule-table.ts'

/** Texts come from logs and names: what would move a cursor or change a colour is shown as what it is. */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, sign =>
    sign === '\n' || sign === '\t' ? ' ' : `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function counted(count: number, one: string, many: string): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`
}

export function ofSeverity({ findings }: Report, severity: Severity): Finding[] {
  return findings.filter(finding => finding.severity === severity)
}

/** `2 failures, 1 warning, 3 for information`, or `no differences that count`. */
export function verdictText(report: Report): string {
  const parts = [
    [ofSeverity(report, 'fail').length, 'failure', 'failures'] as const,
    [ofSeverity(report, 'warn').length, 'warning', 'warnings'] as const,
    [ofSeverity(report, 'info').length, 'for information', 'for information'] as const,
  ]
  const said = parts.filter(([count]) => count > 0).map(([count, one, many]) => counted(count, one, many))
  return said.length === 0 ? 'nothing has changed that the rules look at' : said.join(', ')
}

export function countsText({ counts }: RunSummary): string {
  const { traces, spans, lines, alarming, metrics, series } = counts
  return [
    counted(traces, 'trace', 'traces'),
    `${counted(spans, 'span', 'spans')} read`,
    `${counted(lines, 'log line', 'log lines')} (${alarming.toLocaleString('en-US')} of warnings and errors)`,
    `${counted(metrics, 'metric', 'metrics')} with ${counted(series, 'series', 'series')}`,
  ].join(', ')
}

/** All that is not whole, with the run that it is about. */
export function notesOf({ base, head, notes }: Report): string[] {
  return [...base.notes.map(note => `base: ${note}`), ...head.notes.map(note => `head: ${note}`), ...notes]
}

/** A report for a terminal. */
import type { Report, RunSummary } from './compare.ts'
import type { Evidence, Finding } from './finding.ts'
import { countsText, harmless, notesOf, verdictText } from './shown-report.ts'

const lineCharactersMax = 300

export function textReport(report: Report): string {
  const lines = [
    `${report.verdict === 'fail' ? 'FAILED' : 'passed'}: ${verdictText(report)}`,
    '',
    ...report.findings.flatMap(findingLines),
    ...notesOf(report).map(note => `note  ${harmless(note)}`),
    runLine('base', report.base),
    runLine('head', report.head),
  ]
  return lines.join('\n')
}

function runLine(role: string, run: RunSummary): string {
  return `${role}  ${harmless(run.name)}: ${countsText(run)}`
}

function findingLines({ severity, kind, sentence, evidence }: Finding): string[] {
  return [`${severity.toUpperCase()}  ${kind}: ${harmless(sentence)}`, ...evidenceLines(evidence), '']
}

function evidenceLines({ lines, queries, traceIds }: Evidence): string[] {
  return [
    ...lines.map(line => `      | ${harmless(line).slice(0, lineCharactersMax)}`),
    ...queries.map(({ language, query }) => `      ${language}  ${harmless(query)}`),
    ...(traceIds.length === 0 ? [] : [`      traces  ${traceIds.map(harmless).join(' ')}`]),
  ]
}

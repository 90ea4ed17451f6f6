/** A report for a comment of a pull request: a table, and the evidence to open. */
import type { Report, RunSummary } from './compare.ts'
import type { Finding } from './finding.ts'
import { countsText, harmless, notesOf, verdictText } from './shown-report.ts'

const signs = { fail: '❌', warn: '⚠️', info: 'ℹ️' } as const
const cellCharactersMax = 400
const lineCharactersMax = 500
/** Comments end at 65,536 characters: what is beyond is in the other forms. */
const charactersMax = 60_000

export function markdownReport(report: Report): string {
  const { findings, base, head } = report
  const sign = report.verdict === 'fail' ? signs.fail : '✅'
  const rows = findings.map(one => `| ${signs[one.severity]} | ${one.kind} | ${cell(one.sentence)} |`)
  const table = rows.length === 0 ? [] : ['| | kind | finding |', '|---|---|---|', ...rows, '']
  const notes = notesOf(report)
  const before = [
    `### ${sign} Telemetry: ${verdictText(report)}`,
    '',
    ...table,
    ...(notes.length === 0 ? [] : [...notes.map(note => `> ${plain(note)}  `), '']),
  ]
  const after = [runRow('base', base), runRow('head', head)]
  const room = charactersMax - [...before, ...after].join('\n').length
  return cut([...before, ...detailsWithin(findings, room), ...after].join('\n'))
}

/** The details of as many findings as there is room for. */
function detailsWithin(findings: readonly Finding[], room: number): string[] {
  const details: string[] = []
  let used = 0
  let omitted = 0
  for (const finding of findings) {
    const text = detailsOf(finding)
    if (used + text.length > room) omitted++
    else {
      details.push(text, '')
      used += text.length + 2
    }
  }
  if (omitted > 0) details.push(`The evidence of ${omitted} findings does not fit into a comment.`, '')
  return details
}

function cut(text: string): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)}\n\n… cut: the report is longer.`
}

function runRow(role: string, run: RunSummary): string {
  return `- ${role} \`${harmless(run.name).replaceAll('`', "'")}\`: ${countsText(run)}`
}

function detailsOf({ kind, severity, sentence, evidence, base, head }: Finding): string {
  const lines = [
    ...Object.keys({ ...base, ...head }).map(name => `${name}: ${base[name] ?? '-'} → ${head[name] ?? '-'}`),
    ...evidence.lines.map(line => harmless(line).slice(0, lineCharactersMax)),
    ...evidence.queries.map(({ language, query }) => `${language}: ${harmless(query)}`),
    ...(evidence.traceIds.length === 0 ? [] : [`traces: ${evidence.traceIds.map(harmless).join(' ')}`]),
  ]
  const summary = htmlOf(sentence.slice(0, cellCharactersMax))
  return [
    `<details><summary>${signs[severity]} ${kind}: ${summary}</summary>`,
    '',
    fenced(lines.join('\n')),
    '</details>',
  ].join('\n')
}

/** A fence is longer than any in the text. */
function fenced(text: string): string {
  const longest = [...text.matchAll(/`+/g)].reduce((most, [ticks]) => Math.max(most, ticks.length), 2)
  const fence = '`'.repeat(longest + 1)
  return `${fence}\n${text}\n${fence}`
}

/** Within tags no markup is read. */
function htmlOf(text: string): string {
  const escaped = harmless(text).replace(/[&<>]/g, sign => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign] ?? sign)
  return escaped.replaceAll('@', '&#64;')
}

/** Text that is neither a tag, a link, a mention nor markup. */
function plain(text: string): string {
  return htmlOf(text).replace(/[\\`*_[\]#~|](?!64;)/g, sign => `\\${sign}`)
}

function cell(text: string): string {
  const shown = text.length > cellCharactersMax ? `${text.slice(0, cellCharactersMax)}…` : text
  return plain(shown)
}

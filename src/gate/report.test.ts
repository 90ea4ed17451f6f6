/** The forms of a report, with texts that would break them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Report } from './compare.ts'
import { jsonReport } from './report-json.ts'
import { markdownReport } from './report-markdown.ts'
import { textReport } from './report-text.ts'

const run = { fromMs: 0, toMs: 1, counts: { traces: 1, spans: 2000, lines: 3, alarming: 1, metrics: 4, series: 5 } }

function reportOf(sentence: string, lines: readonly string[] = [], count = 1): Report {
  const finding = {
    kind: 'new_log_errors',
    severity: 'fail',
    subject: { service: 'web' },
    sentence,
    base: { lines: 0 },
    head: { lines: 2 },
    evidence: { traceIds: ['abc'], lines, queries: [{ language: 'logql', query: '{service_name="web"}' }] },
  } as const
  return {
    version: 1,
    verdict: 'fail',
    base: { ...run, name: 'base', notes: ['traces: cut'] },
    head: { ...run, name: 'head', notes: [] },
    findings: Array.from({ length: count }, () => finding),
    notes: ['one more'],
  }
}

test('text', () => {
  assert.equal(
    textReport(reportOf('it burns', ['a line'])),
    `FAILED: 1 failure

FAIL  new_log_errors: it burns
      | a line
      logql  {service_name="web"}
      traces  abc

note  base: traces: cut
note  one more
base  base: 1 trace, 2,000 spans read, 3 log lines (1 of warnings and errors), 4 metrics with 5 series
head  head: 1 trace, 2,000 spans read, 3 log lines (1 of warnings and errors), 4 metrics with 5 series`,
  )
})

test('text: nothing of a log line moves the cursor or changes colours', () => {
  const text = textReport(reportOf('red \u001b[31m\rx', ['\u202etfel']))
  assert.ok(text.includes('red \\u001b[31m\\u000dx'))
  assert.ok(text.includes('| \\u202etfel'))
})

test('markdown: markup, tags, mentions and fences of a log line stay text', () => {
  const text = markdownReport(reportOf('<b>|a|</b> `x` @you [l](u)', ['```', '</details>']))
  assert.ok(text.includes('| ❌ | new_log_errors | &lt;b&gt;\\|a\\|&lt;/b&gt; \\`x\\` &#64;you \\[l\\](u) |'))
  assert.ok(text.includes('<summary>❌ new_log_errors: &lt;b&gt;|a|&lt;/b&gt; `x` &#64;you [l](u)</summary>'))
  assert.ok(text.includes('````\nlines: 0 → 2\n```\n</details>\nlogql:'))
  assert.ok(text.includes('> base: traces: cut  '))
})

test('markdown fits into a comment, and says what does not', () => {
  const text = markdownReport(reportOf('x'.repeat(300), ['y'.repeat(1000)], 100))
  assert.ok(text.length <= 60_200, String(text.length))
  assert.match(text, /The evidence of \d+ findings does not fit into a comment\./)
  assert.ok(markdownReport(reportOf('x'.repeat(400), [], 500)).length <= 60_200)
})

test('JSON is the report', () => {
  const report = reportOf('it burns', ['a line'])
  assert.deepEqual(JSON.parse(jsonReport(report)), report)
})

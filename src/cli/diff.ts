/** `tercet diff`: what has changed in the telemetry of two runs. */
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { terminalOutput } from '#ops/output.ts'
import { failureOf } from './failure.ts'
import { accessFlags, headersOf, tenantFlag, type ServerFlag } from './common-flags.ts'
import { makeVerb, oneOf, type Given } from './verb.ts'

type DiffFlag = 'rules' | 'format' | 'base' | 'head' | ServerFlag

const forms = ['text', 'json', 'markdown'] as const

export const diff = makeVerb({
  name: 'diff',
  summary: 'Compares the telemetry of two recordings, or of two ranges of time, and fails where head is worse.',
  flags: [
    { name: 'rules', kind: 'file', help: 'gate.yml: thresholds, severities, and what is ignored.' },
    { name: 'format', kind: forms, fallback: 'text', help: 'Form of the report.' },
    { name: 'url', kind: 'address', help: 'Address of a running process, instead of recordings.' },
    {
      name: 'base',
      kind: 'text',
      placeholder: 'RANGE',
      help: 'With --url: START/END, START/DURATION or DURATION/END; times are RFC 3339, Unix seconds or now.',
    },
    { name: 'head', kind: 'text', placeholder: 'RANGE', help: 'As --base; a duration alone ends now.' },
    tenantFlag,
    ...accessFlags,
  ],
  words: { shown: '[BASE HEAD]', expected: 'one recording as base and one as head', least: 0, most: 2 },
  examples: [
    'tercet diff base tercet-recording',
    'tercet diff --rules=gate.yml --format=markdown base head > comment.md',
    'tercet diff --url=http://127.0.0.1:8428 --base=2026-11-01T10:00:00Z/15m --head=2026-11-01T11:00:00Z/15m',
    'tercet diff --url=http://127.0.0.1:8428 --base=15m/2026-11-01T11:00:00Z --head=15m   # before a deploy, and now',
  ],
  notes: [
    'Exit codes: 0 nothing fails, 1 something fails, 2 the runs can not be compared. docs/ci-gate.md says what is ' +
      'looked for.',
  ],
  async run(given: Given<DiffFlag>) {
    try {
      return await compare(given)
    } catch (error) {
      // 1 says that something was found: whatever else went wrong is 2.
      terminalOutput.err(`tercet: ${failureOf(error).text}`)
      return 2
    }
  },
})

async function compare(given: Given<DiffFlag>): Promise<number> {
  const { compareRanges, compareRecordings, loadRules, shownReport } = await import('#ops/diff.ts')
  const { rangeOf } = await import('#ops/range-text.ts')
  const url = given.optional('url')
  const [base, head] = url === undefined ? recordingsOf(given) : rangesOf(given)
  const rules = await loadRules(given.optional('rules'))
  const nowMs = systemClock.nowMs()
  const report =
    url === undefined
      ? await compareRecordings(base, head, rules)
      : await compareRanges(
          { server: { url, headers: headersOf(given) }, base: rangeOf(base, nowMs), head: rangeOf(head, nowMs) },
          rules,
        )
  terminalOutput.out(shownReport(report, oneOf(forms, given.text('format'))))
  return report.verdict === 'fail' ? 1 : 0
}

/** Throws BadDataError. */
function recordingsOf(given: Given<DiffFlag>): [string, string] {
  const [base, head] = given.words
  if (given.optional('base') !== undefined || given.optional('head') !== undefined)
    throw new BadDataError('diff takes --base and --head with --url alone; recordings are named without them')
  if (base === undefined || head === undefined)
    throw new BadDataError('diff takes two recordings: tercet diff BASE HEAD; or --url with --base and --head')
  return [base, head]
}

/** Throws BadDataError. */
function rangesOf(given: Given<DiffFlag>): [string, string] {
  const [base, head] = [given.optional('base'), given.optional('head')]
  if (given.words.length > 0) throw new BadDataError('diff takes recordings or --url, not both')
  if (base === undefined || head === undefined) throw new BadDataError('diff takes --base and --head with --url')
  return [base, head]
}

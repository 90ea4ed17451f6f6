/** Unit tests of rules, in promtool's file format. Source: Prometheus' public documentation of rule unit tests. */
import { BadDataError, messageOf } from '#core/errors.ts'
import { formatDuration } from '#core/duration.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { silentLog } from '#core/log.ts'
import { parseSettings, type Section, type Setting } from '#lang/settings/section.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import { parsePoints, parseSeriesLine, same, samePoint, type SeriesLine } from '#model/series-notation.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { RuleGroup } from './group.ts'
import type { RuleSample } from './rules.ts'
import type { GroupSettings } from './rules-file.ts'

interface ExpectedAlert {
  labels: [string, string][]
  annotations: [string, string][]
}
interface AlertTest {
  atMs: number
  alertName: string
  expected: ExpectedAlert[]
}
interface ExprTest {
  expr: string
  atMs: number
  expected: { labels: Labels; value: number | FloatHistogram }[]
}
interface Test {
  name: string
  intervalMs: number
  series: SeriesLine[]
  alertTests: AlertTest[]
  exprTests: ExprTest[]
  externalLabels: [string, string][]
  externalUrl: string
  startMs: number
}
export interface UnitTestFile {
  file: string
  ruleFiles: string[]
  evaluationIntervalMs: number
  groupOrder: string[]
  isFuzzy: boolean
  tests: Test[]
}

/** An empty store, and what answers PromQL over it. */
export interface UnitTestStore {
  appender: MetricsAppender
  query: (expr: string, atMs: number) => Promise<RuleSample[]>
  close: () => Promise<void>
}

function sampleLabels(text: string): Labels {
  return text.trim() === '' ? Labels.empty : parseSeriesLine(`${text} 0`).labels
}

function timeOf(section: Section, name: string): number {
  return section.durationMs(name, 0)
}

function readTest(setting: Setting, defaultIntervalMs: number): Test {
  const section = setting.section()
  const test: Test = {
    name: section.text('name'),
    intervalMs: section.durationMs('interval', defaultIntervalMs),
    externalLabels: section.textMap('external_labels'),
    externalUrl: section.text('external_url'),
    startMs: startOf(section),
    series: section.list('input_series').map(one => {
      const s = one.section()
      const series = s.text('series')
      const values = s.text('values')
      s.finish()
      try {
        return { labels: parseSeriesLine(`${series} 0`).labels, points: parsePoints(values) }
      } catch (error) {
        return s.refuse(messageOf(error))
      }
    }),
    alertTests: section.list('alert_rule_test').map(one => {
      const s = one.section()
      const found: AlertTest = {
        atMs: timeOf(s, 'eval_time'),
        alertName: s.text('alertname'),
        expected: s.list('exp_alerts').map(e => {
          const x = e.section()
          const alert = { labels: x.textMap('exp_labels'), annotations: x.textMap('exp_annotations') }
          x.finish()
          return alert
        }),
      }
      s.finish()
      if (found.alertName === '') s.refuse('alertname is empty')
      return found
    }),
    exprTests: section.list('promql_expr_test').map(one => {
      const s = one.section()
      const found: ExprTest = {
        expr: s.text('expr'),
        atMs: timeOf(s, 'eval_time'),
        expected: s.list('exp_samples').map(e => {
          const x = e.section()
          const labels = sampleLabels(x.text('labels'))
          const histogram = x.text('histogram')
          const value = histogram === '' ? (x.get('value')?.number() ?? 0) : parsePoints(histogram)[0]
          x.ignore('value')
          x.finish()
          return { labels, value: value instanceof FloatHistogram || typeof value === 'number' ? value : 0 }
        }),
      }
      s.ignore('exp_samples', 'expected_warn', 'expected_info')
      s.finish()
      return found
    }),
  }
  section.finish()
  return test
}

/** `start_timestamp`: RFC 3339 or seconds. */
function startOf(section: Section): number {
  const text = section.text('start_timestamp')
  if (text === '') return 0
  const ms = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  return Number.isNaN(ms) ? section.refuse(`start_timestamp ${JSON.stringify(text)} is no time`) : ms
}

/** Throws BadDataError with the place of what is wrong. */
export function readUnitTests(text: string, file: string): UnitTestFile {
  const section = parseSettings(text, file).section()
  const evaluationIntervalMs = section.durationMs('evaluation_interval', 60_000) || 60_000
  const read: UnitTestFile = {
    file,
    ruleFiles: section.texts('rule_files'),
    evaluationIntervalMs,
    groupOrder: section.texts('group_eval_order'),
    isFuzzy: section.isOn('fuzzy_compare', false),
    tests: section.list('tests').map(test => readTest(test, evaluationIntervalMs)),
  }
  section.finish()
  return read
}

function show(alerts: readonly { labels: Labels; annotations: Labels }[]): string {
  const pairs = (labels: Labels): string =>
    `{${Array.from({ length: labels.size }, (_, i) => `${labels.pairs[2 * i]!}=${JSON.stringify(labels.pairs[2 * i + 1])}`).join(', ')}}`
  return alerts.length === 0 ? 'nothing' : alerts.map(a => `${pairs(a.labels)} with ${pairs(a.annotations)}`).join('; ')
}

async function load(store: UnitTestStore, { series, intervalMs, startMs }: Test): Promise<void> {
  const builder = new BatchBuilder()
  for (const { labels, points } of series) {
    const number = builder.addSeries(labels)
    points.forEach((point, i) => {
      const timeMs = startMs + i * intervalMs
      if (typeof point === 'number') builder.batch.addSample(number, timeMs, point)
      else if (point === 'stale') builder.batch.addSampleWords(number, timeMs, 0x7ff00000, 2)
      else if (point !== undefined)
        builder.batch.histograms.push({ series: number, timeMs, histogram: point, startMs: 0 })
    })
  }
  const { refused, problems } = await store.appender.append('test', builder.batch)
  if (refused > 0)
    throw new BadDataError(`${refused} samples of the input series were refused: ${problems[0]?.message ?? ''}`)
}

/** What failed. */
async function runTest(
  test: Test,
  file: UnitTestFile,
  groups: readonly GroupSettings[],
  store: UnitTestStore,
  only: (name: string) => boolean,
): Promise<string[]> {
  if (!only(test.name)) return []
  const problems: string[] = []
  const clock = new VirtualClock(test.startMs)
  await load(store, test)
  const order = new Map(file.groupOrder.map((name, i) => [name, i]))
  const sorted = [...groups].sort((a, b) => (order.get(a.name) ?? Infinity) - (order.get(b.name) ?? Infinity) || 0)
  const running = sorted.map(
    settings =>
      new RuleGroup(settings, {
        clock,
        log: silentLog,
        appender: store.appender,
        tenant: 'test',
        notify: () => {
          /* nobody is told */
        },
        storedSince: () => Promise.resolve([]),
        intervalMs: file.evaluationIntervalMs,
        queryOffsetMs: 0,
        externalLabels: test.externalLabels,
        externalUrl: test.externalUrl,
        query: (rule, atMs) => store.query(rule.expr, atMs),
        templateQuery: atMs => async expr =>
          (await store.query(expr, atMs)).map(s => ({ labels: s.labels, value: s.value })),
      }),
  )
  const throughMs = Math.max(0, ...test.alertTests.map(t => t.atMs), ...test.exprTests.map(t => t.atMs))
  const waiting = [...test.alertTests].sort((a, b) => a.atMs - b.atMs)
  for (let offsetMs = 0; offsetMs <= throughMs; offsetMs += file.evaluationIntervalMs) {
    const atMs = test.startMs + offsetMs
    for (const group of running) {
      await group.evaluate(atMs)
      for (const rule of group.rules)
        if (rule.state.lastError !== '')
          problems.push(
            `    rule: ${rule.settings.name}, time: ${formatDuration(offsetMs)}, err: ${rule.state.lastError}`,
          )
    }
    while (waiting.length > 0 && waiting[0]!.atMs < offsetMs + file.evaluationIntervalMs) {
      const { alertName, atMs: askedMs, expected } = waiting.shift()!
      const found = running
        .flatMap(g => g.rules)
        .filter(r => r.settings.kind === 'alerting' && r.settings.name === alertName)
        .flatMap(r => [...r.active.values()])
        .filter(a => a.state === 'firing')
        .map(a => ({ labels: a.labels, annotations: a.annotations }))
      const wanted = expected.map(e => ({
        labels: Labels.from([...e.labels, ['alertname', alertName]]),
        annotations: Labels.from(e.annotations),
      }))
      const sort = (list: { labels: Labels; annotations: Labels }[]): string[] =>
        list.map(a => `${a.labels.key}\u0001${a.annotations.key}`).sort()
      if (JSON.stringify(sort(found)) !== JSON.stringify(sort(wanted)))
        problems.push(
          `    alertname: ${alertName}, time: ${formatDuration(askedMs)},\n        exp: ${show(wanted)}\n      ` +
            `  got: ${show(found)}`,
        )
    }
  }
  for (const { expr, atMs, expected } of test.exprTests)
    problems.push(...(await checkExpr(expr, test.startMs + atMs, formatDuration(atMs), expected, file.isFuzzy, store)))
  return problems
}

async function checkExpr(
  expr: string,
  atMs: number,
  shown: string,
  expected: ExprTest['expected'],
  isFuzzy: boolean,
  store: UnitTestStore,
): Promise<string[]> {
  let found: RuleSample[]
  try {
    found = await store.query(expr, atMs)
  } catch (error) {
    return [`    expr: ${JSON.stringify(expr)}, time: ${shown}, err: ${messageOf(error)}`]
  }
  const ours = found
    .map(s => ({ labels: s.labels, value: s.histogram ?? s.value }))
    .sort((a, b) => compareLabels(a.labels, b.labels))
  const wanted = [...expected].sort((a, b) => compareLabels(a.labels, b.labels))
  const isSame = (a: number | FloatHistogram, b: number | FloatHistogram): boolean =>
    typeof a === 'number' && typeof b === 'number'
      ? Object.is(a, b) || a === b || (isFuzzy && same(a, b))
      : samePoint(a, b)
  if (
    ours.length === wanted.length &&
    ours.every((o, i) => o.labels.key === wanted[i]!.labels.key && isSame(o.value, wanted[i]!.value))
  )
    return []
  const text = (list: typeof ours): string =>
    list.length === 0 ? 'nothing' : list.map(s => `{${s.labels.pairs.join(' ')}} ${String(s.value)}`).join(', ')
  return [
    `    expr: ${JSON.stringify(expr)}, time: ${shown},\n        exp: ${text(wanted)}\n        got: ${text(ours)}`,
  ]
}

/** Runs a file's tests; what failed, test by test. */
export async function runUnitTests(
  file: UnitTestFile,
  groups: readonly GroupSettings[],
  open: () => Promise<UnitTestStore>,
  only: (name: string) => boolean = () => true,
): Promise<string[]> {
  const seen = new Set<string>()
  for (const { name } of groups) {
    if (seen.has(name)) return [`    group name ${JSON.stringify(name)} is in several rule files`]
    seen.add(name)
  }
  const problems: string[] = []
  for (const test of file.tests) {
    const store = await open()
    try {
      const found = await runTest(test, file, groups, store, only)
      if (found.length > 0 && test.name !== '') problems.push(`    name: ${test.name},`)
      problems.push(...found)
    } finally {
      await store.close()
    }
  }
  return problems
}

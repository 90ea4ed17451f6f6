/** Unit tests of rules, in promtool's file format. Source: Prometheus' public documentation of rule unit tests. */
import { BadDataError, messageOf } from '#core/errors.ts'
import { formatDuration } from '#core/duration.ts'
import { addAll, greatest } from '#core/lists.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { silentLog } from '#core/log.ts'
import { parseSettings, type Section, type Setting } from '#lang/settings/section.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import { parsePoints, parseSeriesLine, same, samePoint, type SeriesLine } from '#model/series-notation.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { labelText } from './alert.ts'
import { RuleGroup, type GroupWorld } from './group.ts'
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
/** A test file as it was read. Times are milliseconds. */
export interface UnitTestFile {
  file: string
  ruleFiles: string[]
  evaluationIntervalMs: number
  groupOrder: string[]
  isFuzzy: boolean
  tests: Test[]
}

/** An empty store, with PromQL over it. */
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

function readSeries(setting: Setting): SeriesLine {
  const section = setting.section()
  const series = section.text('series')
  const values = section.text('values')
  section.finish()
  try {
    return { labels: parseSeriesLine(`${series} 0`).labels, points: parsePoints(values) }
  } catch (error) {
    return section.refuse(messageOf(error))
  }
}

function readAlertTest(setting: Setting): AlertTest {
  const section = setting.section()
  const found: AlertTest = {
    atMs: timeOf(section, 'eval_time'),
    alertName: section.text('alertname'),
    expected: section.list('exp_alerts').map(e => {
      const s = e.section()
      const alert = { labels: s.textMap('exp_labels'), annotations: s.textMap('exp_annotations') }
      s.finish()
      return alert
    }),
  }
  section.finish()
  if (found.alertName === '') section.refuse('alertname is empty')
  return found
}

function readExprTest(setting: Setting): ExprTest {
  const section = setting.section()
  const found: ExprTest = {
    expr: section.text('expr'),
    atMs: timeOf(section, 'eval_time'),
    expected: section.list('exp_samples').map(e => {
      const s = e.section()
      const labels = sampleLabels(s.text('labels'))
      const histogram = s.text('histogram')
      const value = histogram === '' ? (s.get('value')?.number() ?? 0) : parsePoints(histogram)[0]
      s.ignore('value')
      s.finish()
      return { labels, value: value instanceof FloatHistogram || typeof value === 'number' ? value : 0 }
    }),
  }
  section.ignore('exp_samples', 'expected_warn', 'expected_info')
  section.finish()
  return found
}

function readTest(setting: Setting, defaultIntervalMs: number): Test {
  const section = setting.section()
  const test: Test = {
    name: section.text('name'),
    intervalMs: section.durationMs('interval', defaultIntervalMs),
    externalLabels: section.textMap('external_labels'),
    externalUrl: section.text('external_url'),
    startMs: startOf(section),
    series: section.list('input_series').map(readSeries),
    alertTests: section.list('alert_rule_test').map(readAlertTest),
    exprTests: section.list('promql_expr_test').map(readExprTest),
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

/** Reads a file of unit tests. Throws BadDataError with file and line of the fault. */
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

function show(alerts: readonly ShownAlert[]): string {
  return alerts.length === 0
    ? 'nothing'
    : alerts.map(a => `${labelText(a.labels)} with ${labelText(a.annotations)}`).join('; ')
}

async function load(store: UnitTestStore, { series, intervalMs, startMs }: Test): Promise<void> {
  const builder = new BatchBuilder()
  for (const { labels, points } of series) {
    const number = builder.addSeries(labels)
    points.forEach((point, i) => {
      const timeMs = startMs + i * intervalMs
      if (typeof point === 'number') builder.batch.addSample(number, timeMs, point)
      else if (point === 'stale') builder.batch.addSampleWords(number, timeMs, 0x7ff00000, 2)
      else if (point !== undefined) builder.batch.addHistogram(number, timeMs, 0, point)
    })
  }
  const { refusals } = builder.batch
  const { refused, problems } = await store.appender.append('test', builder.batch)
  const first = problems[0] ?? refusals[0]
  if (first !== undefined)
    throw new BadDataError(`${refused + refusals.length} samples of the input series were refused: ${first.message}`)
}

/** Groups in the order of `group_eval_order`; groups that it does not name come last. */
function openGroups(
  test: Test,
  file: UnitTestFile,
  groups: readonly GroupSettings[],
  store: UnitTestStore,
): RuleGroup[] {
  const clock = new VirtualClock(test.startMs)
  const order = new Map(file.groupOrder.map((name, i) => [name, i]))
  const sorted = [...groups].sort((a, b) => (order.get(a.name) ?? Infinity) - (order.get(b.name) ?? Infinity) || 0)
  const world: GroupWorld = {
    clock,
    log: silentLog,
    appender: store.appender,
    tenant: 'test',
    notify: () => undefined,
    storedSince: undefined,
    intervalMs: file.evaluationIntervalMs,
    queryOffsetMs: 0,
    externalLabels: test.externalLabels,
    externalUrl: test.externalUrl,
    query: (rule, atMs) => store.query(rule.expr, atMs),
    templateQuery: atMs => async expr =>
      (await store.query(expr, atMs)).map(s => ({ labels: s.labels, value: s.value })),
  }
  return sorted.map(settings => new RuleGroup(settings, world))
}

interface ShownAlert {
  labels: Labels
  annotations: Labels
}

/** The firing alerts of that name differ from the expected ones: how; undefined: they do not. */
function alertProblem({ alertName, atMs, expected }: AlertTest, groups: readonly RuleGroup[]): string | undefined {
  const found = groups
    .flatMap(g => g.rules)
    .filter(r => r.settings.kind === 'alerting' && r.settings.name === alertName)
    .flatMap(r => [...r.active.values()])
    .filter(a => a.state === 'firing')
  const wanted = expected.map(e => ({
    labels: Labels.from([...e.labels, ['alertname', alertName]]),
    annotations: Labels.from(e.annotations),
  }))
  const sort = (list: readonly ShownAlert[]): string[] =>
    list.map(a => `${a.labels.key}\u0001${a.annotations.key}`).sort()
  if (JSON.stringify(sort(found)) === JSON.stringify(sort(wanted))) return undefined
  const place = `    alertname: ${alertName}, time: ${formatDuration(atMs)},`
  return `${place}\n        exp: ${show(wanted)}\n        got: ${show(found)}`
}

/** Runs one test; returns its failures. */
async function runTest(
  test: Test,
  file: UnitTestFile,
  groups: readonly GroupSettings[],
  store: UnitTestStore,
  isWanted: (name: string) => boolean,
): Promise<string[]> {
  if (!isWanted(test.name)) return []
  const problems: string[] = []
  await load(store, test)
  const running = openGroups(test, file, groups, store)
  const throughMs = greatest([0, ...test.alertTests.map(t => t.atMs), ...test.exprTests.map(t => t.atMs)])
  let waiting = [...test.alertTests].sort((a, b) => a.atMs - b.atMs)
  for (let offsetMs = 0; offsetMs <= throughMs; offsetMs += file.evaluationIntervalMs) {
    for (const group of running) {
      await group.evaluate(test.startMs + offsetMs)
      for (const { settings, state } of group.rules)
        if (state.lastError !== '')
          problems.push(`    rule: ${settings.name}, time: ${formatDuration(offsetMs)}, err: ${state.lastError}`)
    }
    const isDue = ({ atMs }: AlertTest): boolean => atMs < offsetMs + file.evaluationIntervalMs
    for (const due of waiting.filter(isDue)) problems.push(alertProblem(due, running) ?? '')
    waiting = waiting.filter(one => !isDue(one))
  }
  for (const { expr, atMs, expected } of test.exprTests)
    addAll(problems, await checkExpr(expr, test.startMs + atMs, formatDuration(atMs), expected, file.isFuzzy, store))
  return problems.filter(Boolean)
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

/** Runs a file's tests, each over a store of its own that `open` makes; returns the failures, test by test. */
export async function runUnitTests(
  file: UnitTestFile,
  groups: readonly GroupSettings[],
  open: () => Promise<UnitTestStore>,
  isWanted: (name: string) => boolean = () => true,
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
      const found = await runTest(test, file, groups, store, isWanted)
      if (found.length > 0 && test.name !== '') problems.push(`    name: ${test.name},`)
      addAll(problems, found)
    } finally {
      await store.close()
    }
  }
  return problems
}

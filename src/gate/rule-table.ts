/**
 * Every kind of finding: its severity and thresholds where gate.yml says nothing, and what they mean. The table is the
 * documentation (docs/ci-gate.md).
 */

/** `off`: it is not looked for. */
export const severities = ['fail', 'warn', 'info', 'off'] as const
export type RuleSeverity = (typeof severities)[number]
export type Severity = Exclude<RuleSeverity, 'off'>

export interface Threshold {
  readonly fallback: number
  readonly help: string
}

export interface KindRule {
  readonly severity: RuleSeverity
  /** What is found. */
  readonly help: string
  readonly thresholds: Readonly<Record<string, Threshold>>
}

const requests: Threshold = { fallback: 3, help: 'Requests of base and head for which that is enough.' }

export const ruleTable = {
  new_errors: {
    severity: 'fail',
    help:
      'Spans that failed in head, and in base did not, by service, name and exception, or by other words beside ' +
      'those of base. ' +
      'One that is rarer than both thresholds is a warning.',
    thresholds: {
      share: { fallback: 0.05, help: 'Part of the spans of that name which fail.' },
      count: { fallback: 3, help: 'Failed spans, whatever part they are.' },
    },
  },
  error_growth: {
    severity: 'fail',
    help: 'Spans that fail in both and more often in head, beyond what chance does.',
    thresholds: {
      factor: { fallback: 2, help: 'Share in head against base.' },
      count: { fallback: 5, help: 'More failed spans than base had, for as many spans.' },
    },
  },
  queries: {
    severity: 'fail',
    help:
      'More queries of databases for each request of a route (N+1): the typical count, or that of one in ten. ' +
      'With fewer requests twice as much is needed, or the same statement three times. One more query warns where ' +
      'the count grows by the factor, or the same statement is asked again.',
    thresholds: {
      increase: { fallback: 2, help: 'More queries for a request.' },
      factor: { fallback: 1.5, help: 'Queries in head against base.' },
      requests,
    },
  },
  repeated_queries: {
    severity: 'warn',
    help: 'A route that base does not have, and whose typical request asks the same statement again and again.',
    thresholds: {
      repeats: { fallback: 10, help: 'The same statement in one request.' },
      requests: { fallback: 1, help: 'Requests that head must have.' },
    },
  },
  calls: {
    severity: 'fail',
    help: 'More requests and messages to other processes for each request of a route, counted as queries are.',
    thresholds: {
      increase: { fallback: 2, help: 'More calls for a request.' },
      factor: { fallback: 1.5, help: 'Calls in head against base.' },
      requests,
    },
  },
  latency: {
    severity: 'fail',
    help:
      'Routes whose median is slower, beyond the noise of both runs and what the whole run is slower. ' +
      'With 5 to 9 requests it fails where all of them are slower than all of base, by three times and by 100 ms; ' +
      'with 3 or 4 it is a warning then, and with 1 or 2 where it is by eight times and half a second.',
    thresholds: {
      factor: { fallback: 1.3, help: 'Median of head against base.' },
      milliseconds: { fallback: 20, help: 'Slower by so much at least.' },
      requests: { fallback: 10, help: 'Requests of base and head from which on there are statistics.' },
      noise: {
        fallback: 0.1,
        help: 'How far the medians of a route differ between two runs of the same code (0.1: 10 %).',
      },
      chance: { fallback: 0.005, help: 'How likely a false alarm may be, over all routes of a comparison.' },
    },
  },
  latency_tail: {
    severity: 'warn',
    help: 'The same of the slowest tenth (p90) of routes whose median stays.',
    thresholds: {
      factor: { fallback: 1.5, help: 'p90 of head against base.' },
      milliseconds: { fallback: 50, help: 'Slower by so much at least.' },
      requests: { fallback: 30, help: 'Requests that base and head must each have.' },
      noise: { fallback: 0.2, help: 'As above, for p90.' },
      chance: { fallback: 0.005, help: 'As above.' },
    },
  },
  slower_run: {
    severity: 'warn',
    help: 'Most of what both runs did took longer: the machine was slower, or code that all share.',
    thresholds: { factor: { fallback: 1.5, help: 'Head against base, the median over spans of all names.' } },
  },
  new_log_errors: {
    severity: 'fail',
    help: 'Patterns of log lines with the level error, critical or fatal that base does not have.',
    thresholds: { count: { fallback: 1, help: 'Lines in head.' } },
  },
  new_log_warnings: {
    severity: 'warn',
    help: 'The same with the level warn.',
    thresholds: { count: { fallback: 1, help: 'Lines in head.' } },
  },
  log_growth: {
    severity: 'warn',
    help: 'Patterns of errors and warnings that both have, and head more often, beyond what chance does.',
    thresholds: {
      factor: { fallback: 2, help: 'Lines in head against base, for as many requests.' },
      count: { fallback: 10, help: 'More lines than base had.' },
    },
  },
  vanished_metrics: { severity: 'fail', help: 'Names of metrics that base has and head does not.', thresholds: {} },
  vanished_labels: {
    severity: 'warn',
    help: 'Names of labels that a metric has in base and not in head.',
    thresholds: {},
  },
  vanished_values: {
    severity: 'warn',
    help:
      'Values without digits that a label has in base and lacks in head, where head has other values of the label. ' +
      'Values that name failures are left out: they come and go.',
    thresholds: {},
  },
  stopped_counters: {
    severity: 'fail',
    help:
      'Counters and histograms that count nothing in head. Counters of failures are left out. ' +
      'It is a warning when base counted less, and when head counts a tenth of what base counted.',
    thresholds: { count: { fallback: 10, help: 'What base counted.' } },
  },
  changed_types: { severity: 'fail', help: 'Metrics of another type: counter, gauge, histogram.', thresholds: {} },
  new_metrics: { severity: 'info', help: 'Names of metrics that base does not have.', thresholds: {} },
  cardinality: {
    severity: 'fail',
    help:
      'Metrics and logs with many more series and streams, many more names of metrics and spans, and values of ' +
      'resources. Ten ids where base has one value or none fail, too.',
    thresholds: {
      factor: { fallback: 2, help: 'Series in head against base.' },
      increase: { fallback: 100, help: 'More series.' },
    },
  },
  vanished_services: {
    severity: 'warn',
    help: 'Services of which base has spans and head none.',
    thresholds: {},
  },
  vanished_routes: {
    severity: 'warn',
    help: 'Routes that were requested in base and not in head.',
    thresholds: { requests: { fallback: 3, help: 'Requests in base.' } },
  },
  vanished_spans: {
    severity: 'info',
    help: 'Names of spans that base has and head does not, of services and routes that are still there.',
    thresholds: { count: { fallback: 3, help: 'Spans in base.' } },
  },
  new_routes: { severity: 'info', help: 'Routes that base does not have.', thresholds: {} },
} as const satisfies Record<string, KindRule>

export type Kind = keyof typeof ruleTable
export type ThresholdName<K extends Kind> = keyof (typeof ruleTable)[K]['thresholds'] & string

export const kinds = Object.keys(ruleTable) as Kind[]

export function ruleOf(kind: Kind): KindRule {
  return ruleTable[kind]
}

/** By which texts of its subject a finding can be ignored. */
export const subjectNames = ['service', 'route', 'span', 'metric', 'label', 'pattern', 'error'] as const
export type SubjectName = (typeof subjectNames)[number]

/** How much of a run is read, so that a comparison needs a bounded time and memory. */
export const readingTable = {
  traces: { fallback: 5000, help: 'Traces that are read of a run.' },
  traces_per_route: {
    fallback: 400,
    help: 'Traces with the same root (service and name) that are read of a run, spread evenly over its time.',
  },
  error_traces: { fallback: 1000, help: 'Traces with a failed span that are read of a run.' },
  lines: { fallback: 50_000, help: 'Log lines with the level warn and above that are read of a run.' },
  series_per_metric: { fallback: 50_000, help: 'Series that are counted of a metric.' },
  findings_per_kind: { fallback: 50, help: 'Findings of one kind that a report lists.' },
} as const satisfies Record<string, Threshold>

export type ReadingName = keyof typeof readingTable
export const readingNames = Object.keys(readingTable) as ReadingName[]

/** /api/v1/features: what of Prometheus' features there is, by the names that Prometheus gives them. */
import { functions } from '#lang/promql/functions.ts'
import { aggregateOperators } from '#lang/promql/lexer.ts'

const promql = [
  'anchored',
  'at_modifier',
  'bool',
  'by',
  'delayed_name_removal',
  'duration_expr',
  'fill',
  'fill_left',
  'fill_right',
  'group_left',
  'group_right',
  'ignoring',
  'negative_offset',
  'offset',
  'on',
  'per_query_lookback_delta',
  'smoothed',
  'subqueries',
  'without',
]
const operators = [...aggregateOperators, ...'!= !~ % * + - / < </ <= == =~ > >/ >= @ ^ and atan2 or unless'.split(' ')]

function allOf(names: readonly string[]): Record<string, boolean> {
  return Object.fromEntries(names.map(name => [name, true]))
}

/** The answer's data. */
export function prometheusFeatures(): Readonly<Record<string, Readonly<Record<string, boolean>>>> {
  return {
    api: {
      ...allOf(['admin', 'exclude_alerts', 'label_values_match', 'otlp_write_receiver', 'query_stats']),
      ...allOf(['query_warnings', 'remote_write_receiver', 'time_range_labels', 'time_range_series']),
      lifecycle: false,
      search: false,
    },
    prometheus: { agent_mode: false, server_mode: true, stringlabels: true },
    promql: { ...allOf(promql), per_step_stats: false, type_and_unit_labels: false },
    promql_functions: allOf(Object.keys(functions)),
    promql_operators: allOf(operators),
    rules: allOf(['keep_firing_for', 'query_offset']),
    tsdb: allOf(['exemplar_storage', 'native_histograms']),
  }
}

/** What this process can do, in the words of Prometheus' list of features: /api/v1/features. */
import { functionNames } from '#alert/template.ts'
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

type Features = Record<string, Record<string, boolean>>

const all = (names: Iterable<string>): Record<string, boolean> =>
  Object.fromEntries([...names].sort().map(name => [name, true]))

/**
 * Absent names are features that are not there. `reloadsFiles`: files are looked at again and again; `discoveries`:
 * kinds of service discovery.
 */
export function featuresOf(reloadsFiles: boolean, discoveries: readonly string[]): Features {
  return {
    api: all([
      'admin',
      'exclude_alerts',
      'label_values_match',
      'lifecycle',
      'otlp_write_receiver',
      'query_stats',
      'query_warnings',
      'remote_write_receiver',
      'time_range_labels',
      'time_range_series',
    ]),
    otlp_receiver: { delta_conversion: false, native_delta_ingestion: false },
    prometheus: { agent_mode: false, auto_reload_config: reloadsFiles, server_mode: true },
    promql: all(promql),
    promql_functions: all(Object.keys(functions)),
    promql_operators: all(operators),
    rules: all(['keep_firing_for', 'query_offset']),
    scrape: all(['extra_scrape_metrics']),
    service_discovery_providers: all(discoveries),
    templating_functions: all(functionNames),
    tsdb: all(['exemplar_storage', 'native_histograms']),
  }
}

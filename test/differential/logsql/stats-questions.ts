/** Queries of the pipe stats: functions, groups, buckets. */

const functions = ['count', 'count_empty', 'count_uniq', 'count_uniq_hash', 'sum', 'avg', 'min', 'max', 'median', 'sum_len', 'uniq_values', 'rate_sum', 'histogram', 'row_min', 'row_max']
const webFields = ['bytes', 'status', 'took', 'size', 'ratio', 'ip', 'user', 'signed', 'big', 'due', 'level', 'trace', 'nosuch', '_msg']
const oddFields = ['v', 'w', 'u', 't', 's', 'r', 'nested.x.y', '"odd name"']

const each = [
  ...functions.flatMap(name => webFields.map(field => `app:=web | stats ${name}(${field}) x`)),
  // Values that are equal numbers and different texts come in any order.
  ...functions.flatMap(name =>
    oddFields
      .filter(field => name !== 'uniq_values' || field.length > 1)
      .map(field => `app:=odd | stats ${name}(${field}) x`),
  ),
  ...['0', '0.25', '0.5', '0.9', '0.99', '1'].flatMap(phi => ['bytes', 'took', 'ratio', 'user', 'ip'].map(field => `app:=web | stats quantile(${phi}, ${field}) x`)),
]

const forms = [
  '', 'count()', 'count() as c', 'count(*) c', 'count() as', 'count() "odd name"', 'count() c, count() d', 'count() c, sum(bytes) c', 'count() c sum(bytes)', 'count', 'count(', 'count(bytes', 'foo(bytes)', 'count() if (level:error) errors', 'count() if (level:error)', 'count() if () c', 'count() if (level:error or status:200) c, count() all', 'sum(bytes) if (nothing) s', 'avg(bytes) if (nothing) s', 'min(bytes) if (nothing) s', 'uniq_values(level) if (nothing) s', 'histogram(bytes) if (nothing) s', 'quantile(0.5, bytes) if (nothing) s', 'row_any() if (nothing) s', 'values(level) if (nothing) s', 'json_values(level) if (nothing) s', 'row_max(bytes) if (nothing) s', 'count_uniq(level) if (nothing) s',
  'count(user) c', 'count(user, level) c', 'count(nosuch) c', 'count(nosuch, level) c', 'count(us*) c', 'count_empty(user) c', 'count_empty(user, nosuch) c', 'count_empty(user, level) c', 'count_empty() c', 'count_empty(us*) c', 'count_uniq(level, method) c', 'count_uniq(user, nosuch) c', 'count_uniq() c', 'count_uniq(*) c', 'count_uniq(lev*) c', 'count_uniq(status) limit 3 c', 'count_uniq(status) limit 100 as c', 'count_uniq(status) limit x', 'count_uniq_hash(status, level) c', 'count_uniq_hash(status) limit 2 c',
  'sum(bytes, status) s', 'sum() s', 'sum(byt*) s', 'sum(took) s', 'sum(size, bytes) s', 'avg(bytes, status) s', 'avg(b*) s', 'avg() s', 'min(bytes, status) s', 'max(bytes, status, ratio) s', 'min() s', 'max() s', 'min(_time) s', 'max(_time) s', 'max(user, level) s', 'median(bytes, status) s', 'median(_time) s', 'quantile(0.5, _time) s', 'quantile(0.3, bytes, status) s', 'quantile(0.5) s', 'quantile(1.5, bytes) s', 'quantile(-1, bytes) s', 'quantile(x, bytes) s', 'quantile() s', 'quantile(0.1, b*) s', 'sum_len(level, method) s', 'sum_len() s', 'sum_len(lev*) s', 'sum_len(nosuch) s', 'sum_len(_time) s',
  'uniq_values(level, method) u', 'uniq_values(lev*) u', 'uniq_values(status) limit 100 u', 'uniq_values(nosuch) u', 'uniq_values(user) u', 'uniq_values(size) u', 'uniq_values(ip) u', 'values(nosuch) v', 'values(level) limit x v', 'rate() r', 'rate(bytes) r', 'rate_sum(bytes) r', 'rate_sum() r', 'histogram(bytes, status) h', 'histogram() h', 'histogram(b*) h', 'row_min(bytes, level, method) r', 'row_max(bytes, level, method) r', 'row_min(bytes, nosuch, level) r', 'row_max(nosuch, level) r', 'row_max() r', 'row_max(b*, level) r', 'row_max(took, took, bytes) r', 'row_min(user, user) r', 'row_any(nosuch) r', 'row_any(app) r', 'row_any(app, nosuch) r', 'row_max(due, due) r', 'row_min(_time, bytes) r',
  'by (level) count() c', 'by (level, method) count() c, sum(bytes) s', 'by(level)count()c', '(level) count() c', 'by level count() c', 'by () count() c', 'by (nosuch) count() c', 'by (user) count() c', 'by (level) count() level', 'by (level, level) count() c', 'by (level', 'by (level) ', 'by (lev*) count() c', 'by ("level") count() c', 'by (_stream) count() c', 'by (_stream_id) count() c', 'by (_time) count() c | count() n', 'by (level) count() c, count() if (status:500) e, avg(bytes) a, max(took) m', 'by (level) uniq_values(method) u, count_uniq(path) p', 'by (level) median(bytes) m, quantile(0.9, bytes) q', 'by (level) row_max(bytes, bytes, path) r', 'by (host) min(_time) a, max(_time) b', 'by (level) histogram(bytes) h', 'by (level) count() c | filter c:>13', 'by (level) count() c | sort by (c desc, level) limit 2', 'by (level) sum(nosuch) s', 'by (level) avg(nosuch) s',
]

const buckets = [
  '_time:1h', '_time:10m', '_time:1d', '_time:1w', '_time:7m', '_time:1h offset 20m', '_time:1h offset -20m', '_time:1d offset 6h', '_time:month', '_time:year', '_time:day', '_time:hour', '_time:minute', '_time:week', '_time:second', '_time:month offset 5d', '_time:year offset -1d', '_time:1m30s', '_time:3600000000000', '_time:0', '_time:0s', '_time:-1h', '_time:x', '_time:1h offset x', '_time:1KB', '_time:2.5h',
  'bytes:1000', 'bytes:10KB', 'bytes:1KiB', 'bytes:10000 offset 500', 'bytes:10000 offset -500', 'bytes:7.5', 'bytes:0', 'bytes:-5', 'status:100', 'status:100 offset 50', 'status:1', 'status:7', 'ratio:1', 'ratio:0.5', 'ratio:2 offset 0.5', 'ratio:3', 'took:100ms', 'took:25ms', 'took:1s', 'took:10ms offset 3ms', 'took:100', 'size:10KB', 'size:1KiB', 'size:5000', 'ip:/16', 'ip:/24', 'ip:/30', 'ip:/0', 'ip:/32', 'ip:/33', 'ip:256', 'ip:100 offset 3', 'due:1d', 'due:day', 'due:week', 'due:month', 'due:year', 'due:12h', 'due:1d offset 3h', 'due:hour', 'signed:10000000', 'signed:1000', 'big:10', 'big:7', 'big:1e3', 'user:10', 'user:1h', 'level:1', 'nosuch:5', 'trace:10', 'level:month', 'bytes:month', 'path:/8', 'status:5s',
].map(bucket => `app:=web | stats by (${bucket}) count() c, sum(bytes) s`)

const oddBuckets = ['v:1KiB', 'v:10', 'w:10', 'w:1MB', 'u:1h', 'u:10', 'u:/24', 't:1s', 't:1d', 's:1', 's:0.5', 's:hour', 'r:10', 'r:month', 'v:1d', 'v:hour', 'w:day', 'u:day', 't:day', 'v:year', 'u:month', 's:/8', 'v:100', 'w:3', 'v:1e18', 'r:0.1', 's:5', 's:5 offset 2'].map(bucket => `app:=odd | stats by (${bucket}) count() c, uniq_values(n) u`)

const nsBuckets = ['1ns', '2ns', '10ns', '1us', '1µs', '500us', '1ms', '10ms', '1s', '1m', 'millisecond', 'microsecond', 'nanosecond', '3ns', '7us', '1ms offset 1ns', '1s offset 500ms'].map(bucket => `app:=ns | stats by (_time:${bucket}) count() c`)
const dayBuckets = ['day', '1d', '1d offset 1h', '12h', 'week', 'month', 'year', '36h', '1w offset 2d', 'month offset 1d'].map(bucket => `app:=days | stats by (_time:${bucket}) count() c, uniq_values(n) u`)

const rates = ['_time:1h | stats rate() r', '_time:1h | stats rate() r, rate_sum(value) s', '_time:[@25m@, @15m@) | stats rate() r, rate_sum(value) s', '_time:[@25m@, @15m@] | stats rate() r', '_time:@15m@ | stats rate() r', '| stats rate() r, rate_sum(value) s', '_time:>@15m@ | stats rate() r', '_time:[@25m@, @15m@) | stats by (_time:1m) rate() r', '_time:[@25m@, @15m@) | stats by (host) rate() r, rate_sum(float) s', '_time:[@25m@, @15m@) _time:[@20m@, @10m@) | stats rate() r', '(_time:[@25m@, @15m@) or host:x) | stats rate() r'].map(text => `app:=series ${text}`)

const more = [
  ...['x', 'y'].flatMap(label => [`label:${label} | stats by (host) sum(value) s, avg(float) a, max(took) m`, `label:${label} | stats by (_time:5m, host) count() c, uniq_values(value) u`]),
  '| stats by (host, label) count() c, sum(value) s, min(float) mn, max(float) mx', '| stats by (_time:5m) count() c, sum(float) s', '| stats by (value:5) count() c', '| stats by (float:0.5) count() c', '| stats by (took:10ms) count() c, avg(value) a', '| stats count(sparse) c, count_uniq(sparse) u, uniq_values(sparse) v', '| stats by (sparse) count() c', '| stats by (group) histogram(value) h', '| stats by (group) histogram(float) h', '| stats histogram(took) h', '| stats by (group) row_min(value, _msg) a, row_max(float, _msg) b', '| count() c', '| by (host) count() c', '| sum(value), avg(value)', '| count() c, max(value)', '| stats by (host) count() c | stats sum(c) s, max(c) m', '| stats by (host) count() c | sort by (host)', '| stats by (host) count() c | math c * 2 as d | sort by (host)', '| stats by (host) count() c | top 1 by (host)', '| stats by (host) count() c | fields c, host | limit 10', '| sort by (_time) | stats values(value) limit 5 v | count() n', '| fields host, value | stats by (host) sum_len(value) l', '| stats by (group) median(float) m, quantile(0.75, float) q, quantile(0.1, took) t', '| stats by (host) json_values(value) j | count() n', '| value:16 | stats row_any(value) r', '| _msg:="tick 3" | stats row_any(value, host) r, values(value, host) v, json_values(value, host) j, uniq_values(value, host) u', '| _msg:="tick 5" | fields value, sparse, host | stats json_values() j, row_any() r, values() v', '| _msg:="tick 5" | stats json_values(nosuch, host) j, row_any(host, nosuch) r', '| _msg:="tick 5" | stats json_values(s*) j, row_max(value, s*) r, row_any(s*) a',
].map(text => `app:=series ${text}`)

export const statsQueries: Readonly<Record<string, readonly string[]>> = {
  each,
  forms: forms.map(text => `app:=web | stats ${text}`),
  buckets: [...buckets, ...oddBuckets, ...nsBuckets, ...dayBuckets],
  rates,
  more,
}

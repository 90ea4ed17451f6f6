/** What was measured in November 2026, as ratios Tercet ÷ peer, and the bar that was set for each work. */

export interface Before {
  ratio: string
  bar: string
}

export const november: Readonly<Record<string, Before>> = {
  'remote write, steady': { ratio: '0.56–0.81 × VictoriaMetrics, 0.10 × Prometheus', bar: '≤ 0.6' },
  'registering series': { ratio: '0.10 × VictoriaMetrics', bar: 'keep' },
  'peak RSS with 1 M series, flushed': { ratio: '816 MiB (VictoriaMetrics 1,009)', bar: '≤ 700 MiB' },
  '32 dashboard queries, warm': { ratio: '1.44–1.48 × VictoriaMetrics, 0.40 × Prometheus', bar: '≤ 0.9' },
  '32 dashboard queries, warm, wall': { ratio: '1.4–1.6 × VictoriaMetrics', bar: '' },
  '32 dashboard queries, cold': { ratio: '2.0 × VictoriaMetrics', bar: '≤ 1.0' },
  'predict_linear over 1 h, 24 h': { ratio: '7.1 × VictoriaMetrics', bar: '≤ 1.3' },
  'quantile_over_time over 1 h, 24 h': { ratio: '3.1 × VictoriaMetrics', bar: '≤ 1.3' },
  'sum of rates, 24 h': { ratio: '2.9 × VictoriaMetrics', bar: '≤ 1.3' },
  'avg_over_time over 1 h, 7 d': { ratio: '2.6 × VictoriaMetrics', bar: '≤ 1.3' },
  'a single series, one moment': { ratio: '1.6–3.5 × VictoriaMetrics', bar: '≤ 1.3' },
  'a single series, 1 h': { ratio: '1.6–3.5 × VictoriaMetrics', bar: '≤ 1.3' },
  'a single series, 24 h': { ratio: '1.6–3.5 × VictoriaMetrics', bar: '≤ 1.3' },
  'a single series, 7 d': { ratio: '1.6–3.5 × VictoriaMetrics', bar: '≤ 1.3' },
  'peak RSS of the dashboard queries': { ratio: '374 MiB (VictoriaMetrics 245)', bar: '≤ 250 MiB' },
  'lines in, flushed': { ratio: '0.92–0.97 × Loki, 0.54 × VictoriaLogs', bar: '≤ 0.5 × Loki' },
  'stored ÷ line bytes': { ratio: '0.284 (Loki 0.403, VictoriaLogs 0.232)', bar: '≤ 0.23' },
  '16 log queries, warm': { ratio: '0.26 × Loki, 2.2–2.4 × VictoriaLogs', bar: '≤ 0.8 × VictoriaLogs' },
  '16 log queries, cold': { ratio: '1.9–2.9 × VictoriaLogs', bar: '≤ 1.2' },
  'a token that is not there': { ratio: '85 × VictoriaLogs', bar: '' },
  'a token that is not there, wall': { ratio: '165 ms', bar: '≤ 3 ms' },
  'lines by app, 24 h': { ratio: '14.8 × VictoriaLogs', bar: '≤ 1.0' },
  'case-insensitive regex': { ratio: '4.1 × VictoriaLogs', bar: '≤ 1.0' },
  'errors by pod': { ratio: '2.4 × VictoriaLogs', bar: '≤ 1.0' },
  'a needle': { ratio: '0.55 × VictoriaLogs, 0.004 × Loki', bar: '' },
  'spans in, in the bucket': { ratio: '0.48–0.60 × Tempo', bar: '≤ 0.4' },
  '21 trace queries, warm': { ratio: '0.47–0.55 × Tempo', bar: '≤ 0.4' },
  '21 trace queries, cold, wall': { ratio: '1.3–1.4 × Tempo', bar: '≤ 0.8' },
  'a trace by its id': { ratio: '2.6 × Tempo', bar: '≤ 0.7' },
  'a trace by its id, wall': { ratio: '98 ms', bar: '' },
  'an attribute that no span has': { ratio: '3.7 × Tempo', bar: '≤ 0.7' },
  'tag values, warm': { ratio: '3.9 × Tempo', bar: '≤ 0.7' },
  'idle RSS, all roles': { ratio: '160–167 MiB', bar: '≤ 120 MiB' },
  'start on a day of lines': { ratio: '1.6 s', bar: '≤ 0.6 s' },
  'agent, 200 × 500 series: peak RSS': { ratio: '180 MiB', bar: '≤ 128 MiB' },
}

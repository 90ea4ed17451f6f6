/** Every decoder and parser that meets bytes from outside, with messages to begin from. */
import { ByteReader } from '#codec/byte-reader.ts'
import { readStruct } from '#codec/parquet/thrift.ts'
import { encodeSnappy, decodeSnappy } from '#codec/snappy.ts'
import { decodeSnappyFrames } from '#codec/snappy-frame.ts'
import { decodeLz4Frame } from '#codec/lz4.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { errorKinds } from '#core/errors.ts'
import { parseTemplate } from '#lang/gotemplate/parse.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import { parsePattern } from '#lang/logql/line-pattern.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { nsOfMs } from '#lang/logsql/times.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { decodeIndex } from '#logs/index-file.ts'
import { readLinesRecord } from '#logs/wal-record.ts'
import { decodeMeta } from '#metrics/block-meta.ts'
import { decodeTombstones } from '#metrics/tombstones.ts'
import { readSamplesRecord } from '#metrics/wal-record.ts'
import { LogBatch } from '#model/log-batch.ts'
import { KeyWriter, WriteBatch } from '#model/write-batch.ts'
import { decodeHeader, scanFrames, splitSegments } from '#store/wal-segment.ts'
import { parseInfluxLine } from '#wire/influx-line/parse.ts'
import { decodeJaegerThrift } from '#wire/jaeger/thrift.ts'
import { decodePostSpansRequest } from '#wire/jaeger/proto.ts'
import { parseJournal } from '#wire/journald/parse.ts'
import { parseJsonLine } from '#wire/json-lines/parse.ts'
import { decodePushRequest, parseLegacyPushJson, parsePushJson } from '#wire/loki-push/push.ts'
import { parseStreamLabels } from '#wire/loki-push/labels.ts'
import { decodeOtlpLogs, parseOtlpLogsJson } from '#wire/otlp/logs.ts'
import { decodeOtlpMetrics, parseOtlpMetricsJson } from '#wire/otlp/metrics.ts'
import { parseOtlpTracesJson, readOtlpTraces } from '#wire/otlp/traces.ts'
import { decodeReadRequest } from '#wire/remote-read/messages.ts'
import { decodeWriteRequest } from '#wire/remote-write/v1.ts'
import { decodeWriteRequestV2 } from '#wire/remote-write/v2.ts'
import { parseSyslog } from '#wire/syslog/parse.ts'
import { parseZipkinJson } from '#wire/zipkin/spans.ts'
import { scanExposition, type ScrapeSink } from '#wire/prometheus-text/scan.ts'
import { logsRequest, metricsRequest, tracesRequest } from '../otlp-schema.ts'
import { protobuf, type Message } from '../protobuf.ts'
import { seriesMessage } from '../write-request.ts'

export interface FuzzTarget {
  readonly seeds: readonly Uint8Array[]
  /** Decodes the input. May throw errors of our own kinds. */
  run(input: Uint8Array): unknown
  /** What an input may take in memory, as a multiple of its bytes; 64 where it is not said. */
  readonly memoryFactor?: number
  /** Names of errors that the callers turn into one of these kinds. */
  readonly errors?: readonly string[]
}

/** Is it an error that the target documents? */
export function isDocumented({ errors = [] }: FuzzTarget, error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('kind' in error && errorKinds.some(kind => kind === error.kind)) || errors.includes(error.name)
}

const text = (input: Uint8Array): string => Buffer.from(input).toString('utf8')
const hex = (digits: string): Uint8Array => Buffer.from(digits, 'hex')
const texts = (...all: string[]): Uint8Array[] => all.map(one => Buffer.from(one))
const ofText = (run: (source: string) => unknown, ...seeds: string[]): FuzzTarget => ({
  seeds: texts(...seeds),
  run: input => run(text(input)),
})
const ofBytes = (run: (input: Uint8Array) => unknown, ...seeds: Uint8Array[]): FuzzTarget => ({ seeds, run })

const nowMs = Date.parse('2026-11-28T12:00:00Z')
const nowNs = `${nowMs}000000`
const attribute = (key: string, value: Message): Message => ({ key, value })
const attributes = [
  attribute('s', { stringValue: 'text' }),
  attribute('i', { intValue: '9007199254740993' }),
  attribute('d', { doubleValue: 1.5 }),
  attribute('b', { boolValue: true }),
  attribute('a', { arrayValue: { values: [{ stringValue: 'x' }, { intValue: '1' }] } }),
  attribute('m', { kvlistValue: { values: [attribute('k', { stringValue: 'v' })] } }),
]
const resource = { attributes: [attribute('service.name', { stringValue: 'api' }), ...attributes] }
const times = { startTimeUnixNano: nowNs, timeUnixNano: nowNs }
const metricsMessage: Message = {
  resourceMetrics: [
    {
      resource,
      scopeMetrics: [
        {
          scope: { name: 'lib' },
          metrics: [
            { name: 'g', gauge: { dataPoints: [{ ...times, attributes, asDouble: 1.5 }] } },
            {
              name: 's',
              sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ ...times, asInt: '7' }] },
            },
            {
              name: 'h',
              histogram: {
                aggregationTemporality: 2,
                dataPoints: [{ ...times, count: '3', sum: 3, bucketCounts: ['1', '2'], explicitBounds: [1] }],
              },
            },
          ],
        },
      ],
    },
  ],
}
const logsMessage: Message = {
  resourceLogs: [
    {
      resource,
      scopeLogs: [
        { logRecords: [{ timeUnixNano: nowNs, severityText: 'INFO', body: { stringValue: 'line' }, attributes }] },
      ],
    },
  ],
}
const tracesMessage: Message = {
  resourceSpans: [
    {
      resource,
      scopeSpans: [
        {
          scope: { name: 'lib' },
          spans: [
            {
              traceId: '01'.repeat(16),
              spanId: '02'.repeat(8),
              parentSpanId: '03'.repeat(8),
              name: 'GET /',
              kind: 2,
              startTimeUnixNano: nowNs,
              endTimeUnixNano: nowNs,
              attributes,
              events: [{ timeUnixNano: nowNs, name: 'e', attributes }],
              links: [{ traceId: '04'.repeat(16), spanId: '05'.repeat(8), attributes }],
              status: { code: 2, message: 'bad' },
            },
          ],
        },
      ],
    },
  ],
}
const writeRequest = Buffer.concat(
  [1, 2].map(n => {
    const labels: [string, string][] = [
      ['__name__', 'm'],
      ['job', `j${n}`],
    ]
    const series = seriesMessage(labels, [[nowMs, n]])
    return Buffer.concat([Buffer.from([0x0a, series.length]), series])
  }),
)
const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })
const batch = new WriteBatch()
const lines = new LogBatch()
const keys = new KeyWriter()
const nothing = (): void => {}
const sink: ScrapeSink = {
  find: () => -1,
  add: () => 0,
  sample: nothing,
  histogram: nothing,
  refuse: nothing,
  metadata: nothing,
}
const samplesVisitor = {
  tenant: nothing,
  define: nothing,
  samples: nothing,
  histogram: nothing,
  exemplar: nothing,
  metadata: nothing,
}

const messages: Record<string, FuzzTarget> = {
  'otlp metrics': ofBytes(decodeOtlpMetrics, protobuf(metricsRequest, metricsMessage)),
  'otlp metrics json': ofBytes(parseOtlpMetricsJson, ...texts(JSON.stringify(metricsMessage))),
  'otlp logs': ofBytes(decodeOtlpLogs, protobuf(logsRequest, logsMessage)),
  'otlp logs json': ofBytes(parseOtlpLogsJson, ...texts(JSON.stringify(logsMessage))),
  'otlp traces': ofBytes(readOtlpTraces, protobuf(tracesRequest, tracesMessage)),
  'otlp traces json': ofBytes(parseOtlpTracesJson, ...texts(JSON.stringify(tracesMessage))),
  'remote write 1': ofBytes(input => decodeWriteRequest(input, batch), writeRequest),
  'remote write 2': ofBytes(
    input => decodeWriteRequestV2(input, batch, keys),
    hex('22000a22016d2a0a0a02010212080901000000000000'),
  ),
  'remote write kernel': ofBytes(input => kernel.unpack(input, 1e6), encodeSnappy(writeRequest)),
  'remote read': ofBytes(input => decodeReadRequest(input, 1e6), encodeSnappy(hex('0a0c0801100a1a0612016a1a0178'))),
  'loki push': ofBytes(
    input => decodePushRequest(input, lines),
    hex('0a1f0a077b613d2262227d12140a0608c0b2a4ca0612016c1a070a016b12027631'),
  ),
  'loki push json': ofBytes(
    input => parsePushJson(input, lines),
    ...texts(`{"streams":[{"stream":{"a":"b"},"values":[["${nowNs}","l",{"m":"n"}]]}]}`),
  ),
  'loki push json of old': ofBytes(
    input => parseLegacyPushJson(input, lines),
    ...texts('{"streams":[{"labels":"{a=\\"b\\"}","entries":[{"ts":"2026-11-28T12:00:00Z","line":"l"}]}]}'),
  ),
  'stream labels': ofText(parseStreamLabels, '{a="b", c="d\\n\\"e\\""}', '{`a`="b"}'),
  zipkin: ofBytes(
    parseZipkinJson,
    ...texts(
      '[{"traceId":"0000000000000001","id":"0000000000000002","name":"n","kind":"CLIENT",' +
        '"timestamp":1795867200000000,"duration":5,"tags":{"a":"b"},' +
        '"localEndpoint":{"serviceName":"s","ipv4":"1.2.3.4","port":80},' +
        '"annotations":[{"timestamp":1795867200000001,"value":"v"}]}]',
    ),
  ),
  'jaeger thrift': ofBytes(decodeJaegerThrift, hex('0c00010b0001000000017300000f00020c0000000000')),
  'jaeger proto': ofBytes(
    decodePostSpansRequest,
    hex('0a210a1f0a1000000000000000000000000000000001120800000000000000021a016e'),
  ),
  journald: ofBytes(parseJournal, Buffer.from('__REALTIME_TIMESTAMP=1795867200000000\nMESSAGE=m\nPRIORITY=6\n\n')),
  syslog: ofText(
    source => parseSyslog(source, nowMs),
    '<34>1 2026-11-28T12:00:00.003Z host app 1 ID47 [ex@1 a="b\\"c"] message',
    '<13>Nov 28 12:00:00 host app[9]: message',
  ),
  'json line of metrics': ofText(
    parseJsonLine,
    '{"metric":{"__name__":"m"},"values":[1,null,NaN],"timestamps":[1,2,3]}',
  ),
  influx: ofText(parseInfluxLine, 'cpu,host=a\\ b usage=1.5,n=3i,ok=t,s="x\\"y" 1795867200000000000'),
  exposition: ofBytes(
    input => scanExposition(input, false, sink),
    Buffer.from(
      '# HELP m h\\n\n# TYPE m histogram\nm_bucket{le="+Inf",a="b\\"c"} 1 1795867200000\nm_sum 1.5\nm_count 1\n',
    ),
  ),
  openmetrics: ofBytes(
    input => scanExposition(input, true, sink),
    Buffer.from(
      '# TYPE m counter\n# UNIT m s\nm_total{a="b"} 1.0 1795867200.1 # {trace_id="x"} 0.5 1795867200.2\n# EOF\n',
    ),
  ),
}

const languages: Record<string, FuzzTarget> = {
  promql: ofText(
    parsePromql,
    'sum by (a) (rate(m{b=~"c.*", d!="e"}[5m] offset 1h)) / on (a) group_left (x) n > bool 1.5e3',
    'label_replace(up, "a", "$1", "b", "(.*)") and absent(m @ 1795867200) or histogram_quantile(0.9, h[1h:1m])',
  ),
  logql: ofText(
    parseLogql,
    'sum by (a) (count_over_time({a="b"} |= "c" != `d` | json x="y.z[0]" | line_format `{{.x}}` | a > 5ms [1h]))',
    '{a=~".+"} | logfmt --strict | pattern `<a> - <_>` | unwrap duration(b) | decolorize | ip("10.0.0.0/8")',
  ),
  logsql: ofText(
    source => parseLogsql(source, nsOfMs(nowMs)),
    '_time:1h {a="b"} error -"x y" field:~"re.*" | stats by (a, _time:5m) count() n, quantile(0.9, d) q | sort by (n)',
    '_time:[2026-11-28T00:00:00Z, 2026-11-28) (a or b) c:range(1,2] | extract "<x>:<y>" from _msg | format "<x>" as z',
  ),
  traceql: ofText(
    parseTraceql,
    '{ .a = "b" && span.http.status_code >= 400 && duration > 1.5s } >> { kind = server } | count() > 2 | select(.x)',
    '{ resource.service.name =~ "a|b" } | rate() by (.x) with (sample=true)',
  ),
  template: {
    ...ofText(
      source => parseTemplate('t', source, () => true),
      '{{ range $i, $e := .Alerts }}{{ if and (eq .a "b") .c }}{{ .d | printf "%q" }}{{ else }}x{{ end }}{{ end }}',
    ),
    errors: ['TemplateError'],
  },
  regex: {
    ...ofText(source => makeMatcher('=~', 'a', source), '(?i)^a[b-d]+(?:e|f){2,3}\\d*$', '(a+)+b|[^x]{1,50}'),
    errors: ['BadRegexError'],
    // A repetition is written out by the automaton: {1,50} of five bytes has fifty copies.
    memoryFactor: 16_384,
  },
  'log pattern': {
    ...ofText(source => parsePattern(source, 'parser'), '<ip> - - [<_>] "<method> <path> <_>" <status>'),
    errors: ['Error'],
  },
}

const header = Buffer.alloc(108)
const files: Record<string, FuzzTarget> = {
  snappy: ofBytes(input => decodeSnappy(input, 1e6), encodeSnappy(Buffer.from('abcabcabcabcabc'.repeat(20)))),
  'snappy frames': ofBytes(input => decodeSnappyFrames(input, 1e6), hex('ff060000734e61507059010500009b1f8c6e61')),
  lz4: ofBytes(input => decodeLz4Frame(input, 1e6), hex('04224d186040820500008061626364650000000000')),
  'parquet thrift': ofBytes(input => readStruct(new ByteReader(input)), hex('1504195c350018067363686561')),
  'log segment': ofBytes(input => {
    for (const part of splitSegments(input)) {
      const { firstRecord } = decodeHeader(part)
      scanFrames(part, firstRecord, { record: nothing, skipped: nothing })
    }
  }, header),
  'samples record': ofBytes(input => readSamplesRecord(input, samplesVisitor), hex('0161010105000a03610162010001')),
  'lines record': ofBytes(
    input => readLinesRecord(input, { tenant: nothing, define: nothing, stream: nothing, line: nothing }),
    hex('01610101010161016201010100016c00'),
  ),
  'index of logs': ofBytes(decodeIndex, hex('baaad7000300000000')),
  'block meta': ofText(
    source => decodeMeta(Buffer.from(source), '01HF84E4Z8CSTNCVR9NGA10P0P'),
    '{"ulid":"01HF84E4Z8CSTNCVR9NGA10P0P","minTime":1,"maxTime":2,"version":1,"stats":{},"compaction":{"level":1}}',
  ),
  tombstones: ofBytes(decodeTombstones, hex('0130ba300100000000')),
}

export const targets: Readonly<Record<string, FuzzTarget>> = { ...messages, ...languages, ...files }

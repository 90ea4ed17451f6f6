/**
 * Senders that people use, unchanged: winston-loki, pino-loki, OpenTelemetry's exporters, rsyslog. Covers req-065,
 * req-132.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { logs, SeverityNumber } from '@opentelemetry/api-logs'
import { OTLPLogExporter as GrpcExporter } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as JsonExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtoExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { LoggerProvider, SimpleLogRecordProcessor, type LogRecordExporter } from '@opentelemetry/sdk-logs'
import { pino } from 'pino'
import { pinoLoki } from 'pino-loki'
import { createLogger } from 'winston'
import LokiTransport from 'winston-loki'
import { urlOf } from '../url.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { until } from '../until.ts'

let run: Running
before(async () => {
  run = await runTercet(['listen.otlp_grpc=127.0.0.1:0', 'listen.syslog_tcp=127.0.0.1:0'])
})
after(async () => {
  await run.stop()
})

interface Stream {
  stream: Record<string, string>
  values: [string, string][]
}
async function streams(query: string): Promise<Stream[]> {
  const reply = await fetch(urlOf(run.url, '/loki/api/v1/query_range', { query, direction: 'forward' }))
  return ((await reply.json()) as { data: { result: Stream[] } }).data.result
}
function arrived(query: string, count: number): Promise<Stream[]> {
  return until(async () => {
    const found = await streams(query)
    return found.reduce((n, s) => n + s.values.length, 0) >= count ? found : undefined
  }, `${count} lines of ${query}`)
}
const address = (name: string): string => run.tercet.addresses.find(a => a.name === name)!.address

for (const json of [true, false]) {
  test(`winston-loki (${json ? 'JSON' : 'protobuf'})`, async () => {
    const transport = new LokiTransport({
      host: run.url,
      json,
      labels: { app: `winston-${String(json)}` },
      batching: false,
    })
    const logger = createLogger({ transports: [transport] })
    logger.info('hello from winston')
    logger.error('it failed', { code: 7 })
    const found = await arrived(`{app="winston-${String(json)}"}`, 2)
    const texts = found.flatMap(s => s.values.map(v => v[1])).sort()
    assert.match(texts[0]!, /hello from winston/)
    assert.match(texts[1]!, /it failed/)
    assert.deepEqual([...new Set(found.map(s => s.stream['detected_level']))].sort(), ['error', 'info'])
    logger.close()
  })
}

test('pino-loki', async () => {
  const stream = pinoLoki({ host: run.url, labels: { app: 'pino' }, batching: false, silenceErrors: false })
  const logger = pino({}, stream)
  logger.info({ user: 7 }, 'hello from pino')
  logger.warn('careful')
  const found = await arrived('{app="pino"}', 2)
  assert.deepEqual(found.flatMap(s => s.values.map(v => (JSON.parse(v[1]) as { msg: string }).msg)).sort(), [
    'careful',
    'hello from pino',
  ])
  stream.destroy()
})

const exporters: [string, () => LogRecordExporter][] = [
  ['http-json', () => new JsonExporter({ url: `${run.url}/v1/logs` })],
  ['http-proto', () => new ProtoExporter({ url: `${run.url}/otlp/v1/logs` })],
  ['grpc', () => new GrpcExporter({ url: `http://${address('otlp_grpc')}` })],
]
for (const [name, make] of exporters) {
  test(`OpenTelemetry's ${name} exporter`, async () => {
    const provider = new LoggerProvider({
      resource: resourceFromAttributes({ 'service.name': `otel-${name}`, 'host.arch': 'x' }),
      processors: [new SimpleLogRecordProcessor({ exporter: make() })],
    })
    provider.getLogger('scope', '1.0').emit({
      severityNumber: SeverityNumber.WARN,
      severityText: 'WARN',
      body: `hello over ${name}`,
      attributes: { 'http.route': '/x', n: 3 },
    })
    const [one] = await arrived(`{service_name="otel-${name}"}`, 1)
    assert.equal(one!.values[0]![1], `hello over ${name}`)
    const { stream } = one!
    assert.deepEqual(
      {
        level: stream['detected_level'],
        route: stream['http_route'],
        n: stream['n'],
        scope: stream['scope_name'],
        severity: stream['severity_text'],
        arch: stream['host_arch'],
      },
      { level: 'warn', route: '/x', n: '3', scope: 'scope', severity: 'WARN', arch: 'x' },
    )
    await provider.shutdown()
    logs.disable()
  })
}

const hasRsyslog = spawnSync('rsyslogd', ['-v']).status === 0
test(
  'rsyslog forwards over TCP',
  { skip: hasRsyslog ? false : 'SKIPPED: rsyslogd is not installed; .ci/run installs it from Debian' },
  async context => {
    const [host, port] = address('syslog_tcp').split(':')
    const file = `${run.directory}/rsyslog.conf`
    const socket = `${run.directory}/log.sock`
    writeFileSync(
      file,
      'module(load="imuxsock" SysSock.Use="off")\n' +
        `input(type="imuxsock" Socket="${socket}")\n` +
        `*.* action(type="omfwd" target="${host}" port="${port}" protocol="tcp" ` +
        'template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted")\n',
    )
    const child: ChildProcess = spawn('rsyslogd', ['-n', '-f', file, '-i', `${run.directory}/rsyslog.pid`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    context.after(() => {
      child.kill('SIGTERM')
    })
    const diagnostics: string[] = []
    child.stderr!.on('data', (chunk: Buffer) => {
      diagnostics.push(chunk.toString())
    })
    // The daemon needs a moment, and may drop what comes before it is ready: the line is sent again until one arrives.
    await until(async () => {
      if ((await streams('{app_name="mytag"}')).length > 0) return true
      spawnSync('logger', ['-u', socket, '-t', 'mytag', '-p', 'daemon.err', 'from rsyslog'])
      throw new Error(`rsyslogd says: ${diagnostics.join('')}`)
    }, 'a line of rsyslogd')
    const [one] = await arrived('{app_name="mytag"}', 1)
    assert.match(one!.values[0]![1], /from rsyslog/)
    assert.equal(one!.stream['detected_level'], 'error')
  },
)

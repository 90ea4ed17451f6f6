/** tercet up | query | tail | inspect | check | version */
import { mkdirSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs'
import { BadDataError, messageOf } from '#core/errors.ts'
import { systemClock } from '#core/clock.ts'
import { parseDurationMs } from '#core/duration.ts'
import { systemFiles } from '#core/files.ts'
import { loadConfig, type Config } from './config.ts'
import { systemWorld, type World } from './world.ts'
import { queryLogs, requireOne, tailLogs } from './log-client.ts'
import { makeLog } from './logger.ts'
import { optionNames, optionOf } from './options.ts'
import { harmless, levelsFrom, sparkRow } from './terminal.ts'
import { noMoreFlags, parseArguments, takeFlag, takeSwitch, type Arguments } from './arguments.ts'
import { compileCacheDirectory, version } from './version.ts'

const usage = `tercet ${version}: metrics, logs and traces in one process, on open buckets

  tercet up [--config=tercet.yaml] [--key=value …]     run
  tercet query [--url=http://127.0.0.1:8428] [--json] 'rate(http_requests_total[5m])'
  tercet query --logs [--since=1h] [--limit=100] '{app="web"} |= "error"'
  tercet query --traces [--since=1h] [--limit=20] '{ status = error }'
  tercet query --since=1h 'sum(rate(http_requests_total[5m]))'    a small chart for each series
  tercet tail [--url=http://127.0.0.1:8428] [--json] [--level=warn] '{app="web"}'
  tercet top [--url=http://127.0.0.1:8428] [--once]    what comes in, what waits
  tercet inspect [--json] [--key=value …]              what is in the bucket
  tercet check [--config=tercet.yaml] [--key=value …]  is the configuration right, and does the bucket answer?
  tercet check config prometheus.yml | rules rules.yml | rules --test tests.yml | alertmanager alertmanager.yml
  tercet check bucket [--key=value …]                  how does the S3 store behave, and what should be set there?
  tercet check stack URL…                              do health, round trips and data sources of a live stack hold?
  tercet deploy render|seal|unseal|check-secrets|bootstrap-s3|migrate|graduate    Helm, Flux, compose, Grafana, secrets
  tercet import --from=prometheus|mimir|thanos|loki|tempo|victoriametrics SOURCE   history of others
  tercet rules replay --start=6h --end=0s rules.yml      what recording rules would have recorded
  tercet healthcheck [--key=value …]                   does the process here answer? For probes without a shell
  tercet version

Each verb has --help. Every key is also an environment variable: metrics.retention is TERCET_METRICS_RETENTION.
`

const help: Readonly<Record<string, string>> = {
  up: `tercet up: runs the process until SIGTERM or SIGINT, which drain and stop it. SIGHUP reloads.

  tercet up
  tercet up --data_dir=/var/lib/tercet --metrics.retention=90d
  tercet up --bucket.s3.endpoint=https://minio:9000 --bucket.s3.bucket=metrics --durability=bucket

Keys:
${optionNames.map(name => `  --${name}=${optionOf(name).fallback || '…'}\n      ${optionOf(name).help}`).join('\n')}
`,
  query: `tercet query: asks a running process.

  tercet query up
  tercet query --json --time=2026-11-21T00:00:00Z 'sum by (job) (up)'
  tercet query --since=1h 'sum by (job) (rate(http_requests_total[5m]))'      a small chart for each series
  tercet query --logs --since=15m --limit=20 '{app="web"} |= "error" | logfmt | status>=500'

  tercet query --traces --since=15m '{ resource.service.name = "web" && duration > 1s }'
  tercet query --traces 0af7651916cd43dd8448eb211c80319c

--logs takes LogQL, --traces takes TraceQL or a trace's id; --since and --limit belong to them.
`,
  tail: `tercet tail: follows log lines, the last ten first, until it is ended.

  tercet tail '{app="web"} |= "error"'
  tercet tail --json --url=http://127.0.0.1:8428 '{env="prod"}'
  tercet tail --level=warn --contains=timeout '{app="web"}'        this grave and graver; coloured by level in a terminal (--color=auto|always|never)
`,
  top: `tercet top: what comes in, what waits, what is asked, every two seconds.

  tercet top
  tercet top --url=http://127.0.0.1:8428 --interval=5s
  tercet top --once --json
`,
  inspect: `tercet inspect: lists what is in the bucket: metric blocks with times, series, samples and bytes; log indexes by day with streams, chunks and lines; blocks of traces.

  tercet inspect --data_dir=./data
  tercet inspect --json --bucket.s3.bucket=metrics
`,
  check: `tercet check: reads the configuration and tries the bucket, without starting anything.

  tercet check --config=tercet.yaml

Files of others: prometheus.yml with what it names, rules, and unit tests of rules in promtool's format.

  tercet check config prometheus.yml
  tercet check rules rules/*.yml
  tercet check rules --test tests.yml
  tercet check alertmanager alertmanager.yml

The S3 store, with the running keys: what works, what is dangerous, what to set.

  tercet check bucket --config=tercet.yaml

A live stack, whatever the engine: health, a round trip of each signal, Grafana's questions, times, retention. --marker and --after: what is kept over a restart.

  tercet check stack http://127.0.0.1:8428 --retention=30d --marker=marker.json
  tercet check stack --metrics=http://mimir:8080 --logs=http://loki:3100 --traces=http://tempo:3200 --otlp=http://tempo:4318
`,
  rules: `tercet rules replay: evaluates recording rules over a time that is past, in a running process, and stores what they record there.

  tercet rules replay --start=2026-11-25T00:00:00Z --end=2026-11-25T06:00:00Z rules.yml
  tercet rules replay --url=http://127.0.0.1:8428 --start=6h --end=0s --interval=1m rules/*.yml

Times are Unix seconds, RFC 3339, or so long ago. Samples older than metrics.out_of_order_window are refused: make it long enough first.
`,
  healthcheck: `tercet healthcheck: asks /health of the process that was started with the same configuration; exit code 0 when it answers.

  tercet healthcheck
  tercet healthcheck --listen.http=127.0.0.1:9000
  tercet healthcheck --url=http://127.0.0.1:8428/ready --timeout=3s
`,
  version: 'tercet version: prints the version.\n',
}

/** Flags of VictoriaMetrics that deployments carry along. */
const victoriaFlags: Readonly<Record<string, string>> = {
  retentionPeriod: 'metrics.retention',
  storageDataPath: 'data_dir',
  httpListenAddr: 'listen.http',
  'promscrape.config': 'scrape_config_file',
  loggerFormat: 'log.format',
  loggerLevel: 'log.level',
}
function victoriaFlag(flag: string): string {
  const equals = flag.indexOf('='),
    name = equals < 0 ? flag : flag.slice(0, equals),
    value = equals < 0 ? 'true' : flag.slice(equals + 1),
    key = victoriaFlags[name]
  if (key === undefined)
    throw new BadDataError(
      `unknown flag -${name}; options begin with two dashes, and of VictoriaMetrics' own -${Object.keys(victoriaFlags).join(', -')} are known`,
    )
  // A number alone means months there.
  if (name === 'retentionPeriod' && /^\d+$/.test(value)) return `${key}=${Number(value) * 31}d`
  return `${key}=${name.startsWith('logger') ? value.toLowerCase() : value}`
}

function readConfig(flags: string[]): Config {
  const path = takeFlag(flags, 'config') ?? (existsSync('tercet.yaml') ? 'tercet.yaml' : undefined)
  return loadConfig({
    ...(path === undefined ? {} : { file: { path, text: readFileSync(path, 'utf8') } }),
    environment: process.env,
    flags,
  })
}

export async function runCli(argv: readonly string[]): Promise<number> {
  const [verb = '', ...rest] = argv
  try {
    if (verb === 'deploy' || verb === 'import' || (verb === 'check' && (rest[0] === 'stack' || rest[0] === 'bucket')))
      return await runOperatorVerb(verb, rest)
    const args = parseArguments(rest, { oneDash: victoriaFlag })
    if (verb === '' || verb === '--help' || verb === '-h' || verb === 'help') {
      process.stdout.write(usage)
      return 0
    }
    const verbHelp = help[verb]
    if (verbHelp === undefined) {
      process.stderr.write(`tercet: unknown command ${JSON.stringify(verb)}\n\n${usage}`)
      return 2
    }
    if (args.help) {
      process.stdout.write(verbHelp)
      return 0
    }
    switch (verb) {
      case 'version':
        process.stdout.write(
          args.json
            ? `${JSON.stringify({ version, node: process.version })}\n`
            : `tercet ${version} (node ${process.version})\n`,
        )
        return 0
      case 'up':
        return await up(readConfig(args.flags))
      case 'check': {
        const { checkAlertmanagerFiles, checkConfigFiles, checkRuleFiles, runRuleTests } =
          await import('./check-files.ts')
        const output = {
          out: (line: string) => {
            process.stdout.write(`${line}\n`)
          },
          err: (line: string) => {
            process.stderr.write(`${line}\n`)
          },
        }
        const [kind, ...files] = args.words
        if (kind === undefined) return await check(readConfig(args.flags), args.json)
        if (files.length === 0) throw new BadDataError(`check ${kind} takes files`)
        const test = args.flags.indexOf('test')
        if (test >= 0) args.flags.splice(test, 1)
        const only = takeFlag(args.flags, 'run')
        noMoreFlags(args.flags, `check ${kind}`)
        if (kind === 'config') return await checkConfigFiles(files, systemFiles, output)
        if (kind === 'rules')
          return test >= 0
            ? await runRuleTests(files, systemFiles, only === undefined ? [] : [only], output)
            : await checkRuleFiles(files, systemFiles, output)
        if (kind === 'alertmanager') return await checkAlertmanagerFiles(files, systemFiles, output)
        throw new BadDataError(`check does not know ${JSON.stringify(kind)}; config, rules and alertmanager are known`)
      }
      case 'inspect': {
        const { openBucket } = await import('./buckets.ts'),
          { inspectBucket } = await import('./inspect.ts')
        const config = readConfig(args.flags)
        const world = worldOf(config)
        process.stdout.write(
          await inspectBucket(
            await openBucket(config, world, 'metrics'),
            await openBucket(config, world, 'logs'),
            await openBucket(config, world, 'traces'),
            args.json,
          ),
        )
        return 0
      }
      case 'tail':
        return await tail(args)
      case 'top': {
        const { top } = await import('./top.ts'),
          isOnce = takeSwitch(args.flags, 'once'),
          url = takeFlag(args.flags, 'url') ?? 'http://127.0.0.1:8428',
          interval = takeFlag(args.flags, 'interval') ?? '2s',
          intervalMs = parseDurationMs(interval)
        noMoreFlags(args.flags, 'top')
        if (intervalMs === undefined || intervalMs === 0)
          throw new BadDataError(`--interval=${interval} is no duration like 2s`)
        return await top({ url, isOnce, json: args.json, intervalMs })
      }
      case 'healthcheck':
        return await healthcheck(args)
      case 'rules': {
        const [what, ...files] = args.words
        if (what !== 'replay' || files.length === 0)
          throw new BadDataError(
            'rules knows replay, which takes files: tercet rules replay --start=6h --end=0s rules.yml',
          )
        const { momentOf, replayRules } = await import('./rules-replay.ts')
        const nowMs = systemClock.nowMs(),
          url = takeFlag(args.flags, 'url') ?? 'http://127.0.0.1:8428',
          startMs = momentOf(takeFlag(args.flags, 'start') ?? '6h', nowMs),
          endMs = momentOf(takeFlag(args.flags, 'end') ?? '0s', nowMs),
          interval = takeFlag(args.flags, 'interval') ?? '1m'
        noMoreFlags(args.flags, 'rules replay')
        const intervalMs = parseDurationMs(interval)
        if (intervalMs === undefined || intervalMs === 0)
          throw new BadDataError(`--interval=${interval} is no duration`)
        await replayRules(
          {
            url,
            files,
            startMs,
            endMs,
            intervalMs,
            isTold: line => {
              process.stdout.write(`${line}\n`)
            },
          },
          systemFiles,
        )
        return 0
      }
      default:
        return await query(args)
    }
  } catch (error) {
    const shown =
      error instanceof BadDataError
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error)
    process.stderr.write(`tercet: ${shown}\n`)
    return error instanceof BadDataError ? 2 : 1
  }
}

/** Verbs of who deploys take values after a space too: `-o DIR`. */
async function runOperatorVerb(verb: string, rest: readonly string[]): Promise<number> {
  const args = parseArguments(rest, { switches: ['hand-over'] })
  if (verb === 'deploy') {
    const { deployHelp, runDeploy } = await import('./deploy.ts')
    if (args.help || args.words.length === 0) {
      process.stdout.write(deployHelp)
      return args.help ? 0 : 2
    }
    return runDeploy(args)
  }
  if (verb === 'import') {
    const { importHelp, runImport } = await import('./import.ts')
    if (args.help || args.words.length + args.flags.length === 0) {
      process.stdout.write(importHelp)
      return args.help ? 0 : 2
    }
    return runImport(args)
  }
  const [what, ...words] = args.words
  if (args.help) {
    process.stdout.write(help['check']!)
    return 0
  }
  if (what === 'stack') return (await import('./check-stack.ts')).checkStackVerb({ ...args, words })
  if (words.length > 0) throw new BadDataError(`check bucket takes no ${words[0]!}`)
  const config = readConfig(args.flags)
  return (await import('./bucket-admin.ts')).checkBuckets(config, worldOf(config), args.json)
}

function worldOf(config: Config): World {
  return systemWorld(makeLog(config.text('log.format'), config.text('log.level')))
}

async function check(config: Config, json: boolean): Promise<number> {
  const world = worldOf(config)
  const { openBucket } = await import('./buckets.ts')
  const bucket = await openBucket(config, world, 'metrics'),
    logs = await openBucket(config, world, 'logs'),
    traces = await openBucket(config, world, 'traces')
  const { probeBucket } = await import('#bucket/probe.ts')
  await probeBucket(bucket, 'anonymous/tercet/', config.text('role') === 'query', world.random)
  await probeBucket(logs, 'fake/tercet/', config.text('role') === 'query', world.random)
  await probeBucket(traces, 'single-tenant/tercet/', config.text('role') === 'query', world.random)
  process.stdout.write(
    json
      ? `${JSON.stringify({ ok: true, bucket: bucket.description, logs: logs.description, traces: traces.description })}\n`
      : `The configuration is right, and ${bucket.description}, ${logs.description} and ${traces.description} answer.\n`,
  )
  return 0
}

/** What listens on all addresses is asked on the loopback one. Certificates are not checked: the process is on this host. */
async function healthcheck(args: Arguments): Promise<number> {
  const url = takeFlag(args.flags, 'url'),
    timeoutMs = parseDurationMs(takeFlag(args.flags, 'timeout') ?? '3s') ?? 3000
  let address = url
  if (address === undefined) {
    const config = readConfig(args.flags),
      [, host = '', port] = /^(.*):(\d+)$/.exec(config.text('listen.http')) ?? []
    address = `${config.text('tls.cert_file') === '' ? 'http' : 'https'}://${host === '' || host === '0.0.0.0' || host === '[::]' ? '127.0.0.1' : host}:${port ?? '8428'}/health`
  } else if (args.flags.length > 0) throw new BadDataError(`healthcheck does not know --${args.flags[0]!}`)
  const { request } = address.startsWith('https:') ? await import('node:https') : await import('node:http')
  return new Promise(resolve => {
    const asked = request(address, { timeout: timeoutMs, rejectUnauthorized: false }, reply => {
      reply.resume()
      if (reply.statusCode !== 200) process.stderr.write(`tercet: ${address} answered ${reply.statusCode ?? 0}\n`)
      resolve(reply.statusCode === 200 ? 0 : 1)
    })
    asked.on('timeout', () => {
      asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`))
    })
    asked.on('error', error => {
      process.stderr.write(`tercet: ${address}: ${error.message}\n`)
      resolve(1)
    })
    asked.end()
  })
}

interface Running {
  reload(): Promise<void>
  close(): Promise<void>
}

function addressLines({
  url,
  addresses,
}: {
  url: string
  addresses: readonly { name: string; address: string }[]
}): string {
  return addresses
    .map(
      ({ name, address }) =>
        `  ${name.padEnd(10)} ${name === 'otlp_grpc' ? address : `${new URL(url).protocol}//${address}`}`,
    )
    .join('\n')
}

/**
 * An agent runs beside what it watches: its process is begun anew, with the same pid, with settings that a running one can't change, which
 * keep it small: one malloc arena, a small young generation, one compiler thread, and code that is compiled already, so that no compiler is loaded.
 */
async function becomeSmall(): Promise<void> {
  if (process.env['SMALL_TERCET'] !== undefined || typeof process.execve !== 'function' || process.platform === 'win32')
    return
  const { flushCompileCache } = await import('node:module')
  await import('./tercet.ts')
  await (await import('./roles.ts')).loadAgent()
  flushCompileCache()
  const flags = process.execArgv.some(a => a.includes('semi-space'))
    ? process.execArgv
    : [...process.execArgv, '--max-semi-space-size=2', '--v8-pool-size=1']
  process.execve(process.execPath, [process.execPath, ...flags, ...process.argv.slice(1)], {
    ...process.env,
    MALLOC_ARENA_MAX: '1',
    SMALL_TERCET: '1',
    NODE_COMPILE_CACHE: compileCacheDirectory,
  } as NodeJS.ProcessEnv)
}

async function startAgentHere(config: Config, world: World, onStarted: () => void): Promise<Running> {
  const { startTercet } = await import('./tercet.ts')
  const agent = await startTercet(config, world)
  onStarted()
  const remotes = agent.remotes.map(remote => `  ${remote.name}`).join('\n')
  process.stdout.write(
    `Tercet ${version} is ready, as an agent.\n\n${addressLines(agent)}\n\nIt sends to:\n` +
      `${remotes || '  nobody: name agent.remote_write, agent.loki or agent.otlp'}\n`,
  )
  return agent
}

async function startHere(config: Config, world: World, onStarted: () => void): Promise<Running> {
  const { startTercet } = await import('./tercet.ts')
  const tercet = await startTercet(config, world)
  onStarted()
  const { url, signals } = tercet
  const stats = signals.map(signal => signal.stats())
  const records = stats.reduce((sum, { replayedRecords }) => sum + replayedRecords, 0)
  const seconds = Math.max(...stats.map(({ replaySeconds }) => replaySeconds))
  const line = `{"streams":[{"stream":{"app":"try"},"values":[["'$(date +%s%N)'","hello"]]}]}`
  process.stdout.write(`Tercet ${version} is ready (${records} log records replayed in ${seconds.toFixed(2)} s).

${addressLines(tercet)}

In a browser: ${url}

Try next:
  curl '${url}/api/v1/query?query=up'
  prometheus remote_write url: ${url}/api/v1/write
  curl -H 'content-type: application/json' '${url}/loki/api/v1/push' -d '${line}'
  Grafana data sources: Prometheus, Loki and Tempo, all at ${url}
`)
  return tercet
}

async function up(config: Config): Promise<number> {
  if (config.text('role') === 'agent') await becomeSmall()
  const world = worldOf(config)
  const dataDir = config.text('data_dir')
  const pidFile = `${dataDir}/tercet.pid`
  mkdirSync(dataDir, { recursive: true })
  const isAgent = config.text('role') === 'agent'
  // Whoever reads that it is ready finds its number.
  const onStarted = (): void => {
    writeFileSync(pidFile, `${process.pid}\n`)
  }
  const tercet = isAgent ? await startAgentHere(config, world, onStarted) : await startHere(config, world, onStarted)
  return new Promise(resolve => {
    let stopping = false
    const stop = (signal: string): void => {
      if (stopping) return
      stopping = true
      world.log.info('stopping', { signal })
      // Not forever: what is not in the bucket by then is in the local log.
      tercet.close().then(
        () => {
          rmSync(pidFile, { force: true })
          resolve(0)
        },
        (error: unknown) => {
          world.log.error('the stop was not clean', { error: messageOf(error) })
          resolve(1)
        },
      )
    }
    process.once('SIGTERM', stop)
    process.once('SIGINT', stop)
    process.on('SIGHUP', () => {
      tercet.reload().catch((error: unknown) => {
        world.log.error('reload failed', { error: messageOf(error) })
      })
    })
  }).then(code => {
    process.exit(code as number)
  })
}

interface QueryAnswer {
  status: string
  error?: string
  warnings?: string[]
  data?: {
    resultType: string
    result:
      | { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[]
      | [number, string]
  }
}

async function tail(args: Arguments): Promise<number> {
  const url = takeFlag(args.flags, 'url') ?? 'http://127.0.0.1:8428'
  const level = takeFlag(args.flags, 'level'),
    contains = takeFlag(args.flags, 'contains'),
    color = takeFlag(args.flags, 'color') ?? 'auto'
  noMoreFlags(args.flags, 'tail')
  if (!['auto', 'always', 'never'].includes(color))
    throw new BadDataError(`--color=${color} is not one of auto, always, never`)
  const levels = level === undefined ? undefined : levelsFrom(level)
  if (level !== undefined && levels === undefined)
    throw new BadDataError(`--level=${level} is not one of trace, debug, info, warn, error, critical`)
  const query = `${requireOne(args.words, 'tail')}${contains === undefined ? '' : ` |= ${JSON.stringify(contains)}`}${levels === undefined ? '' : ` | detected_level=~"${levels.join('|')}"`}`
  return tailLogs(
    url,
    query,
    args.json,
    color === 'always' || (color === 'auto' && process.stdout.isTTY && process.env['NO_COLOR'] === undefined),
  )
}

async function query(args: Arguments): Promise<number> {
  const url = takeFlag(args.flags, 'url') ?? 'http://127.0.0.1:8428'
  const at = args.flags.indexOf('logs')
  if (at >= 0) {
    args.flags.splice(at, 1)
    const since = takeFlag(args.flags, 'since') ?? '1h',
      limit = takeFlag(args.flags, 'limit') ?? '100'
    noMoreFlags(args.flags, 'query --logs')
    return queryLogs({ url, query: requireOne(args.words, 'query --logs'), since, limit, json: args.json })
  }
  const traces = args.flags.indexOf('traces')
  if (traces >= 0) {
    args.flags.splice(traces, 1)
    const since = takeFlag(args.flags, 'since') ?? '1h',
      limit = takeFlag(args.flags, 'limit') ?? '20'
    noMoreFlags(args.flags, 'query --traces')
    const { queryTraces } = await import('./trace-client.ts')
    return queryTraces({ url, query: requireOne(args.words, 'query --traces'), since, limit, json: args.json })
  }
  const time = takeFlag(args.flags, 'time'),
    since = takeFlag(args.flags, 'since')
  if (since !== undefined) return await chart(url, requireOne(args.words, 'query'), since, args)
  if (args.words.length !== 1) throw new BadDataError('query takes one expression; quote it')
  noMoreFlags(args.flags, 'query')
  const parameters = new URLSearchParams({ query: args.words[0]!, ...(time === undefined ? {} : { time }) })
  const reply = await fetch(`${url}/api/v1/query`, { method: 'POST', body: parameters })
  const answer = (await reply.json()) as QueryAnswer
  if (args.json) {
    process.stdout.write(`${JSON.stringify(answer)}\n`)
    return answer.status === 'success' ? 0 : 1
  }
  if (answer.status !== 'success' || answer.data === undefined) {
    process.stderr.write(`tercet: ${answer.error ?? `status ${reply.status}`}\n`)
    return 1
  }
  for (const warning of answer.warnings ?? []) process.stderr.write(`warning: ${warning}\n`)
  const { resultType, result } = answer.data
  if (resultType === 'scalar' || resultType === 'string') {
    process.stdout.write(`${(result as [number, string])[1]}\n`)
    return 0
  }
  for (const series of result as Exclude<typeof result, [number, string]>) {
    const { __name__: name = '', ...labels } = series.metric
    const shown = `${name}{${Object.entries(labels)
      .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
      .join(', ')}}`
    process.stdout.write(
      `${shown} => ${series.value === undefined ? (series.values ?? []).map(([, value]) => value).join(' ') : `${series.value[1]} @[${series.value[0]}]`}\n`,
    )
  }
  return 0
}

/** A small chart for each series, over what is past. */
async function chart(url: string, expr: string, since: string, args: Arguments): Promise<number> {
  noMoreFlags(args.flags, 'query')
  const sinceMs = parseDurationMs(since)
  if (sinceMs === undefined || sinceMs === 0) throw new BadDataError(`--since=${since} is no duration like 1h`)
  const end = Math.floor(systemClock.nowMs() / 1000),
    step = Math.max(1, Math.round(sinceMs / 1000 / 120)),
    start = end - Math.floor(sinceMs / 1000 / step) * step
  const reply = await fetch(`${url}/api/v1/query_range`, {
      method: 'POST',
      body: new URLSearchParams({ query: expr, start: String(start), end: String(end), step: String(step) }),
    }),
    answer = (await reply.json()) as QueryAnswer
  if (args.json) {
    process.stdout.write(`${JSON.stringify(answer)}\n`)
    return answer.status === 'success' ? 0 : 1
  }
  if (answer.status !== 'success' || answer.data === undefined) {
    process.stderr.write(`tercet: ${answer.error ?? `status ${reply.status}`}\n`)
    return 1
  }
  const count = Math.round((end - start) / step) + 1
  for (const { metric, values = [] } of answer.data.result as {
    metric: Record<string, string>
    values?: [number, string][]
  }[]) {
    const { __name__: name = '', ...labels } = metric,
      points: (number | undefined)[] = Array.from({ length: count }, () => undefined)
    for (const [at, text] of values) points[Math.round((at - start) / step)] = Number(text)
    process.stdout.write(
      `${sparkRow(
        {
          name: harmless(
            `${name}{${Object.entries(labels)
              .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
              .join(', ')}}`,
          ),
          values: points,
        },
        process.stdout.columns ?? 120,
      )}\n`,
    )
  }
  return 0
}

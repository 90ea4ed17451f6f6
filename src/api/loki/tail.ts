/** tail: the latest lines, then every new one, over a WebSocket. Source: docs/http-api.md. */
import type { Clock, Timer } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import { formatNs } from '#core/nanoseconds.ts'
import type { LogExpr } from '#lang/logql/ast.ts'
import { compileMatchers, parseLogql } from '#lang/logql/parser.ts'
import type { LogsReader, TailedLine } from '#logs/select.ts'
import { reasonOf } from '#net/route-table.ts'
import type { ServerSocket, SocketRequest, SocketRoute } from '#net/web-socket.ts'
import type { LogqlEngine } from '#query/logql/engine.ts'
import { LineMatcher } from '#query/logql/line-matcher.ts'
import type { FoundLine } from '#query/logql/log-query.ts'
import { streamsJson } from './json.ts'
import { instantOfMs, instantParam, limitParam } from './params.ts'

export interface TailOptions {
  clock: Clock
  engine: LogqlEngine
  store: { reader(tenant: string): LogsReader; readonly ready: boolean; readonly notReady?: string | undefined }
  tenantOf: (header: string | undefined) => string
}

const linesPerFrame = 100
const waitingLinesMax = 10_000
/** Characters of lines that wait for one tail. */
const waitingTextMax = 16 * 1024 * 1024
/** Lines are matched in the tail's own time, never in that of a push: so many at once, for so long. */
const matchedAtOnce = 1000
const matchingMs = 5
const droppedMax = 1000
const frameEveryMs = 100
const pingEveryMs = 1000
const durationMaxMs = 3_600_000
const tailsMax = 10
const socketBytesMax = 1024 * 1024

export function tailRoutes(options: TailOptions): SocketRoute[] {
  let running = 0
  const open = (request: SocketRequest): ReturnType<SocketRoute['open']> => {
    try {
      if (!options.store.ready) return { status: 503, body: `${reasonOf(options.store)}\n` }
      const { query } = request
      const delayText = query.get('delay_for') ?? '0'
      if (!/^\d+$/.test(delayText)) return { status: 400, body: `invalid delay_for: ${delayText}\n` }
      if (Number(delayText) > 5) return { status: 400, body: "delay_for can't be greater than 5\n" }
      const start = instantParam(query, 'start') ?? instantOfMs(options.clock.nowMs() - 3_600_000)
      const limit = limitParam(query, 100)
      const expr = parseLogql(query.get('query') ?? '')
      if (running >= tailsMax)
        return {
          status: 429,
          body: `max concurrent tail requests limit exceeded, count > limit (${running + 1} > ${tailsMax})\n`,
        }
      const reader = options.store.reader(options.tenantOf(request.header('x-scope-orgid')))
      const flags = request
        .header('x-loki-response-encoding-flags')
        ?.split(',')
        .map(flag => flag.trim())
      return socket => {
        if (expr.kind !== 'log') {
          socket.close(1011, 'only log selector is supported')
          return
        }
        running++
        socket.onClose(() => {
          running--
        })
        new Tail(expr, reader, options, socket, flags, Number(delayText) * 1000).start(start, limit)
      }
    } catch (error) {
      return { status: 400, body: `${messageOf(error)}\n` }
    }
  }
  return ['/loki/api/v1/tail', '/select/logsql/loki/api/v1/tail', '/api/prom/tail'].map(path => ({ path, open }))
}

class Tail {
  readonly #expr: LogExpr
  readonly #reader: LogsReader
  readonly #options: TailOptions
  readonly #socket: ServerSocket
  readonly #flags: string[] | undefined
  readonly #delayMs: number
  readonly #matcher: LineMatcher
  readonly #incoming: { tailed: TailedLine; dueMs: number }[] = []
  readonly #waiting: { line: FoundLine; dueMs: number }[] = []
  #waitingText = 0
  readonly #dropped: { timestamp: string; labels: Record<string, string> }[] = []
  #timer: Timer | undefined
  #lastPingMs = 0
  #endsMs = 0
  #isClosed = false

  constructor(
    expr: LogExpr,
    reader: LogsReader,
    options: TailOptions,
    socket: ServerSocket,
    flags: string[] | undefined,
    delayMs: number,
  ) {
    this.#expr = expr
    this.#reader = reader
    this.#options = options
    this.#socket = socket
    this.#flags = flags
    this.#delayMs = delayMs
    this.#matcher = new LineMatcher(expr, () => options.clock.nowMs())
  }

  start(from: { ms: number; subNs: number }, limit: number): void {
    const { clock, engine } = this.#options
    this.#endsMs = clock.monotonicMs() + durationMaxMs
    this.#lastPingMs = clock.monotonicMs()
    // Subscribed before the look back, so that no line falls between; a line that both have is sent once.
    const early: TailedLine[] = []
    let isLive = false
    const unsubscribe = this.#reader.subscribe(compileMatchers(this.#expr.matchers), line => {
      if (isLive) this.#take(line)
      else early.push(line)
    })
    this.#socket.onClose(() => {
      this.#isClosed = true
      unsubscribe()
      this.#timer?.cancel()
    })
    const nowMs = clock.nowMs() + 1
    engine
      .lines(
        this.#expr,
        {
          bounds: { fromMs: from.ms, fromSubNs: from.subNs, toMs: Math.max(nowMs, from.ms), toSubNs: 0 },
          limit,
          isBackward: true,
          intervalNs: 0,
        },
        this.#reader,
      )
      .then(
        ({ lines }) => {
          const seen = new Set(lines.map(line => `${formatNs(line.ms, line.subNs)} ${line.line}`))
          for (const line of [...lines].reverse()) {
            this.#waitingText += line.line.length
            this.#waiting.push({ line, dueMs: 0 })
          }
          isLive = true
          for (const line of early) if (!seen.has(`${formatNs(line.ms, line.subNs)} ${line.line}`)) this.#take(line)
          this.#run()
        },
        (error: unknown) => {
          this.#socket.close(1011, messageOf(error).slice(0, 100))
        },
      )
  }

  /** Called while a push is shown: the line is only put aside. */
  #take(tailed: TailedLine): void {
    if (this.#incoming.length + this.#waiting.length >= waitingLinesMax || this.#waitingText >= waitingTextMax) {
      if (this.#dropped.length < droppedMax)
        this.#dropped.push({ timestamp: formatNs(tailed.ms, tailed.subNs), labels: tailed.labels.toObject() })
      return
    }
    this.#waitingText += tailed.line.length
    this.#incoming.push({ tailed, dueMs: this.#options.clock.monotonicMs() + this.#delayMs })
  }

  /** Runs some of the lines that came in through the query; true when there are more. */
  #matchSome(): boolean {
    const { clock } = this.#options
    const endMs = clock.monotonicMs() + matchingMs
    let count = 0
    while (count < this.#incoming.length && count < matchedAtOnce && clock.monotonicMs() < endMs) {
      const { tailed, dueMs } = this.#incoming[count++]!
      this.#waitingText -= tailed.line.length
      const line = this.#matcher.match(tailed.labels, tailed.ms, tailed.subNs, tailed.line, tailed.pairs)
      if (line === undefined) continue
      // Without stages and categories a live line has the labels of its stream alone.
      const isPlain = this.#expr.stages.length === 0 && this.#flags === undefined
      this.#waitingText += line.line.length
      this.#waiting.push({ line: isPlain ? { ...line, metadata: [], parsed: [] } : line, dueMs })
    }
    this.#incoming.splice(0, count)
    return this.#incoming.length > 0
  }

  readonly #run = (): void => {
    if (this.#isClosed) return
    const { clock } = this.#options
    const now = clock.monotonicMs()
    if (now >= this.#endsMs) {
      this.#socket.close(1000, 'reached tail max duration limit')
      return
    }
    const hasRoom = this.#waiting.length === 0 || this.#waitingText < waitingTextMax
    const hasMore = hasRoom && this.#matchSome()
    while (this.#socket.waitingBytes < socketBytesMax) {
      let count = 0
      while (count < linesPerFrame && count < this.#waiting.length && this.#waiting[count]!.dueMs <= now) count++
      if (count === 0) break
      const lines = this.#waiting.splice(0, count).map(w => w.line)
      for (const { line } of lines) this.#waitingText -= line.length
      this.#send(lines)
    }
    if (now - this.#lastPingMs >= pingEveryMs) {
      this.#lastPingMs = now
      this.#socket.ping()
    }
    this.#timer = clock.after(hasMore ? 1 : frameEveryMs, this.#run)
  }

  #send(lines: readonly FoundLine[]): void {
    const isCategorized = this.#flags?.includes('categorize-labels') === true
    const streams = lines.map(line => streamsJson([line], isCategorized).slice(1, -1)).join(',')
    const dropped = this.#dropped.length === 0 ? '' : `,"dropped_entries":${JSON.stringify(this.#dropped.splice(0))}`
    const flags = this.#flags === undefined ? '' : `,"encodingFlags":${JSON.stringify(this.#flags)}`
    this.#socket.send(`{"streams":[${streams}]${dropped}${flags}}`)
  }
}

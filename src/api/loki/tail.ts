/** tail: the latest lines, then every new one, over a WebSocket. Source: docs/http-api.md. */
import type { ScopeOf } from '#api/tenancy.ts'
import type { Clock, Timer } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { MemoryAccount, MemoryHold } from '#core/memory-budget.ts'
import { formatNs } from '#core/nanoseconds.ts'
import type { LogExpr } from '#lang/logql/ast.ts'
import { compileMatchers, parseLogql } from '#lang/logql/parser.ts'
import { scopedLogs } from '#logs/scoped-reader.ts'
import type { LogsReader, TailedLine } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { reads } from '#net/access.ts'
import { reasonOf } from '#net/route-table.ts'
import type { ServerSocket, SocketRequest, SocketRoute } from '#net/web-socket.ts'
import type { QueryGate } from '#query/gate.ts'
import type { LogqlEngine } from '#query/logql/engine.ts'
import { LineMatcher } from '#query/logql/line-matcher.ts'
import type { FoundLine } from '#query/logql/log-query.ts'
import { streamsJson } from './json.ts'
import { instantOfMs, instantParam, limitParam } from './params.ts'

/** How many tails there are, and may be. */
export interface TailCount {
  running: number
  readonly max: number
  /** Notices to readers that lines were left out. */
  omissions: number
}

export interface TailOptions {
  clock: Clock
  engine: LogqlEngine
  store: { reader(tenant: string): LogsReader; readonly ready: boolean; readonly notReady?: string | undefined }
  scopeOf: ScopeOf
  /** The look back takes its turn among the queries. */
  gate: QueryGate
  /** Tails at a time, those of other APIs included. */
  tails: TailCount
  /** Bytes of lines that wait for one client. */
  bytesMax: number
  /** What they draw on; undefined: nobody counts. */
  memory?: MemoryAccount
}

const linesPerFrame = 100
const frameBytesMax = 256 * 1024
/** What a waiting line takes beside its text: its labels, its metadata, its places. */
const lineBytes = 500
const droppedMax = 1000
const frameEveryMs = 100
const pingEveryMs = 1000
const durationMaxMs = 3_600_000
const socketBytesMax = 1024 * 1024

export function tailRoutes(options: TailOptions): SocketRoute[] {
  const { tails } = options
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
      if (tails.running >= tails.max)
        return {
          status: 429,
          body:
            `max concurrent tail requests limit exceeded, count > limit (${tails.running + 1} > ${tails.max}); ` +
            'end one, or raise limits.tails\n',
        }
      const reader = scopedLogs(options.store, options.scopeOf(request))
      const flags = request
        .header('x-loki-response-encoding-flags')
        ?.split(',')
        .map(flag => flag.trim())
      return socket => {
        if (expr.kind !== 'log') {
          socket.close(1011, 'only log selector is supported')
          return
        }
        tails.running++
        socket.onClose(() => {
          tails.running--
        })
        new Tail(expr, reader, options, socket, flags, Number(delayText) * 1000).start(start, limit)
      }
    } catch (error) {
      return { status: 400, body: `${messageOf(error)}\n` }
    }
  }
  return ['/loki/api/v1/tail', '/select/logsql/loki/api/v1/tail', '/api/prom/tail'].map(path => ({
    path,
    access: reads('logs'),
    open,
  }))
}

interface WaitingLine {
  line: FoundLine
  labels: Labels
  bytes: number
  dueMs: number
}

class Tail {
  readonly #expr: LogExpr
  readonly #reader: LogsReader
  readonly #options: TailOptions
  readonly #socket: ServerSocket
  readonly #flags: string[] | undefined
  readonly #delayMs: number
  readonly #matcher: LineMatcher
  readonly #waiting: WaitingLine[] = []
  readonly #hold: MemoryHold | undefined
  #waitingBytes = 0
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
    this.#hold = options.memory?.hold()
    this.#matcher = new LineMatcher(expr, () => options.clock.nowMs())
  }

  start(from: { ms: number; subNs: number }, limit: number): void {
    const { clock, engine, gate } = this.#options
    this.#endsMs = clock.monotonicMs() + durationMaxMs
    this.#lastPingMs = clock.monotonicMs()
    // Subscribed before the look back, so that no line falls between; a line that both have is sent once.
    const unsubscribe = this.#reader.subscribe(compileMatchers(this.#expr.matchers), {
      onLine: line => {
        this.#take(line)
      },
      onDropped: (labels, ms) => {
        this.#noteDropped(labels, formatNs(ms, 0))
      },
      onError: this.#fail,
    })
    const away = new AbortController()
    this.#socket.onClose(() => {
      this.#isClosed = true
      unsubscribe()
      away.abort()
      this.#timer?.cancel()
      this.#waiting.length = 0
      this.#hold?.close()
    })
    const nowMs = clock.nowMs() + 1
    const bounds = { fromMs: from.ms, fromSubNs: from.subNs, toMs: Math.max(nowMs, from.ms), toSubNs: 0 }
    gate
      .run(away.signal, Infinity, signal =>
        engine.lines(this.#expr, { bounds, limit, isBackward: true, intervalNs: 0 }, this.#reader, signal),
      )
      .then(({ lines }) => {
        const seen = new Set(lines.map(keyOf))
        const early = this.#takeWaiting(this.#waiting.length)
        for (const line of [...lines].reverse()) this.#wait(line, new Labels(line.stream), 0)
        for (const { line, labels, dueMs } of early) if (!seen.has(keyOf(line))) this.#wait(line, labels, dueMs)
        this.#run()
      })
      .catch(this.#fail)
  }

  readonly #fail = (error: unknown): void => {
    // A reason has 123 bytes at most.
    this.#socket.close(1011, messageOf(error).slice(0, 100))
  }

  #noteDropped(labels: Labels, timestamp: string): void {
    this.#options.tails.omissions++
    if (this.#dropped.length < droppedMax) this.#dropped.push({ timestamp, labels: labels.toObject() })
  }

  #take(tailed: TailedLine): void {
    const line = this.#matcher.match(tailed.labels, tailed.ms, tailed.subNs, tailed.line, tailed.pairs)
    if (line === undefined) return
    // Without stages and categories a live line has the labels of its stream alone.
    const shown =
      this.#expr.stages.length === 0 && this.#flags === undefined ? { ...line, metadata: [], parsed: [] } : line
    this.#wait(shown, tailed.labels, this.#options.clock.monotonicMs() + this.#delayMs)
  }

  /** Puts a line in the queue for the client, or notes that it was dropped: a line of the stream with these labels. */
  #wait(line: FoundLine, labels: Labels, dueMs: number): void {
    const bytes = line.line.length * 2 + lineBytes
    if (this.#isClosed) return
    if (this.#waitingBytes + bytes > this.#options.bytesMax || !this.#isHeld(bytes)) {
      this.#noteDropped(labels, formatNs(line.ms, line.subNs))
      return
    }
    this.#waiting.push({ line, labels, bytes, dueMs })
    this.#waitingBytes += bytes
  }

  #isHeld(bytes: number): boolean {
    try {
      this.#hold?.take(bytes)
      return true
    } catch {
      return false
    }
  }

  /** Takes the oldest `count` lines out of the queue. */
  #takeWaiting(count: number): WaitingLine[] {
    const taken = this.#waiting.splice(0, count)
    const bytes = taken.reduce((sum, one) => sum + one.bytes, 0)
    this.#waitingBytes -= bytes
    this.#hold?.give(bytes)
    return taken
  }

  /** Lines that are due: one, or as many as a frame may have. */
  #nextFrame(nowMs: number): FoundLine[] {
    let count = 0
    for (let bytes = 0; count < linesPerFrame && bytes < frameBytesMax; count++) {
      const next = this.#waiting[count]
      if (next === undefined || next.dueMs > nowMs) break
      bytes += next.bytes
    }
    return this.#takeWaiting(count).map(({ line }) => line)
  }

  readonly #run = (): void => {
    if (this.#isClosed) return
    const { clock } = this.#options
    const now = clock.monotonicMs()
    if (now >= this.#endsMs) {
      this.#socket.close(1000, 'reached tail max duration limit')
      return
    }
    while (this.#socket.waitingBytes < socketBytesMax) {
      const frame = this.#nextFrame(now)
      // What was dropped is told also when nothing else comes.
      if (frame.length === 0 && (this.#dropped.length === 0 || this.#waiting.length > 0)) break
      this.#send(frame)
    }
    if (now - this.#lastPingMs >= pingEveryMs) {
      this.#lastPingMs = now
      this.#socket.ping()
    }
    this.#timer = clock.after(frameEveryMs, this.#run)
  }

  #send(lines: readonly FoundLine[]): void {
    const isCategorized = this.#flags?.includes('categorize-labels') === true
    const streams = lines.map(line => streamsJson([line], isCategorized).slice(1, -1)).join(',')
    const dropped = this.#dropped.length === 0 ? '' : `,"dropped_entries":${JSON.stringify(this.#dropped.splice(0))}`
    const flags = this.#flags === undefined ? '' : `,"encodingFlags":${JSON.stringify(this.#flags)}`
    this.#socket.send(`{"streams":[${streams}]${dropped}${flags}}`)
  }
}

/** Lines with the same one are the same line. */
function keyOf({ ms, subNs, line }: FoundLine): string {
  return `${formatNs(ms, subNs)} ${line}`
}

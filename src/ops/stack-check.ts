/** Questions to a live stack, and what was found: the frame of `tercet check stack`. */
import { sleep, systemClock } from '#core/clock.ts'
import { unreachable } from './client.ts'

/** `unseen`: this engine can't be asked. */
export type FindingLevel = 'ok' | 'fails' | 'unseen'

export interface Finding {
  /** Numbers of the requirements that the check covers: `#35 #127`. */
  rows: string
  check: string
  level: FindingLevel
  found: string
  ms: number
}

export interface Reply {
  /** 0: no answer. */
  status: number
  text: string
  ms: number
}

/** What a first run sends, and a run after a restart looks for. */
export interface Marker {
  id: string
  timeMs: number
  value: number
  /** 32 hexadecimal digits. */
  traceId: string
}

/** A check, by what it covers and its name. */
export type CheckName = Pick<Finding, 'rows' | 'check'>

const pollMs = 250
const requestTimeoutMs = 30_000

async function ask(url: string, init: RequestInit): Promise<Reply> {
  const startMs = systemClock.monotonicMs()
  try {
    const reply = await fetch(url, { ...init, signal: AbortSignal.timeout(requestTimeoutMs) })
    const text = await reply.text()
    return { status: reply.status, text, ms: systemClock.monotonicMs() - startMs }
  } catch (error) {
    return { status: 0, text: unreachable(new URL(url).origin, error), ms: systemClock.monotonicMs() - startMs }
  }
}

/** The body as JSON; undefined where it is none. */
export function jsonOf(reply: Reply): unknown {
  try {
    return JSON.parse(reply.text) as unknown
  } catch {
    return undefined
  }
}

/** The status is one of success. */
export function isGood({ status }: Reply): boolean {
  return status >= 200 && status < 300
}

/** The status and the beginning of the body, in one line. */
export function shortText({ status, text }: Reply): string {
  return `${status === 0 ? '' : `${status}: `}${text.trim().replaceAll(/\s+/g, ' ').slice(0, 160)}`
}

/** Asks, and collects what was found. */
export class StackCheck {
  readonly findings: Finding[] = []
  readonly #headers: Readonly<Record<string, string>>
  readonly #patienceMs: number

  /** `headers` go with every request; data that was sent may take `patienceMs` to be found. */
  constructor(headers: Readonly<Record<string, string>>, patienceMs: number) {
    this.#headers = headers
    this.#patienceMs = patienceMs
  }

  report({ rows, check }: CheckName, level: FindingLevel, found: string, ms = 0): void {
    this.findings.push({ rows, check, level, found, ms })
  }

  ask(url: string, init: RequestInit = {}): Promise<Reply> {
    const own = init.headers as Record<string, string> | undefined
    return ask(url, { ...init, headers: { ...this.#headers, ...own } })
  }

  post(url: string, body: NonNullable<RequestInit['body']>, headers: Record<string, string>): Promise<Reply> {
    return this.ask(url, { method: 'POST', body, headers })
  }

  /** Sent data was taken, or not. */
  reportSent(name: CheckName, reply: Reply, whatWasTaken: string): void {
    this.report(name, isGood(reply) ? 'ok' : 'fails', isGood(reply) ? whatWasTaken : shortText(reply), reply.ms)
  }

  /** One request, judged by its status, its body (JSON, or text where it is none) and its time. */
  async expect(
    name: CheckName,
    request: { url: string; init?: RequestInit; msMax?: number },
    isRight: (value: unknown) => boolean,
  ): Promise<void> {
    const { url, init, msMax = Infinity } = request
    const reply = await this.ask(url, init)
    if (!isGood(reply) || !isRight(jsonOf(reply) ?? reply.text)) this.report(name, 'fails', shortText(reply), reply.ms)
    else if (reply.ms <= msMax) this.report(name, 'ok', 'answers', reply.ms)
    else this.report(name, 'fails', `took ${Math.round(reply.ms)} ms; ${msMax} are allowed`, reply.ms)
  }

  /** Asks again and again until the answer is there, for `msMax` at most. */
  async expectSoon(
    name: CheckName,
    request: () => Promise<Reply>,
    isThere: (reply: Reply) => boolean,
    msMax = Infinity,
  ): Promise<void> {
    const allowedMs = Math.min(msMax, this.#patienceMs)
    const startMs = systemClock.monotonicMs()
    for (;;) {
      const reply = await request()
      const ms = systemClock.monotonicMs() - startMs
      if (isThere(reply)) {
        this.report(name, 'ok', `there after ${(ms / 1000).toFixed(1)} s`, ms)
        return
      }
      if (ms > allowedMs) {
        this.report(name, 'fails', `not there after ${allowedMs / 1000} s; last answer ${shortText(reply)}`, ms)
        return
      }
      await sleep(systemClock, pollMs)
    }
  }

  /** Whether anybody answers, healthy or not. */
  async isAlive(signal: string, base: string): Promise<boolean> {
    const name = { rows: '#58 #79', check: `${signal}: health` }
    let reply: Reply = { status: 0, text: '', ms: 0 }
    for (const path of ['/health', '/ready', '/-/healthy']) {
      reply = await this.ask(base + path)
      if (reply.status === 0) break
      if (reply.status === 200) {
        this.report(name, 'ok', `${path} answers`, reply.ms)
        return true
      }
    }
    this.report(name, 'fails', shortText(reply), reply.ms)
    return reply.status !== 0
  }
}

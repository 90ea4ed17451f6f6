/** Spans of one request on their way to another thread: OTLP messages that each take that thread some milliseconds. */
import { sharedBytes } from '#core/shared-bytes.ts'
import type { Trace } from '#model/trace.ts'
import { splitOtlpTraces, type SplitLimits } from './split-traces.ts'
import { decodeOtlpTraces } from './traces.ts'

/** `spansOf` reads their outlines again in a fraction of the time. */
export interface CarriedSpans {
  /** An OTLP message, in shared memory. */
  readonly message: Uint8Array
  /** By span, in the order of the message: why it could not be read. */
  readonly problems: ReadonlyMap<number, string>
}

/** 1,000 small spans take 1 to 5 ms to be admitted (most where each is a trace of its own), and 1 ms to be shown. */
const limitsOfPart = { items: 1000, bytes: 1024 * 1024 }

/** All spans of a request in their order; `message` is the same as `trace`. */
export function carrySpans(trace: Trace, message: Uint8Array, limits: SplitLimits = limitsOfPart): CarriedSpans[] {
  const problems = problemsOf(trace)
  const places = new Set(problems.map(([at]) => at))
  // What can't be read of a span may read otherwise beside other bytes: it stays behind.
  const messages = splitOtlpTraces(message, limits, at => places.has(at), sharedBytes)
  let first = 0
  let next = 0
  return messages.map(({ message: part, spans }): CarriedSpans => {
    const own = new Map<number, string>()
    for (; next < problems.length && problems[next]![0] < first + spans; next++)
      own.set(problems[next]![0] - first, problems[next]![1])
    first += spans
    return { message: part, problems: own }
  })
}

function problemsOf({ resources }: Trace): [at: number, problem: string][] {
  const problems: [number, string][] = []
  let at = 0
  for (const { scopes } of resources)
    for (const { spans } of scopes)
      for (const { problem } of spans) {
        if (problem !== undefined) problems.push([at, problem])
        at++
      }
  return problems
}

/** The spans as outlines. */
export function spansOf({ message, problems }: CarriedSpans): Trace {
  const trace = decodeOtlpTraces(message, true)
  if (problems.size === 0) return trace
  let at = 0
  for (const { scopes } of trace.resources)
    for (const scope of scopes)
      for (const span of scope.spans) {
        const problem = problems.get(at++)
        if (problem !== undefined) span.problem = problem
      }
  return trace
}

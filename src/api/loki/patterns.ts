/**
 * patterns: lines that look alike, by Drain: a tree by the number of tokens and the first ones, and clusters of lines
 * that share enough of the rest. Sources: docs/http-api.md; He et al., "Drain: An Online Log Parsing Approach with
 * Fixed Depth Tree", 2017.
 */
import { keyOfTexts } from '#core/text.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Clock } from '#core/clock.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import type { LogsReader } from '#logs/select.ts'
import type { HttpReply } from '#net/route-table.ts'
import type { LogqlEngine } from '#query/logql/engine.ts'
import { BadDataError } from '#core/errors.ts'
import { boundsParam, stepParam } from './params.ts'
import { ok } from './respond.ts'

const linesMax = 20_000
const lineBytesMax = 3000
const tokensMin = 4,
  tokensMax = 80
/** Tokens by which lines part in the tree. */
const treeDepth = 28
const childrenMax = 15
const similarityMin = 0.3
const clustersMax = 300
/** Patterns of fewer lines are not shown. */
const clusterLinesMin = 30
const bucketMs = 10_000
/** A line is compared with 300 clusters of 80 words at most: 50 of them take up to 3 ms. */
const linesPerPause = 50
const pauseEveryMs = 8
const anything = '<_>'

/** Tokens of a line, and what stands before each of them and behind the last. */
interface Tokens {
  tokens: string[]
  separators: string[]
}

interface Cluster extends Tokens {
  samples: Map<number, number>
  size: number
}
interface Node {
  children: Map<string, Node>
  clusters: Cluster[]
}

class Drain {
  readonly #root = new Map<number, Node>()
  readonly clusters: Cluster[] = []

  add({ tokens, separators }: Tokens, ms: number): void {
    if (tokens.length < tokensMin || tokens.length > tokensMax) return
    const node = this.#leafOf(tokens)
    let best: Cluster | undefined,
      bestScore = similarityMin
    for (const cluster of node.clusters) {
      let equal = 0
      for (let i = 0; i < tokens.length; i++) if (cluster.tokens[i] === tokens[i]) equal++
      const score = equal / tokens.length
      if (score >= bestScore) {
        best = cluster
        bestScore = score
      }
    }
    if (best === undefined) {
      if (this.clusters.length >= clustersMax) return
      best = { tokens, separators, samples: new Map(), size: 0 }
      node.clusters.push(best)
      this.clusters.push(best)
    } else for (let i = 0; i < tokens.length; i++) if (best.tokens[i] !== tokens[i]) best.tokens[i] = anything
    best.size++
    const bucket = Math.floor(ms / bucketMs) * bucketMs
    best.samples.set(bucket, (best.samples.get(bucket) ?? 0) + 1)
  }

  /** The last child of a node stands for all tokens that are not there, and for those with a digit. */
  #leafOf(tokens: readonly string[]): Node {
    let node: Node = this.#root.get(tokens.length) ?? { children: new Map(), clusters: [] }
    this.#root.set(tokens.length, node)
    for (let depth = 0; depth < treeDepth && depth < tokens.length; depth++) {
      const children: Map<string, Node> = node.children
      let key = hasDigit(tokens[depth]!) ? anything : tokens[depth]!
      const room = childrenMax - (children.has(anything) ? 0 : 1)
      if (!children.has(key) && children.size >= room) key = anything
      let child = children.get(key)
      if (child === undefined) children.set(key, (child = { children: new Map(), clusters: [] }))
      node = child
    }
    return node
  }
}

function hasDigit(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 48 && code <= 57) return true
  }
  return false
}

type Tokenize = (line: string) => Tokens

const messageKeys = ['log', 'message', 'msg', 'msg_', '_msg', 'content']
const noTokens: Tokens = { tokens: [], separators: [] }

/** Of a JSON line the message alone is looked at. */
function jsonTokens(line: string): Tokens {
  try {
    const body = JSON.parse(line) as Record<string, unknown>
    const message = messageKeys.map(key => body[key]).find(value => typeof value === 'string')
    if (typeof message !== 'string') return noTokens
    const { tokens, separators } = plainTokens(message)
    if (separators.length === 0) return noTokens
    separators[0] = `${anything}${separators[0]!}`
    separators[separators.length - 1] += anything
    return { tokens, separators }
  } catch {
    return noTokens
  }
}

/** Keys whose values are times. */
const timeKeys: ReadonlySet<string> = new Set(['ts', 'time', 't', 'timestamp'])

/** Keys and values in turn. */
function logfmtTokens(line: string): Tokens {
  const tokens: string[] = [],
    separators: string[] = []
  for (const [, key = '', value = ''] of line.matchAll(/([^\s=]+)(?:=("(?:[^"\\]|\\.)*"|\S*))?/g)) {
    if (key.includes('"')) return noTokens
    tokens.push(key, timeKeys.has(key) ? anything : value)
    separators.push(separators.length === 0 ? '' : ' ', '=')
  }
  separators.push('')
  return { tokens, separators }
}

/** Of characters below 128: 0 stands between tokens, 1 is part of a word, 2 a sign by itself. */
const signs = Uint8Array.from({ length: 128 }, (_, code) => {
  const sign = String.fromCharCode(code)
  if (sign === ' ') return 0
  return !/[._/:-]/.test(sign) && /[=\p{P}]/u.test(sign) ? 2 : 1
})

/** Words, and signs of punctuation by themselves; some are parts of words. */
function plainTokens(line: string): Tokens {
  const tokens: string[] = [],
    separators: string[] = []
  let last = 0
  for (let at = 0; at < line.length;) {
    const code = line.charCodeAt(at)
    if (code >= 128) return unicodeTokens(line)
    const sign = signs[code]!
    const from = at++
    if (sign === 0) continue
    if (sign === 1) while (at < line.length && signs[line.charCodeAt(at)] === 1) at++
    separators.push(line.slice(last, from))
    tokens.push(line.slice(from, at))
    last = at
  }
  if (tokens.length > 0) separators.push(line.slice(last))
  return { tokens, separators }
}

function unicodeTokens(line: string): Tokens {
  const tokens: string[] = [],
    separators: string[] = []
  let last = 0
  for (const match of line.matchAll(/(?![._/:-])[=\p{P}]|(?:[._/:-]|[^ =\p{P}])+/gu)) {
    separators.push(line.slice(last, match.index))
    tokens.push(match[0])
    last = match.index + match[0].length
  }
  if (tokens.length > 0) separators.push(line.slice(last))
  return { tokens, separators }
}

/** Lines of a stream have the form of its first one. */
function tokenizerOf(line: string): Tokenize {
  if (line.startsWith('{') && line.endsWith('}')) return jsonTokens
  return /^(?:[^\s="]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$))+$/.test(line) ? logfmtTokens : plainTokens
}

function patternText({ tokens, separators }: Cluster): string {
  return tokens.map((token, i) => separators[i]! + token).join('') + separators.at(-1)!
}

interface StreamPatterns {
  tokenize: Tokenize
  byLevel: Map<string, Drain>
}

interface Pattern {
  pattern: string
  level: string
  samples: Map<number, number>
  size: number
}

/** Patterns of all streams, those of one text and level as one. */
function gather(streams: Iterable<StreamPatterns>, stepMs: number): Pattern[] {
  const found = new Map<string, Pattern>()
  for (const { byLevel } of streams)
    for (const [level, { clusters }] of byLevel)
      for (const cluster of clusters) {
        const pattern = patternText(cluster)
        const key = keyOfTexts([pattern, level])
        let one = found.get(key)
        if (one === undefined) found.set(key, (one = { pattern, level, samples: new Map(), size: 0 }))
        one.size += cluster.size
        addSamples(one.samples, cluster.samples, stepMs)
      }
  return [...found.values()].filter(({ size }) => size >= clusterLinesMin).sort((a, b) => b.size - a.size)
}

/** Samples of a cluster are kept so long together; steps without any are zero within, and missing between. */
const keptTogetherMs = 3_600_000
const zerosMax = 11_000

function addSamples(into: Map<number, number>, samples: ReadonlyMap<number, number>, stepMs: number): void {
  let firstMs = -Infinity
  let lastStep = 0
  for (const [ms, count] of [...samples].sort((a, b) => a[0] - b[0])) {
    const at = Math.floor(ms / stepMs) * stepMs
    if (ms - firstMs >= keptTogetherMs) firstMs = ms
    else if (stepMs > bucketMs)
      for (let step = lastStep + stepMs; step < at && into.size < zerosMax; step += stepMs)
        if (!into.has(step)) into.set(step, 0)
    lastStep = at
    into.set(at, (into.get(at) ?? 0) + count)
  }
}

export async function patterns(
  form: URLSearchParams,
  reader: LogsReader,
  engine: LogqlEngine,
  clock: Clock,
): Promise<HttpReply> {
  const expr = parseLogql(form.get('query') ?? '')
  if (expr.kind !== 'log' || expr.stages.length > 0) throw new BadDataError('only label matchers are supported')
  const { start, end } = boundsParam(form, clock.nowMs())
  const stepMs = Math.max(stepParam(form, start, end), bucketMs)
  const { lines } = await engine.lines(
    expr,
    {
      bounds: { fromMs: start.ms, fromSubNs: start.subNs, toMs: end.ms, toSubNs: end.subNs },
      limit: linesMax,
      isBackward: true,
      intervalNs: 0,
    },
    reader,
  )
  const streams = new Map<string, StreamPatterns>()
  /** By the list of labels, which lines of a stream share. */
  const streamOf = new Map<readonly string[], StreamPatterns>()
  const pause = yieldEvery(clock, pauseEveryMs)
  for (const [i, line] of [...lines].reverse().entries()) {
    if (i % linesPerPause === 0) await pause()
    if (line.line.length > lineBytesMax) continue
    const at = line.metadata.indexOf('detected_level')
    const level = at >= 0 ? line.metadata[at + 1]! : 'unknown'
    let stream = streamOf.get(line.stream)
    if (stream === undefined) {
      const key = keyOfTexts(line.stream)
      stream = streams.get(key) ?? { tokenize: tokenizerOf(line.line), byLevel: new Map() }
      streams.set(key, stream)
      streamOf.set(line.stream, stream)
    }
    let drain = stream.byLevel.get(level)
    if (drain === undefined) stream.byLevel.set(level, (drain = new Drain()))
    drain.add(stream.tokenize(line.line), line.ms)
  }
  const data = gather(streams.values(), stepMs).map(({ pattern, level, samples }) => ({
    pattern,
    level,
    samples: [...samples].sort((a, b) => a[0] - b[0]).map(([ms, count]) => [Math.floor(ms / 1000), count]),
  }))
  return ok(JSON.stringify({ status: 'success', data }))
}

/**
 * patterns: lines that look alike, by Drain: a tree by the number of tokens and the first ones, and clusters of lines
 * that share enough of the rest. Sources: docs/http-api.md; He et al., "Drain: An Online Log Parsing Approach with
 * Fixed Depth Tree", 2017.
 */
import { keyOfTexts } from '#core/text.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Clock } from '#core/clock.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
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
const treeDepth = 2
const childrenMax = 15
const similarityMin = 0.3
const clustersMax = 300
const bucketMs = 10_000
/** A line is compared with 300 clusters of 80 words at most: 50 of them take up to 3 ms. */
const linesPerPause = 50
const pauseEveryMs = 8
const anything = '<_>'

interface Cluster {
  tokens: string[]
  separators: string[]
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

  add(line: string, ms: number): void {
    const { tokens, separators } = tokenize(line)
    if (tokens.length < tokensMin || tokens.length > tokensMax) return
    let node = this.#root.get(tokens.length)
    if (node === undefined) this.#root.set(tokens.length, (node = { children: new Map(), clusters: [] }))
    for (let depth = 0; depth < treeDepth; depth++) {
      const token = tokens[depth]!
      let key = /\d/.test(token) ? anything : token
      if (!node.children.has(key) && node.children.size >= childrenMax) key = anything
      let child = node.children.get(key)
      if (child === undefined) node.children.set(key, (child = { children: new Map(), clusters: [] }))
      node = child
    }
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
}

/** Tokens, and what stands between them. Of JSON lines the message alone is looked at. */
function tokenize(line: string): { tokens: string[]; separators: string[] } {
  let text = line
  if (line.startsWith('{')) {
    try {
      const body = JSON.parse(line) as Record<string, unknown>
      const message = ['log', 'message', 'msg', 'msg_', '_msg', 'content']
        .map(key => body[key])
        .find(value => typeof value === 'string')
      text = typeof message === 'string' ? message : ''
    } catch {
      text = line
    }
  }
  const tokens: string[] = [],
    separators: string[] = []
  let last = 0
  for (const match of text.matchAll(/[^\s=,;:()[\]{}"']+/g)) {
    separators.push(text.slice(last, match.index))
    tokens.push(match[0])
    last = match.index + match[0].length
  }
  separators.push(text.slice(last))
  return { tokens, separators }
}

function patternText(cluster: Cluster): string {
  const text = cluster.tokens.map((token, i) => cluster.separators[i]! + token).join('') + cluster.separators.at(-1)!
  return text.replaceAll(/<_>(?:[\s=,;:]*<_>){2,}/g, '<_>')
}

export async function patterns(
  form: URLSearchParams,
  reader: LogsReader,
  engine: LogqlEngine,
  clock: Clock,
): Promise<HttpReply> {
  const expr = parseLogQuery(form.get('query') ?? '')
  if (expr.stages.length > 0) throw new BadDataError('only label matchers are supported')
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
  const drains = new Map<string, { drain: Drain; level: string }>()
  const pause = yieldEvery(clock, pauseEveryMs)
  for (const [i, line] of lines.entries()) {
    if (i % linesPerPause === 0) await pause()
    if (line.line.length > lineBytesMax) continue
    const at = line.metadata.indexOf('detected_level')
    const level = at >= 0 ? line.metadata[at + 1]! : 'unknown'
    const key = keyOfTexts([...line.stream, level])
    let set = drains.get(key)
    if (set === undefined) drains.set(key, (set = { drain: new Drain(), level }))
    set.drain.add(line.line, line.ms)
  }
  const data = [...drains.values()].flatMap(({ drain, level }) =>
    drain.clusters.map(cluster => {
      const samples = new Map<number, number>()
      for (const [ms, count] of cluster.samples) {
        const at = Math.floor(ms / stepMs) * stepMs
        samples.set(at, (samples.get(at) ?? 0) + count)
      }
      return {
        pattern: patternText(cluster),
        level,
        samples: [...samples].sort((a, b) => a[0] - b[0]).map(([ms, count]) => [ms / 1000, count]),
        size: cluster.size,
      }
    }),
  )
  data.sort((a, b) => b.size - a.size)
  return ok(
    JSON.stringify({
      status: 'success',
      data: data.map(({ pattern, level, samples }) => ({ pattern, level, samples })),
    }),
  )
}

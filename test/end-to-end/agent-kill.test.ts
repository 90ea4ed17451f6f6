/**
 * kill -9 of an agent while samples are pushed to it and log files grow, and while its receivers refuse, ask to be left
 * alone, and break off. What it acknowledged arrives, each series in order, as a receiver without a window for samples
 * out of order wants it; lines arrive whole.
 */
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { decodeSnappy } from '#codec/snappy.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { WriteBatch } from '#model/write-batch.ts'
import { keyPairs } from '#wire/remote-write/encode.ts'
import { decodeWriteRequest } from '#wire/remote-write/v1.ts'
import { startAgentProcess } from '../run-process.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'
import { postWrite, writeBody } from '../write-request.ts'

/** Takes remote write and Loki's pushes, in a bad mood until it is told otherwise. */
class Receiver {
  isHealthy = false
  readonly latest = new Map<string, number>()
  readonly samples = new Set<string>()
  readonly outOfOrder: string[] = []
  readonly lines = new Set<string>()
  readonly #random: Random
  readonly server = createServer((request, reply) => {
    const parts: Buffer[] = []
    request
      .on('data', (part: Buffer) => parts.push(part))
      .on('end', () => {
        this.#answer(request, reply, Buffer.concat(parts))
      })
  })

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  #answer(request: IncomingMessage, reply: ServerResponse, body: Buffer): void {
    const mood = this.isHealthy ? 9 : below(this.#random, 10)
    if (mood === 0) reply.writeHead(503).end()
    else if (mood === 1) reply.writeHead(429, { 'retry-after': '0.2' }).end()
    else if (mood === 2) reply.destroy()
    else {
      if (request.url === '/loki') this.#takeLines(body)
      else this.#takeSamples(body)
      // Taken, and the sender does not learn of it.
      if (mood === 3) reply.destroy()
      else reply.writeHead(204).end()
    }
  }

  #takeLines(body: Buffer): void {
    const { streams } = JSON.parse(body.toString()) as { streams: { values: [string, string][] }[] }
    for (const { values } of streams) for (const [, line] of values) this.lines.add(line)
  }

  #takeSamples(body: Buffer): void {
    const batch = new WriteBatch()
    decodeWriteRequest(decodeSnappy(body, 1 << 24), batch)
    for (let i = 0; i < batch.sampleCount; i++) {
      const s = batch.sampleSeries[i]!
      const name = keyPairs(batch.bytes, batch.keyFrom[s]!, batch.keyTo[s]!)[0]?.[1] ?? ''
      const timeMs = batch.timesMs[i]!
      if (timeMs < (this.latest.get(name) ?? 0)) this.outOfOrder.push(`${name} @${timeMs}`)
      this.latest.set(name, timeMs)
      this.samples.add(`${name} @${timeMs}`)
    }
  }
}

const seriesCount = 12

/** Pushes one sample of every series after another, each until it is acknowledged; ends with the process. */
async function pushSamples(url: string, next: { timeMs: number }, kept: Set<string>): Promise<void> {
  const names = Array.from({ length: seriesCount }, (_, i) => `s${i}`)
  for (;;) {
    const { timeMs } = next
    const series = names.map(name => ({
      labels: [['__name__', name]] as [string, string][],
      samples: [[timeMs, 1]] as [number, number][],
    }))
    let isKept = false
    try {
      isKept = (await postWrite(url, writeBody(series))).status === 204
    } catch {
      return
    }
    if (!isKept) continue
    for (const name of names) kept.add(`${name} @${timeMs}`)
    next.timeMs++
  }
}

test('an agent that is killed loses nothing that it acknowledged, and keeps the order', async () => {
  const seed = 21
  const random = seededRandom(seed)
  const directory = temporaryDirectory()
  const receiver = new Receiver(seed)
  await new Promise<void>(resolve => {
    receiver.server.listen(0, '127.0.0.1', resolve)
  })
  const url = `http://127.0.0.1:${(receiver.server.address() as AddressInfo).port}`
  const pods = `${directory}/pods/shop_web-1_uid/app`
  mkdirSync(pods, { recursive: true })
  const flags = [
    `--agent.remote_write=${url}/write`,
    `--agent.loki=${url}/loki`,
    `--agent.log_directory=${directory}/pods`,
  ]
  const [kept, written] = [new Set<string>(), new Set<string>()]
  const next = { timeMs: 1 }
  let lineCount = 0
  const writeLines = (): void => {
    const at = new Date(1_790_000_000_000 + lineCount).toISOString()
    const line = `line ${lineCount++}`
    written.add(line)
    const stream = ['stdout', 'stderr'][below(random, 2)]
    const rows = below(random, 2) === 0 ? [`F ${line}`] : [`P ${line.slice(0, 3)}`, `F ${line.slice(3)}`]
    for (const row of rows) appendFileSync(`${pods}/0.log`, `${at} ${stream} ${row}\n`)
    if (below(random, 40) === 0) renameSync(`${pods}/0.log`, `${pods}/0.log.${20_260_101 + lineCount}`)
  }
  try {
    for (let kill = 0; kill < 5; kill++) {
      const { child, url: agentUrl } = await startAgentProcess(directory, flags)
      const ended = new Promise(resolve => child.once('exit', resolve))
      const pushing = pushSamples(agentUrl, next, kept)
      const endMs = performance.now() + 700 + below(random, 900)
      while (performance.now() < endMs) {
        writeLines()
        await new Promise(resolve => setImmediate(resolve))
        await fetch(`${agentUrl}/health`)
      }
      child.kill('SIGKILL')
      await ended
      await pushing
    }
    receiver.isHealthy = true
    const { child } = await startAgentProcess(directory, flags)
    const missing = (): string[] => [...kept].filter(one => !receiver.samples.has(one))
    const missingLines = (): string[] => [...written].filter(one => !receiver.lines.has(one))
    try {
      await untilTrue(() => missing().length === 0 && missingLines().length === 0, 'everything', 60)
    } catch {
      assert.deepEqual([missing().slice(0, 20), missingLines().slice(0, 20)], [[], []])
    } finally {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
    assert.ok(kept.size > 100 && written.size > 50, `${kept.size} samples, ${written.size} lines`)
    assert.deepEqual(receiver.outOfOrder, [])
    assert.deepEqual(
      [...receiver.lines].filter(line => !written.has(line)),
      [],
      'lines are whole',
    )
  } finally {
    await new Promise(resolve => {
      receiver.server.close(resolve)
      receiver.server.closeAllConnections()
    })
    rmSync(directory, { recursive: true, force: true })
  }
})

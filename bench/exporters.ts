/** Targets to scrape and a remote to write to, in one server: it knows what it gave and what it got back. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { decodeSnappy } from '#codec/snappy.ts'
import { WriteBatch } from '#model/write-batch.ts'
import { decodeWriteRequest } from '#wire/remote-write/v1.ts'

export interface ExporterShape {
  targets: number
  series: number
  intervalMs: number
}

/** What became of the samples when nothing is under way any more. */
export interface Ledger {
  /** Scrapes that did not come at their time. */
  missed: number
  lost: number
  duplicates: number
}

/** Samples of the targets are this large; those that a scraper adds are not. */
const least = 1e6

class Exporters {
  readonly #shape: ExporterShape
  readonly #lastMs: number[]
  #port = 0
  #missed = 0
  #given = { count: 0, sum: 0 }
  #taken = { count: 0, sum: 0 }
  #isOver = false
  scrapes = 0
  /** Bytes of bodies that were received. */
  written = 0
  readonly #server = createServer((request, reply) => {
    if (request.method === 'POST') this.#take(request, reply)
    else this.#give(Number(request.url!.slice('/m/'.length)), reply)
  })

  constructor(shape: ExporterShape) {
    // Whoever sends on a connection that is about to be closed for idleness would have to send again.
    this.#server.keepAliveTimeout = 600_000
    this.#shape = shape
    this.#lastMs = Array.from({ length: shape.targets }, () => NaN)
  }

  async listen(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as { port: number }).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** A job a target, and this server as the remote; without `remote` there is none. */
  prometheusYaml(externalLabels: Record<string, string>, remote = true): string {
    const jobs = this.#lastMs.map(
      (_, i) =>
        `  - { job_name: job-${i}, metrics_path: /m/${i}, ` +
        `static_configs: [{ targets: ['127.0.0.1:${this.#port}'] }] }\n`,
    )
    return (
      `global: { scrape_interval: ${this.#shape.intervalMs / 1000}s, ` +
      `external_labels: ${JSON.stringify(externalLabels)} }\n` +
      (remote ? `remote_write: [{ url: '${this.url}/write' }]\n` : '') +
      `scrape_configs:\n${jobs.join('')}`
    )
  }

  #give(target: number, reply: ServerResponse): void {
    if (this.#isOver) {
      reply.writeHead(503).end()
      return
    }
    this.#note(target)
    const { series } = this.#shape
    const scrape = this.scrapes++
    let body = '# HELP bench_requests_total Requests.\n# TYPE bench_requests_total counter\n'
    for (let i = 0; i < series; i++) {
      const value = least + scrape * 7 + i
      this.#given.sum += value
      body +=
        `bench_requests_total{path="/api/v1/resource/${i % 50}",method="GET",code="${200 + (i % 5)}",` +
        `handler="handler_${i}"} ${value}\n`
    }
    this.#given.count += series
    reply.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(body)
  }

  #note(target: number): void {
    const now = performance.now()
    const since = now - this.#lastMs[target]!
    if (since > this.#shape.intervalMs * 1.5) this.#missed += Math.round(since / this.#shape.intervalMs) - 1
    this.#lastMs[target] = now
  }

  #take(request: IncomingMessage, reply: ServerResponse): void {
    const parts: Buffer[] = []
    request
      .on('data', (part: Buffer) => parts.push(part))
      .on('end', () => {
        const body = Buffer.concat(parts)
        this.written += body.length
        const batch = new WriteBatch()
        decodeWriteRequest(decodeSnappy(body, 1 << 26), batch)
        for (let i = 0; i < batch.sampleCount; i++) {
          const value = batch.values[i]!
          if (!(value >= least)) continue
          this.#taken.count++
          this.#taken.sum += value
        }
        reply.writeHead(204).end()
      })
  }

  /** Scrapes missed so far; they are counted from here on again. */
  takeMissed(): number {
    const missed = this.#missed
    this.#missed = 0
    return missed
  }

  get givenSamples(): number {
    return this.#given.count
  }

  /** Scrapes are answered by 503 from now on. */
  stopGiving(): void {
    this.#isOver = true
  }

  /** Answers no more scrapes, and waits up to half a minute for what was given. */
  async settle(): Promise<Ledger> {
    this.#isOver = true
    const now = performance.now()
    for (const last of this.#lastMs)
      if (!(now - last <= this.#shape.intervalMs * 1.5))
        this.#missed += Math.max(1, Math.round((now - last) / this.#shape.intervalMs) - 1)
    for (let i = 0; i < 300 && this.#taken.count < this.#given.count; i++)
      await new Promise(resolve => setTimeout(resolve, 100))
    const missing = this.#given.count - this.#taken.count
    const isOther = missing === 0 && this.#given.sum !== this.#taken.sum
    return { missed: this.#missed, lost: isOther ? 1 : Math.max(0, missing), duplicates: Math.max(0, -missing) }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }
}

export async function startExporters(shape: ExporterShape): Promise<Exporters> {
  const exporters = new Exporters(shape)
  await exporters.listen()
  return exporters
}

export type { Exporters }

/**
 * An agent that sends to a real Prometheus, which has no window for samples out of order, through a proxy that puts
 * every fourth request off: every sample that was scraped arrives, none is refused, and nothing comes before the time
 * that the proxy named.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { silentLog } from '#core/log.ts'
import { loadConfig } from '../../src/app/config.ts'
import { startTercet, type Tercet } from '../../src/app/tercet.ts'
import { systemWorld } from '../../src/app/world.ts'
import { needs, Peer } from '../peers.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'
import { urlOf } from '../url.ts'
import { freePort } from '../free-port.ts'

const retryAfterSeconds = 1
/** Forty of the exporter, five of the scrape. */
const samplesOfScrape = 45

async function listening(server: Server): Promise<string> {
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Answers every fourth request 429, and hands the others on. */
class Proxy {
  readonly statuses: number[] = []
  early = 0
  #requests = 0
  /** Before this moment the agent has been asked to send nothing. */
  closedUntilMs = 0
  readonly server: Server

  constructor(target: () => string) {
    this.server = createServer((request, reply) => {
      const parts: Buffer[] = []
      if (performance.now() < this.closedUntilMs) this.early++
      request
        .on('data', (part: Buffer) => parts.push(part))
        .on('end', () => {
          if (++this.#requests % 4 === 0) {
            this.closedUntilMs = performance.now() + retryAfterSeconds * 1000
            reply.writeHead(429, { 'retry-after': String(retryAfterSeconds) }).end()
            return
          }
          void this.#pass(target(), request.headers as Record<string, string>, Buffer.concat(parts)).then(status => {
            this.statuses.push(status)
            reply.writeHead(status).end()
          })
        })
    })
  }

  async #pass(target: string, headers: Record<string, string>, body: Buffer): Promise<number> {
    const sent = { 'content-type': headers['content-type']!, 'content-encoding': headers['content-encoding']! }
    const { status } = await fetch(`${target}/api/v1/write`, { method: 'POST', headers: sent, body })
    return status
  }
}

for (const shards of [1, 3])
  test(`a receiver that is busy gets everything, in order: ${shards} shards`, needs('prometheus'), async () => {
    const directory = temporaryDirectory()
    const port = await freePort()
    const prometheusUrl = `http://127.0.0.1:${port}`
    writeFileSync(`${directory}/peer.yml`, '')
    const prometheus = new Peer(
      'prometheus',
      [
        `--config.file=${directory}/peer.yml`,
        `--storage.tsdb.path=${directory}/peer`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--web.enable-remote-write-receiver',
      ],
      directory,
    )
    const proxy = new Proxy(() => prometheusUrl)
    const exporter = createServer((_request, reply) => {
      const rows = Array.from({ length: 40 }, (_, i) => `metric{i="${i}"} ${i}\n`).join('')
      reply.writeHead(200, { 'content-type': 'text/plain' }).end(rows)
    })
    const [proxyUrl, exporterUrl] = [await listening(proxy.server), await listening(exporter)]
    const configure = (targets: string): void => {
      writeFileSync(
        `${directory}/prometheus.yml`,
        'global: { scrape_interval: 500ms, scrape_timeout: 500ms }\n' +
          `scrape_configs: [{ job_name: j, static_configs: [{ targets: [${targets}] }] }]\n` +
          `remote_write: [{ url: '${proxyUrl}/w', queue_config: { min_shards: ${shards}, max_shards: ${shards} } }]\n`,
      )
    }
    configure(`'${exporterUrl.slice(7)}'`)
    const flags = [
      'role=agent',
      'listen.http=127.0.0.1:0',
      'listen.otlp_http=off',
      `data_dir=${directory}/agent`,
      `scrape_config_file=${directory}/prometheus.yml`,
    ]
    const start = (): Promise<Tercet> => startTercet(loadConfig({ environment: {}, flags }), systemWorld(silentLog))
    /** Samples of each series in the receiver; of `up` those of scrapes that succeeded. */
    const counts = async (): Promise<number[]> => {
      const all: number[] = []
      for (const query of ['count_over_time(metric[10m])', 'sum_over_time(up[10m])']) {
        const reply = await fetch(urlOf(prometheusUrl, '/api/v1/query', { query }))
        const { data } = (await reply.json()) as { data: { result: { value: [number, string] }[] } }
        all.push(...data.result.map(r => Number(r.value[1])))
      }
      return all
    }
    const samplesOf = async (agent: Tercet): Promise<number> => {
      const text = await (await fetch(`${agent.url}/metrics`)).text()
      return Number(/^tercet_agent_samples_total (\d+)/m.exec(text)?.[1] ?? 0)
    }
    let agent: Tercet | undefined
    try {
      await prometheus.ready(`${prometheusUrl}/-/ready`)
      let scraped = 0
      for (let run = 0; run < 3; run++) {
        const own = (agent = await start())
        scraped += await until(async () => {
          const samples = await samplesOf(own)
          return samples >= 180 ? samples : undefined
        }, 'scrapes')
        await agent.close()
        // The next one has not been told.
        proxy.closedUntilMs = 0
      }
      // What waits still is sent by one that scrapes nothing.
      configure('')
      const last = (agent = await start())
      await until(() => (last.remotes.every(r => r.queue.bytes === 0) ? true : undefined), 'empty queues', 120)
      const found = await counts()
      assert.equal(found.length, 41)
      assert.deepEqual([...new Set(found)], [found[0]!], 'each series has as many samples')
      assert.ok(found[0]! * samplesOfScrape >= scraped, `${found[0]} scrapes arrived, ${scraped} samples were scraped`)
      assert.deepEqual([...new Set(proxy.statuses)], [204])
      // With several, requests that were on their way when another one was put off come still.
      if (shards === 1) assert.equal(proxy.early, 0, 'requests came too early')
    } finally {
      await agent?.close()
      await prometheus.stop()
      for (const server of [proxy.server, exporter])
        await new Promise(resolve => {
          server.close(resolve)
          server.closeAllConnections()
        })
    }
  })

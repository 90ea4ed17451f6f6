/**
 * kill -9 at random moments while samples, lines and spans come in, straight and through an agent, and rules are
 * evaluated; with a ledger of what was acknowledged. In bucket mode the data directory goes with the process.
 */
import { createWriteStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { ChildProcess } from 'node:child_process'
import { messageOf } from '#core/errors.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { itemsOfBatch, linesFlow, makeBatch, samplesFlow, spansFlow, type Batch } from './kill-flows.ts'
import { Ledger, RuleLedger } from './kill-ledger.ts'
import { startAgentProcess, startProcess, type Started } from './run-process.ts'

export interface KillOptions {
  directory: string
  cycles: number
  seed: number
  durability: 'local' | 'bucket'
  /** Cycles between two looks at what came in since the last one. */
  checkEvery: number
  /** Asked before every cycle: true ends the loop early, with its last looks. */
  isOver?: () => boolean
  /** Called after every look. */
  onCheck?: (report: KillReport) => void
}

export interface KillReport {
  cycle: number
  serverKills: number
  agentKills: number
  startKills: number
  acknowledged: Record<string, number>
  /** Batches that were sent again, for an answer that asked for it or because there was none. */
  again: number
  /** Batches that were stored without what is bad in them. */
  partly: number
  ruleSamples: number
  missing: number
  doubled: number
  wrong: number
  /** The first hundred, in words. */
  findings: string[]
}

/**
 * What one sender sends in a life at most: a slow machine is to spend its time on lives, and an agent hands on five
 * requests a second to a server that keeps them in a bucket.
 */
const batchesOfLife = { local: { direct: 25, agent: 25 }, bucket: { direct: 25, agent: 3 } }
/** What an agent acknowledged is missing when nothing more of it has come for so long. */
const deliveryMs = 60_000
const sendersOfFlow = { direct: 4, agent: 2 }
/** Batches that go into the same series, stream and trace: a search shows 100 spans of a trace. */
const batchesOfGroup = 8
const findingsMax = 100

const rules = `groups:
  - name: kill
    interval: 200ms
    rules:
      - record: kill_recorded
        expr: time()
      - alert: KillAlert
        expr: vector(1)
        for: 12h
`

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** An address that stays, in front of a server whose address does not. */
class Way {
  #port = 0
  readonly #sockets = new Set<Socket>()
  readonly #server: Server = createServer(socket => {
    const upstream = connect(this.#port, '127.0.0.1')
    for (const one of [socket, upstream]) {
      this.#sockets.add(one)
      one.on('error', () => {})
      one.once('close', () => {
        this.#sockets.delete(one)
        socket.destroy()
        upstream.destroy()
      })
    }
    socket.pipe(upstream).pipe(socket)
  })

  async open(): Promise<string> {
    await new Promise<void>(resolve => {
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }
  lead(url: string): void {
    this.#port = Number(new URL(url).port)
  }
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

/** A sender of one flow: a batch is sent until it is acknowledged, also by the next process. */
interface Sender {
  ledger: Ledger
  batch: Batch | undefined
}

export class KillLoop {
  readonly #options: KillOptions
  readonly #random: Random
  readonly #baseMs = Date.now() - 60_000
  readonly #ledgers: Ledger[]
  readonly #senders: Sender[]
  readonly #rules = new RuleLedger()
  readonly #way = new Way()
  #wayUrl = ''
  #server: Started | undefined
  #agent: Started | undefined
  #next = 0
  /** Items up to here were looked at. */
  #checked = 0
  readonly report: KillReport

  constructor(options: KillOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    const ways = ['direct', 'agent'] as const
    const flows = ways.flatMap(way => [samplesFlow, linesFlow, spansFlow].map(make => make(this.#baseMs, way)))
    this.#ledgers = flows.map(flow => new Ledger(flow))
    this.#senders = this.#ledgers.flatMap(ledger =>
      Array.from({ length: sendersOfFlow[ledger.flow.way] }, () => ({ ledger, batch: undefined })),
    )
    const counts = { cycle: 0, serverKills: 0, agentKills: 0, startKills: 0, again: 0, partly: 0, ruleSamples: 0 }
    this.report = { ...counts, acknowledged: {}, missing: 0, doubled: 0, wrong: 0, findings: [] }
  }

  async run(): Promise<KillReport> {
    const { cycles, checkEvery, directory } = this.#options
    mkdirSync(directory, { recursive: true })
    writeFileSync(`${directory}/rules.yml`, rules)
    this.#wayUrl = await this.#way.open()
    try {
      for (let cycle = 1; cycle <= cycles && this.#options.isOver?.() !== true; cycle++) {
        this.report.cycle = cycle
        for (const ledger of this.#ledgers) ledger.beginCycle(this.#take(0))
        await this.#live()
        if (cycle % checkEvery === 0) await this.#check(this.#checked)
      }
      await this.#check(0)
      await this.#checkBucket()
    } finally {
      for (const started of [this.#server, this.#agent]) started?.child.kill('SIGKILL')
      await this.#way.close()
    }
    return this.report
  }

  /** The first of `size` numbers that are not used; they are the milliseconds since the base where there is time. */
  #take(size: number): number {
    const first = Math.max(this.#next, Date.now() - this.#baseMs)
    this.#next = first + size
    return first
  }

  #note(findings: readonly string[]): void {
    const { report } = this
    for (const finding of findings) if (report.findings.length < findingsMax) report.findings.push(finding)
    const all = [...this.#ledgers, this.#rules]
    report.missing = all.reduce((sum, ledger) => sum + ledger.missing, 0)
    report.doubled = all.reduce((sum, ledger) => sum + ledger.doubled, 0)
    report.wrong = this.#ledgers.reduce((sum, ledger) => sum + ledger.wrong, 0) + this.#rules.moved + this.#rules.unread
    for (const { flow, acknowledged } of this.#ledgers) report.acknowledged[flow.name] = acknowledged.size
    report.ruleSamples = this.#rules.seen.size
  }

  // --- Processes ---

  async #startServer(onSpawn: (child: ChildProcess) => void = () => {}): Promise<Started> {
    const { directory, durability } = this.#options
    const log = createWriteStream(`${directory}/server.log`, { flags: 'a' })
    log.write(`--- cycle ${this.report.cycle}, ${new Date().toISOString()}\n`)
    const started = await startProcess(directory, durability, {
      flags: [`--rule_files=${directory}/rules.yml`, '--limits.log_streams=1000000', '--log.level=warn'],
      onSpawn: child => {
        child.stderr?.pipe(log)
        onSpawn(child)
      },
    })
    this.#way.lead(started.url)
    return started
  }

  async #startAgent(): Promise<Started> {
    const { directory } = this.#options
    return startAgentProcess(`${directory}/agent`, [
      `--agent.remote_write=${this.#wayUrl}/api/v1/write`,
      `--agent.loki=${this.#wayUrl}/loki/api/v1/push`,
      `--agent.otlp=${this.#wayUrl}`,
      '--self_scrape=false',
      '--self_trace=false',
      '--disk_free_min=0',
    ])
  }

  async #kill({ child }: Started): Promise<void> {
    const ended = new Promise(resolve => child.once('exit', resolve))
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await ended
    }
  }

  #wipe(): void {
    const { durability, directory } = this.#options
    if (durability === 'bucket') rmSync(`${directory}/data`, { recursive: true, force: true })
  }

  /** Sometimes a process is killed before it serves. */
  async #killWhileStarting(): Promise<void> {
    const afterMs = 300 + below(this.#random, 900)
    this.report.startKills++
    await this.#startServer(child => setTimeout(() => child.kill('SIGKILL'), afterMs)).then(
      started => this.#kill(started),
      () => undefined,
    )
    this.#wipe()
  }

  // --- One life ---

  async #live(): Promise<void> {
    const random = this.#random
    if (below(random, 12) === 0) await this.#killWhileStarting()
    const [server, agent] = await Promise.all([this.#server ?? this.#startServer(), this.#agent ?? this.#startAgent()])
    this.#server = server
    this.#agent = agent
    // Mostly the server dies, sometimes the agent, sometimes both at once.
    const victims = [[server], [server], [server], [server], [agent], [server, agent]][below(random, 6)]!
    const life = { isOver: false }
    const killing = pause(200 + below(random, 500)).then(async () => {
      await Promise.all(victims.map(victim => this.#kill(victim)))
      life.isOver = true
    })
    await Promise.all([
      killing,
      ...this.#senders.map(sender => this.#send(sender, life)),
      this.#watchRules(server.url, life),
      this.#flush(server.url, life),
    ])
    if (victims.includes(agent)) {
      this.#agent = undefined
      this.report.agentKills++
    }
    if (!victims.includes(server)) return
    this.#server = undefined
    this.report.serverKills++
    this.#wipe()
  }

  async #send(sender: Sender, life: { isOver: boolean }): Promise<void> {
    const { ledger } = sender
    const { flow } = ledger
    const url = (flow.way === 'direct' ? this.#server : this.#agent)!.url
    const batches = batchesOfLife[this.#options.durability][flow.way]
    for (let sent = 0; sent < batches && !life.isOver; sent++) {
      sender.batch ??= makeBatch(this.#take(itemsOfBatch), Math.floor(ledger.batches++ / batchesOfGroup), this.#random)
      const { batch } = sender
      ledger.pending.add(batch)
      if (++batch.attempts > 1) this.report.again++
      try {
        const outcome = await flow.send(url, batch)
        if (outcome === 'kept' || outcome === 'partly') {
          ledger.settle(batch, outcome)
          sender.batch = undefined
          if (outcome === 'partly') this.report.partly++
        } else if (outcome === 'refused') {
          this.#note([`${flow.name}: the good batch ${batch.first} was refused`])
          ledger.wrong++
          sender.batch = undefined
        } else {
          await pause(20)
        }
      } catch {
        // The process is gone, or going.
        await pause(10)
      }
    }
  }

  /** What a query shows of a rule's samples is kept. */
  async #watchRules(url: string, life: { isOver: boolean }): Promise<void> {
    while (!life.isOver) {
      try {
        const reply = await fetch(`${url}/api/v1/query?query=${encodeURIComponent('kill_recorded[2s]')}`)
        const { data } = (await reply.json()) as { data?: { result: { values: [number, string][] }[] } }
        for (const { values } of data?.result ?? [])
          for (const [at, value] of values) this.#rules.note(Math.round(at * 1000), Number(value))
      } catch {
        // As above.
      }
      await pause(60)
    }
  }

  /** Blocks are cut, uploaded and merged meanwhile. */
  async #flush(url: string, life: { isOver: boolean }): Promise<void> {
    await pause(below(this.#random, 1500))
    if (!life.isOver) await fetch(`${url}/-/flush`, { method: 'POST' }).catch(() => undefined)
  }

  // --- Looking ---

  async #check(from: number): Promise<void> {
    const server = (this.#server ??= await this.#startServer())
    this.#agent ??= await this.#startAgent()
    const through = this.#take(1)
    await this.#agentDelivered(server.url, from)
    await this.#compare(server.url, from, through)
    // What is under way in an agent is looked at again the next time.
    this.#checked = Math.max(0, through - 60_000)
    this.#options.onCheck?.(this.report)
  }

  async #compare(url: string, from: number, through: number): Promise<void> {
    for (const ledger of this.#ledgers) {
      try {
        this.#note(ledger.compare(await ledger.flow.read(url, from, through), from, through))
      } catch (error) {
        ledger.wrong++
        this.#note([`${ledger.flow.name}: ${messageOf(error)}`])
      }
    }
    try {
      this.#note(this.#rules.compare(await this.#stored(url, 'kill_recorded')))
      this.#note(this.#rules.compareActive(await this.#stored(url, 'ALERTS_FOR_STATE{alertname="KillAlert"}')))
    } catch (error) {
      this.#rules.unread++
      this.#note([`rules: ${messageOf(error)}`])
    }
  }

  async #stored(url: string, selector: string): Promise<[number, number][]> {
    const reply = await fetch(
      `${url}/api/v1/export?${new URLSearchParams({ 'match[]': selector, start: '0' }).toString()}`,
    )
    const samples: [number, number][] = []
    for (const line of (await reply.text()).split('\n')) {
      if (line === '') continue
      const { values, timestamps } = JSON.parse(line) as { values: (number | null)[]; timestamps: number[] }
      values.forEach((value, i) => {
        if (value !== null) samples.push([timestamps[i]!, value])
      })
    }
    return samples.sort((a, b) => a[0] - b[0])
  }

  /** Waits until the server has what the agent acknowledged, as long as more of it comes. */
  async #agentDelivered(url: string, from: number): Promise<void> {
    for (const { flow, acknowledged } of this.#ledgers.filter(ledger => ledger.flow.way === 'agent')) {
      let least = Infinity
      for (let deadlineMs = performance.now() + deliveryMs; performance.now() < deadlineMs; await pause(250)) {
        const there = new Set(await flow.read(url, from, this.#next).catch(() => []))
        let missing = 0
        for (const n of acknowledged) if (n >= from && !there.has(n)) missing++
        if (missing === 0) break
        if (missing < least) deadlineMs = performance.now() + deliveryMs
        least = Math.min(least, missing)
      }
    }
  }

  /** After a clean stop everything is in the bucket. */
  async #checkBucket(): Promise<void> {
    const { directory } = this.#options
    const server = this.#server!
    await fetch(`${server.url}/-/flush`, { method: 'POST' })
    const ended = new Promise(resolve => server.child.once('exit', resolve))
    server.child.kill('SIGTERM')
    await ended
    rmSync(`${directory}/data`, { recursive: true, force: true })
    this.#server = await this.#startServer()
    await this.#compare(this.#server.url, 0, this.#take(1))
    this.#options.onCheck?.(this.report)
  }
}

/**
 * From a live Tercet to Mimir's, Loki's and Tempo's real programs (Cortex in Mimir's place) on the same buckets, a day
 * with their compactors, and back: with senders that go on all the time, a ledger of what was acknowledged, and the
 * questions of the day before asked of each.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { readStack } from '#deploy/stack.ts'
import type { FileTree } from '#deploy/tree.ts'
import { cephKeys, startCeph, type Ceph } from '../ceph.ts'
import { runCommand } from '../run-cli.ts'
import { startProcess, type Started } from '../run-process.ts'
import { until } from '../until.ts'
import { Load, type Doors } from './graduation-load.ts'
import { askHistory, oldDataFound, sendHistory, type History } from './graduation-questions.ts'
import { doorsOf } from './questions.ts'
import { composeContainers, RunningStack, type Changes } from './stacks.ts'

export interface GraduationOptions {
  directory: string
  /** How long the senders go on in each of the three times. */
  loadSeconds: number
  print: (line: string) => void
}

export interface GraduationReport {
  acknowledged: Record<string, number>
  /** Answers of the history that were compared, a time. */
  answers: number
  /** Pushes that had to be repeated while nobody took them. */
  again: number
  findings: string[]
}

/** While blocks are exchanged, and the lists of them. */
const answersSeconds = 60
const buckets = { metrics: 'mimir-blocks', logs: 'loki-chunks', traces: 'tempo-traces' } as const
const stackText =
  "s3: { endpoint: 'http://s3.example.net:9000', region: minio, allow_insecure: true }\n" +
  'retention: { metrics: 24h, logs: 24h, traces: 24h }\n'

/** A day of their maintenance in seconds: how often they look, and how long they wait; what they do is as rendered. */
const hastened: Changes = {
  mimir: {
    'compactor.compaction_interval': '5s',
    'compactor.cleanup_interval': '5s',
    'compactor.deletion_delay': '0s',
    'blocks_storage.bucket_store.sync_interval': '3s',
    'blocks_storage.bucket_store.ignore_deletion_mark_delay': '0s',
  },
  loki: {
    'compactor.compaction_interval': '5s',
    'compactor.apply_retention_interval': '5s',
    'compactor.retention_delete_delay': '1s',
  },
  tempo: {
    'compactor.compaction.compaction_cycle': '3s',
    'compactor.compaction.compacted_block_retention': '1s',
    'storage.trace.blocklist_poll': '3s',
  },
}

/** Where each takes its last orders: what is in memory goes to the bucket, and nothing more is taken. */
const farewells = {
  mimir: { port: 8428, path: '/ingester/shutdown' },
  loki: { port: 3100, path: '/ingester/shutdown?flush=true&delete_ring_tokens=false&terminate=false' },
  tempo: { port: 3200, path: '/shutdown' },
} as const

class Rehearsal {
  readonly #options: GraduationOptions
  readonly #ceph: Ceph
  readonly #load = new Load()
  #history: History | undefined
  #expected: Readonly<Record<string, unknown>> = {}
  #tercet: Started | undefined
  #stack: RunningStack | undefined
  readonly #findings: string[] = []

  constructor(options: GraduationOptions, ceph: Ceph) {
    this.#options = options
    this.#ceph = ceph
  }

  async run(): Promise<GraduationReport> {
    try {
      await this.#liveTercet()
      await this.#handOver()
      await this.#theirDay()
      await this.#back()
    } catch (error) {
      for (const { spec, output } of this.#stack?.pods ?? []) this.#print(`${spec.name}: ${complaintsOf(output)}`)
      throw error
    } finally {
      this.#load.doors = undefined
      await this.#load.abandon()
      await this.#stack?.stop()
      this.#tercet?.child.kill('SIGKILL')
    }
    const { acknowledged, again } = this.#load
    return { acknowledged, again, answers: Object.keys(this.#expected).length, findings: this.#findings }
  }

  #print(line: string): void {
    this.#options.print(line)
  }

  // --- The four times ---

  async #liveTercet(): Promise<void> {
    await this.#startTercet([])
    this.#history = await sendHistory(this.#tercetDoors)
    this.#print(`Tercet: history of ${this.#history.text}`)
    this.#load.doors = this.#tercetDoors
    this.#load.start()
    await this.#letPass()
    this.#tell('Tercet')
  }

  async #handOver(): Promise<void> {
    const { directory } = this.#options
    writeFileSync(join(directory, 'stack.yaml'), stackText)
    const given = ['--tercet-config', join(directory, 'tercet.yaml'), '--config', join(directory, 'stack.yaml')]
    const target = ['--target', 'compose', '-o', join(directory, 'lgtm')]
    const { code, out, err } = await runCommand(
      ['deploy', 'graduate', ...given, ...target].concat('--url', this.#tercet!.url, '--hand-over'),
    )
    assert.equal(code, 0, err)
    this.#print(`deploy graduate --hand-over: ${out.split('\n\n')[0]!.replaceAll('\n', '; ')}`)
    // It answers until it is stopped.
    this.#expected = await askHistory(this.#tercetDoors, this.#history!)
    assert.deepEqual(await oldDataFound(this.#tercetDoors, this.#history!), ['metrics', 'logs', 'traces'])
    this.#load.doors = undefined
    await this.#stopTercet()
    this.#print(`in the buckets: ${await this.#countObjects()}`)
  }

  async #theirDay(): Promise<void> {
    const { directory } = this.#options
    const volumes = join(directory, 'volumes')
    mkdirSync(volumes, { recursive: true })
    const containers = composeContainers(treeOf(join(directory, 'lgtm')), volumes, hastened)
    this.#stack = await RunningStack.start(containers, volumes, { s3Port: this.#ceph.port })
    const doors = await doorsOf(readStack(stackText, 'stack.yaml', 'lgtm'), this.#stack.network)
    this.#load.doors = doors
    await this.#sameHistory('Mimir (Cortex), Loki, Tempo', doors)
    await this.#letPass()
    this.#tell('Mimir (Cortex), Loki, Tempo')
    await this.#compareLedger('Mimir (Cortex), Loki, Tempo', doors)
    await this.#maintained(doors)
    await this.#sameHistory('after their compaction and retention', doors)
    await this.#compareLedger('after their compaction and retention', doors)
  }

  async #back(): Promise<void> {
    for (const [name, { port, path }] of Object.entries(farewells)) {
      const door = await this.#stack!.network.door(name, port)
      // Loki's process ends when its ingester has, in place of an answer.
      const reply = await fetch(`http://${door}${path}`, { method: 'POST' }).catch(() => undefined)
      await reply?.arrayBuffer()
      if (reply === undefined) await until(() => !this.#stack!.pod(name).isRunning || undefined, `${name} ends`, 60)
      this.#print(`POST ${name}:${port}${path}: ${reply?.status ?? 'the process ends'}`)
      assert.ok(reply?.ok ?? true)
    }
    this.#load.doors = undefined
    await this.#stack!.stop()
    this.#stack = undefined
    this.#print(`in the buckets: ${await this.#countObjects()}`)
    await assert.rejects(this.#startTercet([]), 'without take_back it does not start')
    await this.#startTercet(['--take_back=true'])
    const doors = this.#tercetDoors
    this.#load.doors = doors
    await this.#sameHistory('Tercet with take_back', doors)
    await this.#letPass()
    await this.#load.stop()
    this.#tell('Tercet again')
    await this.#compareLedger('Tercet again', doors)
    await fetch(`${this.#tercet!.url}/-/flush`, { method: 'POST' })
    await this.#sameHistory('Tercet again, flushed', doors)
    await this.#stopTercet()
  }

  // --- Tercet ---

  async #startTercet(flags: readonly string[]): Promise<void> {
    const { directory } = this.#options
    const s3 = { endpoint: this.#ceph.endpoint, region: 'minio', allow_insecure: true }
    const keys = { access_key_id: cephKeys.accessKeyId, secret_access_key: cephKeys.secretAccessKey }
    const config = {
      bucket: { s3: { ...s3, ...keys } },
      metrics: { bucket: { s3: { bucket: buckets.metrics } }, out_of_order_window: '96h' },
      logs: { bucket: { s3: { bucket: buckets.logs } }, out_of_order_window: '96h' },
      traces: { bucket: { s3: { bucket: buckets.traces } }, block_version: 'vParquet4' },
    }
    // YAML is a superset of JSON.
    writeFileSync(join(directory, 'tercet.yaml'), JSON.stringify(config))
    this.#tercet = await startProcess(directory, 'local', {
      isInBuckets: true,
      flags: [`--config=${join(directory, 'tercet.yaml')}`, ...flags],
    })
  }

  get #tercetDoors(): Doors {
    const { url } = this.#tercet!
    return {
      'metrics.push': `${url}/api/v1/push`,
      'metrics.query': `${url}/prometheus`,
      'logs.push': `${url}/loki/api/v1/push`,
      'logs.query': url,
      'traces.push': url,
      'traces.query': url,
    }
  }

  async #stopTercet(): Promise<void> {
    const { child } = this.#tercet!
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
    this.#tercet = undefined
  }

  // --- Looking ---

  async #letPass(): Promise<void> {
    await new Promise(resolve => setTimeout(resolve, this.#options.loadSeconds * 1000))
  }

  #tell(who: string): void {
    const { acknowledged, again } = this.#load
    const counts = Object.entries(acknowledged).map(([name, count]) => `${count} ${name}`)
    this.#print(`${who}: ${counts.join(', ')} acknowledged so far; ${again} pushes repeated`)
  }

  /** Every answer as it was; while blocks are exchanged a question may have to be asked again. */
  async #sameHistory(who: string, doors: Doors): Promise<void> {
    let different: string[] = []
    const isSame = async (): Promise<true | undefined> => {
      const answers = await askHistory(doors, this.#history!)
      different = Object.keys(this.#expected).filter(key => !isDeepStrictEqual(answers[key], this.#expected[key]))
      if (different.length === 0) return true
      const [first = ''] = different
      different[0] += `: ${shortOf(answers[first])}; it was ${shortOf(this.#expected[first])}`
      return undefined
    }
    await until(isSame, `${who}: the answers of the history`, answersSeconds).catch((error: unknown) => {
      throw new Error(`${who}: ${different.length} answers differ: ${different.join(', ')}`, { cause: error })
    })
    this.#print(`${who}: ${Object.keys(this.#expected).length} answers of the history are equal`)
  }

  async #compareLedger(who: string, doors: Doors): Promise<void> {
    let findings: string[] = []
    // What was acknowledged just now may take a moment to be found.
    const through = this.#load.now - 1000
    const isWhole = async (): Promise<true | undefined> => {
      findings = await this.#load.compare(doors, 0, through)
      return findings.length === 0 ? true : undefined
    }
    await until(isWhole, `${who}: the ledger`, 60).catch((error: unknown) => {
      this.#findings.push(...findings)
      this.#print(`${who}: ${findings.length} findings: ${findings.slice(0, 3).join('; ') || String(error)}`)
    })
    if (findings.length === 0) this.#print(`${who}: everything acknowledged is there, once`)
  }

  /** What is older than the retention is gone, and they have merged blocks. */
  async #maintained(doors: Doors): Promise<void> {
    let left: string[] = []
    const isGone = async (): Promise<true | undefined> => {
      left = await oldDataFound(doors, this.#history!)
      return left.length === 0 ? true : undefined
    }
    await until(isGone, 'what is older than their retention is gone', 300).catch((error: unknown) => {
      throw new Error(`still there: ${left.join(', ')}`, { cause: error })
    })
    this.#print(`what is older than 24 hours is gone from the answers; in the buckets: ${await this.#countObjects()}`)
  }

  async #keys(bucket: string): Promise<string[]> {
    const { Contents = [] } = await this.#ceph.client.send(new ListObjectsV2Command({ Bucket: bucket }))
    return Contents.map(({ Key = '' }) => Key)
  }

  async #countObjects(): Promise<string> {
    const metrics = (await this.#keys(buckets.metrics)).filter(key => /^anonymous\/[0-9A-Z]{26}\/meta\.json$/.test(key))
    const logs = (await this.#keys(buckets.logs)).filter(key => /^fake\/[0-9a-f]+\//.test(key))
    const traces = (await this.#keys(buckets.traces)).filter(key => /^single-tenant\/[^/]+\/meta\.json$/.test(key))
    return `${metrics.length} blocks of metrics, ${logs.length} chunks, ${traces.length} blocks of traces`
  }
}

/** The last warnings and errors that a program wrote. */
function complaintsOf(output: string): string {
  const lines = output.split('\n').filter(line => /level"?[:=]"?(warn|error)/.test(line))
  return lines.slice(-10).join('\n')
}

const shortOf = (value: unknown): string => JSON.stringify(value).slice(0, 300)

/** A rendered tree, read back from disk. */
function treeOf(directory: string): FileTree {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).map(name => join(directory, name))
  return new Map(
    files.filter(path => statSync(path).isFile()).map(path => [relative(directory, path), readFileSync(path, 'utf8')]),
  )
}

/** Throws where an answer differs, or something does not start; what the ledger misses is in the report. */
export async function rehearseGraduation(options: GraduationOptions): Promise<GraduationReport> {
  const ceph = await startCeph(join(options.directory, 'ceph'), Object.values(buckets))
  try {
    return await new Rehearsal(options, ceph).run()
  } finally {
    await ceph.stop()
  }
}

/**
 * What credentials cost: the same requests to three processes, turn by turn. One has no credentials, one is asked with
 * a token, one with a password; both of these stand in a file with a hundred others, which have label constraints.
 *
 *     node bench/auth.ts [--starts=5] [--rounds=10]
 *
 * Prints CPU by kind of request, and the ratio to the process without credentials: the median of the rounds of all
 * starts. Two processes of one program differ by some percent by themselves, so there are several of each.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashPassword } from '../src/auth/password-hash.ts'
import { listeningUrl } from '../test/listening-url.ts'
import { writeBody } from '../test/write-request.ts'
import { costOf, cpuBetween } from './process-cost.ts'
import { nodeFlags, programUnderTest } from './program.ts'

function flagOf(name: string, value: number): number {
  const prefix = `--${name}=`
  return Number(process.argv.find(a => a.startsWith(prefix))?.slice(prefix.length) ?? value)
}
const starts = flagOf('starts', 5)
const rounds = flagOf('rounds', 10)
const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-auth-'))
const agent = new Agent({ keepAlive: true, maxSockets: 4 })

interface Contestant {
  readonly name: string
  readonly flags: readonly string[]
  readonly authorization: string | undefined
  process?: ChildProcess
  url: string
}

async function credentialsFile(): Promise<string> {
  const verbs = ['read', 'write', 'rules', 'admin']
  const tokens = Array.from({ length: 100 }, (_, i) => ({
    name: `t${i}`,
    sha256: createHash('sha256').update(`token-${i}`).digest('hex'),
    ...(i === 50 ? { verbs } : { verbs: ['read'], labels: `{team="${i}"}` }),
  }))
  const users = [{ name: 'user', password_hash: await hashPassword('secret', new Uint8Array(16)), verbs }]
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, JSON.stringify({ tokens, users }))
  return file
}

async function start(one: Contestant): Promise<void> {
  const flags = [
    'listen.http=127.0.0.1:0',
    'listen.otlp_http=off',
    'listen.otlp_grpc=off',
    'self_scrape=false',
    'self_trace=false',
    `data_dir=${join(directory, one.name)}`,
    ...one.flags,
  ].map(flag => `--${flag}`)
  one.process = spawn(process.execPath, [...nodeFlags(), programUnderTest(), 'up', ...flags], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  one.url = await listeningUrl(one.process)
}

function ask(one: Contestant, method: string, path: string, type: string, body?: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': type,
      ...(type === 'application/x-protobuf' ? { 'content-encoding': 'snappy' } : {}),
      ...(one.authorization === undefined ? {} : { authorization: one.authorization }),
    }
    const call = request(`${one.url}${path}`, { method, agent, headers }, reply => {
      reply.resume()
      reply.once('end', () => {
        if ((reply.statusCode ?? 0) < 300) resolve()
        else reject(new Error(`${path}: ${reply.statusCode}`))
      })
    })
    call.once('error', reject)
    call.end(body)
  })
}

let clockMs = Date.now() - 3_000_000

/** Requests of a kind; each round has its own. */
const kinds: Readonly<Record<string, () => (one: Contestant) => Promise<void>>> = {
  'remote write of 500 samples': () => {
    clockMs += 1000
    const atMs = clockMs
    const bodies = Array.from({ length: 100 }, (_, i) =>
      writeBody(
        Array.from({ length: 500 }, (_s, k) => ({
          labels: [
            ['__name__', 'metric'],
            ['series', String(k)],
          ],
          samples: [[atMs + i, k]],
        })),
      ),
    )
    return async one => {
      for (const body of bodies) await ask(one, 'POST', '/api/v1/write', 'application/x-protobuf', body)
    }
  },
  'push of 100 lines': () => {
    clockMs += 1000
    const values = Array.from({ length: 100 }, (_, i) => [
      `${clockMs + i}000000`,
      `line ${i} of a request that took 3 ms`,
    ])
    const body = JSON.stringify({ streams: [{ stream: { app: 'shop' }, values }] })
    return async one => {
      for (let i = 0; i < 100; i++) await ask(one, 'POST', '/loki/api/v1/push', 'application/json', body)
    }
  },
  'instant query of one series': () => async one => {
    for (let i = 0; i < 100; i++) await ask(one, 'GET', '/api/v1/query?query=metric{series="7"}', 'text/plain')
  },
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!

/** CPU seconds by kind and contestant, a round each. */
type Seconds = Map<string, Map<string, number[]>>

async function measure(contestants: Contestant[], seconds: Seconds): Promise<void> {
  await Promise.all(contestants.map(start))
  try {
    for (const [kind, make] of Object.entries(kinds)) {
      const own = seconds.get(kind) ?? new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
      seconds.set(kind, own)
      for (let round = -3; round < rounds; round++) {
        const work = make()
        // Who comes first changes from round to round.
        for (let i = 0; i < contestants.length; i++) {
          const one = contestants[(i + round + 3) % contestants.length]!
          const before = costOf(one.process!.pid!)
          await work(one)
          if (round >= 0) own.get(one.name)!.push(cpuBetween(before, costOf(one.process!.pid!)))
        }
      }
    }
  } finally {
    await Promise.all(contestants.map(stop))
  }
}

async function stop({ name, process: child }: Contestant): Promise<void> {
  if (child === undefined) return
  const closed = new Promise(resolve => child.once('close', resolve))
  child.kill()
  await closed
  rmSync(join(directory, name), { recursive: true, force: true })
}

async function main(): Promise<void> {
  const file = await credentialsFile()
  const password = `Basic ${Buffer.from('user:secret').toString('base64')}`
  const seconds: Seconds = new Map()
  try {
    for (let i = 0; i < starts; i++)
      await measure(
        [
          { name: 'none', flags: [], authorization: undefined, url: '' },
          { name: 'token', flags: [`auth.file=${file}`], authorization: 'Bearer token-50', url: '' },
          { name: 'password', flags: [`auth.file=${file}`], authorization: password, url: '' },
        ],
        seconds,
      )
  } finally {
    agent.destroy()
    rmSync(directory, { recursive: true, force: true })
  }
  for (const [kind, own] of seconds) {
    const base = own.get('none')!
    const ratioTo = (name: string): string => median(own.get(name)!.map((s, i) => s / base[i]!)).toFixed(3)
    const shown = `${((median([...base]) / 100) * 1e6).toFixed(0)} µs`
    process.stdout.write(`${kind}: ${shown} without; token ${ratioTo('token')}, password ${ratioTo('password')}\n`)
  }
}

await main()

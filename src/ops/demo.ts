/**
 * `tercet demo`: a Tercet, and beside it a small shop that sends to it as real services would. What the shop is like is
 * in src/demo.
 */
import { createServer } from 'node:net'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, type Config } from '#app/config.ts'
import { makeLog } from '#app/logger.ts'
import { startTercet, type Tercet } from '#app/tercet.ts'
import { version } from '#app/version.ts'
import { systemWorld, type World } from '#app/world.ts'
import { BadDataError } from '#core/errors.ts'
import { alertmanagerText, firingAlert, queries, quietAlert, rulesText } from '#demo/guide.ts'
import { Shop } from '#demo/shop.ts'
import { Story } from '#demo/story.ts'
import { Telemetry } from '#demo/telemetry.ts'
import { DemoSender } from './demo-sender.ts'
import type { Output } from './output.ts'

export interface DemoOptions {
  /** Undefined: a temporary one, which is removed at the end. */
  dataDir: string | undefined
  /** Undefined: the usual port, or a free one where that is taken. */
  port: number | undefined
  historyMs: number
  isQuiet: boolean
}

export interface RunningDemo {
  stop(): Promise<void>
}

const usual = { http: 8428, otlpHttp: 4318, otlpGrpc: 4317 }
const host = '127.0.0.1'
/** The new version was deployed so long before the start: its alert fires about a minute after it. */
const deployedBeforeMs = 120_000
const hourMs = 3_600_000

/** Starts all, sends the history, says what to look at, and goes on until `stop`. */
export async function startDemo(options: DemoOptions, output: Output): Promise<RunningDemo> {
  const directory = await openDirectory(options.dataDir)
  const remove = async (): Promise<void> => {
    if (options.dataDir === undefined) await rm(directory.path, { recursive: true, force: true })
  }
  let tercet: Tercet | undefined
  try {
    const config = await configOf(directory.path, options)
    const world = systemWorld(makeLog(config.text('log.format'), 'warn'))
    tercet = await startTercet(config, world, {})
    const running = tercet
    const sender = await startShop(running, world, directory.isNew ? options.historyMs : 0, output, options.isQuiet)
    output.out(guideOf(running, directory, options))
    return {
      stop: async () => {
        await sender.stop()
        await running.close().finally(remove)
      },
    }
  } catch (error) {
    await tercet?.close()
    await remove()
    throw error
  }
}

interface DemoDirectory {
  path: string
  /** No demo ran there before. */
  isNew: boolean
}

/** Throws BadDataError for a directory that has something else than a demo's data. */
async function openDirectory(given: string | undefined): Promise<DemoDirectory> {
  if (given === undefined) return { path: await mkdtemp(join(tmpdir(), 'tercet-demo-')), isNew: true }
  await mkdir(given, { recursive: true })
  const names = await readdir(given)
  if (names.length > 0 && !names.includes('demo'))
    throw new BadDataError(
      `${given} has something else than the data of a demo: name a directory that is empty, or new`,
    )
  return { path: given, isNew: names.length === 0 }
}

/** Nothing of the environment and of tercet.yaml: a demo writes to no bucket of a real system. */
async function configOf(directory: string, { port, historyMs }: DemoOptions): Promise<Config> {
  const files = join(directory, 'demo')
  await mkdir(files, { recursive: true })
  await writeFile(join(files, 'rules.yml'), rulesText)
  await writeFile(join(files, 'alertmanager.yml'), alertmanagerText)
  const isAnyPort = port === 0
  const flags = [
    `data_dir=${directory}`,
    `listen.http=${host}:${port ?? (await freeOf(usual.http))}`,
    `listen.otlp_http=${host}:${isAnyPort ? 0 : await freeOf(usual.otlpHttp)}`,
    `listen.otlp_grpc=${host}:${isAnyPort ? 0 : await freeOf(usual.otlpGrpc)}`,
    `rule_files=${files}/rules.yml`,
    `alertmanager_config_file=${files}/alertmanager.yml`,
    // The history comes behind the process' own metrics of now.
    `metrics.out_of_order_window=${Math.ceil((historyMs + hourMs) / 1000)}s`,
  ]
  return loadConfig({ environment: {}, flags })
}

/** The port, or 0 where somebody listens there. */
function freeOf(port: number): Promise<number> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => {
      resolve(0)
    })
    server.listen(port, host, () => {
      server.close(() => {
        resolve(port)
      })
    })
  })
}

async function startShop(
  tercet: Tercet,
  world: World,
  historyMs: number,
  output: Output,
  isQuiet: boolean,
): Promise<DemoSender> {
  const nowMs = world.clock.nowMs()
  const startMs = nowMs - historyMs
  const shop = new Shop(world.random.u32(), new Story(nowMs - deployedBeforeMs), startMs)
  const otlp = tercet.addresses.find(({ name }) => name === 'otlp_http')
  const sender = new DemoSender(world.clock, new Telemetry(shop), {
    otlpUrl: otlp === undefined ? tercet.url : `http://${otlp.address}`,
    url: tercet.url,
    onProblem: problem => {
      output.err(`tercet: demo: ${problem}`)
    },
  })
  if (!isQuiet && historyMs > 0) output.out(`The shop sends ${hoursOf(historyMs)} of history …`)
  await sender.sendHistory(Math.floor(startMs / 1000), Math.floor(nowMs / 1000))
  sender.goLive()
  return sender
}

function hoursOf(ms: number): string {
  const minutes = Math.round(ms / 60_000)
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${minutes} min`
}

const pages = { PromQL: 'metrics', LogQL: 'logs', TraceQL: 'traces' } as const

/** What is said when all is ready. */
function guideOf({ url }: Tercet, directory: DemoDirectory, { dataDir, isQuiet, historyMs }: DemoOptions): string {
  const ready = `Tercet ${version} is ready, with a shop that sends to it: ${url}`
  if (isQuiet) return ready
  const { path, isNew } = directory
  const history = isNew ? `${hoursOf(historyMs)} of it are there, and more comes` : 'it goes on where a demo was before'
  const kept = dataDir === undefined ? `removes ${path}` : `leaves ${path} as it is`
  return `${ready}

Three services, shop, payment and stock, send traces, logs and metrics; ${history}.
Every ten minutes payment v1.4.2 is deployed, and rolled back six minutes later. It was deployed two minutes ago.

Look at
  ${url}/ui/           what comes in
  ${url}/ui/services   who calls whom, how often, and with how many errors
  ${url}/ui/alerts     ${firingAlert} fires in about a minute; ${quietAlert} does not

Paste there
${(['PromQL', 'LogQL', 'TraceQL'] as const).map(language => queriesOf(url, language)).join('\n')}
Ctrl-C ends it, and ${kept}.`
}

function queriesOf(url: string, language: keyof typeof pages): string {
  const own = queries.filter(query => query.language === language)
  const shown = own.map(({ text, shows }) => `    # ${shows}\n    ${text}\n`)
  return `  ${url}/ui/${pages[language]}   (${language})\n${shown.join('')}`
}
